//! Which coupons a subsidy was sent for since the last night: as long as no night has seen what became of it, no payment
//! of another number goes out for the coupon, whichever plan holds it. Sends nothing.

use std::io;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::errand::Payment;
use crate::dataset::Lake;
use crate::dataset::sha256::sha256_of;
use crate::durable;

/// The payments that were sent, one file a coupon.
pub(super) struct PaidCoupons<'a> {
    pub(super) lake: &'a Lake,
    pub(super) folder: &'a Path,
    /// The last night that is published.
    pub(super) night: NaiveDate,
}

/// The payment that was sent last for a coupon.
#[derive(Serialize, Deserialize)]
struct Sent {
    out_subsidy_no: String,
    /// The last night that was published then.
    night: NaiveDate,
}

impl PaidCoupons<'_> {
    /// The number of another payment of the same coupon that no night has seen yet.
    pub(super) fn other(&self, payment: &Payment) -> io::Result<Option<String>> {
        let bytes = match std::fs::read(self.file_of(payment)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            bytes => bytes?,
        };
        let sent: Sent = serde_json::from_slice(&bytes)?;
        let is_unseen = sent.night >= self.night && sent.out_subsidy_no != payment.out_subsidy_no;
        Ok(is_unseen.then_some(sent.out_subsidy_no))
    }

    /// Notes, before it is sent, that a payment is.
    pub(super) fn note(&self, payment: &Payment) -> io::Result<()> {
        let sent = Sent { out_subsidy_no: payment.out_subsidy_no.clone(), night: self.night };
        let path = self.file_of(payment);
        durable::write_file(&path, &path.with_extension("staged"), &serde_json::to_vec(&sent)?)?;
        self.lake.put(&path)
    }

    /// A payment that WeChat certainly did not make.
    pub(super) fn forget(&self, payment: &Payment) -> io::Result<()> {
        self.lake.remove(&self.file_of(payment))
    }

    fn file_of(&self, payment: &Payment) -> PathBuf {
        let coupon = format!("{}\n{}", payment.stock_id, payment.coupon_code);
        self.folder.join(format!("{}.paid", sha256_of(coupon.as_bytes())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Fen;

    fn payment(coupon_code: &str, out_subsidy_no: &str) -> Payment {
        Payment {
            stock_id: "128".into(),
            coupon_code: coupon_code.into(),
            transaction_id: "4200".into(),
            payer_merchant: "19".into(),
            payee_merchant: "20".into(),
            amount: Fen(100),
            description: String::new(),
            out_subsidy_no: out_subsidy_no.into(),
        }
    }

    fn night(day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, day).unwrap()
    }

    #[test]
    fn a_coupon_waits_for_the_night_that_sees_its_payment_and_others_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::at(folder.path());
        let on = |day| PaidCoupons { lake: &lake, folder: folder.path(), night: night(day) };
        let (first, second, third) = (payment("C1", "A"), payment("C1", "B"), payment("C2", "C"));
        on(20).note(&first).unwrap();
        assert_eq!(on(20).other(&first).unwrap(), None, "the same number pays once");
        assert_eq!(on(20).other(&second).unwrap().as_deref(), Some("A"));
        assert_eq!(on(19).other(&second).unwrap().as_deref(), Some("A"), "a plan of an older lake");
        assert_eq!(on(20).other(&third).unwrap(), None);
        assert_eq!(on(21).other(&second).unwrap(), None, "the night knows");
        on(20).forget(&first).unwrap();
        assert_eq!(on(20).other(&second).unwrap(), None);
    }
}
