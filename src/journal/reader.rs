//! Follows the journal from its first segment to its durable end, for the recorder.
//!
//! An ended exchange is delivered as it is read. An `opened` frame is remembered until its end;
//! of those that a former run left, each is delivered as interrupted once the former run is
//! read. A segment goes when everything opened or closed in it is acknowledged; frames of
//! exchanges that outlast [`CARRY_BEHIND`] segments are written again at the live end.

use super::{
    JournalError, frame,
    frame::Frame,
    quarantine::Quarantine,
    scan::{Next, Scan},
    segment,
    shared::{SegmentInfo, Shared},
};
use aione_core::domain::{
    clock::Timestamp,
    id::RecordId,
    usage::{Opened, UsageRecord},
};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fs, io, mem,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

/// How many segments an open exchange's frame may lie behind the live one.
const CARRY_BEHIND: u64 = 4;

/// What the recorder is given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Entry {
    /// An ended exchange.
    Closed(Box<UsageRecord>),
    /// An exchange without an end: its process died, or its slot was dropped.
    Interrupted(Box<Opened>),
}

/// Entries in journal order. An entry may come again after a restart; its id is the same.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Batch {
    pub entries: Vec<Entry>,
    /// To be acknowledged once the entries are stored.
    pub position: Position,
}

/// Up to where the journal was delivered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Position(u64);

/// The one consumer of a journal.
pub struct Reader {
    shared: Arc<Shared>,
    quarantine: Quarantine,
    /// The first segment of this run; those before it are former runs'.
    first_live: u64,
    /// The lowest sequence that is not read to its end.
    at: u64,
    /// Where in that segment.
    cursor: Option<Cursor>,
    /// Exchanges without an end so far. Bounded by the exchanges in flight.
    open: HashMap<RecordId, Open>,
    /// Left open by former runs, to be delivered.
    left_open: Vec<Open>,
    former_read: bool,
    /// How many open or unacknowledged exchanges need each segment.
    pins: BTreeMap<u64, u64>,
    /// Read and not delivered yet: kept here, so that a dropped future loses nothing.
    ready: Delivery,
    /// Delivered and not acknowledged, oldest first.
    delivered: VecDeque<(Position, Delivery)>,
    last_position: u64,
    /// Segments up to this one have had their open exchanges carried forward.
    carried: u64,
}

struct Cursor {
    scan: Scan,
    /// Where the damaged run that was read last ends, so that its pieces count once.
    bad_end: u64,
}

struct Open {
    opened: Opened,
    segment: u64,
}

/// What is to be undone and counted when a batch is acknowledged.
#[derive(Default)]
struct Delivery {
    entries: Vec<Entry>,
    pins: Vec<u64>,
    /// Ends of this run, and records of former ones.
    ended: u64,
    former: u64,
    last_end: Timestamp,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("open", &self.open.len()).finish_non_exhaustive()
    }
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>, first_live: u64) -> Self {
        let quarantine = Quarantine::new(&shared.options.dir);
        Self {
            shared,
            quarantine,
            first_live,
            at: 0,
            cursor: None,
            open: HashMap::new(),
            left_open: Vec::new(),
            former_read: false,
            pins: BTreeMap::new(),
            ready: Delivery::default(),
            delivered: VecDeque::new(),
            last_position: 0,
            carried: 0,
        }
    }

    /// The next entries, at most `max`: waits for the first, then `linger` for more to join it.
    /// `None` once the journal is shut down and everything is delivered. Reads files, mostly
    /// from the page cache, on the calling thread. May be dropped and called again.
    ///
    /// # Errors
    /// A segment cannot be read; calling again tries again.
    pub async fn next_batch(&mut self, max: usize, linger: Duration) -> Result<Option<Batch>, JournalError> {
        let shared = Arc::clone(&self.shared);
        loop {
            let finished = shared.finished.load(Ordering::Acquire);
            self.read(max)?;
            self.collect();
            if !self.ready.entries.is_empty() {
                if self.ready.entries.len() < max && !finished {
                    tokio::select! {
                        () = tokio::time::sleep(linger) => {}
                        () = shared.closing.notified() => {}
                    }
                    self.read(max)?;
                }
                return Ok(Some(self.deliver()));
            }
            if finished {
                return Ok(None);
            }
            shared.durable.notified().await;
        }
    }

    /// Everything delivered up to `position` is stored: the journal may forget it.
    pub fn ack(&mut self, position: Position) {
        while let Some((delivered, _)) = self.delivered.front()
            && *delivered <= position
            && let Some((_, delivery)) = self.delivered.pop_front()
        {
            delivery.pins.iter().for_each(|segment| self.unpin(*segment));
            self.shared.former_unacked.fetch_sub(delivery.former, Ordering::AcqRel);
            self.shared.ended_acked.fetch_add(delivery.ended, Ordering::AcqRel);
            *self.shared.last_acked_end.lock() = delivery.last_end;
        }
        self.note_former_done();
        self.collect();
        self.shared.acked.notify_waiters();
    }

    /// Keeps a record that the store refuses where a person can look at it. It counts as stored.
    ///
    /// # Errors
    /// It could not be kept: the batch must not be acknowledged.
    pub fn quarantine(&mut self, record: &UsageRecord) -> Result<(), JournalError> {
        let kept = self.quarantine.keep_record(record);
        kept.map_err(|error| self.failed("written to in quarantine", error))?;
        self.shared.quarantined_records.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn deliver(&mut self) -> Batch {
        self.last_position += 1;
        let position = Position(self.last_position);
        let mut delivery = mem::take(&mut self.ready);
        let entries = mem::take(&mut delivery.entries);
        self.delivered.push_back((position, delivery));
        Batch { entries, position }
    }

    /// Reads until `max` entries are ready or the durable end is reached.
    fn read(&mut self, max: usize) -> Result<(), JournalError> {
        while self.ready.entries.len() < max {
            if let Some(left) = self.left_open.pop() {
                self.deliver_interrupted(left);
                continue;
            }
            let Some(segment) = self.segment_to_read() else { return Ok(()) };
            if segment.sequence >= self.first_live && !self.former_read {
                self.end_former();
                continue;
            }
            let more = self.read_frame(&segment).map_err(|error| self.failed("read", error))?;
            match (more, segment.sealed) {
                (true, _) => {}
                (false, true) => (self.at, self.cursor) = (segment.sequence + 1, None),
                (false, false) => return Ok(()),
            }
        }
        Ok(())
    }

    fn segment_to_read(&self) -> Option<SegmentInfo> {
        self.shared.segments.lock().iter().find(|segment| segment.sequence >= self.at).cloned()
    }

    /// Takes in one frame; `false` at the end of what may be read.
    fn read_frame(&mut self, segment: &SegmentInfo) -> io::Result<bool> {
        let sequence = segment.sequence;
        let mut cursor = match self.cursor.take() {
            Some(cursor) => cursor,
            None => match Scan::open(&segment::path_of(&self.shared.options.dir, sequence)) {
                Ok(scan) => Cursor { scan, bad_end: u64::MAX },
                Err(error) if error.kind() == io::ErrorKind::NotFound && segment.sealed => {
                    tracing::error!(segment = sequence, "a journal segment was removed by somebody else");
                    self.shared.quarantined_frames.fetch_add(1, Ordering::Relaxed);
                    return Ok(false);
                }
                Err(error) => return Err(error),
            },
        };
        let read = match cursor.scan.next(segment.durable) {
            Ok(Next::Frame(frame)) => {
                self.take_in(sequence, frame);
                Ok(true)
            }
            Ok(Next::Bad { offset, bytes }) => {
                let first = cursor.bad_end != offset;
                cursor.bad_end = offset + bytes.len() as u64;
                self.keep_bad(sequence, offset, bytes, first);
                Ok(true)
            }
            Ok(Next::End) => Ok(false),
            Err(error) => Err(error),
        };
        self.cursor = Some(cursor);
        read
    }

    fn take_in(&mut self, sequence: u64, frame: Frame) {
        match frame {
            Frame::Opened(opened) => {
                *self.pins.entry(sequence).or_default() += 1;
                let id = opened.id;
                if let Some(former) = self.open.insert(id, Open { opened, segment: sequence }) {
                    self.unpin(former.segment);
                }
            }
            Frame::Closed(record) => {
                let ended = record.opened.started_at.plus_ms(i64::from(record.closed.latency_ms));
                self.end(record.opened.id, sequence, Entry::Closed(record), ended);
            }
            Frame::Abandoned(opened) => {
                self.shared.interrupted.fetch_add(1, Ordering::Relaxed);
                let (id, ended) = (opened.id, opened.started_at);
                self.end(id, sequence, Entry::Interrupted(Box::new(opened)), ended);
            }
        }
    }

    /// Makes an end ready. It needs its own segment and that of its `opened` frame until it is
    /// acknowledged; without the latter's being known it is whole all the same.
    fn end(&mut self, id: RecordId, sequence: u64, entry: Entry, ended: Timestamp) {
        if let Some(open) = self.open.remove(&id) {
            self.ready.pins.push(open.segment);
        }
        *self.pins.entry(sequence).or_default() += 1;
        self.ready.pins.push(sequence);
        self.ready.entries.push(entry);
        self.ready.last_end = ended;
        if sequence >= self.first_live {
            self.ready.ended += 1;
        } else {
            self.ready.former += 1;
            self.shared.former_unacked.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// What former runs left open will not be closed any more.
    fn end_former(&mut self) {
        self.former_read = true;
        self.left_open = self.open.drain().map(|(_, open)| open).collect();
        // Taken from the end: the oldest first.
        self.left_open.sort_unstable_by_key(|open| std::cmp::Reverse(open.opened.id));
        self.note_former_done();
    }

    fn deliver_interrupted(&mut self, left: Open) {
        self.shared.interrupted.fetch_add(1, Ordering::Relaxed);
        self.shared.former_unacked.fetch_add(1, Ordering::AcqRel);
        self.ready.former += 1;
        self.ready.last_end = left.opened.started_at;
        self.ready.pins.push(left.segment);
        self.ready.entries.push(Entry::Interrupted(Box::new(left.opened)));
    }

    fn note_former_done(&self) {
        let none_left = self.former_read && self.left_open.is_empty();
        if none_left && self.shared.former_unacked.load(Ordering::Acquire) == 0 {
            self.shared.former_done.store(true, Ordering::Release);
            self.shared.acked.notify_waiters();
        }
    }

    fn keep_bad(&mut self, sequence: u64, offset: u64, bytes: &[u8], first: bool) {
        if first {
            self.shared.quarantined_frames.fetch_add(1, Ordering::Relaxed);
            tracing::error!(
                segment = sequence,
                offset,
                "damaged bytes in the journal are put into quarantine"
            );
        }
        if let Err(error) = self.quarantine.keep_bytes(sequence, offset, bytes) {
            tracing::error!(segment = sequence, offset, %error, "damaged bytes of the journal could not be kept");
        }
    }

    /// Lets go of segments that nobody needs any more.
    fn collect(&mut self) {
        self.carry_forward();
        loop {
            let Some(oldest) = self.shared.segments.lock().front().cloned() else { return };
            let read = oldest.sealed && oldest.sequence < self.at;
            if !read || self.pins.contains_key(&oldest.sequence) {
                return;
            }
            match fs::remove_file(segment::path_of(&self.shared.options.dir, oldest.sequence)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(segment = oldest.sequence, %error, "a recorded journal segment could not be deleted");
                    return;
                }
                _ => {}
            }
            self.shared.segments.lock().pop_front();
            self.shared.bytes.fetch_sub(oldest.durable, Ordering::Relaxed);
        }
    }

    /// Has the frames of exchanges that are still open written again at the live end, so that
    /// one long answer does not keep everything behind it on disk. The old frames are let go of
    /// when the new ones are read, which is after they are durable.
    fn carry_forward(&mut self) {
        let live = self.shared.segments.lock().back().map_or(0, |segment| segment.sequence);
        let upto = live.saturating_sub(CARRY_BEHIND).min(self.at.saturating_sub(1));
        if upto <= self.carried {
            return;
        }
        let mut bytes = Vec::new();
        let left_behind = |open: &&Open| open.segment > self.carried && open.segment <= upto;
        for open in self.open.values().filter(left_behind) {
            bytes.clear();
            if frame::put_opened(&open.opened, &mut bytes).is_ok() {
                self.shared.carry(open.opened.id, &bytes);
            }
        }
        self.carried = upto;
    }

    fn unpin(&mut self, segment: u64) {
        if let Some(count) = self.pins.get_mut(&segment) {
            *count -= 1;
            if *count == 0 {
                self.pins.remove(&segment);
            }
        }
    }

    fn failed(&self, what: &'static str, error: io::Error) -> JournalError {
        JournalError::Io(self.shared.options.dir.clone(), what, error)
    }
}
