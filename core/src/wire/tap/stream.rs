//! The meter of an event stream: passes its bytes on, reads what they say, hides the usage chunk
//! that the caller did not ask for, and keeps the end back until it may be told.
//!
//! How the upstream's bytes were cut never changes what goes to the client: whatever is decided
//! about an event depends on the event alone.

use super::{KeptText, Reading, Written};
use crate::{
    domain::usage::Usage,
    wire::{
        openai_chat::{
            event::{self, Seen},
            text,
        },
        sse::{self, Piece, PieceKind, Splitter},
    },
};
use bytes::Bytes;
use std::ops::Range;

/// Largest event, in bytes, that is held until it is whole. A larger one is passed on as it
/// comes: it is neither hidden nor taken for the terminal event nor for an error that nothing
/// preceded.
pub const HOLD_MAX: usize = 64 * 1024;
/// Most bytes that are kept from the terminal event on; what an upstream sends beyond is dropped
/// and flagged.
pub const TERMINAL_MAX: usize = 64 * 1024;

/// What the first event is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum First {
    /// Not known yet. Nothing should be sent to the client; this ends after [`HOLD_MAX`] bytes and
    /// one chunk at the latest.
    #[default]
    Unknown,
    /// A part of an answer, or something that is not read.
    Answer,
    /// An error: no answer has begun, another deployment may be asked.
    Error,
}

/// See the module.
#[derive(Debug)]
pub struct StreamTap {
    splitter: Splitter,
    meter: Meter,
    /// The beginning of an event whose fate is not known.
    held: Vec<Bytes>,
    /// The event that is under way is too large or too different to be held any more.
    passing: bool,
    /// What became of the last whole piece.
    last: Fate,
    ended: bool,
    terminal: Vec<Bytes>,
    terminal_bytes: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Pass,
    Hold,
    Drop,
    /// It and all that follows waits for [`StreamTap::take_terminal`].
    Terminal,
}

/// What the events said.
#[derive(Debug, Default)]
struct Meter {
    hide_usage: bool,
    first: First,
    bytes_before_first: usize,
    usage: Option<Usage>,
    usage_is_final: bool,
    flagged: bool,
    error: bool,
    blames_request: bool,
    done: bool,
    finish: bool,
    clean_end: bool,
    text: KeptText,
}

impl StreamTap {
    /// With `hide_usage`, the chunk that holds only usage does not reach the client.
    #[must_use]
    pub fn new(hide_usage: bool) -> Self {
        Self {
            splitter: Splitter::default(),
            meter: Meter { hide_usage, ..Meter::default() },
            held: Vec::new(),
            passing: false,
            last: Fate::Pass,
            ended: false,
            terminal: Vec::new(),
            terminal_bytes: 0,
        }
    }

    /// Reads `chunk` and appends to `out` what may go to the client now, as slices of what came
    /// in.
    pub fn feed(&mut self, chunk: &Bytes, out: &mut Vec<Bytes>) {
        let mut at = 0;
        // What lies side by side is passed on in one slice.
        let mut run = 0..0;
        while !self.ended
            && let Some(piece) = self.splitter.next(chunk, at)
        {
            at = piece.range.end;
            let fate = self.fate(chunk, &piece);
            if fate == Fate::Pass {
                // Only the first piece of a chunk can follow held bytes: the run is empty then.
                out.append(&mut self.held);
                run = if run.is_empty() { piece.range } else { run.start..at };
                continue;
            }
            pass(chunk, std::mem::take(&mut run), out);
            match fate {
                Fate::Hold => self.held.push(chunk.slice(piece.range)),
                Fate::Drop => self.held.clear(),
                Fate::Terminal => {
                    self.end();
                    self.keep_terminal(chunk.slice(piece.range));
                }
                Fate::Pass => {}
            }
        }
        pass(chunk, std::mem::take(&mut run), out);
        if self.ended && at < chunk.len() {
            self.keep_terminal(chunk.slice(at..));
        }
        self.meter.note_bytes(chunk.len());
    }

    /// The upstream's body has come to its proper end: reads and passes on what was held. Must
    /// not be called for a body that broke off, so that a half event is not taken for a whole.
    pub fn finish(&mut self, out: &mut Vec<Bytes>) {
        self.meter.clean_end = true;
        if self.ended {
            return;
        }
        let fate = match self.splitter.unfinished() {
            Some(event) => self.meter.judge(event),
            None => Fate::Pass,
        };
        match fate {
            Fate::Terminal if !self.passing => self.end(),
            Fate::Drop if !self.passing => self.held.clear(),
            _ => out.append(&mut self.held),
        }
        self.meter.first = self.first_or(First::Answer);
    }

    /// What the first event is; not known until it is whole.
    #[must_use]
    pub fn first(&self) -> First {
        self.meter.first
    }

    /// Whether the terminal event was seen: nothing that the client needs can follow.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.meter.done
    }

    /// Whether an event brought an error, the first one included.
    #[must_use]
    pub fn has_error(&self) -> bool {
        self.meter.error
    }

    /// Whether that error says that the request is at fault.
    #[must_use]
    pub fn blames_request(&self) -> bool {
        self.meter.blames_request
    }

    /// Whether a comment of ours could be sent now: the client has only whole events.
    #[must_use]
    pub fn is_between_events(&self) -> bool {
        !self.ended && (self.splitter.is_between() || !self.held.is_empty() && !self.passing)
    }

    /// The terminal event and what followed it, to be sent once the exchange is in the journal.
    pub fn take_terminal(&mut self) -> Vec<Bytes> {
        std::mem::take(&mut self.terminal)
    }

    /// What was read so far; the text is moved out.
    pub fn take_reading(&mut self) -> Reading {
        let text = std::mem::take(&mut self.meter.text);
        Reading {
            usage: self.meter.usage,
            usage_is_final: self.meter.usage_is_final,
            flagged: self.meter.flagged,
            error: self.meter.error,
            blames_request: self.meter.blames_request,
            complete: self.meter.done || (self.meter.finish && self.meter.clean_end),
            written: Written::Text(text),
        }
    }

    fn fate(&mut self, chunk: &Bytes, piece: &Piece) -> Fate {
        match piece.kind {
            PieceKind::Late => return self.last,
            PieceKind::Outside => self.last = Fate::Pass,
            PieceKind::Part { bytes } => return self.fate_of_part(bytes),
            PieceKind::Whole { bytes } => {
                let fate = self.meter.judge(self.splitter.event(chunk, piece));
                self.passing = false;
                self.last = if bytes > HOLD_MAX { Fate::Pass } else { fate };
            }
        }
        self.last
    }

    fn fate_of_part(&mut self, bytes: usize) -> Fate {
        let holds = self.meter.hide_usage || event::may_be_terminal(self.splitter.partial());
        self.passing |= bytes > HOLD_MAX || !holds;
        if self.passing { Fate::Pass } else { Fate::Hold }
    }

    fn first_or(&self, otherwise: First) -> First {
        if self.meter.first == First::Unknown { otherwise } else { self.meter.first }
    }

    /// From here on everything is kept back, beginning with what is held.
    fn end(&mut self) {
        self.ended = true;
        for part in std::mem::take(&mut self.held) {
            self.keep_terminal(part);
        }
    }

    fn keep_terminal(&mut self, part: Bytes) {
        let room = TERMINAL_MAX - self.terminal_bytes;
        self.meter.flagged |= part.len() > room;
        let kept = part.slice(..part.len().min(room));
        self.terminal_bytes += kept.len();
        if !kept.is_empty() {
            self.terminal.push(kept);
        }
    }
}

impl Meter {
    /// Reads a whole event and says what should become of it, were it small enough to be held;
    /// `None`: it is too large to be read.
    fn judge(&mut self, event: Option<&[u8]>) -> Fate {
        let Some(event) = event else {
            self.flagged = true;
            self.see_first(First::Answer);
            return Fate::Pass;
        };
        let Some(data) = sse::data(event) else { return Fate::Pass };
        let seen = event::read(&data);
        let large = event.len() > HOLD_MAX;
        self.see_first(if seen.error && !large { First::Error } else { First::Answer });
        if seen.terminal {
            self.done = true;
            return Fate::Terminal;
        }
        self.note(&seen);
        text::collect_event(&data, &mut self.text);
        if seen.only_usage && self.hide_usage { Fate::Drop } else { Fate::Pass }
    }

    fn note(&mut self, seen: &Seen) {
        self.error |= seen.error;
        self.blames_request |= seen.blames_request;
        self.finish |= seen.finish;
        let Some(decoded) = seen.usage else { return };
        let before = self.usage.map_or(0, |usage| usage.total_tokens());
        let after = decoded.usage.map_or(u64::MAX, |usage| usage.total_tokens());
        // Counts that are told again and again only grow; the last one is right all the same.
        self.flagged |= decoded.flagged || after < before;
        self.usage = decoded.usage;
        self.usage_is_final = self.finish || seen.only_usage;
    }

    fn see_first(&mut self, first: First) {
        if self.first == First::Unknown {
            self.first = first;
        }
    }

    /// Gives up on a first event that does not come to its end, so that a caller that waits for
    /// it keeps a bounded number of bytes.
    fn note_bytes(&mut self, bytes: usize) {
        if self.first == First::Unknown {
            self.bytes_before_first += bytes;
            if self.bytes_before_first > HOLD_MAX {
                self.first = First::Answer;
            }
        }
    }
}

fn pass(chunk: &Bytes, run: Range<usize>, out: &mut Vec<Bytes>) {
    if !run.is_empty() {
        out.push(chunk.slice(run));
    }
}
