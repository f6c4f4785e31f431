//! `GET /billing/account`: what an organization owes, as it stands.

use crate::{Admin, auth::Reader, error::Refusal};
use aione_core::{
    domain::{budget::Owner, clock::Timestamp, id::OrgId, ledger::Account, money::Pico},
    ports::{Organization, Page, UsageQuery},
};
use axum::{Json, extract::State};
use chrono::Datelike;
use serde::Serialize;
use utoipa::ToSchema;

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
