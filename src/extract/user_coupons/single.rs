//! The single query: requests each coupon in doubt once more, and puts its answer in the place of the listed row.

use std::io;

use super::doubtful::Doubt;
use super::requests::{PLACE, Requests, SHAPE, enumerated};
use crate::extract::Issue;
use crate::extract::ask::{ask_each, read_page, require_echo, settle_and_read};
use crate::extract::gathered::{Gathered, Known};
use crate::extract::issue::IssueKind;
use crate::extract::odd_fields::OddFields;
use crate::extract::wire::user_coupon_row;
use crate::fingerprints::Fingerprints;
use crate::journal::Page;
use crate::record::UserCoupon;
use crate::sorter::{Kept, PackedRow};
use crate::wechat::Request;
use crate::wechat::pay_v3::busifavor;
use crate::wechat::wording::shown;

/// Prefix of the journal keys of single queries.
const SINGLE: &str = "single/";

/// The coupons after the single queries.
pub(super) struct Replaced {
    pub(super) known: Known<UserCoupon>,
    /// (published openid, code) of coupons that the single query does not know.
    pub(super) unknown: Fingerprints,
    /// (raw openid, code) of the coupons in doubt.
    pub(super) doubtful: Fingerprints,
    /// Answers about coupons that are not in doubt.
    pub(super) others: usize,
}

impl Requests<'_> {
    /// Requests the coupons in doubt that the journal does not have.
    pub(super) async fn ask_single(&self, doubts: &Kept) -> Result<Vec<Issue>, Issue> {
        let question = |row: PackedRow<'_>| {
            let doubt = Doubt::unpack(row);
            (single_key(&doubt.raw_openid, &doubt.coupon_code), doubt)
        };
        let questions = || Ok(doubts.rows()?.map(question));
        let ask = async |doubt: Doubt| {
            let request = self.single_request(&doubt);
            let (page, coupon) = settle_and_read(&request, self.pay_v3.send(&request).await)?;
            coupon.map_or(Ok(()), |coupon| {
                require_echo(&request, &doubt.coupon_code, &coupon.coupon_code)?;
                require_state(&coupon)
            })?;
            Ok(Some(vec![page]))
        };
        ask_each(self.night, self.journal, PLACE, questions, ask).await
    }

    fn single_request(&self, doubt: &Doubt) -> Request<busifavor::UserCoupon> {
        busifavor::user_coupon(&doubt.raw_openid, &doubt.coupon_code, &self.settings.appid)
    }

    /// The single query's answer replaces the listed row, everywhere (design §12).
    pub(super) fn replace_single(
        &self,
        doubts: &Kept,
        known: Known<UserCoupon>,
        odd: &mut OddFields,
    ) -> Result<Replaced, Issue> {
        let doubtful = coupons_of(doubts).map_err(Issue::unsorted)?;
        let mut answers = Gathered::after(known.intake, &self.night.corner());
        let (mut unknown, mut others) = (Fingerprints::expecting(doubts.len()), 0);
        self.journal.visit_read(SINGLE, Ok, |entry| {
            let Some(doubt) = self.doubt_of(&entry.key, &doubtful) else {
                others += 1;
                return Ok(());
            };
            answers.intake.pages += u64::from(!entry.pages.is_empty());
            let Some(row) = self.read_single(&doubt, entry.pages.first())? else {
                unknown.insert(&[&doubt.openid, &doubt.coupon_code]);
                return Ok(());
            };
            odd.see(&SHAPE, row.extra.as_deref());
            odd.see_values(enumerated(&row));
            answers.put(&row).map_err(Issue::unsorted)
        })?;
        Ok(Replaced { known: answers.replace(&known.rows).map_err(Issue::unsorted)?, unknown, doubtful, others })
    }

    /// Whether a journal key is that of a coupon in doubt.
    pub(super) fn is_doubted(&self, key: &str, doubtful: &Fingerprints) -> bool {
        self.doubt_of(key, doubtful).is_some()
    }

    /// The row of an answer; `None` if WeChat does not know the coupon.
    fn read_single(&self, doubt: &Doubt, page: Option<&Page>) -> Result<Option<UserCoupon>, Issue> {
        let answer = page.map(|page| read_page(&self.single_request(doubt), page)).transpose()?.flatten();
        let imprint = self.night.imprint().about(Some(&doubt.raw_openid));
        Ok(answer.map(|coupon| user_coupon_row(coupon, doubt.openid.clone(), imprint)))
    }

    /// The doubt that a journal entry answers. Either half of its key may contain a slash.
    fn doubt_of(&self, key: &str, doubtful: &Fingerprints) -> Option<Doubt> {
        let halves = key.strip_prefix(SINGLE)?;
        let splits = halves.match_indices('/').map(|(at, _)| (&halves[..at], &halves[at + 1..]));
        let (raw_openid, coupon_code) = splits.into_iter().find(|(openid, code)| doubtful.contains(&[openid, code]))?;
        Some(Doubt {
            openid: self.night.pseudonyms.publish(raw_openid),
            coupon_code: coupon_code.to_owned(),
            raw_openid: raw_openid.to_owned(),
        })
    }
}

/// The raw openid and the code of each coupon in doubt.
fn coupons_of(doubts: &Kept) -> io::Result<Fingerprints> {
    let mut coupons = Fingerprints::default();
    doubts.rows()?.each(|row| {
        let Doubt { raw_openid, coupon_code, .. } = Doubt::unpack(row);
        coupons.insert(&[&raw_openid, &coupon_code]);
        Ok(())
    })?;
    Ok(coupons)
}

/// Refuses the answer of the single query without a state: nothing else would tell it, and a coupon without one counts
/// as unknown.
fn require_state(coupon: &busifavor::UserCoupon) -> Result<(), Issue> {
    if coupon.coupon_state.as_deref().is_some_and(|state| !state.is_empty()) {
        return Ok(());
    }
    let what = format!("the single query tells no state of coupon `{}`", shown(&coupon.coupon_code));
    Err(Issue::new(IssueKind::Garbled, what).hinting("run again; the rules on coupons wait until WeChat tells it"))
}

fn single_key(raw_openid: &str, coupon_code: &str) -> String {
    format!("{SINGLE}{raw_openid}/{coupon_code}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_single_query_must_tell_the_state_of_the_coupon() {
        let told = |json| require_state(&serde_json::from_str(json).unwrap());
        assert_eq!(told(r#"{"stock_id":"1","coupon_code":"A","coupon_state":"REDEEM_FAILED"}"#), Ok(()));
        for stateless in
            [r#"{"stock_id":"1","coupon_code":"A"}"#, r#"{"stock_id":"1","coupon_code":"A","coupon_state":""}"#]
        {
            let issue = told(stateless).unwrap_err();
            assert_eq!((issue.kind, issue.what.contains("coupon `A`")), (IssueKind::Garbled, true), "{}", issue.what);
        }
    }
}
