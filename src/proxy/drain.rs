//! What becomes of an upstream's answer when its caller has left: read on for its usage,
//! within bounds, or let go.

use super::Gateway;
use crate::clock;
use aione_core::{
    config::snapshot::{Drain, OnDisconnect},
    domain::clock::Steady,
};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

/// Leave to read an answer on without its caller; counted while it lives.
pub(crate) struct Departure {
    gateway: Arc<Gateway>,
    until: Steady,
}

impl Departure {
    /// `None`: stop reading. The policy says so, all drain slots are taken, or the process is
    /// on its way out and ends client-less drains first.
    pub(crate) fn new(gateway: &Arc<Gateway>, bounds: &Drain, policy: OnDisconnect) -> Option<Self> {
        if policy != OnDisconnect::Drain || gateway.is_draining() {
            return None;
        }
        let taken = gateway.drains.fetch_add(1, Ordering::AcqRel);
        let most = u64::try_from(bounds.max_time.as_nanos()).unwrap_or(u64::MAX);
        let departure =
            Self { gateway: gateway.clone(), until: Steady(clock::steady().0.saturating_add(most)) };
        (taken < bounds.max_streams).then_some(departure)
    }

    pub(crate) fn remaining(&self) -> Duration {
        Duration::from_nanos(self.until.since_ns(clock::steady()))
    }
}

impl Drop for Departure {
    fn drop(&mut self) {
        self.gateway.drains.fetch_sub(1, Ordering::AcqRel);
    }
}
