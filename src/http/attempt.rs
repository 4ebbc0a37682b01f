//! One HTTP attempt: bytes out, bytes in. Never retries, never follows a redirect, and never puts a
//! query string into an error message.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method};
use rustls::CertificateError;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;
use url::{Position, Url};

use super::encoding::{Undecoded, decode};

/// The User-Agent of every request. WeChat Pay answers 400 without one (reference v3 §1.2).
pub const USER_AGENT: &str = concat!("coupon-recon/", env!("CARGO_PKG_VERSION"));

/// A request ready to be sent.
#[derive(Clone)]
pub struct Outgoing {
    /// HTTP method.
    pub method: Method,
    /// Path and query, percent-encoded: sent exactly like this, because it was signed like this.
    pub target: String,
    /// Headers besides User-Agent and Accept.
    pub headers: Vec<(&'static str, String)>,
    /// Empty for requests without a body.
    pub body: Bytes,
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.target.split('?').next().unwrap_or_default())
    }
}

/// A complete answer.
#[derive(Debug, Clone)]
pub struct Received {
    /// HTTP status.
    pub status: u16,
    /// All headers.
    pub headers: HeaderMap,
    /// The unchanged body.
    pub body: Bytes,
}

impl Received {
    /// A header as text, if it exists and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TransportError {
    /// No connection: refused, no such host, no TLS.
    #[error("cannot connect to `{host}`: {detail}")]
    Connect {
        /// Host and port.
        host: String,
        /// The innermost cause.
        detail: String,
    },
    /// The certificate of the server proves nothing: somebody else may answer in its place.
    #[error("`{host}` is not trusted: {detail}")]
    Untrusted {
        /// Host and port.
        host: String,
        /// What is wrong with its certificate.
        detail: String,
    },
    /// The answer took longer than the timeout of the attempt.
    #[error("`{host}` did not answer within {timeout_ms} ms")]
    Timeout {
        /// Host and port.
        host: String,
        /// Limit of the attempt.
        timeout_ms: u128,
    },
    /// The connection broke before the answer was complete.
    #[error("the connection to `{host}` broke: {detail}")]
    Broken {
        /// Host and port.
        host: String,
        /// The innermost cause.
        detail: String,
    },
    /// The answer exceeds the size limit.
    #[error("`{host}` sent more than {limit_bytes} bytes")]
    TooLarge {
        /// Host and port.
        host: String,
        /// The limit.
        limit_bytes: usize,
    },
    /// The path or a header cannot be sent unchanged.
    #[error("the request cannot be sent as signed: {detail}")]
    Unsendable {
        /// The reason.
        detail: &'static str,
    },
}

impl TransportError {
    /// Whether the same request may succeed later.
    pub fn is_transient(&self) -> bool {
        self.is_of_the_host() && !self.is_distrust()
    }

    /// Whether the same request may succeed at another host.
    pub fn is_of_the_host(&self) -> bool {
        !matches!(self, TransportError::TooLarge { .. } | TransportError::Unsendable { .. })
    }

    /// Whether the certificate of the host was refused.
    pub fn is_distrust(&self) -> bool {
        matches!(self, TransportError::Untrusted { .. })
    }

    /// Whether the request certainly did not reach the server.
    pub fn never_arrived(&self) -> bool {
        self.is_distrust() || matches!(self, TransportError::Connect { .. } | TransportError::Unsendable { .. })
    }
}

/// A body that delivers less than this within the timeout of an attempt counts as stalled: a slow
/// server must not hold up a night indefinitely.
const LEAST_BYTES: usize = 64 << 10;

/// An answer whose body is still under way.
#[derive(Debug)]
pub struct Incoming {
    response: reqwest::Response,
    host: String,
    timeout: Duration,
    /// Deadline for the next `LEAST_BYTES`; `brought` counts those received.
    patience: Pin<Box<Sleep>>,
    brought: usize,
    /// Its slot among the concurrent calls, held until the body is read.
    _place: Option<OwnedSemaphorePermit>,
}

impl Incoming {
    /// The same, holding its slot among the concurrent calls.
    pub(super) fn holding(self, place: Option<OwnedSemaphorePermit>) -> Incoming {
        Incoming { _place: place, ..self }
    }

    /// HTTP status.
    pub fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// The next chunk of the body; each `LEAST_BYTES` may take as long as the timeout of an attempt.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, TransportError> {
        let chunk = tokio::select! {
            chunk = self.response.chunk() => chunk.map_err(|error| explain(error, &self.host, self.timeout))?,
            () = &mut self.patience => {
                let timeout_ms = self.timeout.as_millis();
                return Err(TransportError::Timeout { host: self.host.clone(), timeout_ms });
            }
        };
        self.brought += chunk.as_ref().map_or(0, Bytes::len);
        if self.brought >= LEAST_BYTES {
            self.brought = 0;
            self.patience = Box::pin(tokio::time::sleep(self.timeout));
        }
        Ok(chunk)
    }

    /// The rest of the body, up to `limit_bytes`.
    pub async fn read(mut self, limit_bytes: usize) -> Result<Received, TransportError> {
        let announced = self.response.content_length();
        if announced.is_some_and(|bytes| bytes > limit_bytes as u64) {
            return Err(TransportError::TooLarge { host: self.host, limit_bytes });
        }
        // The announced length is not trusted: reserves room for a common page, and more as data
        // arrives.
        let announced = announced.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(0);
        let mut body = BytesMut::with_capacity(announced.min(LEAST_BYTES));
        while let Some(chunk) = self.chunk().await? {
            if body.len() + chunk.len() > limit_bytes {
                return Err(TransportError::TooLarge { host: self.host, limit_bytes });
            }
            body.extend_from_slice(&chunk);
        }
        let status = self.status();
        let headers = std::mem::take(self.response.headers_mut());
        let encodings: Vec<_> = headers.get_all("content-encoding").iter().filter_map(|it| it.to_str().ok()).collect();
        let body = decode(body.freeze(), &encodings.join(","), limit_bytes).map_err(|why| match why {
            Undecoded::TooLarge => TransportError::TooLarge { host: self.host, limit_bytes },
            Undecoded::Broken => {
                TransportError::Broken { host: self.host, detail: "its gzip stream is torn".to_owned() }
            }
            Undecoded::Unknown => {
                let detail = "its body has an encoding that was not requested".to_owned();
                TransportError::Broken { host: self.host, detail }
            }
        })?;
        Ok(Received { status, headers, body })
    }
}

/// Sends once and reads the complete answer within `timeout`.
pub(super) async fn exchange(
    client: &Client,
    base: &Url,
    outgoing: &Outgoing,
    timeout: Duration,
    limit_bytes: usize,
) -> Result<Received, TransportError> {
    let whole = async { send(client, base, outgoing, timeout).await?.read(limit_bytes).await };
    let late = || TransportError::Timeout { host: host_of(base), timeout_ms: timeout.as_millis() };
    tokio::time::timeout(timeout, whole).await.unwrap_or_else(|_| Err(late()))
}

/// Sends once and waits for the head of the answer.
pub(super) async fn send(
    client: &Client,
    base: &Url,
    outgoing: &Outgoing,
    timeout: Duration,
) -> Result<Incoming, TransportError> {
    let host = host_of(base);
    let request = assemble(base, outgoing)?;
    match tokio::time::timeout(timeout, client.execute(request)).await {
        Ok(Ok(response)) => {
            let patience = Box::pin(tokio::time::sleep(timeout));
            Ok(Incoming { response, host, timeout, patience, brought: 0, _place: None })
        }
        Ok(Err(error)) => Err(explain(error, &host, timeout)),
        Err(_) => Err(TransportError::Timeout { host, timeout_ms: timeout.as_millis() }),
    }
}

/// Host and port of a base URL.
pub(super) fn host_of(base: &Url) -> String {
    base[Position::BeforeHost..Position::AfterPort].to_owned()
}

fn assemble(base: &Url, outgoing: &Outgoing) -> Result<reqwest::Request, TransportError> {
    let origin = &base[..Position::AfterPort];
    let url = Url::parse(&format!("{origin}{}", outgoing.target))
        .map_err(|_| TransportError::Unsendable { detail: "the path is not a URL path" })?;
    // The URL library removes `.` and `..` segments and re-encodes a few characters. What is sent
    // must equal what was signed, so anything it changed is refused here rather than by the server.
    if url[Position::BeforePath..] != outgoing.target || url.fragment().is_some() {
        return Err(TransportError::Unsendable { detail: "the path changes when it is written as a URL" });
    }
    let mut request = reqwest::Request::new(outgoing.method.clone(), url);
    let headers = request.headers_mut();
    headers.insert("accept", HeaderValue::from_static("application/json"));
    for (name, value) in &outgoing.headers {
        let value = HeaderValue::from_str(value).map_err(|_| TransportError::Unsendable {
            detail: "a header contains a character that headers may not have",
        })?;
        headers.insert(HeaderName::from_static(name), value);
    }
    if !outgoing.body.is_empty() {
        *request.body_mut() = Some(outgoing.body.clone().into());
    }
    Ok(request)
}

fn explain(error: reqwest::Error, host: &str, timeout: Duration) -> TransportError {
    // The URL contains the query, which may contain a token.
    let error = error.without_url();
    let (host, detail) = (host.to_owned(), innermost(&error));
    if error.is_timeout() {
        TransportError::Timeout { host, timeout_ms: timeout.as_millis() }
    } else if let Some(rustls::Error::InvalidCertificate(problem)) = tls_error(&error) {
        TransportError::Untrusted { host, detail: said_of_certificate(problem) }
    } else if error.is_connect() {
        TransportError::Connect { host, detail }
    } else {
        TransportError::Broken { host, detail }
    }
}

/// The TLS error that caused `error`. An error of an I/O operation does not name what it wraps as its source.
fn tls_error<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e rustls::Error> {
    if let Some(found) = error.downcast_ref() {
        return Some(found);
    }
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => tls_error(wrapped),
        None => tls_error(error.source()?),
    }
}

fn said_of_certificate(problem: &CertificateError) -> String {
    match problem {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "its certificate has expired".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another host name".to_owned()
        }
        // A bad signature is that of somebody who only calls himself an authority we know.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "its certificate is not signed by any authority that this machine trusts".to_owned()
        }
        other => format!("its certificate is not accepted: {other}"),
    }
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    fn question(target: &str) -> Outgoing {
        Outgoing { method: Method::GET, target: target.into(), headers: vec![], body: Bytes::new() }
    }

    fn assembled(target: &str) -> Result<String, TransportError> {
        let base = Url::parse("http://127.0.0.1:9/ignored").unwrap();
        assemble(&base, &question(target)).map(|request| request.url().to_string())
    }

    /// An answer of which `begun` came, and the server, which sends no more of its own accord and does not hang up.
    async fn under_way(begun: &[u8]) -> (Incoming, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let client = Client::builder().no_proxy().build().unwrap();
        let answer = async {
            let mut server = listener.accept().await.unwrap().0;
            assert!(server.read(&mut [0; 1024]).await.unwrap() > 0, "the client asks first");
            server.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n").await.unwrap();
            server.write_all(begun).await.unwrap();
            server
        };
        let question = question("/bill");
        let (incoming, server) = tokio::join!(send(&client, &base, &question, Duration::from_secs(60)), answer);
        (incoming.unwrap(), server)
    }

    #[tokio::test]
    async fn a_body_that_does_not_go_on_is_given_up_when_the_patience_ends() {
        let (mut incoming, _server) = under_way(b"x").await;
        assert_eq!(incoming.chunk().await.unwrap().unwrap(), "x");
        // What never comes is not there at once either.
        incoming.patience = Box::pin(tokio::time::sleep(Duration::ZERO));
        let told = incoming.chunk().await.unwrap_err().to_string();
        assert!(told.ends_with("did not answer within 60000 ms"), "{told}");
    }

    #[tokio::test]
    async fn a_body_that_drips_wins_no_time_before_it_has_brought_enough() {
        let (mut incoming, mut server) = under_way(&[b'x'; LEAST_BYTES - 1]).await;
        let first = incoming.patience.deadline();
        while incoming.brought < LEAST_BYTES - 1 {
            incoming.chunk().await.unwrap();
            assert_eq!(incoming.patience.deadline(), first);
        }
        server.write_all(b"x").await.unwrap();
        incoming.chunk().await.unwrap();
        assert!(incoming.patience.deadline() > first && incoming.brought == 0);
    }

    #[test]
    fn the_target_reaches_the_wire_byte_for_byte() {
        let target = "/v3/a%7Cb%20c/%E5%88%B8?q=1%2B1&openid=oAbC-_x";
        assert_eq!(assembled(target).unwrap(), format!("http://127.0.0.1:9{target}"));
    }

    #[test]
    fn a_target_the_url_library_would_change_is_refused() {
        for target in ["/v3/stocks/../certificates", "/v3/a b", "/v3/%2e%2e/x", "/v3/stocks/x#y"] {
            assert!(matches!(assembled(target), Err(TransportError::Unsendable { .. })), "{target}");
        }
    }

    #[test]
    fn debug_of_a_request_shows_no_query() {
        assert_eq!(format!("{:?}", question("/x?access_token=T")), "GET /x");
    }
}
