//! The official account platform: cards and their statistics (reference MP §C, §D). Manages the
//! access token, which never appears in a log, an error or the journal.

pub mod cards;
pub mod codes;
pub mod datacube;
pub mod delivery;
pub mod errcode;
pub mod members;
pub mod token;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::Method;

use errcode::{Failed, Meaning, THROTTLED_FOR, judge};
use token::Tokens;

pub use cards::{card, cards};
pub use errcode::failure_of;

use crate::clock::World;
use crate::http::{Exchange, HttpClient, Outgoing, Received, Verdict};
use crate::job::MpSettings;
use crate::secret::Secret;
use crate::wechat::answer::{Answer, Evidence};
use crate::wechat::error::{ApiError, Refusal, SetupError};
use crate::wechat::request::Request;

/// "System busy" can last for days on some calls (reference MP §F.3 no. 9), so attempts are
/// limited.
const BUSY_ATTEMPTS: u32 = 5;

/// The least wait after the first of them; it doubles with each (reference MP §C.3).
const BUSY_WAIT: Duration = Duration::from_secs(1);

/// A token that is refused is replaced once per call (reference MP §C.3). Of those that run out a
/// busy call may meet several: whoever shares the account replaces them under its hands.
const RENEWALS: u32 = 1;
const RENEWALS_OF_EXPIRED: u32 = 8;

/// A client of the platform for one official account.
pub struct Mp {
    http: HttpClient,
    tokens: Tokens,
}

impl Mp {
    /// A client with the limits of the job. Sends nothing yet.
    pub fn new(settings: &MpSettings, world: World) -> Result<Mp, SetupError> {
        let http = HttpClient::new(&settings.limits, world)?;
        let tokens = Tokens::new(http.beside(), settings.appid.clone(), settings.secret.clone());
        Ok(Mp { http, tokens })
    }

    /// Makes a call with a valid token and returns the judged answer.
    ///
    /// # Errors
    /// By `errcode` (reference MP §C.3): `QuotaUsedUp` for 45009, `NotReady` for 61503,
    /// `Credentials` for token, secret and whitelist, `NotFound` for unknown cards and codes.
    pub async fn send<T>(&self, request: &Request<T>) -> Result<Answer, ApiError> {
        let call = Call::new(self, request);
        match self.http.call(request.endpoint.method.as_str(), request.endpoint.path, &call).await {
            Ok(settled) => Ok(settled.into()),
            Err(error) => {
                let error = ApiError::from(error);
                let hint = self.tokens.hint(error.problem());
                Err(error.with_hint(hint))
            }
        }
    }
}

impl std::fmt::Debug for Mp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mp").field("appid", &self.tokens.appid()).finish_non_exhaustive()
    }
}

/// A call in progress.
struct Call<'a> {
    client: &'a Mp,
    target: &'a str,
    body: &'a bytes::Bytes,
    is_repeatable: bool,
    method: Method,
    /// The two token calls carry their own credentials.
    needs_token: bool,
    /// The token of the attempt in progress.
    token: Mutex<Option<Secret>>,
    renewals: AtomicU32,
    busy: AtomicU32,
}

impl<'a> Call<'a> {
    fn new<T>(client: &'a Mp, request: &'a Request<T>) -> Call<'a> {
        Call {
            client,
            target: &request.target,
            body: &request.body,
            is_repeatable: request.endpoint.is_repeatable(),
            method: request.endpoint.method.into(),
            needs_token: request.endpoint.needs_token(),
            token: Mutex::new(None),
            renewals: AtomicU32::new(0),
            busy: AtomicU32::new(0),
        }
    }

    fn used_token(&self) -> Option<Secret> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn target_with_token(&self) -> Result<String, Refusal> {
        let token = self.client.tokens.current().await?;
        let separator = if self.target.contains('?') { '&' } else { '?' };
        let target = format!("{}{separator}access_token={}", self.target, token::encode(&token));
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(token);
        Ok(target)
    }

    /// Replaces a refused token; more than `at_most` refusals are a problem of the account.
    async fn renew(&self, refusal: Refusal, at_most: u32) -> Verdict<Answer, Refusal> {
        if self.renewals.fetch_add(1, Ordering::Relaxed) >= at_most {
            return Verdict::Refuse(refusal);
        }
        if let Some(token) = self.used_token() {
            self.client.tokens.reject(&token).await;
        }
        Verdict::retry(refusal)
    }

    fn busy(&self, refusal: Refusal) -> Verdict<Answer, Refusal> {
        let before = self.busy.fetch_add(1, Ordering::Relaxed);
        match before + 1 < BUSY_ATTEMPTS {
            true => Verdict::Retry { cause: refusal, after: BUSY_WAIT * 2u32.pow(before) },
            false => Verdict::Refuse(refusal),
        }
    }
}

impl Exchange for Call<'_> {
    type Accepted = Answer;
    type Refusal = Refusal;

    fn is_repeatable(&self) -> bool {
        self.is_repeatable
    }

    async fn build(&self) -> Result<Outgoing, Refusal> {
        let target = if self.needs_token { self.target_with_token().await? } else { self.target.to_owned() };
        let headers = vec![("content-type", "application/json".to_owned())];
        Ok(Outgoing { method: self.method.clone(), target, headers, body: self.body.clone() })
    }

    async fn judge(&self, received: Received) -> Verdict<Answer, Refusal> {
        let judged = judge(received.status, &received.body);
        let evidence = Evidence::unsigned(&received);
        let answer = Answer::new(received, evidence, self.client.http.world().clock.now());
        let Err(Failed { meaning, problem }) = judged else { return Verdict::Accept(answer) };
        let problem = match self.used_token() {
            Some(token) => token::without(problem, &token),
            None => problem,
        };
        // An answer about a token may repeat it, so it is not kept.
        let refusal = match meaning {
            Meaning::Token | Meaning::Expired => Refusal::bare(problem),
            _ => Refusal::with(problem, answer),
        };
        match meaning {
            Meaning::Token => self.renew(refusal, RENEWALS).await,
            Meaning::Expired => self.renew(refusal, RENEWALS_OF_EXPIRED).await,
            Meaning::Busy | Meaning::Gateway if !self.is_repeatable => Verdict::Refuse(refusal),
            Meaning::Busy => self.busy(refusal),
            Meaning::Throttled => Verdict::Retry { cause: refusal, after: THROTTLED_FOR },
            Meaning::Gateway => Verdict::retry(refusal),
            Meaning::Final(_) => Verdict::Refuse(refusal),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::http::scripted::{FakeWorld, Reply, Script, Seen};
    use crate::job::ApiLimits;
    use crate::wechat::error::FailureKind;

    const FRESH: &str = r#"{"access_token":"TOKEN","expires_in":7200}"#;
    const EMPTY: &str = r#"{"list":[]}"#;

    fn client(script: &Script, fake: &FakeWorld) -> Mp {
        client_within(script.limits(), fake)
    }

    fn client_within(limits: ApiLimits, fake: &FakeWorld) -> Mp {
        let settings = MpSettings {
            limits,
            appid: "wx5edab3bdfba3dc1c".into(),
            secret: Secret::new("APPSECRET"),
            repull_days: 3,
            member_card_ids: vec![],
        };
        Mp::new(&settings, fake.world()).unwrap()
    }

    /// A platform that issues numbered tokens and answers calls with `answer`.
    async fn platform(mut answer: impl FnMut(&Seen, usize) -> Reply + Send + 'static) -> Script {
        let (mut tokens, mut calls) = (0, 0);
        Script::answer(move |seen| {
            if seen.target == "/cgi-bin/stable_token" {
                tokens += 1;
                return Reply::status(200, &FRESH.replace("TOKEN", &format!("TOKEN{tokens}")));
            }
            calls += 1;
            answer(seen, calls)
        })
        .await
    }

    fn paths(script: &Script) -> Vec<String> {
        script.requests().iter().map(|seen| seen.target.clone()).collect()
    }

    fn days() -> Request<datacube::Rows<datacube::CardAccountDay>> {
        let date = chrono::NaiveDate::from_ymd_opt(2026, 11, 18).unwrap();
        datacube::card_account_days(date, date, datacube::CondSource::Api)
    }

    #[tokio::test]
    async fn one_token_serves_many_calls_and_many_callers() {
        let script = platform(|_, _| Reply::status(200, EMPTY)).await;
        let client = Arc::new(client(&script, &FakeWorld::new()));
        let calls = (0..8).map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.send(&days()).await.unwrap() })
        });
        futures_util::future::join_all(calls).await.into_iter().for_each(|answer| assert!(answer.is_ok()));
        assert_eq!(paths(&script).iter().filter(|path| path.contains("stable_token")).count(), 1);
    }

    #[tokio::test]
    async fn a_refused_token_is_renewed_once_and_the_call_repeated() {
        for errcode in [40001, 42001, 40014] {
            let script = platform(move |_, call| match call {
                1 => Reply::status(
                    200,
                    &format!(r#"{{"errcode":{errcode},"errmsg":"invalid credential TOKEN1 rid: 1"}}"#),
                ),
                _ => Reply::status(200, EMPTY),
            })
            .await;
            let answer = client(&script, &FakeWorld::new()).send(&days()).await.unwrap();
            assert_eq!(answer.attempts, 2);
            let asked = paths(&script);
            assert!(
                asked[1].ends_with("access_token=TOKEN1") && asked[3].ends_with("access_token=TOKEN2"),
                "{asked:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_second_refusal_ends_the_call_and_shows_no_token() {
        let script = platform(|seen, _| {
            let token = seen.target.split('=').next_back().unwrap().to_owned();
            Reply::status(200, &format!(r#"{{"errcode":40001,"errmsg":"{token} is not latest"}}"#))
        })
        .await;
        let error = client(&script, &FakeWorld::new()).send(&days()).await.unwrap_err();
        assert_eq!(error.kind(), FailureKind::Credentials);
        let text = format!("{error} {} {error:?}", error.problem());
        assert!(!text.contains("TOKEN2") && text.contains("… is not latest"), "{text}");
        assert_eq!(paths(&script).len(), 4);
    }

    #[tokio::test]
    async fn no_piece_of_a_token_is_shown_however_long_it_is_and_however_it_is_written() {
        let token = format!("{}-_{}", "T".repeat(300), "U".repeat(300));
        let fresh = FRESH.replace("TOKEN", &token);
        let script = Script::answer(move |seen| match seen.target.split_once("access_token=") {
            None => Reply::status(200, &fresh),
            Some((_, sent)) => {
                let text = format!("invalid credential {token} sent as access_token={sent}");
                Reply::status(200, &format!(r#"{{"errcode":48001,"errmsg":"{text}"}}"#))
            }
        })
        .await;
        let error = client(&script, &FakeWorld::new()).send(&days()).await.unwrap_err();
        assert_eq!(error.problem().to_string(), "WeChat says `48001`: invalid credential … sent as access_token=…");
    }

    #[tokio::test]
    async fn a_token_call_that_is_throttled_waits_a_minute_and_one_that_says_nothing_is_made_again() {
        let token = FRESH.replace("7200", r#""7200""#);
        for (reply, least) in [(r#"{"errcode":45011,"errmsg":"x"}"#, 60), (r#"{"errmsg":"ok"}"#, 0), ("{}", 0)] {
            let (token, mut asked) = (token.clone(), 0);
            let script = Script::answer(move |seen| {
                asked += 1;
                let is_first = asked == 1;
                match seen.target.as_str() {
                    "/cgi-bin/stable_token" => Reply::status(200, if is_first { reply } else { &token }),
                    _ => Reply::status(200, EMPTY),
                }
            })
            .await;
            let fake = FakeWorld::new();
            let settings = ApiLimits { retry_deadline: Duration::from_secs(120), ..script.limits() };
            client_within(settings, &fake).send(&days()).await.unwrap();
            assert!((least..least + 10).contains(&fake.slept().as_secs()), "{reply}: {:?}", fake.slept());
        }
    }

    #[tokio::test]
    async fn a_token_that_cannot_be_had_is_not_asked_for_once_per_call_and_again_after_a_minute() {
        let script =
            Script::always(Reply::status(200, r#"{"errcode":40164,"errmsg":"not in whitelist APPSECRET"}"#)).await;
        let fake = FakeWorld::new();
        let client = client(&script, &fake);
        for _ in 0..5 {
            let error = client.send(&days()).await.unwrap_err();
            assert_eq!(error.kind(), FailureKind::Credentials);
            let text = error.problem().to_string();
            assert!(text.contains("40164") && !text.contains("APPSECRET"), "{text}");
        }
        assert_eq!(script.requests().len(), 1);
        fake.advance(Duration::from_secs(61));
        client.send(&days()).await.unwrap_err();
        assert_eq!(script.requests().len(), 2);
    }

    #[tokio::test]
    async fn tokens_that_run_out_one_after_the_other_are_replaced_a_few_times_and_not_for_ever() {
        let expired = || Reply::status(200, r#"{"errcode":42001,"errmsg":"access_token expired"}"#);
        let script = platform(move |_, call| if call <= 3 { expired() } else { Reply::status(200, EMPTY) }).await;
        let answer = client(&script, &FakeWorld::new()).send(&days()).await.unwrap();
        assert_eq!(answer.attempts, 4);
        assert!(paths(&script).last().unwrap().ends_with("access_token=TOKEN4"));
        let script = platform(move |_, _| expired()).await;
        let error = client(&script, &FakeWorld::new()).send(&days()).await.unwrap_err();
        assert_eq!((error.kind(), error.trace().attempts), (FailureKind::Credentials, 1 + RENEWALS_OF_EXPIRED));
    }

    #[tokio::test]
    async fn a_token_the_platform_gives_again_after_refusing_it_is_forced_out() {
        let script = Script::answer(|seen| {
            let body = String::from_utf8_lossy(&seen.body).into_owned();
            match seen.target.as_str() {
                "/cgi-bin/stable_token" if body.contains(r#""force_refresh":true"#) => {
                    Reply::status(200, r#"{"access_token":"NEW","expires_in":7200}"#)
                }
                "/cgi-bin/stable_token" => Reply::status(200, r#"{"access_token":"OLD","expires_in":345}"#),
                target if target.ends_with("NEW") => Reply::status(200, EMPTY),
                _ => Reply::status(200, r#"{"errcode":40001,"errmsg":"x"}"#),
            }
        })
        .await;
        assert!(client(&script, &FakeWorld::new()).send(&days()).await.is_ok());
    }

    #[tokio::test]
    async fn however_often_tokens_are_refused_none_is_forced_out_twice_in_half_a_minute() {
        let mut forced = 0;
        let script = Script::answer(move |seen| {
            forced += usize::from(is_forced(seen));
            match seen.target.as_str() {
                "/cgi-bin/stable_token" => Reply::status(200, &FRESH.replace("TOKEN", &format!("TOKEN{forced}"))),
                _ => Reply::status(200, r#"{"errcode":42001,"errmsg":"access_token expired"}"#),
            }
        })
        .await;
        let fake = FakeWorld::new();
        let client = client_within(ApiLimits { retry_deadline: Duration::from_secs(120), ..script.limits() }, &fake);
        for _ in 0..4 {
            client.send(&days()).await.unwrap_err();
        }
        let forced = script.requests().iter().filter(|seen| is_forced(seen)).count() as u64;
        assert!((1..=1 + fake.slept().as_secs() / 30).contains(&forced), "{forced} in {:?}", fake.slept());
    }

    fn is_forced(seen: &Seen) -> bool {
        String::from_utf8_lossy(&seen.body).contains(r#""force_refresh":true"#)
    }

    #[tokio::test]
    async fn a_token_is_renewed_before_it_expires() {
        let script = platform(|_, _| Reply::status(200, EMPTY)).await;
        let fake = FakeWorld::new();
        let client = client(&script, &fake);
        client.send(&days()).await.unwrap();
        fake.advance(Duration::from_secs(7200 - 30));
        client.send(&days()).await.unwrap();
        assert!(paths(&script)[3].ends_with("TOKEN2"), "{:?}", paths(&script));
    }

    #[tokio::test]
    async fn busy_is_retried_a_few_times_and_then_unavailable() {
        let script = platform(|_, _| Reply::status(200, r#"{"errcode":-1,"errmsg":"system error rid: 1"}"#)).await;
        let fake = FakeWorld::new();
        let error = client(&script, &fake).send(&days()).await.unwrap_err();
        assert_eq!((error.kind(), error.trace().attempts), (FailureKind::Unavailable, BUSY_ATTEMPTS));
        assert!((15..20).contains(&fake.slept().as_secs()), "{:?}: some are busy for seconds", fake.slept());
    }

    #[tokio::test]
    async fn quota_and_readiness_are_told_apart_and_asked_once() {
        let cases = [
            (45009, FailureKind::QuotaUsedUp),
            (61503, FailureKind::NotReady),
            (61501, FailureKind::Refused),
            (48001, FailureKind::Credentials),
        ];
        for (errcode, kind) in cases {
            let script =
                platform(move |_, _| Reply::status(200, &format!(r#"{{"errcode":{errcode},"errmsg":"x"}}"#))).await;
            let error = client(&script, &FakeWorld::new()).send(&days()).await.unwrap_err();
            assert_eq!((error.kind(), error.trace().attempts), (kind, 1), "{errcode}");
        }
    }

    #[tokio::test]
    async fn a_wrong_secret_names_the_key_of_the_job_file() {
        let script = Script::always(Reply::status(200, r#"{"errcode":40125,"errmsg":"invalid appsecret"}"#)).await;
        let error = client(&script, &FakeWorld::new()).send(&days()).await.unwrap_err();
        assert_eq!(error.kind(), FailureKind::Credentials);
        assert!(error.hint().unwrap().contains("mp.secret_env"));
        assert!(!format!("{error:?} {}", error.problem()).contains("APPSECRET"));
        assert_eq!(script.requests().len(), 1);
    }

    #[tokio::test]
    async fn no_word_is_put_into_wechats_mouth_where_the_token_got_no_answer() {
        let script = Script::always(Reply::reset()).await;
        let error = client(&script, &FakeWorld::new()).send(&days()).await.unwrap_err();
        let told = error.problem().to_string();
        assert!(told.starts_with("no access token: POST /cgi-bin/stable_token got no answer"), "{told}");
        assert_eq!(error.kind(), FailureKind::Unavailable);
        assert!(error.hint().unwrap().contains("`mp.base_url`"), "{:?}", error.hint());
    }

    #[tokio::test]
    async fn a_write_of_unknown_outcome_is_not_repeated_but_one_refused_for_its_token_is() {
        for reply in [Reply::reset(), Reply::status(502, ""), Reply::status(200, r#"{"errcode":-1,"errmsg":"x"}"#)] {
            let script = platform(move |_, _| reply.clone()).await;
            let error = client(&script, &FakeWorld::new()).send(&cards::modify_stock("p", 5)).await.unwrap_err();
            assert_eq!((error.kind(), error.trace().attempts), (FailureKind::Unavailable, 1));
        }
        let script = platform(|_, call| match call {
            1 => Reply::status(200, r#"{"errcode":42001,"errmsg":"x"}"#),
            _ => Reply::status(200, r#"{"errcode":0,"errmsg":"ok"}"#),
        })
        .await;
        assert!(client(&script, &FakeWorld::new()).send(&cards::modify_stock("p", 5)).await.is_ok());
    }

    #[tokio::test]
    async fn gateway_pages_are_retried() {
        let script = platform(|_, call| match call {
            1 => Reply::status(502, "<html></html>"),
            _ => Reply::status(200, EMPTY),
        })
        .await;
        assert_eq!(client(&script, &FakeWorld::new()).send(&days()).await.unwrap().attempts, 2);
    }
}
