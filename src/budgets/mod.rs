//! What may still be spent, on one node: the registry of purses, and what an exchange holds of them.
//!
//! A purse is opened by the first request that is paid from it, which waits for the store: it must begin
//! with everything that was charged before. From then on this node counts by itself, and what other nodes
//! have charged is taken in beside the requests ([`refresh`](Budgets::refresh)).

mod refresh;
#[cfg(test)]
mod tests;

use aione_core::{
    domain::{
        budget::{Known, Owner, Purse, Term},
        clock::Timestamp,
        id::OrgId,
        money::Pico,
    },
    ports::{BudgetStore, KeyInContext, Spending, StoreError},
};
use chrono_tz::Tz;
use dashmap::DashMap;
use parking_lot::{Mutex, MutexGuard};
use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// How long a request waits until a purse can be opened.
const ASK_MAX: Duration = Duration::from_secs(1);
/// Purses that one request is paid from: account, organization, team, key.
const SEATS_MAX: usize = 4;

/// Every purse that was paid from lately.
pub(crate) struct Budgets {
    store: Arc<dyn BudgetStore>,
    purses: DashMap<Owner, Arc<Entry>>,
    /// Every owner in `purses`, in the order in which they are read again.
    order: Mutex<VecDeque<Owner>>,
}

/// A purse, once it is known what is in it.
#[derive(Default)]
struct Entry {
    open: Mutex<Option<Open>>,
    /// Held by whoever asks the store.
    asking: tokio::sync::Mutex<()>,
    /// What is known may have changed: ask before it is used again.
    outdated: AtomicBool,
    /// It was used since it was read last.
    used: AtomicBool,
}

#[derive(Clone, Copy)]
struct Open {
    purse: Purse,
    /// Of its term; another one counts from the next.
    zone: Tz,
}

/// The purses that a request is to be paid from, in the order in which they are locked.
#[derive(Default)]
pub(crate) struct Purses([Option<Seat>; SEATS_MAX]);

struct Seat {
    owner: Owner,
    /// What may be spent beyond what was paid in.
    beyond: Pico,
    entry: Arc<Entry>,
}

/// What an exchange holds of its purses. Dropped without [`Spend::settle`] it gives everything back.
#[must_use]
pub(crate) struct Spend {
    held: [Option<(Arc<Entry>, Term)>; SEATS_MAX],
    amount: Pico,
}

/// It is not known what is left.
#[derive(Debug, thiserror::Error)]
#[error("what is left to be spent cannot be read: {0}")]
pub(crate) struct Unknown(StoreError);

impl Budgets {
    pub(crate) fn new(store: Arc<dyn BudgetStore>) -> Self {
        Self { store, purses: DashMap::new(), order: Mutex::default() }
    }

    /// The purses of a caller at `at`. One that is not open yet is opened, once what ended before is
    /// `recorded`.
    ///
    /// # Errors
    /// One of them is not open, and the store does not say what is in it.
    pub(crate) async fn of(
        &self,
        caller: &KeyInContext,
        at: Timestamp,
        recorded: impl Future<Output = ()>,
    ) -> Result<Purses, Unknown> {
        let mut purses = Purses::default();
        let wanted = wanted(caller);
        if wanted.iter().all(Option::is_none) {
            return Ok(purses);
        }
        let mut recorded = Some(recorded);
        let deadline = tokio::time::Instant::now() + ASK_MAX;
        for (seat, wanted) in purses.0.iter_mut().zip(wanted) {
            let Some((owner, beyond)) = wanted else { continue };
            let entry = self.entry(owner);
            entry.used.store(true, Ordering::Relaxed);
            if !entry.is_ready(owner, at, caller.org_zone) {
                let opening = async {
                    if let Some(recorded) = recorded.take() {
                        recorded.await;
                    }
                    self.learn(owner, &entry, at, caller.org_zone).await
                };
                let learnt = tokio::time::timeout_at(deadline, opening).await;
                let learnt =
                    learnt.unwrap_or_else(|_| Err(StoreError::Unavailable("it took too long".into())));
                // What is known does while the store is away.
                if let Err(error) = learnt
                    && entry.open.lock().is_none()
                {
                    return Err(Unknown(error));
                }
            }
            *seat = Some(Seat { owner, beyond, entry });
        }
        Ok(purses)
    }

    /// Asks the store what is in a purse, once for all who want it now.
    async fn learn(&self, owner: Owner, entry: &Entry, at: Timestamp, zone: Tz) -> Result<(), StoreError> {
        let _asking = entry.asking.lock().await;
        if entry.is_ready(owner, at, zone) {
            return Ok(());
        }
        let open = *entry.open.lock();
        let (term, zone) =
            open.map_or_else(|| (owner.term(at, zone), zone), |open| (open.purse.term(), open.zone));
        self.ask(owner, entry, term, zone).await.map(drop)
    }

    async fn ask(&self, owner: Owner, entry: &Entry, term: Term, zone: Tz) -> Result<Known, StoreError> {
        // Before it is read: what changes meanwhile outdates it again.
        let was_outdated = entry.outdated.swap(false, Ordering::AcqRel);
        let known = self.store.known(owner, term, zone).await.inspect_err(|_| {
            entry.outdated.fetch_or(was_outdated, Ordering::AcqRel);
        })?;
        entry.take_in(term, zone, known);
        Ok(known)
    }

    /// Something may have been paid in.
    pub(crate) fn outdate(&self, org: OrgId) {
        if let Some(account) = self.purses.get(&Owner::Account(org)) {
            account.outdated.store(true, Ordering::Release);
        }
    }

    fn entry(&self, owner: Owner) -> Arc<Entry> {
        if let Some(entry) = self.purses.get(&owner) {
            return entry.value().clone();
        }
        match self.purses.entry(owner) {
            dashmap::Entry::Occupied(there) => there.get().clone(),
            dashmap::Entry::Vacant(vacant) => {
                // Whoever holds this lock never asks for the map: no deadlock.
                self.order.lock().push_back(owner);
                vacant.insert(Arc::default()).value().clone()
            }
        }
    }
}

impl Entry {
    /// Whether it can be paid from without asking. A term that has ended is followed by the next.
    fn is_ready(&self, owner: Owner, at: Timestamp, zone: Tz) -> bool {
        let mut open = self.open.lock();
        let Some(open) = &mut *open else { return false };
        if at >= open.purse.term().until {
            open.purse.renew(owner.term(at, zone));
            open.zone = zone;
        }
        !self.outdated.load(Ordering::Acquire)
    }

    fn take_in(&self, term: Term, zone: Tz, known: Known) {
        match &mut *self.open.lock() {
            // It has begun its next term meanwhile.
            Some(open) if open.purse.term() != term => {}
            Some(open) => open.purse.learn(known),
            none => *none = Some(Open { purse: Purse::new(term, known), zone }),
        }
    }
}

/// What pays for a caller's requests, each with what may be spent beyond what was paid in.
fn wanted(caller: &KeyInContext) -> [Option<(Owner, Pico)>; SEATS_MAX] {
    let key = &caller.key;
    if key.is_sandbox {
        return [None; SEATS_MAX];
    }
    let of = |owner: Owner, beyond: Option<Pico>| beyond.map(|beyond| (owner, beyond));
    [
        of(Owner::Account(key.org), caller.org_terms.overdraft()),
        of(Owner::Organization(key.org), caller.org_terms.monthly_budget),
        of(Owner::Team(key.org, key.team), caller.team_budget),
        of(Owner::Key(key.org, key.id, key.budget_period), key.budget),
    ]
}

impl Purses {
    /// Reserves `amount` in every purse, or nothing in any.
    ///
    /// # Errors
    /// Whose purse has not enough left.
    pub(crate) fn reserve(self, amount: Pico) -> Result<Spend, Owner> {
        let mut open: [Option<MutexGuard<'_, Option<Open>>>; SEATS_MAX] =
            self.0.each_ref().map(|seat| seat.as_ref().map(|seat| seat.entry.open.lock()));
        for (open, seat) in open.iter().flatten().zip(self.0.iter().flatten()) {
            if open.as_ref().is_some_and(|open| !open.purse.allows(amount, seat.beyond)) {
                return Err(seat.owner);
            }
        }
        for open in open.iter_mut().flatten().filter_map(|open| open.as_mut()) {
            open.purse.reserve(amount);
        }
        let mut terms = open.map(|open| Some(open?.as_ref()?.purse.term())).into_iter().flatten();
        let held = self.0.map(|seat| Some((seat?.entry, terms.next()?)));
        Ok(Spend { held, amount })
    }
}

impl Spend {
    /// Ends the exchange with what it did cost.
    pub(crate) fn settle(mut self, cost: Pico) {
        self.close(cost);
    }

    fn close(&mut self, cost: Pico) {
        for (entry, term) in self.held.iter_mut().filter_map(Option::take) {
            if let Some(open) = &mut *entry.open.lock() {
                open.purse.settle(term.from, self.amount, cost);
            }
        }
    }
}

impl Drop for Spend {
    fn drop(&mut self) {
        self.close(Pico::ZERO);
    }
}

impl Spending for Budgets {
    fn reserved(&self, owner: Owner) -> Pico {
        let entry = self.purses.get(&owner).map(|entry| entry.value().clone());
        entry.and_then(|entry| Some(entry.open.lock().as_ref()?.purse.reserved())).unwrap_or_default()
    }
}
