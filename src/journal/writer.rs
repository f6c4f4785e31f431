//! The thread that writes what was appended, a group at a time, and makes it durable.
//!
//! One `write` and one `fdatasync` serve everything that came since the last round. While
//! exchanges are still under way and the disk has just been asked, a group waits a moment for
//! them to join it; `opened` frames, for which nobody waits, are gathered likewise.

use super::{
    segment::{self, Segment},
    shared::{BUFFER_BYTES, SegmentInfo, Shared, Sleep, State, later},
    syncer::Syncer,
};
use crate::{background, clock};
use aione_core::{config::snapshot::JournalSync, domain::clock::Steady};
use parking_lot::MutexGuard;
use std::{
    io,
    sync::{Arc, atomic::Ordering},
    thread::{self, JoinHandle},
    time::Duration,
};

/// Least time between two syncs while exchanges are under way that could join the later one. A disk may be done
/// sooner; what a sync and the wake-ups after it cost is then shared by too few.
const SYNC_SPACING: Duration = Duration::from_millis(2);
/// Least time between two writes, likewise, where nobody waits for a sync: a wake-up of this
/// thread costs a request more than its bytes do.
const WRITE_SPACING: Duration = Duration::from_micros(50);
/// Least time between two writes where somebody waits for an `opened` frame to be written.
const NOTE_SPACING: Duration = Duration::from_micros(250);
/// How long `opened` frames alone are gathered before they are written.
const OPENED_DELAY: Duration = Duration::from_millis(1);
/// Longest time that written bytes stay without a sync.
const SYNC_INTERVAL: Duration = Duration::from_millis(10);
/// Bytes written and not synced at which a sync is due at once; they are held in memory.
const UNSYNCED_MAX: usize = 4 * 1024 * 1024;
/// Pause after the first failure to begin a new segment; it doubles up to [`RETRY_MAX`].
const RETRY_MIN: Duration = Duration::from_millis(10);
const RETRY_MAX: Duration = Duration::from_secs(1);
/// A buffer that grew beyond this in a burst is given back.
const BUFFER_KEEP: usize = 16 * BUFFER_BYTES;

/// Starts the writer on `live`.
pub(super) fn start(shared: Arc<Shared>, live: Segment) -> io::Result<JoinHandle<()>> {
    let handle = thread::Builder::new().name("journal".to_owned()).spawn({
        let shared = Arc::clone(&shared);
        move || {
            background::interrupt_nobody();
            // Set also when the writer panics, so that the reader never waits for it in vain.
            let _end = End(Arc::clone(&shared));
            match Writer::new(shared, live) {
                Ok(writer) => writer.run(),
                Err(error) => tracing::error!(%error, "the journal's syncer cannot be started"),
            }
        }
    })?;
    // A frame that was appended before this is found when the writer first looks.
    let _ = shared.writer.set(handle.thread().clone());
    Ok(handle)
}

/// Tells the reader that nothing more comes, and refuses new exchanges.
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.state.lock().stopping = true;
        self.0.finished.store(true, Ordering::Release);
        self.0.closing.notify_waiters();
        self.0.durable.notify_one();
    }
}

struct Writer {
    shared: Arc<Shared>,
    segment: Segment,
    /// Under `interval`, syncs run beside the writer; without it, in between.
    syncer: Option<Syncer>,
    /// The sync that runs beside.
    beside: Option<Beside>,
    /// The group that is being written; empty between rounds.
    batch: Vec<u8>,
    /// What was written since the last sync: written again elsewhere when the sync fails.
    unsynced: Vec<u8>,
    /// When the oldest of `unsynced` was written.
    dirty_since: Steady,
    /// When the last sync that somebody waited for began.
    last_sync: Steady,
    last_write: Steady,
    /// The last group taken.
    group: u64,
}

/// What a sync makes durable.
struct Beside {
    begun: Steady,
    /// Bytes of the segment, and how many of them are at the front of `unsynced`.
    len: u64,
    unsynced: usize,
    /// The last group among them.
    group: u64,
}

/// What is to be done now.
enum Round {
    /// `batch` holds a group, which somebody waits for or not.
    Write {
        awaited: bool,
    },
    Sync,
    /// The sync beside is done.
    Synced(io::Result<()>),
    Stop,
}

impl Writer {
    fn new(shared: Arc<Shared>, segment: Segment) -> io::Result<Self> {
        let apart = shared.options.sync == JournalSync::Interval;
        Ok(Self {
            shared,
            segment,
            syncer: if apart { Some(Syncer::start(thread::current())?) } else { None },
            beside: None,
            batch: Vec::with_capacity(BUFFER_BYTES),
            unsynced: Vec::with_capacity(BUFFER_BYTES),
            dirty_since: Steady::default(),
            last_sync: Steady::default(),
            last_write: Steady::default(),
            group: 0,
        })
    }

    fn run(mut self) {
        loop {
            let done = match self.next_round() {
                Round::Stop => return,
                Round::Sync => self.begin_sync(),
                Round::Synced(outcome) => self.end_sync(outcome),
                Round::Write { awaited } => self.write(awaited),
            };
            if let Err(error) = done
                && !self.fail_over(&error)
            {
                return;
            }
            self.batch.clear();
            self.batch.shrink_to(BUFFER_KEEP);
        }
    }

    /// Sleeps until there is something to do.
    fn next_round(&mut self) -> Round {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.state.lock();
        let mut opened_due = None;
        loop {
            state.sleep = Sleep::Awake;
            let now = clock::steady();
            if self.beside.is_some()
                && let Some(outcome) = self.syncer.as_ref().and_then(Syncer::outcome)
            {
                return Round::Synced(outcome);
            }
            let dirty = !self.unsynced.is_empty() && self.beside.is_none();
            let sync_due = dirty.then(|| later(self.dirty_since, SYNC_INTERVAL));
            let stopping = state.stopping;
            if sync_due.is_some_and(|due| due <= now) {
                return Round::Sync;
            }
            let (due, sleep) = match (state.pending.is_empty(), state.waiting) {
                (true, _) if stopping && sync_due.is_some() => return Round::Sync,
                (true, _) if stopping && self.beside.is_none() => return Round::Stop,
                (true, _) => (None, Sleep::UntilAny),
                (false, _) if state.is_hurried => (Some(later(self.last_write, NOTE_SPACING)), Sleep::Awake),
                (false, 0) => (Some(*opened_due.get_or_insert(later(now, OPENED_DELAY))), Sleep::UntilWaiter),
                (false, _) => (Some(self.group_due(&state)), Sleep::UntilLast),
            };
            if (stopping && !state.pending.is_empty()) || due.is_some_and(|due| due <= now) {
                return self.take(&mut state);
            }
            state.sleep = sleep;
            let wait =
                due.into_iter().chain(sync_due).min().map(|due| Duration::from_nanos(due.since_ns(now)));
            MutexGuard::unlocked(&mut state, || wait.map_or_else(thread::park, thread::park_timeout));
        }
    }

    /// When a group that somebody waits for is to be written.
    fn group_due(&self, state: &State) -> Steady {
        if state.open.is_empty() {
            return Steady(0);
        }
        match self.shared.options.sync {
            JournalSync::Group => later(self.last_sync, SYNC_SPACING),
            JournalSync::Interval => later(self.last_write, WRITE_SPACING),
        }
    }

    fn take(&mut self, state: &mut State) -> Round {
        let (group, waiting) = Shared::take_group(state, &mut self.batch);
        self.group = group;
        Round::Write { awaited: waiting > 0 }
    }

    /// Writes the group in `batch`, and syncs it if somebody waits for that.
    fn write(&mut self, awaited: bool) -> io::Result<()> {
        let full = self.segment.len + self.batch.len() as u64 > self.shared.options.segment_bytes;
        let rotated =
            if full && self.segment.len > segment::HEADER_BYTES as u64 { self.rotate() } else { Ok(()) };
        if self.unsynced.is_empty() {
            self.dirty_since = clock::steady();
        }
        self.last_write = clock::steady();
        // From here on the group is in `unsynced`, also after an error.
        self.unsynced.extend_from_slice(&self.batch);
        rotated?;
        self.segment.append(&self.batch)?;
        self.shared.written.store(self.group, Ordering::Release);
        self.shared.handed_over.notify_waiters();
        if self.shared.options.sync == JournalSync::Interval {
            self.shared.group_done(self.group).notify_waiters();
        }
        let sync_now = self.shared.options.sync == JournalSync::Group && awaited;
        if sync_now || self.unsynced.len() > UNSYNCED_MAX {
            self.begin_sync()?;
        }
        Ok(())
    }

    /// Has everything written made durable: here, or beside if that can be. One that runs
    /// beside already is waited for first.
    fn begin_sync(&mut self) -> io::Result<()> {
        self.finish_sync()?;
        let sync = Beside {
            begun: clock::steady(),
            len: self.segment.len,
            unsynced: self.unsynced.len(),
            group: self.shared.written.load(Ordering::Relaxed),
        };
        self.last_sync = sync.begun;
        self.beside = Some(sync);
        match &self.syncer {
            Some(syncer) => {
                syncer.ask(self.segment.syncing());
                Ok(())
            }
            None => {
                let outcome = self.segment.sync();
                self.end_sync(outcome)
            }
        }
    }

    /// Waits for the sync that runs beside, if one does.
    fn finish_sync(&mut self) -> io::Result<()> {
        if self.beside.is_none() {
            return Ok(());
        }
        let outcome = self.syncer.as_ref().map_or(Ok(()), Syncer::wait);
        self.end_sync(outcome)
    }

    /// A sync is done: what it covers is durable.
    fn end_sync(&mut self, outcome: io::Result<()>) -> io::Result<()> {
        let Some(sync) = self.beside.take() else { return outcome };
        outcome?;
        self.shared.syncs.fetch_add(1, Ordering::Relaxed);
        self.shared.sync_ns.fetch_add(clock::steady().since_ns(sync.begun), Ordering::Relaxed);
        self.unsynced.drain(..sync.unsynced);
        // What came since was written after the sync began.
        self.dirty_since = sync.begun;
        self.publish(sync.len, sync.group);
        Ok(())
    }

    /// The live segment is durable up to `len`, and with it all groups up to `group`.
    fn publish(&mut self, len: u64, group: u64) {
        self.unsynced.shrink_to(BUFFER_KEEP);
        if let Some(live) = self.shared.segments.lock().back_mut() {
            live.durable = len;
        }
        self.shared.synced.store(group, Ordering::SeqCst);
        self.shared.group_done(group).notify_waiters();
        self.shared.clear_alarm();
        self.shared.durable.notify_one();
    }

    /// Ends the live segment and begins the next.
    fn rotate(&mut self) -> io::Result<()> {
        self.finish_sync()?;
        if !self.unsynced.is_empty() {
            self.begin_sync()?;
            self.finish_sync()?;
        }
        let next = Segment::create(&self.shared.options.dir, self.segment.sequence + 1, clock::now())?;
        self.begin(next);
        Ok(())
    }

    /// Makes `next` the live segment. The one before it is sealed at what is durable of it.
    fn begin(&mut self, next: Segment) {
        let mut segments = self.shared.segments.lock();
        if let Some(former) = segments.back_mut() {
            former.sealed = true;
        }
        segments.push_back(SegmentInfo { sequence: next.sequence, durable: next.len, sealed: false });
        self.shared.bytes.fetch_add(segment::HEADER_BYTES as u64, Ordering::Relaxed);
        self.segment = next;
    }

    /// After any error the live segment is not trusted again: what is not durable goes into a
    /// new one, tried until it succeeds. `false`: the journal is shutting down and it did not.
    fn fail_over(&mut self, error: &io::Error) -> bool {
        tracing::error!(%error, segment = self.segment.sequence, "the journal could not be written; it goes on in a new segment");
        self.shared.raise_alarm();
        if let Err(error) = self.finish_sync() {
            tracing::error!(%error, "the journal's last sync failed as well");
        }
        let mut pause = RETRY_MIN;
        let mut give_up = None;
        let mut sequence = self.segment.sequence;
        loop {
            sequence += 1;
            match self.rewrite(sequence) {
                Ok(()) => return true,
                Err(error) => {
                    self.shared.raise_alarm();
                    tracing::error!(%error, "the journal cannot begin a new segment");
                }
            }
            let now = clock::steady();
            if self.shared.state.lock().stopping {
                let deadline = *give_up.get_or_insert(later(now, self.shared.options.sync_timeout));
                if deadline <= now {
                    tracing::error!(
                        bytes = self.unsynced.len(),
                        "the journal's last bytes are lost: its disk fails"
                    );
                    return false;
                }
            }
            thread::park_timeout(pause);
            pause = (pause * 2).min(RETRY_MAX);
        }
    }

    /// Writes everything that is not durable to a new segment, durably.
    fn rewrite(&mut self, sequence: u64) -> io::Result<()> {
        let mut next = Segment::create(&self.shared.options.dir, sequence, clock::now())?;
        if let Err(error) = next.append(&self.unsynced).and_then(|()| next.sync()) {
            next.discard();
            return Err(error);
        }
        let durable = self.shared.segments.lock().back().map_or(0, |live| live.durable);
        self.segment.cut(durable);
        self.begin(next);
        self.shared.written.store(self.group, Ordering::Release);
        self.shared.handed_over.notify_waiters();
        self.unsynced.clear();
        self.publish(self.segment.len, self.group);
        // Under `interval`, waiters of both the failed group and its predecessor may be left.
        self.shared.group_done(self.group + 1).notify_waiters();
        Ok(())
    }
}
