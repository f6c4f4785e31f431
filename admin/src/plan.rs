//! `GET /billing/plan`: what an organization has bought.

use crate::{Admin, auth::Reader, error::Refusal, price_map::price_map};
use aione_core::{config::offer::Offer, ports::Organization};
use axum::{Json, extract::State};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// The plan of the organization. The order of the fields is part of the contract.
#[derive(Serialize, ToSchema)]
pub(crate) struct PlanDetailResponse {
    /// Follows from the code: a plan has the same id on every node and after every restart.
    id: uuid::Uuid,
    code: String,
    name: String,
    /// Ids of models, or `*`.
    models: Vec<String>,
    /// Requests in any 60 seconds, by id of the model, or `*` for each that is not named.
    rpm_limits: BTreeMap<String, u64>,
    /// Tokens in any 60 seconds, likewise.
    tpm_limits: BTreeMap<String, u64>,
    /// Of the models that the plan includes, the rates in force now, decimals in the billing
    /// currency: under the model where one rate covers all tokens, else under `<model>:<class>`.
    /// `:image`, `:search`, `:character`, `:second` and `:request` are for one. Where long prompts have rates of their own,
    /// these are those of short ones.
    price_per_1m_tokens: BTreeMap<String, String>,
    /// A decimal amount in the billing currency.
    monthly_fee: String,
    sandbox_included: bool,
    sla_tier: String,
    /// `active`: the organization is served by it.
    status: &'static str,
    /// Since when the organization is served by a plan: its own beginning. Plans themselves are
    /// configuration, and have none.
    #[schema(format = DateTime)]
    created_at: String,
}

/// Show the plan that the organization is served by.
#[utoipa::path(
    get, path = "/billing/plan", tag = "Billing", operation_id = "getPlan",
    responses((status = 200, body = PlanDetailResponse), Refusal),
)]
pub(crate) async fn show(
    State(admin): State<Admin>,
    Reader(org): Reader,
) -> Result<Json<PlanDetailResponse>, Refusal> {
    let (now, snapshot) = (admin.surroundings.now(), admin.config.snapshot());
    let offer = Offer::of(&snapshot, &org.plan, now).ok_or(Refusal::NotFound("Plan"))?;
    Ok(Json(PlanDetailResponse::of(offer, &org)))
}

impl PlanDetailResponse {
    fn of(offer: Offer<'_>, org: &Organization) -> Self {
        let plan = offer.plan;
        Self {
            id: plan.id(),
            code: plan.code.to_string(),
            name: plan.name.clone(),
            models: plan.models.clone(),
            rpm_limits: plan.rpm_limits.clone(),
            tpm_limits: plan.tpm_limits.clone(),
            price_per_1m_tokens: price_map(plan, offer.models().map(|model| &**model), offer.at),
            monthly_fee: plan.monthly_fee.clone(),
            sandbox_included: plan.sandbox_included,
            sla_tier: plan.sla_tier.clone(),
            status: "active",
            created_at: org.created_at.rfc3339(),
        }
    }
}
