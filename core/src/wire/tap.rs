//! Reads usage from an answer while its bytes pass, plain or streamed.

mod plain;
mod stream;
#[cfg(test)]
mod tests;

pub use plain::PlainTap;
pub use stream::{First, HOLD_MAX, StreamTap, TERMINAL_MAX};

use super::json::Text;
use crate::domain::{estimate, usage::Usage};

/// Most text that is kept of an answer to be tokenised if it must be, in bytes; the rest is only
/// counted.
pub const MAX_KEPT_TEXT: usize = 64 * 1024;

/// What an answer said of itself.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Reading {
    /// The last usage that was given; `None`: none, or one that cannot be believed.
    pub usage: Option<Usage>,
    /// The numbers contradict each other or cannot be believed, or a part was too large to read.
    pub flagged: bool,
    /// It holds an error, whatever its status says.
    pub error: bool,
    /// It came to its own end: a whole JSON object, or the terminal event of a stream, or, where
    /// an upstream sends none, a clean end after a `finish_reason`.
    pub complete: bool,
    /// Bytes of text that the model wrote.
    pub content_bytes: u64,
    /// The first [`MAX_KEPT_TEXT`] bytes of that text.
    pub text: String,
}

impl Reading {
    /// Output tokens by tokenizer, for where no usage was given. Costs milliseconds.
    #[must_use]
    pub fn estimated_output(&self) -> u64 {
        estimate::output_tokens(&self.text, self.content_bytes)
    }
}

/// Text of which the beginning is kept and the whole is counted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct KeptText {
    kept: String,
    bytes: u64,
}

impl KeptText {
    pub fn push(&mut self, text: &Text<'_>) {
        let room = MAX_KEPT_TEXT - self.kept.len();
        // Once something was left out nothing is added, so that what is kept is a beginning.
        if self.bytes == self.kept.len() as u64 && room > 0 {
            let text = text.decode();
            self.kept.push_str(&text[..text.floor_char_boundary(room)]);
        }
        self.bytes = self.bytes.saturating_add(text.decoded_bytes() as u64);
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
