//! The append-only journal on local disk: what makes usage survive any fault.
//!
//! In reading order: [`slot`] is what an exchange holds; `shared` is what the proxy's threads
//! and the writer share; `writer` is the thread that writes and syncs groups, with `syncer` beside
//! it; `segment`, `frame` and `scan` are the bytes; [`reader`] follows the journal for the recorder;
//! `quarantine` keeps what cannot be used; [`inspect`] looks from outside.
//!
//! Invariants: a byte that was acknowledged is in a segment that synced without error; a
//! segment is appended to by one process only, and never again after an error; a segment is
//! deleted only when every exchange opened or closed in it is acknowledged by the recorder.

mod frame;
pub mod inspect;
mod quarantine;
pub mod reader;
mod scan;
mod segment;
mod shared;
pub mod slot;
mod syncer;
#[cfg(test)]
pub(crate) mod tests;
mod writer;

pub use reader::{Batch, Entry, Reader};
pub use slot::{Durability, Slot, Ticket};

use crate::clock;
use aione_core::{config::snapshot::JournalSync, domain::usage::Opened};
use parking_lot::Mutex;
use shared::Shared;
use std::{
    fs::{self, File, TryLockError},
    io,
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    thread::JoinHandle,
    time::Duration,
};

/// Bytes after which a segment is closed and the next one begun.
pub const SEGMENT_BYTES: u64 = 16 * 1024 * 1024;
/// Bytes of journal, reserved room included, at which new exchanges are refused.
pub const MAX_BYTES: u64 = 4 * 1024 * 1024 * 1024;

/// Where the journal is and how it behaves.
#[derive(Clone, Debug)]
pub struct Options {
    pub dir: PathBuf,
    pub sync: JournalSync,
    /// How long a [`Ticket`] waits before its answer is released all the same.
    pub sync_timeout: Duration,
    /// Normally [`SEGMENT_BYTES`].
    pub segment_bytes: u64,
    /// Normally [`MAX_BYTES`].
    pub max_bytes: u64,
}

impl Options {
    /// The journal in `dir` with the usual bounds.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>, sync: JournalSync, sync_timeout: Duration) -> Self {
        Self { dir: dir.into(), sync, sync_timeout, segment_bytes: SEGMENT_BYTES, max_bytes: MAX_BYTES }
    }
}

/// The journal cannot be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("the journal {0} is in use by another process")]
    Locked(PathBuf),
    #[error("the journal {0} cannot be {1}: {2}")]
    Io(PathBuf, &'static str, #[source] io::Error),
}

/// New exchanges must be refused (503): the journal has no room or its disk is failing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum JournalFull {
    #[error("the journal has reached its greatest size")]
    Room,
    #[error("the journal's disk is failing or too slow")]
    Disk,
    #[error("the journal is shutting down")]
    Stopping,
}

/// What was found when the journal was opened.
#[derive(Debug)]
pub struct Recovery {
    /// Segments of former runs, which the reader delivers first.
    pub segments: usize,
    /// Their bytes.
    pub bytes: u64,
    /// The one reader of this journal, for the recorder.
    pub reader: Reader,
}

/// Numbers for metrics. Counters count since the journal was opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// On disk and on the way there.
    pub bytes: u64,
    pub max_bytes: u64,
    pub segments: u64,
    /// Exchanges that have a slot now.
    pub open: u64,
    /// Ended exchanges that the recorder has not acknowledged.
    pub unrecorded: u64,
    /// About how long the oldest of these has waited.
    pub oldest_unrecorded: Duration,
    /// Whether new exchanges are refused because of the disk.
    pub failing: bool,
    /// Disk errors and tickets that came late.
    pub alarms: u64,
    pub late_tickets: u64,
    /// Group commits and their summed duration in fdatasync.
    pub syncs: u64,
    pub sync_time: Duration,
    /// Runs of bytes that are no readable frame.
    pub quarantined_frames: u64,
    /// Records that the store refused.
    pub quarantined_records: u64,
    /// Exchanges that became `interrupted` records.
    pub interrupted: u64,
}

/// The journal, open for writing. Dropping it shuts it down.
#[derive(Debug)]
pub struct Journal {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Held for its lock.
    _lock: File,
}

impl Journal {
    /// Takes the directory (made if missing) for this process, begins a new segment and starts
    /// the writer. Segments of former runs are left to the reader.
    ///
    /// # Errors
    /// Another process has it, or the directory cannot be used.
    pub fn open(options: Options) -> Result<(Self, Recovery), JournalError> {
        let dir = options.dir.clone();
        let failed = |what| {
            let dir = dir.clone();
            move |error| JournalError::Io(dir, what, error)
        };
        fs::create_dir_all(&dir).map_err(failed("made"))?;
        let lock = File::create(dir.join("lock")).map_err(failed("locked"))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => JournalError::Locked(dir.clone()),
            TryLockError::Error(error) => failed("locked")(error),
        })?;
        let former = segment::list(&dir).map_err(failed("listed"))?;
        for found in &former {
            scan::Scan::open(&found.path).map_err(failed("read"))?;
        }
        let first = former.last().map_or(1, |last| last.sequence + 1);
        let live = segment::Segment::create(&dir, first, clock::now()).map_err(failed("begun"))?;
        let shared = Arc::new(Shared::new(options, &former, &live));
        let thread = writer::start(Arc::clone(&shared), live).map_err(failed("written by a thread"))?;
        let recovery = Recovery {
            segments: former.len(),
            bytes: former.iter().map(|segment| segment.len).sum(),
            reader: Reader::new(Arc::clone(&shared), first),
        };
        Ok((Self { shared, thread: Mutex::new(Some(thread)), _lock: lock }, recovery))
    }

    /// Notes an admitted exchange and reserves the room for its end. Never waits for the disk.
    ///
    /// # Errors
    /// The exchange must be refused.
    pub fn open_exchange(&self, opened: Opened) -> Result<Slot, JournalFull> {
        Slot::open(&self.shared, opened)
    }

    /// Waits until every exchange that has ended by now, of this run and former ones, is
    /// acknowledged by the recorder.
    pub async fn caught_up(&self) {
        let target = self.shared.state.lock().ended;
        self.acknowledged(|| self.shared.ended_acked.load(Ordering::Acquire) >= target).await;
    }

    /// Waits until every exchange of former runs is acknowledged by the recorder.
    pub async fn former_recorded(&self) {
        self.acknowledged(|| true).await;
    }

    /// Waits for what the recorder acknowledges: all of former runs, and of this one until it `is_enough`.
    async fn acknowledged(&self, is_enough: impl Fn() -> bool) {
        loop {
            let acked = self.shared.acked.notified();
            if self.shared.former_done.load(Ordering::Acquire) && is_enough() {
                return;
            }
            acked.await;
        }
    }

    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// Writes and syncs everything, ends the writer thread and lets the reader come to its end.
    /// Blocks the calling thread, with a failing disk for at most the sync timeout. Open slots
    /// that close later are not written.
    pub fn shutdown(&self) {
        self.shared.stop();
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the journal's writer panicked");
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.shutdown();
    }
}
