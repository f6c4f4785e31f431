//! Looks at a journal from outside, read-only, also beside the gateway that writes it.

use super::{
    JournalError,
    frame::Frame,
    scan::{Next, Scan},
    segment,
};
use aione_core::domain::{id::RecordId, usage::Opened};
use std::{collections::HashMap, fmt, io, path::Path};

/// Open exchanges that are named in the printed form; more are only counted.
const NAMED_MAX: usize = 20;

/// What a journal holds. Printable, a line per segment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Inspection {
    /// Oldest first.
    pub segments: Vec<SegmentSummary>,
    /// Exchanges opened and not ended, oldest first.
    pub open: Vec<Opened>,
    /// Files in quarantine and their bytes.
    pub quarantine_files: u64,
    pub quarantine_bytes: u64,
}

/// What one segment holds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SegmentSummary {
    pub sequence: u64,
    pub bytes: u64,
    pub opened: u64,
    pub closed: u64,
    pub abandoned: u64,
    /// Runs of bytes that are no readable frame. The last run of the segment that is being
    /// written may be a frame on its way.
    pub bad: u64,
    pub bad_bytes: u64,
}

/// Reads the journal in `dir`. Segments that the gateway deletes meanwhile are left out.
///
/// # Errors
/// The directory or a segment cannot be read.
pub fn inspect(dir: &Path) -> Result<Inspection, JournalError> {
    read(dir).map_err(|error| JournalError::Io(dir.to_owned(), "inspected", error))
}

fn read(dir: &Path) -> io::Result<Inspection> {
    let mut found = Inspection::default();
    let mut open = HashMap::new();
    for file in segment::list(dir)? {
        let mut scan = match Scan::open(&file.path) {
            Ok(scan) => scan,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let mut summary = SegmentSummary { sequence: file.sequence, bytes: file.len, ..Default::default() };
        count(&mut scan, &mut summary, &mut open)?;
        found.segments.push(summary);
    }
    found.open = open.into_values().collect();
    found.open.sort_unstable_by_key(|opened| opened.id);
    match std::fs::read_dir(dir.join("quarantine")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
        Ok(files) => {
            for file in files {
                found.quarantine_files += 1;
                found.quarantine_bytes += file?.metadata()?.len();
            }
        }
    }
    Ok(found)
}

fn count(
    scan: &mut Scan,
    summary: &mut SegmentSummary,
    open: &mut HashMap<RecordId, Opened>,
) -> io::Result<()> {
    let mut bad_end = None;
    loop {
        match scan.next(summary.bytes)? {
            Next::End => return Ok(()),
            Next::Frame(Frame::Opened(opened)) => {
                summary.opened += 1;
                open.insert(opened.id, opened);
            }
            Next::Frame(Frame::Closed(record)) => {
                summary.closed += 1;
                open.remove(&record.opened.id);
            }
            Next::Frame(Frame::Abandoned(opened)) => {
                summary.abandoned += 1;
                open.remove(&opened.id);
            }
            Next::Bad { offset, bytes } => {
                summary.bad += u64::from(bad_end != Some(offset));
                summary.bad_bytes += bytes.len() as u64;
                bad_end = Some(offset + bytes.len() as u64);
            }
        }
    }
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "segment           bytes      opened     closed  abandoned  bad (bytes)")?;
        for s in &self.segments {
            let SegmentSummary { sequence, bytes, opened, closed, abandoned, bad, bad_bytes } = s;
            writeln!(
                f,
                "{sequence:016x} {bytes:>9} {opened:>10} {closed:>10} {abandoned:>10}  {bad} ({bad_bytes})"
            )?;
        }
        writeln!(f, "quarantine: {} files, {} bytes", self.quarantine_files, self.quarantine_bytes)?;
        writeln!(f, "open exchanges: {}", self.open.len())?;
        for opened in self.open.iter().take(NAMED_MAX) {
            writeln!(f, "  {} {} {}", opened.id, opened.started_at.rfc3339(), opened.model)?;
        }
        if self.open.len() > NAMED_MAX {
            writeln!(f, "  and {} more", self.open.len() - NAMED_MAX)?;
        }
        Ok(())
    }
}
