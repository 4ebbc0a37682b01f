//! An approved plan under way: call after call, each durable before the next. What was answered is not asked again; what
//! was sent without an answer is sent again only where WeChat knows the number. Opens no lake, ends no process.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use serde::de::DeserializeOwned;

use super::call::Call;
use super::errand::Errand;
use super::paid::PaidCoupons;
use super::plan::Plan;
use crate::dataset::Lake;
use crate::dataset::sha256::sha256_of;
use crate::durable;
use crate::extract::{journal_page, keep_certificates};
use crate::journal::{Entry, Journal, JournalError, Page, StageJournal};
use crate::money::Fen;
use crate::wechat::pay_v3::PayV3;
use crate::wechat::pay_v3::busifavor::coupons::{Returned, Used};
use crate::wechat::pay_v3::busifavor::plain_status;
use crate::wechat::pay_v3::busifavor::subsidy::{PayReceipt, ReturnReceipt};
use crate::wechat::wording::shown;
use crate::wechat::{ApiError, FailureKind, ParseError, Request};

/// What became of a call.
#[derive(Debug)]
pub enum Performed {
    /// WeChat did it now; what it said, such as the status of a receipt.
    Done(String),
    /// It was done by an earlier `apply`.
    Before(String),
    /// Its break is not open any more.
    Settled,
    /// Another payment of its coupon, of this number, was sent since the last night.
    Held(String),
    /// WeChat will not do it.
    Refused(ApiError),
    /// No answer came, or none that could be believed.
    Unanswered(ApiError),
    /// An answer that is not what was asked for.
    Odd(String),
    /// It was sent once, no answer is known, and the number alone does not protect from doing it twice.
    Unknown,
}

/// Why the calls end before the last one.
#[derive(Debug)]
pub enum Ended {
    /// Keys, clock or signatures: no further call would fare better.
    Rejected,
    /// WeChat does not answer.
    Unavailable,
}

/// What performs a plan.
pub struct Performance<'a> {
    /// Who calls.
    pub client: &'a PayV3,
    /// Where the certificates go that prove the answers.
    pub journal: &'a Journal,
    /// Where answers go.
    pub answers: &'a StageJournal,
    /// The lake, whichever machine goes on with the plan.
    pub lake: &'a Lake,
    /// The folder in it where calls are marked before they are sent.
    pub marks: &'a Path,
    /// The folder in it where coupons are marked that are paid for.
    pub paid: &'a Path,
    /// The last night that is published.
    pub night: NaiveDate,
    /// The breaks that are open by what was published last.
    pub open: &'a BTreeSet<String>,
}

impl Performance<'_> {
    /// Makes the calls of a plan; `tell` hears of each. Gives why it ended early, if it did.
    ///
    /// # Errors
    /// The journal or a mark cannot be written: what was answered last is then told but not kept.
    pub async fn perform(
        &self,
        plan: &Plan,
        mut tell: impl FnMut(&Call, &Performed),
    ) -> Result<Option<Ended>, JournalError> {
        for call in &plan.calls {
            let performed = self.make(call).await?;
            tell(call, &performed);
            if let Some(ended) = performed.ends() {
                return Ok(Some(ended));
            }
        }
        Ok(None)
    }

    async fn make(&self, call: &Call) -> Result<Performed, JournalError> {
        let Ok(errand) = call.errand() else { return Ok(Performed::Odd("no call of a plan".to_owned())) };
        if let Some(entry) = self.answers.entry(&key_of(call))? {
            let said = entry.pages.last().map_or(Ok(String::new()), |page| errand.said(&page.body));
            return Ok(said.map_or_else(Performed::Odd, Performed::Before));
        }
        if !self.open.contains(&call.break_id) {
            return Ok(Performed::Settled);
        }
        let mark = self.mark_of(call);
        if !errand.is_idempotent() && mark.exists() {
            return Ok(Performed::Unknown);
        }
        let in_folder = |source| JournalError::Io { path: self.paid.to_owned(), source };
        if let Some(other) = self.note_payment(&errand).map_err(in_folder)? {
            return Ok(Performed::Held(other));
        }
        let marked = durable::mark(&mark).and_then(|()| self.lake.put(&mark));
        marked.map_err(|source| JournalError::Io { path: mark.clone(), source })?;
        self.send(call, &errand, &mark).await
    }

    /// Notes that a coupon is paid for, unless another payment of it was sent that no night has seen: gives its number.
    fn note_payment(&self, errand: &Errand) -> io::Result<Option<String>> {
        let Errand::Pay(payment) = errand else { return Ok(None) };
        match self.paid_coupons().other(payment)? {
            Some(other) => Ok(Some(other)),
            None => self.paid_coupons().note(payment).map(|()| None),
        }
    }

    fn paid_coupons(&self) -> PaidCoupons<'_> {
        PaidCoupons { lake: self.lake, folder: self.paid, night: self.night }
    }

    /// Takes back what was noted of a call that WeChat certainly did not do.
    fn forget(&self, errand: &Errand, mark: &Path) -> io::Result<()> {
        self.lake.remove(mark)?;
        match errand {
            Errand::Pay(payment) => self.paid_coupons().forget(payment),
            _ => Ok(()),
        }
    }

    async fn send(&self, call: &Call, errand: &Errand, mark: &Path) -> Result<Performed, JournalError> {
        match errand.send(self.client).await {
            Ok((page, Ok(said))) => {
                keep_certificates(Some(self.client), self.journal)?;
                self.answers.append(Entry { key: key_of(call), pages: vec![page] })?;
                self.answers.flush()?;
                Ok(Performed::Done(said))
            }
            Ok((_, Err(odd))) => Ok(Performed::Odd(odd)),
            // An answer that cannot be believed may still mean that it was done (reference v3 §1.5).
            Err(error) if is_open_ended(&error) => Ok(Performed::Unanswered(error)),
            Err(error) => {
                // A definite no to the first attempt: nothing is under way. To a later one it may mean "done already".
                if error.trace().attempts <= 1 {
                    let forgotten = self.forget(errand, mark);
                    forgotten.map_err(|source| JournalError::Io { path: mark.to_owned(), source })?;
                }
                Ok(Performed::Refused(error))
            }
        }
    }

    fn mark_of(&self, call: &Call) -> PathBuf {
        self.marks.join(format!("{}.sent", sha256_of(key_of(call).as_bytes())))
    }
}

impl Performed {
    fn ends(&self) -> Option<Ended> {
        match self {
            Performed::Refused(error) if error.kind() == FailureKind::Credentials => Some(Ended::Rejected),
            Performed::Unanswered(error) if error.kind() == FailureKind::SignatureInvalid => Some(Ended::Rejected),
            Performed::Unanswered(_) => Some(Ended::Unavailable),
            _ => None,
        }
    }
}

impl Errand {
    /// Makes the call; with its answer what it says, or why it is none to what was asked.
    async fn send(&self, client: &PayV3) -> Result<(Page, Result<String, String>), ApiError> {
        let (endpoint, path) = (self.endpoint(), self.endpoint().path.to_owned());
        let request: Request<()> = match self {
            Errand::Redeem(it) => Request::json(endpoint, path, it),
            Errand::ReturnCoupon(it) => Request::json(endpoint, path, it),
            Errand::Pay(it) => Request::json(endpoint, path, it),
            Errand::ReturnPayment(it) => Request::json(endpoint, path, it),
        };
        let answer = client.send(&request).await?;
        Ok((journal_page(&request, &answer), self.said(&answer.body)))
    }

    /// What an answer says; the error where it is about something else.
    fn said(&self, body: &[u8]) -> Result<String, String> {
        match self {
            Errand::Redeem(_) => read::<Used>(self, body).map(|it| it.wechatpay_use_time.unwrap_or_default()),
            Errand::ReturnCoupon(_) => {
                read::<Returned>(self, body).map(|it| it.wechatpay_return_time.unwrap_or_default())
            }
            Errand::Pay(asked) => {
                let it: PayReceipt = read(self, body)?;
                same("number", &asked.out_subsidy_no, &it.out_subsidy_no)?;
                same_amount(asked.amount, it.amount)?;
                Ok(plain_status(&it.status.unwrap_or_default()).to_owned())
            }
            Errand::ReturnPayment(asked) => {
                let it: ReturnReceipt = read(self, body)?;
                same("number", &asked.out_subsidy_return_no, &it.out_subsidy_return_no)?;
                same_amount(asked.amount, it.amount)?;
                Ok(plain_status(&it.status.unwrap_or_default()).to_owned())
            }
        }
    }
}

/// Under which the answer of a call is journalled.
fn key_of(call: &Call) -> String {
    format!("{}/{}", call.path.rsplit('/').next().unwrap_or_default(), call.request_no)
}

/// Whether a call that failed so may have been done all the same.
fn is_open_ended(error: &ApiError) -> bool {
    matches!(error.kind(), FailureKind::Unavailable | FailureKind::SignatureInvalid)
}

fn read<T: DeserializeOwned>(errand: &Errand, body: &[u8]) -> Result<T, String> {
    let request: Request<T> = Request::get(errand.endpoint(), String::new());
    request.parse(body).map_err(|error: ParseError| error.to_string())
}

fn same(what: &str, asked: &str, answered: &str) -> Result<(), String> {
    if asked == answered {
        Ok(())
    } else {
        Err(format!("the answer has the {what} `{}`, not `{asked}`", shown(answered)))
    }
}

fn same_amount(asked: Fen, answered: Option<Fen>) -> Result<(), String> {
    answered.map_or(Ok(()), |answered| same("amount", &asked.to_string(), &answered.to_string()))
}
