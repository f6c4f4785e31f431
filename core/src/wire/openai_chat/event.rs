//! What one event of an OpenAI stream means for the meter. An event is parsed only where it can
//! matter: where it holds the word `usage` with a value, or `error`.

use super::{
    blames_request, is_error,
    text::after_colon,
    usage::{self, Decoded},
};
use crate::wire::json::{JsonError, Scanner, Token};
use memchr::memmem;

/// The data of the event that ends a stream.
const DONE: &[u8] = b"[DONE]";

/// The type of the event with which a transcription is whole; most upstreams send [`DONE`] behind it:
/// <https://platform.openai.com/docs/api-reference/audio/transcript-text-done-event>.
const TRANSCRIBED: &[u8] = b"\"transcript.text.done\"";

/// What an event says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Seen {
    /// It is `[DONE]`, or the whole text of a transcription.
    pub terminal: bool,
    /// It has a true `error`.
    pub error: bool,
    /// The error says that the request is at fault.
    pub blames_request: bool,
    /// Its top-level `usage`, where that is not `null`; else that of a choice (Moonshot) or of `x_groq` (Groq),
    /// which say it there to whom did not ask.
    pub usage: Option<Decoded>,
    /// It holds nothing but usage: an object, and `choices` is an empty array.
    pub only_usage: bool,
    /// It has a choice with a `finish_reason`, or is the whole text of a transcription.
    pub finish: bool,
}

/// Reads the data of one event. What is not JSON says nothing.
#[must_use]
pub fn read(data: &[u8]) -> Seen {
    if data.trim_ascii() == DONE {
        return Seen { terminal: true, ..Seen::default() };
    }
    let mut reasons = members(data, b"\"finish_reason\"").peekable();
    // Nearly all events are chat's, and are not searched for another's type.
    let is_chat = reasons.peek().is_some();
    let terminal = !is_chat && transcribed(data) == Some(true);
    let is_transcribed = |value: &[u8]| value.starts_with(TRANSCRIBED);
    let finish = if is_chat {
        reasons.any(|value| value.starts_with(b"\""))
    } else {
        members(data, b"\"type\"").any(is_transcribed)
    };
    let is_set = |value: &[u8]| !value.starts_with(b"null");
    if !members(data, b"\"usage\"").any(is_set) && !members(data, b"\"error\"").any(is_set) {
        return Seen { terminal, finish, ..Seen::default() };
    }
    let seen = read_members(data).unwrap_or_default();
    Seen { terminal, finish, ..seen }
}

/// Whether an event that begins with `partial` may turn out to be the terminal one.
#[must_use]
pub fn may_be_terminal(partial: &[u8]) -> bool {
    const FIELD: &[u8] = b"data";
    let last = partial.iter().rposition(|byte| matches!(byte, b'\n' | b'\r')).map_or(0, |end| end + 1);
    // A last line that may yet become a data line says nothing so far.
    let known = if FIELD.starts_with(&partial[last..]) { &partial[..last] } else { partial };
    if b"\xef\xbb\xbf".starts_with(known) {
        return true;
    }
    let Some(data) = crate::wire::sse::data(known) else { return true };
    let data = data.trim_ascii();
    DONE.starts_with(data) || transcribed(data) != Some(false)
}

/// Whether the event whose data begins with `data` is the whole text of a transcription, which begins with its
/// type; `None`: what has come does not tell.
fn transcribed(data: &[u8]) -> Option<bool> {
    let mut rest = data;
    for token in [&b"{"[..], b"\"type\"", b":", TRANSCRIBED] {
        rest = rest.trim_ascii_start();
        let Some(behind) = rest.strip_prefix(token) else {
            return if token.starts_with(rest) { None } else { Some(false) };
        };
        rest = behind;
    }
    Some(true)
}

/// What follows the colon of each member that is named `key`, at any depth. No string can
/// contain a key with both of its quotes, since within one they would be escaped.
fn members<'a>(data: &'a [u8], key: &'static [u8]) -> impl Iterator<Item = &'a [u8]> {
    memmem::find_iter(data, key).filter_map(move |at| after_colon(&data[at + key.len()..]))
}

fn read_members(data: &[u8]) -> Result<Seen, JsonError> {
    let mut seen = Seen::default();
    let (mut usage_object, mut no_choices) = (false, false);
    let mut elsewhere = None;
    let mut scanner = Scanner::lenient(data);
    if scanner.next()? != Some(Token::ObjectOpen) {
        return Ok(seen);
    }
    while let Some(Token::Key(key)) = scanner.next()? {
        let mut tokens = 0;
        let mut first = None;
        let span = scanner.walk(|token| {
            tokens += 1;
            first.get_or_insert(*token);
        })?;
        match &*key.decode() {
            "usage" => {
                usage_object = first == Some(Token::ObjectOpen);
                seen.usage = (first != Some(Token::Null)).then(|| usage::decode(&data[span]));
            }
            "choices" => {
                no_choices = first == Some(Token::ArrayOpen) && tokens == 2;
                elsewhere = usage_within(&data[span]).or(elsewhere);
            }
            "x_groq" => elsewhere = usage_within(&data[span]).or(elsewhere),
            "error" => {
                seen.blames_request = blames_request(&data[span.clone()]);
                seen.error = is_error(&data[span]);
            }
            _ => {}
        }
    }
    scanner.next()?;
    seen.only_usage = usage_object && no_choices && !seen.error;
    seen.usage = seen.usage.or(elsewhere);
    Ok(seen)
}

/// The usage in an object, or in the last of an array of objects that has one.
fn usage_within(value: &[u8]) -> Option<Decoded> {
    let mut scanner = Scanner::lenient(value);
    let inside = match scanner.next() {
        Ok(Some(Token::ObjectOpen)) => 1,
        Ok(Some(Token::ArrayOpen)) => 2,
        _ => return None,
    };
    let mut found = None;
    while let Ok(Some(token)) = scanner.next() {
        let Token::Key(key) = token else { continue };
        if scanner.depth() == inside && key.is("usage") {
            let usage = &value[scanner.walk(|_| {}).ok()?];
            if usage.starts_with(b"{") {
                found = Some(usage::decode(usage));
            }
        }
    }
    found
}
