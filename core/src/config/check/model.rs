//! `models`: names, aliases, routes.

use super::{
    context::{Context, NOT_YET, Spot},
    price,
};
use crate::{
    config::{
        model::{self as yaml, PolicyName, RetryReason, Unpriced},
        snapshot::{CoolDown, Deployment, Model, Policy, Provider, RetryOn, Route},
        suggest,
    },
    domain::{plan::EVERY_MODEL, price::ModelPrice},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry},
    sync::Arc,
    time::Duration,
};

type Providers = HashMap<Arc<str>, Arc<Provider>>;
type Models = HashMap<Arc<str>, Arc<Model>>;

/// Bytes of a public model name.
const NAME_BYTES_MAX: usize = 512;

/// The models by every name that they have, and what they cost.
pub(super) fn models(
    document: &yaml::Document,
    providers: &Providers,
    context: &mut Context<'_>,
) -> (Models, BTreeMap<Arc<str>, ModelPrice>) {
    let all = context.root().key("models");
    if document.models.is_empty() && all.names().next().is_none() && all.is_there() {
        context.problem(&all, "needs at least one model");
    }
    names(document, &all, context);
    let mut models = Models::with_capacity(document.models.len());
    let mut prices: BTreeMap<Arc<str>, ModelPrice> = BTreeMap::new();
    for (name, model) in &document.models {
        let built = Arc::new(one(name, model, document, providers, &all.key(name), context));
        if let Some(price) = &built.price {
            prices.insert(built.id.clone(), price.clone());
        }
        for alias in &built.aliases {
            models.insert(alias.clone(), built.clone());
        }
        models.insert(built.id.clone(), built);
    }
    (models, prices)
}

/// One name stands for one model.
fn names(document: &yaml::Document, all: &Spot<'_>, context: &mut Context<'_>) {
    let known: BTreeSet<&str> = all.names().collect();
    for name in &known {
        if let Some(rule) = broken_rule(name) {
            context.problem(&all.key(name), rule);
        }
    }
    let mut owners: HashMap<&str, &str> = HashMap::new();
    for (name, model) in &document.models {
        let aliases = all.key(name).key("aliases");
        for (index, alias) in model.aliases.iter().enumerate() {
            let spot = aliases.item(index);
            if let Some(rule) = broken_rule(&alias.0) {
                context.problem(&spot, rule);
            }
            if known.contains(alias.0.as_str()) {
                context.problem(&spot, format!("`{}` is already the name of a model", alias.0));
                continue;
            }
            match owners.entry(alias.0.as_str()) {
                Entry::Occupied(owner) => {
                    context.problem(&spot, format!("`{}` is already an alias of `{}`", alias.0, owner.get()));
                }
                Entry::Vacant(free) => {
                    free.insert(name);
                }
            }
        }
    }
}

fn broken_rule(name: &str) -> Option<&'static str> {
    if name == EVERY_MODEL {
        return Some("`*` stands for every model and cannot name one");
    }
    if !(1..=NAME_BYTES_MAX).contains(&name.len())
        || name.chars().any(char::is_control)
        || name.trim() != name
    {
        return Some("a model name has 1 to 512 bytes, no control characters, and no spaces at its ends");
    }
    None
}

fn one(
    name: &str,
    model: &yaml::Model,
    document: &yaml::Document,
    providers: &Providers,
    spot: &Spot<'_>,
    context: &mut Context<'_>,
) -> Model {
    let price = model.price.as_ref().map(|price| price::price(price, document, &spot.key("price"), context));
    if price.is_none() && !spot.key("price").is_there() {
        match document.billing.unpriced {
            Unpriced::Reject => {
                context.problem(spot, "`price` is missing, and `billing.unpriced` is `reject`")
            }
            Unpriced::Quarantine => context.warn(spot, "has no price: its usage will be kept apart"),
        }
    }
    if let Some(price) = &price {
        let told = model.route.deployments.iter().map(|it| {
            let upstream = it.model.as_ref().map_or(name, |model| &model.0);
            let provider = providers.get(it.provider.as_str());
            provider.map_or(&[][..], |provider| price::cache_writes(provider, upstream))
        });
        // Who tells more tells what the others do as well.
        let cache_writes = told.max_by_key(|classes| classes.len()).unwrap_or_default();
        let reports = price::Reports { capabilities: model.capabilities.as_deref(), cache_writes };
        price::warn_of_missing(price, &reports, "price", &spot.key("price"), context);
    }
    if model.context_window.zip(model.max_output_tokens).is_some_and(|(window, output)| output > window) {
        context.warn(&spot.key("max_output_tokens"), "is more than `context_window`");
    }
    Model {
        id: Arc::from(name),
        display_name: model.display_name.as_ref().map_or_else(|| name.to_owned(), |label| label.0.clone()),
        aliases: model.aliases.iter().map(|alias| Arc::from(alias.0.as_str())).collect(),
        context_window: model.context_window,
        max_output_tokens: model.max_output_tokens,
        capabilities: model.capabilities.as_ref().map(|capabilities| {
            capabilities.iter().map(|capability| capability.as_str().to_owned()).collect()
        }),
        sandbox: model.sandbox,
        price,
        route: route(name, model, document, providers, &spot.key("route"), context),
    }
}

fn route(
    name: &str,
    model: &yaml::Model,
    document: &yaml::Document,
    providers: &Providers,
    spot: &Spot<'_>,
    context: &mut Context<'_>,
) -> Route {
    let route = &model.route;
    let policy = match route.policy {
        PolicyName::Weighted => Policy::Weighted,
        PolicyName::Priority => Policy::Priority,
        PolicyName::LeastLatency | PolicyName::LeastBusy | PolicyName::Cheapest | PolicyName::Sticky => {
            context.problem(&spot.key("policy"), format!("this policy {NOT_YET}"));
            Policy::Weighted
        }
    };
    if route.hedge_after.is_some() {
        context.problem(&spot.key("hedge_after"), format!("hedging {NOT_YET}"));
    }
    let deployments = deployments(name, model, document, providers, &spot.key("deployments"), context);
    order(route, policy, &spot.key("deployments"), context);
    let on = |reason| route.retry_on.contains(&reason);
    Route {
        policy,
        deployments,
        attempts: route.attempts,
        retry_on: RetryOn {
            connect: on(RetryReason::Connect),
            timeout: on(RetryReason::Timeout),
            too_many_requests: on(RetryReason::TooManyRequests),
            server_error: on(RetryReason::ServerError),
            first_event_error: on(RetryReason::FirstEventError),
        },
        cool_down: cool_down(&route.cool_down, &spot.key("cool_down"), context),
    }
}

fn deployments(
    name: &str,
    model: &yaml::Model,
    document: &yaml::Document,
    providers: &Providers,
    spot: &Spot<'_>,
    context: &mut Context<'_>,
) -> Vec<Arc<Deployment>> {
    let written = context.root().key("providers");
    let mut seen = BTreeSet::new();
    let mut deployments = Vec::with_capacity(model.route.deployments.len());
    for (index, deployment) in model.route.deployments.iter().enumerate() {
        let spot = spot.item(index);
        let upstream = deployment.model.as_ref().map_or(name, |model| &model.0);
        let id: Arc<str> = Arc::from(format!("{}/{upstream}", deployment.provider));
        if !seen.insert(id.clone()) {
            context.problem(&spot, format!("`{id}` is in this route twice"));
        }
        let Some(provider) = providers.get(deployment.provider.as_str()) else {
            // One that is written but not sound has its own problem already.
            if !written.names().any(|name| name == deployment.provider) {
                let message = format!("there is no provider `{}`", deployment.provider);
                let suggestion = suggest::nearest(&deployment.provider, written.names());
                context.suggest(&spot.key("provider"), message, suggestion);
            }
            continue;
        };
        let cost = deployment.cost.as_ref().map(|cost| {
            let spot = spot.key("cost");
            let cost = price::price(cost, document, &spot, context);
            let reports = price::Reports {
                capabilities: model.capabilities.as_deref(),
                cache_writes: price::cache_writes(provider, upstream),
            };
            price::warn_of_missing(&cost, &reports, "known cost", &spot, context);
            cost
        });
        deployments.push(Arc::new(Deployment {
            id,
            provider: provider.clone(),
            model: Arc::from(upstream),
            weight: deployment.weight,
            priority: deployment.priority.unwrap_or(0),
            cost,
        }));
    }
    deployments
}

/// Which deployment comes first must follow from what is written.
fn order(route: &yaml::Route, policy: Policy, spot: &Spot<'_>, context: &mut Context<'_>) {
    let all = &route.deployments;
    match policy {
        Policy::Weighted => {
            if all.iter().all(|deployment| deployment.weight == 0) {
                context.problem(spot, "every weight is 0, so that none can be drawn");
            }
            for (index, _) in all.iter().enumerate().filter(|(_, deployment)| deployment.priority.is_some()) {
                context.warn(&spot.item(index).key("priority"), "has no effect under policy `weighted`");
            }
        }
        Policy::Priority => {
            let without = all.iter().position(|deployment| deployment.priority.is_none());
            if let Some(index) = without.filter(|_| all.len() > 1) {
                context.problem(
                    &spot.item(index),
                    "`priority` is missing: under policy `priority` each states one",
                );
            }
            let groups: BTreeSet<u32> = all.iter().filter_map(|deployment| deployment.priority).collect();
            for priority in groups {
                let mut group = all.iter().filter(|deployment| deployment.priority == Some(priority));
                if group.all(|deployment| deployment.weight == 0) {
                    context.problem(spot, format!("every weight of priority {priority} is 0"));
                }
            }
        }
    }
}

fn cool_down(cool_down: &yaml::CoolDown, spot: &Spot<'_>, context: &mut Context<'_>) -> CoolDown {
    const LEAST: Duration = Duration::from_millis(1);
    const HOUR: Duration = Duration::from_secs(3600);
    let within = context.bounded(&spot.key("within"), cool_down.within.0, LEAST, HOUR);
    let pause = context.bounded(&spot.key("for"), cool_down.pause.0, LEAST, HOUR);
    let max = context.bounded(&spot.key("max"), cool_down.max.0, LEAST, 24 * HOUR);
    if max < pause {
        context.problem(&spot.key("max"), "must not be shorter than `for`");
    }
    CoolDown { after: cool_down.after, within, pause, max }
}
