//! The view of those who run it. The order of the fields is part of the contract.

use super::{
    Glance,
    trend::{self, DailyTrend},
};
use aione_core::domain::percent::Percent;
use serde::Serialize;
use std::cmp::Reverse;
use utoipa::ToSchema;

/// How it ran.
#[derive(Serialize, ToSchema)]
pub(crate) struct TechDashboardData {
    total_tokens: u64,
    /// Everything that was read, from a cache or not.
    prompt_tokens: u64,
    /// Everything that was written, reasoning included.
    completion_tokens: u64,
    total_requests: u64,
    /// A decimal amount in the billing currency, not rounded.
    total_cost_rmb: String,
    /// From the last byte of a request to the last byte of its answer.
    avg_latency_ms: u64,
    /// Within two percent.
    p99_latency_ms: u32,
    /// Of all requests, those that failed by the gateway's fault or an upstream's, in percent.
    error_rate_pct: String,
    /// Of the requests per minute that the closest limit allows, those of the busiest quarter of an
    /// hour of the last day, in percent; `0` where there is no limit.
    rpm_usage_pct: String,
    /// The most used first.
    model_distribution: Vec<ModelDistribution>,
    daily_trend: Vec<DailyTrend>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ModelDistribution {
    model: String,
    requests: u64,
    tokens: u64,
}

impl TechDashboardData {
    pub(super) fn of(glance: &Glance) -> Self {
        let total = trend::total(glance);
        Self {
            total_tokens: total.usage.total_tokens(),
            prompt_tokens: total.usage.prompt_tokens(),
            completion_tokens: total.usage.completion_tokens(),
            total_requests: total.requests,
            total_cost_rmb: total.cost.to_decimal(),
            avg_latency_ms: total.latency_ms.checked_div(total.latencies.count()).unwrap_or(0),
            p99_latency_ms: total.latencies.quantile(99).unwrap_or(0),
            error_rate_pct: Percent::of(total.faults, total.requests).to_string(),
            rpm_usage_pct: glance.rpm_usage.to_string(),
            model_distribution: models(glance),
            daily_trend: trend::daily(glance),
        }
    }
}

fn models(glance: &Glance) -> Vec<ModelDistribution> {
    let mut models: Vec<_> = glance
        .overview
        .models
        .iter()
        .map(|sum| ModelDistribution {
            model: trend::name(sum).to_owned(),
            requests: sum.requests,
            tokens: sum.usage.total_tokens(),
        })
        .collect();
    // They came by name, and a stable sort leaves it so where the numbers are the same.
    models.sort_by_key(|model| Reverse((model.tokens, model.requests)));
    models
}
