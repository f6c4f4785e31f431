//! What reaches the provider, and what comes back.

use super::Stage;
use crate::support::{
    client::{BOTH, BodyEnd, Call},
    gateway::TestGateway,
    settings::CREDENTIAL,
    upstream::{Script, Upstream, tls::TlsUpstream},
};
use serde_json::json;

fn call(method: &'static str, path: &str, content_type: &str, body: impl Into<Vec<u8>>) -> Call {
    let mut call = Call::new(method, path).header("content-type", content_type);
    call.body = body.into();
    call
}

#[tokio::test]
async fn a_request_and_its_answer_pass_as_they_are() {
    let stage = Stage::new().await;
    let made = b"name,size\r\n\xff\x00,7\r\n";
    let form = b"--x\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--x--\r\n\xfe";
    for version in BOTH {
        let headers = [
            ("content-type", "text/csv; charset=latin1"),
            ("etag", "\"7\""),
            ("set-cookie", "planted=1"),
            ("location", "https://inner.example/x"),
            ("x-request-id", "theirs"),
            ("x-aione-refused", "planted"),
        ];
        stage.upstream.next(Script::answer(201, &headers, made));
        let asked = Call::get("/v1/things/a-1.b~c?b=%20x&a=1&a=2")
            .bearer(&stage.key)
            .header("accept", "text/csv")
            .header("cookie", "planted-cookie")
            .header("x-forwarded-for", "203.0.113.9");
        let answer = stage.gateway.send_over(version, &asked).await;
        assert_eq!((answer.status, &answer.body[..]), (201, &made[..]), "{version:?}");
        assert_eq!(answer.header("content-type"), Some("text/csv; charset=latin1"));
        assert_eq!(answer.header("etag"), Some("\"7\""));
        for name in ["set-cookie", "location", "x-aione-refused"] {
            assert_eq!(answer.header(name), None, "{name}");
        }
        assert_ne!(answer.request_id(), "theirs");
        let seen = stage.upstream.take_seen().pop().unwrap();
        assert_eq!(seen.head.start, "GET /v1/things/a-1.b~c?b=%20x&a=1&a=2 HTTP/1.1");
        assert_eq!(seen.headers().get("authorization"), Some(&*format!("Bearer {CREDENTIAL}")));
        assert_eq!(seen.headers().get("accept"), Some("text/csv"));
        for name in ["content-type", "content-length", "transfer-encoding", "cookie", "x-forwarded-for"] {
            assert_eq!(seen.headers().get(name), None, "{name}");
        }

        for (sent, body) in [
            (call("PUT", "/v1/things/7", "multipart/form-data; boundary=x", form), &form[..]),
            (
                call("PUT", "/v1/things/7", "application/json", " [1, {\"model\": \"x\"}]"),
                b" [1, {\"model\": \"x\"}]",
            ),
            (call("POST", "/v1/tools/a/b", "application/octet-stream", vec![0; 300_000]), &[0; 300_000]),
            (Call::new("POST", "/v1/things"), b""),
        ] {
            stage.upstream.next(Script::json(200, "{ \"ok\" : true }"));
            let answer = stage.gateway.send_over(version, &sent.clone().bearer(&stage.key)).await.ok();
            assert_eq!(answer.text(), "{ \"ok\" : true }");
            let seen = stage.upstream.take_seen().pop().unwrap();
            assert_eq!(seen.head.start, format!("{} {} HTTP/1.1", sent.method, sent.path));
            assert!(seen.body == body, "{} {}", sent.method, sent.path);
            let kind = sent.headers.iter().find(|(name, _)| name == "content-type");
            assert_eq!(seen.headers().get("content-type"), kind.map(|(_, value)| &**value));
            assert_eq!(seen.headers().get("content-length"), Some(&*body.len().to_string()));
        }

        stage.upstream.next(Script::new().send("HTTP/1.1 204 No Content\r\n\r\n"));
        let answer =
            stage.gateway.send_over(version, &Call::new("DELETE", "/v1/things/7").bearer(&stage.key)).await;
        assert_eq!((answer.status, answer.body.len(), answer.header("content-length")), (204, 0, None));
    }
    // An error is the upstream's own, to the byte.
    let error = "{\"error\":  {\"message\":\"No such thing\", \"type\":\"odd\"}}";
    stage.upstream.next(Script::json(404, error));
    let answer = stage.send(Call::get("/v1/things/8")).await;
    assert_eq!((answer.status, answer.text().as_str(), answer.header("x-aione-refused")), (404, error, None));
}

#[tokio::test]
async fn a_callers_key_stays_here_wherever_it_is() {
    let stage = Stage::new().await;
    let key = &stage.key;
    let places = [
        Call::get(&format!("/v1/things?key={key}&a=1")),
        Call::get(&format!("/v1/things?a=1&api_key={key}&$key={key}&k%65y={key}")).bearer(key),
        Call::get("/v1/things?a=1").header("x-api-key", key),
        Call::get("/v1/things?a=1").header("x-goog-api-key", key),
        Call::get("/v1/things?a=1&access_token=others&%24httpMethod=DELETE").bearer(key),
    ];
    for version in BOTH {
        for call in &places {
            stage.upstream.next(Script::json(200, "{}"));
            stage.gateway.send_over(version, call).await.ok();
            let seen = stage.upstream.take_seen().pop().unwrap();
            assert_eq!(seen.path(), "/v1/things?a=1", "{call:?}");
            let head = String::from_utf8_lossy(&seen.head.raw).into_owned();
            assert!(!head.contains(key.as_str()) && head.contains(CREDENTIAL), "{head}");
        }
    }
    // Nor does the gateway tell its own, where the upstream repeats it.
    stage.upstream.next(Script::error(401, &format!("Incorrect API key: {CREDENTIAL}")));
    let refused = stage.send(Call::get("/v1/things")).await;
    assert_eq!(refused.status, 401);
    assert!(refused.text().contains("***") && !refused.text().contains(CREDENTIAL), "{}", refused.text());
    stage.gateway.quiet().await;
    let logs = stage.gateway.logs();
    assert!(logs.contains("/v1/things") && !logs.contains(key.as_str()) && !logs.contains(CREDENTIAL));
}

#[tokio::test]
async fn an_echo_does_not_tell_the_providers_credential() {
    let stage = Stage::new().await;
    stage.upstream.decide(|seen| {
        let told = String::from_utf8_lossy(&seen.head.raw).into_owned();
        let headers = [("x-told", CREDENTIAL), ("content-type", "text/plain")];
        Script::answer(if seen.path().contains("bad") { 418 } else { 200 }, &headers, told)
    });
    for version in BOTH {
        for path in ["/v1/things/good", "/v1/things/bad"] {
            let answer = stage.gateway.send_over(version, &Call::get(path).bearer(&stage.key)).await;
            assert!(answer.text().contains("Bearer ***") && !answer.text().contains(CREDENTIAL), "{path}");
            assert_eq!((answer.header("x-told"), &answer.end), (None, &BodyEnd::Clean), "{path}");
        }
    }
}

#[tokio::test]
async fn each_kind_is_let_in_by_its_own_credential_and_refuses_in_its_own_words() {
    let upstream = Upstream::always(Script::json(200, "{}")).await;
    let base = format!("http://{}", upstream.addr);
    let price = json!({ "request": "0" });
    let provider = |kind: &str, path: &str, entry: &str| {
        json!({ "kind": kind, "base_url": format!("{base}{path}"), "credentials": [CREDENTIAL],
                "pass_through": [entry], "pass_through_price": price })
    };
    let gateway = TestGateway::new()
        .set("/providers/claude", provider("anthropic", "/v1", "POST /v1/complete"))
        .set("/providers/google", provider("gemini", "/v1beta", "POST /v1beta/things:search"))
        .set("/providers/cloud", provider("azure", "", "GET /v1/azure_things/*"))
        .model("m", &["claude"])
        .start()
        .await;
    let key = gateway.key().await;
    for (method, path, header, asked, error) in [
        ("POST", "/v1/complete", "x-api-key", "/v1/complete", "/error/type"),
        ("POST", "/v1beta/things:search", "x-goog-api-key", "/v1beta/things:search", "/error/status"),
        ("GET", "/v1/azure_things/a/b", "api-key", "/openai/v1/azure_things/a/b", "/error/code"),
    ] {
        gateway.send(&Call::new(method, path).bearer(&key)).await.ok();
        let seen = upstream.take_seen().pop().unwrap();
        assert_eq!((seen.path(), seen.headers().get(header)), (asked, Some(CREDENTIAL)));
        assert_eq!(seen.headers().get("authorization"), None, "{path}");
        let refused = gateway.send(&Call::new(method, path).bearer("sk-wrong")).await;
        assert_eq!((refused.status, refused.header("x-aione-refused")), (401, Some("invalid_api_key")));
        assert!(refused.json().pointer(error).is_some_and(|it| it.is_string()), "{path}: {}", refused.text());
    }
    assert_eq!(upstream.asked(), 0, "who has no key is not asked for");
    let seen = gateway.send(&Call::new("POST", "/v1/complete").bearer("sk-wrong")).await;
    assert_eq!(seen.json()["type"], "error");
}

#[tokio::test]
async fn a_provider_is_asked_over_http2_as_well() {
    let upstream = TlsUpstream::start_as("localhost").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    upstream.write_ca(&file);
    let gateway = TestGateway::new()
        .with(|settings| settings.provider_at("up", &upstream.base_url()))
        .set("/providers/up/ca_file", file.to_str().unwrap())
        .set("/providers/up/pass_through", json!(["GET /v1/things/{id}", "PATCH /v1/things/{id}"]))
        .set(
            "/providers/up/pass_through_price",
            json!({ "request": "0", "input": "1", "cache_read": "1", "output": "1" }),
        )
        .model("m", &["up"])
        .start()
        .await;
    let key = gateway.key().await;
    for version in BOTH {
        for (method, body) in [("GET", ""), ("PATCH", "[1]"), ("PATCH", "")] {
            let sent = call(method, "/v1/things/7?a=1", "application/json", body).bearer(&key);
            let answer = gateway.send_over(version, &sent).await.ok();
            let seen = upstream.seen().pop().unwrap();
            assert_eq!(seen.head.start, format!("{method} /v1/things/7?a=1 HTTP/2"));
            assert_eq!(
                (&*seen.body, seen.headers().get("content-type")),
                (body.as_bytes(), Some("application/json"))
            );
            let length = (method != "GET").then(|| body.len().to_string());
            assert_eq!(seen.headers().get("content-length"), length.as_deref());
            let (truth, record) =
                (upstream.truths().pop().unwrap(), gateway.record(&answer.request_id()).await);
            assert_eq!((record.prompt(), record.completion()), (truth.prompt, truth.completion));
        }
    }
}

#[tokio::test]
async fn the_built_in_provider_says_what_it_was_asked() {
    let gateway = TestGateway::new()
        .simulated("sim")
        .set("/providers/sim/pass_through", json!(["GET /v1/things/{id}", "POST /v1/things"]))
        .set("/providers/sim/pass_through_price", json!({ "input": "1", "output": "1" }))
        .model("m", &["sim"])
        .start()
        .await;
    let key = gateway.key().await;
    let told = gateway.send(&Call::get("/v1/things/7?a=1").bearer(&key)).await.ok().json();
    assert_eq!(
        (&told["method"], &told["path"], &told["bytes"]),
        (&json!("GET"), &json!("/things/7?a=1"), &json!(0))
    );
    let answer = gateway.send(&Call::post("/v1/things", "{\"a\":1}").bearer(&key)).await.ok();
    let usage = &answer.json()["usage"];
    let record = gateway.record(&answer.request_id()).await;
    assert_eq!((Some(record.prompt()), record.completion()), (usage["prompt_tokens"].as_u64(), 1));
    let failing = Call::post("/v1/things", "{}").bearer(&key).header("x-aione-simulate", "status=418");
    assert_eq!(gateway.send(&failing).await.status, 418);
}
