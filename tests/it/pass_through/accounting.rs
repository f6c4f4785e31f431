//! What is counted and charged, and which limits hold.

use super::{SOLD, Stage, usage};
use crate::support::{
    client::Call,
    upstream::{Gate, Script},
    wait,
};
use serde_json::{Value, json};

#[tokio::test]
async fn an_answer_that_tells_its_usage_is_charged_by_it_and_another_by_the_request() {
    let stage = Stage::new().await;
    let record = async |script: Script, call: Call| {
        stage.upstream.next(script);
        let answer = stage.send(call).await;
        stage.gateway.record(&answer.request_id()).await
    };
    let told = json!({ "object": "thing", "usage": usage(100, 50) }).to_string();
    let counted = record(Script::json(200, &told), Call::post("/v1/things", "{\"a\":1}")).await;
    assert_eq!((&*counted.0["dialect"], counted.model(), counted.provider()), ("raw", SOLD, "up"));
    assert_eq!((counted.end(), counted.provenance(), counted.flagged()), ("complete", "provider", false));
    assert_eq!((counted.prompt(), counted.completion()), (100, 50));
    // 0.01 + 100 × 1 ÷ 10⁶ + 50 × 2 ÷ 10⁶
    assert_eq!(counted.cost(), 10_200_000_000);
    // In the words of another dialect, which the answer names.
    let response = json!({ "object": "response", "usage": { "input_tokens": 9, "output_tokens": 4 } });
    let counted = record(Script::json(200, response.to_string()), Call::get("/v1/things")).await;
    assert_eq!((counted.prompt(), counted.completion(), counted.provenance()), (9, 4, "provider"));
    // What tells nothing is flagged: the request has its price, and tokens are made up by nobody.
    for script in
        [Script::json(200, "[1, 2]"), Script::answer(200, &[("content-type", "audio/mpeg")], [7; 90_000])]
    {
        let unknown =
            record(script, Call::post("/v1/things", "{\"a\":\"a long text, which is no prompt\"}")).await;
        assert_eq!((unknown.prompt(), unknown.completion(), unknown.cost()), (0, 0, 10_000_000_000));
        assert_eq!((unknown.end(), unknown.provenance(), unknown.flagged()), ("complete", "estimated", true));
    }
    let failed = record(Script::error(422, "no"), Call::get("/v1/things")).await;
    assert_eq!((failed.end(), failed.status(), failed.cost()), ("upstream_error", 422, 0));

    let listed = stage.gateway.admin(Call::get("/api/v1/obs/requests")).await.ok().json();
    let rows = listed["items"].as_array().or(listed["data"].as_array()).or(listed.as_array()).unwrap();
    assert_eq!(rows.len(), 5);
    assert!(rows.iter().all(|row| row["dialect"] == "raw" && row["model"] == SOLD), "{listed}");
    let used = stage.gateway.usage("model").await;
    assert_eq!((used.len(), used[0].requests(), used[0].prompt(), used[0].completion()), (1, 5, 109, 54));
    let metrics = stage.gateway.metrics().await;
    assert!(
        metrics.series().any(|(name, value)| name.contains(&format!("model=\"{SOLD}\"")) && value >= 4.0)
    );
    let line = stage.gateway.log_lines().into_iter().find(|line| line["path"] == "/v1/things").unwrap();
    assert_eq!((&line["model"], &line["provider"]), (&json!(SOLD), &json!("up")));
    let audit = stage.gateway.command(&["audit", "-c", "aione.yaml"]).output().unwrap();
    assert!(audit.status.success(), "{}", String::from_utf8_lossy(&audit.stdout));
    let key = stage.gateway.create_key(json!({})).await;
    let why = Call::get(&format!("/api/v1/explain?model={SOLD}&key_id={}", key.id));
    let why = stage.gateway.admin(why).await.ok().json();
    assert_eq!((&why["verdict"], &why["deployments"][0]["id"]), (&json!("routed"), &json!(SOLD)), "{why}");
    let shown = stage.gateway.admin(Call::get("/api/v1/config")).await.ok().json();
    assert_eq!(shown["providers"][0]["pass_through"][1], "GET /v1/things/{}");
    let upstreams = stage.gateway.admin(Call::get("/api/v1/upstreams")).await;
    assert!(upstreams.text().contains(SOLD), "{}", upstreams.text());
}

#[tokio::test]
async fn a_body_that_names_a_model_is_sold_as_that_model() {
    let stage = Stage::new().await;
    let answer = json!({ "object": "thing", "usage": usage(1_000, 200) }).to_string();
    stage.upstream.next(Script::json(200, &answer));
    let body = "{ \"a\":[1], \"model\" : \"m\", \"stream\":false }";
    let told = stage.send(Call::post("/v1/things", body)).await.ok();
    assert_eq!(told.text(), answer);
    let seen = stage.upstream.the_one();
    assert_eq!(String::from_utf8_lossy(&seen.body), body.replace("\"m\"", "\"up-m\""));
    let record = stage.gateway.record(&told.request_id()).await;
    assert_eq!((&*record.0["dialect"], record.model(), &*record.0["upstream_model"]), ("raw", "m", "up-m"));
    assert_eq!((record.prompt(), record.completion(), record.provenance()), (1_000, 200, "provider"));
    // Where nothing is told, what a model's answer would have is estimated, as everywhere.
    stage.upstream.next(Script::json(200, "{\"choices\":[{\"message\":{\"content\":\"some words\"}}]}"));
    let silent = stage.post("/v1/things", &json!({ "model": "m", "text": "x".repeat(300) })).await.ok();
    let record = stage.gateway.record(&silent.request_id()).await;
    assert_eq!((record.model(), record.provenance(), record.completion()), ("m", "estimated", 2));
    assert!((90..120).contains(&record.prompt()), "{record:?}");
}

#[tokio::test]
async fn limits_and_budgets_hold_as_for_models() {
    let stage = Stage::with(|settings| {
        settings.plan("standard", json!({ "models": ["*"], "concurrency_limits": { SOLD: 2 } }))
    })
    .await;
    let key = async |fields: Value| stage.gateway.create_key(fields).await.secret;
    let get = async |key: &str| stage.gateway.send(&Call::get("/v1/things").bearer(key)).await;
    let limited = |answer: &crate::support::client::Answer, limit: &str| {
        assert_eq!(
            (answer.status, &answer.json()["error"]["limit"]),
            (429, &json!(limit)),
            "{}",
            answer.text()
        );
        assert!(answer.header("retry-after").is_some());
    };
    stage.upstream.decide(|_| Script::json(200, json!({ "usage": usage(60, 40) }).to_string()));
    for (fields, limit) in [(json!({ "rpm_limit": 1 }), "rpm"), (json!({ "rpd_limit": 1 }), "rpd")] {
        let key = key(fields).await;
        get(&key).await.ok();
        limited(&get(&key).await, limit);
    }
    // Tokens count when the answer tells them.
    let of_tokens = key(json!({ "tpm_limit": 99 })).await;
    let first = get(&of_tokens).await.ok();
    assert_eq!(first.header("x-ratelimit-limit-tokens"), Some("99"));
    stage.gateway.record(&first.request_id()).await;
    limited(&get(&of_tokens).await, "tpm");

    let gate = Gate::closed();
    for _ in 0..2 {
        stage.upstream.next(Script::new().wait(&gate).send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"));
    }
    let asked = stage.upstream.asked();
    let under_way = async { tokio::join!(get(&stage.key), get(&stage.key)) };
    let third = async {
        let there = async || (stage.upstream.asked() >= asked + 2).then_some(());
        wait::until("two are under way", there).await;
        limited(&get(&stage.key).await, "concurrency");
        gate.open();
    };
    let ((one, two), ()) = tokio::join!(under_way, third);
    assert_eq!((one.ok().text(), two.ok().text()), ("ok".to_owned(), "ok".to_owned()));

    let poor = key(json!({ "budget_rmb": "0.015", "budget_period": "day" })).await;
    get(&poor).await.ok();
    let spent = get(&poor).await;
    assert_eq!((spent.status, spent.header("x-aione-refused")), (402, Some("insufficient_balance")));
}

#[tokio::test]
async fn what_has_no_price_is_kept_apart_until_it_has_one() {
    let mut stage = Stage::with(|settings| {
        settings.set("/billing/unpriced", "quarantine").set("/providers/up/pass_through_price", Value::Null)
    })
    .await;
    stage.upstream.next(Script::json(200, json!({ "usage": usage(100, 50) }).to_string()));
    let answer = stage.send(Call::get("/v1/things")).await.ok();
    let record = stage.gateway.record(&answer.request_id()).await;
    assert_eq!((record.cost(), &*record.0["unpriced"]), (0, "1"));
    let price = json!({ "request": "0.01", "input": "1", "output": "2" });
    stage.gateway.settings = stage.gateway.settings.clone().set("/providers/up/pass_through_price", price);
    stage.gateway.write_settings();
    stage.gateway.admin(Call::new("POST", "/api/v1/config/reload")).await.ok();
    wait::until("it is charged", async || {
        let record = stage.gateway.record(&answer.request_id()).await;
        (record.cost() == 10_200_000_000).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_killed_gateway_has_a_record_of_what_was_under_way() {
    let mut stage = Stage::new().await;
    let gate = Gate::closed();
    stage.upstream.next(Script::events().chunk("data: 1\n\n").wait(&gate));
    let call = Call::get("/v1/things").bearer(&stage.key);
    let mut exchange = stage.gateway.open_over(crate::support::client::Version::H1, &call).await;
    let mut body = Vec::new();
    exchange.read_to(&mut body, 9).await;
    stage.gateway.kill9();
    stage.gateway.start().await;
    let records = stage.gateway.records_eventually(1).await;
    assert_eq!(
        (records[0].end(), &*records[0].0["dialect"], records[0].model()),
        ("interrupted", "raw", SOLD)
    );
}
