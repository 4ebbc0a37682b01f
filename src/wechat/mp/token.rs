//! The access token: fetched by `stable_token`, kept while it is valid, replaced when the platform refuses it
//! (reference MP §C.1, §C.2). Concurrent callers share one fetch. The token leaves this module only as a `Secret`.

use chrono::{DateTime, TimeDelta, Utc};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use tokio::sync::Mutex;

use super::errcode::{Failed, Meaning, THROTTLED_FOR, hint, judge};
use crate::http::{Exchange, HttpClient, Outgoing, Received, Verdict};
use crate::secret::Secret;
use crate::wechat::answer::{Answer, Evidence};
use crate::wechat::endpoint;
use crate::wechat::error::{ApiError, FailureKind, Problem, Refusal};
use crate::wechat::lenient;
use crate::wechat::request::{ParseError, Request};

/// A token with less remaining life is not used any more.
const SPARE: TimeDelta = TimeDelta::seconds(120);

/// For this long a failed fetch counts for all callers, so that a platform that is down is not called once per
/// waiting call.
const PAUSE: TimeDelta = TimeDelta::seconds(60);

/// So long after a token was forced out no other is: the platform wants half a minute between them, 20 a day, and each
/// takes the token from every other program of the account (reference MP §C.2).
const FORCED_APART: TimeDelta = TimeDelta::seconds(30);

/// What both token calls answer. Never journalled.
#[derive(Debug, Clone, Deserialize)]
pub struct AccessToken {
    /// The token; up to 512 characters and more.
    #[serde(deserialize_with = "secret")]
    pub access_token: Secret,
    /// Remaining life in seconds.
    #[serde(deserialize_with = "seconds")]
    pub expires_in: i64,
}

#[derive(Serialize)]
struct StableTokenCall<'a> {
    grant_type: &'static str,
    appid: &'a str,
    secret: &'a str,
    force_refresh: bool,
}

/// How a stable token is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresh {
    /// The platform repeats the token in use while it lives.
    IfExpired,
    /// The token in use becomes invalid; allowed 20 times a day.
    Forced,
}

/// `POST /cgi-bin/stable_token`.
pub fn stable_token(appid: &str, secret: &Secret, refresh: Refresh) -> Request<AccessToken> {
    let force_refresh = refresh == Refresh::Forced;
    let body = StableTokenCall { grant_type: "client_credential", appid, secret: secret.expose(), force_refresh };
    Request::post(&endpoint::MP_STABLE_TOKEN, &body)
}

/// `GET /cgi-bin/token`: each call invalidates the previous token. The job uses `stable_token`.
pub fn token(appid: &str, secret: &Secret) -> Request<AccessToken> {
    let (path, secret) = (endpoint::MP_TOKEN.path, encode(secret));
    let target = format!("{path}?grant_type=client_credential&appid={appid}&secret={secret}");
    Request::without_body(&endpoint::MP_TOKEN, target)
}

/// A secret percent-encoded for a query.
pub(super) fn encode(secret: &Secret) -> String {
    percent_encoding::utf8_percent_encode(secret.expose(), percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// The tokens of one official account.
pub(super) struct Tokens {
    http: HttpClient,
    appid: String,
    secret: Secret,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    live: Option<Live>,
    /// The token that the platform refused last.
    refused: Option<Secret>,
    /// When a token was forced out last.
    forced: Option<DateTime<Utc>>,
    /// When there was no token to be had last, and why.
    failed: Option<(DateTime<Utc>, ApiError)>,
}

struct Live {
    token: Secret,
    expires_at: DateTime<Utc>,
}

impl Tokens {
    pub(super) fn new(http: HttpClient, appid: String, secret: Secret) -> Tokens {
        Tokens { http, appid, secret, state: Mutex::default() }
    }

    pub(super) fn appid(&self) -> &str {
        &self.appid
    }

    /// A token that stays valid for a while. Concurrent callers wait for one fetch.
    pub(super) async fn current(&self) -> Result<Secret, Refusal> {
        let mut state = self.state.lock().await;
        let now = self.http.world().clock.now();
        if let Some(live) = state.live.as_ref().filter(|live| now + SPARE < live.expires_at) {
            return Ok(live.token.clone());
        }
        if let Some((_, error)) = state.failed.as_ref().filter(|(at, _)| now - *at < PAUSE) {
            return Err(token_problem(error));
        }
        match self.fetch(&mut state).await {
            Ok(live) => {
                let token = live.token.clone();
                (state.live, state.failed) = (Some(live), None);
                Ok(token)
            }
            Err(error) => {
                let problem = token_problem(&error);
                state.failed = Some((self.http.world().clock.now(), error));
                Err(problem)
            }
        }
    }

    /// The key of the job file to check; names the app secret as the job file does.
    pub(super) fn hint(&self, problem: &Problem) -> Option<String> {
        let spell = |hint| self.secret.origin().spell(hint);
        problem.hint_of_a_stranger("mp").or_else(|| hint(problem).map(spell))
    }

    /// Drops a token that the platform refused, unless that was done already.
    pub(super) async fn reject(&self, token: &Secret) {
        let mut state = self.state.lock().await;
        if state.live.as_ref().is_some_and(|live| live.token.expose() == token.expose()) {
            state.live = None;
            state.refused = Some(token.clone());
        }
    }

    /// In normal mode the platform repeats the token it believes in: one it has just refused is
    /// forced out, unless one was a moment ago.
    async fn fetch(&self, state: &mut State) -> Result<Live, ApiError> {
        let live = self.ask(Refresh::IfExpired).await?;
        let now = self.http.world().clock.now();
        let is_refused = state.refused.as_ref().is_some_and(|refused| refused.expose() == live.token.expose());
        if !is_refused || state.forced.is_some_and(|at| now - at < FORCED_APART) {
            return Ok(live);
        }
        state.forced = Some(now);
        self.ask(Refresh::Forced).await
    }

    async fn ask(&self, refresh: Refresh) -> Result<Live, ApiError> {
        let request = stable_token(&self.appid, &self.secret, refresh);
        let call = TokenCall { tokens: self, request: &request };
        let settled = self.http.call(request.endpoint.method.as_str(), request.endpoint.path, &call).await;
        let settled = settled.map_err(|error| {
            let error = ApiError::from(error);
            let hint = self.hint(error.problem());
            error.with_hint(hint)
        })?;
        let token =
            request.parse(&settled.accepted.body).map_err(|error| ApiError::new(settled.trace, no_token(&error)))?;
        let expires_at = settled.accepted.fetched_at + TimeDelta::seconds(token.expires_in.clamp(0, 86_400));
        Ok(Live { token: token.access_token, expires_at })
    }
}

/// A token call in progress.
struct TokenCall<'a> {
    tokens: &'a Tokens,
    request: &'a Request<AccessToken>,
}

impl Exchange for TokenCall<'_> {
    type Accepted = Answer;
    type Refusal = Refusal;

    async fn build(&self) -> Result<Outgoing, Refusal> {
        let headers = vec![("content-type", "application/json".to_owned())];
        let Request { endpoint, target, body, .. } = self.request;
        Ok(Outgoing { method: endpoint.method.into(), target: target.clone(), headers, body: body.clone() })
    }

    async fn judge(&self, received: Received) -> Verdict<Answer, Refusal> {
        let judged = judge(received.status, &received.body);
        let evidence = Evidence::unsigned(&received);
        let answer = Answer::new(received, evidence, self.tokens.http.world().clock.now());
        // An answer may contain a token and is not kept; a message may repeat what was sent.
        let refusal = |problem| Refusal::bare(without(problem, &self.tokens.secret));
        match judged {
            Ok(()) => match self.request.parse(&answer.body) {
                Ok(_) => Verdict::Accept(answer),
                Err(error) => Verdict::retry(refusal(no_token(&error))),
            },
            Err(Failed { meaning: Meaning::Throttled, problem }) => {
                Verdict::Retry { cause: refusal(problem), after: THROTTLED_FOR }
            }
            Err(Failed { meaning: Meaning::Busy | Meaning::Gateway, problem }) => Verdict::retry(refusal(problem)),
            Err(Failed { problem, .. }) => Verdict::Refuse(refusal(problem)),
        }
    }
}

/// A token error as the error of the call that needed the token.
fn token_problem(error: &ApiError) -> Refusal {
    let (kind, cause) = (error.kind(), error.problem());
    if let Problem::Transport(distrust) = cause
        && distrust.is_distrust()
    {
        return Refusal::bare(distrust.clone());
    }
    if matches!(cause, Problem::Transport(_)) && kind == FailureKind::Unavailable {
        return Refusal::bare(Problem::NoToken { detail: format!("{error}; {cause}") });
    }
    let code = match cause {
        Problem::Refused { code, .. } => code.clone(),
        _ => "stable_token".to_owned(),
    };
    let kind = if kind == FailureKind::Refused { FailureKind::Credentials } else { kind };
    Refusal::bare(Problem::Refused { kind, code, message: format!("no access token: {error}; {cause}") })
}

/// Some error messages repeat what was sent.
pub(super) fn without(problem: Problem, secret: &Secret) -> Problem {
    match problem {
        Problem::Refused { kind, code, message } if !secret.expose().is_empty() => {
            let message = message.replace(secret.expose(), "…").replace(&encode(secret), "…");
            Problem::Refused { kind, code, message }
        }
        problem => problem,
    }
}

/// Where the answer does not fit, without its values.
fn no_token(error: &ParseError) -> Problem {
    let at = match error {
        ParseError::Json { at, .. } => at.as_str(),
        ParseError::Xml { .. } | ParseError::Field { .. } => ".",
    };
    let message = format!("no access token at `{at}` of the answer");
    Problem::Refused { kind: FailureKind::Unavailable, code: "stable_token".into(), message }
}

fn seconds<'de, D: Deserializer<'de>>(json: D) -> Result<i64, D::Error> {
    lenient::integer(json)?.ok_or_else(|| D::Error::custom("a token does not say how long it lives"))
}

fn secret<'de, D: Deserializer<'de>>(json: D) -> Result<Secret, D::Error> {
    String::deserialize(json).map(Secret::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_token_calls_have_the_documented_form() {
        let (appid, secret) = ("wx1", Secret::new("S/1"));
        assert_eq!(
            stable_token(appid, &secret, Refresh::IfExpired).body.as_ref(),
            br#"{"grant_type":"client_credential","appid":"wx1","secret":"S/1","force_refresh":false}"#
        );
        let token = token(appid, &secret);
        assert_eq!(token.target, "/cgi-bin/token?grant_type=client_credential&appid=wx1&secret=S%2F1");
        assert_eq!(format!("{token:?}"), "GET /cgi-bin/token");
        let answer = token.parse(br#"{"access_token":"ACCESS_TOKEN","expires_in":345}"#).unwrap();
        assert_eq!((answer.access_token.expose(), answer.expires_in), ("ACCESS_TOKEN", 345));
        assert!(!format!("{answer:?}").contains("ACCESS"));
    }
}
