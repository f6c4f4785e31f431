//! What one event means to the meter, in each dialect.
//!
//! An event is parsed once, and only as far as it can hold usage, an error, the end or text that the
//! model wrote; what most events are costs no allocation.

mod anthropic;
mod gemini;
mod responses;

pub(super) use gemini::{Beside, beside};

use super::{KeptText, long::Long, walk};
use crate::{
    domain::usage::Usage,
    wire::{
        Dialect, gemini as gemini_codec,
        json::{JsonError, Scanner, Text},
        openai_chat::{event, is_error, text, usage::Decoded},
        sse,
    },
};
use memchr::{memchr2, memmem};

/// What an event says.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    /// It is the dialect's own end.
    pub(super) terminal: bool,
    pub(super) error: bool,
    /// The error says that the request is at fault.
    pub(super) blames_request: bool,
    pub(super) usage: Option<Told>,
    /// It holds nothing but usage.
    pub(super) only_usage: bool,
    /// It says why the answer ended.
    pub(super) finish: bool,
    /// It is nothing of an answer yet: the connection lives, or an answer is to come.
    pub(super) says_nothing: bool,
}

/// The usage of an event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    /// `None`: it cannot be believed, or the reader keeps it ([`Reader::usage`]).
    pub(super) usage: Option<Usage>,
    /// All tokens; `None`: not to be believed.
    pub(super) total: Option<u64>,
    pub(super) flagged: bool,
}

/// What the beginning of an event says of its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outlook {
    /// It may be the terminal one.
    Open,
    /// It is the terminal one.
    Ends,
    /// It is another one.
    Passes,
}

/// Reads the events of one stream.
#[derive(Debug)]
pub(super) enum Reader {
    Chat,
    Anthropic(anthropic::Reader),
    Responses(responses::Reader),
    Gemini(Box<gemini::Reader>),
}

impl Reader {
    pub(super) fn new(dialect: Dialect) -> Self {
        match dialect {
            Dialect::OpenAiChat => Self::Chat,
            Dialect::AnthropicMessages => Self::Anthropic(anthropic::Reader::default()),
            Dialect::OpenAiResponses => Self::Responses(responses::Reader::default()),
            Dialect::Gemini => Self::Gemini(Box::default()),
        }
    }

    /// Reads an event, whose data is `data`, and adds what the model wrote to `text`. What is not JSON
    /// says nothing.
    pub(super) fn read(&mut self, event: &[u8], data: &[u8], text: &mut KeptText) -> Seen {
        match self {
            Self::Chat => chat(data, text),
            Self::Anthropic(reader) => reader.read(event, data, text),
            Self::Responses(reader) => reader.read(event, data, text),
            Self::Gemini(reader) => reader.read(data, text),
        }
    }

    /// Of an event that was too large to be kept; also whether something of it may be missing.
    pub(super) fn read_long(&mut self, long: &Long) -> (Seen, bool) {
        match self {
            Self::Responses(_) => read_long(Dialect::OpenAiResponses, long),
            Self::Gemini(reader) => reader.read_long(long),
            // An image, which comes with its usage and has no reason to end.
            Self::Chat => {
                let (seen, is_missing) = read_long(Dialect::OpenAiChat, long);
                (Seen { finish: false, ..seen }, is_missing)
            }
            Self::Anthropic(_) => (Seen::default(), true),
        }
    }

    /// What can be told of an event that begins with `beginning`. It never changes once it is told.
    pub(super) fn outlook(&self, beginning: &[u8]) -> Outlook {
        let is_end = match self {
            Self::Chat if event::may_be_terminal(beginning) => return Outlook::Open,
            Self::Chat | Self::Gemini(_) => return Outlook::Passes,
            Self::Anthropic(_) => anthropic::is_end,
            Self::Responses(_) => responses::is_end,
        };
        let data = sse::data(beginning);
        match data.as_deref().and_then(walk::kind) {
            None => Outlook::Open,
            Some(kind) if is_end(&kind.decode_bytes()) => Outlook::Ends,
            Some(_) => Outlook::Passes,
        }
    }

    /// The usage of the answer so far, where the last that was read is `last`; and whether it cannot be
    /// believed.
    pub(super) fn usage(&self, last: Option<Usage>) -> (Option<Usage>, bool) {
        match self {
            Self::Gemini(reader) => reader.usage(),
            Self::Responses(reader) => (reader.usage(last), false),
            Self::Chat | Self::Anthropic(_) => (last, false),
        }
    }

    /// See [`super::Reading::answer_id`].
    pub(super) fn answer_id(&self) -> Option<Box<str>> {
        if let Self::Responses(reader) = self { reader.answer_id.clone() } else { None }
    }

    /// Whether an end without a reason to finish is no whole answer's: the dialect has no other end than
    /// that of a body.
    pub(super) fn ends_by_reason(&self) -> bool {
        matches!(self, Self::Gemini(_))
    }
}

/// Of an event that was too large to be kept; also whether something of it may be missing.
fn read_long(dialect: Dialect, long: &Long) -> (Seen, bool) {
    let [usage, error] = long.values();
    let error = error.filter(|error| is_error(error));
    let decoded = usage.map(|usage| decode(dialect, usage)).filter(|decoded| *decoded != Decoded::default());
    let seen = Seen {
        usage: decoded.map(Told::of),
        error: error.is_some(),
        blames_request: error.is_some_and(|error| blames_request(dialect, error)),
        finish: error.is_none(),
        ..Seen::default()
    };
    (seen, seen.usage.is_none())
}

/// The id of a plain answer that begins with `beginning`.
pub(super) fn answer_id(dialect: Dialect, beginning: &[u8]) -> Option<Box<str>> {
    if dialect == Dialect::OpenAiResponses { responses::id_of(beginning, false) } else { None }
}

impl Told {
    pub(super) fn of(Decoded { usage, flagged }: Decoded) -> Self {
        Self { usage, total: usage.map(|usage| usage.total_tokens()), flagged }
    }
}

fn chat(data: &[u8], text: &mut KeptText) -> Seen {
    let seen = event::read(data);
    // A transcription that is whole repeats what was told before.
    if !seen.terminal || text.bytes() == 0 {
        text::collect_event(data, text);
    }
    Seen {
        terminal: seen.terminal,
        error: seen.error,
        blames_request: seen.blames_request,
        usage: seen.usage.map(Told::of),
        only_usage: seen.only_usage,
        finish: seen.finish,
        says_nothing: false,
    }
}

/// An event of no type that is known, in dialects whose events have one: an error by its name, or by
/// what others send in the place of events. `blames` reads the error.
fn untyped(event: &[u8], data: &[u8], has_type: bool, blames: fn(&[u8]) -> bool) -> Seen {
    let mut error = is_named_error(event).then_some(data);
    if !has_type && memmem::find(data, b"\"error\"").is_some() {
        let told = error_member(data).ok().flatten().filter(|value| is_error(value));
        error = told.or(error);
    }
    Seen { error: error.is_some(), blames_request: error.is_some_and(blames), ..Seen::default() }
}

/// Whether the event's name is `error`.
fn is_named_error(event: &[u8]) -> bool {
    let mut rest = event;
    while !rest.is_empty() {
        let end = memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        if let Some(name) = rest[..end].strip_prefix(b"event:") {
            return name.trim_ascii() == b"error";
        }
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    false
}

/// The value of the top-level `error`.
pub(super) fn error_member(data: &[u8]) -> Result<Option<&[u8]>, JsonError> {
    let mut found = None;
    walk::document(data, |key, scanner| {
        let value = &data[scanner.walk(|_| {})?];
        if key == b"error" {
            found = Some(value);
        }
        Ok(())
    })?;
    Ok(found)
}

/// What a plain answer that begins with `beginning` tells beside its usage, in a dialect where that is near its
/// beginning.
pub(super) fn beside_of_beginning(dialect: Dialect, beginning: &[u8]) -> Usage {
    if dialect == Dialect::OpenAiResponses { responses::beside(beginning) } else { Usage::default() }
}

/// The body that tells of the error in an event as an answer of its own.
pub(super) fn error_body(dialect: Dialect, data: &[u8]) -> Vec<u8> {
    if dialect == Dialect::OpenAiResponses { responses::error_body(data) } else { data.to_vec() }
}

/// The names of a plain answer's usage and of its error.
pub(super) fn names(dialect: Dialect) -> [&'static str; 2] {
    [if dialect == Dialect::Gemini { "usageMetadata" } else { "usage" }, "error"]
}

/// Reads the value of a plain answer's usage.
pub(super) fn decode(dialect: Dialect, value: &[u8]) -> Decoded {
    match dialect {
        Dialect::OpenAiChat => crate::wire::openai_chat::usage::decode(value),
        Dialect::AnthropicMessages => anthropic::decode(value),
        Dialect::OpenAiResponses => responses::decode(value),
        Dialect::Gemini => gemini::decode(value),
    }
}

/// Whether the value of a plain answer's error says that the request is at fault.
pub(super) fn blames_request(dialect: Dialect, value: &[u8]) -> bool {
    match dialect {
        Dialect::OpenAiChat => crate::wire::openai_chat::blames_request(value),
        Dialect::AnthropicMessages => anthropic::blames_request(value),
        Dialect::OpenAiResponses => responses::blames_request(value),
        Dialect::Gemini => gemini_codec::error_kind(value).blames_request(),
    }
}

/// Adds the text of a whole answer, or of its beginning where it was cut.
pub(super) fn collect_answer(dialect: Dialect, json: &[u8], into: &mut KeptText) {
    match dialect {
        Dialect::OpenAiChat => text::collect_answer(json, into),
        Dialect::AnthropicMessages => anthropic::collect_answer(json, into),
        Dialect::OpenAiResponses => responses::collect_answer(json, into),
        Dialect::Gemini => {
            gemini::Reader::default().read(json, into);
        }
    }
}

/// Adds a text, where it is one.
fn push_string(scanner: &mut Scanner<'_>, into: &mut KeptText) -> Result<(), JsonError> {
    if let Some(text) = walk::string(scanner)? {
        into.push(&text);
    }
    Ok(())
}

/// Adds the JSON of a call's arguments, but for those of none.
fn push_arguments(scanner: &mut Scanner<'_>, json: &[u8], into: &mut KeptText) -> Result<(), JsonError> {
    let value = &json[scanner.walk(|_| {})?];
    if value != b"{}" && value != b"null" {
        into.push_json(value);
    }
    Ok(())
}

fn is_some(text: Option<Text<'_>>) -> bool {
    text.is_some_and(|text| text.decoded_bytes() > 0)
}
