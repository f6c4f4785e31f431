//! The meter of an answer that is one JSON object, of any length, in constant memory.

use super::{MAX_KEPT_TEXT, Reading, Written};
use crate::wire::{
    json::watch::{Member, Watch},
    openai_chat::{blames_request, is_error, usage},
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
        let (error, blames_request) = match error {
            Member::Absent => (false, false),
            Member::Value(value) => (is_error(value), blames_request(value)),
            Member::TooLong => (true, false),
        };
        Reading {
            usage: decoded.usage,
            usage_is_final: true,
            flagged: decoded.flagged,
            error,
            blames_request,
            complete,
            written: Written::Answer { beginning: self.beginning, bytes: self.bytes },
        }
    }
}
