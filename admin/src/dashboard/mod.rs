//! `GET /obs/dashboard`: the last days at a glance, for those who run it and for those who pay.

mod business;
mod tech;
mod trend;

use crate::{
    Admin,
    account::month_so_far,
    auth::{Reader, ReaderRole},
    error::Refusal,
    validate::{Fields, checks},
};
use aione_core::{
    domain::{
        clock::Timestamp,
        credential::Role,
        money::Pico,
        percent::Percent,
        standing::{self, Capacity, RECENT_MS, Service},
    },
    ports::{Organization, Overview, OverviewQuery},
};
use axum::{Extension, Json, extract::State, http::Uri};
use business::BusinessDashboardData;
use chrono::{Days, NaiveDate};
use serde::Serialize;
use tech::TechDashboardData;
use utoipa::ToSchema;

const RANGE_DAYS_MAX: u64 = 90;
const RANGE_DAYS_DEFAULT: u64 = 7;

/// Who looks.
#[derive(Clone, Copy)]
enum View {
    Tech,
    Business,
}

const VIEWS: [(&str, View); 2] = [("tech", View::Tech), ("business", View::Business)];

/// One of the two, by `view_mode`; the other is `null`.
#[derive(Serialize, ToSchema)]
pub(crate) struct DashboardResponse {
    /// `tech` or `business`.
    view_mode: &'static str,
    #[schema(required = true)]
    tech: Option<TechDashboardData>,
    #[schema(required = true)]
    business: Option<BusinessDashboardData>,
}

/// Show the last days at a glance.
#[utoipa::path(
    get, path = "/obs/dashboard", tag = "Usage", operation_id = "getDashboard",
    params(
        ("range_days" = Option<u64>, Query, minimum = 1, maximum = 90, description = "1 to 90 days of the organization's time zone, the last of them today; default 7"),
        ("view" = Option<String>, Query, pattern = "^(tech|business)$", description = "`tech` or `business`; default: `business` for a token of the role `finance`, `tech` for all others"),
    ),
    responses((status = 200, body = DashboardResponse), Refusal),
)]
pub(crate) async fn show(
    State(admin): State<Admin>,
    Reader(org): Reader,
    Extension(ReaderRole(role)): Extension<ReaderRole>,
    uri: Uri,
) -> Result<Json<DashboardResponse>, Refusal> {
    let mut fields = Fields::of_query(&uri, &[]);
    let days = fields.given("range_days", checks::digits(1, RANGE_DAYS_MAX)).unwrap_or(RANGE_DAYS_DEFAULT);
    let view = fields.given("view", checks::one_of(&VIEWS));
    fields.finish()?;
    let view = view.unwrap_or_else(|| view_of(role));
    let glance = Glance::take(&admin, &org, days).await?;
    Ok(Json(match view {
        View::Tech => DashboardResponse {
            view_mode: "tech",
            tech: Some(TechDashboardData::of(&glance)),
            business: None,
        },
        View::Business => DashboardResponse {
            view_mode: "business",
            tech: None,
            business: Some(BusinessDashboardData::of(&glance)),
        },
    }))
}

/// Finance looks at what it costs. All others, and operators, look at how it runs.
fn view_of(role: Option<Role>) -> View {
    match role {
        Some(Role::Finance) => View::Business,
        Some(Role::Owner | Role::Admin | Role::Viewer) | None => View::Tech,
    }
}

/// What both views are made of.
struct Glance {
    overview: Overview,
    /// Inclusive.
    first: NaiveDate,
    /// Inclusive.
    last: NaiveDate,
    rpm_usage: Percent,
    /// Of the present month's budget.
    budget_progress: Percent,
    capacity: Capacity,
    service: Service,
}

impl Glance {
    async fn take(admin: &Admin, org: &Organization, days: u64) -> Result<Self, Refusal> {
        let now = admin.surroundings.now();
        let last = now.date_in(org.time_zone);
        let first = last.checked_sub_days(Days::new(days - 1)).unwrap_or(last);
        let query = OverviewQuery {
            org: org.id,
            zone: org.time_zone,
            start: first,
            end: last,
            recent_since: now.plus_ms(-RECENT_MS),
        };
        let overview = admin.usage.overview(&query).await?;
        let snapshot = admin.config.snapshot();
        let plan = snapshot.plan_or_default(&org.plan).map(AsRef::as_ref);
        let budget_progress = match org.terms.monthly_budget {
            // Nothing may be spent: all of it is.
            Some(Pico::ZERO) => Percent::whole(100),
            Some(budget) => Percent::of_amounts(month_so_far(admin, org, now).await?, budget),
            None => Percent::ZERO,
        };
        let glance = Self::judge(overview, (first, last), now, |recent| {
            standing::rpm_usage(recent, &org.limits, plan)
        });
        Ok(Self { budget_progress, ..glance })
    }

    fn judge(
        overview: Overview,
        (first, last): (NaiveDate, NaiveDate),
        now: Timestamp,
        rpm_usage: impl FnOnce(&[standing::Recent]) -> Percent,
    ) -> Self {
        let rpm_usage = rpm_usage(&overview.recent);
        let capacity = standing::capacity(rpm_usage);
        let service = standing::service(&overview.recent, now);
        Self { overview, first, last, rpm_usage, budget_progress: Percent::ZERO, capacity, service }
    }
}
