//! What the proxy's threads, the writer and the reader share: the group that is being filled,
//! how far groups have got, and which segments there are.

use super::{
    JournalFull, Options, Stats, frame,
    segment::{Found, Segment},
    slot::Camp,
};
use crate::{clock, own_hash::OwnHashes};
use aione_core::domain::{
    clock::{Steady, Timestamp},
    id::RecordId,
};
use parking_lot::Mutex;
use std::{
    collections::{HashSet, VecDeque},
    mem,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::Thread,
    time::Duration,
};
use thread_local::ThreadLocal;
use tokio::sync::Notify;

/// Room that an open exchange's end is counted with, in bytes.
const END_ROOM: u64 = 1024;
/// Bytes that wait for the writer, at which new exchanges are refused.
const PENDING_MAX: usize = 64 * 1024 * 1024;
/// Longest `opened` frame: its `closed` frame holds it again and must fit as well.
const OPENED_MAX: usize = frame::PAYLOAD_MAX / 2;
/// Bytes that the two group buffers start with, so that they seldom grow.
pub(super) const BUFFER_BYTES: usize = 256 * 1024;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) options: Options,
    pub(super) state: Mutex<State>,
    /// Every segment on disk, oldest first; the last is live.
    pub(super) segments: Mutex<VecDeque<SegmentInfo>>,
    /// Bytes on disk and on the way there.
    pub(super) bytes: AtomicU64,
    /// The last group that reached the operating system.
    pub(super) written: AtomicU64,
    /// A group has reached the operating system: for the few who wait for no more than that.
    pub(super) handed_over: Notify,
    /// The last group that reached the disk.
    pub(super) synced: AtomicU64,
    /// Waiters of even and of odd groups: while one group is on its way the next is filled, so
    /// a group's end wakes its own waiters only.
    groups: [Notify; 2],
    /// The same waiters again, by thread.
    camps: ThreadLocal<[Arc<Camp>; 2]>,
    /// More is durable, or the writer has ended: for the reader.
    pub(super) durable: Notify,
    /// The recorder has acknowledged something.
    pub(super) acked: Notify,
    /// Ends of this run that are acknowledged.
    pub(super) ended_acked: AtomicU64,
    /// Records of former runs that were delivered and are not acknowledged.
    pub(super) former_unacked: AtomicU64,
    /// Former runs are read, recorded and acknowledged.
    pub(super) former_done: AtomicBool,
    /// When the record that was acknowledged last ended.
    pub(super) last_acked_end: Mutex<Timestamp>,
    /// The disk returned an error or was too slow, and has not synced since.
    pub(super) failing: AtomicBool,
    /// The writer has ended: nothing more becomes durable.
    pub(super) finished: AtomicBool,
    /// Woken when it has.
    pub(super) closing: Notify,
    pub(super) alarms: AtomicU64,
    late_tickets: AtomicU64,
    pub(super) syncs: AtomicU64,
    pub(super) sync_ns: AtomicU64,
    pub(super) quarantined_frames: AtomicU64,
    pub(super) quarantined_records: AtomicU64,
    pub(super) interrupted: AtomicU64,
    pub(super) writer: OnceLock<Thread>,
}

/// What an append touches, under one short lock.
#[derive(Debug)]
pub(super) struct State {
    /// The group that is being filled.
    pub(super) pending: Vec<u8>,
    /// Its number; a group is taken whole by the writer.
    pub(super) group: u64,
    /// Frames in `pending` that somebody waits for.
    pub(super) waiting: u64,
    /// Exchanges that have a slot.
    pub(super) open: HashSet<RecordId, OwnHashes>,
    /// Exchanges of this run that have ended.
    pub(super) ended: u64,
    /// When the first end came after everything before it was acknowledged.
    ended_since: Timestamp,
    pub(super) sleep: Sleep,
    /// Somebody waits for the group to be written, though nobody for its sync.
    pub(super) is_hurried: bool,
    pub(super) stopping: bool,
}

/// What the writer sleeps through. Ordered: each wakes on what the one before it does not.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Sleep {
    /// It is awake, or will look again by itself.
    Awake,
    /// Gathering a group: only when nobody is left who could join it.
    UntilLast,
    /// Only a frame that somebody waits for wakes it.
    UntilWaiter,
    /// Any frame wakes it.
    UntilAny,
}

/// Who waits for an appended frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wake {
    Nobody,
    Waiter,
}

/// A segment as writer and reader know it.
#[derive(Clone, Debug)]
pub(super) struct SegmentInfo {
    pub(super) sequence: u64,
    /// Bytes that may be read: those that are durable.
    pub(super) durable: u64,
    /// Nothing will be added.
    pub(super) sealed: bool,
}

impl Shared {
    pub(super) fn new(options: Options, former: &[Found], live: &Segment) -> Self {
        let mut segments: VecDeque<_> = former
            .iter()
            .map(|found| SegmentInfo { sequence: found.sequence, durable: found.len, sealed: true })
            .collect();
        segments.push_back(SegmentInfo { sequence: live.sequence, durable: live.len, sealed: false });
        let bytes = segments.iter().map(|segment| segment.durable).sum();
        Self {
            options,
            state: Mutex::new(State {
                pending: Vec::with_capacity(BUFFER_BYTES),
                group: 1,
                waiting: 0,
                open: HashSet::default(),
                ended: 0,
                // What former runs left is counted as waiting since this start.
                ended_since: clock::now(),
                sleep: Sleep::Awake,
                is_hurried: false,
                stopping: false,
            }),
            segments: Mutex::new(segments),
            bytes: AtomicU64::new(bytes),
            written: AtomicU64::new(0),
            handed_over: Notify::new(),
            synced: AtomicU64::new(0),
            groups: [Notify::new(), Notify::new()],
            camps: ThreadLocal::new(),
            durable: Notify::new(),
            acked: Notify::new(),
            ended_acked: AtomicU64::new(0),
            former_unacked: AtomicU64::new(0),
            former_done: AtomicBool::new(false),
            last_acked_end: Mutex::new(Timestamp::default()),
            failing: AtomicBool::new(false),
            finished: AtomicBool::new(false),
            closing: Notify::new(),
            alarms: AtomicU64::new(0),
            late_tickets: AtomicU64::new(0),
            syncs: AtomicU64::new(0),
            sync_ns: AtomicU64::new(0),
            quarantined_frames: AtomicU64::new(0),
            quarantined_records: AtomicU64::new(0),
            interrupted: AtomicU64::new(0),
            writer: OnceLock::new(),
        }
    }

    /// Adds an exchange and its frame to the group that is being filled, whose number it returns.
    pub(super) fn append_opened(&self, id: RecordId, bytes: &[u8]) -> Result<u64, JournalFull> {
        if bytes.len() > OPENED_MAX {
            return Err(JournalFull::Room);
        }
        if self.failing.load(Ordering::Acquire) {
            return Err(JournalFull::Disk);
        }
        let mut state = self.state.lock();
        if state.stopping {
            return Err(JournalFull::Stopping);
        }
        let reserved = (state.open.len() as u64 + 1) * END_ROOM + bytes.len() as u64;
        if self.bytes.load(Ordering::Relaxed) + reserved > self.options.max_bytes {
            return Err(JournalFull::Room);
        }
        if state.pending.len() > PENDING_MAX {
            return Err(JournalFull::Disk);
        }
        state.open.insert(id);
        let wake = self.push(&mut state, bytes, Wake::Nobody);
        let group = state.group;
        drop(state);
        self.unpark(wake);
        Ok(group)
    }

    /// Has `group` written soon, if it is still being filled.
    pub(super) fn hurry(&self, group: u64) {
        let mut state = self.state.lock();
        if state.group != group || state.is_hurried {
            return;
        }
        state.is_hurried = true;
        let wake = state.sleep != Sleep::Awake;
        state.sleep = Sleep::Awake;
        drop(state);
        self.unpark(wake);
    }

    /// Adds the end of an exchange. The group that it is in.
    pub(super) fn append_end(&self, id: RecordId, bytes: &[u8], waiter: Wake) -> u64 {
        let mut state = self.state.lock();
        state.open.remove(&id);
        if state.ended == self.ended_acked.load(Ordering::Acquire) {
            state.ended_since = clock::now();
        }
        state.ended += 1;
        let wake = self.push(&mut state, bytes, waiter);
        let group = state.group;
        drop(state);
        self.unpark(wake);
        group
    }

    /// Adds an exchange's `opened` frame again, if it has not ended: then its first one is no
    /// longer needed once this one is durable. Under the lock, so that no end comes before it.
    pub(super) fn carry(&self, id: RecordId, bytes: &[u8]) {
        let mut state = self.state.lock();
        if !state.open.contains(&id) {
            return;
        }
        let wake = self.push(&mut state, bytes, Wake::Nobody);
        drop(state);
        self.unpark(wake);
    }

    /// Whether the writer must be woken.
    fn push(&self, state: &mut State, bytes: &[u8], waiter: Wake) -> bool {
        state.pending.extend_from_slice(bytes);
        self.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        let needed = match waiter {
            Wake::Nobody => Sleep::UntilAny,
            Wake::Waiter if state.open.is_empty() => Sleep::UntilLast,
            Wake::Waiter => Sleep::UntilWaiter,
        };
        state.waiting += u64::from(waiter == Wake::Waiter);
        let wake = state.sleep != Sleep::Awake && state.sleep >= needed;
        if wake {
            state.sleep = Sleep::Awake;
        }
        wake
    }

    fn unpark(&self, wake: bool) {
        if wake && let Some(writer) = self.writer.get() {
            writer.unpark();
        }
    }

    /// Takes the group that is being filled and begins the next, in the spare buffer. The number
    /// of the taken group, and how many wait for it.
    pub(super) fn take_group(state: &mut State, spare: &mut Vec<u8>) -> (u64, u64) {
        debug_assert!(spare.is_empty(), "the spare buffer has been written");
        mem::swap(&mut state.pending, spare);
        let taken = (state.group, mem::take(&mut state.waiting));
        state.is_hurried = false;
        state.group += 1;
        taken
    }

    /// Where the waiters of `group` wait.
    pub(super) fn group_done(&self, group: u64) -> &Notify {
        &self.groups[usize::from(group % 2 == 1)]
    }

    /// Those who wait for `group` on this thread.
    pub(super) fn camp(&self, group: u64) -> Arc<Camp> {
        self.camps.get_or_default()[usize::from(group % 2 == 1)].clone()
    }

    /// A ticket of `group` has waited for the sync timeout.
    pub(super) fn raise_late(&self, group: u64) {
        self.late_tickets.fetch_add(1, Ordering::Relaxed);
        self.raise_alarm();
        // The sync may have come between the ticket's last look and the alarm; then no later
        // one is sure to come and clear it.
        if self.synced.load(Ordering::SeqCst) >= group {
            self.clear_alarm();
        }
    }

    /// Refuses new exchanges until the disk has synced again.
    pub(super) fn raise_alarm(&self) {
        self.alarms.fetch_add(1, Ordering::Relaxed);
        if !self.failing.swap(true, Ordering::SeqCst) {
            tracing::error!("the journal's disk is failing or too slow: new exchanges are refused");
        }
    }

    /// The disk has synced.
    pub(super) fn clear_alarm(&self) {
        if self.failing.load(Ordering::SeqCst) && self.failing.swap(false, Ordering::SeqCst) {
            tracing::info!("the journal's disk works again");
        }
    }

    pub(super) fn stop(&self) {
        let mut state = self.state.lock();
        state.stopping = true;
        state.sleep = Sleep::Awake;
        drop(state);
        self.unpark(true);
    }

    pub(super) fn stats(&self) -> Stats {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (open, ended, ended_since) = {
            let state = self.state.lock();
            (state.open.len() as u64, state.ended, state.ended_since)
        };
        let unrecorded = ended.saturating_sub(load(&self.ended_acked)) + load(&self.former_unacked);
        let since = ended_since.max(*self.last_acked_end.lock());
        let waited = clock::now().0.saturating_sub(since.0);
        let waited = if unrecorded == 0 { 0 } else { u64::try_from(waited).unwrap_or(0) };
        Stats {
            bytes: load(&self.bytes),
            max_bytes: self.options.max_bytes,
            segments: self.segments.lock().len() as u64,
            open,
            unrecorded,
            oldest_unrecorded: Duration::from_millis(waited),
            failing: self.failing.load(Ordering::Relaxed),
            alarms: load(&self.alarms),
            late_tickets: load(&self.late_tickets),
            syncs: load(&self.syncs),
            sync_time: Duration::from_nanos(load(&self.sync_ns)),
            quarantined_frames: load(&self.quarantined_frames),
            quarantined_records: load(&self.quarantined_records),
            interrupted: load(&self.interrupted),
        }
    }
}

/// `after` nanoseconds from `start`.
pub(super) fn later(start: Steady, after: Duration) -> Steady {
    Steady(start.0.saturating_add(u64::try_from(after.as_nanos()).unwrap_or(u64::MAX)))
}
