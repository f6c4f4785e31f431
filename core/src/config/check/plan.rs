//! `plans` and `default_plan`.

use super::{
    context::{Context, Spot},
    pass_through, plan_price,
    provider::{NAME_RULE, is_name},
};
use crate::{
    config::{
        model::{self as yaml, Limit},
        suggest,
    },
    domain::{
        plan::{EVERY_MODEL, Plan},
        price::PriceBook,
    },
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// The plans by code, and the code of the default one.
pub(super) fn plans(
    document: &yaml::Document,
    prices: &Arc<PriceBook>,
    context: &mut Context<'_>,
) -> (HashMap<Arc<str>, Arc<Plan>>, Arc<str>) {
    let all = context.root().key("plans");
    for code in all.names().filter(|code| !is_name(code)) {
        context.problem(&all.key(code), NAME_RULE);
    }
    let default = document.default_plan.as_str();
    if !document.plans.contains_key(default) && !all.names().any(|code| code == default) {
        let spot = context.root().key("default_plan");
        let spot = if spot.is_there() { spot } else { all.clone() };
        let suggestion = suggest::nearest(default, document.plans.keys().map(String::as_str));
        context.suggest(&spot, format!("the default plan `{default}` is not among the plans"), suggestion);
    }
    let names = Names::new(document, context);
    let built = document.plans.iter().map(|(code, plan)| {
        let spot = all.key(code);
        let prices = plan_price::book(plan, prices, document, &spot.key("price_per_1m_tokens"), context);
        let plan = one(code, plan, prices, &names, &spot, context);
        (plan.code.clone(), Arc::new(plan))
    });
    (built.collect(), Arc::from(default))
}

fn one(
    code: &str,
    plan: &yaml::Plan,
    prices: Arc<PriceBook>,
    names: &Names<'_>,
    spot: &Spot<'_>,
    context: &mut Context<'_>,
) -> Plan {
    let models = spot.key("models");
    for (index, name) in plan.models.iter().enumerate() {
        names.check(name, &models.item(index), context);
    }
    let mut limits = |key: &str, limits: &BTreeMap<String, Limit>| {
        let spot = spot.key(key);
        let mut known = BTreeMap::new();
        for (name, limit) in limits {
            names.check(name, &spot.key(name), context);
            known.insert(name.clone(), limit.0);
        }
        known
    };
    Plan {
        code: Arc::from(code),
        name: plan.name.as_ref().map_or_else(|| code.to_owned(), |label| label.0.clone()),
        models: plan.models.clone(),
        rpm_limits: limits("rpm_limits", &plan.rpm_limits),
        tpm_limits: limits("tpm_limits", &plan.tpm_limits),
        rpd_limits: limits("rpd_limits", &plan.rpd_limits),
        concurrency_limits: limits("concurrency_limits", &plan.concurrency_limits),
        prices,
        own_prices: plan
            .price_per_1m_tokens
            .iter()
            .map(|(key, rate)| (key.clone(), rate.0.clone()))
            .collect(),
        monthly_fee: plan.monthly_fee.0.clone(),
        sandbox_included: plan.sandbox_included,
        sla_tier: plan.sla_tier.0.clone(),
    }
}

/// The model names that a plan can use. It goes by resolved names, so that an alias there would
/// silently match nothing.
struct Names<'a> {
    models: Vec<&'a str>,
    /// What is passed through, by provider.
    passed: Vec<String>,
    aliases: HashMap<&'a str, &'a str>,
}

impl<'a> Names<'a> {
    fn new(document: &'a yaml::Document, context: &Context<'a>) -> Self {
        let aliases = document.models.iter().flat_map(|(name, model)| {
            model.aliases.iter().map(move |alias| (alias.0.as_str(), name.as_str()))
        });
        let mut models: Vec<&str> = context.root().key("models").names().collect();
        models.sort_unstable();
        Self { models, passed: pass_through::names(document).collect(), aliases: aliases.collect() }
    }

    fn check(&self, name: &str, spot: &Spot<'_>, context: &mut Context<'_>) {
        let is_passed = || self.passed.iter().any(|passed| passed == name);
        if name == EVERY_MODEL || self.models.binary_search(&name).is_ok() || is_passed() {
            return;
        }
        if let Some(model) = self.aliases.get(name) {
            let message = format!("`{name}` is an alias: a plan goes by the model's name");
            return context.suggest(spot, message, Some((*model).to_owned()));
        }
        let suggestion =
            suggest::nearest(name, self.models.iter().copied().chain(self.passed.iter().map(String::as_str)));
        context.suggest(spot, format!("there is no model `{name}`"), suggestion);
    }
}
