//! A scripted upstream on plain TCP that logs the truth of every answer before it sends a byte.

pub mod bedrock;
pub mod frames;
pub mod gemini;
pub mod google;
pub mod honest;
pub mod messages;
pub mod openai;
pub mod responses;
pub mod script;
pub mod tls;
pub mod truth;

pub use openai::Events;
pub use script::{Gate, Script, Step};
pub use truth::Truth;

use super::http::{Head, Headers, Wire};
use serde_json::Value;
use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};

/// One request as it arrived.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Counts from 0: requests with the same number came over one connection.
    pub connection: u64,
    pub head: Head,
    pub body: Vec<u8>,
    /// The body was read to its end.
    pub complete: bool,
}

impl Seen {
    pub fn path(&self) -> &str {
        self.head.start.split(' ').nth(1).unwrap_or_default()
    }

    pub fn headers(&self) -> &Headers {
        &self.head.headers
    }

    /// The body as JSON; `null` where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

type Decide = dyn Fn(&Seen) -> Script + Send + Sync;

/// What the connections share with the test.
pub(super) struct Shared {
    queue: Mutex<VecDeque<Script>>,
    decide: Mutex<Arc<Decide>>,
    seen: Mutex<Vec<Seen>>,
    truths: Mutex<Vec<Truth>>,
    connections: AtomicU64,
    /// Bytes written, whether or not they were read.
    written: AtomicU64,
    /// Scripts that the gateway left before their end.
    abandoned: AtomicU64,
}

impl Shared {
    pub(super) fn new(decide: Arc<Decide>) -> Self {
        Self {
            queue: Mutex::default(),
            decide: Mutex::new(decide),
            seen: Mutex::default(),
            truths: Mutex::default(),
            connections: AtomicU64::new(0),
            written: AtomicU64::new(0),
            abandoned: AtomicU64::new(0),
        }
    }

    pub(super) fn decide(&self, seen: &Seen) -> Script {
        let decide = self.decide.lock().unwrap().clone();
        decide(seen)
    }

    pub(super) fn note(&self, seen: Seen) {
        self.seen.lock().unwrap().push(seen);
    }

    pub(super) fn log_truth(&self, script: &Script) {
        if let Some(truth) = &script.truth {
            self.truths.lock().unwrap().push(truth.clone());
        }
    }
}

/// A listening upstream; it goes away with the value.
pub struct Upstream {
    pub addr: SocketAddr,
    shared: Arc<Shared>,
    accepting: AbortHandle,
}

impl Upstream {
    /// An honest one: answers what it is asked in whichever dialect, with tokens from a running seed.
    pub async fn start() -> Self {
        let seed = AtomicU64::new(1);
        Self::deciding(move |seen| honest::answer(seen, &Truth::of(seed.fetch_add(1, Ordering::Relaxed))))
            .await
    }

    /// Answers every request with `script`.
    pub async fn always(script: Script) -> Self {
        Self::deciding(move |_| script.clone()).await
    }

    /// Asks `decide` for each request that was read whole.
    pub async fn deciding(decide: impl Fn(&Seen) -> Script + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::new(Arc::new(decide)));
        let accepting = tokio::spawn(accept(listener, shared.clone())).abort_handle();
        Self { addr, shared, accepting }
    }

    /// An address that refuses connections.
    pub fn refusing() -> SocketAddr {
        super::ports::free()
    }

    /// What goes into `base_url`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.addr)
    }

    /// The next request, when its head is there, gets `script`; before any that is decided.
    pub fn next(&self, script: Script) {
        self.shared.queue.lock().unwrap().push_back(script);
    }

    /// From now on `decide` decides.
    pub fn decide(&self, decide: impl Fn(&Seen) -> Script + Send + Sync + 'static) {
        *self.shared.decide.lock().unwrap() = Arc::new(decide);
    }

    /// Every request so far, in the order in which they were read to their end or cut.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// The only request so far.
    pub fn the_one(&self) -> Seen {
        let mut seen = self.seen();
        assert_eq!(seen.len(), 1, "the upstream saw {} requests", seen.len());
        seen.remove(0)
    }

    /// The requests since the last time; large bodies are not kept twice.
    pub fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.shared.seen.lock().unwrap())
    }

    pub fn asked(&self) -> usize {
        self.shared.seen.lock().unwrap().len()
    }

    pub fn truths(&self) -> Vec<Truth> {
        self.shared.truths.lock().unwrap().clone()
    }

    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::SeqCst)
    }

    pub fn written(&self) -> u64 {
        self.shared.written.load(Ordering::SeqCst)
    }

    pub fn abandoned(&self) -> u64 {
        self.shared.abandoned.load(Ordering::SeqCst)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Connections end with the listener: dropping the set aborts them.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((tcp, _)) = listener.accept().await {
        let number = shared.connections.fetch_add(1, Ordering::SeqCst);
        let shared = shared.clone();
        connections.spawn(async move {
            // A connection that breaks is what many scripts are for.
            let _ = Connection { wire: Wire::new(tcp), number, shared }.serve().await;
        });
        while connections.try_join_next().is_some() {}
    }
}

/// Whether the connection takes another request.
#[derive(PartialEq, Eq)]
enum Next {
    Request,
    Close,
}

struct Connection {
    wire: Wire<TcpStream>,
    number: u64,
    shared: Arc<Shared>,
}

impl Connection {
    async fn serve(mut self) -> io::Result<()> {
        self.wire.get_ref().set_nodelay(true)?;
        while let Some(head) = self.wire.head().await? {
            let mut seen = Seen { connection: self.number, head, ..Seen::default() };
            let queued = self.shared.queue.lock().unwrap().pop_front();
            let script = match queued {
                Some(script) => script,
                None => {
                    let read = self.read_body(&mut seen).await;
                    if let Err(error) = read {
                        self.shared.note(seen);
                        return Err(error);
                    }
                    self.shared.decide(&seen)
                }
            };
            if self.play(script, seen).await? == Next::Close {
                break;
            }
        }
        Ok(())
    }

    async fn play(&mut self, script: Script, mut seen: Seen) -> io::Result<Next> {
        self.shared.log_truth(&script);
        if seen.complete {
            self.shared.note(std::mem::take(&mut seen));
        }
        let mut noted = seen.head.raw.is_empty();
        for step in script.steps {
            if matches!(step, Step::ReadBody) {
                if !noted {
                    let read = self.read_body(&mut seen).await;
                    self.shared.note(std::mem::take(&mut seen));
                    noted = true;
                    read?;
                }
                continue;
            }
            let next = self.step(step).await;
            match next {
                Ok(Next::Request) => {}
                Ok(Next::Close) => {
                    if !noted {
                        self.shared.note(seen);
                    }
                    return Ok(Next::Close);
                }
                Err(error) => {
                    if !noted {
                        self.shared.note(seen);
                    }
                    self.shared.abandoned.fetch_add(1, Ordering::SeqCst);
                    return Err(error);
                }
            }
        }
        if !noted {
            // An answer given before the body was read: the body is still to come.
            let read = self.read_body(&mut seen).await;
            self.shared.note(seen);
            read?;
        }
        Ok(Next::Request)
    }

    async fn step(&mut self, step: Step) -> io::Result<Next> {
        match step {
            Step::ReadBody => {}
            Step::Send(bytes) => self.send(&bytes).await?,
            Step::Wait(gate) => {
                tokio::select! {
                    () = gate.pass() => {}
                    gone = gone(&mut self.wire) => return Err(gone),
                }
            }
            Step::Hold(gate) => gate.pass().await,
            Step::Fin => {
                self.wire.get_mut().shutdown().await?;
                return Ok(Next::Close);
            }
            Step::Reset => {
                self.wire.get_ref().set_zero_linger()?;
                return Ok(Next::Close);
            }
            Step::AwaitGone => return Err(gone(&mut self.wire).await),
        }
        Ok(Next::Request)
    }

    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let count = self.wire.get_mut().write(rest).await?;
            self.shared.written.fetch_add(count as u64, Ordering::SeqCst);
            rest = &rest[count..];
        }
        Ok(())
    }

    async fn read_body(&mut self, seen: &mut Seen) -> io::Result<()> {
        if seen.headers().get("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        let mut framing = seen.head.framing(false);
        while let Some(piece) = self.wire.piece(&mut framing).await? {
            seen.body.extend_from_slice(&piece);
        }
        seen.complete = true;
        Ok(())
    }
}

/// Resolves when the other side has closed.
async fn gone(wire: &mut Wire<TcpStream>) -> io::Error {
    loop {
        match wire.fill().await {
            Ok(0) => return io::ErrorKind::ConnectionAborted.into(),
            Ok(_) => {}
            Err(error) => return error,
        }
    }
}
