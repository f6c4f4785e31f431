//! Reads usage from an answer while its bytes pass, plain or streamed, in the dialect of the upstream,
//! which is the caller's as well: the bytes stay as they are.

mod framing;
mod heard;
mod long;
mod meter;
mod outline;
mod plain;
mod raw;
mod reader;
mod stream;
#[cfg(test)]
mod tests;
mod walk;

pub use heard::StreamMeter;
pub use plain::PlainTap;
pub use raw::RawTap;
pub use stream::{First, HOLD_MAX, LONG_END_HELD, StreamTap, TERMINAL_MAX};

use super::{Dialect, json::Text, openai_chat};
use crate::domain::{estimate, usage::Usage};
use std::borrow::Cow;

/// Most text that is kept of an answer to be tokenised if it must be, in bytes; the rest is only
/// counted.
pub const MAX_KEPT_TEXT: usize = 64 * 1024;

/// What an answer said of itself.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Reading {
    /// The last usage that was given; `None`: none, or one that cannot be believed.
    pub usage: Option<Usage>,
    /// It is the whole answer's and not one on the way there: the text had ended before.
    pub usage_is_final: bool,
    /// The numbers contradict each other or cannot be believed, or a part was too large to read.
    pub flagged: bool,
    /// It holds an error, whatever its status says.
    pub error: bool,
    /// The error says that the request is at fault, and not the upstream.
    pub blames_request: bool,
    /// It came to its own end: a whole JSON object, or the terminal event of a stream, or, where
    /// an upstream sends none, a clean end after the reason why it finished.
    pub complete: bool,
    /// The answer's own id, in the one dialect where an id can come back.
    pub answer_id: Option<Box<str>>,
    pub written: Written,
}

/// Where the text is that the model wrote. It is looked for only where it is asked for: most
/// answers say themselves what they used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Written {
    /// Collected from a stream.
    Text(KeptText),
    /// Somewhere in an answer of `bytes` bytes, of which at most [`MAX_KEPT_TEXT`] are kept.
    Answer { dialect: Dialect, beginning: Vec<u8>, bytes: u64 },
}

impl Default for Written {
    fn default() -> Self {
        Self::Text(KeptText::default())
    }
}

impl Reading {
    /// The text that the model wrote.
    #[must_use]
    pub fn text(&self) -> Cow<'_, KeptText> {
        match &self.written {
            Written::Text(text) => Cow::Borrowed(text),
            Written::Answer { dialect, beginning, bytes } => {
                Cow::Owned(KeptText::of_answer(*dialect, beginning, *bytes))
            }
        }
    }

    /// How many images a plain answer of OpenAI's has; `None`: that is not known, as where it was too long to be kept.
    #[must_use]
    pub fn images(&self) -> Option<u64> {
        let Written::Answer { dialect: Dialect::OpenAiChat, beginning, bytes } = &self.written else {
            return None;
        };
        let is_kept = self.complete && beginning.len() as u64 == *bytes;
        is_kept.then(|| openai_chat::images(beginning)).flatten()
    }

    /// Output tokens by tokenizer, for where no usage was given. Costs milliseconds.
    #[must_use]
    pub fn estimated_output(&self) -> u64 {
        let text = self.text();
        estimate::output_tokens(&text.kept, text.bytes)
    }
}

/// Text of which the beginning is kept and the whole is counted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct KeptText {
    kept: String,
    bytes: u64,
}

impl KeptText {
    /// Text of which nothing but its size is known.
    #[must_use]
    pub fn unseen(bytes: u64) -> Self {
        Self { kept: String::new(), bytes }
    }

    /// The text of an answer of `bytes` bytes that begins with `beginning`, counted as if the
    /// rest had as much of it.
    fn of_answer(dialect: Dialect, beginning: &[u8], bytes: u64) -> Self {
        let mut found = Self::default();
        reader::collect_answer(dialect, beginning, &mut found);
        let scaled = u128::from(found.bytes) * u128::from(bytes) / (beginning.len() as u128).max(1);
        Self { bytes: u64::try_from(scaled).unwrap_or(u64::MAX), ..found }
    }

    pub fn push(&mut self, text: &Text<'_>) {
        if self.has_room() {
            self.push_str(&text.decode());
        } else {
            self.bytes = self.bytes.saturating_add(text.decoded_bytes() as u64);
        }
    }

    /// Adds JSON as it is written.
    pub fn push_json(&mut self, json: &[u8]) {
        if self.has_room() {
            self.push_str(&String::from_utf8_lossy(json));
        } else {
            self.bytes = self.bytes.saturating_add(json.len() as u64);
        }
    }

    pub fn push_str(&mut self, text: &str) {
        if self.has_room() {
            let room = MAX_KEPT_TEXT - self.kept.len();
            self.kept.push_str(&text[..text.floor_char_boundary(room)]);
        }
        self.bytes = self.bytes.saturating_add(text.len() as u64);
    }

    /// Once something was left out nothing is added, so that what is kept is a beginning.
    fn has_room(&self) -> bool {
        self.bytes == self.kept.len() as u64 && self.kept.len() < MAX_KEPT_TEXT
    }

    #[must_use]
    pub fn kept(&self) -> &str {
        &self.kept
    }

    /// Bytes of all of it.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}
