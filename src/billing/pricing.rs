//! Charges what was kept apart, once there is a price for it.
//!
//! A price counts from the instant that it names, also where it was written later: so what was used without one
//! costs what the configuration of today says for the time at which it began, under the plan of that time.

use crate::config::Config;
use aione_core::{
    config::snapshot::Snapshot,
    domain::{fee::PlanHistory, id::OrgId, usage::UsageRecord},
    ports::{QuarantineStore, StoreError},
};
use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
    time::Duration,
};

/// How often it is looked for what has come late, beside each change of the configuration.
const EVERY: Duration = Duration::from_secs(3_600);
/// Records of one transaction.
const PAGE: u32 = 500;

/// Runs for as long as the process does.
pub(crate) async fn run(store: Arc<dyn QuarantineStore>, config: Config) {
    let mut outcomes = config.outcomes();
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            changed = outcomes.changed() => if changed.is_err() { return },
        }
        match price_all(&*store, &config.snapshot()).await {
            Ok(0) => {}
            Ok(records) => tracing::info!(records, "usage that awaited a price was charged"),
            Err(error) => {
                tracing::warn!(%error, "usage that awaits a price could not be charged; it is tried again");
            }
        }
    }
}

/// Charges whatever has a price by now, and tells how many records that were.
async fn price_all(store: &dyn QuarantineStore, snapshot: &Snapshot) -> Result<usize, StoreError> {
    let (mut after, mut count) = (None, 0);
    let mut plans: HashMap<OrgId, PlanHistory> = HashMap::new();
    loop {
        let records = store.list_unpriced(after, PAGE).await?;
        let Some(last) = records.last() else { return Ok(count) };
        after = Some(last.opened.id);
        let mut priced = Vec::with_capacity(records.len());
        for record in records {
            let history = match plans.entry(record.opened.org) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(store.plan_history(record.opened.org).await?),
            };
            priced.extend(price(record, history, snapshot));
        }
        if !priced.is_empty() {
            count += store.price_records(&priced).await?;
        }
    }
}

/// The record with its price; `None`: it has none still.
fn price(mut record: UsageRecord, history: &PlanHistory, snapshot: &Snapshot) -> Option<UsageRecord> {
    let UsageRecord { opened, closed } = &mut record;
    let code = history.plan_at(opened.started_at).unwrap_or(&snapshot.default_plan);
    let plan = snapshot.plan_or_default(code)?;
    closed.unpriced = false;
    closed.charge(opened, plan.price_of(&opened.model));
    opened.price_version = plan.prices.version;
    (!closed.unpriced).then_some(record)
}
