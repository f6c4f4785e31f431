//! What the nodes of a fleet share through Redis: limits, purses, and the news of what has changed.
//!
//! A decision is one round trip and waits no longer than it may; its end is queued and waited for by nobody.
//! Everything that is kept there runs out by itself, and nothing that is kept there is needed after a restart.
//!
//! In reading order: `lease` (one reservation, and how it is said), the scripts themselves (`meter.lua`,
//! `purse.lua`, `admit.lua`, `close.lua`), `link` and `circuit` (how Redis is asked, and whether), `share` (what holds
//! without it), `upkeep` (what is done beside the requests), `broadcast`, and `background`, the thread
//! of both.

mod background;
mod broadcast;
mod circuit;
mod lease;
mod link;
mod script;
mod share;
#[cfg(test)]
mod tests;
mod upkeep;

pub(crate) use background::Background;
pub(crate) use broadcast::Broadcast;

use super::{
    limits::{Denied, Grant, Patience},
    local::{Ask, Limiter},
};
use aione_core::{
    config::snapshot::{OnRedisLoss, RedisUrl},
    domain::{
        budget::{Claims, Decided},
        clock::Steady,
        id::RecordId,
        limit::View,
        money::Pico,
    },
};
use circuit::Circuit;
use dashmap::DashMap;
use lease::{Entrance, Exit, Lease, Turned};
use link::Link;
use redis::{Client, RedisError};
use script::Scripts;
use share::Nodes;
use std::{
    fmt::Display,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::mpsc;
use upkeep::{Task, Upkeep};

/// Ends of exchanges that wait to be told to Redis. Beyond it they are let go: their leases run out.
const TASKS_MAX: usize = 64 * 1024;

/// The limits that the nodes share.
#[derive(Debug)]
pub struct Shared {
    own: Arc<Limiter>,
    link: Link,
    circuit: Circuit,
    nodes: Nodes,
    /// What runs on this node, to be renewed.
    open: DashMap<RecordId, Arc<Lease>>,
    tasks: mpsc::Sender<Task>,
    counts: Counts,
    /// How long upkeep waits for what callers would wait for, in milliseconds.
    timeout_ms: AtomicU64,
}

/// Decisions by where they were made, and what was let go.
#[derive(Debug, Default)]
struct Counts {
    redis: AtomicU64,
    local_share: AtomicU64,
    open: AtomicU64,
    closed: AtomicU64,
    dropped: AtomicU64,
}

/// What is to be seen of it from outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    pub by_redis: u64,
    pub by_local_share: u64,
    pub by_open: u64,
    pub by_closed: u64,
    /// Redis is not asked now.
    pub is_away: bool,
    /// How often it went away.
    pub losses: u64,
    pub nodes: u64,
    /// Ends that were let go untold.
    pub dropped: u64,
}

/// What one exchange holds in Redis. Dropped, it is abandoned.
#[derive(Debug)]
pub struct Held {
    shared: Arc<Shared>,
    lease: Option<Arc<Lease>>,
}

/// Why Redis has not decided.
enum Loss {
    /// It was not asked.
    Away,
    /// Nobody knows what became of the question.
    Unknown,
}

impl Shared {
    /// With what has to be done beside requests. Nothing is connected yet.
    ///
    /// # Errors
    /// The address cannot be read.
    pub(crate) fn new(
        url: &RedisUrl,
        own: Arc<Limiter>,
        timeout: Duration,
    ) -> Result<(Arc<Self>, Upkeep), RedisError> {
        Ok(Self::with_scripts(Client::open(url.0.expose())?, own, timeout, Scripts::new()))
    }

    fn with_scripts(
        client: Client,
        own: Arc<Limiter>,
        timeout: Duration,
        scripts: Scripts,
    ) -> (Arc<Self>, Upkeep) {
        let (tasks, waiting) = mpsc::channel(TASKS_MAX);
        let shared = Arc::new(Self {
            own,
            link: Link::new(client, scripts),
            circuit: Circuit::default(),
            nodes: Nodes::default(),
            open: DashMap::new(),
            tasks,
            counts: Counts::default(),
            timeout_ms: AtomicU64::new(lease::millis(timeout)),
        });
        (shared.clone(), Upkeep::new(shared, waiting))
    }

    /// A new bound for what is asked beside requests.
    pub(crate) fn set_timeout(&self, timeout: Duration) {
        self.timeout_ms.store(lease::millis(timeout), Ordering::Relaxed);
    }

    /// Takes what `ask` needs of every limit that applies on all nodes together, and what it claims of its
    /// purses, or nothing of any.
    ///
    /// Where no limit applies and no purse pays nothing is asked. What Redis admits is counted in this process's meters too, so
    /// that this node's part begins with the truth.
    pub(super) async fn reserve(
        self: &Arc<Self>,
        ask: &Ask<'_>,
        claims: &Claims,
        id: RecordId,
        patience: Patience,
        now: Steady,
    ) -> Result<Grant, Denied> {
        let Some(lease) = Lease::of(ask, claims, id, now) else {
            return Ok(Grant::of(self.own.count(ask, now), None, Decided::Alone));
        };
        match self.decide(&lease, patience.timeout).await {
            Ok(decision) => {
                self.counts.redis.fetch_add(1, Ordering::Relaxed);
                let view = decision.map_err(|turned| match turned {
                    Turned::ByLimit(refused) => Denied::Refused(refused),
                    Turned::ByPurse(owner) => Denied::Spent(owner),
                })?;
                lease.has_entered.store(true, Ordering::Relaxed);
                Ok(Grant::seen_by_all(self.own.count(ask, now), self.hold(Arc::new(lease)), view))
            }
            Err(loss) => self.reserve_without(ask, lease, &loss, patience.on_loss, now),
        }
    }

    /// Asks Redis, if it is there.
    async fn decide(&self, lease: &Lease, timeout: Duration) -> Result<Result<View, Turned>, Loss> {
        if !self.circuit.is_closed() {
            return Err(Loss::Away);
        }
        let command = lease.enter(&self.link.scripts.admit, Entrance::Ask);
        let asking = pin!(self.link.ask::<Vec<i64>>(&command));
        match crate::clock::within(timeout, asking).await {
            Some(Ok(answer)) => match lease.read(&answer) {
                Ok(decision) => {
                    self.circuit.succeeded();
                    return Ok(decision);
                }
                Err(error) => self.note_failure(&error, false),
            },
            Some(Err(error)) => self.note_failure(&error, error.is_unrecoverable_error()),
            None => self.note_failure(&"no answer in time", false),
        }
        Err(Loss::Unknown)
    }

    /// What holds while Redis is away. It is told when it comes back.
    fn reserve_without(
        self: &Arc<Self>,
        ask: &Ask<'_>,
        lease: Lease,
        loss: &Loss,
        on_loss: OnRedisLoss,
        now: Steady,
    ) -> Result<Grant, Denied> {
        let mut decided = Decided::Alone;
        let (count, decision) = match on_loss {
            OnRedisLoss::LocalShare => {
                decided = Decided::Apart(self.nodes.live());
                let own = self.own.reserve(&self.nodes.share_of(ask), now);
                (&self.counts.local_share, own.map_err(Denied::Refused))
            }
            OnRedisLoss::Open => (&self.counts.open, Ok(self.own.count(ask, now))),
            OnRedisLoss::Closed => (&self.counts.closed, Err(Denied::Unavailable)),
        };
        count.fetch_add(1, Ordering::Relaxed);
        let lease = Arc::new(lease);
        match decision {
            Ok(own) => {
                self.later(Task::Enter(lease.clone()));
                Ok(Grant::of(own, Some(self.hold(lease)), decided))
            }
            Err(denied) => {
                if matches!(loss, Loss::Unknown) {
                    // It may have been admitted there.
                    self.later(Task::Leave(lease, Exit::Unsent, now));
                }
                Err(denied)
            }
        }
    }

    /// Has `value` found under `name` by all nodes for so long.
    pub(super) fn keep(&self, name: String, value: Arc<str>, how_long: Duration) {
        self.later(Task::Keep(name, value, how_long.as_secs()));
    }

    /// What is to be found under `name`; nothing where Redis is away, or does not say so in time.
    pub(super) async fn kept(&self, name: &str, timeout: Duration) -> Option<String> {
        if !self.circuit.is_closed() {
            return None;
        }
        let mut command = redis::cmd("GET");
        command.arg(name);
        let asking = pin!(self.link.ask::<Option<String>>(&command));
        match crate::clock::within(timeout, asking).await? {
            Ok(kept) => kept,
            Err(error) => {
                self.note_failure(&error, error.is_unrecoverable_error());
                None
            }
        }
    }

    fn hold(self: &Arc<Self>, lease: Arc<Lease>) -> Held {
        self.open.insert(lease.id, lease.clone());
        Held { shared: self.clone(), lease: Some(lease) }
    }

    fn later(&self, task: Task) {
        if self.tasks.try_send(task).is_err() {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts a failure; a lost connection needs no second.
    fn note_failure(&self, error: &dyn Display, is_lost: bool) {
        if is_lost {
            self.link.lose();
        }
        let opened = if is_lost { self.circuit.open() } else { self.circuit.failed() };
        if opened {
            tracing::warn!(%error, "Redis is away: limits are as `limits.on_redis_loss` says until it is back");
        }
    }

    pub(crate) fn own(&self) -> &Arc<Limiter> {
        &self.own
    }

    pub(crate) fn stats(&self) -> Stats {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Stats {
            by_redis: read(&self.counts.redis),
            by_local_share: read(&self.counts.local_share),
            by_open: read(&self.counts.open),
            by_closed: read(&self.counts.closed),
            is_away: !self.circuit.is_closed(),
            losses: self.circuit.openings(),
            nodes: self.nodes.live(),
            dropped: read(&self.counts.dropped),
        }
    }
}

impl Held {
    pub(super) fn settle(mut self, tokens: u64, cost: Option<Pico>) {
        self.close(Exit::Settle(tokens, cost));
    }

    pub(super) fn release(mut self, unsent: bool) {
        self.close(if unsent { Exit::Unsent } else { Exit::Release });
    }

    fn close(&mut self, exit: Exit) {
        if let Some(lease) = self.lease.take() {
            self.shared.open.remove(&lease.id);
            self.shared.later(Task::Leave(lease, exit, crate::clock::steady()));
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.close(Exit::Abandon);
    }
}
