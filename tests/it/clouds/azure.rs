//! Azure OpenAI: two ways of asking, one key, and a filter that tells what it did.

use super::{chat, only};
use crate::support::{
    gateway::{Gateway, TestGateway},
    settings::CREDENTIAL,
    upstream::{Script, Truth, Upstream, openai},
};
use serde_json::json;

/// `lines` are added to the provider.
async fn gateway(upstream: &Upstream, path: &str, version: Option<&str>) -> (Gateway, String) {
    let mut provider = json!({
        "kind": "azure", "base_url": format!("http://{}{path}", upstream.addr), "credentials": [CREDENTIAL],
    });
    if let Some(version) = version {
        provider["api_version"] = json!(version);
    }
    let gateway = TestGateway::new()
        .with(|settings| settings.provider("up", provider))
        .model("m", &["up"])
        .set("/models/m/route/deployments", only("my gpt-4o"))
        .start()
        .await;
    let key = gateway.key().await;
    (gateway, key)
}

#[tokio::test]
async fn it_is_asked_by_the_body_or_by_the_path_and_billed_to_the_token() {
    let by_path = "/openai/deployments/my%20gpt-4o/chat/completions?api-version=2024-10-21";
    for (base, version, path) in [
        ("", None, "/openai/v1/chat/completions"),
        ("/openai/v1", None, "/openai/v1/chat/completions"),
        ("", Some("2024-10-21"), by_path),
    ] {
        let upstream = Upstream::start().await;
        let (gateway, key) = gateway(&upstream, base, version).await;
        for stream in [false, true] {
            let answer = gateway.send(&chat(&key, stream)).await.ok();
            let seen = upstream.seen().pop().unwrap();
            assert_eq!(seen.path(), path);
            assert_eq!(seen.headers().get("api-key"), Some(CREDENTIAL));
            assert!(!seen.headers().has("authorization"));
            assert_eq!(seen.json()["model"], "my gpt-4o");
            let (truth, record) =
                (upstream.truths().pop().unwrap(), gateway.record(&answer.request_id()).await);
            assert_eq!((record.prompt(), record.cached()), (truth.prompt, truth.cached));
            assert_eq!((record.completion(), record.reasoning()), (truth.completion, truth.reasoning));
            assert_eq!((record.provenance(), record.end()), ("provider", "complete"));
        }
    }
}

#[tokio::test]
async fn what_its_filter_says_passes_byte_for_byte() {
    let upstream = Upstream::start().await;
    let (gateway, key) = gateway(&upstream, "", None).await;
    let refusal = json!({ "error": {
        "message": "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
        "type": null, "param": "prompt", "code": "content_filter", "status": 400,
        "innererror": { "code": "ResponsibleAIPolicyViolation", "content_filter_result": {
            "jailbreak": { "filtered": true, "detected": true } } },
    } })
    .to_string();
    upstream.next(Script::json(400, &refusal));
    let answer = gateway.send(&chat(&key, false)).await;
    assert_eq!((answer.status, answer.text()), (400, refusal));
    // Before the answer a stream tells what the filter thought of the prompt, in a chunk without choices.
    let truth = Truth::of(7);
    let first = openai::event(&json!({
        "id": "", "object": "", "created": 0, "model": "", "choices": [], "usage": null,
        "prompt_filter_results": [{ "prompt_index": 0, "content_filter_results": {} }],
    }));
    let events = openai::Events::new(&truth, "gpt-4o", openai::CONTENT_EVENTS);
    let pieces = [vec![first.clone()], events.all()].concat();
    upstream.next(Script::stream(&pieces).truth(&truth));
    let body = json!({ "model": "m", "stream": true, "messages": [{ "role": "user", "content": "x" }] });
    let answer = gateway.send(&crate::support::client::Call::chat_with(&key, &body)).await.ok();
    let expected = [first, events.without_usage()].concat();
    assert_eq!(answer.text(), String::from_utf8(expected).unwrap());
    let record = gateway.record(&answer.request_id()).await;
    assert_eq!((record.prompt(), record.completion()), (truth.prompt, truth.completion));
    assert_eq!(gateway.all_records(2).await.iter().filter(|record| record.cost() == 0).count(), 1);
}

#[tokio::test]
async fn its_key_and_the_deployments_name_stay_here() {
    let upstream = Upstream::start().await;
    let (gateway, key) = gateway(&upstream, "", None).await;
    let body = json!({ "error": { "code": "401", "message": format!("Access denied due to {CREDENTIAL}") } });
    let headers = [
        ("content-type", "application/json"),
        ("x-ms-deployment-name", "my gpt-4o"),
        ("apim-request-id", "a-b-c"),
    ];
    upstream.next(Script::answer(401, &headers, body.to_string()));
    let answer = gateway.send(&chat(&key, false)).await;
    assert_eq!(answer.status, 401);
    assert!(!answer.text().contains(CREDENTIAL), "{}", answer.text());
    assert_eq!(answer.header("x-ms-deployment-name"), None);
}
