//! What a new user sees first: a key, an answer, and its usage to the token.

use crate::support::{
    client::{self, BOTH, Call, Version},
    gateway::{Gateway, SYNCS, TestGateway},
    money,
    upstream::{Events, Truth, Upstream, openai},
    wait,
};
use serde_json::{Value, json};
use std::{collections::HashSet, time::Duration};

/// An ended answer is in usage within this time.
const VISIBLE_WITHIN: Duration = Duration::from_secs(1);

async fn one_model() -> (Gateway, Upstream) {
    one_model_with(SYNCS[0]).await
}

async fn one_model_with(sync: &str) -> (Gateway, Upstream) {
    let upstream = Upstream::start().await;
    let gateway = TestGateway::new().upstream("up", &upstream).model("gpt-test", &["up"]);
    (gateway.journal_sync(sync).start().await, upstream)
}

/// Asserts that within a second the usage is the sum of `truths`, to the token and the cost's
/// last digit.
async fn expect_usage(gateway: &Gateway, truths: &[Truth]) {
    let total = truths.len() as u64;
    let seen = wait::until_within(VISIBLE_WITHIN, async || {
        let rows = gateway.usage("model").await;
        (rows.first().is_some_and(|row| row.requests() == total)).then_some(rows)
    });
    let rows = seen.await.expect("the usage is there within a second");
    let [row] = &rows[..] else { panic!("one model, one row: {rows:?}") };
    let sum = |part: fn(&Truth) -> u64| truths.iter().map(part).sum::<u64>();
    assert_eq!(row.0["model"], "gpt-test");
    assert_eq!(row.prompt(), sum(|truth| truth.prompt));
    assert_eq!(row.cached(), sum(|truth| truth.cached));
    assert_eq!(row.completion(), sum(|truth| truth.completion));
    assert_eq!(row.reasoning(), sum(|truth| truth.reasoning));
    assert_eq!(row.cost(), truths.iter().map(money::cost).sum::<i128>());
}

#[tokio::test]
async fn a_plain_answer_arrives_unchanged_and_is_metered_to_the_token() {
    for sync in SYNCS {
        let (gateway, upstream) = one_model_with(sync).await;
        let key = gateway.key().await;
        for version in BOTH {
            let answer = gateway.send_over(version, &Call::chat(&key, "gpt-test")).await.ok();
            let truth = upstream.truths().pop().unwrap();
            assert_eq!(answer.body, openai::completion(&truth, "gpt-test"), "{version:?}");
            assert!(answer.header("x-aione-refused").is_none());
            let record = gateway.record(&answer.request_id()).await;
            assert_eq!((record.end(), record.provenance()), ("complete", "provider"));
        }
        expect_usage(&gateway, &upstream.truths()).await;
    }
}

#[tokio::test]
async fn a_streamed_answer_arrives_unchanged_and_is_metered_to_the_token() {
    for sync in SYNCS {
        let (gateway, upstream) = one_model_with(sync).await;
        let key = gateway.key().await;
        for version in BOTH {
            let answer = gateway.send_over(version, &Call::stream(&key, "gpt-test")).await.ok();
            let truth = upstream.truths().pop().unwrap();
            let events = Events::new(&truth, "gpt-test", openai::CONTENT_EVENTS);
            assert_eq!(answer.text(), String::from_utf8(events.without_usage()).unwrap(), "{version:?}");
            assert!(answer.header("content-type").unwrap().starts_with("text/event-stream"));
        }
        let seen = upstream.seen();
        assert_eq!(seen.len(), BOTH.len());
        assert!(seen.iter().all(|seen| seen.json()["stream_options"]["include_usage"] == json!(true)));
        expect_usage(&gateway, &upstream.truths()).await;
    }
}

#[tokio::test]
async fn completions_and_embeddings_are_metered() {
    for sync in SYNCS {
        let (gateway, upstream) = one_model_with(sync).await;
        let key = gateway.key().await;
        let prompt = json!({ "model": "gpt-test", "prompt": "Say it." }).to_string();
        gateway.send(&Call::post("/v1/completions", prompt).bearer(&key)).await.ok();
        let input = json!({ "model": "gpt-test", "input": "Embed it." }).to_string();
        gateway.send(&Call::post("/v1/embeddings", input).bearer(&key)).await.ok();
        expect_usage(&gateway, &upstream.truths()).await;
    }
}

#[tokio::test]
async fn usage_groups_by_every_column() {
    let (gateway, upstream) = one_model().await;
    let key = gateway.create_key(json!({ "name": "grouped" })).await;
    gateway.send(&Call::chat(&key.secret, "gpt-test")).await.ok();
    gateway.usage_eventually(|rows| rows.len() == 1).await;
    let truth = upstream.truths().remove(0);
    for (column, value) in [
        ("day", None),
        ("hour", None),
        ("model", Some("gpt-test")),
        ("provider", Some("up")),
        ("key", Some(key.id.as_str())),
        ("team", key.json["team_id"].as_str()),
    ] {
        let rows = gateway.usage(column).await;
        assert_eq!(rows.len(), 1, "by {column}: {rows:?}");
        assert_eq!(rows[0].prompt(), truth.prompt, "by {column}");
        assert_eq!(rows[0].cost(), money::cost(&truth), "by {column}");
        if let Some(value) = value {
            let found = rows[0].0.as_object().unwrap().values().any(|field| field == value);
            assert!(found, "by {column}: no {value} in {}", rows[0].0);
        }
    }
}

#[tokio::test]
async fn the_key_is_shown_once_and_in_the_contracts_order() {
    let (gateway, _upstream) = one_model().await;
    let answer = gateway.admin(Call::post("/api/v1/gateway/keys", r#"{"name":"first"}"#)).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let names = [
        "id",
        "org_id",
        "team_id",
        "name",
        "key",
        "key_prefix",
        "models_allowed",
        "rpm_limit",
        "tpm_limit",
        "is_sandbox",
        "allowed_ips",
        "expires_at",
        "rotate_grace_until",
        "status",
        "created_at",
    ];
    let text = answer.text();
    let places: Vec<_> = names
        .iter()
        .map(|name| text.find(&format!("\"{name}\":")).unwrap_or_else(|| panic!("no {name} in {text}")))
        .collect();
    assert!(places.is_sorted(), "{text}");
    let made = answer.json();
    let secret = made["key"].as_str().unwrap();
    assert!(secret.starts_with("sk-aione-") && secret.len() == "sk-aione-".len() + 38, "{secret}");
    let path = format!("/api/v1/gateway/keys/{}", made["id"].as_str().unwrap());
    let shown = gateway.admin(Call::get(&path)).await.ok();
    assert_eq!(shown.json()["key"], Value::Null);
    assert_eq!(shown.json()["status"], "active");
}

#[tokio::test]
async fn models_are_listed_in_openais_shape() {
    let (gateway, _upstream) = one_model().await;
    let key = gateway.key().await;
    let list = gateway.send(&Call::get("/v1/models").bearer(&key)).await.ok().json();
    assert_eq!(list["object"], "list");
    let ids: Vec<_> = list["data"].as_array().unwrap().iter().map(|model| &model["id"]).collect();
    assert_eq!(ids, ["gpt-test"]);
    let one = gateway.send(&Call::get("/v1/models/gpt-test").bearer(&key)).await.ok().json();
    assert_eq!((&one["id"], &one["object"]), (&json!("gpt-test"), &json!("model")));
    assert_eq!(gateway.send(&Call::get("/v1/models/other").bearer(&key)).await.status, 404);
    assert_eq!(gateway.send(&Call::get("/v1/models")).await.status, 401);
}

#[tokio::test]
async fn probes_need_no_key() {
    let (gateway, _upstream) = one_model().await;
    for version in BOTH {
        for call in [Call::new("HEAD", "/"), Call::get("/healthz"), Call::get("/readyz")] {
            let answer = gateway.send_over(version, &call).await;
            assert_eq!(answer.status, 200, "{version:?} {} {}", call.method, call.path);
        }
    }
}

#[tokio::test]
async fn every_request_leaves_one_access_line_of_json() {
    let (gateway, _upstream) = one_model().await;
    let key = gateway.key().await;
    let good = gateway.send(&Call::chat(&key, "gpt-test")).await.ok().request_id();
    let refused = gateway.send(&Call::chat(&key, "no-such-model")).await.request_id();
    for (id, status) in [(good, "200"), (refused, "404")] {
        let lines = wait::until(format_args!("the access line of {id}"), async || {
            let lines: Vec<_> = gateway
                .log_lines()
                .into_iter()
                .map(|line| line.to_string())
                .filter(|line| line.contains(&id))
                .collect();
            (!lines.is_empty()).then_some(lines)
        })
        .await;
        let access: Vec<_> = lines.iter().filter(|line| line.contains("\"status\"")).collect();
        assert_eq!(access.len(), 1, "{lines:?}");
        assert!(access[0].contains(status), "{access:?}");
        assert!(!access[0].contains("Say it."), "no bodies: {access:?}");
    }
}

#[tokio::test]
async fn metrics_are_a_valid_exposition() {
    let (gateway, _upstream) = one_model().await;
    let key = gateway.key().await;
    gateway.send(&Call::chat(&key, "gpt-test")).await.ok();
    gateway.send(&Call::chat(&key, "no-such-model")).await;
    gateway.quiet().await;
    let metrics = gateway.metrics().await;
    let mut typed = HashSet::new();
    let mut series = HashSet::new();
    for line in metrics.0.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(["counter", "gauge", "histogram", "summary"].contains(&kind), "{line}");
            assert!(typed.insert(name.to_owned()), "typed twice: {line}");
        }
    }
    for (name, value) in metrics.series() {
        assert!(series.insert(name.to_owned()), "twice: {name}");
        assert!(!value.is_nan(), "{name}");
        let bare = name.split('{').next().unwrap();
        let family =
            ["_bucket", "_sum", "_count"].iter().find_map(|end| bare.strip_suffix(end)).unwrap_or(bare);
        assert!(typed.contains(bare) || typed.contains(family), "no type: {name}");
    }
    assert!(series.iter().any(|name| name.starts_with("aione_")), "{}", metrics.0);
    // `Gateway::quiet` sums these: without them it would be content with nothing.
    for part in ["in_flight", "reserv"] {
        assert!(series.iter().any(|name| name.contains(part)), "no gauge of what is {part}: {}", metrics.0);
    }
    assert!(!metrics.0.contains("no-such-model"), "a caller's text is not a label");
}

#[tokio::test]
async fn the_simulated_provider_answers_with_numbers_that_are_recorded() {
    let gateway = TestGateway::new().simulated("sim").model("sim-1", &["sim"]).start().await;
    let key = gateway.key().await;
    let plain = gateway.send(&Call::chat(&key, "sim-1")).await.ok();
    let usage = &plain.json()["usage"];
    let record = gateway.record(&plain.request_id()).await;
    assert_eq!(Some(record.prompt()), usage["prompt_tokens"].as_u64());
    assert_eq!(Some(record.completion()), usage["completion_tokens"].as_u64());
    assert_eq!(record.provenance(), "provider");
    let streamed = gateway.send_over(Version::H2, &Call::stream(&key, "sim-1")).await.ok();
    assert!(streamed.text().ends_with("data: [DONE]\n\n"), "{}", streamed.text());
    assert_eq!(gateway.record(&streamed.request_id()).await.provenance(), "provider");
}

#[tokio::test]
async fn the_operators_listener_wants_an_operator() {
    let (gateway, _upstream) = one_model().await;
    let key = gateway.key().await;
    let admin = gateway.settings.admin;
    let keys = Call::get("/api/v1/gateway/keys");
    assert_eq!(client::send(Version::H1, admin, &keys.clone()).await.status, 401);
    assert_eq!(client::send(Version::H1, admin, &keys.clone().bearer("op-wrong")).await.status, 401);
    assert_eq!(client::send(Version::H1, admin, &keys.bearer(&key)).await.status, 403);
    let own = client::send(Version::H1, admin, &Call::get("/api/v1/gateway/key").bearer(&key)).await.ok();
    assert_eq!(own.json()["key"], Value::Null);
}
