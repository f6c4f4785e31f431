//! Rates as clients read them: one map over models, whose keys say model and class.

use aione_core::{
    config::snapshot::Model,
    domain::{
        clock::Timestamp,
        money::{Pico, Rate},
        plan::Plan,
        price::Rates,
    },
};
use std::collections::BTreeMap;

/// Capabilities of models that write nothing.
const READERS: [&str; 3] = ["embeddings", "rerank", "moderation"];

/// The rates of a plan in force at `at`, decimals in the billing currency: under `<model>` where one rate
/// covers all tokens, else under `<model>:<class>`, such as `gpt-4o:cache_read`. All are for 1M
/// tokens but `:image`, `:search`, `:character`, `:second` and `:request`, which are for one. The
/// tiers of long prompts have no key.
pub(crate) fn price_map<'a>(
    plan: &Plan,
    models: impl IntoIterator<Item = &'a Model>,
    at: Timestamp,
) -> BTreeMap<String, String> {
    let mut map = BTreeMap::new();
    for model in models {
        let Some(rates) = plan.price_of(&model.id).and_then(|price| price.rates_at(0, at)) else { continue };
        let named = |class: &str| format!("{}:{class}", model.id);
        let tokens: Vec<_> = stated(&per_token(rates)).collect();
        match one_for_all(model, rates, &tokens) {
            Some(rate) => drop(map.insert(model.id.to_string(), rate.to_per_million())),
            None => map.extend(tokens.into_iter().map(|(class, rate)| (named(class), rate.to_per_million()))),
        }
        let fees = [
            ("image", rates.image),
            ("search", rates.search),
            ("character", rates.character),
            ("second", rates.second),
            ("request", rates.request),
        ];
        map.extend(stated(&fees).map(|(class, fee)| (named(class), Pico(fee.0.into()).to_decimal())));
    }
    map
}

type Classes<const N: usize> = [(&'static str, Option<Rate>); N];

fn per_token(rates: &Rates) -> Classes<8> {
    [
        ("input", rates.input),
        ("cache_read", rates.cache_read),
        ("cache_write_5m", rates.cache_write_5m),
        ("cache_write_1h", rates.cache_write_1h),
        ("audio_in", rates.audio_in),
        ("output", rates.output),
        ("reasoning", rates.reasoning),
        ("audio_out", rates.audio_out),
    ]
}

fn stated<const N: usize>(classes: &Classes<N>) -> impl Iterator<Item = (&'static str, Rate)> {
    classes.iter().filter_map(|(class, rate)| rate.map(|rate| (*class, rate)))
}

/// The rate that all stated classes have, where they are all that the model's tokens can be of.
fn one_for_all(model: &Model, rates: &Rates, tokens: &[(&str, Rate)]) -> Option<Rate> {
    let only_reads = model
        .capabilities
        .as_ref()
        .is_some_and(|stated| !stated.is_empty() && stated.iter().all(|it| READERS.contains(&it.as_str())));
    let rate = rates.input.filter(|_| only_reads || rates.output.is_some())?;
    tokens.iter().all(|(_, other)| *other == rate).then_some(rate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aione_core::config::check::{Nothing, Source, check};
    use std::sync::Arc;

    /// The map of one model `m` with this price, a pair a line.
    fn map(price: &str, capabilities: &str) -> Vec<String> {
        let text = format!(
            "providers: {{ sim: {{ kind: simulated }} }}\nmodels:\n  m:\n    price: {price}\n    \
             capabilities: {capabilities}\n    route: {{ deployments: [{{ provider: sim }}] }}\n"
        );
        let source = Source { name: Arc::from("aione.yaml"), text };
        let snapshot = check(&[source], &Nothing).expect("sound").snapshot;
        let models = snapshot.each_model().into_values().map(|model| &**model);
        price_map(&snapshot.plans[&snapshot.default_plan], models, Timestamp(0))
            .into_iter()
            .map(|(key, rate)| format!("{key} {rate}"))
            .collect()
    }

    #[test]
    fn a_class_has_a_key_of_its_own_unless_one_rate_covers_all() {
        let chat = "[chat]";
        assert_eq!(
            map("{ input: '1.05', cache_read: '0.525', output: '4.20', cache_write_1h: '2' }", chat),
            ["m:cache_read 0.525", "m:cache_write_1h 2", "m:input 1.05", "m:output 4.2"]
        );
        assert_eq!(map("{ input: '2', cache_read: '2.0', output: '2' }", chat), ["m 2"]);
        assert_eq!(map("{ input: '0', output: '0' }", chat), ["m 0"]);
        assert_eq!(map("{ input: '2' }", chat), ["m:input 2"], "what is written has no rate");
        assert_eq!(map("{ input: '2' }", "[embeddings]"), ["m 2"], "nothing is written");
    }

    #[test]
    fn a_fee_is_for_one_and_a_price_that_is_not_in_force_is_not_shown() {
        let fees = "{ input: '1', output: '1', image: '0.04', request: '0.000001' }";
        assert_eq!(map(fees, "[chat, image_output]"), ["m 1", "m:image 0.04", "m:request 0.000001"]);
        assert_eq!(
            map("{ character: '0.000015', second: '0.0001' }", "[audio]"),
            ["m:character 0.000015", "m:second 0.0001"]
        );
        let later =
            "[{ input: '1', output: '1' }, { from: '2999-01-01T00:00:00Z', input: '9', output: '9' }]";
        assert_eq!(map(later, "[chat]"), ["m 1"]);
        assert_eq!(map("[{ from: '2999-01-01T00:00:00Z', input: '9', output: '9' }]", "[chat]").len(), 0);
    }
}
