//! The one place where a test waits: for a condition, within a bound, never for a time.

use std::{
    fmt::Display,
    future::Future,
    time::{Duration, Instant},
};

/// How long anything may take before a test calls it hanging.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Between two looks at a condition.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Looks until `look` gives a value. Panics, naming `what`, when [`PATIENCE`] has passed.
pub async fn until<T>(what: impl Display, look: impl AsyncFnMut() -> Option<T>) -> T {
    match until_within(PATIENCE, look).await {
        Some(value) => value,
        None => panic!("{what}: not within {PATIENCE:?}"),
    }
}

/// Looks until `look` gives a value; `None` when `bound` has passed first.
pub async fn until_within<T>(bound: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + bound;
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Some(value) = look().await {
            return Some(value);
        }
        if Instant::now() > deadline {
            return None;
        }
    }
}

/// The future's value. Panics, naming `what`, when [`PATIENCE`] has passed first.
pub async fn within<T>(what: impl Display, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: not within {PATIENCE:?}"),
    }
}
