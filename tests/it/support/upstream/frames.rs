//! An upstream that speaks HTTP/2 frame by frame, without TLS, so that it can break off between any two.

use super::{Events, Truth, openai};
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
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};

const PREFACE: usize = 24;
/// The largest frame that a peer may send unasked.
const FRAME_MAX: usize = 16 * 1024;

/// Frame types and flags of RFC 9113.
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
pub const END_STREAM: u8 = 1;
const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;

pub const NO_ERROR: u32 = 0;
pub const INTERNAL_ERROR: u32 = 2;
pub const REFUSED_STREAM: u32 = 7;
pub const CANCEL: u32 = 8;

/// What is sent on the stream of a request, or because of it.
#[derive(Clone, Debug)]
pub enum Frame {
    /// The head of an answer with status 200 and this `content-type`.
    Head(&'static str),
    Data(Vec<u8>),
    /// Ends the stream with header fields.
    Trailers(Vec<(&'static str, &'static str)>),
    /// Ends the stream.
    End,
    Reset(u32),
    /// Says that the connection ends, and whether the stream was still taken on.
    GoAway {
        taken: bool,
        code: u32,
    },
    /// Closes the connection.
    Close,
}

/// The frames of one answer.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    pub frames: Vec<Frame>,
    /// Logged before the first frame: the upstream has generated.
    pub truth: Option<Truth>,
}

impl Reply {
    /// Frames without any generation behind them.
    pub fn unprocessed(frames: impl Into<Vec<Frame>>) -> Self {
        Self { frames: frames.into(), truth: None }
    }

    pub fn generated(truth: &Truth, frames: impl Into<Vec<Frame>>) -> Self {
        Self { frames: frames.into(), truth: Some(truth.clone()) }
    }
}

/// What the connections share with the test.
struct State {
    queue: Mutex<VecDeque<Reply>>,
    asked: AtomicU64,
    truths: Mutex<Vec<Truth>>,
    connections: AtomicU64,
    seed: AtomicU64,
}

/// A listening upstream, honest where no reply is queued.
pub struct FrameUpstream {
    pub addr: SocketAddr,
    state: Arc<State>,
    accepting: AbortHandle,
}

impl FrameUpstream {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let state = Arc::new(State {
            queue: Mutex::default(),
            asked: AtomicU64::new(0),
            truths: Mutex::default(),
            connections: AtomicU64::new(0),
            seed: AtomicU64::new(1 << 40),
        });
        let accepting = tokio::spawn(accept(listener, state.clone())).abort_handle();
        Self { addr, state, accepting }
    }

    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.addr)
    }

    /// The next request gets `reply`.
    pub fn next(&self, reply: Reply) {
        self.state.queue.lock().unwrap().push_back(reply);
    }

    /// Requests that came whole.
    pub fn asked(&self) -> u64 {
        self.state.asked.load(Ordering::SeqCst)
    }

    pub fn connections(&self) -> u64 {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// Every generation, in order.
    pub fn truths(&self) -> Vec<Truth> {
        self.state.truths.lock().unwrap().clone()
    }
}

impl Drop for FrameUpstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((tcp, _)) = listener.accept().await {
        state.connections.fetch_add(1, Ordering::SeqCst);
        let state = state.clone();
        connections.spawn(async move {
            // A connection that breaks is what the replies are for.
            let _ = serve(tcp, &state).await;
        });
    }
}

/// One frame with its header.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend_from_slice(&[kind, flags]);
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

async fn serve(mut tcp: TcpStream, state: &State) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    tcp.read_exact(&mut [0; PREFACE]).await?;
    tcp.write_all(&frame(SETTINGS, 0, 0, &[])).await?;
    let mut body = Vec::new();
    loop {
        let mut head = [0; 9];
        tcp.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let (kind, flags) = (head[3], head[4]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        tcp.read_exact(&mut payload).await?;
        match kind {
            SETTINGS if flags & ACK == 0 => tcp.write_all(&frame(SETTINGS, ACK, 0, &[])).await?,
            PING if flags & ACK == 0 => tcp.write_all(&frame(PING, ACK, 0, &payload)).await?,
            DATA if !payload.is_empty() => {
                body.extend_from_slice(&payload);
                for of in [0, stream] {
                    tcp.write_all(&frame(WINDOW_UPDATE, 0, of, &length.to_be_bytes())).await?;
                }
            }
            _ => {}
        }
        if matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0 {
            state.asked.fetch_add(1, Ordering::SeqCst);
            let queued = state.queue.lock().unwrap().pop_front();
            let reply = queued.unwrap_or_else(|| honest(&std::mem::take(&mut body), state));
            body.clear();
            if play(&mut tcp, stream, reply, state).await? {
                return Ok(());
            }
        }
    }
}

/// Plays `reply`; whether the connection is over.
async fn play(tcp: &mut TcpStream, stream: u32, reply: Reply, state: &State) -> io::Result<bool> {
    if let Some(truth) = reply.truth {
        state.truths.lock().unwrap().push(truth);
    }
    for step in reply.frames {
        let bytes = match step {
            Frame::Head(kind) => {
                // `:status: 200` is entry 8 of HPACK's static table.
                let mut block = vec![0x88];
                block.extend(field("content-type", kind));
                frame(HEADERS, END_HEADERS, stream, &block)
            }
            Frame::Data(data) => {
                data.chunks(FRAME_MAX).flat_map(|part| frame(DATA, 0, stream, part)).collect()
            }
            Frame::Trailers(fields) => {
                let block: Vec<_> = fields.iter().flat_map(|(name, value)| field(name, value)).collect();
                frame(HEADERS, END_HEADERS | END_STREAM, stream, &block)
            }
            Frame::End => frame(DATA, END_STREAM, stream, &[]),
            Frame::Reset(code) => frame(RST_STREAM, 0, stream, &code.to_be_bytes()),
            Frame::GoAway { taken, code } => {
                let last = if taken { stream } else { stream.saturating_sub(2) };
                frame(GOAWAY, 0, 0, &[last.to_be_bytes(), code.to_be_bytes()].concat())
            }
            Frame::Close => {
                tcp.shutdown().await?;
                return Ok(true);
            }
        };
        tcp.write_all(&bytes).await?;
    }
    Ok(false)
}

/// A header field in HPACK, literal, with its name, and not indexed.
pub fn field(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0];
    for text in [name, value] {
        bytes.push(u8::try_from(text.len()).ok().filter(|length| *length < 127).expect("a short text"));
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes
}

/// What an honest upstream answers.
fn honest(body: &[u8], state: &State) -> Reply {
    let truth = Truth::of(state.seed.fetch_add(1, Ordering::SeqCst));
    let ask: Value = serde_json::from_slice(body).unwrap_or_default();
    if ask["stream"] != Value::Bool(true) {
        let whole = openai::completion(&truth, "m");
        return Reply::generated(&truth, [Frame::Head("application/json"), Frame::Data(whole), Frame::End]);
    }
    let events = Events::new(&truth, "m", openai::CONTENT_EVENTS);
    Reply::generated(&truth, [Frame::Head("text/event-stream"), Frame::Data(events.with_usage()), Frame::End])
}
