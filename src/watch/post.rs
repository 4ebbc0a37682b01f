//! Posts a JSON document to a URL of the job. The URL may contain a key: messages show only its
//! host.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use url::{Position, Url};

use crate::clock::World;
use crate::http::{
    Cause, Exchange, HttpClient, HttpSetupError, Outgoing, Received, RetryPolicy, TransportError, Verdict, may_pass,
};
use crate::job::{ApiLimits, LineageSettings, Webhook};
use crate::secret::Secret;

/// Short timeouts: a night should not wait long for a message at its end.
const TIMEOUT: Duration = Duration::from_secs(10);
const DEADLINE: Duration = Duration::from_secs(30);
const MAX_ATTEMPTS: u32 = 4;
/// Answers of receivers are short.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// Why something could not be posted.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// No client could be created.
    #[error("TLS cannot be set up")]
    Setup(#[from] HttpSetupError),
    /// There was no answer.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The receiver refused.
    #[error("`{host}` answered {status}{}", said(*errcode))]
    Refused {
        /// Host and port.
        host: String,
        /// HTTP status.
        status: u16,
        /// `errcode` of a WeCom robot.
        errcode: Option<i64>,
    },
}

fn said(errcode: Option<i64>) -> String {
    errcode.map_or_else(String::new, |code| format!(" with errcode {code}"))
}

/// Sends a digest to the robot.
///
/// # Errors
/// No answer, or not a confirmation.
pub async fn post_digest(webhook: &Webhook, body: &Value, world: &World) -> Result<(), PostError> {
    // A message whose answer was lost may have been shown: it is not sent twice.
    post(&Message::once(webhook.url(), body), world).await
}

/// Sends an event to the lineage service, if the job has one.
///
/// # Errors
/// No answer, or not a confirmation.
pub async fn post_event(settings: &LineageSettings, event: &Value, world: &World) -> Result<(), PostError> {
    match &settings.url {
        Some(url) => post(&Message::repeatable(url.clone(), event, settings.api_key.as_ref()), world).await,
        None => Ok(()),
    }
}

async fn post(message: &Message, world: &World) -> Result<(), PostError> {
    let limits = ApiLimits {
        base_url: message.url.clone(),
        backup_url: None,
        timeout: TIMEOUT,
        retry_deadline: DEADLINE,
        rate_per_second: 10,
        concurrency: 1,
    };
    let policy = RetryPolicy { max_attempts: MAX_ATTEMPTS, ..RetryPolicy::within(DEADLINE) };
    let client = HttpClient::new(&limits, world.clone())?.with_bounds(policy, MAX_ANSWER_BYTES);
    match client.call("POST", "(message)", message).await {
        Ok(_) => Ok(()),
        Err(error) => Err(match error.cause {
            Cause::Transport(error) => error.into(),
            Cause::Refused(Refusal { status, errcode }) => {
                let host = message.url[Position::BeforeHost..Position::AfterPort].to_owned();
                PostError::Refused { host, status, errcode }
            }
        }),
    }
}

/// A JSON document to be posted.
struct Message {
    url: Url,
    body: Bytes,
    bearer: Option<Secret>,
    is_repeatable: bool,
}

/// The refusal of a receiver.
#[derive(Debug, Clone, Copy)]
struct Refusal {
    status: u16,
    errcode: Option<i64>,
}

impl Message {
    /// One that would be read twice if it came twice.
    fn once(url: Url, body: &Value) -> Message {
        Message { url, body: body.to_string().into(), bearer: None, is_repeatable: false }
    }

    /// One whose receiver tells repetitions from news.
    fn repeatable(url: Url, body: &Value, bearer: Option<&Secret>) -> Message {
        Message { bearer: bearer.cloned(), is_repeatable: true, ..Message::once(url, body) }
    }
}

impl Exchange for Message {
    type Accepted = ();
    type Refusal = Refusal;

    fn is_repeatable(&self) -> bool {
        self.is_repeatable
    }

    async fn build(&self) -> Result<Outgoing, Refusal> {
        let mut headers = vec![("content-type", "application/json".to_owned())];
        let bearer = self.bearer.as_ref().map(|key| ("authorization", format!("Bearer {}", key.expose())));
        headers.extend(bearer);
        let target = self.url[Position::BeforePath..Position::AfterQuery].to_owned();
        Ok(Outgoing { method: reqwest::Method::POST, target, headers, body: self.body.clone() })
    }

    /// A WeCom robot always answers 200; its `errcode` has the result.
    async fn judge(&self, received: Received) -> Verdict<(), Refusal> {
        let answer: Option<Value> = serde_json::from_slice(&received.body).ok();
        let errcode = answer.and_then(|answer| answer["errcode"].as_i64()).filter(|code| *code != 0);
        let refusal = Refusal { status: received.status, errcode };
        match received.status {
            200..300 if errcode.is_none() => Verdict::Accept(()),
            status if may_pass(status) => Verdict::retry(refusal),
            _ => Verdict::Refuse(refusal),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::http::scripted::{FakeWorld, Reply, Script};

    async fn send(script: &Script, is_repeatable: bool) -> Result<(), PostError> {
        let url = script.limits().base_url.join("/hook/secret-in-path?key=secret-in-query").unwrap();
        let key = Secret::new("bearer-secret");
        let message = Message { is_repeatable, ..Message::repeatable(url, &json!({"a": 1}), Some(&key)) };
        post(&message, &FakeWorld::new().world()).await
    }

    #[tokio::test]
    async fn a_receiver_in_trouble_is_asked_again_and_gets_the_json_with_its_key() {
        for trouble in [408, 429, 503] {
            let script = Script::serve(vec![Reply::status(trouble, ""), Reply::status(200, "{\"errcode\":0}")]).await;
            send(&script, true).await.unwrap();
            let requests = script.requests();
            assert_eq!(requests.len(), 2);
            assert_eq!(requests[1].header("authorization").as_deref(), Some("Bearer bearer-secret"));
            assert_eq!(requests[1].header("content-type").as_deref(), Some("application/json"));
        }
    }

    #[tokio::test]
    async fn a_refusal_is_final_and_shows_nothing_of_the_address() {
        for (reply, word) in [
            (Reply::status(200, "{\"errcode\":93000,\"errmsg\":\"invalid webhook url\"}"), "errcode 93000"),
            (Reply::status(404, "no"), "answered 404"),
            (Reply::status(302, "").with("location", "https://elsewhere.example"), "answered 302"),
        ] {
            let script = Script::serve(vec![reply]).await;
            let error = send(&script, true).await.unwrap_err().to_string();
            assert!(error.contains(word) && !error.contains("secret"), "{error}");
            assert_eq!(script.requests().len(), 1);
        }
    }

    #[tokio::test]
    async fn a_message_whose_fate_is_unknown_is_not_sent_twice() {
        let script = Script::serve(vec![Reply::reset(), Reply::status(200, "")]).await;
        let error = send(&script, false).await.unwrap_err().to_string();
        assert!(error.contains("broke") && !error.contains("secret"), "{error}");
        assert_eq!(script.requests().len(), 1);
    }
}
