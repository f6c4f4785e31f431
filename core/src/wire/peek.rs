//! What admission must know of a request's body, read in one pass without building a tree.
//!
//! Serves `/v1/chat/completions`, `/v1/completions`, `/v1/embeddings`, `/v1/messages`, `/v1/responses` and
//! `…:generateContent` with its siblings, and recordings that come as forms. Only the members that the gateway decides by are typed here
//! ([`members`] has them all); the rest is the upstream's to judge.

mod form;
mod members;
mod raw;
mod reader;
mod speech;
#[cfg(test)]
mod tests;
mod text;

pub use form::{Recording, peek_form};
pub use raw::{Raw, raw};
pub use speech::spoken_characters;
pub use text::MAX_MEDIA_BYTES;

use super::{
    Dialect,
    codec::UrlSays,
    json::{JsonError, Scanner, Token},
};
use reader::Reader;
use std::ops::Range;

/// Longest model name, in bytes of UTF-8.
pub const MAX_MODEL_BYTES: usize = 512;
/// Most requests of one batch.
pub const MAX_BATCH: usize = 1024;
/// Longest id of an answer to go on from, in bytes of UTF-8.
pub const MAX_ID_BYTES: usize = 512;

/// What is absurd rather than wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PeekBounds {
    /// Highest ceiling of an answer, in tokens.
    pub ceiling_max: u64,
    /// Highest number of answers.
    pub choices_max: u64,
    /// In the dialect that wants a ceiling it must be there: not so where tokens are only counted.
    pub needs_ceiling: bool,
}

impl Default for PeekBounds {
    fn default() -> Self {
        Self { ceiling_max: 1 << 31, choices_max: 128, needs_ceiling: true }
    }
}

/// What a request's body says. Spans are byte offsets into that body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Peek {
    pub dialect: Dialect,
    pub model: String,
    /// The string literal, quotes included, or the whole value of a form's part; `None`: the model is in the URL,
    /// or goes without saying.
    pub model_span: Option<Range<usize>>,
    /// The string literals in which a body names the model of its URL again.
    pub repeated_spans: Vec<Range<usize>>,
    pub stream: bool,
    /// `None`: the key is not there, or the dialect's streams tell their usage anyway.
    pub stream_options: Option<StreamOptions>,
    /// Just after the `{` of the body.
    pub body_open: usize,
    /// Most tokens of each choice; `None`: the caller gave none. It is 0 only where the dialect has requests
    /// that generate nothing.
    pub ceiling: Option<u64>,
    /// How many answers are generated, to all prompts together.
    pub choices: u64,
    /// Bytes of text in what the model is to read, media at [`MAX_MEDIA_BYTES`].
    pub text_bytes: u64,
    /// Elements of the conversation.
    pub messages: u64,
    pub memory: Memory,
    /// The body is no JSON but a form that holds one.
    pub recording: Option<Recording>,
}

impl Peek {
    /// Whether the stream's usage is the caller's to see: in most dialects it always is, in chat only where it
    /// was asked for, and is hidden else.
    #[must_use]
    pub fn wants_usage(&self) -> bool {
        let is_asked = |options: &StreamOptions| options.include_usage == Some(true);
        self.dialect != Dialect::OpenAiChat || self.stream_options.as_ref().is_some_and(is_asked)
    }
}

/// Where `stream_options` stands and what it says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StreamOptions {
    /// The value: an object or `null`.
    pub span: Range<usize>,
    /// Just after the object's `{`; `None`: the value is `null`.
    pub open: Option<usize>,
    /// The object has no members.
    pub empty: bool,
    /// `None`: absent or `null`.
    pub include_usage: Option<bool>,
    /// The value of `include_usage`, where there is one.
    pub include_usage_span: Option<Range<usize>>,
}

/// What a request leans on, or leaves, in the upstream's own memory. Only Responses has one.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Memory {
    /// `previous_response_id`: only the deployment that gave this answer knows it, and only the organization
    /// that got it may go on from it.
    pub previous: Option<String>,
    /// An item of the conversation is named instead of said: as above, but for answers that are not named.
    pub refers_to_items: bool,
    /// The upstream keeps the answer, so that its id can come back.
    pub keeps_answer: bool,
}

/// Why a body is refused: 400 `invalid_request`.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct PeekError {
    pub message: String,
    /// The parameter at fault, where it is one that the gateway knows.
    pub param: Option<&'static str>,
}

impl PeekError {
    fn at(param: &'static str, what: &str) -> Self {
        Self { message: format!("`{param}` {what}"), param: Some(param) }
    }
}

impl From<JsonError> for PeekError {
    fn from(error: JsonError) -> Self {
        Self { message: format!("The body is not valid JSON: {error}"), param: None }
    }
}

/// Reads `body` once. Of `url` only Gemini says anything; elsewhere it names the model that goes without saying.
///
/// # Errors
/// What is not strict JSON, names a member twice, gives a known one a wrong type, an absurd value or an
/// unusual spelling, names a member by which a request would choose its upstream or another model, or leans on
/// something that the upstream keeps and that nobody can have got through this gateway.
pub fn peek(dialect: Dialect, body: &[u8], url: UrlSays<'_>, bounds: &PeekBounds) -> Result<Peek, PeekError> {
    let mut scanner = Scanner::strict(body)?;
    if scanner.next()? != Some(Token::ObjectOpen) {
        return Err(PeekError { message: "The body must be a JSON object".to_owned(), param: None });
    }
    let mut reader = Reader::new(dialect, url, bounds);
    let body_open = scanner.span().end;
    reader.members(&mut scanner, members::of(dialect))?;
    // The object has closed; what is left must be nothing.
    scanner.next()?;
    reader.conclude(body_open)
}
