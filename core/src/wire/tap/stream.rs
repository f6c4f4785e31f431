//! The meter of an event stream: passes its bytes on, reads what they say, hides the usage chunk
//! that the caller did not ask for, and keeps the end back until it may be told.
//!
//! How the upstream's bytes were cut never changes what goes to the client: whatever is decided
//! about an event depends on the event alone.

use super::{
    Reading,
    framing::{self, Framing},
    long::Long,
    meter::{Fate, Meter},
    reader::{self, Outlook, Reader},
};
use crate::wire::{
    Dialect,
    codec::keep_alive,
    error::{self, ErrorText},
    sse::{Piece, PieceKind},
};
use bytes::Bytes;
use std::{borrow::Cow, collections::VecDeque, ops::Range};

/// Largest event, in bytes, that is held until it is whole. A larger one is passed on as it
/// comes: it is neither hidden nor taken for the terminal event nor for an error that nothing
/// preceded. Only where its beginning tells that it is the terminal event, it is one at any size.
pub const HOLD_MAX: usize = 64 * 1024;
/// Most bytes that are held of a terminal event that is known by its beginning: the last ones. In some
/// dialects it holds the whole answer again.
pub const LONG_END_HELD: usize = 32 * 1024;
/// Most bytes that are kept from the terminal event on; what an upstream sends beyond is dropped
/// and flagged.
pub const TERMINAL_MAX: usize = 64 * 1024;
/// An event's beginning is looked at with every part that comes up to this size, in bytes; from there on
/// only when it has doubled, so that many small parts cost no more than few large ones.
const LOOKED_AT_ALWAYS: usize = 1024;

/// What the first event is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum First {
    /// Not known yet: nothing has come, or only that an answer is to come. Nothing should be sent to the
    /// client; this ends after [`HOLD_MAX`] bytes and one chunk at the latest.
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
    dialect: Dialect,
    framing: Framing,
    meter: Meter,
    /// The beginning of an event whose fate is not known, or the end of a long terminal event.
    held: VecDeque<Bytes>,
    /// The event that is under way is too large or too different to be held any more.
    passing: bool,
    /// The event that is under way is the terminal one: its beginning says so. Nothing follows it.
    ending: bool,
    /// Bytes of it when its beginning was looked at last.
    looked_at: usize,
    /// Bytes of it that were passed on, for its length.
    released: usize,
    /// What is picked out of the event that is under way, where it may become too large to be kept.
    long: Option<Box<Long>>,
    /// What became of the last whole piece.
    last: Fate,
    ended: bool,
    terminal: Vec<Bytes>,
    terminal_bytes: usize,
}

impl StreamTap {
    /// With `hide_usage`, the chunk of OpenAI's chat that holds only usage does not reach the client.
    /// Gemini's streams may be event streams or arrays of JSON: their first byte tells.
    #[must_use]
    pub fn new(dialect: Dialect, hide_usage: bool) -> Self {
        Self {
            dialect,
            framing: Framing::new(dialect),
            meter: Meter::new(dialect, hide_usage),
            held: VecDeque::new(),
            passing: false,
            ending: false,
            looked_at: 0,
            released: 0,
            long: None,
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
            && let Some(piece) = self.framing.next(chunk, at)
        {
            at = piece.range.end;
            let fate = self.fate(chunk, &piece);
            if fate == Fate::Pass {
                // Only the first piece of a chunk can follow held bytes: the run is empty then.
                if !self.held.is_empty() {
                    out.extend(self.held.drain(..));
                }
                run = if run.is_empty() { piece.range } else { run.start..at };
                continue;
            }
            pass(chunk, std::mem::take(&mut run), out);
            match fate {
                Fate::Hold => {
                    self.held.push_back(chunk.slice(piece.range));
                    self.release(piece.kind, out);
                }
                Fate::Drop => self.held.clear(),
                Fate::Terminal => {
                    self.held.push_back(chunk.slice(piece.range));
                    self.release(piece.kind, out);
                    self.end();
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
        self.meter.clean_end = !self.framing.is_torn();
        if self.ended {
            return;
        }
        let fate = match self.framing.unfinished() {
            Some(Some(event)) => match self.framing.data(event) {
                Some(data) => self.meter.judge(event, &data),
                None => Fate::Pass,
            },
            Some(None) => {
                self.meter.note_long(self.long.as_deref());
                Fate::Pass
            }
            None => Fate::Pass,
        };
        match fate {
            _ if self.ending => {
                self.meter.done = true;
                self.end();
            }
            Fate::Terminal if !self.passing => self.end(),
            Fate::Drop if !self.passing => self.held.clear(),
            _ => out.extend(self.held.drain(..)),
        }
        self.meter.see_first(First::Answer);
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

    /// The answer's head says that it is an event stream, so that what we add before its first byte is one.
    #[must_use]
    pub fn said_to_be_events(mut self) -> Self {
        if let Framing::Unknown { says_events } = &mut self.framing {
            *says_events = true;
        }
        self
    }

    /// What may be sent now, so that nobody takes the stream for dead; nothing where the client has a half
    /// event, or the end.
    #[must_use]
    pub fn keep_alive(&self) -> &'static [u8] {
        if self.is_between_events() { keep_alive(self.dialect) } else { b"" }
    }

    /// The event that tells the client of an `error` that the upstream did not say, behind what it has got so
    /// far; of an array also its end. Nothing where the stream's own end has been read, or where the half of
    /// an item was sent, which nothing can follow.
    #[must_use]
    pub fn break_off(&self, error: ErrorText<'_>) -> Vec<u8> {
        if self.ended {
            return Vec::new();
        }
        match self.framing.around_item() {
            // Half an event may have been sent: a blank line ends it.
            None => [b"\n\n", &*error::event(self.dialect, error, 0)].concat(),
            Some(_) if !self.is_between_events() => Vec::new(),
            Some((before, after)) => [before, &*error::body(self.dialect, error), after].concat(),
        }
    }

    /// Whether the client has only whole events.
    fn is_between_events(&self) -> bool {
        let holds_whole = !self.held.is_empty() && !self.passing && self.released == 0;
        !self.ended && (self.framing.is_between() || holds_whole)
    }

    /// The terminal event and what followed it, to be sent once the exchange is in the journal.
    pub fn take_terminal(&mut self) -> Vec<Bytes> {
        std::mem::take(&mut self.terminal)
    }

    /// What was read so far; the text is moved out.
    pub fn take_reading(&mut self) -> Reading {
        self.meter.take_reading()
    }

    /// The body of an answer of its own that tells of the error that `stream` began with, in the
    /// upstream's words; empty where there is no event.
    #[must_use]
    pub fn error_body(&self, stream: &[u8]) -> Vec<u8> {
        let (mut framing, mut reader) = (Framing::new(self.dialect), Reader::new(self.dialect));
        let mut body = None;
        let mut see = |framing: &Framing, event: &[u8]| {
            let Some(data) = framing.data(event) else { return false };
            let is_error = reader.read(event, &data, &mut super::KeptText::default()).error;
            if is_error || body.is_none() {
                body = Some(if framing.is_objects() {
                    [b"[", &*data, b"]"].concat()
                } else {
                    reader::error_body(self.dialect, &data)
                });
            }
            is_error
        };
        let mut at = 0;
        while let Some(piece) = framing.next(stream, at) {
            at = piece.range.end;
            if matches!(piece.kind, PieceKind::Whole { .. })
                && framing.event(stream, &piece).is_some_and(|event| see(&framing, event))
            {
                return body.unwrap_or_default();
            }
        }
        if let Some(Some(event)) = framing.unfinished() {
            see(&framing, event);
        }
        body.unwrap_or_default()
    }

    fn fate(&mut self, chunk: &Bytes, piece: &Piece) -> Fate {
        match piece.kind {
            PieceKind::Late => return self.last,
            PieceKind::Outside => self.last = Fate::Pass,
            PieceKind::Part { bytes } => return self.fate_of_part(chunk, piece, bytes),
            PieceKind::Whole { bytes } => {
                if bytes > LONG_END_HELD && !self.passing && !self.ending {
                    self.ending = self.outlook(chunk, piece) == Outlook::Ends;
                }
                let fate = self.judge(chunk, piece, bytes);
                self.last = match fate {
                    _ if self.ending => Fate::Terminal,
                    _ if bytes > HOLD_MAX => Fate::Pass,
                    fate => fate,
                };
                self.meter.done |= self.last == Fate::Terminal;
                self.passing = false;
                self.looked_at = 0;
            }
        }
        self.last
    }

    fn judge(&mut self, chunk: &Bytes, piece: &Piece, bytes: usize) -> Fate {
        let long = self.long.take();
        if let Some(event) = self.framing.event(chunk, piece) {
            if event == framing::CLOSE && self.framing.is_objects() {
                return self.meter.close();
            }
            return self.framing.data(event).map_or(Fate::Pass, |data| self.meter.judge(event, &data));
        }
        let long = match long {
            Some(mut long) => {
                long.feed(&chunk[piece.range.clone()]);
                Some(long)
            }
            None => self.begin_long(chunk, piece, bytes),
        };
        self.meter.note_long(long.as_deref());
        Fate::Pass
    }

    fn fate_of_part(&mut self, chunk: &Bytes, piece: &Piece, bytes: usize) -> Fate {
        if !self.passing && !self.ending && is_worth_a_look(bytes, self.looked_at) {
            self.looked_at = bytes;
            match self.outlook(chunk, piece) {
                Outlook::Open => self.passing = bytes > HOLD_MAX,
                Outlook::Ends => self.ending = true,
                Outlook::Passes => self.passing = true,
            }
        }
        if let Some(long) = &mut self.long {
            long.feed(&chunk[piece.range.clone()]);
        } else if bytes > HOLD_MAX && bytes - piece.range.len() <= HOLD_MAX {
            self.long = self.begin_long(chunk, piece, bytes);
        }
        if self.passing { Fate::Pass } else { Fate::Hold }
    }

    /// What the beginning of the event under way tells.
    fn outlook(&self, chunk: &Bytes, piece: &Piece) -> Outlook {
        if self.framing.is_objects() {
            return Outlook::Passes;
        }
        self.meter.outlook(&self.so_far(chunk, piece))
    }

    /// The event under way, of which `piece` is the last that came and all that came before is held.
    fn so_far<'a>(&'a self, chunk: &'a Bytes, piece: &Piece) -> Cow<'a, [u8]> {
        match (self.framing.partial(), self.held.is_empty()) {
            ([], true) => Cow::Borrowed(&chunk[piece.range.clone()]),
            ([], false) => {
                let held = self.held.iter().flatten();
                Cow::Owned(held.chain(&chunk[piece.range.clone()]).copied().collect())
            }
            (partial, _) => Cow::Borrowed(partial),
        }
    }

    /// Begins to pick out of the event under way, of which `bytes` have come, what matters for usage.
    fn begin_long(&self, chunk: &Bytes, piece: &Piece, bytes: usize) -> Option<Box<Long>> {
        if !matches!(self.dialect, Dialect::Gemini | Dialect::OpenAiChat) && !self.ending {
            return None;
        }
        // What was passed on before is gone where it is too large already.
        let event = self.so_far(chunk, piece);
        (event.len() >= bytes)
            .then(|| Long::event(self.dialect, self.framing.is_objects(), &event))
            .flatten()
            .map(Box::new)
    }

    /// Lets go of a long terminal event what is more than its end, for the length that it has so far.
    fn release(&mut self, kind: PieceKind, out: &mut Vec<Bytes>) {
        let (PieceKind::Part { bytes } | PieceKind::Whole { bytes }) = kind else { return };
        if !self.ending {
            return;
        }
        let mut surplus = bytes.saturating_sub(LONG_END_HELD + self.released);
        self.released += surplus;
        while surplus > 0
            && let Some(mut part) = self.held.pop_front()
        {
            if part.len() > surplus {
                self.held.push_front(part.split_off(surplus));
            }
            surplus -= part.len();
            out.push(part);
        }
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

/// Whether an event of `bytes` so far may tell what it did not at `looked_at`.
pub(super) fn is_worth_a_look(bytes: usize, looked_at: usize) -> bool {
    bytes <= LOOKED_AT_ALWAYS || bytes > HOLD_MAX || bytes >= looked_at.saturating_mul(2)
}

fn pass(chunk: &Bytes, run: Range<usize>, out: &mut Vec<Bytes>) {
    if !run.is_empty() {
        out.push(chunk.slice(run));
    }
}
