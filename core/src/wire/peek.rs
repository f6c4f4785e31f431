//! What admission must know of a request's body, read in one pass without building a tree.
//!
//! Serves the bodies of `/v1/chat/completions`, `/v1/completions` and `/v1/embeddings`. Only the
//! fields that the gateway decides by are typed here; the rest is the upstream's to judge.

#[cfg(test)]
mod tests;

use super::json::{JsonError, Scanner, Text, Token};
use std::ops::Range;

/// Longest model name, in bytes of UTF-8.
pub const MAX_MODEL_BYTES: usize = 512;
/// An image or a clip inside a message counts as at most this many bytes of text.
pub const MAX_MEDIA_BYTES: u64 = 3 * 1024;

/// Fields by which a request would choose its own upstream.
const FORBIDDEN: &[&str] = &["api_base", "base_url", "api_key", "custom_llm_provider"];
/// Fields that the gateway decides by. Some upstreams match names without regard to case, so
/// that another spelling would be a second value that was not looked at.
const DECISIVE: &[&str] = &[
    "model",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "n",
    "best_of",
    "messages",
    "prompt",
    "input",
];
/// Keys whose string values may be a file in base64.
const MEDIA_KEYS: &[&str] = &["url", "image_url", "data", "file_data"];
/// A token that the caller gives as a number counts as this many bytes of text.
const TOKEN_BYTES: u64 = 3;

/// What is absurd rather than wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PeekBounds {
    /// Highest `max_tokens` or `max_completion_tokens`.
    pub ceiling_max: u64,
    /// Highest `n` or `best_of`.
    pub choices_max: u64,
}

impl Default for PeekBounds {
    fn default() -> Self {
        Self { ceiling_max: 1 << 31, choices_max: 128 }
    }
}

/// What a request's body says. Spans are byte offsets into that body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Peek {
    pub model: String,
    /// The string literal, quotes included.
    pub model_span: Range<usize>,
    pub stream: bool,
    /// `None`: the key is not there.
    pub stream_options: Option<StreamOptions>,
    /// Just after the `{` of the body.
    pub body_open: usize,
    /// Most tokens of each choice; `None`: the caller gave none.
    pub ceiling: Option<u64>,
    /// How many answers are generated: the greater of `n` and `best_of`.
    pub choices: u64,
    /// Bytes of text in what the model is to read, media at [`MAX_MEDIA_BYTES`].
    pub text_bytes: u64,
    /// Elements of `messages`.
    pub messages: u64,
}

impl Peek {
    /// Whether the caller asked for the usage chunk, so that it must not be hidden.
    #[must_use]
    pub fn wants_usage(&self) -> bool {
        self.stream_options.as_ref().is_some_and(|options| options.include_usage == Some(true))
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

/// Why a body is refused: 400 `invalid_request`.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct PeekError {
    pub message: String,
    /// The parameter at fault, where it is one that the gateway knows.
    pub param: Option<&'static str>,
}

/// Reads `body` once.
///
/// # Errors
/// What is not strict JSON, names a key twice, or gives a known field a wrong type or an absurd
/// value.
pub fn peek(body: &[u8], bounds: &PeekBounds) -> Result<Peek, PeekError> {
    let mut scanner = Scanner::strict(body)?;
    if scanner.next()? != Some(Token::ObjectOpen) {
        return Err(PeekError { message: "The body must be a JSON object".to_owned(), param: None });
    }
    let mut found = Found { body_open: scanner.span().end, ..Found::default() };
    while let Some(Token::Key(key)) = scanner.next()? {
        found.member(&mut scanner, &key, bounds)?;
    }
    // The object has closed; what is left must be nothing.
    scanner.next()?;
    found.conclude()
}

impl From<JsonError> for PeekError {
    fn from(error: JsonError) -> Self {
        let param = match &error {
            JsonError::DuplicateKey { key } => DECISIVE.iter().find(|name| *name == key).copied(),
            _ => None,
        };
        Self { message: format!("The body is not valid JSON: {error}"), param }
    }
}

/// What the members seen so far say.
#[derive(Default)]
struct Found {
    body_open: usize,
    model: Option<(String, Range<usize>)>,
    stream: bool,
    stream_options: Option<StreamOptions>,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    n: Option<u64>,
    best_of: Option<u64>,
    text_bytes: u64,
    messages: u64,
}

impl Found {
    fn member(
        &mut self,
        scanner: &mut Scanner<'_>,
        key: &Text<'_>,
        bounds: &PeekBounds,
    ) -> Result<(), PeekError> {
        match &*key.decode_bytes() {
            b"model" => self.model = Some(model(scanner)?),
            b"stream" => self.stream = boolean(scanner, "stream")?.unwrap_or(false),
            b"stream_options" => self.stream_options = Some(stream_options(scanner)?),
            b"max_tokens" => self.max_tokens = count(scanner, "max_tokens", bounds.ceiling_max)?,
            b"max_completion_tokens" => {
                self.max_completion_tokens = count(scanner, "max_completion_tokens", bounds.ceiling_max)?;
            }
            b"n" => self.n = count(scanner, "n", bounds.choices_max)?,
            b"best_of" => self.best_of = count(scanner, "best_of", bounds.choices_max)?,
            b"messages" => {
                let (bytes, elements) = messages(scanner)?;
                self.text_bytes = self.text_bytes.saturating_add(bytes);
                self.messages = elements;
            }
            b"prompt" | b"input" | b"suffix" | b"tools" | b"functions" | b"response_format" => {
                self.text_bytes = self.text_bytes.saturating_add(text_bytes(scanner)?);
            }
            _ => {
                refuse_name(&key.decode())?;
                scanner.walk(|_| {})?;
            }
        }
        Ok(())
    }

    fn conclude(self) -> Result<Peek, PeekError> {
        let Some((model, model_span)) = self.model else {
            return Err(wrong("model", "is required"));
        };
        let ceiling = match (self.max_tokens, self.max_completion_tokens) {
            (Some(old), Some(new)) if old != new => {
                return Err(wrong("max_tokens", "and `max_completion_tokens` disagree"));
            }
            (old, new) => new.or(old),
        };
        Ok(Peek {
            model,
            model_span,
            stream: self.stream,
            stream_options: self.stream_options,
            body_open: self.body_open,
            ceiling,
            choices: self.n.unwrap_or(1).max(self.best_of.unwrap_or(1)),
            text_bytes: self.text_bytes,
            messages: self.messages,
        })
    }
}

fn wrong(param: &'static str, what: &str) -> PeekError {
    PeekError { message: format!("`{param}` {what}"), param: Some(param) }
}

/// Reads the next token, which is the first of a member's value.
fn first<'a>(scanner: &mut Scanner<'a>) -> Result<Token<'a>, PeekError> {
    Ok(scanner.next()?.expect("a key is followed by a value or an error"))
}

fn model(scanner: &mut Scanner<'_>) -> Result<(String, Range<usize>), PeekError> {
    let Token::String(text) = first(scanner)? else {
        return Err(wrong("model", "must be a string"));
    };
    if text.decoded_bytes() == 0 {
        return Err(wrong("model", "must not be empty"));
    }
    if text.decoded_bytes() > MAX_MODEL_BYTES {
        return Err(wrong("model", &format!("must have at most {MAX_MODEL_BYTES} bytes")));
    }
    let name = text.decode();
    if name.contains(char::is_control) {
        return Err(wrong("model", "must not contain control characters"));
    }
    Ok((name.into_owned(), scanner.span()))
}

fn boolean(scanner: &mut Scanner<'_>, param: &'static str) -> Result<Option<bool>, PeekError> {
    match first(scanner)? {
        Token::Bool(value) => Ok(Some(value)),
        Token::Null => Ok(None),
        _ => Err(wrong(param, "must be true or false")),
    }
}

/// A whole number from 1 to `most`, or `null`. Written as digits alone: upstreams do not agree
/// on `1.0` and `1e3`.
fn count(scanner: &mut Scanner<'_>, param: &'static str, most: u64) -> Result<Option<u64>, PeekError> {
    let digits = match first(scanner)? {
        Token::Null => return Ok(None),
        Token::Number(digits) => digits,
        _ => return Err(wrong(param, "must be a whole number")),
    };
    if !digits.iter().all(|byte| byte.is_ascii_digit() || *byte == b'-') {
        return Err(wrong(param, "must be a whole number"));
    }
    let value = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    match value {
        Some(value) if (1..=most).contains(&value) => Ok(Some(value)),
        _ => Err(wrong(param, &format!("must be from 1 to {most}"))),
    }
}

fn stream_options(scanner: &mut Scanner<'_>) -> Result<StreamOptions, PeekError> {
    const PARAM: &str = "stream_options";
    let token = first(scanner)?;
    let begin = scanner.span().start;
    let mut options = StreamOptions {
        span: scanner.span(),
        open: None,
        empty: true,
        include_usage: None,
        include_usage_span: None,
    };
    match token {
        Token::Null => return Ok(options),
        Token::ObjectOpen => options.open = Some(scanner.span().end),
        _ => return Err(wrong(PARAM, "must be an object")),
    }
    while let Some(Token::Key(key)) = scanner.next()? {
        options.empty = false;
        if key.is("include_usage") {
            options.include_usage = boolean(scanner, "stream_options.include_usage")?;
            options.include_usage_span = Some(scanner.span());
            continue;
        }
        if folds_to(&key.decode(), "include_usage") {
            return Err(wrong(PARAM, "spells `include_usage` in another way"));
        }
        scanner.walk(|_| {})?;
    }
    options.span = begin..scanner.span().end;
    Ok(options)
}

/// Bytes of text in `messages`, and how many there are.
fn messages(scanner: &mut Scanner<'_>) -> Result<(u64, u64), PeekError> {
    let inside = scanner.depth() + 1;
    let mut elements = 0;
    let mut counter = TextCounter::default();
    match first(scanner)? {
        Token::ArrayOpen => {}
        Token::Null => return Ok((0, 0)),
        _ => return Err(wrong("messages", "must be an array")),
    }
    loop {
        let token = first(scanner)?;
        if token == Token::ArrayClose && scanner.depth() < inside {
            return Ok((counter.bytes, elements));
        }
        let opens = matches!(token, Token::ObjectOpen | Token::ArrayOpen);
        if opens && scanner.depth() == inside + 1 {
            elements += 1;
        }
        counter.see(&token);
    }
}

/// Bytes of text in a value of any shape; token numbers count too.
fn text_bytes(scanner: &mut Scanner<'_>) -> Result<u64, PeekError> {
    let mut counter = TextCounter::default();
    scanner.walk(|token| counter.see(token))?;
    Ok(counter.bytes)
}

#[derive(Default)]
struct TextCounter {
    bytes: u64,
    /// The member that is being read may hold a file.
    media: bool,
}

impl TextCounter {
    fn see(&mut self, token: &Token<'_>) {
        let bytes = match token {
            Token::Key(key) => {
                self.media = MEDIA_KEYS.iter().any(|name| key.is(name));
                return;
            }
            Token::String(text) if self.media => (text.decoded_bytes() as u64).min(MAX_MEDIA_BYTES),
            Token::String(text) => text.decoded_bytes() as u64,
            Token::Number(_) => TOKEN_BYTES,
            _ => 0,
        };
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// Refuses a name that chooses an upstream, or that some upstream takes for one we decide by.
fn refuse_name(name: &str) -> Result<(), PeekError> {
    if let Some(forbidden) = FORBIDDEN.iter().copied().find(|known| folds_to(name, known)) {
        return Err(wrong(forbidden, "is not taken from a request"));
    }
    if let Some(known) = DECISIVE.iter().copied().find(|known| folds_to(name, known)) {
        return Err(wrong(known, "is spelt in another case"));
    }
    Ok(())
}

/// Whether `name` is `known` to a reader that folds case as Go's JSON package does: besides the
/// ASCII letters it takes the long s for `s` and the Kelvin sign for `k`.
fn folds_to(name: &str, known: &str) -> bool {
    // The two signs are of two and three bytes, so that a fold is never longer than this.
    if name.len() < known.len() || name.len() > known.len() * 3 {
        return false;
    }
    let fold = |character: char| match character {
        'ſ' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    };
    name.chars().map(fold).eq(known.chars())
}
