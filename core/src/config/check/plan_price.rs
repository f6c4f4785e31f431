//! `price_per_1m_tokens` of a plan: rates in the place of those that its models have.

use super::{
    context::{Context, Spot},
    pass_through, price,
};
use crate::{
    config::{
        model::{self as yaml, Classes},
        suggest,
    },
    domain::{
        money::{MoneyError, Rate},
        plan::EVERY_MODEL,
        price::{Class, ModelPrice, PriceBook, PricePeriod, Rates},
    },
};
use std::{collections::BTreeMap, sync::Arc};

/// The book of a plan: `prices` itself, unless the plan states rates. A rate of a class goes before one
/// of all tokens, and either before what the model states for any time and length of prompt.
pub(super) fn book(
    plan: &yaml::Plan,
    prices: &Arc<PriceBook>,
    document: &yaml::Document,
    spot: &Spot<'_>,
    context: &mut Context<'_>,
) -> Arc<PriceBook> {
    // A key of all tokens is shorter than those of its classes, and is met before them.
    let mut stated: BTreeMap<&str, Classes> = BTreeMap::new();
    for (key, rate) in &plan.price_per_1m_tokens {
        let spot = spot.key(key);
        let Some((model, classes)) = place(key, document, &spot, context) else { continue };
        if !plan.models.iter().any(|name| name == EVERY_MODEL || name == model) {
            context.problem(&spot, format!("the plan does not include `{model}`"));
        }
        let rates = stated.entry(model).or_default();
        for class in classes {
            match rate_of(*class, &rate.0) {
                Ok(rate) => rates.push((*class, rate)),
                Err(error) => {
                    context.problem(&spot, error.to_string());
                    break;
                }
            }
        }
    }
    if stated.is_empty() {
        return prices.clone();
    }
    let mut models = prices.models.clone();
    for (model, rates) in stated {
        let model = models.entry(Arc::from(model)).or_insert_with(|| ModelPrice {
            periods: vec![PricePeriod { from: None, rates: Rates::default(), tiers: Vec::new() }],
        });
        for period in &mut model.periods {
            period.rates = price::rates(period.rates, &rates);
            for tier in &mut period.tiers {
                tier.rates = price::rates(tier.rates, &rates);
            }
        }
    }
    Arc::new(PriceBook::new(models))
}

/// The model and the classes that a key is of. A model's name may have a colon of its own.
fn place<'k>(
    key: &'k str,
    document: &yaml::Document,
    spot: &Spot<'_>,
    context: &mut Context<'_>,
) -> Option<(&'k str, &'static [Class])> {
    let passed: Vec<String> = pass_through::names(document).collect();
    let is_sold = |name: &str| document.models.contains_key(name) || passed.iter().any(|it| it == name);
    if is_sold(key) {
        return Some((key, &Class::ALL[..Class::OF_TOKENS]));
    }
    let (model, class) = key.rsplit_once(':').unwrap_or((key, ""));
    let found = Class::ALL.iter().position(|one| one.as_str() == class);
    if let (true, Some(index)) = (is_sold(model), found) {
        return Some((model, &Class::ALL[index..=index]));
    }
    let names = document.models.keys().chain(&passed);
    let keys: Vec<String> = names
        .flat_map(|model| Class::ALL.iter().map(move |class| format!("{model}:{}", class.as_str())))
        .collect();
    let known = keys.iter().chain(document.models.keys()).chain(&passed).map(String::as_str);
    context.suggest(
        spot,
        "expected a model, or a model and a class such as `chat:output`",
        suggest::nearest(key, known),
    );
    None
}

fn rate_of(class: Class, text: &str) -> Result<Rate, MoneyError> {
    if Class::ALL[..Class::OF_TOKENS].contains(&class) {
        Rate::per_million(text)
    } else {
        Rate::per_unit(text)
    }
}
