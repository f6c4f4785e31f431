//! What a deployment carries on this node: requests in flight, how soon it answers, and whether
//! an operator took it out.
//!
//! Noted on the way of every request, so that each is one relaxed access and no lock.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

/// The average follows an answer by this part of the difference.
const FOLLOWS_BY: u64 = 8;

/// Shared by every world that names the deployment.
#[derive(Clone, Default)]
pub(crate) struct Load(Arc<State>);

#[derive(Default)]
struct State {
    drained: AtomicBool,
    in_flight: AtomicU64,
    /// The moving average in microseconds, and 1 more; 0: there is none yet.
    first_byte: AtomicU64,
}

impl Load {
    pub(crate) fn is_drained(&self) -> bool {
        self.0.drained.load(Relaxed)
    }

    /// Whether it was otherwise before.
    pub(crate) fn set_drained(&self, drained: bool) -> bool {
        self.0.drained.swap(drained, Relaxed) != drained
    }

    pub(crate) fn enter(&self) {
        self.0.in_flight.fetch_add(1, Relaxed);
    }

    pub(crate) fn leave(&self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }

    pub(crate) fn in_flight(&self) -> u64 {
        self.0.in_flight.load(Relaxed)
    }

    /// Notes how long an answer took to begin. Of two at the same moment one may be lost: it is an
    /// average for people, and not worth a retry.
    pub(crate) fn answered_after_us(&self, us: u64) {
        let average = match self.0.first_byte.load(Relaxed) {
            0 => us,
            before => {
                let before = before - 1;
                (before - before / FOLLOWS_BY).saturating_add(us / FOLLOWS_BY)
            }
        };
        self.0.first_byte.store(average.saturating_add(1), Relaxed);
    }

    /// Milliseconds, rounded; `None`: it has not answered yet.
    pub(crate) fn first_byte_ms(&self) -> Option<u64> {
        let us = self.0.first_byte.load(Relaxed).checked_sub(1)?;
        Some((us + 500) / 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::Load;

    #[test]
    fn the_average_follows_what_came_last() {
        let load = Load::default();
        assert_eq!(load.first_byte_ms(), None);
        load.answered_after_us(0);
        assert_eq!(load.first_byte_ms(), Some(0));
        let load = Load::default();
        load.answered_after_us(80_400);
        assert_eq!(load.first_byte_ms(), Some(80), "the first is the average");
        load.answered_after_us(160_400);
        assert_eq!(load.first_byte_ms(), Some(90));
        for _ in 0..64 {
            load.answered_after_us(8_000);
        }
        assert_eq!(load.first_byte_ms(), Some(8));
    }

    #[test]
    fn every_clone_is_the_same_deployment() {
        let load = Load::default();
        let other = load.clone();
        other.enter();
        assert!(other.set_drained(true) && !load.set_drained(true));
        assert!(load.is_drained());
        assert_eq!(load.in_flight(), 1);
        load.leave();
        assert_eq!(other.in_flight(), 0);
    }
}
