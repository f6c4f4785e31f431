//! `pass_through`: what each provider opens, and what that costs.

use super::{
    context::{Context, Spot},
    price,
};
use crate::{
    config::{
        model::{self as yaml, Unpriced},
        pass_through::{MODEL, Passage, Pattern, sold_as},
        snapshot::{CoolDown, Deployment, Model, Policy, Provider, RetryOn, Route},
    },
    domain::price::ModelPrice,
};
use std::{collections::HashMap, sync::Arc, time::Duration};

/// As a model's that says nothing of it.
const COOL_DOWN: CoolDown = CoolDown {
    after: 3,
    within: Duration::from_secs(30),
    pause: Duration::from_secs(15),
    max: Duration::from_secs(300),
};

/// The names under which what is passed through is sold.
pub(super) fn names(document: &yaml::Document) -> impl Iterator<Item = String> {
    let opened = document.providers.iter().filter(|(_, provider)| !provider.pass_through.is_empty());
    opened.map(|(name, _)| sold_as(name))
}

/// What is open, in the order of the providers' names.
pub(super) fn passages(
    document: &yaml::Document,
    providers: &HashMap<Arc<str>, Arc<Provider>>,
    context: &mut Context<'_>,
) -> Vec<Arc<Passage>> {
    let all = context.root().key("providers");
    let mut opened: Vec<(&str, Pattern)> = Vec::new();
    let mut passages = Vec::new();
    for (name, yaml) in &document.providers {
        let spot = all.key(name);
        let price = price(name, yaml, document, &spot, context);
        let patterns = patterns(name, yaml, &mut opened, &spot.key("pass_through"), context);
        let Some(provider) = providers.get(name.as_str()) else { continue };
        if yaml.pass_through.is_empty() {
            continue;
        }
        if !provider.account.takes_any_path() {
            let kind = yaml.kind.as_str();
            let message = format!(
                "nothing can be passed through to this `{kind}`: where it is asked follows from the model"
            );
            context.problem(&spot.key("pass_through"), message);
        }
        let model = Arc::new(model(provider, price));
        passages.push(Arc::new(Passage { patterns, model, provider: provider.clone() }));
    }
    passages
}

fn price(
    name: &str,
    yaml: &yaml::Provider,
    document: &yaml::Document,
    spot: &Spot<'_>,
    context: &mut Context<'_>,
) -> Option<ModelPrice> {
    let here = spot.key("pass_through_price");
    let is_open = !yaml.pass_through.is_empty();
    if is_open {
        let sold = sold_as(name);
        let is_taken = |(model, yaml): (&String, &yaml::Model)| {
            *model == sold || yaml.aliases.iter().any(|alias| alias.0 == sold)
        };
        if document.models.iter().any(is_taken) {
            let message = format!("is sold as `{sold}`, which is the name of a model");
            context.problem(&spot.key("pass_through"), message);
        }
    }
    match (&yaml.pass_through_price, is_open) {
        (Some(_), false) if !spot.key("pass_through").is_there() => {
            context.warn(&here, "has no effect without `pass_through`");
        }
        (None, true) if !here.is_there() => match document.billing.unpriced {
            Unpriced::Reject => {
                context.problem(spot, "`pass_through_price` is missing, and `billing.unpriced` is `reject`")
            }
            Unpriced::Quarantine => {
                context.warn(spot, "has no `pass_through_price`: what is passed through will be kept apart");
            }
        },
        _ => {}
    }
    yaml.pass_through_price.as_ref().map(|price| price::price(price, document, &here, context))
}

/// The entries, of which none takes a path that another provider has opened.
fn patterns<'y>(
    name: &'y str,
    yaml: &'y yaml::Provider,
    opened: &mut Vec<(&'y str, Pattern)>,
    spot: &Spot<'_>,
    context: &mut Context<'_>,
) -> Vec<Pattern> {
    let mut patterns: Vec<Pattern> = Vec::with_capacity(yaml.pass_through.len());
    for (index, text) in yaml.pass_through.iter().enumerate() {
        let spot = spot.item(index);
        let pattern = match Pattern::parse(text) {
            Ok(pattern) => pattern,
            Err(error) => {
                context.suggest(&spot, error.message, error.suggestion);
                continue;
            }
        };
        if patterns.contains(&pattern) {
            context.problem(&spot, format!("`{text}` is there twice"));
            continue;
        }
        let meets = |(other, its): &&(&str, Pattern)| {
            *other != name && its.method == pattern.method && its.meets(&pattern)
        };
        if let Some((other, its)) = opened.iter().find(meets) {
            let message = format!("takes what `{its}` of `{other}` takes: nobody could tell whose it is");
            context.problem(&spot, message);
        }
        opened.push((name, pattern.clone()));
        patterns.push(pattern);
    }
    patterns
}

/// What a request is sold as that names no model: one deployment, which is asked once.
fn model(provider: &Arc<Provider>, price: Option<ModelPrice>) -> Model {
    let id: Arc<str> = Arc::from(sold_as(&provider.name));
    let deployment = Deployment {
        id: id.clone(),
        provider: provider.clone(),
        model: Arc::from(MODEL),
        weight: 1,
        priority: 0,
        cost: None,
    };
    Model {
        display_name: id.to_string(),
        id,
        aliases: Vec::new(),
        context_window: None,
        max_output_tokens: None,
        capabilities: None,
        sandbox: false,
        price,
        route: Route {
            policy: Policy::Priority,
            deployments: vec![Arc::new(deployment)],
            attempts: 1,
            // There is nobody else to ask.
            retry_on: RetryOn {
                connect: false,
                timeout: false,
                too_many_requests: false,
                server_error: false,
                first_event_error: false,
            },
            cool_down: COOL_DOWN,
        },
    }
}
