//! When a token is asked for: at once where there is none, ahead of its end where there is one, and later
//! and later where it was not given.

use crate::domain::clock::Timestamp;
use std::time::Duration;

/// The most that a token is asked for ahead of its end.
const AHEAD_MAX_MS: i64 = 10 * 60 * 1000;
/// The first wait after a failure; each further one doubles it.
const RETRY_MS: i64 = 1_000;
const RETRY_MAX_MS: i64 = 60_000;
/// What a token that an upstream refused must have lived before it is asked for anew on that account.
const REFUSED_AFTER_MS: u64 = 10_000;

/// The state of one account's token, without the token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Schedule {
    minted: Option<Timestamp>,
    failures: u32,
    due: Timestamp,
}

impl Schedule {
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self { minted: None, failures: 0, due: now }
    }

    /// How long until a token is asked for.
    #[must_use]
    pub fn wait(&self, now: Timestamp) -> Duration {
        Duration::from_millis(u64::try_from(self.due.0.saturating_sub(now.0)).unwrap_or(0))
    }

    /// A token that ends at `expires` was given. The next one is asked for when a quarter of its life is
    /// left, or ten minutes.
    pub fn minted(&mut self, now: Timestamp, expires: Timestamp) {
        let life = expires.0.saturating_sub(now.0).max(0);
        let ahead = (life / 4).min(AHEAD_MAX_MS);
        let due = expires.0.saturating_sub(ahead).max(now.0.saturating_add(RETRY_MS));
        *self = Self { minted: Some(now), failures: 0, due: Timestamp(due) };
    }

    pub fn failed(&mut self, now: Timestamp) {
        let wait = RETRY_MS.saturating_mul(1 << self.failures.min(10)).min(RETRY_MAX_MS);
        self.failures = self.failures.saturating_add(1);
        self.due = Timestamp(now.0.saturating_add(wait));
    }

    /// An upstream refused the token: it is asked for anew, unless that was done just now.
    pub fn refused(&mut self, now: Timestamp) {
        // Apart either way: of a token that was given in what is now the future, the clock was set back.
        let is_old = self.minted.is_some_and(|minted| now.0.abs_diff(minted.0) >= REFUSED_AFTER_MS);
        if is_old && self.due > now {
            self.due = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Timestamp = Timestamp(1_800_000_000_000);

    fn at(ms: i64) -> Timestamp {
        Timestamp(T0.0 + ms)
    }

    #[test]
    fn a_token_is_asked_for_ahead_of_its_end() {
        let mut schedule = Schedule::new(T0);
        assert_eq!(schedule.wait(T0), Duration::ZERO);
        schedule.minted(T0, at(3_600_000));
        assert_eq!(schedule.wait(T0), Duration::from_secs(50 * 60));
        assert_eq!(schedule.wait(at(4_000_000)), Duration::ZERO);
        schedule.minted(T0, at(4_000));
        assert_eq!(schedule.wait(T0), Duration::from_secs(3));
        // One that ends at once does not make us ask without a pause.
        schedule.minted(T0, T0);
        assert_eq!(schedule.wait(T0), Duration::from_secs(1));
    }

    #[test]
    fn failures_are_further_and_further_apart_and_a_success_forgets_them() {
        let mut schedule = Schedule::new(T0);
        let waits: Vec<_> = (0..9)
            .map(|_| {
                schedule.failed(T0);
                schedule.wait(T0).as_secs()
            })
            .collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        schedule.minted(T0, at(3_600_000));
        schedule.failed(T0);
        assert_eq!(schedule.wait(T0), Duration::from_secs(1));
        (0..100).for_each(|_| schedule.failed(T0));
        assert_eq!(schedule.wait(T0), Duration::from_secs(60));
    }

    #[test]
    fn a_refused_token_is_asked_for_anew_but_not_over_and_over() {
        let mut schedule = Schedule::new(T0);
        schedule.minted(T0, at(3_600_000));
        schedule.refused(at(5_000));
        assert!(schedule.wait(at(5_000)) > Duration::from_secs(60));
        schedule.refused(at(60_000));
        assert_eq!(schedule.wait(at(60_000)), Duration::ZERO);
        // Also where the clock was set back behind the time at which it was given.
        schedule.minted(T0, at(3_600_000));
        schedule.refused(at(-7_200_000));
        assert_eq!(schedule.wait(at(-7_200_000)), Duration::ZERO);
    }
}
