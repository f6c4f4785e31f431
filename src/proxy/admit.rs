//! Phase 5: may they. Every limit that applies admits, or none is touched; the journal holds
//! room for the end. From here on the [`Hold`] accounts for the exchange, whatever becomes
//! of it.

use super::{
    Gateway, ask::Ask, authenticate::Caller, refusal::Refusal, route::Route, trace::Trace, world::World,
};
use crate::{
    budgets::Spend,
    clock,
    journal::{Slot, Ticket},
    store::{
        limits::{Denied, Grant, Patience},
        local::Ask as LimitAsk,
    },
};
use aione_core::{
    config::snapshot::{Deployment, Drain, Snapshot},
    domain::{
        budget::Claims,
        clock::Steady,
        id::RecordId,
        limit::View,
        money::Pico,
        outlay::{FailedAttempt, Outlay},
        plan::Plan,
        price::{Bound, Class},
        usage::{Closed, End, Opened, Provenance, Usage},
    },
    wire::{Dialect, tap::Reading},
};
use std::{sync::Arc, time::Duration};

/// What is known so far of an exchange's end.
pub(crate) struct Tally {
    pub(crate) end: End,
    pub(crate) status: u16,
    pub(crate) attempts: u8,
    pub(crate) usage: Usage,
    pub(crate) provenance: Provenance,
    pub(crate) flagged: bool,
    pub(crate) deployment: Option<Arc<Deployment>>,
    /// Attempts that are over and brought nothing usable.
    pub(crate) failed: Vec<Failed>,
    pub(crate) first_byte_at: Option<Steady>,
    /// What the tap read; taken when the usage is decided.
    pub(crate) reading: Option<Reading>,
    /// Nothing was sent to any upstream.
    pub(crate) unsent: bool,
}

/// An attempt that brought nothing usable.
pub(crate) struct Failed {
    pub(crate) deployment: Arc<Deployment>,
    /// Why, by its name in metrics.
    pub(crate) fault: &'static str,
    /// What the upstream reported.
    pub(crate) usage: Usage,
    /// It broke off after it had been sent: it may have made tokens that nobody saw.
    pub(crate) unseen: bool,
}

/// An admitted exchange: its reservations and its place in the journal. It is closed exactly
/// once: by [`Hold::close`], or, when the task panics or is dropped, with the tally as it is.
#[must_use]
pub(crate) struct Hold {
    gateway: Arc<Gateway>,
    reserved: Option<Reserved>,
    view: View,
    /// In whose words the caller is answered.
    pub(crate) dialect: Dialect,
    plan: Arc<Plan>,
    cache_read_weight_milli: u64,
    read_at: Steady,
    pub(crate) drain: Drain,
    pub(crate) keep_alive_after: Duration,
    pub(crate) tally: Tally,
}

/// What is to be given back, and counted, at the end.
struct Reserved {
    grant: Grant,
    spend: Spend,
    slot: Slot,
}

pub(crate) async fn reserve(
    gateway: &Arc<Gateway>,
    world: &World,
    caller: &Caller,
    route: &Route,
    ask: &Ask,
    trace: &mut Trace,
) -> Result<Hold, Refusal> {
    let snapshot = &world.snapshot;
    let key = &caller.key;
    let limit_ask = LimitAsk {
        estimated_input: ask.estimated_input,
        ceiling: route.ceiling,
        ..limit_ask(snapshot, caller, route)
    };
    let former = gateway.journal.former_recorded();
    let purses =
        gateway.budgets.of(caller, trace.started_at, ask.read_at, former).await.map_err(|error| {
            tracing::warn!(%error, "a request is refused");
            Refusal::BudgetsUnavailable
        })?;
    let most = || {
        let price = route.plan.price_of(&route.model.id)?;
        let bound = Bound {
            input: ask.estimated_input,
            ceiling: route.ceiling,
            characters: ask.characters,
            seconds: ask.seconds(),
            images: route.images,
        };
        price.most(&bound, trace.started_at)
    };
    let bill = purses.bill(most).map_err(Refusal::InsufficientBalance)?;
    let claims = || bill.claims(ask.read_at);
    // A limit is named before a purse: who is refused for a moment only may try again.
    let grant = grant(gateway, snapshot, &limit_ask, claims, trace.id, ask.read_at).await?;
    let spend = match bill.reserve(grant.decided()) {
        Ok(spend) => spend,
        Err(owner) => {
            grant.release(true);
            return Err(Refusal::InsufficientBalance(owner));
        }
    };
    let first = &route.candidates[0];
    let endpoint = ask.endpoint();
    let opened = Opened {
        id: trace.id,
        started_at: trace.started_at,
        org: key.org,
        team: key.team,
        key: key.id,
        model: route.model.id.clone(),
        dialect: gateway.names.dialect(endpoint),
        provider: first.provider.name.clone(),
        sandbox: key.is_sandbox,
        streamed: ask.peek.stream,
        price_version: route.plan.prices.version,
        estimated_input: ask.estimated_input,
    };
    let Ok(slot) = gateway.journal.open_exchange(opened) else {
        grant.release(true);
        return Err(Refusal::JournalFull);
    };
    let view = grant.view();
    trace.admitted(&route.model.id, ask.peek.stream);
    Ok(Hold {
        gateway: gateway.clone(),
        reserved: Some(Reserved { grant, spend, slot }),
        view,
        dialect: endpoint.dialect(),
        plan: route.plan.clone(),
        cache_read_weight_milli: snapshot.limits.cache_read_weight_milli,
        read_at: ask.read_at,
        drain: snapshot.drain.clone(),
        keep_alive_after: snapshot.server.keep_alive_after,
        tally: Tally {
            end: End::InternalError,
            status: 500,
            attempts: 0,
            usage: Usage::default(),
            provenance: Provenance::Partial,
            flagged: false,
            deployment: None,
            failed: Vec::new(),
            first_byte_at: None,
            reading: None,
            unsent: true,
        },
    })
}

/// Admits what generates nothing: a request of no tokens, which no purse pays for.
pub(crate) async fn reserve_count(
    gateway: &Gateway,
    world: &World,
    caller: &Caller,
    route: &Route,
    ask: &Ask,
    id: RecordId,
) -> Result<Grant, Refusal> {
    let limit_ask = limit_ask(&world.snapshot, caller, route);
    grant(gateway, &world.snapshot, &limit_ask, Claims::default, id, ask.read_at).await
}

/// Which limits apply, to a request of no tokens.
fn limit_ask<'a>(snapshot: &Snapshot, caller: &'a Caller, route: &'a Route) -> LimitAsk<'a> {
    let key = &caller.key;
    LimitAsk {
        key: key.id,
        key_limits: key.limits,
        team: key.team,
        team_limits: caller.team_limits,
        org: key.org,
        org_limits: caller.org_limits,
        model: &route.model.id,
        plan_limits: route.plan.limits_for(&route.model.id),
        estimated_input: 0,
        ceiling: 0,
        reserve_cap: snapshot.limits.reserve_cap,
    }
}

async fn grant(
    gateway: &Gateway,
    snapshot: &Snapshot,
    limit_ask: &LimitAsk<'_>,
    claims: impl FnOnce() -> Claims,
    id: RecordId,
    now: Steady,
) -> Result<Grant, Refusal> {
    let patience =
        Patience { timeout: snapshot.limits.redis_timeout, on_loss: snapshot.limits.on_redis_loss };
    gateway.limits.reserve(limit_ask, claims, id, patience, now).await.map_err(|denied| match denied {
        Denied::Refused(refused) => Refusal::RateLimited(refused),
        Denied::Spent(owner) => Refusal::InsufficientBalance(owner),
        Denied::Unavailable => Refusal::LimitsUnavailable,
    })
}

impl Hold {
    /// The limits as they stood at admission, for the answer's headers.
    pub(crate) fn view(&self) -> &View {
        &self.view
    }

    /// Waits until a killed process would not forget the exchange: before a caller sees anything of
    /// an answer.
    pub(crate) async fn noted(&self) {
        if let Some(reserved) = &self.reserved {
            reserved.slot.noted().await;
        }
    }

    /// Counts an attempt; from now on something may have been sent.
    pub(crate) fn attempt(&mut self, deployment: &Arc<Deployment>) {
        self.tally.attempts = self.tally.attempts.saturating_add(1);
        self.tally.deployment = Some(deployment.clone());
        self.tally.unsent = false;
    }

    /// The attempt at `deployment` is over.
    pub(crate) fn failed(
        &mut self,
        deployment: &Arc<Deployment>,
        fault: &'static str,
        usage: Usage,
        unseen: bool,
    ) {
        self.tally.failed.push(Failed { deployment: deployment.clone(), fault, usage, unseen });
    }

    /// Whether the model is sold by this class: it has a rate for it.
    pub(crate) fn sells_by(&self, class: Class) -> bool {
        let opened = self.opened();
        let price = self.plan.price_of(&opened.model);
        let rates = price.and_then(|price| price.rates_at(0, opened.started_at));
        rates.is_some_and(|rates| rates.of(class).is_some())
    }

    /// Remembers who gave the answer that was read, so that its caller can go on from it there.
    pub(crate) fn note_origin(&self) {
        let id = self.tally.reading.as_ref().and_then(|reading| reading.answer_id.as_deref());
        if let (Some(id), Some(deployment)) = (id, &self.tally.deployment) {
            self.gateway.origins.keep(self.opened().org, id, &deployment.provider.name);
        }
    }

    pub(crate) fn record_id(&self) -> RecordId {
        self.opened().id
    }

    /// What was noted at admission.
    fn opened(&self) -> &Opened {
        self.reserved.as_ref().expect("until it is closed, which consumes it").slot.opened()
    }

    /// Settles the limits and writes the end. What comes back is waited for before the
    /// terminal bytes are released.
    pub(crate) fn close(mut self) -> (Closed, Ticket) {
        self.settle().expect("a hold is closed once: closing consumes it")
    }

    fn settle(&mut self) -> Option<(Closed, Ticket)> {
        let Reserved { grant, spend, slot } = self.reserved.take()?;
        let now = clock::steady();
        let opened = slot.opened();
        let usage = &self.tally.usage;
        if self.tally.unsent {
            // Whoever was to be asked was not.
            self.tally.deployment = None;
        }
        let mut closed = Closed {
            id: opened.id,
            provider: self.tally.deployment.as_ref().map_or_else(|| "".into(), |it| it.provider.name.clone()),
            upstream_model: self.tally.deployment.as_ref().map_or_else(|| "".into(), |it| it.model.clone()),
            end: self.tally.end,
            status: self.tally.status,
            attempts: self.tally.attempts,
            usage: *usage,
            provenance: self.tally.provenance,
            flagged: self.tally.flagged,
            unpriced: false,
            latency_ms: millis(now, self.read_at),
            first_byte_ms: self.tally.first_byte_at.map_or(0, |at| millis(at, self.read_at)),
            cost: Pico::ZERO,
            outlay: Outlay::default(),
        };
        closed.charge(opened, self.plan.price_of(&opened.model));
        closed.outlay = self.outlay(opened, &closed);
        let cost = (!closed.unpriced).then_some(closed.cost);
        spend.settle(cost);
        if self.tally.unsent {
            grant.release(true);
        } else {
            grant.settle(weighed_tokens(usage, self.cache_read_weight_milli), cost, now);
        }
        self.gateway.metrics.exchange_closed(opened, &closed);
        let ticket = slot.close(&closed);
        Some((closed, ticket))
    }

    /// What the exchange costs the operator, by what its deployments state.
    fn outlay(&self, opened: &Opened, closed: &Closed) -> Outlay {
        let at = opened.started_at;
        let price = self.tally.deployment.as_ref().and_then(|deployment| deployment.cost.as_ref());
        let failed = self.tally.failed.iter().map(|attempt| {
            let Failed { deployment, fault, usage, unseen } = attempt;
            FailedAttempt {
                provider: deployment.provider.name.clone(),
                upstream_model: deployment.model.clone(),
                fault: (*fault).into(),
                usage: *usage,
                cost: Outlay::of_failed(usage, *unseen, deployment.cost.as_ref(), at),
            }
        });
        let heard = self.tally.first_byte_at.is_some();
        Outlay { cost: Outlay::of_answer(closed, heard, price, at), failed: failed.collect() }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // Nobody has counted: as after a crash, what is known is the size of what was asked.
        if let Some(reserved) = &self.reserved
            && !self.tally.unsent
            && self.tally.usage == Usage::default()
        {
            self.tally.usage.input = reserved.slot.opened().estimated_input;
        }
        // The ticket is let go: nobody is left to wait for it.
        let _ = self.settle();
    }
}

/// Tokens as TPM counts them: cached input weighs less.
fn weighed_tokens(usage: &Usage, cache_read_weight_milli: u64) -> u64 {
    let cached = usage.cache_read.saturating_mul(cache_read_weight_milli) / 1000;
    usage.total_tokens().saturating_sub(usage.cache_read).saturating_add(cached)
}

fn millis(later: Steady, earlier: Steady) -> u32 {
    u32::try_from(later.since_ms(earlier)).unwrap_or(u32::MAX)
}
