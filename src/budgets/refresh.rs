//! What other nodes have charged is taken in beside the requests, purses whose opening took too long are
//! opened, and those that nobody uses are let go.

use super::{Budgets, Entry};
use crate::clock;
use aione_core::{
    domain::{
        budget::{Known, Owner},
        clock::Steady,
    },
    ports::StoreError,
};
use futures_util::FutureExt as _;
use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

/// How often, and how many purses at a time.
const EVERY: Duration = Duration::from_secs(1);
const AT_ONCE: usize = 64;
/// Failures after which the store is left in peace until the next time.
const FAILURES_MAX: usize = 3;

impl Budgets {
    /// Reads purses again, those that were longest ago first, for as long as the process runs.
    pub(crate) async fn refresh(self: Arc<Self>) {
        let mut tick = tokio::time::interval(EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            self.refresh_some(clock::steady()).await;
        }
    }

    pub(super) async fn refresh_some(&self, now: Steady) {
        let (count, mut failures) = (self.order.lock().len().min(AT_ONCE), 0);
        for _ in 0..count {
            let Some(owner) = self.order.lock().pop_front() else { return };
            // One that panics is read again like any other.
            let refreshed = AssertUnwindSafe(self.refresh_one(owner, now)).catch_unwind().await;
            if !matches!(refreshed, Ok(Ok(false))) {
                self.order.lock().push_back(owner);
            }
            if let Ok(Err(error)) = refreshed {
                tracing::warn!(%error, "what was spent cannot be read; what is known holds");
                failures += 1;
                if failures == FAILURES_MAX {
                    return;
                }
            }
        }
    }

    /// Whether the purse is still of use.
    async fn refresh_one(&self, owner: Owner, now: Steady) -> Result<bool, StoreError> {
        let Some(entry) = self.purses.get(&owner).map(|entry| entry.value().clone()) else {
            return Ok(false);
        };
        let asking = entry.asking.lock().await;
        let term = entry.term().or_else(|| entry.wanted_term(owner));
        let known = match term {
            Some((term, zone)) => {
                let as_of = entry.changes();
                let known = self.store.known(owner, term, zone).await?;
                entry.take_in(term, zone, known, as_of, now);
                Some(known)
            }
            None => None,
        };
        drop(asking);
        Ok(!self.let_go(owner, entry, known, now))
    }

    fn let_go(&self, owner: Owner, entry: Arc<Entry>, known: Option<Known>, now: Steady) -> bool {
        drop(entry);
        // Under the map's lock nobody can get hold of an entry that only the map holds.
        let can_go = |_: &Owner, entry: &mut Arc<Entry>| {
            Arc::get_mut(entry).is_some_and(|entry| entry.can_go(known, now))
        };
        self.purses.remove_if_mut(&owner, can_go).is_some()
    }
}
