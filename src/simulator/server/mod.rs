//! The server: receives requests, lets the API family authenticate, answer and sign, and sends the
//! answer. Works on a bound listener, in a test or from the command line.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use chrono::{DateTime, Utc};
use futures_util::{StreamExt, stream};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};

use super::answer::Answer;
use super::bill_files::{BillFiles, gzip};
use super::call::Call;
use super::counts::{Counts, NotedCall, Tally};
use super::disruption;
use super::endpoint::{self, Found};
use super::exchange::{Exchange, Family, Office};
use super::faults::{Kind, Player, Scenario};
use super::lies;
use super::memory::{Memory, held};
use super::options::Options;
use super::signature::{KeyError, Keys};
use super::world::World;
use super::{mp, pay_v2, pay_v3};

/// No call of the three APIs has a larger body.
const LARGEST_REQUEST_BYTES: usize = 1 << 20;

/// Why a simulator cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// The world cannot be read.
    #[error("`{}` cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not a world.
    #[error("`{}` is not a world", path.display())]
    World {
        /// The file.
        path: PathBuf,
        /// Why, with line and column.
        source: serde_json::Error,
    },
    /// The keys of the world cannot be used.
    #[error("the keys of the world cannot be used")]
    Keys(#[from] KeyError),
    /// The address cannot be listened on.
    #[error("cannot listen there")]
    Listen(#[source] io::Error),
    /// The listener has no address.
    #[error("the listener has no address")]
    Listener(#[source] io::Error),
}

/// A world ready to be served.
#[derive(Debug)]
pub struct Simulator {
    world: World,
    keys: Keys,
    folder: PathBuf,
}

impl Simulator {
    /// Reads `world/world.json` below `dir`; the bill files are beside it.
    pub fn load(dir: &Path) -> Result<Simulator, SimulatorError> {
        let folder = dir.join("world");
        let path = folder.join("world.json");
        let text = std::fs::read(&path).map_err(|source| SimulatorError::Read { path: path.clone(), source })?;
        let world = serde_json::from_slice(&text).map_err(|source| SimulatorError::World { path, source })?;
        Simulator::new(world, folder)
    }

    /// Takes a world and the folder of its bill files.
    pub fn new(world: World, folder: PathBuf) -> Result<Simulator, SimulatorError> {
        let keys = Keys::of(&world.account)?;
        Ok(Simulator { world, keys, folder })
    }

    /// Serves at an address until [`Running::stop`].
    pub async fn serve_at(self, addr: SocketAddr, options: Options) -> Result<Running, SimulatorError> {
        self.serve(TcpListener::bind(addr).await.map_err(SimulatorError::Listen)?, options)
    }

    /// Serves on a bound listener until [`Running::stop`]. Must be called within a tokio runtime.
    pub fn serve(self, listener: TcpListener, options: Options) -> Result<Running, SimulatorError> {
        let addr = listener.local_addr().map_err(SimulatorError::Listener)?;
        let office = Arc::new(self.open_office(options));
        let (stop, stopped) = watch::channel(false);
        let (replace, replaced) = watch::channel(());
        let server = ServerState { office: office.clone(), stopped: stopped.clone(), replaced };
        let router = Router::new().fallback(receive).with_state(server);
        let served = axum::serve(listener, router).with_graceful_shutdown(until_stopped(stopped));
        let task = tokio::spawn(async move { served.await });
        Ok(Running { addr, office, stop, replace, task })
    }

    fn open_office(self, options: Options) -> Office {
        Office {
            account: self.world.account.clone(),
            keys: self.keys,
            bills: BillFiles::new(self.folder, self.world.bills.clone()),
            memory: Mutex::new(Memory::new(self.world)),
            tally: Mutex::default(),
            player: Mutex::new(Player::new(options.scenario.clone())),
            tokens: Mutex::default(),
            world_now: Mutex::new(options.world_now),
            answers: AtomicU64::new(1),
            rotated: Mutex::default(),
            options,
        }
    }
}

/// A running server.
#[derive(Debug)]
pub struct Running {
    /// The address it listens on.
    pub addr: SocketAddr,
    office: Arc<Office>,
    stop: watch::Sender<bool>,
    /// Tells delayed answers that another scenario is played.
    replace: watch::Sender<()>,
    task: JoinHandle<io::Result<()>>,
}

impl Running {
    /// `http://address`, for the job file.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The requests so far.
    pub fn counts(&self) -> Counts {
        held(&self.office.tally).counts.clone()
    }

    /// Resets the counts and the nonces seen.
    pub fn reset_counts(&self) {
        *held(&self.office.tally) = Tally::default();
    }

    /// Records every call from now on.
    pub fn note_calls(&self) {
        held(&self.office.tally).notes = Some(Vec::new());
    }

    /// The calls recorded so far, in order of arrival.
    pub fn noted_calls(&self) -> Vec<NotedCall> {
        held(&self.office.tally).notes.clone().unwrap_or_default()
    }

    /// Shows the world as of another moment from the next request on; `None` = the protocol clock.
    pub fn set_now(&self, world_now: Option<DateTime<Utc>>) {
        *held(&self.office.world_now) = world_now;
    }

    /// Starts another scenario with its counters at zero. Answers that the one before delays are sent at once.
    pub fn play(&self, scenario: Scenario) {
        *held(&self.office.player) = Player::new(scenario);
        self.replace.send_replace(());
    }

    /// Completes requests in progress, then closes. Delayed answers are sent at once.
    pub async fn stop(self) {
        // The receiver is gone only when the server ended by itself.
        let _ = self.stop.send(true);
        if let Err(error) = self.task.await {
            tracing::warn!(%error, "the simulator did not end well");
        }
    }
}

async fn until_stopped(mut stopped: watch::Receiver<bool>) {
    // An error means that the Running was dropped: stop as well.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

#[derive(Clone)]
struct ServerState {
    office: Arc<Office>,
    stopped: watch::Receiver<bool>,
    replaced: watch::Receiver<()>,
}

/// An answer, and how it is sent.
struct Delivery {
    answer: Answer,
    delay: Duration,
    manner: Manner,
}

/// How a body is sent.
#[derive(Clone, Copy)]
enum Manner {
    Whole,
    /// The connection closes in the middle.
    Torn,
    /// Byte by byte.
    Dripping {
        pause: Duration,
    },
}

impl From<Answer> for Delivery {
    fn from(answer: Answer) -> Delivery {
        Delivery { answer, delay: Duration::ZERO, manner: Manner::Whole }
    }
}

async fn receive(State(server): State<ServerState>, request: Request) -> Response {
    note_arrival(&server.office, request.method().as_str(), request.uri().path());
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LARGEST_REQUEST_BYTES).await else {
        return on_wire(Answer::empty(413).into(), &server);
    };
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let call = Call { method: parts.method.to_string(), target, headers: parts.headers, body };
    let (office, mut replaced) = (server.office.clone(), server.replaced.clone());
    replaced.mark_unchanged();
    // Signing is slow in the rsa crate: keep it off the threads that do I/O.
    let delivery = spawn_blocking(move || attend(&office, &call)).await;
    let delivery = delivery.unwrap_or_else(|_| Answer::empty(500).into());
    if !delivery.delay.is_zero() {
        tokio::select! {
            () = server.office.options.sleep.sleep(delivery.delay) => (),
            _ = replaced.changed() => (),
            () = until_stopped(server.stopped.clone()) => (),
        }
    }
    let mut response = on_wire(delivery, &server);
    response.headers_mut().insert(header::DATE, http_date(server.office.options.clock.now()));
    response
}

/// Counts a request as soon as its head has arrived: signing an answer, and waiting for that, come
/// later.
fn note_arrival(office: &Office, method: &str, path: &str) {
    if let Found::Endpoint(endpoint, _) = endpoint::find(method, path) {
        // The clock is read while the tally is locked, so that arrivals are ordered by time.
        let mut tally = held(&office.tally);
        tally.arrive(endpoint.family.as_str(), office.options.clock.now());
    }
}

/// The protocol clock's time, from which a client derives its own skew.
fn http_date(now: DateTime<Utc>) -> HeaderValue {
    let text = now.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    HeaderValue::from_str(&text).expect("a date is ASCII")
}

fn attend(office: &Office, call: &Call) -> Delivery {
    let now = office.options.clock.now();
    held(&office.tally).note(call);
    match endpoint::find(&call.method, call.path()) {
        Found::Unknown => {
            held(&office.tally).add_unknown(now);
            Answer::empty(404).into()
        }
        Found::WrongMethod => {
            held(&office.tally).add_unknown(now);
            Answer::empty(405).into()
        }
        Found::Endpoint(endpoint, segments) => {
            let in_this_second = held(&office.tally).add(&endpoint.label(), now);
            let mut exchange = Exchange::open(office, call, endpoint, segments);
            let answer = answer(&mut exchange, in_this_second).unwrap_or_else(|refusal| refusal);
            deliver(&exchange, finish(&exchange, lies::tell(&exchange, answer)))
        }
    }
}

/// Authentication, limit, fault, then the endpoint itself.
fn answer(exchange: &mut Exchange<'_>, in_this_second: u64) -> Result<Answer, Answer> {
    let (office, endpoint) = (exchange.office, exchange.endpoint);
    admit(exchange).inspect_err(|_| held(&office.tally).counts.rejected += 1)?;
    if office.options.limits.get(endpoint.template).is_some_and(|limit| in_this_second > *limit) {
        held(&office.tally).counts.limited += 1;
        return Err(disruption::too_many_requests());
    }
    exchange.fault = held(&office.player).choose(endpoint.template, &exchange.call.target);
    if let Some(kind) = exchange.fault_kind() {
        held(&office.tally).add_fault(kind.as_str());
    }
    match disruption::instead(exchange) {
        Some(answer) => Ok(answer),
        None => (endpoint.handle)(exchange),
    }
}

fn admit(exchange: &Exchange<'_>) -> Result<(), Answer> {
    match exchange.endpoint.family {
        Family::PayV3 => pay_v3::admit(exchange),
        Family::PayV2 => pay_v2::admit(exchange),
        Family::Mp => mp::admit(exchange),
    }
}

fn finish(exchange: &Exchange<'_>, answer: Answer) -> Answer {
    match exchange.endpoint.family {
        Family::PayV3 => pay_v3::finish(exchange, answer),
        Family::PayV2 | Family::Mp => answer,
    }
}

fn deliver(exchange: &Exchange<'_>, answer: Answer) -> Delivery {
    let answer = zipped_on_the_way(exchange, answer);
    let time = Duration::from_millis(exchange.fault.as_ref().and_then(|fault| fault.delay_ms).unwrap_or(0));
    match exchange.fault_kind() {
        Some(Kind::Slow) => Delivery { answer, delay: time, manner: Manner::Whole },
        Some(Kind::Drip) => Delivery { answer, delay: Duration::ZERO, manner: Manner::Dripping { pause: time } },
        Some(Kind::Reset) => Delivery { answer, delay: Duration::ZERO, manner: Manner::Torn },
        _ => answer.into(),
    }
}

/// What a proxy makes of an answer, after it was signed.
fn zipped_on_the_way(exchange: &Exchange<'_>, answer: Answer) -> Answer {
    let Some(fault) = exchange.fault_of(Kind::ZippedOnTheWay) else { return answer };
    let encoding = fault.value_text().unwrap_or_else(|| "gzip, identity".to_owned());
    let body = gzip(&answer.body, 0);
    Answer { body, ..answer }.with_header("content-encoding", encoding)
}

fn on_wire(delivery: Delivery, server: &ServerState) -> Response {
    let Delivery { answer, manner, .. } = delivery;
    // A torn empty answer promises a byte that never arrives.
    let least = usize::from(matches!(manner, Manner::Torn));
    let length = answer.body.len().max(least);
    let body = match manner {
        Manner::Whole => Body::from(answer.body),
        Manner::Torn => torn(&answer.body),
        Manner::Dripping { pause } => dripping(answer.body, pause, server),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    if let Some(content_type) = answer.content_type {
        headers.insert("content-type", HeaderValue::from_static(content_type));
    }
    headers.insert("content-length", length.into());
    for (name, value) in answer.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    response
}

/// Byte by byte, with a pause before each, until the server stops.
fn dripping(body: Vec<u8>, pause: Duration, server: &ServerState) -> Body {
    let (sleep, stopped) = (server.office.options.sleep.clone(), server.stopped.clone());
    let bytes = stream::iter(body).then(move |byte| {
        let (pause, stopped) = (sleep.sleep(pause), stopped.clone());
        async move {
            tokio::select! {
                () = pause => Ok(Bytes::from(vec![byte])),
                () = until_stopped(stopped) => Err(io::Error::from(io::ErrorKind::ConnectionReset)),
            }
        }
    });
    Body::from_stream(bytes)
}

/// Half of the body, then an error: the connection closes before the promised length.
fn torn(body: &[u8]) -> Body {
    let half = Bytes::copy_from_slice(&body[..body.len() / 2]);
    let begun = stream::once(async { Ok(half) });
    let broken = stream::once(async {
        // The first half is only sent when the body suspends.
        tokio::task::yield_now().await;
        Err(io::Error::from(io::ErrorKind::ConnectionReset))
    });
    Body::from_stream(begun.chain(broken))
}

#[cfg(test)]
mod tests;
