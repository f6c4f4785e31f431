//! The requests that the load driver sends and the answers that the fake upstream gives, built beforehand.

use std::io::Write;

/// What every answer says: the load driver looks for it in each.
pub(crate) const CONTENT: &str = "The fake upstream gives this answer to whoever asks.";

/// Stands before the send time within a chunk's content.
pub(crate) const STAMP: &[u8] = b"\"t=";

/// Nanoseconds since the epoch have this many digits until the year 2286.
pub(crate) const STAMP_DIGITS: usize = 19;

/// The length of a plain request's body, in bytes.
const PLAIN_BYTES: usize = 1024;
/// The length of a large request's body, in bytes.
const BIG_BYTES: usize = 200 * 1024;
/// The length of a plain answer's body, in bytes.
const ANSWER_BYTES: usize = 600;

/// What a load asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum Mode {
    /// 1 KB request, 600 B answer
    Plain,
    /// 200 KB prompt, 600 B answer
    Big,
    /// A stream whose chunks come back to back
    Stream,
    /// A stream whose chunks come 10 ms apart
    Paced,
    /// A stream that stays open and says next to nothing
    Idle,
    /// The list of models: a key is looked up for it, and nothing else is done
    Models,
}

impl Mode {
    pub(crate) fn is_stream(self) -> bool {
        !matches!(self, Mode::Plain | Mode::Big | Mode::Models)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Mode::Plain => "plain",
            Mode::Big => "big",
            Mode::Stream => "stream",
            Mode::Paced => "paced",
            Mode::Idle => "idle",
            Mode::Models => "models",
        }
    }

    /// The pace travels in the model's name: a gateway need not forward a header that it does
    /// not know, but it must forward the model.
    fn model(self) -> &'static str {
        match self {
            Mode::Paced => "bench-paced",
            Mode::Idle => "bench-idle",
            _ => "bench",
        }
    }
}

/// A whole request, head and body.
pub(crate) fn request(mode: Mode, host: &str, path: &str, key: &str) -> Vec<u8> {
    if mode == Mode::Models {
        return format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n\r\n")
            .into_bytes();
    }
    let body = request_body(mode);
    format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\n\
         Content-Type: application/json\r\nUser-Agent: aione-bench\r\n\
         Authorization: Bearer {key}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// The members stand in the order of the vendor's own SDK, messages first: a gateway that looks
/// for the model must get past the prompt.
fn request_body(mode: Mode) -> String {
    let model = mode.model();
    let stream = match mode.is_stream() {
        true => r#","stream":true,"stream_options":{"include_usage":true}"#,
        false => "",
    };
    let head = r#"{"messages":[{"role":"system","content":"You are brief."},{"role":"user","content":""#;
    let tail = format!(r#""}}],"model":"{model}","max_tokens":64,"temperature":0.2{stream}}}"#);
    let bytes = match mode {
        Mode::Big => BIG_BYTES,
        _ => PLAIN_BYTES,
    };
    let prompt = filler(bytes - head.len() - tail.len());
    format!("{head}{prompt}{tail}")
}

/// Prose with an escape in every line, as prompts have.
fn filler(bytes: usize) -> String {
    const LINE: &str = r"The quick brown fox said \u201cjump\u201d, and the lazy dog looked on, unmoved.\n";
    let mut text = LINE.repeat(bytes / LINE.len());
    text.extend(std::iter::repeat_n('x', bytes - text.len()));
    text
}

/// The dialects that the fake upstream answers in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Dialect {
    /// OpenAI's chat, in which the load driver asks.
    Chat,
    /// Anthropic's Messages, which a gateway has to translate.
    Messages,
}

/// The plain answer, head and body.
pub(crate) fn plain_answer(dialect: Dialect) -> Vec<u8> {
    let body = |padding: &str| match dialect {
        Dialect::Chat => format!(
            r#"{{"id":"chatcmpl-bench","object":"chat.completion","created":1700000000,"model":"bench","choices":[{{"index":0,"message":{{"role":"assistant","content":"{CONTENT} {padding}","refusal":null}},"logprobs":null,"finish_reason":"stop"}}],"usage":{{"prompt_tokens":210,"completion_tokens":48,"total_tokens":258,"prompt_tokens_details":{{"cached_tokens":0}},"completion_tokens_details":{{"reasoning_tokens":0}}}},"system_fingerprint":"fp_bench"}}"#
        ),
        Dialect::Messages => format!(
            r#"{{"id":"msg_bench","type":"message","role":"assistant","model":"bench","content":[{{"type":"text","text":"{CONTENT} {padding}"}}],"stop_reason":"end_turn","stop_sequence":null,"usage":{{"input_tokens":210,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":48,"service_tier":"standard"}}}}"#
        ),
    };
    let padding = "x".repeat(ANSWER_BYTES.saturating_sub(body("").len()));
    let body = body(&padding);
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// An answer to whatever is no completion, such as a probe.
pub(crate) const PROBE_ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok";

/// The head of a streamed answer.
pub(crate) const STREAM_HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n";

/// What a stream begins with; nothing in chat.
pub(crate) fn stream_opening(dialect: Dialect) -> Vec<u8> {
    match dialect {
        Dialect::Chat => Vec::new(),
        Dialect::Messages => [
            http_chunk(
                "event: message_start\n",
                r#"{"type":"message_start","message":{"id":"msg_bench","type":"message","role":"assistant","model":"bench","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":210,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":1}}}"#,
            ),
            http_chunk(
                "event: content_block_start\n",
                r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
            ),
        ]
        .concat(),
    }
}

/// The last events and the end of the body.
pub(crate) fn stream_end(dialect: Dialect) -> Vec<u8> {
    match dialect {
        Dialect::Chat => b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n".to_vec(),
        Dialect::Messages => [
            http_chunk("event: content_block_stop\n", r#"{"type":"content_block_stop","index":0}"#),
            http_chunk(
                "event: message_delta\n",
                r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":48}}"#,
            ),
            http_chunk("event: message_stop\n", r#"{"type":"message_stop"}"#),
            b"0\r\n\r\n".to_vec(),
        ]
        .concat(),
    }
}

/// One event with content, in its HTTP chunk, whose send time is filled in at the last moment.
#[derive(Clone)]
pub(crate) struct Chunk {
    bytes: Vec<u8>,
    stamp_at: usize,
}

impl Chunk {
    pub(crate) fn new(dialect: Dialect, index: u32) -> Self {
        let zeros = "0".repeat(STAMP_DIGITS);
        let bytes = match dialect {
            Dialect::Chat => http_chunk(
                "",
                &format!(
                    r#"{{"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1700000000,"model":"bench","system_fingerprint":"fp_bench","choices":[{{"index":0,"delta":{{"content":"t={zeros} n={index} "}},"logprobs":null,"finish_reason":null}}],"usage":null}}"#
                ),
            ),
            Dialect::Messages => http_chunk(
                "event: content_block_delta\n",
                &format!(
                    r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"t={zeros} n={index} "}}}}"#
                ),
            ),
        };
        let stamp_at = memchr::memmem::find(&bytes, STAMP).map_or(0, |at| at + STAMP.len());
        Self { bytes, stamp_at }
    }

    /// The bytes to send now.
    pub(crate) fn stamped(&mut self, epoch_ns: u64) -> &[u8] {
        let mut digits = &mut self.bytes[self.stamp_at..self.stamp_at + STAMP_DIGITS];
        // Cannot fail: the slice has room for every u64 of this era, and a shorter write would
        // only spoil one delay.
        let _ = write!(digits, "{epoch_ns:019}");
        &self.bytes
    }
}

/// The event with the usage that `stream_options.include_usage` asks for.
pub(crate) fn usage_chunk() -> Vec<u8> {
    http_chunk(
        "",
        r#"{"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1700000000,"model":"bench","system_fingerprint":"fp_bench","choices":[],"usage":{"prompt_tokens":210,"completion_tokens":48,"total_tokens":258,"prompt_tokens_details":{"cached_tokens":0}}}"#,
    )
}

/// `name`: the line that names the event, where it has one.
fn http_chunk(name: &str, json: &str) -> Vec<u8> {
    let event = format!("{name}data: {json}\n\n");
    format!("{:x}\r\n{event}\r\n", event.len()).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_answers_have_the_sizes_that_the_tables_state() {
        for (mode, bytes) in [(Mode::Plain, PLAIN_BYTES), (Mode::Big, BIG_BYTES)] {
            let body = request_body(mode);
            assert_eq!(body.len(), bytes);
            serde_json::from_str::<serde_json::Value>(&body).unwrap();
        }
        for dialect in [Dialect::Chat, Dialect::Messages] {
            let answer = String::from_utf8(plain_answer(dialect)).unwrap();
            let (_, body) = answer.split_once("\r\n\r\n").unwrap();
            assert_eq!(body.len(), ANSWER_BYTES);
            serde_json::from_str::<serde_json::Value>(body).unwrap();
        }
    }

    #[test]
    fn a_chunk_carries_its_time() {
        for (dialect, name) in [(Dialect::Chat, "content"), (Dialect::Messages, "text")] {
            let mut chunk = Chunk::new(dialect, 7);
            let text = String::from_utf8(chunk.stamped(1_790_000_000_000_000_001).to_vec()).unwrap();
            assert!(text.contains(&format!(r#""{name}":"t=1790000000000000001 n=7 ""#)), "{text}");
        }
    }
}
