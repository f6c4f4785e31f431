//! What may still be spent, on one node: the registry of purses, and what an exchange holds of them.
//!
//! A purse is opened by the first request that is paid from it, which waits for the store: it must begin
//! with everything that former runs have left in the journal. From then on this node counts by itself, and
//! what the store knows, of other nodes too, is taken in beside the requests
//! ([`refresh`](Budgets::refresh)).

mod entry;
mod refresh;
#[cfg(test)]
mod tests;

use crate::clock;
use aione_core::{
    domain::{
        budget::{CLAIMS_MAX, Claims, Decided, Owner, Term},
        clock::{Steady, Timestamp},
        id::OrgId,
        money::Pico,
    },
    ports::{BudgetStore, KeyInContext, Spending, StoreError},
};
use chrono_tz::Tz;
use dashmap::DashMap;
use entry::{Entry, Open, Ready};
use parking_lot::{Mutex, MutexGuard};
use std::{collections::VecDeque, sync::Arc, time::Duration};

/// How long a request waits until a purse can be opened.
const ASK_MAX: Duration = Duration::from_secs(1);
/// Purses at the same time.
const PURSES_MAX: usize = 200_000;

/// Every purse that was paid from lately.
pub(crate) struct Budgets {
    store: Arc<dyn BudgetStore>,
    purses: DashMap<Owner, Arc<Entry>>,
    /// Every owner in `purses`, in the order in which they are read again.
    order: Mutex<VecDeque<Owner>>,
}

/// The purses that a request is to be paid from, in the order in which they are locked.
#[derive(Default)]
pub(crate) struct Purses([Option<Seat>; CLAIMS_MAX]);

struct Seat {
    owner: Owner,
    /// What may be spent beyond what was paid in.
    beyond: Pico,
    entry: Arc<Entry>,
}

/// What a request can cost at most, and the purses that it is to be paid from.
pub(crate) struct Bill {
    purses: Purses,
    amount: Pico,
}

/// What an exchange holds of its purses. Dropped without [`Spend::settle`] it gives everything back.
#[must_use]
pub(crate) struct Spend {
    held: [Option<(Arc<Entry>, Term)>; CLAIMS_MAX],
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

    /// The purses of a caller at `at`, which is `now` on the steady clock. One that is not open yet is opened,
    /// once what former runs left is `recorded`.
    ///
    /// # Errors
    /// One of them is not open, and the store does not say what is in it.
    pub(crate) async fn of(
        &self,
        caller: &KeyInContext,
        at: Timestamp,
        now: Steady,
        recorded: impl Future<Output = ()>,
    ) -> Result<Purses, Unknown> {
        let mut purses = Purses::default();
        let wanted = wanted(caller);
        if wanted.iter().all(Option::is_none) {
            return Ok(purses);
        }
        let mut recorded = Some(recorded);
        let mut deadline = None;
        for (seat, wanted) in purses.0.iter_mut().zip(wanted) {
            let Some((owner, beyond)) = wanted else { continue };
            let entry = self.entry(owner)?;
            entry.note_use(now);
            match entry.look(owner, at, caller.org_zone, now) {
                Ready::Now => {}
                // It was begun in a term that is over, and counts there.
                Ready::Over => continue,
                Ready::Ask => {
                    let opening = async {
                        if let Some(recorded) = recorded.take() {
                            recorded.await;
                        }
                        self.learn(owner, &entry, at, caller.org_zone, now).await
                    };
                    let deadline = deadline.get_or_insert_with(|| tokio::time::Instant::now() + ASK_MAX);
                    let learnt = tokio::time::timeout_at(*deadline, opening).await;
                    let late = || Err(StoreError::Unavailable("it took too long".to_owned()));
                    // What is known does while the store is away.
                    if let Err(error) = learnt.unwrap_or_else(|_| late()) {
                        if !entry.is_open() {
                            return Err(Unknown(error));
                        }
                        entry.make_do(clock::steady());
                    }
                }
            }
            *seat = Some(Seat { owner, beyond, entry });
        }
        Ok(purses)
    }

    /// Asks the store what is in a purse, once for all who want it now.
    async fn learn(
        &self,
        owner: Owner,
        entry: &Entry,
        at: Timestamp,
        zone: Tz,
        now: Steady,
    ) -> Result<(), StoreError> {
        let _asking = entry.asking.lock().await;
        if matches!(entry.look(owner, at, zone, now), Ready::Now) {
            return Ok(());
        }
        let (term, zone) = entry.term().unwrap_or_else(|| (owner.term(at, zone), zone));
        let (as_of, now) = (entry.changes(), clock::steady());
        let known = self.store.known(owner, term, zone).await?;
        entry.take_in(term, zone, known, as_of, now);
        Ok(())
    }

    /// Something may have been paid in, or its budgets may be others.
    pub(crate) fn outdate(&self, org: OrgId) {
        self.outdate_where(|owner| owner.org() == org);
    }

    pub(crate) fn outdate_all(&self) {
        self.outdate_where(|_| true);
    }

    fn outdate_where(&self, is_meant: impl Fn(&Owner) -> bool) {
        for entry in self.purses.iter().filter(|entry| is_meant(entry.key())) {
            entry.outdate();
        }
    }

    fn entry(&self, owner: Owner) -> Result<Arc<Entry>, Unknown> {
        if let Some(entry) = self.purses.get(&owner) {
            return Ok(entry.value().clone());
        }
        if self.purses.len() >= PURSES_MAX {
            return Err(Unknown(StoreError::Unavailable("there are too many purses".to_owned())));
        }
        match self.purses.entry(owner) {
            dashmap::Entry::Occupied(there) => Ok(there.get().clone()),
            dashmap::Entry::Vacant(vacant) => {
                // Whoever holds this lock never asks for the map: no deadlock.
                self.order.lock().push_back(owner);
                Ok(vacant.insert(Arc::default()).value().clone())
            }
        }
    }
}

/// What pays for a caller's requests, each with what may be spent beyond what was paid in.
fn wanted(caller: &KeyInContext) -> [Option<(Owner, Pico)>; CLAIMS_MAX] {
    let key = &caller.key;
    if key.is_sandbox {
        return [None; CLAIMS_MAX];
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
    /// Says what the request can cost at `most`. `None`: nobody knows it, and no purse pays for that. Not asked
    /// for where no purse pays.
    ///
    /// # Errors
    /// Whose purse does not pay.
    pub(crate) fn bill(self, most: impl FnOnce() -> Option<Pico>) -> Result<Bill, Owner> {
        let first = self.0.iter().flatten().next().map(|seat| seat.owner);
        let amount = first.map_or(Ok(Pico::ZERO), |first| most().ok_or(first))?;
        Ok(Bill { purses: self, amount })
    }
}

impl Bill {
    /// The same for whoever decides for all nodes.
    pub(crate) fn claims(&self, now: Steady) -> Claims {
        let of = self.purses.0.each_ref().map(|seat| {
            let Seat { owner, beyond, entry } = seat.as_ref()?;
            let open = entry.open.lock();
            open.as_ref().map(|open| open.purse.claim(*owner, *beyond, open.is_fresh(now)))
        });
        Claims { amount: self.amount, of }
    }

    /// Reserves it in every purse, or nothing in any.
    ///
    /// # Errors
    /// Whose purse has not enough left.
    pub(crate) fn reserve(self, decided: Decided) -> Result<Spend, Owner> {
        let Self { purses, amount } = self;
        let mut open: [Option<MutexGuard<'_, Option<Open>>>; CLAIMS_MAX] =
            purses.0.each_ref().map(|seat| seat.as_ref().map(|seat| seat.entry.open.lock()));
        for (open, seat) in open.iter().flatten().zip(purses.0.iter().flatten()) {
            if open.as_ref().is_some_and(|open| !open.allows(amount, seat.beyond, decided)) {
                return Err(seat.owner);
            }
        }
        for open in open.iter_mut().flatten().filter_map(|open| open.as_mut()) {
            open.purse.note(decided);
            open.purse.reserve(amount);
        }
        let mut terms = open.map(|open| Some(open?.as_ref()?.purse.term())).into_iter();
        let held = purses.0.map(|seat| {
            let term = terms.next().flatten();
            Some((seat?.entry, term?))
        });
        Ok(Spend { held, amount })
    }
}

impl Spend {
    /// Ends the exchange with what it did cost. `None`: it has no price yet, and what was reserved stays
    /// taken, for this node does not know better.
    pub(crate) fn settle(mut self, cost: Option<Pico>) {
        self.close(cost.unwrap_or(self.amount));
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
