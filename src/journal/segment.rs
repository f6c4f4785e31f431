//! One file of the journal: its name, its header, appending to it and making it durable.

use aione_core::domain::clock::Timestamp;
use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Bytes of a segment's header: magic, version, sequence, creation time, CRC-32 of these.
pub(super) const HEADER_BYTES: usize = 32;
const MAGIC: [u8; 8] = *b"AIONEJNL";
/// The version of header and frames that this build writes, and the latest that it reads.
const VERSION: u32 = 1;
const EXTENSION: &str = "seg";

/// A segment that is being written.
pub(super) struct Segment {
    pub(super) sequence: u64,
    /// Bytes written, header included.
    pub(super) len: u64,
    target: Syncing,
}

/// A segment's file, to be synced from another thread.
#[derive(Clone)]
pub(super) struct Syncing {
    file: Arc<File>,
    path: PathBuf,
}

impl Syncing {
    /// Makes everything written durable. After an error the segment must not be synced again:
    /// the kernel may have dropped the pages and would then report success.
    pub(super) fn sync(&self) -> io::Result<()> {
        #[cfg(test)]
        super::tests::faults::strike(&self.path, super::tests::faults::Call::Sync)?;
        self.file.sync_data()
    }
}

/// What a file's header says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Header {
    Good,
    /// Written by a later version of the gateway.
    Newer(u32),
    Damaged,
}

/// A segment found in the directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Found {
    pub(super) sequence: u64,
    pub(super) path: PathBuf,
    pub(super) len: u64,
}

impl Segment {
    /// Makes a new file, writes its header and makes its name durable. The file must not exist.
    pub(super) fn create(dir: &Path, sequence: u64, now: Timestamp) -> io::Result<Self> {
        let path = path_of(dir, sequence);
        #[cfg(test)]
        super::tests::faults::strike(&path, super::tests::faults::Call::Create)?;
        let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        let mut segment = Self { sequence, len: 0, target: Syncing { file: Arc::new(file), path } };
        let begun = segment.append(&header(sequence, now)).and_then(|()| sync_dir(dir));
        match begun {
            Ok(()) => Ok(segment),
            Err(error) => {
                segment.discard();
                Err(error)
            }
        }
    }

    /// Writes `bytes` at the end. After an error the segment must not be written again.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        #[cfg(test)]
        super::tests::faults::strike(&self.target.path, super::tests::faults::Call::Append)?;
        self.target.file.write_all_at(bytes, self.len)?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// See [`Syncing::sync`].
    pub(super) fn sync(&self) -> io::Result<()> {
        self.target.sync()
    }

    /// For a sync of what is written by then.
    pub(super) fn syncing(&self) -> Syncing {
        self.target.clone()
    }

    /// Cuts off what lies beyond `len`. Best effort: what stays is repeated elsewhere.
    pub(super) fn cut(&self, len: u64) {
        if let Err(error) = self.target.file.set_len(len) {
            tracing::warn!(path = %self.target.path.display(), %error, "a failed journal segment could not be cut");
        }
    }

    /// Removes a segment that holds nothing of its own.
    pub(super) fn discard(&self) {
        if let Err(error) = fs::remove_file(&self.target.path) {
            tracing::warn!(path = %self.target.path.display(), %error, "a failed journal segment could not be removed");
        }
    }
}

/// The segments in `dir`, oldest first.
pub(super) fn list(dir: &Path) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let path = entry.path();
        if let Some(sequence) = sequence_of(&path) {
            match entry.metadata() {
                Ok(meta) => found.push(Found { sequence, path, len: meta.len() }),
                // A reader beside a running gateway may see a segment go.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    found.sort_unstable_by_key(|segment| segment.sequence);
    Ok(found)
}

pub(super) fn path_of(dir: &Path, sequence: u64) -> PathBuf {
    dir.join(format!("{sequence:016x}.{EXTENSION}"))
}

fn sequence_of(path: &Path) -> Option<u64> {
    let stem = path.file_stem()?.to_str()?;
    let ours = path.extension()?.to_str()? == EXTENSION && stem.len() == 16;
    ours.then(|| u64::from_str_radix(stem, 16).ok())?
}

/// Makes new and removed names in `dir` durable.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn header(sequence: u64, now: Timestamp) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[12..20].copy_from_slice(&sequence.to_le_bytes());
    bytes[20..28].copy_from_slice(&now.0.to_le_bytes());
    let sum = crc32fast::hash(&bytes[..28]);
    bytes[28..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// Judges the first bytes of a segment file.
pub(super) fn read_header(bytes: &[u8]) -> Header {
    let Some((bytes, _)) = bytes.split_first_chunk::<HEADER_BYTES>() else { return Header::Damaged };
    let whole = bytes.starts_with(&MAGIC) && crc32fast::hash(&bytes[..28]).to_le_bytes() == bytes[28..];
    if !whole {
        return Header::Damaged;
    }
    match u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]) {
        VERSION => Header::Good,
        version => Header::Newer(version),
    }
}
