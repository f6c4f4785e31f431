//! The part of every limit that this node may admit alone while Redis is away.

use crate::store::local::Ask;
use aione_core::domain::plan::RateLimits;
use std::sync::atomic::{AtomicU64, Ordering};

/// Beats in a row that must count fewer nodes before they are taken for gone: a Redis that was emptied
/// hears from all of them within one.
const FEWER_MIN: u64 = 5;

/// How many nodes live, as far as is known: the last count holds while nobody can count.
#[derive(Debug)]
pub(super) struct Nodes {
    live: AtomicU64,
    fewer: AtomicU64,
}

impl Default for Nodes {
    fn default() -> Self {
        Self { live: AtomicU64::new(1), fewer: AtomicU64::new(0) }
    }
}

impl Nodes {
    pub(super) fn live(&self) -> u64 {
        self.live.load(Ordering::Relaxed)
    }

    /// Takes a count; by one task alone.
    pub(super) fn counted(&self, count: u64) {
        if count < self.live() && self.fewer.fetch_add(1, Ordering::Relaxed) + 1 < FEWER_MIN {
            return;
        }
        self.fewer.store(0, Ordering::Relaxed);
        self.live.store(count.max(1), Ordering::Relaxed);
    }

    /// `ask` under this node's part of its limits.
    pub(super) fn share_of<'a>(&self, ask: &Ask<'a>) -> Ask<'a> {
        let live = self.live();
        Ask {
            key_limits: divided(ask.key_limits, live),
            team_limits: divided(ask.team_limits, live),
            org_limits: divided(ask.org_limits, live),
            plan_limits: divided(ask.plan_limits, live),
            ..ask.clone()
        }
    }
}

/// A part is at least one, so that a small limit is no lock-out; a limit of nothing stays one.
fn divided(limits: RateLimits, nodes: u64) -> RateLimits {
    let part = |limit: Option<u64>| limit.map(|limit| (limit / nodes).max(limit.min(1)));
    RateLimits {
        rpm: part(limits.rpm),
        tpm: part(limits.tpm),
        rpd: part(limits.rpd),
        concurrency: part(limits.concurrency),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_rounded_down_but_never_to_nothing() {
        let limits = RateLimits { rpm: Some(61), tpm: Some(2), rpd: Some(0), concurrency: None };
        let parts = RateLimits { rpm: Some(20), tpm: Some(1), rpd: Some(0), concurrency: None };
        assert_eq!(divided(limits, 3), parts);
    }

    #[test]
    fn more_nodes_count_at_once_and_fewer_after_some_beats() {
        let nodes = Nodes::default();
        nodes.counted(3);
        assert_eq!(nodes.live(), 3);
        for _ in 0..FEWER_MIN - 1 {
            nodes.counted(1);
            assert_eq!(nodes.live(), 3);
        }
        nodes.counted(3);
        for _ in 0..FEWER_MIN {
            nodes.counted(2);
        }
        assert_eq!(nodes.live(), 2);
    }
}
