//! A caller of OpenAI's dialect before upstreams of another: the built-in one and honest ones, to the token.

use crate::support::{
    client::Call,
    gateway::{Gateway, TestGateway},
    upstream::Upstream,
};
use serde_json::{Value, json};

const MESSAGES: &str = "anthropic_messages";
const GEMINI: &str = "gemini";

/// One that asks the built-in provider in `dialect` for the model of that name, and in its own for `own`.
async fn simulated(dialect: &str) -> (Gateway, String) {
    let gateway = TestGateway::new()
        .simulated("own")
        .simulated("foreign")
        .set("/providers/foreign/dialects", json!([dialect]))
        .model("own", &["own"])
        .model(dialect, &["foreign"])
        .start()
        .await;
    let key = gateway.key().await;
    (gateway, key)
}

fn call(key: &str, model: &str, stream: bool, directive: &str) -> Call {
    let body = json!({
        "model": model, "stream": stream, "stream_options": { "include_usage": true },
        "messages": [{ "role": "user", "content": "Say it." }],
    });
    Call::chat_with(key, &body).header("x-aione-simulate", directive)
}

/// The text of a stream, and its usage.
fn told(text: &str) -> (String, Value) {
    let data = text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    let events: Vec<Value> = data.map(|data| serde_json::from_str(data).unwrap()).collect();
    let words = events.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str()).collect();
    (words, events.last().unwrap()["usage"].clone())
}

#[tokio::test]
async fn the_built_in_provider_says_the_same_through_every_dialect() {
    for dialect in [MESSAGES, GEMINI] {
        let (gateway, key) = simulated(dialect).await;
        for directive in ["", "seed=7, tokens=9, pace_ms=1"] {
            let own = gateway.send(&call(&key, "own", false, directive)).await.ok().json();
            let (text, usage) = (own["choices"][0]["message"]["content"].as_str().unwrap(), &own["usage"]);
            let foreign = gateway.send(&call(&key, dialect, false, directive)).await.ok();
            assert_eq!(foreign.json()["choices"][0]["message"]["content"], text, "{dialect}");
            let streamed = gateway.send(&call(&key, dialect, true, directive)).await.ok();
            assert!(streamed.text().ends_with("data: [DONE]\n\n"), "{}", streamed.text());
            let (words, streamed_usage) = told(&streamed.text());
            assert_eq!(words, text, "{dialect}");
            for told in [&foreign.json()["usage"], &streamed_usage] {
                assert_eq!(told["prompt_tokens"], usage["prompt_tokens"], "{dialect}");
                assert_eq!(told["completion_tokens"], usage["completion_tokens"], "{dialect}");
            }
            for answer in [foreign, streamed] {
                let record = gateway.record(&answer.request_id()).await;
                assert_eq!(Some(record.prompt()), usage["prompt_tokens"].as_u64());
                assert_eq!(Some(record.completion()), usage["completion_tokens"].as_u64());
                assert_eq!((record.end(), record.provenance()), ("complete", "provider"));
            }
        }
    }
}

#[tokio::test]
async fn a_ceiling_below_what_a_dialect_can_say_is_raised_and_no_suspicion() {
    const RESPONSES: &str = "openai_responses";
    let (gateway, key) = simulated(RESPONSES).await;
    let body = json!({ "model": RESPONSES, "max_tokens": 5, "messages": [{ "role": "user", "content": "Say it." }] });
    let call = Call::chat_with(&key, &body).header("x-aione-simulate", "tokens=40");
    let answer = gateway.send(&call).await.ok();
    assert_eq!(answer.header("x-aione-dropped"), Some("max_tokens"));
    let record = gateway.record(&answer.request_id()).await;
    assert_eq!((record.completion(), record.flagged()), (16, false));
}

#[tokio::test]
async fn its_errors_reach_the_caller_from_every_dialect() {
    for dialect in [MESSAGES, GEMINI] {
        let (gateway, key) = simulated(dialect).await;
        for stream in [false, true] {
            let refused = gateway.send(&call(&key, dialect, stream, "status=429, retry_after=2")).await;
            assert_eq!((refused.status, refused.header("retry-after")), (429, Some("2")), "{dialect}");
            assert_eq!(refused.message(), "Simulated error 429");
        }
        let broken = gateway.send(&call(&key, dialect, true, "error_event=6")).await;
        assert!(broken.text().contains("Simulated error in the answer"), "{}", broken.text());
        assert!(!broken.text().contains("[DONE]"));
        let record = gateway.record(&broken.request_id()).await;
        assert_eq!(record.end(), "upstream_aborted", "{dialect}");
        let cut = gateway.send(&call(&key, dialect, true, "cut_after=6")).await;
        assert!(!cut.text().contains("[DONE]"));
        assert_eq!(gateway.record(&cut.request_id()).await.end(), "upstream_aborted", "{dialect}");
    }
}

#[tokio::test]
async fn an_honest_upstream_of_every_dialect_is_billed_to_the_token() {
    for kind in ["anthropic", "gemini"] {
        let upstream = Upstream::start().await;
        let gateway = TestGateway::new()
            .upstream("up", &upstream)
            .set("/providers/up/kind", kind)
            .model("m", &["up"])
            .start()
            .await;
        let key = gateway.key().await;
        for stream in [false, true, true, false] {
            let answer = gateway.send(&call(&key, "m", stream, "")).await.ok();
            let truth = upstream.truths().pop().unwrap();
            let record = gateway.record(&answer.request_id()).await;
            assert_eq!((record.prompt(), record.cached()), (truth.prompt, truth.cached), "{kind}");
            let written = (record.completion(), record.reasoning());
            assert_eq!(written, (truth.completion, truth.reasoning), "{kind}");
            assert_eq!((record.provenance(), record.flagged()), ("provider", false), "{kind}");
        }
    }
}
