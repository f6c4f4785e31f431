//! The fake upstream: answers chats from canned bytes, in two dialects, on raw TCP, at next to no cost.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::canned::{self, Chunk, Dialect};
use crate::clock;
use crate::http1::Message;

/// How far apart the chunks of `bench-idle` are, and how many there are: 30 s in all.
const IDLE_PACE: Duration = Duration::from_secs(10);
const IDLE_CHUNKS: usize = 4;

#[derive(clap::Args)]
pub(crate) struct Options {
    #[arg(long)]
    listen: SocketAddr,
    /// Between the chunks of the model `bench-paced`
    #[arg(long, default_value = "10ms", value_parser = clock::parse_duration)]
    pace: Duration,
    /// Chunks with content in a stream
    #[arg(long, default_value_t = 20)]
    chunks: u32,
}

/// What all connections share; a connection clones the chunks that it stamps.
#[derive(Clone)]
struct Canned {
    chat: Said,
    messages: Said,
    pace: Duration,
}

/// What is said in one dialect.
#[derive(Clone)]
struct Said {
    plain: Vec<u8>,
    opening: Vec<u8>,
    chunks: Vec<Chunk>,
    /// Where it is asked for.
    usage: Vec<u8>,
    end: Vec<u8>,
}

impl Said {
    fn new(dialect: Dialect, chunks: u32) -> Self {
        Self {
            plain: canned::plain_answer(dialect),
            opening: [canned::STREAM_HEAD, &canned::stream_opening(dialect)].concat(),
            chunks: (0..chunks).map(|index| Chunk::new(dialect, index)).collect(),
            usage: canned::usage_chunk(),
            end: canned::stream_end(dialect),
        }
    }
}

pub(crate) fn run(options: Options) -> anyhow::Result<()> {
    let canned = Canned {
        chat: Said::new(Dialect::Chat, options.chunks),
        messages: Said::new(Dialect::Messages, options.chunks),
        pace: options.pace,
    };
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(accept(options.listen, canned))
}

async fn accept(listen: SocketAddr, canned: Canned) -> anyhow::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(listen).with_context(|| format!("cannot listen on {listen}"))?;
    let listener = socket.listen(4096)?;
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                stream.set_nodelay(true)?;
                connections.spawn(serve(stream, canned.clone()));
            }
            // A connection that ends badly shows in the load driver's figures.
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(mut stream: TcpStream, mut canned: Canned) -> anyhow::Result<()> {
    let mut buffer = vec![0; 32 * 1024];
    let mut request = Message::default();
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        let mut rest = &buffer[..read];
        while !rest.is_empty() {
            rest = &rest[request.feed(rest)?..];
            if request.is_complete() {
                answer(&mut stream, &request, &mut canned).await?;
                request.reset();
            }
        }
    }
}

async fn answer(stream: &mut TcpStream, request: &Message, canned: &mut Canned) -> anyhow::Result<()> {
    if !request.is_post() {
        stream.write_all(canned::PROBE_ANSWER).await?;
        return Ok(());
    }
    let body = request.body();
    let paced = canned.pace;
    let said = if request.path().ends_with(b"/messages") { &mut canned.messages } else { &mut canned.chat };
    if !is_true(body, b"\"stream\"") {
        stream.write_all(&said.plain).await?;
        return Ok(());
    }
    let (pace, count) = pace(request, paced, said.chunks.len());
    let usage = is_true(body, b"\"include_usage\"");
    stream_answer(stream, said, pace, count, usage).await
}

/// The time between two chunks, and how many there are.
fn pace(request: &Message, paced: Duration, count: usize) -> (Option<Duration>, usize) {
    let asked = request.field("x-bench-pace-ms").and_then(|value| value.parse().ok());
    if let Some(pace_ms) = asked {
        return (Some(Duration::from_millis(pace_ms)), count);
    }
    if memmem::rfind(request.body(), b"\"bench-paced\"").is_some() {
        return (Some(paced), count);
    }
    if memmem::rfind(request.body(), b"\"bench-idle\"").is_some() {
        return (Some(IDLE_PACE), IDLE_CHUNKS.min(count));
    }
    (None, count)
}

/// One write for each event, as a real upstream has it: what becomes of them on the way is
/// what is measured.
async fn stream_answer(
    stream: &mut TcpStream,
    said: &mut Said,
    pace: Option<Duration>,
    count: usize,
    usage: bool,
) -> anyhow::Result<()> {
    stream.write_all(&said.opening).await?;
    let mut due = tokio::time::Instant::from_std(clock::now());
    for (index, chunk) in said.chunks.iter_mut().take(count).enumerate() {
        if let Some(pace) = pace
            && index > 0
        {
            due += pace;
            tokio::time::sleep_until(due).await;
        }
        stream.write_all(chunk.stamped(clock::epoch_ns())).await?;
    }
    if usage {
        stream.write_all(&said.usage).await?;
    }
    stream.write_all(&said.end).await?;
    Ok(())
}

/// Whether the member of that (quoted) name is `true`. A byte search is enough: within a JSON
/// string the quotes would be escaped. From the end, because the prompt comes first.
fn is_true(body: &[u8], name: &[u8]) -> bool {
    memmem::rfind(body, name).is_some_and(|at| {
        body[at + name.len()..]
            .trim_ascii_start()
            .strip_prefix(b":")
            .is_some_and(|value| value.trim_ascii_start().starts_with(b"true"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_found_behind_a_prompt_that_mentions_it() {
        let name = b"\"stream\"";
        assert!(is_true(br#"{"a":"\"stream\": false","stream" : true}"#, name));
        assert!(!is_true(br#"{"a":"\"stream\":true","stream":false}"#, name));
        assert!(!is_true(br#"{"a":"\"stream\":true"}"#, name));
    }
}
