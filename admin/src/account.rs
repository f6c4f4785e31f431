//! `GET /billing/account` and `GET /billing/invoices`: what an organization owes, as it stands. None has an
//! invoice yet.

use crate::{Admin, auth::Reader, error::Refusal, page::PageNumber, validate::Fields};
use aione_core::{
    domain::{budget::Owner, clock::Timestamp, id::OrgId, ledger::Account, money::Pico},
    ports::{Organization, Page, UsageQuery},
};
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, Uri},
};
use chrono::Datelike;
use serde::Serialize;
use utoipa::ToSchema;

/// Invoices on one page, at most and by default.
const INVOICES_PAGE_MAX: u64 = 100;
const INVOICES_PAGE_DEFAULT: u64 = 20;
/// Of all pages together.
const TOTAL_COUNT: &str = "x-total-count";

/// An organization's account. It has one, of the same id.
#[derive(Serialize, ToSchema)]
pub(crate) struct BillingAccountResponse {
    #[schema(value_type = uuid::Uuid)]
    id: OrgId,
    #[schema(value_type = uuid::Uuid)]
    org_id: OrgId,
    /// `prepaid` or `postpaid`.
    mode: &'static str,
    currency: String,
    /// What was paid less what was used; below zero: what is owed. A decimal amount, like every other
    /// here.
    balance_rmb: String,
    /// `null`: none was set.
    #[schema(required = true)]
    credit_limit_rmb: Option<String>,
    /// `null`: none was set.
    #[schema(required = true)]
    monthly_budget_rmb: Option<String>,
    /// Of the present month in the organization's zone.
    month_to_date_cost_rmb: String,
    /// Of the balance, for requests in flight on this node; zero where the balance bounds nothing.
    reserved_rmb: String,
    /// `active`.
    status: &'static str,
    #[schema(format = DateTime)]
    created_at: String,
}

/// An invoice in a list.
#[derive(Serialize, ToSchema)]
pub(crate) struct InvoiceListResponse {
    id: uuid::Uuid,
    #[schema(value_type = uuid::Uuid)]
    org_id: OrgId,
    number: String,
    #[schema(format = Date)]
    period_start: String,
    #[schema(format = Date)]
    period_end: String,
    currency: String,
    subtotal_rmb: String,
    tax_rmb: String,
    amount_rmb: String,
    /// `draft`, `issued`, `paid` or `void`.
    status: String,
    #[schema(required = true, format = DateTime)]
    issued_at: Option<String>,
    #[schema(required = true, format = DateTime)]
    due_at: Option<String>,
    #[schema(required = true, format = DateTime)]
    paid_at: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
}

/// Show the organization's account.
#[utoipa::path(
    get, path = "/billing/account", tag = "Billing", operation_id = "getAccount",
    responses((status = 200, body = BillingAccountResponse), Refusal),
)]
pub(crate) async fn show(
    State(admin): State<Admin>,
    Reader(org): Reader,
) -> Result<Json<BillingAccountResponse>, Refusal> {
    let (now, snapshot) = (admin.surroundings.now(), admin.config.snapshot());
    let cost = month_so_far(&admin, &org, now).await?;
    let balance = admin.ledger.totals(org.id).await?.balance(Account::Customer);
    Ok(Json(BillingAccountResponse {
        id: org.id,
        org_id: org.id,
        mode: org.terms.mode.as_str(),
        currency: snapshot.billing.currency.clone(),
        balance_rmb: balance.to_decimal(),
        credit_limit_rmb: org.terms.credit_limit.map(Pico::to_decimal),
        monthly_budget_rmb: org.terms.monthly_budget.map(Pico::to_decimal),
        month_to_date_cost_rmb: cost.to_decimal(),
        reserved_rmb: admin.spending.reserved(Owner::Account(org.id)).to_decimal(),
        status: "active",
        created_at: org.created_at.rfc3339(),
    }))
}

/// List the organization's invoices, the newest first.
#[utoipa::path(
    get, path = "/billing/invoices", tag = "Billing", operation_id = "listInvoices",
    params(
        ("page" = Option<u64>, Query, minimum = 1, maximum = 1_000_000, description = "From 1"),
        ("page_size" = Option<u64>, Query, minimum = 1, maximum = 100, description = "1 to 100, 20 by default"),
    ),
    responses((status = 200, body = Vec<InvoiceListResponse>, description = "`x-total-count` of all pages"), Refusal),
)]
pub(crate) async fn invoices(
    Reader(_): Reader,
    uri: Uri,
) -> Result<(HeaderMap, Json<Vec<InvoiceListResponse>>), Refusal> {
    let mut query = Fields::of_query(&uri, &[]);
    let page = PageNumber::take_or(&mut query, INVOICES_PAGE_MAX, INVOICES_PAGE_DEFAULT);
    query.finish_ignoring_others()?;
    let mut invoices = Vec::new();
    let mut headers = page.cut(&mut invoices);
    headers.insert(TOTAL_COUNT, invoices.len().into());
    Ok((headers, Json(invoices)))
}

/// What the present month has cost, in the organization's zone.
pub(crate) async fn month_so_far(admin: &Admin, org: &Organization, now: Timestamp) -> Result<Pico, Refusal> {
    let today = now.date_in(org.time_zone);
    let query = UsageQuery {
        org: org.id,
        zone: org.time_zone,
        start: today.with_day(1).expect("every month has a first day"),
        end: today,
        group_by: Vec::new(),
        model: None,
        team: None,
        key: None,
        page: Page { offset: 0, limit: 1 },
    };
    Ok(admin.usage.sum_usage(&query).await?.into_iter().map(|sum| sum.cost).sum())
}
