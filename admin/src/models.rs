//! `GET /gateway/models`: what an organization can call, and at what price.

use crate::{Admin, auth::Reader, error::Refusal, price_map::price_map};
use aione_core::{
    config::{
        offer::Offer,
        snapshot::Model,
        standing::{Out, Standing, standing},
    },
    ports::Upstreams,
};
use axum::{Json, extract::State};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
pub(crate) struct ModelListResponse {
    items: Vec<ModelInfo>,
}

/// A model that the organization's plan includes. The order of the fields is part of the contract.
#[derive(Serialize, ToSchema)]
struct ModelInfo {
    id: String,
    display_name: String,
    /// Of the first deployment; `owned_by` in `GET /v1/models`.
    provider: String,
    /// Tokens of prompt and answer together. `null`: the upstream decides.
    #[schema(required = true)]
    context_window: Option<u64>,
    /// Tokens of an answer. `null`: the upstream decides.
    #[schema(required = true)]
    max_output_tokens: Option<u64>,
    /// Empty: not stated, and not checked.
    capabilities: Vec<String>,
    /// The rates in force now, decimals in the billing currency: under the model where one rate
    /// covers all tokens, else under `<model>:<class>`. `:image`, `:search`, `:character`, `:second` and `:request` are for
    /// one. Where long prompts have rates of their own, these are those of short ones.
    price_per_1m_tokens: BTreeMap<String, String>,
    /// On the node that answers: `available`, `resting` (each deployment rests after failures, and
    /// is tried again by itself) or `drained` (an operator took out those that do not rest).
    status: &'static str,
    aliases: Vec<String>,
}

/// List the models that the organization's plan includes.
#[utoipa::path(
    get, path = "/gateway/models", tag = "Models", operation_id = "listModels",
    responses((status = 200, body = ModelListResponse, description = "By id"), Refusal),
)]
pub(crate) async fn list(State(admin): State<Admin>, Reader(org): Reader) -> Json<ModelListResponse> {
    let (now, snapshot) = (admin.surroundings.now(), admin.config.snapshot());
    let offer = Offer::of(&snapshot, &org.plan, now);
    let items = offer.into_iter().flat_map(|offer| {
        let upstreams = &*admin.upstreams;
        offer.models().map(move |model| ModelInfo::of(model, offer, upstreams))
    });
    Json(ModelListResponse { items: items.collect() })
}

impl ModelInfo {
    fn of(model: &Model, offer: Offer<'_>, upstreams: &dyn Upstreams) -> Self {
        Self {
            id: model.id.to_string(),
            display_name: model.display_name.clone(),
            provider: model.owner().to_owned(),
            context_window: model.context_window,
            max_output_tokens: model.max_output_tokens,
            capabilities: model.capabilities.clone().unwrap_or_default(),
            price_per_1m_tokens: price_map(offer.plan, [model], offer.at),
            status: status(model, upstreams),
            aliases: model.aliases.iter().map(ToString::to_string).collect(),
        }
    }
}

fn status(model: &Model, upstreams: &dyn Upstreams) -> &'static str {
    let deployments = model.route.deployments.iter();
    let standings: Vec<Standing> = deployments
        .map(|deployment| standing(model, deployment, false, upstreams.condition(&deployment.id)))
        .collect();
    if standings.iter().any(Result::is_ok) {
        return "available";
    }
    if standings.contains(&Err(Out::Drained)) { "drained" } else { "resting" }
}
