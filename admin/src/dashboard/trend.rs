//! What the days come to: each for itself, and all together.

use super::Glance;
use aione_core::{domain::rollup::Rollup, ports::UsageSum};
use serde::Serialize;
use std::collections::HashMap;
use utoipa::ToSchema;

/// A day of the range; days without traffic are there with zeros.
#[derive(Serialize, ToSchema)]
pub(crate) struct DailyTrend {
    /// `YYYY-MM-DD` in the organization's time zone.
    #[schema(format = Date)]
    date: String,
    requests: u64,
    tokens: u64,
    /// A decimal amount in the billing currency, not rounded.
    cost_rmb: String,
}

pub(super) fn daily(glance: &Glance) -> Vec<DailyTrend> {
    let days: HashMap<&str, &UsageSum> = glance.overview.days.iter().map(|day| (name(day), day)).collect();
    let dates = glance.first.iter_days().take_while(|date| *date <= glance.last);
    dates
        .map(|date| {
            let date = date.to_string();
            let sum = days.get(date.as_str()).copied().cloned().unwrap_or_default();
            DailyTrend {
                date,
                requests: sum.requests,
                tokens: sum.usage.total_tokens(),
                cost_rmb: sum.cost.to_decimal(),
            }
        })
        .collect()
}

/// All days together.
pub(super) fn total(glance: &Glance) -> Rollup {
    let mut total = Rollup::default();
    for day in &glance.overview.days {
        total.merge(&Rollup {
            requests: day.requests,
            unpriced: day.unpriced,
            faults: day.faults,
            usage: day.usage,
            cost: day.cost,
            latency_ms: day.latency_ms,
            ..Rollup::default()
        });
    }
    total.latencies.merge(&glance.overview.latencies);
    total
}

/// The one group of a sum that is grouped by one thing.
pub(super) fn name(sum: &UsageSum) -> &str {
    sum.group.first().map_or("", String::as_str)
}
