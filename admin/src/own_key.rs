//! `GET /gateway/key`: what an inference key may know of itself.

use crate::{Admin, auth::OwnKey, error::Refusal, keys::KeyResponse};
use aione_core::{
    domain::plan::RateLimits,
    ports::{GroupBy, KeyInContext, KeyUse, Page, UsageQuery, UsageSum},
};
use axum::{Json, extract::State};
use chrono::Datelike;
use serde::Serialize;
use utoipa::ToSchema;

/// The calling key, without its secret, and where it stands.
#[derive(Serialize, ToSchema)]
pub(crate) struct OwnKeyResponse {
    #[serde(flatten)]
    key: KeyResponse,
    usage: OwnUsage,
    limits: OwnLimits,
    /// `null`: keys have no budget.
    #[schema(value_type = Option<Object>)]
    budget: (),
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
    let month = month_of(&admin, &found).await?;
    let live = admin.live.key_use(found.key.id);
    Ok(Json(OwnKeyResponse {
        key: KeyResponse::of(&found.key, admin.surroundings.now()),
        usage: OwnUsage::of(live, &month),
        limits: OwnLimits {
            key: LevelLimits::of(&found.key.limits),
            team: LevelLimits::of(&found.team_limits),
            organization: LevelLimits::of(&found.org_limits),
        },
        budget: (),
    }))
}

/// The key's usage this month; zeros where there is none.
async fn month_of(admin: &Admin, found: &KeyInContext) -> Result<UsageSum, Refusal> {
    let key = &found.key;
    let org = crate::auth::find_organization(admin, &key.org.to_string()).await?;
    let today = admin.surroundings.now().date_in(org.time_zone);
    let query = UsageQuery {
        org: key.org,
        zone: org.time_zone,
        start: today.with_day(1).expect("every month has a first day"),
        end: today,
        group_by: vec![GroupBy::Key],
        model: None,
        team: None,
        key: Some(key.id),
        page: Page { offset: 0, limit: 1 },
    };
    Ok(admin.usage.sum_usage(&query).await?.pop().unwrap_or_default())
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
