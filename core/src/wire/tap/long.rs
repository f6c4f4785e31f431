//! The meter of what is too large to be kept: what matters of it is picked out as it goes by.
//!
//! Events of more than [`crate::wire::sse::MAX_EVENT`] are images, Gemini's and those of OpenAI's own stream of
//! them, or the last event of OpenAI's responses, which holds all that was generated: all hold the usage as well.

use super::{
    outline::Outline,
    reader::{self, Beside},
};
use crate::wire::{
    Dialect,
    json::{
        Scanner, Token,
        watch::{Member, Watch},
    },
};
use memchr::memchr2;

/// See the module; also of a plain answer.
#[derive(Debug)]
pub(super) struct Long {
    pub(super) watch: Watch<2>,
    /// Only in Gemini's dialect.
    outline: Option<Outline>,
}

impl Long {
    /// Of a plain answer.
    pub(super) fn answer(dialect: Dialect) -> Self {
        let outline = (dialect == Dialect::Gemini).then(Outline::default);
        Self { watch: Watch::new(reader::names(dialect)), outline }
    }

    /// Of an event of which `event` has come so far; `None`: in this dialect nothing is to be found
    /// there.
    pub(super) fn event(dialect: Dialect, is_object: bool, event: &[u8]) -> Option<Self> {
        let data = if is_object { event } else { first_data(event)? };
        let object = match dialect {
            Dialect::Gemini | Dialect::OpenAiChat => data,
            Dialect::OpenAiResponses => response(data)?,
            Dialect::AnthropicMessages => return None,
        };
        let mut long = Self::answer(dialect);
        long.feed(object);
        Some(long)
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.watch.feed(bytes);
        if let Some(outline) = &mut self.outline {
            outline.feed(bytes);
        }
    }

    /// The values of the usage and of the error, as far as they were kept.
    pub(super) fn values(&self) -> [Option<&[u8]>; 2] {
        let [usage, error] = self.watch.members();
        [usage, error].map(|member| match member {
            Member::Value(value) => Some(value.trim_ascii()),
            Member::Absent | Member::TooLong => None,
        })
    }

    /// What the usage does not tell.
    pub(super) fn beside(&self) -> Option<&Beside> {
        self.outline.as_ref().map(Outline::beside)
    }

    pub(super) fn has_finish(&self) -> bool {
        self.outline.as_ref().is_some_and(Outline::has_finish)
    }
}

/// What follows `data:` in the first line that has it.
fn first_data(event: &[u8]) -> Option<&[u8]> {
    let mut rest = event;
    while !rest.is_empty() {
        if let Some(data) = rest.strip_prefix(b"data:") {
            return Some(data);
        }
        let end = memchr2(b'\n', b'\r', rest)?;
        rest = &rest[end + 1..];
    }
    None
}

/// The response within an event, as far as it has come.
fn response(data: &[u8]) -> Option<&[u8]> {
    let mut scanner = Scanner::lenient(data);
    if scanner.next() != Ok(Some(Token::ObjectOpen)) {
        return None;
    }
    while let Ok(Some(Token::Key(key))) = scanner.next() {
        if key.is("response") {
            return Some(&data[scanner.span().end..]);
        }
        scanner.walk(|_| {}).ok()?;
    }
    None
}
