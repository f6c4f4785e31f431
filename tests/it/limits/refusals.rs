//! What a refused caller is told, and what a refusal costs.

use crate::support::{
    client::{Answer, BOTH, Call},
    gateway::{Gateway, TestGateway},
    upstream::{Script, Truth, Upstream, openai},
};
use serde_json::json;

async fn stage() -> (Gateway, Upstream) {
    let truth = Truth::plain("x", 100, 900);
    let upstream = Upstream::always(Script::json(200, openai::completion(&truth, "m")).truth(&truth)).await;
    let gateway = TestGateway::new().upstream("up", &upstream).model("m", &["up"]).start().await;
    (gateway, upstream)
}

fn ask(key: &str, ceiling: u64) -> Call {
    let messages = json!([{ "role": "user", "content": "Say it." }]);
    Call::chat_with(key, &json!({ "model": "m", "max_tokens": ceiling, "messages": messages }))
}

fn assert_limited(answer: &Answer, limit: &str) {
    assert_eq!(answer.status, 429, "{}", answer.text());
    let error = &answer.json()["error"];
    assert_eq!(error["code"], "rate_limit_exceeded");
    assert_eq!(error["type"], "rate_limit_error");
    assert!(error.as_object().unwrap().values().any(|value| value == limit), "no limit {limit:?} in {error}");
    assert_eq!(answer.header("x-aione-refused"), Some("rate_limit_exceeded"));
    let seconds: u64 = answer.header("retry-after").expect("retry-after").parse().unwrap();
    let millis: u64 = answer.header("retry-after-ms").expect("retry-after-ms").parse().unwrap();
    assert!((1..=61).contains(&seconds), "{seconds} s");
    assert!(millis > 0 && millis.div_ceil(1_000) <= seconds, "{millis} ms and {seconds} s");
}

fn number(answer: &Answer, name: &str) -> u64 {
    let value = answer.header(name).unwrap_or_else(|| panic!("no {name} in {:?}", answer.headers));
    value.parse().unwrap_or_else(|_| panic!("{name}: {value}"))
}

/// `6m0s`, `1.5s`, `12ms`: digits, a point, and units of time.
fn assert_go_duration(text: &str) {
    assert!(text.starts_with(|c: char| c.is_ascii_digit()), "{text:?}");
    assert!(text.ends_with('s') || text.ends_with('m') || text.ends_with('h'), "{text:?}");
    assert!(text.chars().all(|c| c.is_ascii_digit() || ".hmsuµn".contains(c)), "{text:?}");
}

#[tokio::test]
async fn a_refusal_for_requests_says_so_and_when_to_come_back() {
    let (gateway, upstream) = stage().await;
    for version in BOTH {
        let key = gateway.create_key(json!({ "rpm_limit": 2 })).await.secret;
        for left in [1, 0] {
            let answer = gateway.send_over(version, &Call::chat(&key, "m")).await.ok();
            assert_eq!(number(&answer, "x-ratelimit-limit-requests"), 2);
            assert_eq!(number(&answer, "x-ratelimit-remaining-requests"), left);
            assert_go_duration(answer.header("x-ratelimit-reset-requests").expect("a reset"));
        }
        let refused = gateway.send_over(version, &Call::chat(&key, "m")).await;
        assert_limited(&refused, "rpm");
        assert_eq!(number(&refused, "x-ratelimit-remaining-requests"), 0);
    }
    assert_eq!(upstream.asked(), 4);
    gateway.all_records(4).await;
}

#[tokio::test]
async fn a_refusal_for_tokens_says_so_and_uses_no_request() {
    let (gateway, _upstream) = stage().await;
    // The truth, 1 000 tokens, is more than what the first call reserves: over-use is paid back.
    let key = gateway.create_key(json!({ "tpm_limit": 1_000, "rpm_limit": 10 })).await.secret;
    let first = gateway.send(&ask(&key, 10)).await.ok();
    assert_eq!(number(&first, "x-ratelimit-limit-tokens"), 1_000);
    gateway.quiet().await;
    for _ in 0..20 {
        let refused = gateway.send(&ask(&key, 10)).await;
        assert_limited(&refused, "tpm");
        assert_eq!(number(&refused, "x-ratelimit-remaining-tokens"), 0);
        assert_eq!(number(&refused, "x-ratelimit-remaining-requests"), 9, "a refusal uses no request");
    }
}

#[tokio::test]
async fn a_refusal_for_concurrency_says_so() {
    let gate = crate::support::upstream::Gate::closed();
    let upstream =
        Upstream::always(Script::events().chunk("data: {\"choices\":[]}\n\n").wait(&gate).end()).await;
    let gateway = TestGateway::new().upstream("up", &upstream).model("m", &["up"]).start().await;
    let key = gateway.create_key(json!({ "max_concurrency": 1 })).await.secret;
    let public = gateway.settings.public;
    let call = Call::stream(&key, "m");
    let running = tokio::spawn(async move {
        crate::support::client::send(crate::support::client::Version::H1, public, &call).await
    });
    crate::support::wait::until("the first is in flight", async || (upstream.asked() == 1).then_some(()))
        .await;
    for version in BOTH {
        let refused = gateway.send_over(version, &Call::stream(&key, "m")).await;
        assert_limited(&refused, "concurrency");
    }
    gate.open();
    running.await.unwrap().ok();
    gateway.quiet().await;
    gateway.send(&Call::stream(&key, "m")).await.ok();
}

#[tokio::test]
async fn a_high_ceiling_is_not_refused_for_ever() {
    let (gateway, _upstream) = stage().await;
    // min(ceiling, reserve_cap, the limit itself): an agent that asks for 128 000 gets through.
    let key = gateway.create_key(json!({ "tpm_limit": 20_000 })).await.secret;
    gateway.send(&ask(&key, 128_000)).await.ok();
}

#[tokio::test]
async fn without_a_reserve_cap_the_whole_ceiling_must_fit() {
    let truth = Truth::plain("x", 100, 900);
    let upstream = Upstream::always(Script::json(200, openai::completion(&truth, "m")).truth(&truth)).await;
    let gateway = TestGateway::new()
        .upstream("up", &upstream)
        .model("m", &["up"])
        .limits(json!({ "reserve_cap": "none" }))
        .start()
        .await;
    let key = gateway.create_key(json!({ "tpm_limit": 20_000 })).await.secret;
    assert_eq!(gateway.send(&ask(&key, 128_000)).await.status, 429);
    gateway.send(&ask(&key, 10_000)).await.ok();
}

#[tokio::test]
async fn what_was_reserved_too_much_is_given_back() {
    let (gateway, _upstream) = stage().await;
    // Each reserves more than half and uses a tenth: only what was used may count.
    let key = gateway.create_key(json!({ "tpm_limit": 10_000 })).await.secret;
    for call in 0..4 {
        let answer = gateway.send(&ask(&key, 5_500)).await;
        assert_eq!(answer.status, 200, "call {call}: {}", answer.text());
        gateway.quiet().await;
    }
}

#[tokio::test]
async fn a_changed_limit_applies_to_the_next_admission_and_forgets_nothing() {
    let (gateway, _upstream) = stage().await;
    let key = gateway.create_key(json!({ "rpm_limit": 2 })).await;
    let change = async |limit: serde_json::Value| {
        let body = json!({ "rpm_limit": limit }).to_string();
        let mut call = Call::post(&format!("/api/v1/gateway/keys/{}", key.id), body);
        call.method = "PUT";
        gateway.admin(call).await.ok();
    };
    let ask = async || gateway.send(&Call::chat(&key.secret, "m")).await.status;
    assert_eq!([ask().await, ask().await, ask().await], [200, 200, 429]);
    change(json!(3)).await;
    assert_eq!([ask().await, ask().await], [200, 429]);
    change(json!(1)).await;
    assert_eq!(ask().await, 429);
    change(json!(null)).await;
    assert_eq!(ask().await, 200);
}

#[tokio::test]
async fn a_refusal_before_admission_uses_nothing() {
    let (gateway, _upstream) = stage().await;
    let key = gateway.create_key(json!({ "rpm_limit": 1 })).await.secret;
    for _ in 0..10 {
        assert_eq!(gateway.send(&Call::chat(&key, "missing")).await.status, 404);
        assert_eq!(gateway.send(&Call::post("/v1/chat/completions", "{").bearer(&key)).await.status, 400);
    }
    gateway.send(&Call::chat(&key, "m")).await.ok();
}
