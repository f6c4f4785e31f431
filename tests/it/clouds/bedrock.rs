//! Amazon Bedrock: signed requests, binary streams, and errors that come in the middle of them.

use super::{chat, events, only, said};
use crate::support::{
    client::Call,
    gateway::{Gateway, TestGateway},
    upstream::{
        Script, Truth, Upstream,
        bedrock::{self, ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, SESSION_TOKEN},
        honest, messages, openai,
    },
};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};

const MODEL: &str = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0";
const ARN: &str = "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/abc+1";

/// One that lets in what is signed as it should be.
async fn upstream(session_token: Option<&'static str>) -> Upstream {
    let seed = AtomicU64::new(1);
    Upstream::deciding(move |seen| match bedrock::verify(seen, session_token) {
        Ok(()) => bedrock::answer(seen, &Truth::of(seed.fetch_add(1, Ordering::Relaxed))),
        Err(reason) => bedrock::refusal(&reason),
    })
    .await
}

fn provider(upstream: &Upstream, api: &str) -> Value {
    json!({
        "kind": "bedrock", "region": REGION, "api": api, "base_url": format!("http://{}", upstream.addr),
        "access_key_id": ACCESS_KEY_ID, "secret_access_key": SECRET_ACCESS_KEY,
    })
}

async fn gateway(provider: Value, model: &str) -> (Gateway, String) {
    let gateway = TestGateway::new()
        .with(|settings| settings.provider("up", provider))
        .model("m", &["up"])
        .set("/models/m/route/deployments", only(model))
        .set("/models/m/price/cache_write_5m", "1.30")
        .set("/models/m/price/cache_write_1h", "2.10")
        .start()
        .await;
    let key = gateway.key().await;
    (gateway, key)
}

#[tokio::test]
async fn models_are_asked_signed_in_both_ways_and_billed_to_the_token() {
    for (api, model, paths) in [
        ("converse", MODEL, ["converse", "converse-stream"]),
        ("converse", ARN, ["converse", "converse-stream"]),
        ("invoke", MODEL, ["invoke", "invoke-with-response-stream"]),
    ] {
        let upstream = upstream(None).await;
        let (gateway, key) = gateway(provider(&upstream, api), model).await;
        for stream in [false, true, true, false] {
            let answer = gateway.send(&chat(&key, stream)).await.ok();
            assert_eq!(said(&answer, stream), honest::texts(openai::CONTENT_EVENTS), "{api}");
            let seen = upstream.seen().pop().unwrap();
            let encoded = model.replace(':', "%3A").replace('/', "%2F").replace('+', "%2B");
            assert_eq!(seen.path(), format!("/model/{encoded}/{}", paths[usize::from(stream)]));
            let truth = upstream.truths().pop().unwrap();
            let record = gateway.record(&answer.request_id()).await;
            assert_eq!((record.prompt(), record.cached()), (truth.prompt, truth.cached), "{api}");
            assert_eq!(record.completion(), truth.completion, "{api}");
            assert_eq!((record.provenance(), record.end()), ("provider", "complete"), "{api}");
        }
    }
}

#[tokio::test]
async fn a_session_token_is_signed_and_an_api_key_is_a_bearer() {
    let upstream = upstream(Some(SESSION_TOKEN)).await;
    let mut signed = provider(&upstream, "converse");
    signed["session_token"] = json!(SESSION_TOKEN);
    let (gateway, key) = gateway(signed, MODEL).await;
    gateway.send(&chat(&key, false)).await.ok();

    upstream.decide(|seen| bedrock::answer(seen, &Truth::of(3)));
    let bearer = json!({
        "kind": "bedrock", "region": REGION, "base_url": format!("http://{}", upstream.addr),
        "credentials": ["bedrock-api-key-canary"],
    });
    let (gateway, key) = self::gateway(bearer, MODEL).await;
    gateway.send(&chat(&key, true)).await.ok();
    let seen = upstream.seen().pop().unwrap();
    assert_eq!(seen.headers().get("authorization"), Some("Bearer bedrock-api-key-canary"));
    assert!(!seen.headers().has("x-amz-date"));
}

#[tokio::test]
async fn what_is_refused_is_told_in_the_callers_words_without_what_was_signed() {
    let upstream = upstream(Some(SESSION_TOKEN)).await;
    let mut signed = provider(&upstream, "converse");
    signed["session_token"] = json!(SESSION_TOKEN);
    for api in ["converse", "invoke"] {
        signed["api"] = json!(api);
        let (gateway, key) = gateway(signed.clone(), MODEL).await;
        let message = "The provided model identifier is invalid.";
        upstream.next(Script::json(400, json!({ "message": message }).to_string()));
        let answer = gateway.send(&chat(&key, false)).await;
        assert_eq!((answer.status, &*answer.message()), (400, message), "{api}");
        assert_eq!(answer.json()["error"]["type"], "invalid_request_error");
        let repeats =
            format!("The canonical string was {ACCESS_KEY_ID} x-amz-security-token:{SESSION_TOKEN}");
        upstream.next(Script::json(403, json!({ "message": repeats }).to_string()));
        let answer = gateway.send(&chat(&key, true)).await;
        assert_eq!(answer.status, 403, "{api}");
        assert!(answer.message().starts_with("The canonical string was"), "{}", answer.text());
        assert!(!answer.text().contains(ACCESS_KEY_ID) && !answer.text().contains(SESSION_TOKEN), "{api}");
        for record in gateway.all_records(2).await {
            assert_eq!(record.cost(), 0);
        }
        let shown = gateway.logs();
        assert!(!shown.contains(SECRET_ACCESS_KEY) && !shown.contains(SESSION_TOKEN));
    }
}

#[tokio::test]
async fn an_exception_ends_a_stream_in_its_words_and_what_came_before_is_counted() {
    for api in ["converse", "invoke"] {
        let upstream = upstream(None).await;
        let (gateway, key) = gateway(provider(&upstream, api), MODEL).await;
        let truth = Truth::of(5);
        let mut begun = match api {
            "converse" => bedrock::converse_stream(&truth, 3).all(),
            _ => bedrock::invoke_stream(&truth, MODEL),
        };
        begun.truncate(begun.len() - 3);
        begun.push(bedrock::exception("modelStreamErrorException", "The model \"broke\"."));
        upstream.next(bedrock::stream(&begun));
        let answer = gateway.send(&chat(&key, true)).await;
        let (events, is_done) = events(&answer);
        assert!(!is_done, "{api}");
        assert_eq!(events.last().unwrap()["error"]["message"], "The model \"broke\".", "{}", answer.text());
        // A model that fails is the service's fault.
        upstream.next(Script::json(424, json!({ "message": "The model broke." }).to_string()));
        let answer = gateway.send(&chat(&key, true)).await;
        assert_eq!((answer.status, &*answer.message()), (500, "The model broke."), "{api}");
        // One that comes first is failed over, or told with its status.
        upstream.next(bedrock::stream(&[bedrock::exception("throttlingException", "Too many tokens.")]));
        let answer = gateway.send(&chat(&key, true)).await;
        assert!(answer.status >= 400, "{api}");
        assert_eq!(answer.message(), "Too many tokens.", "{api}");
        let records = gateway.all_records(3).await;
        assert!(records.iter().any(|record| record.end() == "upstream_aborted" && record.completion() > 0));
        assert!(records.iter().any(|record| record.cost() == 0));
    }
}

#[tokio::test]
async fn a_stream_that_is_cut_or_bent_is_a_visible_cut() {
    for api in ["converse", "invoke"] {
        let upstream = upstream(None).await;
        let (gateway, key) = gateway(provider(&upstream, api), MODEL).await;
        let truth = Truth::of(6);
        let whole = match api {
            "converse" => bedrock::converse_stream(&truth, 4).all(),
            _ => bedrock::invoke_stream(&truth, MODEL),
        }
        .concat();
        let mut bent = whole.clone();
        let at = bent.len() * 3 / 4;
        bent[at] ^= 1;
        let cut = &whole[..whole.len() * 3 / 4];
        for script in [
            // The body ends properly, but within a message.
            bedrock::stream_head().chunk(cut).end(),
            bedrock::stream_head().chunk(cut).reset(),
            bedrock::stream_head().chunk(&bent).end(),
        ] {
            upstream.next(script);
            let answer = gateway.send(&chat(&key, true)).await;
            let (events, is_done) = events(&answer);
            assert!(!is_done, "{api}: {}", answer.text());
            assert!(events.last().unwrap()["error"]["message"].is_string(), "{api}: {}", answer.text());
        }
        for record in gateway.all_records(3).await {
            assert_eq!(record.end(), "upstream_aborted", "{api}");
        }
    }
}

#[tokio::test]
async fn tools_are_called_and_their_results_are_given_back() {
    let upstream = upstream(None).await;
    let (gateway, key) = gateway(provider(&upstream, "converse"), MODEL).await;
    let call = |n: &Value| bedrock::event("contentBlockDelta", n);
    upstream.next(bedrock::stream(&[
        bedrock::event("messageStart", &json!({ "role": "assistant" })),
        bedrock::event(
            "contentBlockStart",
            &json!({ "contentBlockIndex": 0, "start": { "toolUse": { "toolUseId": "t1", "name": "f" } } }),
        ),
        call(&json!({ "contentBlockIndex": 0, "delta": { "toolUse": { "input": "{\"at\":" } } })),
        call(&json!({ "contentBlockIndex": 0, "delta": { "toolUse": { "input": "1}" } } })),
        bedrock::event("contentBlockStop", &json!({ "contentBlockIndex": 0 })),
        bedrock::event("messageStop", &json!({ "stopReason": "tool_use" })),
        bedrock::event(
            "metadata",
            &json!({ "usage": { "inputTokens": 7, "outputTokens": 5, "totalTokens": 12 } }),
        ),
    ]));
    let tools =
        json!([{ "type": "function", "function": { "name": "f", "parameters": { "type": "object" } } }]);
    let mut turns = json!([{ "role": "user", "content": "x" }]);
    let body = json!({ "model": "m", "stream": true, "messages": turns, "tools": tools });
    let answer = gateway.send(&Call::chat_with(&key, &body)).await.ok();
    let (events, _) = events(&answer);
    let arguments: String = events
        .iter()
        .filter_map(|event| event["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"].as_str())
        .collect();
    assert_eq!(arguments, "{\"at\":1}");
    turns.as_array_mut().unwrap().extend([
        json!({ "role": "assistant", "tool_calls": [
            { "id": "t1", "type": "function", "function": { "name": "f", "arguments": arguments } } ] }),
        json!({ "role": "tool", "tool_call_id": "t1", "content": "done" }),
    ]);
    let body = json!({ "model": "m", "messages": turns, "tools": tools });
    gateway.send(&Call::chat_with(&key, &body)).await.ok();
    let asked = upstream.seen().pop().unwrap().json();
    let result = json!({ "toolResult": { "toolUseId": "t1", "content": [{ "text": "done" }] } });
    assert_eq!(asked["messages"][2]["content"], json!([result]));
    assert_eq!(asked["messages"][1]["content"][0]["toolUse"]["input"], json!({ "at": 1 }));
}

#[tokio::test]
async fn callers_of_anthropics_dialect_get_what_an_invocation_says_as_it_is() {
    let upstream = upstream(None).await;
    let (gateway, key) = gateway(provider(&upstream, "invoke"), MODEL).await;
    let call = |stream: bool| {
        let body = json!({
            "model": "m", "max_tokens": 50, "stream": stream, "messages": [{ "role": "user", "content": "x" }],
        });
        let call = Call::post("/v1/messages", body.to_string()).bearer(&key);
        call.header("anthropic-version", "2023-06-01").header("anthropic-beta", "a-1, b-2")
    };
    let named = MODEL.replace(':', "%3A");
    for stream in [false, true] {
        let answer = gateway.send(&call(stream)).await.ok();
        let truth = upstream.truths().pop().unwrap();
        let expected = match stream {
            true => messages::stream(&truth, &named, openai::CONTENT_EVENTS).all().concat(),
            false => messages::message(&truth, &named),
        };
        assert_eq!(answer.text(), String::from_utf8(expected).unwrap());
        let kind = if stream { "text/event-stream" } else { "application/json" };
        assert!(answer.header("content-type").unwrap().starts_with(kind));
        let asked = upstream.seen().pop().unwrap().json();
        assert_eq!(asked["anthropic_beta"], json!(["a-1", "b-2"]));
        let record = gateway.record(&answer.request_id()).await;
        assert_eq!((record.prompt(), record.completion()), (truth.prompt, truth.completion));
        assert_eq!((record.reasoning(), record.end()), (truth.reasoning, "complete"));
    }
    upstream.next(Script::json(429, json!({ "message": "Too many tokens." }).to_string()));
    let answer = gateway.send(&call(true)).await;
    let told = answer.json();
    assert_eq!((answer.status, &told["type"]), (429, &json!("error")));
    assert_eq!(told["error"], json!({ "type": "rate_limit_error", "message": "Too many tokens." }));
    // What the service has no counterpart of is counted here.
    let body = json!({ "model": "m", "messages": [{ "role": "user", "content": "x" }] });
    let count = Call::post("/v1/messages/count_tokens", body.to_string()).bearer(&key);
    let counted = gateway.send(&count.header("anthropic-version", "2023-06-01")).await.ok();
    assert!(counted.json()["input_tokens"].as_u64() > Some(0), "{}", counted.text());
    assert_eq!(upstream.asked(), 3);
}
