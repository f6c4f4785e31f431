//! The provider that is built in: seeded answers with real usage numbers, in the OpenAI dialect.
//!
//! It needs no vendor, no network and no key, so that a fresh gateway answers its first request
//! and every way an upstream can fail can be asked for. It is pure: [`answer`] says what is to be
//! sent and after which waits; whoever calls it sends and waits.
//!
//! # What it answers
//!
//! - **Chat**: a text of 16 to 64 tokens in plain English words. With `response_format` a JSON
//!   text, for `json_schema` one that fits the schema. With `tools` and a last message from the
//!   user, a call of the first tool (or of the one `tool_choice` names) whose arguments fit the
//!   tool's schema; after a tool's result, a text again. `tool_choice: "none"` never calls,
//!   `"required"` or a named tool always does.
//! - **Completion**: the same texts; 16 tokens where `max_tokens` is absent, as the dialect has it.
//! - **Embedding**: unit vectors of 8 numbers, or of `dimensions`, as floats or base64. The same
//!   input has the same vector in every batch.
//!
//! The same messages have the same answer; `seed` in the body or in the directive changes it.
//! `max_tokens` and `max_completion_tokens` end an answer with `length`. `n` answers differ.
//! Streams carry one token a chunk, and the usage chunk only where
//! `stream_options.include_usage` asks for it.
//!
//! # What it counts
//!
//! Completion tokens are the `o200k_base` tokens of what is said; a tool call counts its name and
//! its arguments. Prompt tokens of a chat are 3 for each message and 3 for the answer's opening,
//! the tokens of roles, names, texts and tool calls, 85 for an image, and the tokens of the
//! `tools` as JSON text. Token arrays count their length.
//!
//! # What can be asked for: `x-aione-simulate`
//!
//! A list of directives, parted by commas, such as `tokens=200, pace_ms=20, cut_after=3`:
//!
//! | directive | does |
//! |---|---|
//! | `status=429` | answers with this error, 400 to 599 |
//! | `retry_after=2` | sends `retry-after`, in seconds |
//! | `delay_ms=500` | waits before the head |
//! | `pace_ms=20` | waits before every chunk of a stream but the first |
//! | `tokens=50` | makes each text this long, where `max_tokens` allows it |
//! | `seed=7` | chooses the answer |
//! | `no_usage` | says nothing of usage |
//! | `cut_after=3` | breaks a stream off after 3 chunks (a shorter one after its end); a plain answer in the middle of its body |
//! | `error_event=2` | ends a stream with an error event after 2 chunks, without `[DONE]`; a plain answer is an error object with status 200 |
//!
//! A chunk is one event of the stream; `[DONE]` is one too. What is unknown, given twice or out
//! of bounds is refused with 400, never ignored.

mod ask;
mod chat;
mod completion;
mod directive;
mod embedding;
mod schema;
mod stream;
#[cfg(test)]
mod tests;
mod text;

use ask::Problem;
use bytes::Bytes;
use directive::Directive;
use serde_json::{Value, json};
use std::fmt;

/// The header that carries the directives.
pub const DIRECTIVE_HEADER: &str = "x-aione-simulate";
/// Longest value of [`DIRECTIVE_HEADER`], in bytes.
pub const DIRECTIVE_BYTES_MAX: usize = 512;
/// Most tokens of one answer's text.
pub const ANSWER_TOKENS_MAX: u64 = 8_192;
/// Most answers to one request: `n`, times the prompts of a completion.
pub const CHOICES_MAX: u64 = 16;
/// Most inputs of one embedding request.
pub const INPUTS_MAX: usize = 2_048;
/// Most numbers of one vector.
pub const DIMENSIONS_MAX: u64 = 4_096;
/// Most numbers of all vectors of one answer.
pub const VECTOR_NUMBERS_MAX: u64 = 262_144;

/// Which of the dialect's endpoints is asked.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Endpoint {
    /// `/v1/chat/completions`
    Chat,
    /// `/v1/completions`
    Completion,
    /// `/v1/embeddings`
    Embedding,
}

/// What to send, in order, and when.
#[derive(Debug)]
pub struct Script {
    /// To wait before the head, in milliseconds.
    pub wait_ms: u64,
    pub status: u16,
    /// `content-type`; for a plain answer `content-length`, of the whole body also when it is
    /// cut; `retry-after` where it was asked for.
    pub headers: Vec<(&'static str, String)>,
    pub parts: Parts,
    /// After the last part the connection breaks, without a clean end.
    pub abort: bool,
}

/// One piece of the body: for a stream, one event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// To wait before it, in milliseconds.
    pub wait_ms: u64,
    pub bytes: Bytes,
}

/// The body, made as it is asked for.
pub struct Parts(Box<dyn Iterator<Item = Part> + Send>);

impl Iterator for Parts {
    type Item = Part;

    fn next(&mut self) -> Option<Part> {
        self.0.next()
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Parts(..)")
    }
}

/// What an endpoint has to say, before the directive has its way with it.
enum Reply {
    Plain(Value),
    /// Events, without the `[DONE]` at their end.
    Stream(Box<dyn Iterator<Item = Value> + Send>),
}

/// What every answer is made with.
struct Setting {
    directive: Directive,
    id_seed: u64,
    created: i64,
}

/// Answers `body`, as `directive` (the value of [`DIRECTIVE_HEADER`]) wants it.
///
/// `id_seed` makes the answer's ids, `created` is its time in seconds since 1970; neither changes
/// what is said. Nothing fails: what is wrong with the request is the script of a 400.
#[must_use]
pub fn answer(
    endpoint: Endpoint,
    body: &[u8],
    directive: Option<&str>,
    id_seed: u64,
    created: i64,
) -> Script {
    let directive = match Directive::parse(directive.unwrap_or_default()) {
        Ok(directive) => directive,
        Err(problem) => return refuse(&problem),
    };
    if let Some(status) = directive.status {
        let message = format!("Simulated error {status}");
        return plain(&directive, status, &error_body(status, &message, None));
    }
    let setting = Setting { directive, id_seed, created };
    let reply = ask::parse(body).and_then(|body| match endpoint {
        Endpoint::Chat => chat::reply(&setting, &body),
        Endpoint::Completion => completion::reply(&setting, &body),
        Endpoint::Embedding => embedding::reply(&setting, &body),
    });
    match reply {
        Ok(Reply::Stream(events)) => stream::script(&setting.directive, events),
        Ok(Reply::Plain(_)) if setting.directive.error_event.is_some() => {
            plain(&setting.directive, 200, &stream::error_event())
        }
        Ok(Reply::Plain(answer)) => plain(&setting.directive, 200, &answer),
        Err(problem) => refuse(&problem),
    }
}

fn refuse(problem: &Problem) -> Script {
    plain(&Directive::default(), 400, &error_body(400, &problem.message, problem.param))
}

/// A body in one piece; half of it where the directive cuts it.
fn plain(directive: &Directive, status: u16, answer: &Value) -> Script {
    let mut body = Bytes::from(answer.to_string());
    let mut headers =
        vec![("content-type", "application/json".to_owned()), ("content-length", body.len().to_string())];
    headers.extend(directive.retry_after_header());
    let abort = directive.cut_after.is_some();
    if abort {
        body.truncate(body.len() / 2);
    }
    let parts = Parts(Box::new(std::iter::once(Part { wait_ms: 0, bytes: body })));
    Script { wait_ms: directive.delay_ms, status, headers, parts, abort }
}

/// The dialect's error object.
fn error_body(status: u16, message: &str, param: Option<&str>) -> Value {
    let (kind, code) = match status {
        401 => ("authentication_error", "invalid_api_key"),
        403 => ("permission_error", "permission_denied"),
        404 => ("not_found_error", "model_not_found"),
        429 => ("rate_limit_error", "rate_limit_exceeded"),
        503 | 529 => ("overloaded_error", "overloaded"),
        500.. => ("api_error", "server_error"),
        _ => ("invalid_request_error", "invalid_request"),
    };
    json!({ "error": { "message": message, "type": kind, "param": param, "code": code } })
}
