//! What an exchange holds of the journal: the slot for its end, and the ticket to wait with.

use super::{
    JournalFull, frame,
    shared::{Shared, Wake, later},
};
use crate::clock;
use aione_core::{
    config::snapshot::JournalSync,
    domain::usage::{Closed, Opened},
};
use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::Notify;

/// Names longer than this are left out of a `closed` frame that would be too long.
const NAME_MAX: usize = 1024;
/// The same of the attempts that failed, of which there can be ten.
const FAILED_NAME_MAX: usize = 256;

thread_local! {
    /// Where a frame is encoded before the lock is taken; reused, so that nothing is allocated.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The room reserved for an exchange's end. Closing it is the only way to account for the
/// exchange; dropped unclosed, it becomes an `interrupted` record.
#[must_use = "an exchange that is not closed becomes an `interrupted` record"]
#[derive(Debug)]
pub struct Slot {
    shared: Arc<Shared>,
    opened: Opened,
    /// The group of its `opened` frame.
    group: u64,
    closed: bool,
}

/// A claim to know when a `closed` frame is safe. Holding it costs nothing.
#[must_use = "the answer's last bytes wait for it"]
#[derive(Debug)]
pub struct Ticket {
    shared: Arc<Shared>,
    group: u64,
}

/// How far down the journal a frame was when its ticket was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// On disk: survives a power failure.
    Synced,
    /// With the operating system: survives the end of the process.
    Written,
    /// Neither within the sync timeout. It is kept in memory and still on its way.
    Late,
}

impl Slot {
    pub(super) fn open(shared: &Arc<Shared>, opened: Opened) -> Result<Self, JournalFull> {
        let group = with_scratch(|bytes| {
            frame::put_opened(&opened, bytes).map_err(|frame::TooLong| JournalFull::Room)?;
            shared.append_opened(opened.id, bytes)
        })?;
        Ok(Self { shared: Arc::clone(shared), opened, group, closed: false })
    }

    /// What was noted at admission.
    #[must_use]
    pub fn opened(&self) -> &Opened {
        &self.opened
    }

    /// Waits until the `opened` frame is with the operating system, so that the end of the process
    /// does not forget the exchange; at most for the sync timeout. Nearly always it is by the time
    /// that anybody asks.
    pub async fn noted(&self) {
        let is_noted = || self.shared.written.load(Ordering::Acquire) >= self.group;
        if is_noted() {
            return;
        }
        self.shared.hurry(self.group);
        let waiting = async {
            loop {
                let handed_over = self.shared.handed_over.notified();
                if is_noted() {
                    return;
                }
                handed_over.await;
            }
        };
        // A journal that is so late has raised its alarm, or its next ticket will.
        let _ = tokio::time::timeout(self.shared.options.sync_timeout, waiting).await;
    }

    /// Notes the end of the exchange. Never waits for the disk, and never fails for want of room.
    pub fn close(mut self, closed: &Closed) -> Ticket {
        self.closed = true;
        let group = with_scratch(|bytes| {
            if frame::put_closed(&self.opened, closed, bytes).is_err() {
                tracing::error!(id = %closed.id, "a record's names are too long for the journal and are left out");
                frame::put_closed(&self.opened, &without_long_names(closed), bytes)
                    .expect("the opened frame fitted, and the rest of a closed one is bounded");
            }
            self.shared.append_end(self.opened.id, bytes, Wake::Waiter)
        });
        Ticket { shared: Arc::clone(&self.shared), group }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.closed {
            return;
        }
        tracing::warn!(id = %self.opened.id, "an exchange was dropped unclosed; it becomes an interrupted record");
        with_scratch(|bytes| {
            frame::put_abandoned(&self.opened, bytes).expect("the same payload fitted when it was opened");
            self.shared.append_end(self.opened.id, bytes, Wake::Nobody);
        });
    }
}

impl Ticket {
    /// Waits until the frame is as safe as `journal_sync` asks, or the sync timeout is over,
    /// which raises the journal's alarm.
    pub async fn wait(self) -> Durability {
        let shared = &*self.shared;
        let (done, reached) = match shared.options.sync {
            JournalSync::Group => (&shared.synced, Durability::Synced),
            JournalSync::Interval => (&shared.written, Durability::Written),
        };
        let is_done = || done.load(Ordering::Acquire) >= self.group;
        if is_done() {
            return reached;
        }
        let began = clock::steady();
        let camp = shared.camp(self.group);
        loop {
            // Before the looks that follow: what happens after them wakes it.
            let woken = camp.woken.notified();
            let notified = shared.group_done(self.group).notified();
            if is_done() {
                return reached;
            }
            let Some(_leader) = camp.lead() else {
                woken.await;
                continue;
            };
            let deadline = later(began, shared.options.sync_timeout);
            let left = Duration::from_nanos(deadline.since_ns(clock::steady()));
            if tokio::time::timeout(left, notified).await.is_err() && !is_done() {
                shared.raise_late(self.group);
                return Durability::Late;
            }
        }
    }
}

/// The waiters of a group on one thread. To wake a task of another thread takes a system call: the
/// journal wakes one of them, the leader, and that one wakes the others when it leaves. It alone
/// watches the time: whoever leads next came later.
#[derive(Debug, Default)]
pub(super) struct Camp {
    is_led: AtomicBool,
    woken: Notify,
}

impl Camp {
    /// `None`: somebody else leads, and will call.
    fn lead(&self) -> Option<Leader<'_>> {
        (!self.is_led.swap(true, Ordering::AcqRel)).then_some(Leader(self))
    }
}

/// Also when its task is dropped, another one takes its place.
struct Leader<'c>(&'c Camp);

impl Drop for Leader<'_> {
    fn drop(&mut self) {
        self.0.is_led.store(false, Ordering::Release);
        self.0.woken.notify_waiters();
    }
}

fn with_scratch<T>(work: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    SCRATCH.with_borrow_mut(|bytes| {
        bytes.clear();
        work(bytes)
    })
}

fn without_long_names(closed: &Closed) -> Closed {
    let short = |name: &Arc<str>, max| if name.len() > max { Arc::from("") } else { Arc::clone(name) };
    let mut closed = Closed {
        provider: short(&closed.provider, NAME_MAX),
        upstream_model: short(&closed.upstream_model, NAME_MAX),
        ..closed.clone()
    };
    for attempt in &mut closed.outlay.failed {
        attempt.provider = short(&attempt.provider, FAILED_NAME_MAX);
        attempt.upstream_model = short(&attempt.upstream_model, FAILED_NAME_MAX);
    }
    closed
}
