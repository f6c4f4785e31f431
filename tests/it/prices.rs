//! What an exchange costs follows from the plan of its organization.

use crate::support::{
    client::{self, Call, Version},
    gateway::TestGateway,
    money::{self, pico},
    records::Record,
    settings::OPERATOR,
    upstream::Upstream,
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
