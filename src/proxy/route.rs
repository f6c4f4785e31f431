//! Phase 4: where it could go. The resolved model, whether this caller may have it, and its
//! deployments in the order in which they are tried.

use super::{
    ask::Ask, authenticate::Caller, endpoint::Endpoint, refusal::Refusal, trace::Trace, world::World,
};
use aione_core::{
    config::{
        offer::{Offer, Question},
        snapshot::{Deployment, Model, Policy},
        standing::{Out, Turn, standing},
    },
    domain::{estimate, plan::Plan},
    wire::Dialect,
};
use rand::RngExt;
use std::sync::Arc;

/// A model with the deployments that may answer now, best first.
pub(crate) struct Route {
    pub(crate) model: Arc<Model>,
    pub(crate) plan: Arc<Plan>,
    /// Empty at most where tokens are only counted; those that rest or are drained are left out.
    pub(crate) candidates: Vec<Arc<Deployment>>,
    /// Most output tokens that the answer may have.
    pub(crate) ceiling: u64,
    /// Most images that are sold by the piece.
    pub(crate) images: u64,
}

impl Route {
    /// Whether a deployment may be asked in another dialect than the caller's, or with another body.
    pub(crate) fn may_translate(&self, endpoint: Endpoint) -> bool {
        let own = Some(endpoint.dialect().into());
        let is_other =
            |it: &Arc<Deployment>| endpoint.tongue_for(it) != own || it.provider.account.rewrites_bodies();
        self.candidates.iter().any(is_other)
    }
}

pub(crate) fn resolve(world: &World, caller: &Caller, ask: &Ask, trace: &Trace) -> Result<Route, Refusal> {
    let snapshot = &world.snapshot;
    let asked = &*ask.peek.model;
    let not_found = || Refusal::ModelNotFound { model: asked.to_owned() };
    let offer =
        Offer::of(snapshot, caller.plan_at(trace.started_at), trace.started_at).ok_or_else(not_found)?;
    let model = match &ask.passed {
        // It names none, and is sold as what it is.
        Some(passed) if !passed.names_model => &passed.passage.model,
        _ => snapshot.model(asked).ok_or_else(not_found)?,
    };
    if let Some(objection) = offer.objection(&caller.key, model) {
        return Err(match objection {
            Question::Plan | Question::Price => not_found(),
            Question::ModelsAllowed => Refusal::ModelNotAllowed { model: asked.to_owned() },
            Question::Sandbox => Refusal::SandboxOnly { model: asked.to_owned() },
        });
    }
    if !serves(model, ask.endpoint()) {
        let message = format!("Model '{asked}' does not serve this endpoint");
        return Err(Refusal::invalid(message, Some("model")));
    }
    if ask.endpoint() == Endpoint::ChatCompletions && ask.peek.stream && draws(model) {
        let message = format!("Model '{asked}' makes images, which come at once: `stream` must be false");
        return Err(Refusal::invalid(message, Some("stream")));
    }
    let ceiling = ceiling(ask, model, snapshot.limits.default_ceiling);
    if !ask.endpoint().counts() {
        check_window(ask, model, ceiling)?;
    }
    Ok(Route {
        model: model.clone(),
        plan: offer.plan.clone(),
        candidates: candidates(world, caller, model, ask)?,
        ceiling,
        images: images(ask, model),
    })
}

/// Whether the model's stated capabilities include the endpoint's; unstated ones are not checked.
fn serves(model: &Model, endpoint: Endpoint) -> bool {
    let Some(needed) = endpoint.capability() else { return true };
    model.capabilities.as_ref().is_none_or(|stated| stated.iter().any(|it| it == needed))
}

/// Whether the model makes images that chat's stream has no place for: it says so itself, and no upstream of it
/// speaks chat.
fn draws(model: &Model) -> bool {
    let speaks_chat = |it: &Arc<Deployment>| it.provider.dialects.contains(&Dialect::OpenAiChat);
    says_that_it_draws(model) && !model.route.deployments.iter().any(speaks_chat)
}

fn says_that_it_draws(model: &Model) -> bool {
    model.capabilities.as_ref().is_some_and(|stated| stated.iter().any(|it| it == "image_output"))
}

/// What admission counts with. A ceiling that the caller names goes for each choice; one over
/// the model's own maximum is the upstream's to refuse, in its own words.
fn ceiling(ask: &Ask, model: &Model, default_ceiling: u64) -> u64 {
    if !ask.endpoint().generates() {
        return 0;
    }
    let each = ask.peek.ceiling.or(model.max_output_tokens).unwrap_or(default_ceiling);
    each.saturating_mul(ask.peek.choices)
}

/// How many images admission counts with: as many as are asked for, and of a conversation with a model that says
/// that it makes some, one for each answer.
fn images(ask: &Ask, model: &Model) -> u64 {
    let is_of_images = ask.endpoint() == Endpoint::ImagesGenerations;
    let may_come = is_of_images || (ask.endpoint().generates() && says_that_it_draws(model));
    if may_come { ask.peek.choices } else { 0 }
}

fn check_window(ask: &Ask, model: &Model, ceiling: u64) -> Result<(), Refusal> {
    let Some(maximum) = model.context_window else { return Ok(()) };
    // What is sure not to fit is refused; where it is close, the upstream decides.
    let named = ask.peek.ceiling.map_or(0, |_| ceiling / ask.peek.choices.max(1));
    let asked = estimate::input_tokens_least(ask.peek.text_bytes).saturating_add(named);
    if asked > maximum { Err(Refusal::ContextLengthExceeded { maximum, asked }) } else { Ok(()) }
}

fn candidates(
    world: &World,
    caller: &Caller,
    model: &Model,
    ask: &Ask,
) -> Result<Vec<Arc<Deployment>>, Refusal> {
    let mut soonest: Option<u64> = None;
    let mut is_served = false;
    let mut ready: Vec<Arc<Deployment>> = Vec::with_capacity(model.route.deployments.len());
    for deployment in &model.route.deployments {
        let is_elsewhere = ask.origin.as_ref().is_some_and(|origin| *origin != deployment.provider.name);
        if is_elsewhere || ask.endpoint().tongue_for(deployment).is_none() {
            continue;
        }
        is_served = true;
        let condition = world.running(deployment).condition(ask.read_at);
        match standing(model, deployment, caller.key.is_sandbox, condition) {
            Ok(()) => ready.push(deployment.clone()),
            Err(Out::Rests { for_ms }) => {
                soonest = Some(soonest.map_or(for_ms, |least| least.min(for_ms)));
            }
            Err(Out::NotForSandbox | Out::Drained) => {}
        }
    }
    if !is_served && ask.passed.is_some() {
        let message = format!("Model '{}' is not with the provider of this endpoint", ask.peek.model);
        return Err(Refusal::invalid(message, Some("model")));
    }
    if !is_served && ask.origin.is_some() {
        let message = "The previous response is with a provider that does not serve this model";
        return Err(Refusal::invalid(message, Some("previous_response_id")));
    }
    if !is_served {
        let message = format!("No deployment of model '{}' serves this endpoint", ask.peek.model);
        return Err(Refusal::invalid(message, Some("model")));
    }
    if ready.is_empty() && !ask.endpoint().counts() {
        return Err(Refusal::NoUpstream { retry_after_ms: soonest.unwrap_or(1_000) });
    }
    if ready.len() > 1 {
        order(&mut ready, model.route.policy);
    }
    Ok(ready)
}

/// Draws one after the other without putting back, by weight, within each turn.
fn order(deployments: &mut [Arc<Deployment>], policy: Policy) {
    let mut random = rand::rng();
    deployments.sort_by_cached_key(|deployment| {
        // Efraimidis and Spirakis: the keys -ln(u)/w in rising order draw by weight. Of weight 0 it
        // is infinite: those stay in the order of the configuration.
        let draw: f64 = random.random_range(f64::MIN_POSITIVE..1.0);
        let key = -draw.ln() / f64::from(deployment.weight);
        (Turn::of(policy, deployment), key.to_bits())
    });
}
