//! A deployment's health: failures counted in a window, and the rest that follows them.

use aione_core::{config::snapshot::CoolDown, domain::clock::Steady};
use parking_lot::Mutex;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Shared by every world that names the deployment.
#[derive(Clone, Default)]
pub(crate) struct Health(Arc<State>);

#[derive(Default)]
struct State {
    /// Nanoseconds on the steady clock; 0: it does not rest.
    rests_until: AtomicU64,
    failures: Mutex<Failures>,
}

#[derive(Default)]
struct Failures {
    window_began: Steady,
    count: u32,
    /// Rests in a row, each twice as long as the one before.
    rests: u32,
}

impl Health {
    /// Milliseconds until it may be asked again; `None`: now.
    pub(crate) fn rests_for_ms(&self, now: Steady) -> Option<u64> {
        let until = self.0.rests_until.load(Ordering::Relaxed);
        (until > now.0).then(|| (until - now.0).div_ceil(1_000_000))
    }

    /// Notes a good answer to what was asked at `asked_at`. One that was asked before the last rest
    /// was over says nothing of how it is now.
    pub(crate) fn succeeded(&self, asked_at: Steady) {
        // The common case must not take the lock: it never rested.
        let rested_until = self.0.rests_until.load(Ordering::Relaxed);
        if rested_until != 0 && asked_at.0 >= rested_until {
            *self.0.failures.lock() = Failures::default();
            self.0.rests_until.store(0, Ordering::Relaxed);
        }
    }

    /// Counts a failure. One that comes while it rests already does not extend the rest.
    pub(crate) fn failed(&self, rule: &CoolDown, now: Steady) {
        let mut failures = self.0.failures.lock();
        if self.rests_for_ms(now).is_some() {
            return;
        }
        if now.since_ns(failures.window_began) > nanos(rule.within) {
            failures.window_began = now;
            failures.count = 0;
        }
        failures.count += 1;
        if failures.count < rule.after {
            return;
        }
        let pause = rule.pause.saturating_mul(1 << failures.rests.min(16)).min(rule.max);
        failures.rests += 1;
        failures.count = 0;
        self.0.rests_until.store(now.0.saturating_add(nanos(pause)).max(1), Ordering::Relaxed);
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: CoolDown = CoolDown {
        after: 3,
        within: Duration::from_secs(30),
        pause: Duration::from_secs(15),
        max: Duration::from_secs(40),
    };

    fn at(seconds: u64) -> Steady {
        Steady(seconds * 1_000_000_000)
    }

    #[test]
    fn rests_after_failures_within_the_window_twice_as_long_each_time() {
        let health = Health::default();
        health.failed(&RULE, at(1));
        health.failed(&RULE, at(2));
        health.failed(&RULE, at(40));
        assert_eq!(health.rests_for_ms(at(40)), None, "two of the three are out of the window");
        health.failed(&RULE, at(41));
        health.failed(&RULE, at(42));
        assert_eq!(health.rests_for_ms(at(42)), Some(15_000));
        health.failed(&RULE, at(50));
        assert_eq!(health.rests_for_ms(at(50)), Some(7_000), "a rest does not extend itself");
        for second in [60, 61, 62] {
            health.failed(&RULE, at(second));
        }
        assert_eq!(health.rests_for_ms(at(62)), Some(30_000));
        for second in [100, 101, 102] {
            health.failed(&RULE, at(second));
        }
        assert_eq!(health.rests_for_ms(at(102)), Some(40_000), "bounded");
        health.succeeded(at(99));
        assert_eq!(health.rests_for_ms(at(103)), Some(39_000), "asked before the rest began");
        health.succeeded(at(150));
        for second in [160, 161, 162] {
            health.failed(&RULE, at(second));
        }
        assert_eq!(health.rests_for_ms(at(162)), Some(15_000), "a good answer after the rest forgives");
    }
}
