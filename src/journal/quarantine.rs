//! Keeps what cannot be used, for a person to look at: damaged bytes and refused records.

use super::{frame, segment};
use aione_core::domain::usage::UsageRecord;
use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Bytes that the quarantine may hold.
const QUARANTINE_MAX: u64 = 256 * 1024 * 1024;
/// The file of refused records: `closed` frames, as in a segment but without its header.
const RECORDS: &str = "records.frames";

/// The directory `quarantine/` in the journal's own.
#[derive(Debug)]
pub(super) struct Quarantine {
    dir: PathBuf,
    /// Bytes in it; `None` until it is first needed.
    held: Option<u64>,
    /// The segment whose damaged bytes were kept last, so that its file is begun once.
    begun: Option<u64>,
}

impl Quarantine {
    pub(super) fn new(journal: &Path) -> Self {
        Self { dir: journal.join("quarantine"), held: None, begun: None }
    }

    /// Keeps bytes of a segment that are no frame, each piece after a line with its offset and
    /// length. Read again after a crash, the segment's file is written anew.
    pub(super) fn keep_bytes(&mut self, sequence: u64, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let head = format!("offset {offset} length {}\n", bytes.len());
        let path = self.dir.join(format!("{sequence:016x}.bad"));
        let anew = self.begun != Some(sequence);
        self.make_room(head.len() + bytes.len() + 1)?;
        let mut file = OpenOptions::new().create(true).write(true).append(!anew).truncate(anew).open(path)?;
        file.write_all(&[head.as_bytes(), bytes, b"\n"].concat())?;
        self.begun = Some(sequence);
        file.sync_data()
    }

    /// Keeps a record that the store refuses, durably: its segment may be deleted afterwards.
    pub(super) fn keep_record(&mut self, record: &UsageRecord) -> io::Result<()> {
        let mut bytes = Vec::new();
        frame::put_closed(&record.opened, &record.closed, &mut bytes)
            .map_err(|frame::TooLong| io::Error::other("the record is too long for a frame"))?;
        self.make_room(bytes.len())?;
        let mut file = OpenOptions::new().create(true).append(true).open(self.dir.join(RECORDS))?;
        file.write_all(&bytes)?;
        file.sync_data()?;
        segment::sync_dir(&self.dir)
    }

    fn make_room(&mut self, more: usize) -> io::Result<()> {
        let held = match self.held {
            Some(held) => held,
            None => {
                fs::create_dir_all(&self.dir)?;
                let sizes = fs::read_dir(&self.dir)?.map(|entry| entry?.metadata().map(|meta| meta.len()));
                sizes.sum::<io::Result<u64>>()?
            }
        };
        let held = held + more as u64;
        if held > QUARANTINE_MAX {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "the journal's quarantine is full"));
        }
        self.held = Some(held);
        Ok(())
    }
}
