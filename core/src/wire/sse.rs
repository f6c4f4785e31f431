//! Finds the events of a server-sent event stream in chunks of any size, without copying those
//! that lie in one chunk.
//!
//! Follows the HTML standard's event stream format: lines end with LF, CR or CRLF, an empty line
//! ends an event, a line that begins with a colon is a comment. What is outside of events
//! (comments, empty lines) is told apart, so that a keep-alive never waits for an event.

#[cfg(test)]
mod tests;

use memchr::memchr2;
use std::{borrow::Cow, ops::Range};

/// Largest event that is kept to be read, in bytes. A larger one is passed over, not refused.
pub const MAX_EVENT: usize = 1 << 20;
/// Room that is kept from one event to the next, in bytes, so that one large event does not
/// stay in memory for the rest of a long stream.
const KEPT_CAPACITY: usize = 4096;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A stretch of a chunk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Piece {
    /// Where in the chunk.
    pub range: Range<usize>,
    pub kind: PieceKind,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PieceKind {
    /// A comment or an empty line, or a part of one.
    Outside,
    /// The chunk ends within an event; `bytes` of it were seen so far.
    Part { bytes: usize },
    /// An event is whole; see [`Splitter::event`]. `bytes` is its length up to the first byte of
    /// the empty line's end, which does not depend on how the stream was cut.
    Whole { bytes: usize },
    /// The line feed of a CRLF whose carriage return ended the piece before.
    Late,
}

/// Cuts a stream into pieces that, put together, are the stream.
#[derive(Debug, Default)]
pub struct Splitter {
    place: Place,
    /// The byte before was a CR, so that a LF belongs to it.
    after_cr: bool,
    /// Within an event: the byte before ended a line.
    line_start: bool,
    /// The beginning of an event that did not end with its chunk.
    tail: Vec<u8>,
    /// Bytes of the event up to here, also where they were too many to be kept.
    event_bytes: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Place {
    #[default]
    Between,
    Comment,
    Event,
}

impl Splitter {
    /// The next piece of `chunk`, from offset `from`, where the last one ended; `None` at its end.
    pub fn next(&mut self, chunk: &[u8], from: usize) -> Option<Piece> {
        let first = *chunk.get(from)?;
        if self.place == Place::Event {
            return Some(self.event_piece(chunk, from));
        }
        if std::mem::take(&mut self.after_cr) && first == b'\n' {
            return Some(Piece { range: from..from + 1, kind: PieceKind::Late });
        }
        if self.place == Place::Between && !matches!(first, b'\n' | b'\r' | b':') {
            self.place = Place::Event;
            self.line_start = true;
            self.event_bytes = 0;
            self.tail.clear();
            self.tail.shrink_to(KEPT_CAPACITY);
            return Some(self.event_piece(chunk, from));
        }
        Some(self.outside_piece(chunk, from))
    }

    /// The bytes of the event whose last piece in `chunk` was `piece`; `None` where it is larger
    /// than [`MAX_EVENT`].
    #[must_use]
    pub fn event<'a>(&'a self, chunk: &'a [u8], piece: &Piece) -> Option<&'a [u8]> {
        if self.event_bytes > MAX_EVENT {
            return None;
        }
        Some(if self.tail.is_empty() { &chunk[piece.range.clone()] } else { &self.tail })
    }

    /// The event that the stream ended in, where it had no empty line at its end. `Some(None)`:
    /// it is larger than [`MAX_EVENT`].
    #[must_use]
    pub fn unfinished(&self) -> Option<Option<&[u8]>> {
        (self.place == Place::Event).then(|| (self.event_bytes <= MAX_EVENT).then_some(&*self.tail))
    }

    /// Whether the last byte ended an event, a comment or an empty line, or none has come.
    #[must_use]
    pub fn is_between(&self) -> bool {
        self.place == Place::Between && !self.after_cr
    }

    /// The bytes of an event that is not whole yet; empty where there is none, or more than
    /// [`MAX_EVENT`].
    #[must_use]
    pub fn partial(&self) -> &[u8] {
        if self.place == Place::Event { &self.tail } else { &[] }
    }

    fn outside_piece(&mut self, chunk: &[u8], from: usize) -> Piece {
        self.place = Place::Comment;
        let mut at = chunk.len();
        if let Some(length) = memchr2(b'\n', b'\r', &chunk[from..]) {
            at = self.end_line(chunk, from + length);
            self.place = Place::Between;
        }
        Piece { range: from..at, kind: PieceKind::Outside }
    }

    fn event_piece(&mut self, chunk: &[u8], from: usize) -> Piece {
        let mut at = from;
        while let Some(&byte) = chunk.get(at) {
            if std::mem::take(&mut self.after_cr) && byte == b'\n' {
                at += 1;
                continue;
            }
            if self.line_start && matches!(byte, b'\n' | b'\r') {
                let bytes = self.event_bytes + (at + 1 - from);
                let range = from..self.end_line(chunk, at);
                self.place = Place::Between;
                self.event_bytes = bytes;
                if !self.tail.is_empty() {
                    self.keep(&chunk[range.clone()]);
                }
                return Piece { range, kind: PieceKind::Whole { bytes } };
            }
            self.line_start = false;
            let Some(length) = memchr2(b'\n', b'\r', &chunk[at..]) else { break };
            at = self.end_line(chunk, at + length);
            self.line_start = true;
        }
        self.event_bytes += chunk.len() - from;
        self.keep(&chunk[from..]);
        Piece { range: from..chunk.len(), kind: PieceKind::Part { bytes: self.event_bytes } }
    }

    /// The offset after the line end at `at`, with both halves of a CRLF where they are there.
    fn end_line(&mut self, chunk: &[u8], at: usize) -> usize {
        if chunk[at] == b'\n' {
            return at + 1;
        }
        match chunk.get(at + 1) {
            Some(b'\n') => at + 2,
            next => {
                self.after_cr = next.is_none();
                at + 1
            }
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.event_bytes > MAX_EVENT {
            self.tail = Vec::new();
            return;
        }
        self.tail.extend_from_slice(bytes);
    }
}

/// The data of an event, its lines joined by line feeds; `None` where it has no data line.
#[must_use]
pub fn data(event: &[u8]) -> Option<Cow<'_, [u8]>> {
    let mut data: Option<Cow<'_, [u8]>> = None;
    let mut rest = event.strip_prefix(BYTE_ORDER_MARK).unwrap_or(event);
    while !rest.is_empty() {
        let (line, after) = split_line(rest);
        rest = after;
        let Some(value) = data_line(line) else { continue };
        data = Some(match data {
            None => Cow::Borrowed(value),
            Some(before) => {
                let mut joined = before.into_owned();
                joined.push(b'\n');
                joined.extend_from_slice(value);
                Cow::Owned(joined)
            }
        });
    }
    data
}

/// The value of a `data` field, or `None` for another line.
fn data_line(line: &[u8]) -> Option<&[u8]> {
    let after = line.strip_prefix(b"data")?;
    match after {
        [] => Some(after),
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        _ => None,
    }
}

/// The first line without its end, and what follows.
fn split_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let Some(end) = memchr2(b'\n', b'\r', bytes) else { return (bytes, &[]) };
    let after = &bytes[end + 1..];
    let after = if bytes[end] == b'\r' { after.strip_prefix(b"\n").unwrap_or(after) } else { after };
    (&bytes[..end], after)
}
