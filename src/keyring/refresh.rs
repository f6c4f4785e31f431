//! Keys in use are read again before they are too old, in the background: no request waits for the store
//! on their account, and none notices when it is away.

use super::{Denied, KeyInContext, KeyRing};
use aione_core::domain::{clock::Steady, key::KeyHash};
use futures_util::{FutureExt as _, StreamExt as _};
use parking_lot::Mutex;
use std::{collections::HashSet, panic::AssertUnwindSafe, sync::Arc, time::Duration};
use tokio::sync::mpsc;

/// Keys that wait to be read again; one that finds no room is read by a request once it is too old.
const WAITING_MAX: usize = 4_096;
/// Keys that are read at once.
const READS_AT_ONCE: usize = 4;

/// A key that was used when it was no longer young.
struct Wanted {
    hash: KeyHash,
    /// When it was used.
    steady: Steady,
}

pub(super) struct Refreshes {
    queue: mpsc::Sender<Wanted>,
    /// Until somebody takes it to do the work.
    work: Mutex<Option<mpsc::Receiver<Wanted>>>,
    /// What is in the queue or being read.
    waiting: Mutex<HashSet<KeyHash>>,
}

impl Default for Refreshes {
    fn default() -> Self {
        let (queue, work) = mpsc::channel(WAITING_MAX);
        Self { queue, work: Mutex::new(Some(work)), waiting: Mutex::default() }
    }
}

/// Whether a key of this age is to be read again: in the last quarter of `max_age`.
pub(super) fn is_due(age_ns: u64, max_age: Duration) -> bool {
    u128::from(age_ns) * 4 >= max_age.as_nanos() * 3
}

impl Refreshes {
    #[cold]
    pub(super) fn want(&self, hash: &KeyHash, steady: Steady) {
        if !self.waiting.lock().insert(*hash) {
            return;
        }
        if self.queue.try_send(Wanted { hash: *hash, steady }).is_err() {
            self.waiting.lock().remove(hash);
        }
    }
}

#[cfg(test)]
impl Refreshes {
    pub(super) fn is_idle(&self) -> bool {
        self.waiting_count() == 0
    }

    pub(super) fn waiting_count(&self) -> usize {
        self.waiting.lock().len()
    }
}

impl KeyRing {
    /// Reads keys again as they are used, for as long as the process runs.
    pub async fn refresh(self: Arc<Self>) {
        let Some(work) = self.refreshes.work.lock().take() else { return };
        let work = futures_util::stream::unfold(work, async |mut work| Some((work.recv().await?, work)));
        work.for_each_concurrent(READS_AT_ONCE, async |wanted| {
            // What is wrong with a key is told to whoever uses it next, and a read that panics ends no other.
            let read = AssertUnwindSafe(self.ask_store(&wanted.hash, wanted.steady)).catch_unwind();
            let _: Result<Result<Option<Arc<KeyInContext>>, Denied>, _> = read.await;
            self.refreshes.waiting.lock().remove(&wanted.hash);
        })
        .await;
    }
}
