//! For tests: a server that answers from a script, and a world with a manually advanced clock. Not compiled into the
//! program.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use url::Url;

use crate::clock::{Clock, Random, Sleep, World};
use crate::job::ApiLimits;

/// A world in which sleeping advances the clock at once.
#[derive(Clone)]
pub(crate) struct FakeWorld(Arc<Inner>);

struct Inner {
    now: Mutex<DateTime<Utc>>,
    slept: Mutex<Duration>,
    chance: Mutex<ChaCha8Rng>,
    frozen: bool,
    wakes_late: Duration,
}

impl Inner {
    fn awake() -> Inner {
        Inner {
            now: Mutex::new(DateTime::from_timestamp(1_795_233_600, 0).unwrap()),
            slept: Mutex::default(),
            chance: Mutex::new(ChaCha8Rng::seed_from_u64(7)),
            frozen: false,
            wakes_late: Duration::ZERO,
        }
    }
}

impl FakeWorld {
    /// At 2026-11-21T04:00:00Z.
    pub(crate) fn new() -> FakeWorld {
        FakeWorld(Arc::new(Inner::awake()))
    }

    /// Its clock never advances.
    pub(crate) fn frozen() -> FakeWorld {
        FakeWorld(Arc::new(Inner { frozen: true, ..Inner::awake() }))
    }

    /// Every sleep takes `late` longer.
    pub(crate) fn waking_late(late: Duration) -> FakeWorld {
        FakeWorld(Arc::new(Inner { wakes_late: late, ..Inner::awake() }))
    }

    /// Another random seed.
    pub(crate) fn with_chance(seed: u64) -> FakeWorld {
        let chance = Mutex::new(ChaCha8Rng::seed_from_u64(seed));
        FakeWorld(Arc::new(Inner { chance, ..Inner::awake() }))
    }

    pub(crate) fn world(&self) -> World {
        World { clock: self.0.clone(), sleep: self.0.clone(), random: self.0.clone() }
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        *self.0.now.lock().unwrap()
    }

    pub(crate) fn advance(&self, by: Duration) {
        *self.0.now.lock().unwrap() += TimeDelta::from_std(by).unwrap();
    }

    /// Everything slept so far.
    pub(crate) fn slept(&self) -> Duration {
        *self.0.slept.lock().unwrap()
    }
}

impl Clock for Inner {
    fn now(&self) -> DateTime<Utc> {
        *self.now.lock().unwrap()
    }
}

impl Sleep for Inner {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        *self.slept.lock().unwrap() += duration;
        if !self.frozen {
            *self.now.lock().unwrap() += TimeDelta::from_std(duration + self.wakes_late).unwrap();
        }
        Box::pin(std::future::ready(()))
    }
}

impl Random for Inner {
    fn fill(&self, bytes: &mut [u8]) {
        self.chance.lock().unwrap().fill_bytes(bytes);
    }
}

/// One answer of the script.
#[derive(Clone)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    reset: bool,
}

impl Reply {
    pub(crate) fn status(status: u16, body: &str) -> Reply {
        Reply { status, headers: Vec::new(), body: body.as_bytes().to_vec(), reset: false }
    }

    pub(crate) fn bytes(status: u16, body: &[u8]) -> Reply {
        Reply { status, headers: Vec::new(), body: body.to_vec(), reset: false }
    }

    /// The connection is closed without an answer.
    pub(crate) fn reset() -> Reply {
        Reply { reset: true, ..Reply::status(0, "") }
    }

    /// The same head with another body.
    pub(crate) fn body_replaced(self, body: &str) -> Reply {
        Reply { body: body.as_bytes().to_vec(), ..self }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Reply {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// A request as received.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
    }
}

type Answerer = Box<dyn FnMut(usize, &Seen) -> Reply + Send>;

/// A server on loopback that lives as long as the test's runtime.
pub(crate) struct Script {
    base_url: Url,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Script {
    /// Answers in this order; the last answer repeats.
    pub(crate) async fn serve(replies: Vec<Reply>) -> Script {
        let mut next = 0;
        Script::answer(move |_| {
            next += 1;
            replies[(next - 1).min(replies.len() - 1)].clone()
        })
        .await
    }

    /// Always the same answer.
    pub(crate) async fn always(reply: Reply) -> Script {
        Script::serve(vec![reply]).await
    }

    /// Answers according to the request.
    pub(crate) async fn answer(mut answer: impl FnMut(&Seen) -> Reply + Send + 'static) -> Script {
        Script::answer_by_connection(move |_, seen| answer(seen)).await
    }

    /// Answers according to the number of the connection, from 0, and the request.
    pub(crate) async fn answer_by_connection(answer: impl FnMut(usize, &Seen) -> Reply + Send + 'static) -> Script {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, answerer) = (seen.clone(), Arc::new(Mutex::new(Box::new(answer) as Answerer)));
        tokio::spawn(async move {
            for connection in 0.. {
                let Ok((stream, _)) = listener.accept().await else { break };
                tokio::spawn(converse(connection, stream, log.clone(), answerer.clone()));
            }
        });
        Script { base_url, seen }
    }

    /// A port without a listener. It stays taken as long as the tests run, because those beside this one open ports too.
    pub(crate) fn closed_port() -> Url {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        std::mem::forget(socket);
        Url::parse(&format!("http://{address}")).unwrap()
    }

    /// Limits that reach this server and leave room for a handful of retries.
    pub(crate) fn limits(&self) -> ApiLimits {
        ApiLimits {
            base_url: self.base_url.clone(),
            backup_url: None,
            timeout: Duration::from_secs(20),
            retry_deadline: Duration::from_secs(60),
            rate_per_second: 1000,
            concurrency: 4,
        }
    }

    /// All requests so far.
    pub(crate) fn requests(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

async fn converse(
    connection: usize,
    mut stream: TcpStream,
    log: Arc<Mutex<Vec<Seen>>>,
    answerer: Arc<Mutex<Answerer>>,
) {
    while let Some(seen) = read_request(&mut stream).await {
        let reply = answerer.lock().unwrap()(connection, &seen);
        log.lock().unwrap().push(seen);
        if reply.reset || write_reply(&mut stream, &reply).await.is_err() {
            return;
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        stream.read_buf(&mut bytes).await.ok().filter(|count| *count > 0)?;
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let mut start = lines.next()?.split(' ');
    let (method, target) = (start.next()?.to_owned(), start.next()?.to_owned());
    let headers: Vec<_> =
        lines.filter_map(|line| line.split_once(": ")).map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let mut seen = Seen { method, target, headers, body: bytes[head_end + 4..].to_vec() };
    let length: usize = seen.header("content-length").map_or(0, |text| text.parse().unwrap());
    while seen.body.len() < length {
        stream.read_buf(&mut seen.body).await.ok().filter(|count| *count > 0)?;
    }
    Some(seen)
}

async fn write_reply(stream: &mut TcpStream, reply: &Reply) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {} Scripted\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if reply.status != 204 {
        head.push_str(&format!("content-length: {}\r\n", reply.body.len()));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&reply.body).await
}
