//! The process's clock and entropy: the only place that asks the system for them.
//!
//! A look at the clock costs as much as reading a header or two: a request's phases hand on the time
//! that they know.

use aione_core::{
    domain::clock::{Steady, Timestamp},
    ports::Surroundings,
};
use std::{
    future::poll_fn,
    pin::Pin,
    sync::LazyLock,
    task::Poll,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

#[expect(clippy::disallowed_methods, reason = "this is the clock")]
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The wall clock, in milliseconds since 1970.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// The monotonic clock, in nanoseconds since its first reading.
#[must_use]
pub fn steady() -> Steady {
    Steady(u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX))
}

/// What `work` comes to, or `None` where it takes longer than `limit`. For work that is nearly always
/// done at once: a timer is made only where it is not. The caller pins it, so that it is not kept twice.
pub(crate) async fn within<T>(limit: Duration, mut work: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    if let Poll::Ready(done) = poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await {
        return Some(done);
    }
    tokio::time::timeout(limit, work).await.ok()
}

/// The system as the domain's [`Surroundings`].
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Surroundings for System {
    fn now(&self) -> Timestamp {
        now()
    }

    fn entropy(&self, bytes: &mut [u8]) {
        use rand::Rng;
        rand::rng().fill_bytes(bytes);
    }
}
