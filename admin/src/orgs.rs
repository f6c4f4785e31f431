//! Organizations: made and changed by an operator.

use crate::{
    Admin,
    auth::{self, Operator},
    error::Refusal,
    keys::{DEFAULT_TEAM, take_limit},
    page::PageNumber,
    validate::{Fault, Fields, checks},
    write::Write,
};
use aione_core::{
    config::snapshot::Snapshot,
    domain::{
        budget::{BillingMode, Terms},
        id::{OrgId, TeamId},
        invoice::TaxRate,
        money::Pico,
        plan::RateLimits,
    },
    ports::{Change, Changed, LimitChange, Organization, Row, Team, TenantChange},
};
use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderMap, StatusCode, Uri},
    response::Response,
};
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;
use utoipa::ToSchema;
use uuid::Uuid;

/// What a 404 says it did not find.
const ORG: &str = "Organization";
/// Characters of a name, and of a slug.
const NAME_MAX: usize = 128;
const SLUG_MAX: usize = 63;
/// Characters of a percentage.
const PERCENT_MAX: usize = 16;
/// Organizations on one page at most, and by default.
const ORGS_PAGE_MAX: u64 = 1000;

/// A body of `POST /orgs`.
#[derive(ToSchema)]
#[schema(as = OrgCreateRequest)]
#[expect(dead_code, reason = "it documents the fields, which are taken one by one")]
pub(crate) struct NewOrg {
    #[schema(min_length = 1, max_length = 128)]
    name: String,
    /// Small letters, digits and dashes. It cannot be changed.
    #[schema(min_length = 1, max_length = 63, pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")]
    slug: String,
    /// A plan's code. Absent: the default plan.
    #[schema(min_length = 1, max_length = 128, nullable = false, example = "standard")]
    plan: Option<String>,
    /// A name of the IANA time zone database. Absent: the gateway's.
    #[schema(nullable = false, example = "Asia/Shanghai")]
    time_zone: Option<String>,
    /// `prepaid` or `postpaid`. Absent: `postpaid`.
    #[schema(nullable = false, pattern = "^(prepaid|postpaid)$", example = "postpaid")]
    billing_mode: Option<String>,
    /// How far the balance of a postpaid organization may fall below zero, a decimal amount. `null`: as far as
    /// it will.
    #[schema(pattern = r"^(0|[1-9][0-9]{0,11})(\.[0-9]{1,12})?$", example = "1000.00")]
    credit_limit_rmb: Option<String>,
    /// What may be spent in a month of its own time zone, a decimal amount. `null`: no bound of its own.
    #[schema(pattern = r"^(0|[1-9][0-9]{0,11})(\.[0-9]{1,12})?$", example = "5000.00")]
    monthly_budget_rmb: Option<String>,
    /// Of its invoices, in percent, of at most four decimals.
    #[schema(nullable = false, pattern = r"^((0|[1-9][0-9]?)(\.[0-9]{1,4})?|100)$", example = "6")]
    tax_rate_pct: Option<String>,
    #[schema(minimum = 1)]
    rpm_limit: Option<u64>,
    #[schema(minimum = 1)]
    tpm_limit: Option<u64>,
    #[schema(minimum = 1)]
    rpd_limit: Option<u64>,
    #[schema(minimum = 1)]
    max_concurrency: Option<u64>,
}

/// A body of `PUT /orgs/{org}`. Absent: unchanged; a limit of `null`: none of its own.
#[derive(ToSchema)]
#[schema(as = OrgUpdateRequest)]
#[expect(dead_code, reason = "it documents the fields, which are taken one by one")]
pub(crate) struct OrgUpdate {
    #[schema(min_length = 1, max_length = 128, nullable = false)]
    name: Option<String>,
    #[schema(nullable = false, example = "Asia/Shanghai")]
    time_zone: Option<String>,
    /// `prepaid` or `postpaid`.
    #[schema(nullable = false, pattern = "^(prepaid|postpaid)$", example = "postpaid")]
    billing_mode: Option<String>,
    /// How far the balance of a postpaid organization may fall below zero, a decimal amount. `null`: as far as
    /// it will.
    #[schema(pattern = r"^(0|[1-9][0-9]{0,11})(\.[0-9]{1,12})?$", example = "1000.00")]
    credit_limit_rmb: Option<String>,
    /// What may be spent in a month of its own time zone, a decimal amount. `null`: no bound of its own.
    #[schema(pattern = r"^(0|[1-9][0-9]{0,11})(\.[0-9]{1,12})?$", example = "5000.00")]
    monthly_budget_rmb: Option<String>,
    /// Of its invoices, in percent, of at most four decimals.
    #[schema(nullable = false, pattern = r"^((0|[1-9][0-9]?)(\.[0-9]{1,4})?|100)$", example = "6")]
    tax_rate_pct: Option<String>,
    #[schema(minimum = 1)]
    rpm_limit: Option<u64>,
    #[schema(minimum = 1)]
    tpm_limit: Option<u64>,
    #[schema(minimum = 1)]
    rpd_limit: Option<u64>,
    #[schema(minimum = 1)]
    max_concurrency: Option<u64>,
}

/// A body of `PUT /orgs/{org}/plan`.
#[derive(ToSchema)]
#[schema(as = PlanChangeRequest)]
#[expect(dead_code, reason = "it documents the fields, which are taken one by one")]
pub(crate) struct PlanChange {
    /// A plan of the configuration.
    #[schema(min_length = 1, max_length = 128, example = "standard")]
    code: String,
    /// From when on it holds, in the future. Absent: at once, and in the place of one that was to come.
    #[schema(nullable = false, format = DateTime, example = "2099-01-01T00:00:00Z")]
    effective_at: Option<String>,
}

/// An organization.
#[derive(Serialize, ToSchema)]
pub(crate) struct OrgResponse {
    #[schema(value_type = Uuid)]
    id: OrgId,
    slug: String,
    name: String,
    #[schema(value_type = String)]
    plan: Arc<str>,
    /// `prepaid` or `postpaid`.
    billing_mode: &'static str,
    time_zone: &'static str,
    /// `active`.
    status: &'static str,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(required = true)]
    rpm_limit: Option<u64>,
    #[schema(required = true)]
    tpm_limit: Option<u64>,
    #[schema(required = true)]
    rpd_limit: Option<u64>,
    #[schema(required = true)]
    max_concurrency: Option<u64>,
    #[schema(required = true)]
    credit_limit_rmb: Option<String>,
    #[schema(required = true)]
    monthly_budget_rmb: Option<String>,
    /// Of its invoices.
    tax_rate_pct: String,
    /// The plan that it will be on; `null`: none other.
    #[schema(required = true, value_type = Option<String>)]
    next_plan: Option<Arc<str>>,
    /// From when on.
    #[schema(required = true, format = DateTime)]
    next_plan_at: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct OrgList {
    items: Vec<OrgResponse>,
}

/// List the organizations, the oldest first.
#[utoipa::path(
    get, path = "/orgs", tag = "Organizations", operation_id = "listOrgs",
    params(
        ("page" = Option<u64>, Query, minimum = 1, maximum = 1_000_000, description = "From 1"),
        ("page_size" = Option<u64>, Query, minimum = 1, maximum = 1_000, description = "1 to 1000, which is the default"),
    ),
    responses((status = 200, body = OrgList, description = "`x-next-page` where more follow"), Refusal),
)]
pub(crate) async fn list(
    State(admin): State<Admin>,
    _: Operator,
    uri: Uri,
) -> Result<(HeaderMap, Json<OrgList>), Refusal> {
    let mut query = Fields::of_query(&uri, &[]);
    let page = PageNumber::take(&mut query, ORGS_PAGE_MAX);
    query.finish_ignoring_others()?;
    let mut orgs = admin.keys.list_orgs(page.rows()).await?;
    let headers = page.cut(&mut orgs);
    Ok((headers, Json(OrgList { items: orgs.iter().map(OrgResponse::of).collect() })))
}

/// Make an organization, with the team `default`.
#[utoipa::path(
    post, path = "/orgs", tag = "Organizations", operation_id = "createOrg", request_body = NewOrg,
    responses((status = 201, body = OrgResponse), Refusal),
)]
pub(crate) async fn create(
    State(admin): State<Admin>,
    _: Operator,
    write: Write,
) -> Result<Response, Refusal> {
    let (now, snapshot) = (admin.surroundings.now(), admin.config.snapshot());
    let mut fields = write.fields()?;
    let name = fields.required("name", checks::text(1, NAME_MAX));
    let slug = fields.required("slug", slug);
    let plan = fields.given("plan", |value| plan(&snapshot, value));
    let time_zone = fields.given("time_zone", checks::time_zone);
    let billing_mode = take_mode(&mut fields);
    let credit_limit = take_amount(&mut fields, "credit_limit_rmb").flatten();
    let monthly_budget = take_amount(&mut fields, "monthly_budget_rmb").flatten();
    let tax_rate = fields.given("tax_rate_pct", tax_rate);
    let limits = take_limits(&mut fields);
    fields.finish()?;

    let mut entropy = [[0; 10]; 2];
    admin.surroundings.entropy(entropy.as_flattened_mut());
    let org = Organization {
        id: OrgId::new(now, entropy[0]),
        slug: slug.expect("its absence is a problem"),
        name: name.expect("its absence is a problem"),
        plan: plan.unwrap_or_else(|| snapshot.default_plan.clone()),
        next_plan: None,
        limits: limits.applied_to(RateLimits::default()),
        terms: Terms { mode: billing_mode.unwrap_or_default(), credit_limit, monthly_budget },
        tax_rate: tax_rate.unwrap_or_default(),
        time_zone: time_zone.unwrap_or(snapshot.billing.time_zone),
        created_at: now,
    };
    let id = org.id;
    let team = Team {
        id: TeamId::new(now, entropy[1]),
        org: id,
        name: DEFAULT_TEAM.to_owned(),
        limits: RateLimits::default(),
        monthly_budget: None,
        created_at: now,
    };
    let change = Change::InsertOrg { org: Box::new(org), team };
    let made = write.make(&admin, id, "organization.create", change, StatusCode::CREATED, answer).await;
    let made = made.map_err(|refusal| refusal.or_conflict("The slug is another organization's"))?;
    made.ok_or(Refusal::NotFound(ORG))
}

/// Show an organization.
#[utoipa::path(
    get, path = "/orgs/{org}", tag = "Organizations", operation_id = "getOrg",
    params(("org" = String, Path, description = "Id or slug")),
    responses((status = 200, body = OrgResponse), Refusal),
)]
pub(crate) async fn get(
    State(admin): State<Admin>,
    _: Operator,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<OrgResponse>, Refusal> {
    Ok(Json(OrgResponse::of(&in_path(&admin, path).await?)))
}

/// Change an organization. Absent: unchanged; a limit of `null`: none of its own.
#[utoipa::path(
    put, path = "/orgs/{org}", tag = "Organizations", operation_id = "updateOrg", request_body = OrgUpdate,
    params(("org" = String, Path, description = "Id or slug")),
    responses((status = 200, body = OrgResponse), Refusal),
)]
pub(crate) async fn update(
    State(admin): State<Admin>,
    _: Operator,
    path: Result<Path<String>, PathRejection>,
    write: Write,
) -> Result<Response, Refusal> {
    let org = in_path(&admin, path).await?;
    let mut fields = write.fields()?;
    let change = TenantChange {
        name: fields.given("name", checks::text(1, NAME_MAX)),
        plan: None,
        plan_at: None,
        time_zone: fields.given("time_zone", checks::time_zone),
        limits: take_limits(&mut fields),
        tax_rate: fields.given("tax_rate_pct", tax_rate),
        billing_mode: take_mode(&mut fields),
        credit_limit: take_amount(&mut fields, "credit_limit_rmb"),
        monthly_budget: take_amount(&mut fields, "monthly_budget_rmb"),
    };
    fields.finish()?;
    let change = Change::UpdateOrg { id: org.id, at: admin.surroundings.now(), change };
    let changed = write.make(&admin, org.id, "organization.update", change, StatusCode::OK, answer).await?;
    changed.ok_or(Refusal::NotFound(ORG))
}

/// Put an organization on another plan, at once or from some time on.
#[utoipa::path(
    put, path = "/orgs/{org}/plan", tag = "Organizations", operation_id = "setPlan", request_body = PlanChange,
    params(("org" = String, Path, description = "Id or slug")),
    responses((status = 200, body = OrgResponse), Refusal),
)]
pub(crate) async fn set_plan(
    State(admin): State<Admin>,
    _: Operator,
    path: Result<Path<String>, PathRejection>,
    write: Write,
) -> Result<Response, Refusal> {
    let org = in_path(&admin, path).await?;
    let (now, snapshot) = (admin.surroundings.now(), admin.config.snapshot());
    let mut fields = write.fields()?;
    let plan = fields.required("code", |value| plan(&snapshot, value));
    let plan_at = fields.given("effective_at", checks::time_after(now));
    fields.finish()?;
    let change = TenantChange { plan, plan_at, ..TenantChange::default() };
    let change = Change::UpdateOrg { id: org.id, at: admin.surroundings.now(), change };
    let changed = write.make(&admin, org.id, "organization.plan", change, StatusCode::OK, answer).await?;
    changed.ok_or(Refusal::NotFound(ORG))
}

/// The organization of a path.
pub(crate) async fn in_path(
    admin: &Admin,
    path: Result<Path<String>, PathRejection>,
) -> Result<Organization, Refusal> {
    let Path(org) = path.map_err(|_| Refusal::NoSuchPath)?;
    auth::find_organization(admin, &org).await
}

/// The four limits. `null`: none of its own.
pub(crate) fn take_limits(fields: &mut Fields) -> LimitChange {
    LimitChange {
        rpm: take_limit(fields, "rpm_limit"),
        tpm: take_limit(fields, "tpm_limit"),
        rpd: take_limit(fields, "rpd_limit"),
        concurrency: take_limit(fields, "max_concurrency"),
    }
}

/// An amount that bounds something. `null`: it does not.
pub(crate) fn take_amount(fields: &mut Fields, name: &str) -> Option<Option<Pico>> {
    fields.nullable(name, checks::budget)
}

fn tax_rate(value: &Value) -> Result<TaxRate, Fault> {
    let text = checks::text(1, PERCENT_MAX)(value)?;
    TaxRate::from_percent(&text).map_err(|error| {
        let msg = format!("Input should be a percentage from 0 to 100 of at most four decimals, {error}");
        Fault::new("decimal_parsing", msg).with("error", error.to_string())
    })
}

fn take_mode(fields: &mut Fields) -> Option<BillingMode> {
    let modes = BillingMode::ALL.map(|mode| (mode.as_str(), mode));
    fields.given("billing_mode", checks::one_of(&modes))
}

fn answer(changed: &Changed) -> Option<OrgResponse> {
    match changed.row() {
        Row::Organization(org) => Some(OrgResponse::of(org)),
        _ => None,
    }
}

/// What can stand in a path and cannot be taken for an id.
fn slug(value: &Value) -> Result<String, Fault> {
    let slug = checks::text(1, SLUG_MAX)(value)?;
    let is_plain = slug.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    if !is_plain || slug.starts_with('-') || slug.ends_with('-') || Uuid::parse_str(&slug).is_ok() {
        return Err(Fault::value("small letters, digits and dashes between them, and no id"));
    }
    Ok(slug)
}

fn plan(snapshot: &Snapshot, value: &Value) -> Result<Arc<str>, Fault> {
    let code = checks::text(1, NAME_MAX)(value)?;
    let plan = snapshot.plans.get(code.as_str());
    plan.map(|plan| plan.code.clone()).ok_or_else(|| Fault::value(format!("Plan '{code}' not found")))
}

impl OrgResponse {
    pub(crate) fn of(org: &Organization) -> Self {
        Self {
            id: org.id,
            slug: org.slug.clone(),
            name: org.name.clone(),
            plan: org.plan.clone(),
            billing_mode: org.terms.mode.as_str(),
            time_zone: org.time_zone.name(),
            status: "active",
            created_at: org.created_at.rfc3339(),
            rpm_limit: org.limits.rpm,
            tpm_limit: org.limits.tpm,
            rpd_limit: org.limits.rpd,
            max_concurrency: org.limits.concurrency,
            credit_limit_rmb: org.terms.credit_limit.map(Pico::to_decimal),
            monthly_budget_rmb: org.terms.monthly_budget.map(Pico::to_decimal),
            tax_rate_pct: org.tax_rate.to_percent(),
            next_plan: org.next_plan.as_ref().map(|next| next.plan.clone()),
            next_plan_at: org.next_plan.as_ref().map(|next| next.at.rfc3339()),
        }
    }
}
