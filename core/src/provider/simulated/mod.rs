//! The provider that is built in: seeded answers with real usage numbers, in every dialect.
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
//! - **Messages**, **Responses**, **GenerateContent**: what chat would answer to the same conversation, as
//!   their codecs write it. Where thinking is asked for (a budget, an effort, `adaptive`), a thought of 16
//!   to 64 tokens comes first, within its budget and the answer's, with a signature of the dialect's; its
//!   text is shown where the dialect shows it or is asked to. What else stands in a message with a tool's
//!   result is no new question.
//! - **Counting** for messages and Gemini: what a generation says that its prompt is.
//! - **Images**, **speech**, **moderation**, **rerank**: a grey dot, silence, nothing flagged, and an order that the
//!   same texts always have.
//! - **Transcription** and **translation**: a text of 16 to 64 tokens, the same for the same recording; a model whose
//!   name holds `whisper` tells seconds and never streams, any other tokens, ten for each second. How long a
//!   recording is follows from its size, or from what a WAV file tells.
//! - **What is passed through**: an object that says what was asked, and `usage` where the body is an object: the tokens
//!   of the body and one of the answer.
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
//! `tools` as JSON text. Token arrays count their length. A request of another dialect counts as the chat
//! request that says the same; media of any kind are images in it, those in a tool's result nothing.
//! A thought is reasoning, and a part of what `max_tokens` bounds.
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
//! | `no_usage` | says nothing of usage, also where the dialect always does |
//! | `cut_after=3` | breaks a stream off after 3 chunks (a shorter one after its end); a plain answer in the middle of its body |
//! | `error_event=2` | ends a stream with an error event after 2 chunks, without `[DONE]`; a plain answer is an error object with status 200 |
//!
//! A chunk is one event of the stream, or one item where a stream is an array; `[DONE]` is one too. Errors
//! have the shape of the dialect that is spoken. What is unknown, given twice or out
//! of bounds is refused with 400, never ignored.

mod ask;
mod chat;
mod completion;
mod directive;
mod embedding;
mod foreign;
mod frames;
mod heard;
mod media;
mod raw;
mod schema;
mod speech;
mod stream;
#[cfg(test)]
mod tests;
mod text;
mod transcript;

use crate::wire::{Dialect, codec::Manner};
use ask::{Body, Problem};
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

/// Which endpoint is asked, of which dialect.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Endpoint<'a> {
    /// `/v1/chat/completions`
    Chat,
    /// `/v1/completions`
    Completion,
    /// `/v1/embeddings`
    Embedding,
    /// `/v1/images/generations`
    Images,
    /// `/v1/audio/speech`
    Speech,
    /// `/v1/audio/transcriptions`
    Transcription {
        /// Of the form.
        content_type: &'a str,
    },
    /// `/v1/audio/translations`
    Translation {
        /// Of the form.
        content_type: &'a str,
    },
    /// `/v1/moderations`
    Moderation,
    /// `/v1/rerank`
    Rerank,
    /// `/v1/messages`
    Messages,
    /// `/v1/messages/count_tokens`
    MessagesCountTokens,
    /// `/v1/responses`
    Responses,
    /// `…/models/{model}:generateContent` and `:streamGenerateContent`
    GenerateContent {
        /// As the URL names it.
        model: &'a str,
        manner: Manner,
    },
    /// `…/models/{model}:countTokens`
    CountTokens {
        /// As the URL names it.
        model: &'a str,
    },
    /// `…/models/{model}:embedContent`
    EmbedContent,
    /// `…/models/{model}:batchEmbedContents`
    BatchEmbedContents,
    /// What is passed through, whatever it is.
    Raw {
        method: &'a str,
        /// With its query.
        path: &'a str,
    },
}

impl Endpoint<'_> {
    #[must_use]
    pub fn dialect(self) -> Dialect {
        match self {
            Self::Chat
            | Self::Completion
            | Self::Embedding
            | Self::Images
            | Self::Speech
            | Self::Transcription { .. }
            | Self::Translation { .. }
            | Self::Moderation
            | Self::Rerank
            | Self::Raw { .. } => Dialect::OpenAiChat,
            Self::Messages | Self::MessagesCountTokens => Dialect::AnthropicMessages,
            Self::Responses => Dialect::OpenAiResponses,
            Self::GenerateContent { .. }
            | Self::CountTokens { .. }
            | Self::EmbedContent
            | Self::BatchEmbedContents => Dialect::Gemini,
        }
    }
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
    /// Bytes of this type.
    Media(&'static str, Vec<u8>),
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
    endpoint: Endpoint<'_>,
    body: &[u8],
    directive: Option<&str>,
    id_seed: u64,
    created: i64,
) -> Script {
    let reply: fn(&Setting, &Body) -> Result<Reply, Problem> = match endpoint {
        Endpoint::Chat => chat::reply,
        Endpoint::Completion => completion::reply,
        Endpoint::Embedding => embedding::reply,
        Endpoint::Images => media::images,
        Endpoint::Speech => media::speech,
        Endpoint::Transcription { .. } => transcript::transcription,
        Endpoint::Translation { .. } => transcript::translation,
        Endpoint::Moderation => media::moderation,
        Endpoint::Rerank => media::rerank,
        Endpoint::Raw { method, path } => return raw::answer(method, path, body, directive, id_seed),
        _ => return foreign::answer(endpoint, body, directive, id_seed, created),
    };
    let directive = match directed(directive) {
        Ok(directive) => directive,
        Err(refused) => return refused,
    };
    let setting = Setting { directive, id_seed, created };
    let fields = match endpoint {
        Endpoint::Transcription { content_type } | Endpoint::Translation { content_type } => {
            transcript::fields(content_type, body)
        }
        _ => ask::parse(body),
    };
    match fields.and_then(|body| reply(&setting, &body)) {
        Ok(Reply::Stream(events)) => stream::script(&setting.directive, events),
        Ok(Reply::Plain(_) | Reply::Media(..)) if setting.directive.error_event.is_some() => {
            plain(&setting.directive, 200, stream::error_event().to_string().into())
        }
        Ok(Reply::Plain(answer)) => plain(&setting.directive, 200, answer.to_string().into()),
        Ok(Reply::Media(kind, bytes)) => {
            let mut script = plain(&setting.directive, 200, bytes.into());
            script.headers[0].1 = kind.to_owned();
            script
        }
        Err(problem) => refuse(&problem),
    }
}

/// What is asked for; where that is an error, or cannot be read, the answer.
fn directed(directive: Option<&str>) -> Result<Directive, Script> {
    let directive = Directive::parse(directive.unwrap_or_default()).map_err(|problem| refuse(&problem))?;
    match directive.status {
        None => Ok(directive),
        Some(status) => {
            let message = format!("Simulated error {status}");
            Err(plain(&directive, status, error_body(status, &message, None).to_string().into()))
        }
    }
}

fn refuse(problem: &Problem) -> Script {
    plain(&Directive::default(), 400, error_body(400, &problem.message, problem.param).to_string().into())
}

/// A body in one piece; half of it where the directive cuts it.
fn plain(directive: &Directive, status: u16, mut body: Bytes) -> Script {
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

/// The error object of the provider's first dialect.
fn error_body(status: u16, message: &str, param: Option<&str>) -> Value {
    let (kind, code) = error_words(status);
    json!({ "error": { "message": message, "type": kind, "param": param, "code": code } })
}

/// The type and the code of an error.
fn error_words(status: u16) -> (&'static str, &'static str) {
    match status {
        401 => ("authentication_error", "invalid_api_key"),
        403 => ("permission_error", "permission_denied"),
        404 => ("not_found_error", "model_not_found"),
        429 => ("rate_limit_error", "rate_limit_exceeded"),
        503 | 529 => ("overloaded_error", "overloaded"),
        500.. => ("api_error", "server_error"),
        _ => ("invalid_request_error", "invalid_request"),
    }
}
