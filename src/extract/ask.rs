//! The only way a stage sends requests to a remote API: what the journal has is not requested again, an answer is
//! journalled before it is used, and a definite "unknown" counts as an answer.

use std::io;
use std::ops::ControlFlow;

use futures_util::StreamExt;

use super::answered::page;
use super::certificates::keep_certificates;
use super::health::Standing;
use super::{Issue, IssueKind, Night};
use crate::api::Api;
use crate::http::{count_retry, counting_retries};
use crate::journal::{Entry, Page, StageJournal};
use crate::quantity::counted;
use crate::stage::Stage;
use crate::wechat::wording::shown;
use crate::wechat::{Answer, ApiError, FailureKind, ParseError, Request};

/// The number of consecutive failures after which an API counts as down, if they suggest so.
const GIVE_UP_AFTER: usize = 8;
/// How often a question is asked whose answers are garbled. Most are garbled on the way: the next one is not.
const READINGS: u32 = 3;
/// How many failures are reported individually.
const TOLD_ISSUES: usize = 3;

/// Sends every `(key, question)` that is not journalled yet, as many at a time as the job allows the API. A question may
/// come back without pages; it then stays unanswered, which the caller has to report.
///
/// Returns why questions failed, the first few individually. An API that keeps failing is given up for this stage; if it
/// has answered none, a later stage asks one question before it goes on.
pub(super) async fn ask_all<Q: Clone>(
    night: &Night<'_>,
    journal: &StageJournal,
    place: Place,
    questions: Vec<(String, Q)>,
    ask: impl AsyncFn(Q) -> Result<Option<Vec<Page>>, Issue>,
) -> Result<Vec<Issue>, Issue> {
    let open: Vec<_> = questions.into_iter().filter(|(key, _)| !journal.contains(key)).collect();
    let inquiry = Inquiry { night, journal, place };
    inquiry.ask(open.len() as u64, open.into_iter().map(Ok), ask).await
}

/// As `ask_all`, for more questions than fit into memory: each call of `questions` restarts the sequence.
pub(super) async fn ask_each<Q: Clone, I: Iterator<Item = io::Result<(String, Q)>>>(
    night: &Night<'_>,
    journal: &StageJournal,
    place: Place,
    questions: impl Fn() -> io::Result<I>,
    ask: impl AsyncFn(Q) -> Result<Option<Vec<Page>>, Issue>,
) -> Result<Vec<Issue>, Issue> {
    let open = || -> Result<_, Issue> {
        let questions = questions().map_err(Issue::unsorted)?.map(move |question| question.map_err(Issue::unsorted));
        Ok(questions.filter(|question| question.as_ref().map_or(true, |(key, _)| !journal.contains(key))))
    };
    let count = open()?.count() as u64;
    Inquiry { night, journal, place }.ask(count, open()?, ask).await
}

/// The questions of a stage to an API, and the journal for the answers.
struct Inquiry<'a> {
    night: &'a Night<'a>,
    journal: &'a StageJournal,
    place: Place,
}

impl Inquiry<'_> {
    /// Asks `count` questions, none of which is journalled yet.
    async fn ask<Q: Clone>(
        &self,
        count: u64,
        questions: impl Iterator<Item = Result<(String, Q), Issue>>,
        ask: impl AsyncFn(Q) -> Result<Option<Vec<Page>>, Issue>,
    ) -> Result<Vec<Issue>, Issue> {
        let health = &self.night.apis.health;
        if self.journal.flow().found > 0 {
            // Answers in the journal count as well, so that a resumed night gets the same verdict as an uninterrupted one.
            health.answered(self.place.api);
        }
        if count == 0 {
            return Ok(Vec::new());
        }
        if let Some(issue) = self.why_not(count) {
            return Ok(vec![issue]);
        }
        // Boxed, as the futures within are nested deeper than the compiler follows.
        let failures = Box::pin(self.send(count, questions, ask)).await?;
        self.journal.flush()?;
        if let Some(first) = failures.told.first() {
            health.failed(self.place.api, first);
        }
        Ok(failures.tell())
    }

    /// Why none of `count` open questions may be sent: the run sends no requests, the source is not ready, or the stage
    /// gave the API up before.
    fn why_not(&self, count: u64) -> Option<Issue> {
        let Inquiry { night, place, .. } = self;
        if !night.may_ask(place.stage) {
            return Some(Issue::not_journalled(usize::try_from(count).unwrap_or(usize::MAX)));
        }
        night.require_ready(place.stage).err().or_else(|| match self.standing() {
            Standing::Down(issue) => Some(issue),
            Standing::Up | Standing::Doubtful => None,
        })
    }

    fn standing(&self) -> Standing {
        self.night.apis.health.standing(self.place.api, self.place.stage)
    }

    /// Sends the questions and journals the answers, until the API counts as down.
    async fn send<Q: Clone>(
        &self,
        count: u64,
        questions: impl Iterator<Item = Result<(String, Q), Issue>>,
        ask: impl AsyncFn(Q) -> Result<Option<Vec<Page>>, Issue>,
    ) -> Result<Failures, Issue> {
        let Inquiry { night, place, .. } = self;
        let retries = night.apis.retries.counter(place.stage);
        night.watcher.expect(place.stage, count, &retries);
        let (ask, retries) = (&ask, &retries);
        let mut asked = questions.map(|question| async move {
            let (key, question) = question?;
            Ok::<_, Issue>((key, counting_retries(retries, ask_until_readable(ask, question)).await))
        });
        let mut failures = Failures::default();
        let standing = self.standing();
        if standing == Standing::Doubtful
            && let Some(first) = asked.next()
        {
            let (key, answer) = standing.try_calls(first).await?;
            if self.take(key, answer, &mut failures, 1)?.is_break() {
                return Ok(failures);
            }
        }
        let mut answers = futures_util::stream::iter(asked).buffer_unordered(self.concurrency());
        while let Some(answered) = answers.next().await {
            let (key, answer) = answered?;
            if self.take(key, answer, &mut failures, GIVE_UP_AFTER)?.is_break() {
                break;
            }
        }
        Ok(failures)
    }

    /// Keeps an answer, or notes why there is none; the API counts as down after `give_up_after` failures in a row.
    fn take(
        &self,
        key: String,
        answer: Result<Option<Vec<Page>>, Issue>,
        failures: &mut Failures,
        give_up_after: usize,
    ) -> Result<ControlFlow<()>, Issue> {
        let Inquiry { night, place, .. } = self;
        night.watcher.advance(place.stage);
        match answer {
            Ok(pages) => {
                failures.in_a_row = 0;
                self.keep(key, pages)?;
            }
            Err(issue) if failures.note(&issue) >= give_up_after => {
                night.apis.health.gave_up(place.api, place.stage, issue);
                return Ok(ControlFlow::Break(()));
            }
            Err(_) => {}
        }
        Ok(ControlFlow::Continue(()))
    }

    /// How many questions may be under way at a time.
    fn concurrency(&self) -> usize {
        self.night.job.limits_of(self.place.api).map_or(1, |limits| limits.concurrency.max(1))
    }

    /// Journals an answer, and the certificates that came with it.
    fn keep(&self, key: String, pages: Option<Vec<Page>>) -> Result<(), Issue> {
        self.night.apis.health.answered(self.place.api);
        keep_certificates(self.night.apis.pay_v3.as_ref(), self.night.journal)?;
        pages.map_or(Ok(()), |pages| self.journal.append(Entry { key, pages }))?;
        Ok(())
    }
}

/// Asks again while the answer is garbled.
async fn ask_until_readable<Q: Clone, T>(ask: &impl AsyncFn(Q) -> Result<T, Issue>, question: Q) -> Result<T, Issue> {
    for _ in 1..READINGS {
        match ask(question.clone()).await {
            Err(issue) if issue.kind == IssueKind::Garbled => count_retry(),
            answered => return answered,
        }
    }
    ask(question).await
}

/// The stage that asks a question and the API that answers it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) stage: Stage,
    pub(super) api: Api,
}

#[derive(Default)]
struct Failures {
    told: Vec<Issue>,
    untold: usize,
    in_a_row: usize,
}

impl Failures {
    /// Records a failure; returns the length of the current run of failures that suggest the API is down.
    fn note(&mut self, issue: &Issue) -> usize {
        use IssueKind::{Credentials, NotReady, Unavailable, Unverified};
        let is_down = matches!(issue.kind, Credentials | Unverified | Unavailable | NotReady);
        self.in_a_row = if is_down { self.in_a_row + 1 } else { 0 };
        if self.told.len() < TOLD_ISSUES {
            self.told.push(issue.clone());
        } else {
            self.untold += 1;
        }
        self.in_a_row
    }

    fn tell(mut self) -> Vec<Issue> {
        if self.untold > 0 {
            let kind = self.told[0].kind;
            let requests = counted(self.untold, "more request", "more requests");
            self.told.push(Issue::new(kind, format!("{requests} stayed unanswered")));
        }
        self.told
    }
}

/// The journal page of an answer that parses as its endpoint documents, or of a definite "unknown" (404), which is an
/// answer too. An answer that does not parse is not journalled, as it would stay there.
pub(super) fn settle<T>(request: &Request<T>, answer: Result<Answer, ApiError>) -> Result<Page, Issue> {
    settle_and_read(request, answer).map(|(page, _)| page)
}

/// As `settle`, together with the parsed body; `None` if the API does not know the object.
pub(super) fn settle_and_read<T>(
    request: &Request<T>,
    answer: Result<Answer, ApiError>,
) -> Result<(Page, Option<T>), Issue> {
    settle_and_read_by(request, answer, |body| request.parse(body))
}

/// As `settle_and_read`, with `read` to parse the body.
pub(super) fn settle_and_read_by<T, R>(
    request: &Request<T>,
    answer: Result<Answer, ApiError>,
    read: impl FnOnce(&[u8]) -> Result<R, ParseError>,
) -> Result<(Page, Option<R>), Issue> {
    match answer {
        Ok(answer) => {
            let read = read(&answer.body).map_err(|error| unreadable(request, &error))?;
            Ok((page(request, &answer), Some(read)))
        }
        Err(error) if error.kind() == FailureKind::NotFound => match error.answer() {
            Some(answer) => Ok((page(request, answer), None)),
            None => Err(Issue::from(&error)),
        },
        Err(error) => Err(Issue::from(&error)),
    }
}

/// Refuses an answer about another object than the requested one: the signature does not cover the request (reference
/// v3 §1.3), and an intermediary might mix up answers.
pub(super) fn require_echo<T>(request: &Request<T>, asked: &str, told: &str) -> Result<(), Issue> {
    if asked == told {
        return Ok(());
    }
    let (method, path) = (request.endpoint.method.as_str(), request.endpoint.path);
    let what = format!("{method} {path}: asked for `{}`, the answer is about `{}`", shown(asked), shown(told));
    Err(Issue::new(IssueKind::Garbled, what)
        .hinting("run again; does something between this machine and WeChat cache answers?"))
}

/// Parses the body of a journalled page; `None` if the API does not know the object.
pub(super) fn read_page<T>(request: &Request<T>, page: &Page) -> Result<Option<T>, Issue> {
    read_page_by(request, page, |body| request.parse(body))
}

/// As `read_page`, with `read` to parse the body.
pub(super) fn read_page_by<'p, T, R>(
    request: &Request<T>,
    page: &'p Page,
    read: impl FnOnce(&'p [u8]) -> Result<R, ParseError>,
) -> Result<Option<R>, Issue> {
    // Some APIs say "unknown" in the body of a 200 (reference v3 §1.3, v2 §B.3, MP §C.4).
    let status = u16::try_from(page.status).unwrap_or_default();
    if status >= 400 || request.endpoint.api.failure_of(status, &page.body) == Some(FailureKind::NotFound) {
        return Ok(None);
    }
    read(&page.body).map(Some).map_err(|error| unreadable(request, &error))
}

fn unreadable<T>(request: &Request<T>, error: &ParseError) -> Issue {
    let endpoint = request.endpoint;
    Issue::new(IssueKind::Garbled, format!("{} {}: {error}", endpoint.method.as_str(), endpoint.path))
        .hinting("the answer does not have the documented shape; keep the run's log for the report")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wechat::pay_v3::busifavor;

    #[test]
    fn an_answer_about_something_else_than_was_asked_is_no_answer() {
        let request = busifavor::stock("1212");
        assert_eq!(require_echo(&request, "1212", "1212"), Ok(()));
        let issue = require_echo(&request, "1212", "1213").unwrap_err();
        assert_eq!(issue.kind, IssueKind::Garbled);
        assert!(issue.what.ends_with("asked for `1212`, the answer is about `1213`"), "{}", issue.what);
    }

    #[tokio::test]
    async fn a_garbled_answer_is_asked_for_again_and_any_other_failure_is_not() {
        for (kind, asked_times) in [(IssueKind::Garbled, READINGS), (IssueKind::Incomplete, 1)] {
            let asked = std::cell::Cell::new(0);
            let ask = async |()| {
                asked.set(asked.get() + 1);
                Err::<(), _>(Issue::new(kind, "x"))
            };
            assert_eq!(ask_until_readable(&ask, ()).await.unwrap_err().kind, kind);
            assert_eq!(asked.get(), asked_times, "{kind:?}");
        }
        let asked = std::cell::Cell::new(0);
        let ask = async |()| {
            asked.set(asked.get() + 1);
            if asked.get() == 1 { Err(Issue::new(IssueKind::Garbled, "x")) } else { Ok(asked.get()) }
        };
        assert_eq!(ask_until_readable(&ask, ()).await, Ok(2));
    }
}
