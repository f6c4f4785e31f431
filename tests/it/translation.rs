//! A caller of OpenAI's dialect in front of upstreams that speak another.

use crate::support::{
    client::{Answer, Call},
    gateway::{Gateway, TestGateway},
    settings::CREDENTIAL,
    upstream::{Script, Upstream},
};
use serde_json::{Value, json};
use std::{fs, path::PathBuf};

/// What a vendor would send.
fn fixture(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/chat").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

async fn gateway(kind: &str, upstream: &Upstream) -> (Gateway, String) {
    let gateway = TestGateway::new()
        .upstream("up", upstream)
        .set("/providers/up/kind", kind)
        .model("m", &["up"])
        .set("/models/m/price/cache_write_5m", "1.30")
        .set("/models/m/price/cache_write_1h", "2.10")
        .start()
        .await;
    let key = gateway.key().await;
    (gateway, key)
}

/// A stream's events as JSON, and whether it came to its end.
fn events(answer: &Answer) -> (Vec<Value>, bool) {
    let text = answer.text();
    let data: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    let is_done = data.last() == Some(&"[DONE]");
    let parsed =
        data.iter().filter(|data| **data != "[DONE]").map(|data| serde_json::from_str(data).unwrap());
    (parsed.collect(), is_done)
}

#[tokio::test]
async fn a_chat_is_asked_of_anthropic_in_its_own_words_and_what_it_cannot_say_is_named() {
    let upstream = Upstream::start().await;
    let (gateway, key) = gateway("anthropic", &upstream).await;
    upstream.next(Script::json(200, fixture("anthropic_messages/answer_text.json")));
    let body = json!({
        "model": "m", "seed": 7, "logit_bias": { "1": 2 },
        "messages": [{ "role": "system", "content": "Be brief." }, { "role": "user", "content": "Why is the sky blue?" }],
    });
    let answer = gateway.send(&Call::chat_with(&key, &body)).await.ok();
    let seen = upstream.seen().pop().unwrap();
    assert!(seen.path().ends_with("/messages"), "{}", seen.path());
    assert_eq!(seen.headers().get("x-api-key"), Some(CREDENTIAL));
    assert_eq!(seen.headers().get("anthropic-version"), Some("2023-06-01"));
    assert!(!seen.headers().has("authorization"));
    let asked = seen.json();
    assert_eq!(asked["model"], "m");
    assert!(asked["max_tokens"].as_u64().unwrap() > 0 && asked["system"].to_string().contains("Be brief."));
    assert_eq!(asked["messages"].as_array().unwrap().len(), 1);

    assert_eq!(answer.header("x-aione-dropped"), Some("logit_bias,seed"));
    let told = answer.json();
    assert_eq!((&told["object"], &told["model"]), (&json!("chat.completion"), &json!("claude-sonnet-4-6")));
    assert_eq!(told["choices"][0]["finish_reason"], "stop");
    let text = "Because short waves are scattered more: 青い空 🌤️.";
    assert_eq!(told["choices"][0]["message"]["content"], text);
    assert_eq!(
        (&told["usage"]["prompt_tokens"], &told["usage"]["completion_tokens"]),
        (&json!(24), &json!(19))
    );
    let record = gateway.all_records(1).await.remove(0);
    assert_eq!((record.prompt(), record.completion(), record.provenance()), (24, 19, "provider"));
}

#[tokio::test]
async fn a_stream_of_anthropics_comes_as_chunks_and_is_counted_to_the_token() {
    let upstream = Upstream::start().await;
    let (gateway, key) = gateway("anthropic", &upstream).await;
    for asks_usage in [false, true] {
        upstream.next(Script::stream([fixture("anthropic_messages/stream_tools.sse")]));
        let mut body =
            json!({ "model": "m", "stream": true, "messages": [{ "role": "user", "content": "Weather?" }] });
        if asks_usage {
            body["stream_options"] = json!({ "include_usage": true });
        }
        let answer = gateway.send(&Call::chat_with(&key, &body)).await.ok();
        assert_eq!(answer.header("content-type"), Some("text/event-stream; charset=utf-8"));
        let (events, is_done) = events(&answer);
        assert!(is_done, "{}", answer.text());
        let calls: Vec<_> = events
            .iter()
            .flat_map(|event| {
                event["choices"][0]["delta"]["tool_calls"].as_array().cloned().unwrap_or_default()
            })
            .filter_map(|call| call["function"]["name"].as_str().map(str::to_owned))
            .collect();
        assert_eq!(calls, ["get_weather", "now", "get_weather"]);
        let usage = events.iter().find(|event| event["choices"] == json!([]));
        assert_eq!(usage.is_some(), asks_usage, "{}", answer.text());
        if let Some(usage) = usage {
            assert_eq!(usage["usage"]["prompt_tokens"], 1772);
        }
    }
    for record in gateway.all_records(2).await {
        assert_eq!((record.prompt_with_writes(), record.completion()), (1772, 89));
        assert_eq!((record.end(), record.provenance()), ("complete", "provider"));
    }
}

#[tokio::test]
async fn gemini_is_asked_by_its_path_and_its_stream_comes_as_chunks() {
    let upstream = Upstream::start().await;
    let (gateway, key) = gateway("gemini", &upstream).await;
    upstream.next(Script::stream([fixture("gemini/stream_text.sse")]));
    let answer = gateway.send(&Call::stream(&key, "m")).await.ok();
    let seen = upstream.seen().pop().unwrap();
    assert!(seen.path().ends_with("/models/m:streamGenerateContent?alt=sse"), "{}", seen.path());
    assert_eq!(seen.headers().get("x-goog-api-key"), Some(CREDENTIAL));
    let (events, is_done) = events(&answer);
    let text: String =
        events.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!((text.as_str(), is_done), ("Rome, die ewige Stadt 🏛.", true));
    upstream.next(Script::json(200, fixture("gemini/answer_text.json")));
    gateway.send(&Call::chat(&key, "m")).await.ok();
    assert!(upstream.seen().pop().unwrap().path().ends_with("/models/m:generateContent"));
    let records = gateway.all_records(2).await;
    assert_eq!((records[0].prompt(), records[0].completion()), (24, 8));
}

#[tokio::test]
async fn what_was_thought_goes_back_to_a_provider_that_wants_it() {
    let upstream = Upstream::start().await;
    let gateway = TestGateway::new()
        .upstream("up", &upstream)
        .set("/providers/up/give_back_reasoning", true)
        .model("m", &["up"])
        .start()
        .await;
    let key = gateway.key().await;
    let told = json!({ "id": "c", "choices": [{ "index": 0, "finish_reason": "tool_calls", "message": {
        "role": "assistant", "content": null, "reasoning_content": "Look it up.",
        "tool_calls": [{ "id": "c1", "type": "function", "function": { "name": "f", "arguments": "{}" } }],
    } }], "usage": { "prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7 } });
    upstream.next(Script::json(200, told.to_string()));
    let mut messages = vec![json!({ "role": "user", "content": "x" })];
    let ask = |messages: &[Value]| {
        let body = json!({ "model": "m", "max_tokens": 50, "messages": messages });
        Call::post("/v1/messages", body.to_string()).bearer(&key)
    };
    let content = gateway.send(&ask(&messages)).await.ok().json()["content"].take();
    messages.push(json!({ "role": "assistant", "content": content }));
    messages.push(json!({ "role": "user", "content": [
        { "type": "tool_result", "tool_use_id": "c1", "content": "done" },
    ] }));
    gateway.send(&ask(&messages)).await.ok();
    assert_eq!(upstream.seen().pop().unwrap().json()["messages"][1]["reasoning_content"], "Look it up.");
}

#[tokio::test]
async fn what_cannot_be_carried_is_refused_where_the_caller_is_strict() {
    let upstream = Upstream::start().await;
    let (gateway, key) = gateway("anthropic", &upstream).await;
    let body = json!({ "model": "m", "seed": 7, "messages": [{ "role": "user", "content": "Hi" }] });
    let call = Call::chat_with(&key, &body).header("x-aione-translation", "strict");
    let answer = gateway.send(&call).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("seed"), "{}", answer.text());
    // A clip cannot be heard there at all.
    let clip = json!([{ "type": "input_audio", "input_audio": { "data": "UklGRg==", "format": "wav" } }]);
    let body = json!({ "model": "m", "messages": [{ "role": "user", "content": clip }] });
    let answer = gateway.send(&Call::chat_with(&key, &body)).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(upstream.asked(), 0);
    for record in gateway.all_records(2).await {
        assert_eq!((record.cost(), record.attempts()), (0, 0));
    }
}

#[tokio::test]
async fn an_upstreams_error_comes_in_the_callers_dialect_with_its_wording() {
    let upstream = Upstream::start().await;
    let (gateway, key) = gateway("anthropic", &upstream).await;
    upstream.next(Script::json(529, fixture("anthropic_messages/error_529_overloaded.json")));
    let answer = gateway.send(&Call::chat(&key, "m")).await;
    assert_eq!(answer.status, 529);
    assert_eq!(answer.json()["error"]["message"], "Overloaded");
    // The first event of a stream is an error: nothing has begun.
    upstream.next(Script::stream([fixture("anthropic_messages/stream_error_first.sse")]));
    let answer = gateway.send(&Call::stream(&key, "m")).await;
    assert!(answer.status >= 500, "{}", answer.text());
    assert!(answer.json()["error"]["message"].as_str().unwrap().len() > 3);
    // What is no answer of the dialect is none.
    upstream.next(Script::json(200, "<html>"));
    assert_eq!(gateway.send(&Call::chat(&key, "m")).await.status, 502);
    // Nor is one that is longer than what is held of an answer.
    upstream.next(Script::json(200, vec![b' '; 33 << 20]));
    assert_eq!(gateway.send(&Call::chat(&key, "m")).await.status, 502);
    for record in gateway.all_records(4).await {
        assert_eq!(record.cost(), 0, "{record:?}");
    }
}

#[tokio::test]
async fn a_stream_that_breaks_off_in_mid_answer_ends_with_an_error_and_is_counted() {
    let upstream = Upstream::start().await;
    let (gateway, key) = gateway("anthropic", &upstream).await;
    let mut half = fixture("anthropic_messages/stream_tools.sse");
    let end = half.windows(10).position(|bytes| bytes == b"I'll look.").unwrap();
    half.truncate(end + b"I'll look.\"}}\n\n".len());
    upstream.next(Script::events().chunk(half).reset());
    let answer = gateway.send(&Call::stream(&key, "m")).await;
    let (events, is_done) = events(&answer);
    assert!(!is_done && events.last().unwrap()["error"]["message"].is_string(), "{}", answer.text());
    let record = gateway.all_records(1).await.remove(0);
    assert_eq!(record.end(), "upstream_aborted");
    assert!(record.prompt() > 0 && record.completion() > 0, "{record:?}");
}

#[tokio::test]
async fn a_deployment_of_another_dialect_takes_over_from_one_of_the_callers() {
    let [first, second] = [Upstream::start().await, Upstream::start().await];
    let gateway = TestGateway::new()
        .upstream("first", &first)
        .upstream("second", &second)
        .set("/providers/second/kind", "anthropic")
        .model("m", &["first", "second"])
        .start()
        .await;
    let key = gateway.key().await;
    first.next(Script::error(503, "out of order"));
    second.next(Script::json(200, fixture("anthropic_messages/answer_text.json")));
    let answer = gateway.send(&Call::chat(&key, "m")).await.ok();
    assert_eq!(answer.json()["usage"]["total_tokens"], 43);
    let record = gateway.all_records(1).await.remove(0);
    assert_eq!((record.provider(), record.attempts(), record.status()), ("second", 2, 200));
}
