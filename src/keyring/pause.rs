//! Leaving a store in peace that does not answer, so that callers do not wait for it in turn.

use aione_core::domain::clock::Steady;
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// How long nobody asks after a failure; then one caller finds out.
const PAUSE: Duration = Duration::from_secs(1);
const NONE: u64 = 0;

/// Until when nobody asks, in [`Steady`]'s nanoseconds; [`NONE`] while all is well.
#[derive(Default)]
pub(super) struct Pause {
    until: AtomicU64,
}

impl Pause {
    /// Whether this caller may ask. After a pause it is one caller, and the others rest on.
    pub(super) fn may_ask(&self, steady: Steady) -> bool {
        let until = self.until.load(Ordering::Acquire);
        if until == NONE {
            return true;
        }
        let next = after(steady);
        steady.0 >= until
            && self.until.compare_exchange(until, next, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Whether the store has not answered since it failed.
    pub(super) fn is_on(&self) -> bool {
        self.until.load(Ordering::Acquire) != NONE
    }

    pub(super) fn begin(&self, steady: Steady) {
        self.until.fetch_max(after(steady), Ordering::AcqRel);
    }

    pub(super) fn end(&self) {
        self.until.store(NONE, Ordering::Release);
    }
}

fn after(steady: Steady) -> u64 {
    steady.0.saturating_add(u64::try_from(PAUSE.as_nanos()).expect("a second in nanoseconds fits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_failure_one_caller_at_a_time_finds_out() {
        let pause = Pause::default();
        let second = |count: u64| Steady(count * 1_000_000_000);
        assert!(pause.may_ask(second(1)) && pause.may_ask(second(1)));
        pause.begin(second(1));
        assert!(!pause.may_ask(Steady(second(2).0 - 1)));
        assert!(pause.may_ask(second(2)));
        assert!(!pause.may_ask(second(2)), "one is asking already");
        assert!(pause.may_ask(second(3)), "the one that asked never came back");
        pause.end();
        assert!(pause.may_ask(second(3)) && pause.may_ask(second(3)));
    }
}
