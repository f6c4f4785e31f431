//! Which models are for whom: one rule for requests, for every list of models, and for who asks
//! why.

use crate::{
    config::snapshot::{Deployment, Model, Snapshot, UnpricedPolicy},
    domain::{clock::Timestamp, key::Key, plan::Plan},
};
use std::sync::Arc;

/// What an organization on one plan is offered at one time.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    pub snapshot: &'a Snapshot,
    pub plan: &'a Arc<Plan>,
    pub at: Timestamp,
}

/// What is asked before a key is given a model, in this order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Question {
    /// Does the plan include it?
    Plan,
    /// Does the key allow it?
    ModelsAllowed,
    /// Of a key of the sandbox: is any of its deployments one, too?
    Sandbox,
    /// Has it a price, or may it be called without one?
    Price,
}

impl<'a> Offer<'a> {
    /// For an organization that is stored with the plan `code`. `None`: not even the default plan
    /// is there, so that nothing is offered.
    #[must_use]
    pub fn of(snapshot: &'a Snapshot, code: &str, at: Timestamp) -> Option<Self> {
        snapshot.plan_or_default(code).map(|plan| Self { snapshot, plan, at })
    }

    /// Whether some key of the organization could call the model.
    #[must_use]
    pub fn sells(&self, model: &Model) -> bool {
        self.plan.includes(&model.id) && self.prices(model)
    }

    /// All questions about a key that wants the model, each with whether it was passed.
    #[must_use]
    pub fn answers(&self, key: &Key, model: &Model) -> [(Question, bool); 4] {
        [
            (Question::Plan, self.plan.includes(&model.id)),
            (Question::ModelsAllowed, key.allows_model(&model.id)),
            (Question::Sandbox, suits(key.is_sandbox, model)),
            (Question::Price, self.prices(model)),
        ]
    }

    /// The first question that the key does not pass. `None`: it can call the model.
    #[must_use]
    pub fn objection(&self, key: &Key, model: &Model) -> Option<Question> {
        self.answers(key, model).into_iter().find_map(|(question, passed)| (!passed).then_some(question))
    }

    /// The models that are sold, each once, by name.
    pub fn models(self) -> impl Iterator<Item = &'a Arc<Model>> {
        self.snapshot.each_model().into_values().filter(move |model| self.sells(model))
    }

    fn prices(&self, model: &Model) -> bool {
        let has_price =
            || self.plan.price_of(&model.id).is_some_and(|price| price.rates_at(0, self.at).is_some());
        self.snapshot.billing.unpriced == UnpricedPolicy::Quarantine || has_price()
    }
}

/// Whether the model has a deployment for such keys.
fn suits(is_sandbox: bool, model: &Model) -> bool {
    model.route.deployments.iter().any(|deployment| takes(is_sandbox, model, deployment))
}

/// Whether the deployment is for such keys: those of the sandbox play only where that is said.
#[must_use]
pub fn takes(is_sandbox: bool, model: &Model, deployment: &Deployment) -> bool {
    !is_sandbox || model.sandbox || deployment.provider.sandbox
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::check::{Nothing, Source, check},
        domain::{
            budget::BudgetPeriod,
            id::{KeyId, OrgId, TeamId},
            plan::RateLimits,
        },
    };

    const TEXT: &str = "\
providers: { sim: { kind: simulated } }
models:
  chat: { aliases: [c], price: &price { input: '1', cache_read: '1', output: '1' }, route: &route { deployments: [{ provider: sim }] } }
  toy: { sandbox: true, price: *price, route: *route }
  later: { price: [{ from: '2999-01-01T00:00:00Z', input: '1', cache_read: '1', output: '1' }], route: *route }
  outside: { price: *price, route: *route }
plans: { standard: { models: [chat, toy, later] } }
default_plan: standard
";

    fn snapshot(more: &str) -> Snapshot {
        let source = Source { name: Arc::from("aione.yaml"), text: format!("{TEXT}{more}") };
        check(&[source], &Nothing).expect("sound").snapshot
    }

    fn key(models: &[&str], is_sandbox: bool) -> Key {
        Key {
            id: KeyId(uuid::Uuid::nil()),
            org: OrgId(uuid::Uuid::nil()),
            team: TeamId(uuid::Uuid::nil()),
            name: String::new(),
            prefix: String::new(),
            models_allowed: models.iter().map(|model| (*model).to_owned()).collect(),
            allowed_ips: Vec::new(),
            limits: RateLimits::default(),
            budget: None,
            budget_period: BudgetPeriod::Month,
            is_sandbox,
            expires_at: None,
            disabled: false,
            rotate_grace_until: None,
            created_at: Timestamp(0),
            last_used_at: None,
            metadata: serde_json::Map::new(),
        }
    }

    #[test]
    fn the_first_question_that_is_not_passed_objects() {
        use Question::{ModelsAllowed, Plan, Price, Sandbox};
        let snapshot = snapshot("");
        let offer = Offer::of(&snapshot, "gone", Timestamp(0)).expect("the default plan stands in");
        for (model, models, is_sandbox, expected) in [
            ("c", &[][..], false, None),
            ("chat", &["chat"][..], false, None),
            ("chat", &["toy"][..], false, Some(ModelsAllowed)),
            ("chat", &["toy"][..], true, Some(ModelsAllowed)),
            ("chat", &[][..], true, Some(Sandbox)),
            ("toy", &[][..], true, None),
            ("later", &[][..], false, Some(Price)),
            ("outside", &["toy"][..], true, Some(Plan)),
        ] {
            let found = offer.objection(&key(models, is_sandbox), snapshot.model(model).expect(model));
            assert_eq!(found, expected, "{model} {models:?} {is_sandbox}");
        }
    }

    #[test]
    fn what_is_sold_is_listed_once_and_by_name() {
        let ids = |snapshot: &Snapshot| -> Vec<String> {
            let offer = Offer::of(snapshot, "standard", Timestamp(0)).expect("a plan");
            offer.models().map(|model| model.id.to_string()).collect()
        };
        assert_eq!(ids(&snapshot("")), ["chat", "toy"]);
        assert_eq!(ids(&snapshot("billing: { unpriced: quarantine }\n")), ["chat", "later", "toy"]);
    }
}
