//! Limits of one node, in process: the registry of meters, and what an exchange holds of them.
//!
//! All meters of a request are locked together, in the one order key, team, organization, plan,
//! while it is decided and counted; nothing is taken for a moment only, so nobody is refused for
//! what another request did not keep.

use aione_core::{
    domain::{
        clock::Steady,
        id::{KeyId, OrgId, TeamId},
        limit::{Demand, Meter, Refused, SEATS_MAX, Scope, Seat, Share, View, admit, begin_all},
        plan::RateLimits,
    },
    ports::{KeyUse, LiveUse},
};
use dashmap::{DashMap, Entry};
use parking_lot::{Mutex, MutexGuard};
use std::{collections::VecDeque, convert::Infallible, sync::Arc};

/// Most meters that one [`Limiter::sweep`] looks at.
pub const SWEEP_METERS_MAX: usize = 16 * 1024;

/// Whose meter it is.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum MeterId {
    Key(KeyId),
    Team(TeamId),
    Org(OrgId),
    /// One organization's bucket for one model of its plan.
    OrgModel(OrgId, Arc<str>),
}

/// Who asks, for what, and under which limits.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    pub key: KeyId,
    pub key_limits: RateLimits,
    pub team: TeamId,
    pub team_limits: RateLimits,
    pub org: OrgId,
    pub org_limits: RateLimits,
    /// The resolved public model name.
    pub model: &'a Arc<str>,
    /// The plan's, for `model`.
    pub plan_limits: RateLimits,
    /// Input tokens, estimated from the size of the text.
    pub estimated_input: u64,
    /// The most output tokens the request allows.
    pub ceiling: u64,
    /// The most of `ceiling` that is reserved. `None`: strict, all of it.
    pub reserve_cap: Option<u64>,
}

/// Every meter of this node.
///
/// It holds as many as there are keys, teams, organizations and plan models in use within a day:
/// ids that a store or the configuration knows, never a caller's own words.
#[derive(Debug, Default)]
pub struct Limiter {
    meters: DashMap<MeterId, Arc<Mutex<Meter>>>,
    /// Every id in `meters`, in the order in which the sweep looks at them.
    sweep_order: Mutex<VecDeque<MeterId>>,
}

/// What one exchange holds of its meters.
///
/// Dropped without [`Grant::settle`] or [`Grant::release`], by a panic or a dropped task, it
/// frees its places in flight and leaves counted what it reserved.
#[derive(Debug)]
#[must_use]
pub struct Grant {
    held: [Option<Held>; SEATS_MAX],
    view: View,
}

#[derive(Debug)]
struct Held {
    meter: Arc<Mutex<Meter>>,
    share: Share,
}

/// A request's meters, locked.
type Seats<'a> = [Option<Seat<MutexGuard<'a, Meter>>>; SEATS_MAX];
type Shares = [Option<Share>; SEATS_MAX];

impl Ask<'_> {
    #[must_use]
    pub(super) fn demand(&self) -> Demand {
        Demand { estimated_input: self.estimated_input, ceiling: self.ceiling, reserve_cap: self.reserve_cap }
    }

    /// The limits in the order of the seats.
    #[must_use]
    pub(super) fn limits(&self) -> [(Scope, RateLimits); SEATS_MAX] {
        [
            (Scope::Key, self.key_limits),
            (Scope::Team, self.team_limits),
            (Scope::Organization, self.org_limits),
            (Scope::Plan, self.plan_limits),
        ]
    }
}

impl Limiter {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what `ask` needs of every limit that applies, or nothing of any.
    ///
    /// The key's meter is kept also where the key has no limit, for [`LiveUse`]; a team, an
    /// organization or a plan without limits costs nothing and counts nothing, so that a limit
    /// which is set later begins with what comes after it.
    ///
    /// # Errors
    /// The limit that refuses; where several do, the one with the longest wait.
    pub fn reserve(&self, ask: &Ask<'_>, now: Steady) -> Result<Grant, Refused> {
        self.begin(ask, |seats, demand| admit(seats, demand, now))
    }

    /// Counts what somebody else has admitted, whatever the limits.
    pub fn count(&self, ask: &Ask<'_>, now: Steady) -> Grant {
        let counted: Result<Grant, Infallible> =
            self.begin(ask, |seats, demand| Ok((begin_all(seats, demand, now), View::default())));
        match counted {
            Ok(grant) => grant,
            Err(never) => match never {},
        }
    }

    /// Locks the meters of `ask` in their order, and keeps what `decide` takes of them.
    fn begin<E>(
        &self,
        ask: &Ask<'_>,
        decide: impl FnOnce(&mut Seats<'_>, &Demand) -> Result<(Shares, View), E>,
    ) -> Result<Grant, E> {
        let demand = ask.demand();
        let limited =
            |limits: RateLimits, id: &dyn Fn() -> MeterId| (!limits.is_unlimited()).then(|| self.meter(id()));
        // The index is the order of locking; keep it in step with `scopes`.
        let meters: [Option<Arc<Mutex<Meter>>>; SEATS_MAX] = [
            Some(self.meter(MeterId::Key(ask.key))),
            limited(ask.team_limits, &|| MeterId::Team(ask.team)),
            limited(ask.org_limits, &|| MeterId::Org(ask.org)),
            limited(ask.plan_limits, &|| MeterId::OrgModel(ask.org, ask.model.clone())),
        ];
        let scopes = ask.limits();
        let mut seats: Seats<'_> = std::array::from_fn(|index| {
            let (scope, limits) = scopes[index];
            meters[index].as_ref().map(|meter| Seat { scope, limits, meter: meter.lock() })
        });
        let admitted = decide(&mut seats, &demand);
        drop(seats);

        let (mut shares, view) = admitted?;
        let mut index = 0;
        let held = meters.map(|meter| {
            let share = shares[index].take();
            index += 1;
            Some(Held { meter: meter?, share: share? })
        });
        Ok(Grant { held, view })
    }

    /// What a key has in use at `now`.
    #[must_use]
    pub fn key_use_at(&self, id: KeyId, now: Steady) -> KeyUse {
        let Some(meter) = self.meters.get(&MeterId::Key(id)).map(|entry| entry.value().clone()) else {
            return KeyUse::default();
        };
        let mut meter = meter.lock();
        KeyUse {
            requests: meter.requests_used(now),
            tokens: meter.tokens_used(now),
            in_flight: meter.in_flight(),
        }
    }

    /// Forgets meters that say no more than new ones would; returns how many. Looks at no more
    /// than [`SWEEP_METERS_MAX`], beginning where the sweep before it ended: call it often.
    pub fn sweep(&self, now: Steady) -> usize {
        let mut forgotten = 0;
        let rounds = self.sweep_order.lock().len().min(SWEEP_METERS_MAX);
        for _ in 0..rounds {
            let Some(id) = self.sweep_order.lock().pop_front() else { break };
            // Under the map's lock nobody can get hold of a meter that only the map holds.
            let idle = |_: &MeterId, meter: &mut Arc<Mutex<Meter>>| {
                Arc::get_mut(meter).is_some_and(|meter| meter.get_mut().is_idle(now))
            };
            match self.meters.remove_if_mut(&id, idle) {
                Some(_) => forgotten += 1,
                None => self.sweep_order.lock().push_back(id),
            }
        }
        forgotten
    }

    /// How many meters there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.meters.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.meters.is_empty()
    }

    fn meter(&self, id: MeterId) -> Arc<Mutex<Meter>> {
        if let Some(meter) = self.meters.get(&id) {
            return meter.value().clone();
        }
        match self.meters.entry(id.clone()) {
            Entry::Occupied(there) => there.get().clone(),
            Entry::Vacant(vacant) => {
                // The sweep never asks for the map while it holds this lock: no deadlock.
                self.sweep_order.lock().push_back(id);
                vacant.insert(Arc::default()).value().clone()
            }
        }
    }
}

impl LiveUse for Limiter {
    fn key_use(&self, id: KeyId) -> KeyUse {
        self.key_use_at(id, crate::clock::steady())
    }
}

impl Grant {
    /// Ends the exchange with the `tokens` it used, cached ones weighted by the caller: gives
    /// back the rest of the reservation, or counts what was used beyond it.
    pub fn settle(mut self, tokens: u64, now: Steady) {
        self.close(|meter, share| meter.settle(share, tokens, now));
    }

    /// Ends an exchange that used no tokens. It stays counted as a request, unless it was
    /// `unsent`: nothing reached an upstream, by our own fault.
    pub fn release(mut self, unsent: bool) {
        self.close(|meter, share| meter.release(share, unsent));
    }

    /// What was left of the limits right after the reservation.
    #[must_use]
    pub fn view(&self) -> View {
        self.view
    }

    fn close(&mut self, mut end: impl FnMut(&mut Meter, Share)) {
        for held in &mut self.held {
            if let Some(Held { meter, share }) = held.take() {
                end(&mut meter.lock(), share);
            }
        }
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        self.close(Meter::abandon);
    }
}

#[cfg(test)]
mod tests;
