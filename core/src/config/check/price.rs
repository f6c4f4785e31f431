//! `price`: periods and tiers of rates, and the classes that could occur without one.

use super::context::{Context, Spot};
use crate::{
    config::{
        model::{self as yaml, Capability, Classes},
        snapshot::Provider,
    },
    domain::{
        clock::Timestamp,
        price::{Class, ModelPrice, PricePeriod, Rates, Tier},
    },
    wire::Dialect,
};
use std::collections::HashMap;

/// The price history of a model, ascending in time.
pub(super) fn price(
    price: &yaml::Price,
    document: &yaml::Document,
    spot: &Spot<'_>,
    context: &mut Context<'_>,
) -> ModelPrice {
    let mut periods = Vec::with_capacity(price.periods().len());
    let mut starts: HashMap<Option<Timestamp>, usize> = HashMap::new();
    for (index, period) in price.periods().iter().enumerate() {
        let spot = spot.one_of(index);
        let from = period.from.as_ref().map(|from| from.0.in_zone(document.billing.time_zone.0));
        if let Some(first) = starts.insert(from, index) {
            let spot = if period.from.is_some() { spot.key("from") } else { spot.clone() };
            context
                .problem(&spot, format!("begins when item {first} does, so that neither is the later one"));
        }
        if spot.names().all(|key| matches!(key, "from" | "tiers")) {
            context.problem(&spot, "states no rate");
        }
        let tiers = tiers(period, &spot.key("tiers"), context);
        periods.push(PricePeriod { from, rates: rates(Rates::default(), &period.classes()), tiers });
    }
    periods.sort_by_key(|period| period.from);
    if let Some(first) = periods.first().and_then(|period| period.from) {
        context.warn(spot, format!("there is no price before {}", first.rfc3339()));
    }
    ModelPrice { periods }
}

fn tiers(period: &yaml::PricePeriod, spot: &Spot<'_>, context: &mut Context<'_>) -> Vec<Tier> {
    let base = rates(Rates::default(), &period.classes());
    let mut tiers: Vec<Tier> = Vec::with_capacity(period.tiers.len());
    for (index, tier) in period.tiers.iter().enumerate() {
        let spot = spot.item(index);
        if tiers.iter().any(|other| other.above == tier.above) {
            context.problem(&spot.key("above"), format!("another tier is above {} too", tier.above));
        }
        if spot.names().all(|key| key == "above") {
            context.problem(&spot, "states no rate");
        }
        tiers.push(Tier { above: tier.above, rates: rates(base, &tier.classes()) });
    }
    tiers.sort_by_key(|tier| tier.above);
    tiers
}

/// `base` with the classes that are stated in the place of its own.
pub(super) fn rates(mut base: Rates, classes: &Classes) -> Rates {
    for (class, rate) in classes {
        let slot = match class {
            Class::Input => &mut base.input,
            Class::CacheRead => &mut base.cache_read,
            Class::CacheWrite5m => &mut base.cache_write_5m,
            Class::CacheWrite1h => &mut base.cache_write_1h,
            Class::AudioIn => &mut base.audio_in,
            Class::Output => &mut base.output,
            Class::Reasoning => &mut base.reasoning,
            Class::AudioOut => &mut base.audio_out,
            Class::Image => &mut base.image,
            Class::Search => &mut base.search,
            Class::Character => &mut base.character,
            Class::Second => &mut base.second,
            Class::Request => &mut base.request,
            // Nothing states one.
            Class::Mixed => continue,
        };
        *slot = Some(*rate);
    }
    base
}

/// Tells of the classes that the model's upstreams can report and that have no rate: one that
/// occurs leaves the answer `without` something.
pub(super) fn warn_of_missing(
    price: &ModelPrice,
    reports: &Reports<'_>,
    without: &str,
    spot: &Spot<'_>,
    context: &mut Context<'_>,
) {
    let sets = price
        .periods
        .iter()
        .flat_map(|period| std::iter::once(&period.rates).chain(period.tiers.iter().map(|tier| &tier.rates)));
    let sets: Vec<&Rates> = sets.collect();
    // Speech, or what is heard of it, that is sold by the piece everywhere: no tokens are needed.
    let by_the_piece = |rates: &&Rates| rates.character.is_some() || rates.second.is_some();
    if reports.is_only(&[Capability::Audio]) && sets.iter().all(by_the_piece) {
        return;
    }
    let missing: Vec<&str> = reports
        .classes()
        .into_iter()
        .filter(|class| sets.iter().any(|rates| rates.of(*class).is_none()))
        .map(Class::as_str)
        .collect();
    if !missing.is_empty() {
        let message =
            format!("no rate for {}: an answer in which it occurs has no {without}", missing.join(", "));
        context.warn(spot, message);
    }
}

/// What decides which classes a model's upstreams report.
pub(super) struct Reports<'a> {
    pub(super) capabilities: Option<&'a [Capability]>,
    /// Those of what was written to a cache, as far as an upstream of it can tell.
    pub(super) cache_writes: &'static [Class],
}

/// What `provider` may tell of what was written to a cache for `model`, by how long it is kept.
pub(super) fn cache_writes(provider: &Provider, model: &str) -> &'static [Class] {
    const SHORT: &[Class] = &[Class::CacheWrite5m];
    const BOTH: &[Class] = &[Class::CacheWrite5m, Class::CacheWrite1h];
    let speaks = |dialect| provider.dialects.contains(&dialect);
    match provider.account.tongue(model) {
        Some(tongue) if tongue.tells_cache_writes() => BOTH,
        Some(_) => &[],
        None if provider.kind.built_in => &[],
        None if speaks(Dialect::AnthropicMessages) => BOTH,
        None if !provider.kind.tells_cache_writes => &[],
        // Only there it is told how long.
        None if speaks(Dialect::OpenAiResponses) => BOTH,
        None => SHORT,
    }
}

impl Reports<'_> {
    /// Whether it states capabilities, and none but these.
    fn is_only(&self, these: &[Capability]) -> bool {
        self.capabilities.is_some_and(|all| !all.is_empty() && all.iter().all(|one| these.contains(one)))
    }

    fn classes(&self) -> Vec<Class> {
        const READERS: [Capability; 3] = [Capability::Embeddings, Capability::Rerank, Capability::Moderation];
        let can = |capability| self.capabilities.is_some_and(|all| all.contains(&capability));
        if self.is_only(&READERS) {
            return vec![Class::Input];
        }
        let mut classes = vec![Class::Input, Class::CacheRead, Class::Output];
        classes.extend(self.cache_writes);
        if can(Capability::Audio) {
            classes.extend([Class::AudioIn, Class::AudioOut]);
        }
        if can(Capability::ImageOutput) {
            classes.push(Class::Image);
        }
        classes
    }
}
