//! `GET /obs/margins`: what is left of the revenue, attempt by attempt. For operators: an organization
//! never sees what it costs them.

use crate::{
    Admin,
    auth::{self, Operator},
    error::Refusal,
    page::PageNumber,
    usage::{Group, take_dates},
    validate::{Fields, checks},
};
use aione_core::ports::{MarginGroup, MarginQuery, MarginSum};
use axum::{
    Json,
    extract::State,
    http::Uri,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

/// Rows on one page at most, and by default.
const MARGINS_PAGE_MAX: u64 = 10_000;
/// Characters of a filter.
const FILTER_MAX: usize = 128;
/// Names in `group_by` and in a row.
const GROUPS: [(&str, MarginGroup); 5] = [
    ("day", MarginGroup::Day),
    ("org", MarginGroup::Org),
    ("model", MarginGroup::Model),
    ("provider", MarginGroup::Provider),
    ("deployment", MarginGroup::Deployment),
];

/// What one group came to. Amounts are decimals in the billing currency, not rounded.
#[derive(Serialize, ToSchema)]
pub(crate) struct MarginRow {
    /// Each field that was asked for, in that order: a date, an organization's id, a model's or
    /// provider's name, or a deployment as `provider/model`.
    #[serde(flatten)]
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    group: Group,
    /// Tries at a deployment, also those that failed.
    attempts: u64,
    failed_attempts: u64,
    /// Attempts whose cost is not known: the deployment states none for what was used,
    /// or the answer was not heard to its end.
    attempts_without_cost: u64,
    /// Answers that have no price yet, and so are in no revenue.
    unpriced_requests: u64,
    /// What organizations were charged for answers whose cost is known.
    revenue_rmb: String,
    /// What the attempts cost whose cost is known.
    cost_rmb: String,
    /// The one without the other.
    margin_rmb: String,
    /// What organizations were charged for answers whose cost is not known.
    revenue_without_cost_rmb: String,
}

/// Sum what deployments cost and brought.
#[utoipa::path(
    get, path = "/obs/margins", tag = "Usage", operation_id = "listMargins",
    params(
        ("start_date" = Option<chrono::NaiveDate>, Query, description = "`YYYY-MM-DD` in the gateway's time zone, inclusive; default: the first of the month"),
        ("end_date" = Option<chrono::NaiveDate>, Query, description = "`YYYY-MM-DD`, inclusive; default: today"),
        ("group_by" = Option<String>, Query, pattern = "^(day|org|model|provider|deployment)(,(day|org|model|provider|deployment))*$", description = "Any of `day`, `org`, `model`, `provider`, `deployment`, with commas; default `day`"),
        ("org" = Option<String>, Query, min_length = 1, max_length = 128, description = "Only this organization's, by id or slug"),
        ("page" = Option<u64>, Query, minimum = 1, maximum = 1_000_000, description = "From 1"),
        ("page_size" = Option<u64>, Query, minimum = 1, maximum = 10_000, description = "1 to 10000, which is the default"),
    ),
    responses(
        (status = 200, body = [MarginRow], description = "The grouping fields asked for, then the numbers; `x-next-page` where more follow"),
        Refusal,
    ),
)]
pub(crate) async fn list(State(admin): State<Admin>, _: Operator, uri: Uri) -> Result<Response, Refusal> {
    let zone = admin.config.snapshot().billing.time_zone;
    let mut fields = Fields::of_query(&uri, &["group_by"]);
    let (start, end) = take_dates(&mut fields, admin.surroundings.now().date_in(zone));
    let page = PageNumber::take(&mut fields, MARGINS_PAGE_MAX);
    let group_by =
        fields.given("group_by", checks::some_of(&GROUPS)).unwrap_or_else(|| vec![MarginGroup::Day]);
    let org = fields.given("org", checks::text(1, FILTER_MAX));
    fields.finish()?;
    let org = match org {
        Some(org) => Some(auth::find_organization(&admin, &org).await?.id),
        None => None,
    };
    let query = MarginQuery { org, zone, start, end, group_by, page: page.rows() };
    let mut sums = admin.margins.sum_margins(&query).await?;
    let headers = page.cut(&mut sums);
    let rows: Vec<_> = sums.into_iter().map(|sum| MarginRow::of(&query.group_by, sum)).collect();
    Ok((headers, Json(rows)).into_response())
}

impl MarginRow {
    fn of(asked: &[MarginGroup], sum: MarginSum) -> Self {
        let MarginSum { group, margin } = sum;
        Self {
            group: Group(asked.iter().copied().map(name).zip(group).collect()),
            attempts: margin.attempts,
            failed_attempts: margin.failed,
            attempts_without_cost: margin.uncosted,
            unpriced_requests: margin.unpriced,
            revenue_rmb: margin.revenue.to_decimal(),
            cost_rmb: margin.cost.to_decimal(),
            margin_rmb: margin.left().to_decimal(),
            revenue_without_cost_rmb: margin.uncosted_revenue.to_decimal(),
        }
    }
}

fn name(group: MarginGroup) -> &'static str {
    GROUPS.into_iter().find(|(_, each)| *each == group).map_or("", |(name, _)| name)
}
