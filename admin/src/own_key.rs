//! `GET /gateway/key`: what an inference key may know of itself.

use crate::{Admin, auth::OwnKey, error::Refusal, keys::KeyResponse};
use aione_core::{
    domain::{
        budget::{BudgetPeriod, Owner},
        money::Pico,
        plan::RateLimits,
    },
    ports::{GroupBy, KeyInContext, KeyUse, Page, UsageQuery, UsageSum},
};
use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

/// The calling key, without its secret, and where it stands.
#[derive(Serialize, ToSchema)]
pub(crate) struct OwnKeyResponse {
    #[serde(flatten)]
    key: KeyResponse,
    usage: OwnUsage,
    limits: OwnLimits,
    /// `null`: the key has none.
    #[schema(required = true)]
    budget: Option<OwnBudget>,
}

/// Decimal amounts in the billing currency.
#[derive(Serialize, ToSchema)]
struct OwnBudget {
    budget_rmb: String,
    /// `day` or `month`, in the organization's time zone.
    #[schema(value_type = String)]
    budget_period: BudgetPeriod,
    /// In the present period.
    spent_rmb: String,
    /// For requests in flight on this node.
    reserved_rmb: String,
}

#[derive(Serialize, ToSchema)]
struct OwnUsage {
    /// In the last 60 seconds.
    requests: u64,
    /// In the last 60 seconds, with what is reserved for requests in flight.
    tokens: u64,
    in_flight: u64,
    month: MonthUsage,
}

/// Since the first of the month, in the organization's time zone.
#[derive(Serialize, ToSchema)]
struct MonthUsage {
    requests: u64,
    total_tokens: u64,
    /// A decimal amount in the billing currency.
    cost_rmb: String,
}

/// Limits over all models, at each level; all of them hold.
#[derive(Serialize, ToSchema)]
struct OwnLimits {
    key: LevelLimits,
    team: LevelLimits,
    organization: LevelLimits,
}

/// `null`: no limit of its own.
#[derive(Serialize, ToSchema)]
pub(crate) struct LevelLimits {
    #[schema(required = true)]
    rpm_limit: Option<u64>,
    #[schema(required = true)]
    tpm_limit: Option<u64>,
    #[schema(required = true)]
    rpd_limit: Option<u64>,
    #[schema(required = true)]
    max_concurrency: Option<u64>,
}

/// Show the calling inference key, its limits and its use.
#[utoipa::path(
    get, path = "/gateway/key", tag = "Keys", operation_id = "getOwnKey",
    responses((status = 200, body = OwnKeyResponse), Refusal),
)]
pub(crate) async fn show(
    State(admin): State<Admin>,
    OwnKey(found): OwnKey,
) -> Result<Json<OwnKeyResponse>, Refusal> {
    let month = used_in(&admin, &found, BudgetPeriod::Month).await?;
    let budget = match found.key.budget {
        Some(budget) => Some(OwnBudget::of(&admin, &found, budget).await?),
        None => None,
    };
    let live = admin.live.key_use(found.key.id);
    Ok(Json(OwnKeyResponse {
        key: KeyResponse::of(&found.key, admin.surroundings.now()),
        usage: OwnUsage::of(live, &month),
        limits: OwnLimits {
            key: LevelLimits::of(&found.key.limits),
            team: LevelLimits::of(&found.team_limits),
            organization: LevelLimits::of(&found.org_limits),
        },
        budget,
    }))
}

/// The key's usage in the present period; zeros where there is none.
async fn used_in(admin: &Admin, found: &KeyInContext, period: BudgetPeriod) -> Result<UsageSum, Refusal> {
    let (key, zone, now) = (&found.key, found.org_zone, admin.surroundings.now());
    let [start, _] = period.days(now, zone);
    let query = UsageQuery {
        org: key.org,
        zone,
        start,
        end: now.date_in(zone),
        group_by: vec![GroupBy::Key],
        model: None,
        team: None,
        key: Some(key.id),
        page: Page { offset: 0, limit: 1 },
    };
    Ok(admin.usage.sum_usage(&query).await?.pop().unwrap_or_default())
}

impl OwnBudget {
    async fn of(admin: &Admin, found: &KeyInContext, budget: Pico) -> Result<Self, Refusal> {
        let key = &found.key;
        let period = key.budget_period;
        let owner = Owner::Key(key.org, key.id, period);
        Ok(Self {
            budget_rmb: budget.to_decimal(),
            budget_period: period,
            spent_rmb: used_in(admin, found, period).await?.cost.to_decimal(),
            reserved_rmb: admin.spending.reserved(owner).to_decimal(),
        })
    }
}

impl OwnUsage {
    fn of(live: KeyUse, month: &UsageSum) -> Self {
        Self {
            requests: live.requests,
            tokens: live.tokens,
            in_flight: live.in_flight,
            month: MonthUsage {
                requests: month.requests,
                total_tokens: month.usage.total_tokens(),
                cost_rmb: month.cost.to_decimal(),
            },
        }
    }
}

impl LevelLimits {
    pub(crate) fn of(limits: &RateLimits) -> Self {
        Self {
            rpm_limit: limits.rpm,
            tpm_limit: limits.tpm,
            rpd_limit: limits.rpd,
            max_concurrency: limits.concurrency,
        }
    }
}
