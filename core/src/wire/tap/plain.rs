//! The meter of an answer that is one JSON object, of any length, in constant memory.

use super::{MAX_KEPT_TEXT, Reading, Written, long::Long, reader, reader::Beside};
use crate::{
    domain::usage::Usage,
    wire::{
        Dialect,
        json::{JsonError, Scanner, Token, watch::Member},
        openai_chat::{
            is_error,
            usage::{self, Decoded},
        },
    },
};

/// Reads an answer's top-level usage and error, under the dialect's names for them.
///
/// Nearly all answers are small: they are kept, and read once at their end. One that outgrows what is
/// kept is watched as it goes by from there on, and so is one that turns out not to be strict JSON,
/// whose outline may still be told.
#[derive(Debug)]
pub struct PlainTap {
    dialect: Dialect,
    /// The first [`MAX_KEPT_TEXT`] bytes, also for the text in them.
    beginning: Vec<u8>,
    bytes: u64,
    /// Only of an answer that is larger than what is kept.
    long: Option<Box<Long>>,
}

/// What the members said.
#[derive(Default)]
struct Found {
    usage: Decoded,
    /// What the usage does not tell.
    beside: Usage,
    error: bool,
    blames_request: bool,
    complete: bool,
}

impl PlainTap {
    #[must_use]
    pub fn new(dialect: Dialect) -> Self {
        Self { dialect, beginning: Vec::new(), bytes: 0, long: None }
    }

    pub fn feed(&mut self, chunk: &[u8]) {
        let room = MAX_KEPT_TEXT - self.beginning.len();
        if self.long.is_none() && chunk.len() > room {
            self.long = Some(Box::new(watched(self.dialect, &self.beginning)));
        }
        if let Some(long) = &mut self.long {
            long.feed(chunk);
        }
        self.beginning.extend_from_slice(&chunk[..chunk.len().min(room)]);
        self.bytes = self.bytes.saturating_add(chunk.len() as u64);
    }

    /// What was read. Of an answer that was cut it is what can be told from the part that came.
    #[must_use]
    pub fn finish(self) -> Reading {
        let dialect = self.dialect;
        let found = match self.long {
            Some(long) => Found::watched(dialect, &long),
            None => Found::read(dialect, &self.beginning)
                .unwrap_or_else(|_| Found::watched(dialect, &watched(dialect, &self.beginning))),
        };
        Reading {
            usage: found.usage.usage.map(|usage| {
                usage.plus(&found.beside).plus(&reader::beside_of_beginning(dialect, &self.beginning))
            }),
            usage_is_final: true,
            flagged: found.usage.flagged,
            error: found.error,
            blames_request: found.blames_request,
            complete: found.complete,
            answer_id: reader::answer_id(dialect, &self.beginning),
            written: Written::Answer { dialect, beginning: self.beginning, bytes: self.bytes },
        }
    }
}

fn watched(dialect: Dialect, beginning: &[u8]) -> Long {
    let mut long = Long::answer(dialect);
    long.feed(beginning);
    long
}

impl Found {
    /// Of a whole answer. A member that is given twice counts as it was given last.
    fn read(dialect: Dialect, answer: &[u8]) -> Result<Self, JsonError> {
        let names = reader::names(dialect);
        let mut scanner = Scanner::lenient(answer);
        let mut found = Self { complete: true, ..Self::default() };
        if scanner.next()? != Some(Token::ObjectOpen) {
            return Err(JsonError::Syntax { what: "expected an object", at: 0 });
        }
        while let Some(Token::Key(key)) = scanner.next()? {
            if key.is(names[0]) {
                found.usage = match dialect {
                    Dialect::OpenAiChat => usage::read(&mut scanner)?,
                    _ => reader::decode(dialect, &answer[scanner.skip()?]),
                };
                continue;
            }
            if dialect == Dialect::Gemini && key.is("candidates") {
                found.beside = reader::beside(&mut scanner, answer)?;
                continue;
            }
            let is_error_member = key.is(names[1]);
            let value = &answer[scanner.skip()?];
            if is_error_member {
                found.error = is_error(value);
                found.blames_request = reader::blames_request(dialect, value);
            }
        }
        // The object has closed; what is left must be nothing.
        scanner.next()?;
        Ok(found)
    }

    /// Of an answer's outline.
    fn watched(dialect: Dialect, long: &Long) -> Self {
        let [usage, error] = long.watch.members();
        let complete = long.watch.is_whole();
        let usage = match usage {
            Member::Value(value) if complete => reader::decode(dialect, value.trim_ascii()),
            Member::TooLong => Decoded { usage: None, flagged: true },
            _ => Decoded::default(),
        };
        let (error, blames_request) = match error {
            Member::Absent => (false, false),
            Member::Value(value) => (is_error(value), reader::blames_request(dialect, value)),
            Member::TooLong => (true, false),
        };
        let beside = long.beside().map_or_else(Usage::default, Beside::usage);
        Self { usage, beside, error, blames_request, complete }
    }
}
