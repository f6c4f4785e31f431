//! Reads one segment file frame by frame, over damage, up to a limit that may grow.

use super::{
    frame::{self, FRAME_MAX, Frame, Step},
    segment::{self, Header},
};
use std::{fs::File, io, os::unix::fs::FileExt, path::Path};

/// Bytes read from the file at a time.
const WINDOW_BYTES: usize = 256 * 1024;

/// A position in one segment file.
pub(super) struct Scan {
    file: File,
    /// File offset of `window[begin]`.
    offset: u64,
    window: Vec<u8>,
    begin: usize,
}

/// What comes next in a segment.
#[derive(Debug)]
pub(super) enum Next<'a> {
    Frame(Frame),
    /// Bytes that are no frame that this version can read, and where they stand. A damaged run
    /// may come in several pieces, each starting where the last ended.
    Bad {
        offset: u64,
        bytes: &'a [u8],
    },
    /// The limit is reached.
    End,
}

impl Scan {
    /// Opens a segment and steps over its header.
    ///
    /// # Errors
    /// The file cannot be read, or a later version wrote it ([`io::ErrorKind::Unsupported`]).
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let mut head = [0; segment::HEADER_BYTES];
        let mut held = 0;
        while held < head.len() {
            match file.read_at(&mut head[held..], held as u64)? {
                0 => break,
                read => held += read,
            }
        }
        let offset = match segment::read_header(&head[..held]) {
            Header::Good => segment::HEADER_BYTES as u64,
            // The search for the first good frame begins inside the header.
            Header::Damaged => 0,
            Header::Newer(version) => {
                let text =
                    format!("{} has format {version}, of a later version of the gateway", path.display());
                return Err(io::Error::new(io::ErrorKind::Unsupported, text));
            }
        };
        Ok(Self { file, offset, window: Vec::new(), begin: 0 })
    }

    /// The next frame or damage before file offset `limit`, which must not shrink.
    pub(super) fn next(&mut self, limit: u64) -> io::Result<Next<'_>> {
        let (held, last) = self.fill(limit)?;
        let at = self.begin;
        let window = &self.window[at..at + held];
        let (size, found) = match frame::step(window, last) {
            Step::Short => return Ok(Next::End),
            Step::Bad { skip } => (skip, None),
            Step::Good { kind, payload, size } => (size, frame::decode(kind, payload)),
        };
        let offset = self.offset;
        self.begin += size;
        self.offset += size as u64;
        Ok(match found {
            Some(frame) => Next::Frame(frame),
            None => Next::Bad { offset, bytes: &self.window[at..at + size] },
        })
    }

    /// Reads on when less than one longest frame is held. The number of bytes held before
    /// `limit`, and whether nothing follows them.
    fn fill(&mut self, limit: u64) -> io::Result<(usize, bool)> {
        let left = usize::try_from(limit.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        let mut held = self.window.len() - self.begin;
        if held >= left.min(FRAME_MAX) {
            return Ok((held.min(left), held >= left));
        }
        self.window.drain(..self.begin);
        self.begin = 0;
        let want = left.min(WINDOW_BYTES);
        self.window.resize(want, 0);
        while held < want {
            let read = self.file.read_at(&mut self.window[held..], self.offset + held as u64);
            match read {
                // The file is shorter than it was: what is there is all there is.
                Ok(0) => break,
                Ok(read) => held += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.window.truncate(held);
                    return Err(error);
                }
            }
        }
        self.window.truncate(held);
        Ok((held, held == left || held < want))
    }
}
