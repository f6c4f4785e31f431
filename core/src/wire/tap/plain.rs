//! The meter of an answer that is one JSON object, of any length, in constant memory.

use super::{MAX_KEPT_TEXT, Reading, Written};
use crate::wire::{
    json::{
        JsonError, Scanner, Token,
        watch::{Member, Watch},
    },
    openai_chat::{
        blames_request, is_error,
        usage::{self, Decoded},
    },
};

const NAMES: [&str; 2] = ["usage", "error"];

/// Reads an answer's top-level `usage` and `error`.
///
/// Nearly all answers are small: they are kept, and read once at their end. One that outgrows what is
/// kept is watched as it goes by from there on, and so is one that turns out not to be strict JSON,
/// whose outline may still be told.
#[derive(Debug, Default)]
pub struct PlainTap {
    /// The first [`MAX_KEPT_TEXT`] bytes, also for the text in them.
    beginning: Vec<u8>,
    bytes: u64,
    /// Only of an answer that is larger than what is kept.
    watch: Option<Box<Watch<2>>>,
}

/// What the two members said.
#[derive(Default)]
struct Found {
    usage: Decoded,
    error: bool,
    blames_request: bool,
    complete: bool,
}

impl PlainTap {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub fn feed(&mut self, chunk: &[u8]) {
        let room = MAX_KEPT_TEXT - self.beginning.len();
        if self.watch.is_none() && chunk.len() > room {
            self.watch = Some(Box::new(watched(&self.beginning)));
        }
        if let Some(watch) = &mut self.watch {
            watch.feed(chunk);
        }
        self.beginning.extend_from_slice(&chunk[..chunk.len().min(room)]);
        self.bytes = self.bytes.saturating_add(chunk.len() as u64);
    }

    /// What was read. Of an answer that was cut it is what can be told from the part that came.
    #[must_use]
    pub fn finish(self) -> Reading {
        let found = match self.watch {
            Some(watch) => Found::watched(&watch),
            None => {
                Found::read(&self.beginning).unwrap_or_else(|_| Found::watched(&watched(&self.beginning)))
            }
        };
        Reading {
            usage: found.usage.usage,
            usage_is_final: true,
            flagged: found.usage.flagged,
            error: found.error,
            blames_request: found.blames_request,
            complete: found.complete,
            written: Written::Answer { beginning: self.beginning, bytes: self.bytes },
        }
    }
}

fn watched(beginning: &[u8]) -> Watch<2> {
    let mut watch = Watch::new(NAMES);
    watch.feed(beginning);
    watch
}

impl Found {
    /// Of a whole answer. A member that is given twice counts as it was given last.
    fn read(answer: &[u8]) -> Result<Self, JsonError> {
        let mut scanner = Scanner::lenient(answer);
        let mut found = Self { complete: true, ..Self::default() };
        if scanner.next()? != Some(Token::ObjectOpen) {
            return Err(JsonError::Syntax { what: "expected an object", at: 0 });
        }
        while let Some(Token::Key(key)) = scanner.next()? {
            if key.is(NAMES[0]) {
                found.usage = usage::read(&mut scanner)?;
                continue;
            }
            let is_error_member = key.is(NAMES[1]);
            let value = &answer[scanner.walk(|_| {})?];
            if is_error_member {
                (found.error, found.blames_request) = (is_error(value), blames_request(value));
            }
        }
        // The object has closed; what is left must be nothing.
        scanner.next()?;
        Ok(found)
    }

    /// Of an answer's outline.
    fn watched(watch: &Watch<2>) -> Self {
        let [usage, error] = watch.members();
        let complete = watch.is_whole();
        let usage = match usage {
            Member::Value(value) if complete => usage::decode(value),
            Member::TooLong => Decoded { usage: None, flagged: true },
            _ => Decoded::default(),
        };
        let (error, blames_request) = match error {
            Member::Absent => (false, false),
            Member::Value(value) => (is_error(value), blames_request(value)),
            Member::TooLong => (true, false),
        };
        Self { usage, error, blames_request, complete }
    }
}
