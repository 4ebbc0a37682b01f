//! Supervises calls to the cluster. The official client is synchronous, has a runtime of its own and retries a dead server
//! for ten minutes before it reports it. So the server is probed first, every call runs on a plain thread, and the caller
//! watches the connection and the time while it waits.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use spark_connect::{SparkError as ClientError, SparkSession};

use super::error::{SparkError, gist};
use super::probe::{self, knock};
use crate::job::{Remote, SparkSettings};

/// Our name in the server's log, as encoded in an address.
const USER_AGENT: &str = concat!("coupon-recon%2F", env!("CARGO_PKG_VERSION"));
/// Interval at which a waiting caller checks whether the server is still there.
const LOOK: Duration = Duration::from_secs(10);
/// Consecutive failed checks that are tolerated: a server may be restarting.
const LOST_LOOKS: u32 = 6;
/// Time limit for a step of the TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(20);
/// Time limit for the first answer of a server.
const GREETING: Duration = Duration::from_secs(60);
/// Time limit for telling a server to stop.
const FAREWELL: Duration = Duration::from_secs(5);

/// The client's errors for a connection that does not speak HTTP/2.
const BROKEN: [&str; 3] = ["transport error", "operation was canceled", "http2 error"];
/// After this long the server ends the stream of an answer, and expects a request for the rest. The official client
/// (4.2) takes that for the end of the answer: rows would be lost, and a view would be read while it is still being
/// written.
const STREAM_LIMIT: &str = "spark.connect.execute.reattachable.senderMaxStreamDuration";
/// The server's default.
const USUAL_STREAM_LIMIT: &str = "2m";
/// gRPC status codes.
const UNAUTHENTICATED: i32 = 16;
const PERMISSION_DENIED: i32 = 7;

/// A session whose calls have time limits.
pub(super) struct Watched {
    remote: Remote,
    session: SparkSession,
    query_timeout: Duration,
    /// How long an answer may take and still be complete; `None` when the server never ends a stream.
    stream_limit: Option<Duration>,
}

impl Watched {
    /// Connects to the port and asks the server for its version.
    pub(super) fn connect(settings: &SparkSettings) -> Result<Watched, SparkError> {
        Watched::connect_within(GREETING, settings)
    }

    fn connect_within(limit: Duration, settings: &SparkSettings) -> Result<Watched, SparkError> {
        let remote = settings.remote.clone();
        probe::shake_hands(&remote, limit.min(HANDSHAKE))?;
        let address = remote.clone();
        let session = wait_for("connect", &remote, limit, move || {
            let session = connected(&address)?;
            session.version()?;
            let limit = session.conf().get_with_default(STREAM_LIMIT, Some(USUAL_STREAM_LIMIT)).ok().flatten();
            Ok((session, limit))
        });
        let ((session, stream_limit), _) = session.map_err(|error| silent(&remote, error))?;
        let stream_limit = duration_of(stream_limit.as_deref().unwrap_or(USUAL_STREAM_LIMIT));
        Ok(Watched { remote, session, query_timeout: settings.query_timeout, stream_limit })
    }

    pub(super) fn remote(&self) -> &Remote {
        &self.remote
    }

    /// Runs a call; one that takes too long is interrupted on the cluster.
    pub(super) fn call<T: Send + 'static>(
        &self,
        what: &str,
        call: impl FnOnce(SparkSession) -> spark_connect::Result<T> + Send + 'static,
    ) -> Result<T, SparkError> {
        let session = self.session.clone();
        let answer = wait_for(what, &self.remote, self.query_timeout, move || call(session));
        if let Err(SparkError::Late { .. }) = &answer {
            self.farewell(|session| session.interrupt_all().map(drop));
        }
        let (answer, waited) = answer?;
        match self.stream_limit.filter(|limit| may_be_cut(waited, *limit)) {
            Some(limit) => Err(cut(what, &self.remote, limit)),
            None => Ok(answer),
        }
    }

    /// Ends the session; a server that does not receive this drops the session after an hour.
    pub(super) fn end(&self) {
        self.farewell(|session| session.stop());
    }

    fn farewell(&self, say: impl FnOnce(SparkSession) -> spark_connect::Result<()> + Send + 'static) {
        let session = self.session.clone();
        if let Err(error) = wait_for("the end of the session", &self.remote, FAREWELL, move || say(session)) {
            tracing::debug!("{error}");
        }
    }
}

fn connected(remote: &Remote) -> spark_connect::Result<SparkSession> {
    let address = format!("{};user_agent={USER_AGENT}", remote.url().expose());
    SparkSession::builder().remote(&address).get_or_create()
}

/// Whether an answer that took this long, measured in checks, may be incomplete.
fn may_be_cut(waited: Duration, stream_limit: Duration) -> bool {
    waited + LOOK >= stream_limit
}

/// Parses a duration in Spark's configuration, e.g. `2m`; `None` is no limit. An unreadable one counts as the default.
fn duration_of(text: &str) -> Option<Duration> {
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|it: char| !it.is_ascii_digit()).unwrap_or(text.len()));
    let milliseconds = match unit.trim() {
        "" | "ms" => Some(1),
        "s" => Some(1_000),
        "m" | "min" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    let read = number.parse::<u64>().ok().zip(milliseconds).and_then(|(number, each)| number.checked_mul(each));
    match read {
        Some(0) => None,
        Some(milliseconds) => Some(Duration::from_millis(milliseconds)),
        None => Some(Duration::from_secs(120)),
    }
}

/// Runs `call` on a plain thread and waits for a limited time; returns the answer and how long it took, measured in
/// checks. An abandoned call keeps its thread until the client gives up too.
fn wait_for<T: Send + 'static>(
    what: &str,
    remote: &Remote,
    limit: Duration,
    call: impl FnOnce() -> spark_connect::Result<T> + Send + 'static,
) -> Result<(T, Duration), SparkError> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || drop(sender.send(call())));
    let (mut waited, mut lost) = (Duration::ZERO, 0);
    loop {
        let step = LOOK.min(limit - waited);
        match receiver.recv_timeout(step) {
            Ok(answer) => {
                return answer.map(|it| (it, waited)).map_err(|error| refused(what, remote, &error));
            }
            Err(RecvTimeoutError::Disconnected) => return Err(broken(what, remote)),
            Err(RecvTimeoutError::Timeout) => waited += step,
        }
        lost = knock(remote).map_or(lost + 1, |_| 0);
        if lost >= LOST_LOOKS {
            return knock(remote).and_then(|_| Err(late(what, remote, waited)));
        }
        if waited >= limit {
            return Err(late(what, remote, limit));
        }
    }
}

/// A server that accepts a connection but sends nothing that the client understands is not a Spark Connect server, or
/// is addressed in the wrong way.
fn silent(remote: &Remote, error: SparkError) -> SparkError {
    match error {
        SparkError::Late { seconds, .. } => {
            probe::no_server(remote, &format!("the port is open, but was silent for {seconds} s"))
        }
        SparkError::Failed { why, .. } if BROKEN.iter().any(|sign| why.contains(sign)) => {
            probe::no_server(remote, "the port is open, but hung up")
        }
        error => error,
    }
}

fn late(what: &str, remote: &Remote, limit: Duration) -> SparkError {
    SparkError::Late { remote: remote.shown(), what: what.to_owned(), seconds: limit.as_secs() }
}

fn cut(what: &str, remote: &Remote, limit: Duration) -> SparkError {
    SparkError::Cut { remote: remote.shown(), what: what.to_owned(), seconds: limit.as_secs() }
}

/// The client panicked during the call.
fn broken(what: &str, remote: &Remote) -> SparkError {
    let why = "the client broke off".to_owned();
    SparkError::Failed { remote: remote.shown(), what: what.to_owned(), why, is_of_the_query: false }
}

fn refused(what: &str, remote: &Remote, error: &ClientError) -> SparkError {
    let why = gist(&remote.redact(&error.message()));
    match error.grpc_code {
        Some(UNAUTHENTICATED | PERMISSION_DENIED) => SparkError::Denied { remote: remote.shown(), why },
        _ => SparkError::Failed {
            remote: remote.shown(),
            what: what.to_owned(),
            is_of_the_query: is_of_the_query(error, &why),
            why,
        },
    }
}

/// SQLSTATE class 42 means syntax or names; it is in the message where the client lost the field, and Sail has none.
fn is_of_the_query(error: &ClientError, why: &str) -> bool {
    let state = error.sql_state();
    let signs = ["SQLSTATE: 42", "AnalysisException", "ParseException"];
    state.is_some_and(|state| state.starts_with("42")) || signs.iter().any(|sign| why.contains(sign))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;

    fn settings(port: u16) -> SparkSettings {
        let remote = Remote::parse(&format!("sc://127.0.0.1:{port}/;token=hunter2")).unwrap();
        SparkSettings { remote, shared_mount: false, query_timeout: Duration::from_secs(1) }
    }

    #[test]
    fn where_nobody_listens_that_is_told_at_once_and_without_the_token() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let error = Watched::connect(&settings(free)).map(drop).unwrap_err();
        assert!(matches!(error, SparkError::Unreachable { .. }), "{error}");
        assert!(error.to_string().starts_with(&format!("nobody answers at sc://127.0.0.1:{free}: ")));
    }

    #[test]
    fn who_accepts_and_says_nothing_is_given_up_in_bounded_time_and_the_token_is_not_told() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = silent.local_addr().unwrap().port();
        let plain = settings(port);
        let remote = Remote::parse(&format!("sc://127.0.0.1:{port}/;token=hunter2;use_ssl=true")).unwrap();
        let secured = SparkSettings { remote, ..settings(port) };
        for (settings, advice) in [(plain, "must say `use_ssl=true`"), (secured, "does that port speak TLS?")] {
            let error = Watched::connect_within(Duration::from_millis(300), &settings).map(drop).unwrap_err();
            assert!(matches!(error, SparkError::Unreachable { .. }), "{error}");
            let told = error.to_string();
            assert!(told.contains(advice) && !told.contains("hunter2"), "{told}");
        }
    }

    #[test]
    fn who_hangs_up_is_told_as_no_server_and_the_token_is_not_told() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            listener.incoming().for_each(|visitor| {
                let mut visitor = visitor.unwrap();
                let _ = visitor.write_all(b"\x15\x03\x03\x00\x02\x02\x0a");
            })
        });
        let error = Watched::connect_within(Duration::from_secs(60), &settings(port)).map(drop).unwrap_err();
        let told = error.to_string();
        assert!(matches!(error, SparkError::Unreachable { .. }), "{told}");
        assert!(told.contains("must say `use_ssl=true`") && !told.contains("hunter2"), "{told}");
    }

    #[test]
    fn an_answer_as_late_as_the_server_cuts_streams_is_not_believed() {
        let seconds = Duration::from_secs;
        assert_eq!(["2m", "120s", "120000ms", "120000", "2min", "later"].map(duration_of), [Some(seconds(120)); 6]);
        assert_eq!([duration_of("0"), duration_of("0s"), duration_of("1h")], [None, None, Some(seconds(3_600))]);
        let cut = |waited: u64| may_be_cut(seconds(waited), seconds(120));
        assert!(!cut(0) && !cut(100) && cut(110) && cut(120) && cut(600));
    }

    #[test]
    fn a_call_that_never_ends_is_given_up_in_its_time() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let remote = settings(listener.local_addr().unwrap().port()).remote;
        let (keep, never) = mpsc::channel::<()>();
        let error = wait_for("AO01", &remote, Duration::from_millis(50), move || {
            let _ = never.recv();
            Ok(())
        });
        drop(keep);
        assert!(error.unwrap_err().to_string().contains("`AO01` did not end"));
    }
}
