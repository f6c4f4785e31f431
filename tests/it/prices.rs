//! What an exchange costs follows from the plan of its organization.

use crate::support::{
    account::Account,
    client::{self, Call, Version},
    gateway::{Gateway as TestedGateway, TestGateway},
    money::{self, pico},
    records::Record,
    settings::OPERATOR,
    upstream::Upstream,
    wait,
};
use serde_json::{Value, json};

#[tokio::test]
async fn a_plans_own_rates_price_its_organizations_requests_and_nobody_elses() {
    let upstream = Upstream::start().await;
    let deal = json!({ "models": ["m"], "price_per_1m_tokens": { "m:output": "1", "m:request": "0.5" } });
    let gateway = TestGateway::new().upstream("up", &upstream).model("m", &["up"]).plan("deal", deal);
    let gateway = gateway.start().await;
    let body = json!({ "name": "Acme", "slug": "acme", "plan": "deal" }).to_string();
    gateway.admin(Call::post("/api/v1/orgs", body)).await;
    let of_acme = async |call: Call| {
        let call = call.bearer(OPERATOR).header("x-aione-org", "acme");
        client::send(Version::H1, gateway.settings.admin, &call).await
    };
    let made = of_acme(Call::post("/api/v1/gateway/keys", r#"{"name":"k"}"#)).await;
    let key = made.json()["key"].as_str().unwrap().to_owned();
    let dear = gateway.send(&Call::chat(&gateway.key().await, "m")).await.ok();
    let cheap = gateway.send(&Call::chat(&key, "m")).await.ok();
    let truths = upstream.truths();
    assert_eq!(truths.len(), 2);
    let cost = |id: &str, records: &[Record]| records.iter().find(|record| record.id() == id).unwrap().cost();
    let records = gateway.records_eventually(2).await;
    assert_eq!(cost(&dear.request_id(), &records), money::cost(&truths[0]));
    let discount = (pico(money::OUTPUT) - pico("1")) / 1_000_000 * i128::from(truths[1].completion);
    assert_eq!(cost(&cheap.request_id(), &records), money::cost(&truths[1]) - discount + pico("0.5"));

    let plan = of_acme(Call::get("/api/v1/billing/plan")).await.ok().json();
    let expected: Value =
        json!({ "m:input": "1.05", "m:cache_read": "0.525", "m:output": "1", "m:request": "0.50" });
    assert_eq!(plan["price_per_1m_tokens"], expected);
    let models = of_acme(Call::get("/api/v1/gateway/models")).await.ok().json();
    assert_eq!(models["items"][0]["price_per_1m_tokens"], expected);

    let audit = gateway.command(&["audit", "-c", "aione.yaml"]).output().unwrap();
    let said = String::from_utf8_lossy(&audit.stdout);
    assert!(audit.status.success() && said.contains("records   2"), "{said}");
}

#[tokio::test]
async fn a_price_that_changes_later_or_back_dated_leaves_what_was_recorded() {
    let upstream = Upstream::start().await;
    let mut gateway = TestGateway::new().upstream("up", &upstream).model("m", &["up"]).start().await;
    let key = gateway.key().await;
    let mut expected = Vec::new();
    let mut ask = async |gateway: &TestedGateway, input: &str, output: &str| {
        let id = gateway.send(&Call::chat(&key, "m")).await.ok().request_id();
        let truth = upstream.truths().pop().unwrap();
        let rate = |rate: &str| pico(rate) / 1_000_000;
        let cost = rate(input) * i128::from(truth.prompt - truth.cached)
            + rate(money::CACHE_READ) * i128::from(truth.cached)
            + rate(output) * i128::from(truth.completion);
        expected.push((id, cost));
    };
    let period = |from: &str, input: &str, output: &str| json!({ "from": from, "input": input, "cache_read": money::CACHE_READ, "output": output });
    ask(&gateway, money::INPUT, money::OUTPUT).await;
    // From the beginning of last year on, as if it had always been so: what is recorded has its price.
    let back = period("2025-01-01T00:00:00Z", "2", "8");
    reprice(&mut gateway, json!([period("2000-01-01T00:00:00Z", "9", "9"), back])).await;
    ask(&gateway, "2", "8").await;
    // From a day that has not come, beside what holds until then.
    let future = period("2999-01-01T00:00:00Z", "100", "100");
    reprice(&mut gateway, json!([period("2025-01-01T00:00:00Z", "3", "7"), future])).await;
    ask(&gateway, "3", "7").await;
    let records = gateway.records_eventually(expected.len()).await;
    for (id, cost) in &expected {
        let record = records.iter().find(|record| record.id() == id).unwrap();
        assert_eq!(record.cost(), *cost, "{id}");
    }
    let audit = gateway.command(&["audit", "-c", "aione.yaml"]).output().unwrap();
    assert!(audit.status.success(), "{}", String::from_utf8_lossy(&audit.stdout));
}

#[tokio::test]
async fn what_was_used_without_a_price_is_charged_once_there_is_one() {
    let upstream = Upstream::start().await;
    let gateway = TestGateway::new().upstream("up", &upstream).model("m", &["up"]);
    let quarantine = gateway.set("/billing/unpriced", "quarantine").set("/models/m/price", Value::Null);
    let mut gateway = quarantine.start().await;
    let key = gateway.key().await;
    for _ in 0..3 {
        gateway.send(&Call::chat(&key, "m")).await.ok();
    }
    assert!(gateway.all_records(3).await.iter().all(|record| record.cost() == 0));
    assert_eq!(balance(&gateway).await, 0);
    // From tomorrow on: what was used today has none still.
    let later = json!({ "from": "2999-01-01T00:00:00Z", "input": "1", "output": "1", "cache_read": "1" });
    reprice(&mut gateway, json!([later])).await;
    let price = json!({ "input": money::INPUT, "output": money::OUTPUT, "cache_read": money::CACHE_READ });
    reprice(&mut gateway, price).await;
    let expected: i128 = upstream.truths().iter().map(money::cost).sum();
    wait::until("it is charged", async || (balance(&gateway).await == -expected).then_some(())).await;
    for record in gateway.all_records(3).await {
        assert!(record.cost() > 0);
    }
    let ledger = gateway.admin(Call::get("/api/v1/billing/ledger")).await.ok().json();
    let notes: Vec<_> = ledger["items"].as_array().unwrap().iter().map(|entry| &entry["note"]).collect();
    assert_eq!(notes, ["priced later"; 3]);
    let audit = gateway.command(&["audit", "-c", "aione.yaml"]).output().unwrap();
    assert!(audit.status.success(), "{}", String::from_utf8_lossy(&audit.stdout));
}

async fn balance(gateway: &TestedGateway) -> i128 {
    Account(gateway).amount("balance_rmb").await
}

/// Puts another price of `m` in force.
async fn reprice(gateway: &mut TestedGateway, price: Value) {
    gateway.settings = gateway.settings.clone().set("/models/m/price", price);
    gateway.write_settings();
    gateway.admin(Call::post("/api/v1/config/reload", "")).await.ok();
}
