//! `GET /explain`: why a key and a model go where they go.
//!
//! What decides is what requests go by: [`Offer`], [`standing()`] and the route's prospects. Only
//! the words are ours.

mod words;

use crate::{
    Admin,
    auth::{Operator, Reader},
    error::Refusal,
    own_key::LevelLimits,
    validate::{Fields, checks},
};
use aione_core::{
    config::{
        offer::Offer,
        snapshot::{Model, Policy},
        standing::{Condition, Standing, standing},
    },
    domain::{
        id::KeyId,
        key::{Key, KeyStatus},
    },
    ports::{Organization, Team, Upstreams},
};
use axum::{Json, extract::State, http::Uri};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;
use words::{Candidate, Check};

/// Characters of a model's name.
const MODEL_NAME_MAX: usize = 512;

/// What a request with this key for this model would meet, on the node that answers. Where it comes
/// from, which endpoint it calls, how long it is and what is left of the limits are not looked at.
#[derive(Serialize, ToSchema)]
pub(crate) struct ExplainResponse {
    /// The name that was asked for.
    asked: String,
    /// What it stands for; `null`: nothing that the organization can call.
    #[schema(required = true)]
    model: Option<String>,
    #[schema(value_type = uuid::Uuid)]
    key_id: KeyId,
    is_sandbox: bool,
    /// The code of the plan that the organization is served by.
    #[schema(required = true)]
    plan: Option<String>,
    /// `routed` or `refused`.
    verdict: &'static str,
    /// Why, in words.
    reason: String,
    /// What is looked at, in the order in which a request meets it.
    checks: Vec<Check>,
    limits: LimitsInForce,
    /// `weighted` or `priority`.
    #[schema(required = true)]
    policy: Option<&'static str>,
    /// How many deployments one request asks at most.
    #[schema(required = true)]
    attempts: Option<u32>,
    /// Those of the model's route, as configured.
    deployments: Vec<Candidate>,
}

/// Limits at each level; all of them hold.
#[derive(Serialize, ToSchema)]
struct LimitsInForce {
    key: LevelLimits,
    #[schema(required = true)]
    team: Option<LevelLimits>,
    organization: LevelLimits,
    /// The organization's own bucket for the model.
    #[schema(required = true)]
    plan: Option<LevelLimits>,
}

/// Explain where a request with a key for a model would go, or why it would be refused.
#[utoipa::path(
    get, path = "/explain", tag = "Upstreams", operation_id = "explain",
    params(
        ("model" = String, Query, min_length = 1, max_length = 512, description = "A model's name or alias, as in a request"),
        ("key_id" = uuid::Uuid, Query, description = "A key of the organization"),
    ),
    responses((status = 200, body = ExplainResponse, description = "Also where it would be refused"), Refusal),
)]
pub(crate) async fn show(
    State(admin): State<Admin>,
    Reader(org): Reader,
    operator: Result<Operator, Refusal>,
    uri: Uri,
) -> Result<Json<ExplainResponse>, Refusal> {
    let asked = Asked::take(&uri)?;
    let key = admin.keys.get_key(org.id, asked.key).await?.ok_or(Refusal::NotFound("Key"))?;
    let team = admin.keys.get_team(org.id, key.team).await?;

    let (now, snapshot) = (admin.surroundings.now(), admin.config.snapshot());
    let offer = Offer::of(&snapshot, &org.plan, now);
    // To an organization, what it is not sold looks as if it were not there.
    let model = snapshot
        .sold(&asked.model)
        .filter(|model| operator.is_ok() || offer.is_some_and(|offer| offer.sells(model)));
    let case = Case { asked: asked.model, model, offer, org: &org, team: team.as_ref(), key: &key };
    Ok(Json(case.explain(key.status(now), &*admin.upstreams)))
}

struct Asked {
    model: String,
    key: KeyId,
}

impl Asked {
    fn take(uri: &Uri) -> Result<Self, Refusal> {
        let mut query = Fields::of_query(uri, &[]);
        let model = query.required("model", checks::text(1, MODEL_NAME_MAX));
        let key = query.required("key_id", checks::id);
        query.finish()?;
        let (model, key) = model.zip(key).expect("one that is missing or wrong was refused");
        Ok(Self { model, key })
    }
}

/// All that the explanation is about.
struct Case<'a> {
    asked: String,
    model: Option<&'a Arc<Model>>,
    offer: Option<Offer<'a>>,
    org: &'a Organization,
    team: Option<&'a Team>,
    key: &'a Key,
}

impl Case<'_> {
    fn explain(self, status: KeyStatus, upstreams: &dyn Upstreams) -> ExplainResponse {
        let conditions = self.conditions(upstreams);
        let standings = self.standings(&conditions);
        let checks = self.checks(status, &standings);
        let refused = checks.iter().find(|check| !check.passed);
        let deployments = self.candidates(&conditions, &standings);
        let plan_limits = self.model.zip(self.offer).map(|(model, offer)| offer.plan.limits_for(&model.id));
        ExplainResponse {
            model: self.model.map(|model| model.id.to_string()),
            key_id: self.key.id,
            is_sandbox: self.key.is_sandbox,
            plan: self.offer.map(|offer| offer.plan.code.to_string()),
            verdict: if refused.is_some() { "refused" } else { "routed" },
            reason: refused.map_or_else(|| words::routed(&deployments), |check| check.reason.clone()),
            checks,
            limits: LimitsInForce {
                key: LevelLimits::of(&self.key.limits),
                team: self.team.map(|team| LevelLimits::of(&team.limits)),
                organization: LevelLimits::of(&self.org.limits),
                plan: plan_limits.as_ref().map(LevelLimits::of),
            },
            policy: self.model.map(|model| match model.route.policy {
                Policy::Weighted => "weighted",
                Policy::Priority => "priority",
            }),
            attempts: self.model.map(|model| model.route.attempts),
            deployments,
            asked: self.asked,
        }
    }

    /// How each deployment of the model's route is on this node.
    fn conditions(&self, upstreams: &dyn Upstreams) -> Vec<Condition> {
        let deployments = self.model.iter().flat_map(|model| &model.route.deployments);
        deployments.map(|deployment| upstreams.condition(&deployment.id)).collect()
    }

    /// How each stands toward the key; `conditions` are in the route's order too.
    fn standings(&self, conditions: &[Condition]) -> Vec<Standing> {
        let Some(model) = self.model else { return Vec::new() };
        let deployments = model.route.deployments.iter().zip(conditions);
        deployments
            .map(|(deployment, condition)| standing(model, deployment, self.key.is_sandbox, *condition))
            .collect()
    }

    fn candidates(&self, conditions: &[Condition], standings: &[Standing]) -> Vec<Candidate> {
        let Some(model) = self.model else { return Vec::new() };
        let prospects = model.route.prospects(standings);
        let deployments = model.route.deployments.iter().zip(conditions).zip(prospects);
        deployments
            .map(|((deployment, condition), prospect)| Candidate::of(deployment, *condition, prospect))
            .collect()
    }
}
