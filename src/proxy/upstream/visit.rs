//! One deployment being asked: in flight until its answer has ended, and told how it went.

use crate::proxy::world::Running;
use aione_core::{config::snapshot::CoolDown, domain::clock::Steady};
use std::sync::Arc;

pub(crate) struct Visit {
    running: Arc<Running>,
    rule: CoolDown,
    asked_at: Steady,
}

impl Visit {
    pub(super) fn begin(running: &Arc<Running>, rule: CoolDown, asked_at: Steady) -> Self {
        running.load.enter();
        Self { running: running.clone(), rule, asked_at }
    }

    /// An answer has come that may be released.
    pub(super) fn answered(&self, now: Steady) {
        self.running.load.answered_after_us(now.since_ns(self.asked_at) / 1000);
    }

    pub(super) fn succeeded(&self) {
        self.running.health.succeeded(self.asked_at);
    }

    pub(super) fn failed(&self, now: Steady) {
        self.running.health.failed(&self.rule, now);
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.running.load.leave();
    }
}
