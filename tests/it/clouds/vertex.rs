//! Vertex AI: tokens that are asked for in the background, ahead of the end of those in use.

use super::{chat, only, said};
use crate::support::{
    client::Call,
    gateway::{Gateway, TestGateway},
    upstream::{
        Truth, Upstream,
        frames::{Frame, FrameUpstream, Reply},
        gemini,
        google::{self, Google},
        honest, messages, openai,
    },
    wait,
};
use serde_json::{Value, json};

fn provider(google: &Google) -> Value {
    json!({
        "kind": "vertex", "project": "my-project", "location": "europe-west4",
        "base_url": google.base_url(), "credentials": ["${SERVICE_ACCOUNT}"],
    })
}

/// `m` is the model of this name there.
fn settings(google: &Google, model: &str) -> TestGateway {
    TestGateway::new()
        .with(|settings| settings.provider("up", provider(google)))
        .environment("SERVICE_ACCOUNT", &google.key_file())
        .model("m", &["up"])
        .set("/models/m/route/deployments", only(model))
        .set("/models/m/price/cache_write_5m", "1.30")
        .set("/models/m/price/cache_write_1h", "2.10")
}

async fn gateway(google: &Google, model: &str) -> (Gateway, String) {
    let gateway = settings(google, model).start().await;
    let key = gateway.key().await;
    (gateway, key)
}

/// Requests of models, without those for tokens.
fn asked(upstream: &Upstream) -> usize {
    upstream.seen().iter().filter(|seen| seen.path() != "/token").count()
}

#[tokio::test]
async fn gemini_and_claude_are_asked_at_their_publishers_and_billed_to_the_token() {
    let place = "/v1/projects/my-project/locations/europe-west4/publishers";
    for (model, paths) in [
        (
            "gemini-2.5-pro",
            [
                "google/models/gemini-2.5-pro:generateContent",
                "google/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
            ],
        ),
        (
            "claude-sonnet-4-5@20250929",
            [
                "anthropic/models/claude-sonnet-4-5%4020250929:rawPredict",
                "anthropic/models/claude-sonnet-4-5%4020250929:streamRawPredict",
            ],
        ),
    ] {
        let google = Google::start(3_600).await;
        let (gateway, key) = gateway(&google, model).await;
        for stream in [false, true, true, false] {
            let answer = gateway.send(&chat(&key, stream)).await.ok();
            assert_eq!(said(&answer, stream), honest::texts(openai::CONTENT_EVENTS), "{model}");
            let seen = google.upstream.seen().pop().unwrap();
            assert_eq!(seen.path(), format!("{place}/{}", paths[usize::from(stream)]));
            let truth = google.upstream.truths().pop().unwrap();
            let record = gateway.record(&answer.request_id()).await;
            assert_eq!((record.prompt(), record.cached()), (truth.prompt, truth.cached), "{model}");
            assert_eq!((record.completion(), record.reasoning()), (truth.completion, truth.reasoning));
            assert_eq!((record.provenance(), record.end()), ("provider", "complete"), "{model}");
        }
        assert_eq!(google.asked(), 1, "one token serves them all");
    }
}

#[tokio::test]
async fn a_token_is_asked_for_ahead_of_its_end_and_no_request_waits_for_it() {
    let google = Google::start(4).await;
    let (gateway, key) = gateway(&google, "gemini-2.5-pro").await;
    // Nobody has asked for a model: the token is there nevertheless.
    wait::until("the first token", async || (google.given() == 1).then_some(())).await;
    gateway.send(&chat(&key, false)).await.ok();
    // For as long as it takes until the third, none of the requests is refused.
    while google.given() < 3 {
        gateway.send(&chat(&key, false)).await.ok();
    }
    let tokens: Vec<_> = google
        .upstream
        .seen()
        .iter()
        .filter(|seen| seen.path() != "/token")
        .map(|seen| seen.headers().get("authorization").unwrap().to_owned())
        .collect();
    assert!(tokens.first() != tokens.last(), "{tokens:?}");
}

#[tokio::test]
async fn many_first_requests_make_one_token() {
    let google = Google::start(3_600).await;
    google.give(false);
    let (gateway, key) = gateway(&google, "gemini-2.5-pro").await;
    wait::until("a try", async || (google.asked() > 0).then_some(())).await;
    google.give(true);
    wait::until("a token", async || (google.given() > 0).then_some(())).await;
    let calls = (0..20).map(|_| async { gateway.send(&chat(&key, false)).await.ok() });
    futures_util::future::join_all(calls).await;
    assert_eq!((google.given(), asked(&google.upstream)), (1, 20));
}

#[tokio::test]
async fn where_no_token_is_given_another_deployment_is_asked_and_it_comes_back() {
    let (google, spare) = (Google::start(3_600).await, Upstream::start().await);
    google.give(false);
    let deployments = json!([
        { "provider": "up", "model": "gemini-2.5-pro", "priority": 0 },
        { "provider": "spare", "model": "m", "priority": 1 },
    ]);
    let gateway = settings(&google, "gemini-2.5-pro")
        .upstream("spare", &spare)
        .set("/models/m/route/deployments", deployments)
        .start()
        .await;
    let key = gateway.key().await;
    let answer = gateway.send(&chat(&key, false)).await.ok();
    let record = gateway.record(&answer.request_id()).await;
    assert_eq!((record.provider(), record.attempts()), ("spare", 2));
    assert_eq!(asked(&google.upstream), 0, "nothing is asked without a token");
    google.give(true);
    wait::until("a token", async || (google.given() > 0).then_some(())).await;
    wait::until("it is asked again", async || {
        gateway.send(&chat(&key, false)).await.ok();
        (asked(&google.upstream) > 0).then_some(())
    })
    .await;
    let logs = gateway.logs();
    assert!(logs.contains("no token was given") && logs.contains("internal_failure"), "{logs}");
    assert!(!logs.contains("PRIVATE KEY") && !logs.contains("ya29."), "{logs}");
}

#[tokio::test]
async fn a_token_that_was_given_is_good_until_its_end_whatever_becomes_of_the_next() {
    let google = Google::start(12).await;
    let (gateway, key) = gateway(&google, "gemini-2.5-pro").await;
    gateway.send(&chat(&key, false)).await.ok();
    google.give(false);
    let before = google.asked();
    wait::until("tries for the next", async || (google.asked() > before).then_some(())).await;
    gateway.send(&chat(&key, false)).await.ok();
    // Then it is over, and told so; nothing is asked with what has ended.
    wait::until("its end", async || {
        let answer = gateway.send(&chat(&key, false)).await;
        (answer.status == 502).then_some(())
    })
    .await;
    let refused = google.upstream.seen().iter().filter(|seen| seen.path() != "/token").count();
    let answer = gateway.send(&chat(&key, false)).await;
    assert_eq!((answer.status, asked(&google.upstream)), (502, refused));
    google.set_life(3_600);
    google.give(true);
    wait::until("the next one", async || {
        (gateway.send(&chat(&key, false)).await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn calls_are_told_apart_without_ids_and_errors_come_in_the_callers_words() {
    let google = Google::start(3_600).await;
    let (gateway, key) = gateway(&google, "gemini-2.5-pro").await;
    let turns = json!([
        { "role": "user", "content": "x" },
        { "role": "assistant", "tool_calls": [
            { "id": "c1", "type": "function", "function": { "name": "f", "arguments": "{\"id\":1}" } } ] },
        { "role": "tool", "tool_call_id": "c1", "content": "done" },
    ]);
    let body = json!({ "model": "m", "messages": turns });
    gateway.send(&Call::chat_with(&key, &body)).await.ok();
    let asked = google.upstream.seen().pop().unwrap().json();
    assert_eq!(asked["contents"][1]["parts"][0]["functionCall"]["args"], json!({ "id": 1 }));
    for model in ["gemini-2.5-pro", "claude-sonnet-4-5@20250929"] {
        let (gateway, key) = self::gateway(&google, model).await;
        gateway.send(&chat(&key, false)).await.ok();
        let body = json!([{ "error": { "code": 429, "message": "Resource exhausted.", "status": "RESOURCE_EXHAUSTED" } }]);
        google.upstream.next(crate::support::upstream::Script::json(429, body.to_string()));
        let answer = gateway.send(&chat(&key, true)).await;
        assert_eq!((answer.status, &*answer.message()), (429, "Resource exhausted."), "{model}");
    }
}

#[tokio::test]
async fn callers_of_either_dialect_get_what_is_said_in_theirs_as_it_is() {
    let google = Google::start(3_600).await;
    let (gateway, key) = gateway(&google, "gemini-2.5-pro").await;
    let body = json!({ "contents": [{ "role": "user", "parts": [{ "text": "x" }] }] }).to_string();
    for (method, path) in [
        ("generateContent", "generateContent"),
        ("streamGenerateContent?alt=sse", "streamGenerateContent?alt=sse"),
        ("streamGenerateContent", "streamGenerateContent"),
    ] {
        let call = Call::post(&format!("/v1beta/models/m:{method}"), body.clone());
        let answer = gateway.send(&call.header("x-goog-api-key", &key)).await.ok();
        let truth = google.upstream.truths().pop().unwrap();
        let model = "gemini-2.5-pro";
        let expected = match method {
            "generateContent" => gemini::content(&truth, model),
            "streamGenerateContent" => gemini::array(&truth, model, openai::CONTENT_EVENTS).concat(),
            _ => gemini::stream(&truth, model, openai::CONTENT_EVENTS).all().concat(),
        };
        assert_eq!(answer.text(), String::from_utf8(expected).unwrap(), "{method}");
        assert!(google.upstream.seen().pop().unwrap().path().ends_with(&format!("gemini-2.5-pro:{path}")));
        let record = gateway.record(&answer.request_id()).await;
        assert_eq!((record.prompt(), record.completion()), (truth.prompt, truth.completion));
    }
    let model = "claude-sonnet-4-5@20250929";
    let (gateway, key) = self::gateway(&google, model).await;
    for stream in [false, true] {
        let body = json!({
            "model": "m", "max_tokens": 50, "stream": stream, "messages": [{ "role": "user", "content": "x" }],
        });
        let call = Call::post("/v1/messages", body.to_string()).bearer(&key);
        let answer = gateway.send(&call.header("anthropic-version", "2023-06-01")).await.ok();
        let truth = google.upstream.truths().pop().unwrap();
        let expected = match stream {
            true => messages::stream(&truth, model, openai::CONTENT_EVENTS).all().concat(),
            false => messages::message(&truth, model),
        };
        assert_eq!(answer.text(), String::from_utf8(expected).unwrap());
    }
}

#[tokio::test]
async fn a_token_is_asked_for_over_http2_as_well() {
    let upstream = FrameUpstream::start().await;
    let plain = |body: Vec<u8>| [Frame::Head("application/json"), Frame::Data(body), Frame::End];
    let token = json!({ "access_token": "ya29.x", "expires_in": 3_600, "token_type": "Bearer" });
    upstream.next(Reply::unprocessed(plain(token.to_string().into_bytes())));
    let truth = Truth::of(3);
    upstream.next(Reply::generated(&truth, plain(gemini::content(&truth, "gemini-2.5-pro"))));
    let provider = json!({
        "kind": "vertex", "project": "my-project", "location": "europe-west4", "http2": "always",
        "base_url": format!("http://{}", upstream.addr), "credentials": ["${SERVICE_ACCOUNT}"],
    });
    let gateway = TestGateway::new()
        .with(|settings| settings.provider("up", provider))
        .environment("SERVICE_ACCOUNT", &google::key_file(upstream.addr))
        .model("m", &["up"])
        .set("/models/m/route/deployments", only("gemini-2.5-pro"))
        .start()
        .await;
    let key = gateway.key().await;
    let answer = gateway.send(&chat(&key, false)).await.ok();
    assert_eq!(said(&answer, false), honest::texts(openai::CONTENT_EVENTS));
    assert_eq!(upstream.asked(), 2);
}
