//! What other nodes have charged is taken in beside the requests, and purses that nobody uses are let go.

use super::{Budgets, Entry, Open};
use aione_core::{
    domain::budget::{Known, Owner},
    ports::StoreError,
};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

/// How often, and how many purses at a time.
const EVERY: Duration = Duration::from_secs(1);
const AT_ONCE: usize = 16;

impl Budgets {
    /// Reads purses again, those that were longest ago first, for as long as the process runs.
    pub(crate) async fn refresh(self: Arc<Self>) {
        let mut tick = tokio::time::interval(EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            self.refresh_some().await;
        }
    }

    pub(super) async fn refresh_some(&self) {
        let count = self.order.lock().len().min(AT_ONCE);
        for _ in 0..count {
            let Some(owner) = self.order.lock().pop_front() else { return };
            let refreshed = self.refresh_one(owner).await;
            if *refreshed.as_ref().unwrap_or(&true) {
                self.order.lock().push_back(owner);
            }
            if let Err(error) = refreshed {
                tracing::warn!(%error, "what was spent cannot be read; what is known holds");
                return;
            }
        }
    }

    /// Whether the purse is still of use.
    async fn refresh_one(&self, owner: Owner) -> Result<bool, StoreError> {
        let Some(entry) = self.purses.get(&owner).map(|entry| entry.value().clone()) else {
            return Ok(false);
        };
        let asking = entry.asking.lock().await;
        let is_used = entry.used.swap(false, Ordering::Relaxed);
        let Some(Open { purse, zone }) = *entry.open.lock() else {
            drop(asking);
            return Ok(is_used || !self.let_go(owner, entry, None));
        };
        let known = self.ask(owner, &entry, purse.term(), zone).await?;
        drop(asking);
        Ok(is_used || !self.let_go(owner, entry, Some(known)))
    }

    /// Lets go of a purse that says no more than the store does.
    fn let_go(&self, owner: Owner, entry: Arc<Entry>, known: Option<Known>) -> bool {
        drop(entry);
        let is_idle = |_: &Owner, entry: &mut Arc<Entry>| {
            let Some(entry) = Arc::get_mut(entry) else { return false };
            let says_no_more = match (entry.open.get_mut(), known) {
                (Some(open), Some(known)) => open.purse.says_no_more_than(&known),
                (open, _) => open.is_none(),
            };
            says_no_more && !*entry.used.get_mut()
        };
        self.purses.remove_if_mut(&owner, is_idle).is_some()
    }
}
