//! Reads HTTP/1.1 messages from bytes, without I/O, for the fake upstream and the load driver alike.
//!
//! It is no general parser: it trusts the peers that the bench starts, and knows just the two
//! framings that they use. Its buffers are kept from message to message, so that the cost of
//! the driver stays far below that of what it measures.

use anyhow::{Context, bail, ensure};
use memchr::memmem;

/// One message, request or answer, as far as it has been fed.
#[derive(Default)]
pub(crate) struct Message {
    head: Vec<u8>,
    body: Vec<u8>,
    stage: Stage,
}

#[derive(Default, Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    #[default]
    Head,
    /// So many bytes of a body with Content-Length are missing.
    Body(usize),
    /// In the line that gives a chunk's size; `true` once past the digits.
    ChunkSize(usize, bool),
    Chunk(usize),
    /// The line end behind a chunk's bytes; so many of its two bytes are missing.
    ChunkEnd(usize),
    /// In the trailer; how long its current line is, without the line end.
    Trailer(usize),
    Complete,
}

impl Message {
    /// Forgets the message and keeps the buffers.
    pub(crate) fn reset(&mut self) {
        self.head.clear();
        self.body.clear();
        self.stage = Stage::Head;
    }

    /// Takes bytes up to the end of the message; returns how many it took.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> anyhow::Result<usize> {
        let mut taken = 0;
        while taken < bytes.len() && self.stage != Stage::Complete {
            taken += self.step(&bytes[taken..])?;
        }
        Ok(taken)
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.stage == Stage::Complete
    }

    /// The body without its framing, as far as it has come.
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// What a request asks for, with its query.
    pub(crate) fn path(&self) -> &[u8] {
        self.head.split(|byte| *byte == b' ').nth(1).unwrap_or_default()
    }

    pub(crate) fn is_post(&self) -> bool {
        self.head.starts_with(b"POST ")
    }

    /// The status of an answer; 0 where there is none to read.
    pub(crate) fn status(&self) -> u16 {
        self.head
            .get(9..12)
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| digits.parse().ok())
            .unwrap_or(0)
    }

    /// Whether the sender will close the connection behind this message.
    pub(crate) fn closes(&self) -> bool {
        self.field("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    /// The first field of that name.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.head.split(|byte| *byte == b'\n').skip(1).find_map(|line| {
            let (field, value) = line.split_at_checked(name.len())?;
            let value = value.strip_prefix(b":")?;
            field
                .eq_ignore_ascii_case(name.as_bytes())
                .then(|| std::str::from_utf8(value).unwrap_or_default().trim())
        })
    }

    fn step(&mut self, bytes: &[u8]) -> anyhow::Result<usize> {
        match self.stage {
            Stage::Head => self.step_head(bytes),
            Stage::Body(missing) => {
                let taken = missing.min(bytes.len());
                self.body.extend_from_slice(&bytes[..taken]);
                self.stage = match missing - taken {
                    0 => Stage::Complete,
                    rest => Stage::Body(rest),
                };
                Ok(taken)
            }
            Stage::Chunk(missing) => {
                let taken = missing.min(bytes.len());
                self.body.extend_from_slice(&bytes[..taken]);
                self.stage = match missing - taken {
                    0 => Stage::ChunkEnd(2),
                    rest => Stage::Chunk(rest),
                };
                Ok(taken)
            }
            _ => self.step_byte(bytes[0]),
        }
    }

    fn step_head(&mut self, bytes: &[u8]) -> anyhow::Result<usize> {
        let before = self.head.len();
        self.head.extend_from_slice(bytes);
        let from = before.saturating_sub(3);
        let Some(found) = memmem::find(&self.head[from..], b"\r\n\r\n") else {
            ensure!(self.head.len() < 64 * 1024, "a head of more than 64 KiB");
            return Ok(bytes.len());
        };
        self.head.truncate(from + found + 4);
        self.stage = self.framing()?;
        Ok(self.head.len() - before)
    }

    fn framing(&self) -> anyhow::Result<Stage> {
        if let Some(length) = self.field("content-length") {
            return Ok(match length.parse().context("Content-Length")? {
                0 => Stage::Complete,
                length => Stage::Body(length),
            });
        }
        if self.field("transfer-encoding").is_some() {
            return Ok(Stage::ChunkSize(0, false));
        }
        let is_answer = self.head.starts_with(b"HTTP/");
        ensure!(!is_answer || self.status() == 204, "an answer with neither Content-Length nor chunks");
        Ok(Stage::Complete)
    }

    /// The stages that go byte by byte: sizes and line ends.
    fn step_byte(&mut self, byte: u8) -> anyhow::Result<usize> {
        self.stage = match (self.stage, byte) {
            (Stage::ChunkSize(0, _), b'\n') => Stage::Trailer(0),
            (Stage::ChunkSize(size, _), b'\n') => Stage::Chunk(size),
            (Stage::ChunkSize(size, true), _) => Stage::ChunkSize(size, true),
            (Stage::ChunkSize(size, false), b';' | b'\r' | b' ') => Stage::ChunkSize(size, true),
            (Stage::ChunkSize(size, false), digit) => {
                let digit = char::from(digit).to_digit(16).context("a chunk's size is not hexadecimal")?;
                Stage::ChunkSize(size * 16 + digit as usize, false)
            }
            (Stage::ChunkEnd(2), b'\r') => Stage::ChunkEnd(1),
            (Stage::ChunkEnd(1), b'\n') => Stage::ChunkSize(0, false),
            (Stage::Trailer(0), b'\n') => Stage::Complete,
            (Stage::Trailer(_), b'\n') => Stage::Trailer(0),
            (Stage::Trailer(length), b'\r') => Stage::Trailer(length),
            (Stage::Trailer(length), _) => Stage::Trailer(length + 1),
            (stage, byte) => bail!("unexpected byte {byte} in {stage:?}"),
        };
        Ok(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds a message whole, and split at every byte.
    #[track_caller]
    fn check(message: &str, body: &str) {
        for split in 0..message.len() {
            let mut read = Message::default();
            let (left, right) = message.as_bytes().split_at(split);
            assert_eq!(read.feed(left).unwrap(), left.len());
            assert!(!read.is_complete());
            assert_eq!(read.feed(right).unwrap(), right.len());
            assert!(read.is_complete(), "split at {split}");
            assert_eq!(read.body(), body.as_bytes());
        }
    }

    #[test]
    fn both_framings_are_read_however_they_are_cut() {
        check("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", "hello");
        check(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n10;x=y\r\n0123456789abcdef\r\n0\r\n\r\n",
            "hello0123456789abcdef",
        );
        check("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx: y\r\n\r\n", "a");
        check("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "");
    }

    #[test]
    fn what_follows_a_message_is_left_alone() {
        let mut read = Message::default();
        let bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP";
        assert_eq!(read.feed(bytes).unwrap(), bytes.len() - 4);
        assert_eq!((read.status(), read.closes()), (200, false));
    }
}
