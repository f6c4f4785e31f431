//! What stands before an exchange: the limits of this process alone, or those that its nodes share.

use super::{
    local::{self, Ask, Limiter},
    redis::{Held, Shared},
};
use aione_core::{
    config::snapshot::OnRedisLoss,
    domain::{
        budget::{Claims, Decided, Owner},
        clock::Steady,
        id::RecordId,
        limit::{Refused, View},
        money::Pico,
    },
};
use std::{sync::Arc, time::Duration};

/// Where it is decided.
#[derive(Debug)]
pub enum Limits {
    /// In this process.
    Own(Arc<Limiter>),
    /// In Redis, and here while that is away.
    Shared(Arc<Shared>),
}

/// How long a decision may wait for Redis, and what holds without it.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    pub timeout: Duration,
    pub on_loss: OnRedisLoss,
}

/// Why an exchange is not taken.
#[derive(Debug)]
pub enum Denied {
    Refused(Refused),
    /// For all nodes together this one's purse has not enough left.
    Spent(Owner),
    /// Redis is away, and nothing is to be admitted without it.
    Unavailable,
}

/// What an exchange holds of its limits.
///
/// Dropped without [`Grant::settle`] or [`Grant::release`] it frees its places in flight and leaves
/// counted what it reserved.
#[derive(Debug)]
#[must_use]
pub struct Grant {
    own: local::Grant,
    shared: Option<Held>,
    view: View,
    decided: Decided,
}

impl Limits {
    /// Takes what `ask` needs of every limit that applies, or nothing of any; at most one round trip, in which
    /// its purses are reserved from for all nodes together.
    ///
    /// # Errors
    /// See [`Denied`].
    pub async fn reserve(
        &self,
        ask: &Ask<'_>,
        claims: impl FnOnce() -> Claims,
        id: RecordId,
        patience: Patience,
        now: Steady,
    ) -> Result<Grant, Denied> {
        match self {
            Self::Own(limiter) => {
                let own = limiter.reserve(ask, now).map_err(Denied::Refused)?;
                Ok(Grant::of(own, None, Decided::Alone))
            }
            // Boxed, so that who has no Redis does not carry the state of asking it.
            Self::Shared(shared) => Box::pin(shared.reserve(ask, &claims(), id, patience, now)).await,
        }
    }

    /// The meters of this process.
    #[must_use]
    pub fn own(&self) -> &Arc<Limiter> {
        match self {
            Self::Own(limiter) => limiter,
            Self::Shared(shared) => shared.own(),
        }
    }

    /// What the nodes share, if they do.
    #[must_use]
    pub fn shared(&self) -> Option<&Arc<Shared>> {
        match self {
            Self::Own(_) => None,
            Self::Shared(shared) => Some(shared),
        }
    }
}

impl Grant {
    pub(super) fn of(own: local::Grant, shared: Option<Held>, decided: Decided) -> Self {
        let view = own.view();
        Self { own, shared, view, decided }
    }

    /// With what all nodes together have left.
    pub(super) fn seen_by_all(own: local::Grant, shared: Held, view: View) -> Self {
        Self { own, shared: Some(shared), view, decided: Decided::Together }
    }

    /// See [`local::Grant::settle`]. `cost`: what it did cost; `None`: nobody knows yet.
    pub fn settle(self, tokens: u64, cost: Option<Pico>, now: Steady) {
        self.own.settle(tokens, now);
        if let Some(shared) = self.shared {
            shared.settle(tokens, cost);
        }
    }

    /// See [`local::Grant::release`].
    pub fn release(self, unsent: bool) {
        self.own.release(unsent);
        if let Some(shared) = self.shared {
            shared.release(unsent);
        }
    }

    /// Where it was decided.
    #[must_use]
    pub fn decided(&self) -> Decided {
        self.decided
    }

    /// What was left of the limits right after the reservation.
    #[must_use]
    pub fn view(&self) -> View {
        self.view
    }
}
