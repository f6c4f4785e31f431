//! Lets go of single records that are older than they are to be kept. What they came to stays in the
//! rollups, and so does what is charged.
//!
//! A record that the journal brings again after it was let go would be counted again, if nothing was
//! charged for it: so nothing is let go until the journal has brought what former runs left in it. (Of
//! another node, that comes back after a longer time than records are kept, it can be one batch.)

use crate::{clock, proxy::Gateway};
use aione_core::{
    domain::clock::Timestamp,
    ports::{StoreError, UsageStore},
};
use std::{sync::Arc, time::Duration};

/// How often it is looked for what has grown too old.
const EVERY: Duration = Duration::from_secs(3_600);

/// Runs for as long as the process does.
pub(crate) async fn run(store: Arc<dyn UsageStore>, gateway: Arc<Gateway>, keep: Duration) {
    gateway.journal.former_recorded().await;
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Err(error) = forget(&*store, keep).await {
            tracing::warn!(%error, "old records could not be let go; it is tried again");
        }
    }
}

async fn forget(store: &dyn UsageStore, keep: Duration) -> Result<(), StoreError> {
    let before = oldest_kept(keep, [clock::now(), store.now().await?]);
    while store.forget_records(before).await? {}
    Ok(())
}

/// A clock that is ahead lets go of nothing too early where another one is not.
fn oldest_kept(keep: Duration, clocks: [Timestamp; 2]) -> Timestamp {
    let keep_ms = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
    clocks[0].min(clocks[1]).plus_ms(-keep_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_ahead_lets_go_of_nothing_too_early() {
        let (now, year) = (Timestamp(1_795_442_400_000), 365 * 86_400_000);
        let keep = Duration::from_secs(86_400);
        for clocks in [[now, now.plus_ms(year)], [now.plus_ms(year), now]] {
            assert_eq!(oldest_kept(keep, clocks), now.plus_ms(-86_400_000));
        }
    }
}
