//! The view of those who pay. The order of the fields is part of the contract.

use super::{
    Glance,
    trend::{self, DailyTrend},
};
use aione_core::{
    domain::{estimate, id::TeamId},
    ports::UsageSum,
};
use serde::Serialize;
use std::cmp::Reverse;
use utoipa::ToSchema;

/// What it came to.
#[derive(Serialize, ToSchema)]
pub(crate) struct BusinessDashboardData {
    /// Characters that were read and written, in units of 10 000. An estimate, since tokens are what
    /// is counted: one and a half characters for each.
    total_chars_wan: f64,
    /// Requests.
    total_conversations: u64,
    /// A decimal amount in the billing currency, not rounded.
    total_cost_rmb: String,
    /// Of the month's budget, in percent; `0` where there is none.
    budget_progress_pct: String,
    /// `sufficient`, `tight` or `insufficient`: how much room the limits on requests per minute left
    /// in the last day.
    capacity_status: &'static str,
    /// `normal`, `degraded` or `outage`, by the requests of the last hour.
    service_status: &'static str,
    /// The dearest first.
    team_cost_ranking: Vec<TeamCostItem>,
    daily_trend: Vec<DailyTrend>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct TeamCostItem {
    #[schema(value_type = uuid::Uuid)]
    team_id: String,
    /// The id again, where the team has no name any more.
    team_name: String,
    /// A decimal amount in the billing currency, not rounded.
    cost_rmb: String,
    /// Requests.
    conversations: u64,
}

impl BusinessDashboardData {
    pub(super) fn of(glance: &Glance) -> Self {
        let total = trend::total(glance);
        Self {
            total_chars_wan: wan(estimate::characters(total.usage.total_tokens())),
            total_conversations: total.requests,
            total_cost_rmb: total.cost.to_decimal(),
            budget_progress_pct: glance.budget_progress.to_string(),
            capacity_status: glance.capacity.as_str(),
            service_status: glance.service.as_str(),
            team_cost_ranking: teams(glance),
            daily_trend: trend::daily(glance),
        }
    }
}

/// In units of 10 000, with two decimals.
#[expect(clippy::cast_precision_loss, reason = "an estimate of text, and exact up to 10^18 characters")]
fn wan(characters: u64) -> f64 {
    (characters / 100) as f64 / 100.0
}

fn teams(glance: &Glance) -> Vec<TeamCostItem> {
    let mut sums: Vec<&UsageSum> = glance.overview.teams.iter().collect();
    // They came by id, and a stable sort leaves it so where the costs are the same.
    sums.sort_by_key(|sum| Reverse(sum.cost));
    let item = |sum: &UsageSum| {
        let id = trend::name(sum);
        let team = id.parse::<TeamId>().ok().and_then(|team| glance.overview.team_names.get(&team));
        TeamCostItem {
            team_id: id.to_owned(),
            team_name: team.map_or_else(|| id.to_owned(), Clone::clone),
            cost_rmb: sum.cost.to_decimal(),
            conversations: sum.requests,
        }
    };
    sums.into_iter().map(item).collect()
}
