//! The one way a stage asks a remote API: what is journalled is not asked again, an answer is
//! journalled before it is used, a definite "unknown" is an answer too.

use std::future::Future;

use chrono::{DateTime, Utc};
use futures_util::StreamExt;

use super::{Issue, IssueKind, Night};
use crate::journal::{Entry, Mode, Page, StageJournal};
use crate::wechat::{Answer, ApiError, FailureKind, ParseError, Request};

/// Asks every `(key, question)` that is not journalled yet, `concurrency` at once. A question may
/// come back without pages: then it stays unanswered, and that is for the caller to tell.
///
/// Returns one issue per question that failed.
pub(super) async fn ask_all<Q, A, F>(
    night: &Night<'_>,
    stage: &StageJournal,
    name: &'static str,
    concurrency: usize,
    questions: Vec<(String, Q)>,
    ask: A,
) -> Result<Vec<Issue>, Issue>
where
    A: Fn(Q) -> F,
    F: Future<Output = Result<Option<Vec<Page>>, Issue>>,
{
    let open: Vec<_> = questions.into_iter().filter(|(key, _)| !stage.contains(key)).collect();
    if night.journal.mode() == Mode::Replay {
        return Ok(if open.is_empty() { vec![] } else { vec![Issue::not_journalled(open.len())] });
    }
    night.watcher.expect(name, open.len() as u64);
    let ask = &ask;
    let asked = open.into_iter().map(|(key, question)| async move { (key, ask(question).await) });
    let mut answers = futures_util::stream::iter(asked).buffer_unordered(concurrency.max(1));
    let mut issues = Vec::new();
    while let Some((key, answer)) = answers.next().await {
        night.watcher.advance(name);
        match answer {
            Ok(Some(pages)) => stage.append(Entry { key, pages })?,
            Ok(None) => {}
            Err(issue) => issues.push(issue),
        }
    }
    stage.flush()?;
    Ok(issues)
}

/// The page of an answer that reads as its endpoint documents; of a definite "unknown" (404) too,
/// because that is what the API knows. What does not read is not journalled: it would stay.
pub(super) fn settle<T>(request: &Request<T>, answer: Result<Answer, ApiError>) -> Result<Page, Issue> {
    match answer {
        Ok(answer) => {
            request.parse(&answer.body).map_err(|error| unreadable(request, &error))?;
            Ok(page(request, &answer))
        }
        Err(error) if error.kind() == FailureKind::NotFound => match error.answer() {
            Some(answer) => Ok(page(request, answer)),
            None => Err(Issue::from(&error)),
        },
        Err(error) => Err(Issue::from(&error)),
    }
}

/// Reads the body of a journalled page; `None` where the API knew nothing.
pub(super) fn read_page<T>(request: &Request<T>, page: &Page) -> Result<Option<T>, Issue> {
    if page.status >= 400 {
        return Ok(None);
    }
    request.parse(&page.body).map(Some).map_err(|error| unreadable(request, &error))
}

fn unreadable<T>(request: &Request<T>, error: &ParseError) -> Issue {
    let endpoint = request.endpoint;
    Issue::new(IssueKind::Incomplete, format!("{} {}: {error}", endpoint.method, endpoint.path))
        .hinting("the answer does not have the documented shape; keep the run's log for the report")
}

fn page<T>(request: &Request<T>, answer: &Answer) -> Page {
    let evidence = answer.evidence.clone();
    Page {
        fetched_at: micros(answer.fetched_at),
        method: request.endpoint.method.to_owned(),
        target: request.target.clone(),
        status: i64::from(answer.status),
        body: answer.body.to_vec(),
        timestamp: evidence.timestamp,
        nonce: evidence.nonce,
        signature: evidence.signature,
        serial: evidence.serial,
        request_id: evidence.request_id,
    }
}

/// The journal keeps microseconds.
pub(super) fn micros(instant: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(instant.timestamp_micros()).expect("an instant of this age has microseconds")
}
