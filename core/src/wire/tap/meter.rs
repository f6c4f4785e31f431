//! What the events of a stream said.

use super::{
    First, HOLD_MAX, KeptText, Reading, Written,
    long::Long,
    reader::{Outlook, Reader, Seen},
};
use crate::{domain::usage::Usage, wire::Dialect};

/// What should become of an event, or of a piece of one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    Pass,
    Hold,
    Drop,
    /// It and all that follows waits for [`super::StreamTap::take_terminal`].
    Terminal,
}

#[derive(Debug)]
pub(super) struct Meter {
    reader: Reader,
    /// Only in chat is there something to hide.
    hide_usage: bool,
    pub(super) first: First,
    bytes_before_first: usize,
    usage: Option<Usage>,
    /// All tokens of the last usage.
    total: u64,
    usage_is_final: bool,
    pub(super) flagged: bool,
    pub(super) error: bool,
    pub(super) blames_request: bool,
    pub(super) done: bool,
    finish: bool,
    /// The body ended as such, and not within something.
    pub(super) clean_end: bool,
    text: KeptText,
}

impl Meter {
    pub(super) fn new(dialect: Dialect, hide_usage: bool) -> Self {
        Self {
            reader: Reader::new(dialect),
            hide_usage: hide_usage && dialect == Dialect::OpenAiChat,
            first: First::Unknown,
            bytes_before_first: 0,
            usage: None,
            total: 0,
            usage_is_final: false,
            flagged: false,
            error: false,
            blames_request: false,
            done: false,
            finish: false,
            clean_end: false,
            text: KeptText::default(),
        }
    }

    /// What can be told of an event that has only begun.
    pub(super) fn outlook(&self, beginning: &[u8]) -> Outlook {
        let beginning = &beginning[..beginning.len().min(HOLD_MAX)];
        if self.hide_usage { Outlook::Open } else { self.reader.outlook(beginning) }
    }

    /// Reads a whole event with its data and says what should become of it, were it small enough to be
    /// held.
    pub(super) fn judge(&mut self, event: &[u8], data: &[u8]) -> Fate {
        let seen = self.reader.read(event, data, &mut self.text);
        let large = event.len() > HOLD_MAX;
        if !seen.says_nothing {
            self.see_first(if seen.error && !large { First::Error } else { First::Answer });
        }
        self.note(&seen);
        if seen.terminal {
            self.done = true;
            return Fate::Terminal;
        }
        if seen.only_usage && self.hide_usage { Fate::Drop } else { Fate::Pass }
    }

    /// The array of a stream that is one has closed.
    pub(super) fn close(&mut self) -> Fate {
        self.see_first(First::Answer);
        self.done = true;
        Fate::Terminal
    }

    /// An event was too large to be kept; `long` is what was picked out of it.
    pub(super) fn note_long(&mut self, long: Option<&Long>) {
        let unread = (Seen::default(), true);
        let (seen, is_missing) = long.map_or(unread, |long| self.reader.read_long(long));
        self.flagged |= is_missing;
        self.see_first(First::Answer);
        self.note(&seen);
    }

    fn note(&mut self, seen: &Seen) {
        self.error |= seen.error;
        self.blames_request |= seen.blames_request;
        self.finish |= seen.finish;
        let Some(told) = seen.usage else { return };
        // Counts that are told again and again only grow; the last one is right all the same.
        self.flagged |= told.flagged || told.total.is_some_and(|total| total < self.total);
        self.total = told.total.unwrap_or(0);
        self.usage = told.usage;
        self.usage_is_final = self.finish || seen.only_usage;
    }

    pub(super) fn see_first(&mut self, first: First) {
        if self.first == First::Unknown {
            self.first = first;
        }
    }

    /// Gives up on a first event that does not come to its end, so that a caller that waits for
    /// it keeps a bounded number of bytes.
    pub(super) fn note_bytes(&mut self, bytes: usize) {
        if self.first == First::Unknown {
            self.bytes_before_first += bytes;
            if self.bytes_before_first > HOLD_MAX {
                self.first = First::Answer;
            }
        }
    }

    /// What was read so far; the text is moved out.
    pub(super) fn take_reading(&mut self) -> Reading {
        let (usage, is_bad) = self.reader.usage(self.usage);
        let has_ended = self.done || self.clean_end;
        let by_reason = self.finish && has_ended;
        Reading {
            usage,
            // Where every event may say why the answer ended, only the last one does.
            usage_is_final: self.usage_is_final && (has_ended || !self.reader.ends_by_reason()),
            flagged: self.flagged || is_bad,
            error: self.error,
            blames_request: self.blames_request,
            answer_id: self.reader.answer_id(),
            complete: by_reason || (self.done && !self.reader.ends_by_reason()),
            written: Written::Text(std::mem::take(&mut self.text)),
        }
    }
}
