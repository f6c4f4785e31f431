//! How a stream is cut into what is read at once: events, or the objects of a JSON array.

use crate::wire::{
    Dialect,
    sse::{self, MAX_EVENT, Piece, PieceKind, Splitter},
};
use memchr::memchr2;
use std::borrow::Cow;

/// What may stand before a stream and says nothing of its form: blanks and a byte order mark.
const BLANK: &[u8] = b"\xef\xbb\xbf \t\r\n";
/// What closes an array of objects, as a piece of its own.
pub(super) const CLOSE: &[u8] = b"]";
/// Room that is kept from one object to the next, in bytes.
const KEPT_CAPACITY: usize = 4096;

#[derive(Debug)]
pub(super) enum Framing {
    /// The first byte will tell.
    Unknown {
        /// It is said to be an event stream.
        says_events: bool,
    },
    Events(Splitter),
    Objects(Objects),
}

impl Framing {
    /// Only Gemini has streams that are no event streams.
    pub(super) fn new(dialect: Dialect) -> Self {
        if dialect == Dialect::Gemini {
            Self::Unknown { says_events: false }
        } else {
            Self::Events(Splitter::default())
        }
    }

    /// The next piece of `chunk`, from offset `from`, where the last one ended; `None` at its end.
    #[inline]
    pub(super) fn next(&mut self, chunk: &[u8], from: usize) -> Option<Piece> {
        match self {
            Self::Events(splitter) => splitter.next(chunk, from),
            Self::Objects(objects) => objects.next(chunk, from),
            Self::Unknown { .. } => self.first(chunk, from),
        }
    }

    fn first(&mut self, chunk: &[u8], from: usize) -> Option<Piece> {
        let rest = chunk.get(from..)?;
        let blank = rest.iter().take_while(|byte| BLANK.contains(byte)).count();
        let Some(tells) = rest.get(blank) else {
            return (blank > 0).then_some(Piece { range: from..chunk.len(), kind: PieceKind::Outside });
        };
        *self = if matches!(tells, b'[' | b'{') {
            Self::Objects(Objects::default())
        } else {
            Self::Events(Splitter::default())
        };
        if blank > 0 {
            return Some(Piece { range: from..from + blank, kind: PieceKind::Outside });
        }
        self.next(chunk, from)
    }

    /// The bytes of what became whole with `piece`; `None`: more than [`MAX_EVENT`].
    pub(super) fn event<'a>(&'a self, chunk: &'a [u8], piece: &Piece) -> Option<&'a [u8]> {
        match self {
            Self::Events(splitter) => splitter.event(chunk, piece),
            Self::Objects(objects) => objects.object(chunk, piece),
            Self::Unknown { .. } => None,
        }
    }

    /// The event that the stream ended in; see [`Splitter::unfinished`]. An object is none before
    /// its end.
    pub(super) fn unfinished(&self) -> Option<Option<&[u8]>> {
        if let Self::Events(splitter) = self { splitter.unfinished() } else { None }
    }

    /// Whether the stream cannot end here: within an object or its array.
    pub(super) fn is_torn(&self) -> bool {
        matches!(self, Self::Objects(objects) if objects.depth > 0 || objects.is_array)
    }

    /// See [`Splitter::is_between`]. Between objects, and before it is known what comes, there is room for
    /// what both forms take: an empty line.
    pub(super) fn is_between(&self) -> bool {
        match self {
            Self::Events(splitter) => splitter.is_between(),
            Self::Unknown { .. } => true,
            Self::Objects(objects) => objects.depth == 0,
        }
    }

    /// What another item is put between, so that it follows what came so far; `None`: an event is what follows.
    pub(super) fn around_item(&self) -> Option<(&'static [u8], &'static [u8])> {
        match self {
            Self::Events(_) | Self::Unknown { says_events: true } => None,
            Self::Unknown { says_events: false } => Some((b"[", b"]")),
            Self::Objects(objects) => {
                let before: &[u8] = if objects.wants_comma { b"," } else { b"" };
                Some(if objects.is_array { (before, b"]") } else { (b"", b"") })
            }
        }
    }

    /// See [`Splitter::partial`].
    pub(super) fn partial(&self) -> &[u8] {
        match self {
            Self::Events(splitter) => splitter.partial(),
            Self::Objects(objects) if objects.depth > 0 => &objects.tail,
            Self::Objects(_) | Self::Unknown { .. } => &[],
        }
    }

    pub(super) fn is_objects(&self) -> bool {
        matches!(self, Self::Objects(_))
    }

    /// The data of an event; an object is its own.
    #[inline]
    pub(super) fn data<'a>(&self, event: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        if self.is_objects() { Some(Cow::Borrowed(event)) } else { sse::data(event) }
    }
}

/// Finds the objects of a stream that is an array of them, or one object after the other. Its
/// outline only is judged.
#[derive(Debug, Default)]
pub(super) struct Objects {
    /// An array has been opened and not closed.
    is_array: bool,
    /// An object has ended, and no comma has come.
    wants_comma: bool,
    /// Containers that are open within the object.
    depth: u64,
    in_string: bool,
    /// Within a string: the byte before was a backslash that escapes this one.
    escaped: bool,
    /// The beginning of an object that did not end with its chunk.
    tail: Vec<u8>,
    /// Bytes of the object up to here, also where they were too many to be kept.
    bytes: usize,
}

impl Objects {
    fn next(&mut self, chunk: &[u8], from: usize) -> Option<Piece> {
        let rest = chunk.get(from..).filter(|rest| !rest.is_empty())?;
        if self.depth > 0 {
            return Some(self.object_piece(chunk, from));
        }
        self.tail.clear();
        self.tail.shrink_to(KEPT_CAPACITY);
        self.bytes = 0;
        match rest[0] {
            b'{' => Some(self.object_piece(chunk, from)),
            b']' => {
                self.is_array = false;
                self.bytes = 1;
                Some(Piece { range: from..from + 1, kind: PieceKind::Whole { bytes: 1 } })
            }
            _ => {
                let length = memchr2(b'{', b']', rest).unwrap_or(rest.len());
                self.is_array |= rest[..length].contains(&b'[');
                self.wants_comma &= !rest[..length].contains(&b',');
                Some(Piece { range: from..from + length, kind: PieceKind::Outside })
            }
        }
    }

    fn object<'a>(&'a self, chunk: &'a [u8], piece: &Piece) -> Option<&'a [u8]> {
        if self.bytes > MAX_EVENT {
            return None;
        }
        Some(if self.tail.is_empty() { &chunk[piece.range.clone()] } else { &self.tail })
    }

    fn object_piece(&mut self, chunk: &[u8], from: usize) -> Piece {
        let mut at = from;
        while let Some(byte) = chunk.get(at) {
            if self.in_string {
                at = self.string_end(chunk, at);
                continue;
            }
            at += 1;
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => self.depth -= 1,
                _ => continue,
            }
            if self.depth == 0 {
                self.wants_comma = true;
                self.bytes += at - from;
                if !self.tail.is_empty() {
                    self.keep(&chunk[from..at]);
                }
                return Piece { range: from..at, kind: PieceKind::Whole { bytes: self.bytes } };
            }
        }
        self.bytes += chunk.len() - from;
        self.keep(&chunk[from..]);
        Piece { range: from..chunk.len(), kind: PieceKind::Part { bytes: self.bytes } }
    }

    /// Goes on within a string; the offset behind it, or the chunk's end.
    fn string_end(&mut self, chunk: &[u8], from: usize) -> usize {
        let mut at = from + usize::from(std::mem::take(&mut self.escaped));
        while let Some(next) = chunk.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
            at += next;
            if chunk[at] == b'"' {
                self.in_string = false;
                return at + 1;
            }
            if at + 1 == chunk.len() {
                self.escaped = true;
                break;
            }
            at += 2;
        }
        chunk.len()
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.bytes > MAX_EVENT {
            self.tail = Vec::new();
            return;
        }
        self.tail.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The objects, and the kinds of what lies around them, of a stream in pieces.
    fn read(pieces: &[&[u8]]) -> (Vec<String>, bool) {
        let (mut framing, mut found) = (Framing::new(Dialect::Gemini), Vec::new());
        for chunk in pieces {
            let (mut at, mut passed) = (0, Vec::new());
            while let Some(piece) = framing.next(chunk, at) {
                assert_eq!(piece.range.start, at, "pieces are a stream's whole");
                at = piece.range.end;
                passed.extend_from_slice(&chunk[piece.range.clone()]);
                if matches!(piece.kind, PieceKind::Whole { .. }) {
                    let event = framing.event(chunk, &piece).map_or(&b"too large"[..], |event| event);
                    found.push(String::from_utf8(event.to_vec()).unwrap());
                }
            }
            assert_eq!(&passed, chunk);
        }
        (found, framing.is_torn())
    }

    #[test]
    fn objects_and_the_end_of_their_array_are_found_wherever_the_stream_is_cut() {
        let stream = "\u{feff} \r\n[{\"a\":\"}]\\\"{\"}\r\n,\r\n{\"b\":[{},\"\\\\\"]}\n]\n";
        let expect = ["{\"a\":\"}]\\\"{\"}", "{\"b\":[{},\"\\\\\"]}", "]"];
        for cut in 0..=stream.len() {
            let (front, back) = stream.as_bytes().split_at(cut);
            let (found, is_torn) = read(&[front, back]);
            assert_eq!(found, expect, "cut at {cut}");
            assert!(!is_torn);
        }
        let bytes: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
        assert_eq!(read(&bytes).0, expect);
    }

    #[test]
    fn a_stream_is_torn_within_an_object_or_its_array() {
        for (stream, is_torn) in [
            ("", false),
            ("[", true),
            ("[{}", true),
            ("[{}]", false),
            ("[]", false),
            ("{}", false),
            ("{}\n{\"a\":", true),
            ("data: {\"a\":", false),
        ] {
            assert_eq!(read(&[stream.as_bytes()]).1, is_torn, "{stream}");
        }
    }

    #[test]
    fn an_object_that_is_too_large_is_told_and_the_next_one_read() {
        let large = vec![b'x'; MAX_EVENT];
        let (found, _) = read(&[b"[{\"a\":\"", &large, b"\"},", b"{}]"]);
        assert_eq!(found, ["too large", "{}", "]"]);
    }
}
