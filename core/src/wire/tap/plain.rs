//! The meter of an answer that is one JSON object, of any length, in constant memory.

use super::{KeptText, MAX_KEPT_TEXT, Reading};
use crate::wire::{
    json::watch::{Member, Watch},
    openai_chat::{is_error, text, usage},
};

/// Watches an answer's top-level `usage` and `error` go by.
#[derive(Debug)]
pub struct PlainTap {
    watch: Watch<2>,
    /// The first [`MAX_KEPT_TEXT`] bytes, for the text in them.
    beginning: Vec<u8>,
    bytes: u64,
}

impl Default for PlainTap {
    fn default() -> Self {
        Self { watch: Watch::new(["usage", "error"]), beginning: Vec::new(), bytes: 0 }
    }
}

impl PlainTap {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub fn feed(&mut self, chunk: &[u8]) {
        self.watch.feed(chunk);
        let room = MAX_KEPT_TEXT - self.beginning.len();
        self.beginning.extend_from_slice(&chunk[..chunk.len().min(room)]);
        self.bytes = self.bytes.saturating_add(chunk.len() as u64);
    }

    /// What was read. Of an answer that was cut it is what can be told from the part that came.
    #[must_use]
    pub fn finish(self) -> Reading {
        let [usage, error] = self.watch.members();
        let complete = self.watch.is_whole();
        let decoded = match usage {
            Member::Value(value) if complete => usage::decode(value),
            Member::TooLong => usage::Decoded { usage: None, flagged: true },
            _ => usage::Decoded::default(),
        };
        let error = match error {
            Member::Absent => false,
            Member::Value(value) => is_error(value),
            Member::TooLong => true,
        };
        let mut written = KeptText::default();
        text::collect_answer(&self.beginning, &mut written);
        Reading {
            usage: decoded.usage,
            flagged: decoded.flagged,
            error,
            complete,
            content_bytes: self.scale(written.bytes()),
            text: written.kept,
        }
    }

    /// Bytes of text in the whole answer, if the rest of it has as much as its beginning.
    fn scale(&self, text_bytes: u64) -> u64 {
        let beginning = self.beginning.len() as u128;
        if beginning == 0 {
            return 0;
        }
        u64::try_from(u128::from(text_bytes) * u128::from(self.bytes) / beginning).unwrap_or(u64::MAX)
    }
}
