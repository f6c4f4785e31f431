//! Rates that a plan states in the place of its models' own.

use super::*;
use crate::domain::{clock::Timestamp, money::Rate, price::Unpriced, usage::Usage};

const MODELS: &str = "\
providers: { sim: { kind: simulated } }
models:
  chat:
    price:
      - { input: '1', cache_read: '0', output: '4', tiers: [{ above: 9, input: '2' }] }
      - { from: '2026-01-01T00:00:00Z', input: '3', cache_read: '0', output: '5', request: '0.5' }
    route: &route { deployments: [{ provider: sim }] }
  'llama:8b': { price: { input: '1', cache_read: '1', output: '1' }, route: *route }
  free: { route: *route }
billing: { unpriced: quarantine }
";

fn with_plans(plans: &str) -> String {
    format!("{MODELS}plans:\n  standard: {{}}\n{plans}")
}

#[test]
fn a_plans_rates_hold_in_every_period_and_tier_and_the_rest_is_the_models_own() {
    let text = with_plans(
        "  deal: { price_per_1m_tokens: { 'chat:input': '0.5', 'llama:8b': '7', 'llama:8b:output': '8', \
         'free:input': '1', 'chat:request': '0.25' } }\n",
    );
    let snapshot = check_text(&text).unwrap_or_else(|problems| panic!("{problems:#?}")).snapshot;
    let [standard, deal] = ["standard", "deal"].map(|code| &snapshot.plans[code]);
    assert_eq!(standard.prices.version, snapshot.prices.version);
    assert_ne!(deal.prices.version, snapshot.prices.version);
    let later = Timestamp(1_800_000_000_000);
    let rates = |model: &str, prompt, at| *deal.price_of(model).unwrap().rates_at(prompt, at).unwrap();
    let per = |text: &str| Some(Rate::per_million(text).unwrap());
    for (prompt, at, output) in [(1, Timestamp(0), "4"), (10, Timestamp(0), "4"), (1, later, "5")] {
        let rates = rates("chat", prompt, at);
        assert_eq!((rates.input, rates.output), (per("0.5"), per(output)), "{prompt} {at:?}");
        assert_eq!(rates.request, Some(Rate::per_unit("0.25").unwrap()));
    }
    let llama = rates("llama:8b", 0, later);
    assert_eq!([llama.input, llama.cache_write_1h, llama.reasoning], [per("7"); 3]);
    assert_eq!((llama.output, llama.image), (per("8"), None));
    let usage = Usage { input: 2, ..Usage::default() };
    assert_eq!(deal.price_of("free").unwrap().price(&usage, later).unwrap(), Rate(1_000_000).times(2));
    let unstated = Usage { output: 1, ..usage };
    assert_eq!(
        deal.price_of("free").unwrap().price(&unstated, later),
        Err(Unpriced::Class(crate::domain::price::Class::Output))
    );
    assert_eq!(standard.price_of("free"), None);
}

#[test]
fn what_a_plan_cannot_state_is_refused_where_it_stands() {
    refused(
        &with_plans(
            "  deal:
    models: [chat]
    price_per_1m_tokens:
      chat:outptu: '1'
      chta: '1'
      'llama:8b': '1'
      chat:input: '0.0000001'
      chat:output: '-1'
      chat: 1
",
        ),
        &[
            r#"a.yaml:16:20: plans.deal.price_per_1m_tokens."chat:outptu": expected a model, or a model and a class such as `chat:output` (did you mean `chat:output`?)"#,
            "a.yaml:17:13: plans.deal.price_per_1m_tokens.chta: expected a model, or a model and a class such as \
             `chat:output` (did you mean `chat`?)",
            r#"a.yaml:18:19: plans.deal.price_per_1m_tokens."llama:8b": the plan does not include `llama:8b`"#,
            r#"a.yaml:19:19: plans.deal.price_per_1m_tokens."chat:input": `0.0000001` has more than 6 digits after the point"#,
            r#"a.yaml:20:20: plans.deal.price_per_1m_tokens."chat:output": an amount cannot be negative"#,
            "a.yaml:21:13: plans.deal.price_per_1m_tokens.chat: expected a quoted amount, found a number (did you \
             mean `\"1\"`?)",
        ],
    );
}
