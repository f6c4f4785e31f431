//! The data plane, in reading order: what comes in at the front, the exchange with its eight
//! phases, and what they share.

mod door;
mod exchange;
mod front;

mod admit;
mod ask;
mod authenticate;
mod endpoint;
mod relay;
mod route;
mod settle;
mod upstream;

mod bodies;
mod client;
mod count;
mod decode;
mod deployments;
mod drain;
mod health;
mod load;
mod models;
mod mount;
mod pass;
mod refusal;
mod reply;
mod trace;
mod world;
mod wrapped;

pub(crate) use authenticate::address_behind;
pub(crate) use door::Door;
pub(crate) use front::Front;
pub(crate) use trace::Line;
pub(crate) use upstream::{connectors::Connectors, target::Targets};
pub(crate) use world::Worlds;

use crate::{
    budgets::Budgets,
    clock,
    journal::Journal,
    keyring::KeyRing,
    store::{limits::Limits, origins::Origins},
    telemetry::{access::AccessLog, metrics::Metrics},
};
use aione_core::{config::snapshot::Snapshot, wire::Dialect};
use endpoint::Endpoint;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};
use tokio::sync::Notify;
use world::World;

/// What records call the dialect of what is passed on as it is.
const RAW: &str = "raw";

/// What every exchange of this process shares.
pub(crate) struct Gateway {
    worlds: Arc<Worlds>,
    pub(crate) keyring: Arc<KeyRing>,
    pub(crate) limits: Limits,
    pub(crate) budgets: Arc<Budgets>,
    pub(crate) journal: Journal,
    pub(crate) origins: Origins,
    pub(crate) connectors: Connectors,
    pub(crate) targets: Arc<Targets>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) access: AccessLog,
    pub(crate) admin: axum::Router,
    pub(crate) bodies: bodies::Bodies,
    names: Names,
    /// Requests being served.
    in_flight: AtomicUsize,
    /// Answers being read on without their caller.
    drains: AtomicUsize,
    /// The process has been asked to end.
    draining: AtomicBool,
    leave: Notify,
    /// Its time to do so is over: answers under way are cut.
    cutting: AtomicBool,
    cut: Notify,
}

/// The parts that [`Gateway::new`] takes.
pub(crate) struct Parts {
    pub(crate) worlds: Arc<Worlds>,
    pub(crate) keyring: Arc<KeyRing>,
    pub(crate) limits: Limits,
    pub(crate) budgets: Arc<Budgets>,
    pub(crate) journal: Journal,
    pub(crate) connectors: Connectors,
    pub(crate) targets: Arc<Targets>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) access: AccessLog,
    pub(crate) admin: axum::Router,
}

/// Names that records share instead of copying them.
struct Names {
    dialects: [(Dialect, Arc<str>); Dialect::ALL.len()],
    /// Of what is passed on as it is.
    raw: Arc<str>,
}

impl Names {
    fn dialect(&self, endpoint: Endpoint) -> Arc<str> {
        if let Endpoint::Raw(_) = endpoint {
            return self.raw.clone();
        }
        let dialect = endpoint.dialect();
        let found = self.dialects.iter().find(|(each, _)| *each == dialect);
        found.map(|(_, name)| name.clone()).expect("every dialect is in `Dialect::ALL`")
    }
}

impl Gateway {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { worlds, keyring, limits, budgets, journal, connectors, targets, metrics, access, admin } =
            parts;
        let origins = Origins::new(limits.shared().cloned());
        Self {
            worlds,
            keyring,
            origins,
            limits,
            budgets,
            journal,
            connectors,
            targets,
            metrics,
            access,
            admin,
            bodies: bodies::Bodies::default(),
            names: Names {
                dialects: Dialect::ALL.map(|dialect| (dialect, dialect.as_str().into())),
                raw: RAW.into(),
            },
            in_flight: AtomicUsize::new(0),
            drains: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
            leave: Notify::new(),
            cutting: AtomicBool::new(false),
            cut: Notify::new(),
        }
    }

    /// The present configuration. An exchange asks once and keeps what it got.
    pub(crate) fn world(&self) -> Arc<World> {
        self.worlds.present()
    }

    /// Puts a new configuration in the place of the present one.
    pub(crate) fn publish(&self, snapshot: &Arc<Snapshot>) {
        self.worlds.publish(snapshot, &self.targets);
    }

    /// From now on the process is on its way out: not ready, no keep-alive, no new drains.
    pub(crate) fn begin_draining(&self) {
        self.draining.store(true, Ordering::Release);
        self.leave.notify_waiters();
    }

    /// Ends every answer under way, visibly cut and accounted for.
    pub(crate) fn begin_cutting(&self) {
        self.cutting.store(true, Ordering::Release);
        self.cut.notify_waiters();
    }

    /// Resolves when answers under way are to be cut.
    pub(crate) async fn cut(&self) {
        let notified = self.cut.notified();
        if !self.cutting.load(Ordering::Acquire) {
            notified.await;
        }
    }

    /// Resolves when the process has been asked to end.
    pub(crate) async fn leaving(&self) {
        let notified = self.leave.notified();
        if !self.is_draining() {
            notified.await;
        }
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    pub(crate) fn drains(&self) -> usize {
        self.drains.load(Ordering::Acquire)
    }

    /// Deployments that rest after failures.
    pub(crate) fn resting(&self) -> usize {
        let now = clock::steady();
        self.world().all_running().filter(|(_, running)| running.health.rests_for_ms(now).is_some()).count()
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Acquire)
    }
}
