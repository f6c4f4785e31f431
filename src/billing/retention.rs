//! Lets go of single records that are older than they are to be kept. What they came to stays in the
//! rollups, and so does what is charged.

use crate::clock;
use aione_core::ports::UsageStore;
use std::{sync::Arc, time::Duration};

/// How often it is looked for what has grown too old.
const EVERY: Duration = Duration::from_secs(3_600);

/// Runs for as long as the process does.
pub async fn run(store: Arc<dyn UsageStore>, keep: Duration) {
    let keep_ms = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let before = clock::now().plus_ms(-keep_ms);
        loop {
            match store.forget_records(before).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    tracing::warn!(%error, "old records could not be let go; it is tried again");
                    break;
                }
            }
        }
    }
}
