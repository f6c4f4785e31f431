//! The words of an explanation: what each check found, and what each deployment can expect.

use super::Case;
use crate::upstreams::health;
use aione_core::{
    config::{
        offer::Question,
        snapshot::Deployment,
        standing::{Condition, Out, Prospect, Standing},
    },
    domain::key::KeyStatus,
    wire::Tongue,
};
use serde::Serialize;
use utoipa::ToSchema;

/// One thing that a request must pass.
#[derive(Serialize, ToSchema)]
pub(super) struct Check {
    /// `key`, `model`, `plan`, `models_allowed`, `sandbox`, `price` or `deployments`.
    check: &'static str,
    pub(super) passed: bool,
    pub(super) reason: String,
}

/// A deployment that the model's requests can go to.
#[derive(Serialize, ToSchema)]
pub(super) struct Candidate {
    /// `provider/model`.
    id: String,
    /// What it is asked in: a caller's own dialect where that is among them; else a chat is translated to the first,
    /// and what is no chat goes elsewhere.
    asked_in: Vec<&'static str>,
    priority: u32,
    weight: u32,
    /// `serving`, or `resting` after failures.
    health: &'static str,
    /// Milliseconds until it is asked again; `null`: it does not rest.
    #[schema(required = true)]
    rests_for_ms: Option<u64>,
    /// An operator took it out.
    drained: bool,
    /// Whether a request that is not refused before can come here.
    would_be_tried: bool,
    /// Why, in words.
    reason: String,
}

/// What is said of a request that nothing refuses.
pub(super) fn routed(deployments: &[Candidate]) -> String {
    let tried: Vec<&str> =
        deployments.iter().filter(|it| it.would_be_tried).map(|deployment| deployment.id.as_str()).collect();
    format!("It goes to {}", tried.join(" or "))
}

impl Case<'_> {
    /// In the order in which a request meets them; without a model there is no more to look at.
    pub(super) fn checks(&self, status: KeyStatus, standings: &[Standing]) -> Vec<Check> {
        let mut checks = vec![key(status)];
        let (Some(model), Some(offer)) = (self.model, self.offer) else {
            let reason = format!("There is no model '{}', or the plan does not include it", self.asked);
            checks.push(Check { check: "model", passed: false, reason });
            return checks;
        };
        let id = &*model.id;
        let is_alias = self.asked != id;
        let known = if is_alias {
            format!("'{}' is an alias of '{id}'", self.asked)
        } else {
            format!("'{id}' is a model")
        };
        let stands_in = offer.plan.code != self.org.plan;
        let replaced = if stands_in {
            format!(", which stands in for '{}', a plan that is not configured,", self.org.plan)
        } else {
            String::new()
        };
        checks.push(check("model", true, known));
        checks.extend(offer.answers(self.key, model).map(|(question, passed)| match question {
            Question::Plan => {
                let verb = if passed { "includes" } else { "does not include" };
                check("plan", passed, format!("The plan '{}'{replaced} {verb} it", offer.plan.code))
            }
            Question::ModelsAllowed => {
                check("models_allowed", passed, allowed(&self.key.models_allowed, passed))
            }
            Question::Sandbox => check("sandbox", passed, sandbox(self.key.is_sandbox, passed)),
            Question::Price => {
                check("price", passed, price(offer.plan.price_of(&model.id).is_some(), passed))
            }
        }));
        let ready = standings.iter().filter(|standing| standing.is_ok()).count();
        let counted = format!("{ready} of {} can be asked now", standings.len());
        checks.push(check("deployments", ready > 0, counted));
        checks
    }
}

fn check(check: &'static str, passed: bool, reason: impl Into<String>) -> Check {
    Check { check, passed, reason: reason.into() }
}

fn key(status: KeyStatus) -> Check {
    let (passed, reason) = match status {
        KeyStatus::Active => (true, "The key is active"),
        KeyStatus::Disabled => (false, "The key is disabled"),
        KeyStatus::Expired => (false, "The key has expired"),
    };
    check("key", passed, reason)
}

fn allowed(models: &[String], allows: bool) -> &'static str {
    match (models.is_empty(), allows) {
        (true, _) => "The key allows every model of the plan",
        (false, true) => "The key names it among its models",
        (false, false) => "The key names other models only",
    }
}

fn sandbox(is_sandbox: bool, suits: bool) -> &'static str {
    match (is_sandbox, suits) {
        (false, _) => "The key is not one of the sandbox",
        (true, true) => "The key is one of the sandbox, and so is the model or a provider of it",
        (true, false) => "The key is one of the sandbox, and neither the model nor a provider of it is",
    }
}

fn price(is_stated: bool, prices: bool) -> &'static str {
    match (is_stated, prices) {
        (true, true) => "It has a price, or needs none now",
        (false, true) => "It has no price: its usage is kept apart",
        (true, false) => "Its price is not in force yet",
        (false, false) => "It has no price",
    }
}

impl Candidate {
    pub(super) fn of(deployment: &Deployment, condition: Condition, prospect: Prospect) -> Self {
        Self {
            id: deployment.id.to_string(),
            asked_in: deployment.tongues().map(Tongue::as_str).collect(),
            priority: deployment.priority,
            weight: deployment.weight,
            health: health(condition),
            rests_for_ms: condition.rests_for_ms,
            drained: condition.drained,
            would_be_tried: matches!(prospect, Prospect::Drawn { .. } | Prospect::Behind { .. }),
            reason: expectation(prospect),
        }
    }
}

fn expectation(prospect: Prospect) -> String {
    match prospect {
        Prospect::Drawn { of: 0, .. } => "It is asked, in the order of the route: its weight is 0, and no \
                                          other is ready"
            .to_owned(),
        Prospect::Drawn { weight, of } if weight == of => "It is asked first".to_owned(),
        Prospect::Drawn { weight, of } => format!("It is drawn to be asked first {weight} times in {of}"),
        Prospect::Behind { others } => {
            format!("It is asked where those before it, {others} or more, bring nothing usable")
        }
        Prospect::OutOfAttempts => "The attempts are used up before its turn comes".to_owned(),
        Prospect::Out(Out::Drained) => "An operator took it out".to_owned(),
        Prospect::Out(Out::Rests { for_ms }) => format!("It rests for {for_ms} ms more after failures"),
        Prospect::Out(Out::NotForSandbox) => {
            "The key is one of the sandbox, and neither the model nor the provider is".to_owned()
        }
    }
}
