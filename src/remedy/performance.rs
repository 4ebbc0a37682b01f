//! Performs an approved plan, call after call, each durable before the next. A call that was answered is not made
//! again; one that was sent without an answer is repeated only if WeChat recognises its number. Opens no lake and does
//! not end the process.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use chrono::NaiveDate;

use super::call::Call;
use super::facts::Facts;
use super::operation::Operation;
use super::plan::{Plan, Proposed};
use crate::dataset::Lake;
use crate::durable;
use crate::extract::{journal_page, keep_certificates, keep_return};
use crate::journal::{Entry, Journal, JournalError, Page, StageJournal};
use crate::reconcile::Decisions;
use crate::sha256::sha256_of;
use crate::wechat::pay_v3::PayV3;
use crate::wechat::{ApiError, FailureKind, Problem};

/// The outcome of a call.
#[derive(Debug)]
pub enum Performed {
    /// WeChat performed it now; with what it answered, such as the status of a receipt.
    Done(String),
    /// It was performed by an earlier `apply`.
    Before(String),
    /// Its break is no longer open.
    Settled,
    /// A person has decided about its break since the night; with the decision and its reason.
    Decided(String),
    /// Its break is open, but the latest published day proposes another call for it or none.
    Overtaken,
    /// WeChat refuses it.
    Refused(ApiError),
    /// There was no answer, or none that could be verified.
    Unanswered(ApiError),
    /// The answer is about something else.
    Odd(String),
    /// It was sent before, its answer is unknown, and its number does not prevent a second execution.
    Unknown,
}

/// The outcome of a call, and whether it could be kept.
type Made = (Performed, Result<(), JournalError>);

/// Why the calls end early.
#[derive(Debug)]
pub enum Ended {
    /// Keys, clock or signatures are wrong: further calls would fail too.
    Rejected,
    /// WeChat does not answer.
    Unavailable,
}

/// What performs a plan.
#[derive(Debug)]
pub struct Performance<'a> {
    /// The client of the calling merchant.
    pub client: &'a PayV3,
    /// The journal for the certificates that verify the answers.
    pub journal: &'a Journal,
    /// The journal of the answers.
    pub answers: &'a StageJournal,
    /// The lake, so that any machine can continue the plan.
    pub lake: &'a Lake,
    /// The name of the job.
    pub job: &'a str,
    /// The folder in it where calls are marked before they are sent, in a folder for each day that had asked last then.
    pub marks: &'a Path,
    /// The last day whose night has asked, be it published or not: what it was answered is older than the calls.
    pub asked_day: NaiveDate,
    /// What the calls are judged by.
    pub latest: Latest<'a>,
}

/// What the day that was published last says.
#[derive(Debug)]
pub struct Latest<'a> {
    /// The day.
    pub day: NaiveDate,
    /// Its facts.
    pub facts: &'a Facts,
    /// What it proposes under today's job: any other call is outdated.
    pub proposed: Proposed<'a>,
    /// The ids of the breaks with a remedy that are open on it: a later night may have seen some resolve.
    pub open: BTreeSet<&'a str>,
    /// The current decisions about them.
    pub decisions: &'a Decisions,
}

impl Latest<'_> {
    /// Why a call is not needed any more, if that is so.
    fn speaks_against(&self, call: &Call) -> Option<Performed> {
        if !self.open.contains(call.break_id.as_str()) {
            return Some(Performed::Settled);
        }
        if let Some(decision) = self.decisions.find_in_force(&call.break_id, self.day) {
            return Some(Performed::Decided(decision.to_string()));
        }
        (!self.proposed.has(call)).then_some(Performed::Overtaken)
    }
}

impl Performance<'_> {
    /// Makes the calls of a plan; `tell` receives the outcome of each. Returns why it ended early, if it did.
    ///
    /// # Errors
    /// The journal or a mark cannot be written: the last outcome is passed to `tell` but not kept.
    pub async fn perform(
        &self,
        plan: &Plan,
        mut tell: impl FnMut(&Call, &Performed),
    ) -> Result<Option<Ended>, JournalError> {
        for call in &plan.calls {
            let (performed, kept) = self.make(call).await?;
            tell(call, &performed);
            kept?;
            if let Some(ended) = performed.ends() {
                return Ok(Some(ended));
            }
        }
        Ok(None)
    }

    async fn make(&self, call: &Call) -> Result<Made, JournalError> {
        let operation = match call.operation() {
            Ok(operation) => operation,
            Err(odd) => return Ok((Performed::Odd(odd), Ok(()))),
        };
        if let Some(performed) = self.without_asking(call, &operation)? {
            return Ok((performed, Ok(())));
        }
        let mark = self.marks.join(self.asked_day.to_string()).join(mark_of(call));
        let marked = durable::mark(&mark).and_then(|()| self.lake.put(&mark));
        marked.map_err(|source| io_error(&mark, source))?;
        self.send(call, &operation, &mark).await
    }

    /// The outcome of a call that must not be sent now, if that is so.
    fn without_asking(&self, call: &Call, operation: &Operation) -> Result<Option<Performed>, JournalError> {
        if let Some(entry) = self.answers.entry(&key_of(call))? {
            let Some(page) = entry.pages.last() else { return Ok(Some(Performed::Before(String::new()))) };
            let said = operation.said(&page.body);
            if said.is_ok() {
                self.remember(call, operation, &page.body)?;
            }
            return Ok(Some(said.map_or_else(Performed::Odd, Performed::Before)));
        }
        if let Some(performed) = self.latest.speaks_against(call) {
            return Ok(Some(performed));
        }
        let was_sent = !operation.endpoint().is_repeatable()
            && self.was_sent(call, operation).map_err(|source| io_error(self.marks, source))?;
        Ok(was_sent.then_some(Performed::Unknown))
    }

    /// Whether it was sent, for this day or another, since the wallet of its coupon was last requested: until then its
    /// effect is unknown.
    fn was_sent(&self, call: &Call, operation: &Operation) -> io::Result<bool> {
        let (stock_id, coupon_code) = operation.coupon();
        let verified = self.latest.facts.verified_date(stock_id, coupon_code);
        for folder in fs::read_dir(self.marks)? {
            let folder = folder?;
            let day = folder.file_name().to_string_lossy().parse::<NaiveDate>().ok();
            let is_newer = verified.is_none_or(|verified| day.is_none_or(|day| day >= verified));
            if is_newer && folder.path().join(mark_of(call)).exists() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn send(&self, call: &Call, operation: &Operation, mark: &Path) -> Result<Made, JournalError> {
        match operation.send(self.client).await {
            Ok((page, Ok(said))) => Ok((Performed::Done(said), self.keep(call, operation, page))),
            // A return that failed has an id too: the night that asks for it knows that its number is used up.
            Ok((page, Err(odd))) => Ok((Performed::Odd(odd), self.remember(call, operation, &page.body))),
            // An answer that cannot be believed may still mean that it was done (reference v3 §1.5).
            Err(error) if is_open_ended(&error) => {
                let forgotten = if was_never_heard(operation, &error) { self.forget(mark) } else { Ok(()) };
                Ok((Performed::Unanswered(error), forgotten))
            }
            Err(error) => {
                // The first attempt was definitely refused: nothing is pending. For a later attempt, that may mean
                // "already done".
                let forgotten = if error.trace().attempts <= 1 { self.forget(mark) } else { Ok(()) };
                Ok((Performed::Refused(error), forgotten))
            }
        }
    }

    /// Makes an answer durable, so that the call is not made again.
    fn keep(&self, call: &Call, operation: &Operation, page: Page) -> Result<(), JournalError> {
        let body = page.body.clone();
        keep_certificates(Some(self.client), self.journal)?;
        self.answers.append(Entry { key: key_of(call), pages: vec![page] })?;
        self.answers.flush()?;
        self.remember(call, operation, &body)
    }

    /// Removes a mark under which nothing was done.
    fn forget(&self, mark: &Path) -> Result<(), JournalError> {
        self.lake.remove(mark).map_err(|source| io_error(mark, source))
    }

    /// Keeps the id that later nights need: WeChat does not list returns of subsidies (reference v3 §2.22).
    fn remember(&self, call: &Call, operation: &Operation, body: &[u8]) -> Result<(), JournalError> {
        match operation.return_receipt_id(body) {
            None => Ok(()),
            Some(id) => {
                let kept = keep_return(self.lake, self.job, self.asked_day, &name_of(call), &id);
                kept.map_err(|source| io_error(self.marks, source))
            }
        }
    }
}

fn io_error(path: &Path, source: io::Error) -> JournalError {
    JournalError::Io { path: path.to_owned(), source }
}

fn mark_of(call: &Call) -> String {
    format!("{}.sent", name_of(call))
}

/// The name of the files that belong to a call.
fn name_of(call: &Call) -> String {
    sha256_of(key_of(call).as_bytes())
}

impl Performed {
    fn ends(&self) -> Option<Ended> {
        match self {
            Performed::Refused(error) if error.kind() == FailureKind::Credentials => Some(Ended::Rejected),
            Performed::Unanswered(error) if error.kind() != FailureKind::Unavailable => Some(Ended::Rejected),
            Performed::Unanswered(_) => Some(Ended::Unavailable),
            _ => None,
        }
    }
}

impl Operation {
    /// Makes the call; returns its answer, and what the answer says or why it does not fit the call.
    async fn send(&self, client: &PayV3) -> Result<(Page, Result<String, String>), ApiError> {
        let request = self.request();
        let answer = client.send(&request).await?;
        Ok((journal_page(&request, &answer), self.said(&answer.body)))
    }
}

/// Under which the answer of a call is journalled.
fn key_of(call: &Call) -> String {
    format!("{}/{}", call.path.rsplit('/').next().unwrap_or_default(), call.request_no)
}

/// Whether a call with this error may have been performed all the same.
fn is_open_ended(error: &ApiError) -> bool {
    // An attempt before the one that met a stranger may have arrived.
    let is_stranger = matches!(error.problem(), Problem::Transport(it) if it.is_distrust());
    matches!(error.kind(), FailureKind::Unavailable | FailureKind::SignatureInvalid)
        || (is_stranger && error.trace().attempts > 1)
}

/// Whether WeChat cannot have performed a call: no connection was ever made (an attempt with a connection would have
/// been the last).
fn was_never_heard(operation: &Operation, error: &ApiError) -> bool {
    !operation.endpoint().is_repeatable() && matches!(error.problem(), Problem::Transport(it) if it.never_arrived())
}
