//! Whose fault an upstream's failure is, and who pays for it: not the caller who has left, not the
//! other callers of a deployment, and nobody for what was never sent.

use crate::support::{
    client::{Answer, BOTH, BodyEnd, Call, h1},
    gateway::{Gateway, TestGateway},
    upstream::{Events, Gate, Script, Step, Truth, Upstream, openai, script},
    wait,
};
use serde_json::json;

struct Stage {
    gateway: Gateway,
    upstream: Upstream,
    key: String,
}

impl Stage {
    async fn with(change: impl FnOnce(TestGateway) -> TestGateway) -> Self {
        let upstream = Upstream::start().await;
        let gateway = TestGateway::new().upstream("up", &upstream).model("m", &["up"]);
        let gateway = change(gateway).start().await;
        let key = gateway.key().await;
        Self { gateway, upstream, key }
    }

    async fn new() -> Self {
        Self::with(|gateway| gateway).await
    }

    /// With a cool-down after the first failure.
    async fn touchy() -> Self {
        let rule = json!({ "after": 1, "within": "30s", "for": "60s", "max": "60s" });
        Self::with(|gateway| gateway.set("/models/m/route/cool_down", rule)).await
    }

    async fn chat(&self) -> Answer {
        self.gateway.send(&Call::chat(&self.key, "m")).await
    }
}

#[tokio::test]
async fn an_upstreams_refusal_costs_nothing_after_its_caller_has_left() {
    let stage = Stage::new().await;
    for (nth, status) in [429, 500, 400].into_iter().enumerate() {
        let gate = Gate::closed();
        let mut script = Script::error(status, "no");
        script.steps.insert(1, Step::Wait(gate.clone()));
        stage.upstream.next(script);
        let mut connection = h1::Connection::open(stage.gateway.settings.public).await;
        connection.start(&Call::chat(&stage.key, "m"));
        wait::until("the upstream is asked", async || (stage.upstream.asked() > nth).then_some(())).await;
        connection.leave(crate::support::client::Leave::Fin).await;
        wait::until("it is read on alone", async || {
            (stage.gateway.metrics().await.sum("drains_in_flight") >= 1.0).then_some(())
        })
        .await;
        gate.open();
        let records = stage.gateway.records_eventually(nth + 1).await;
        let record = records.last().unwrap();
        assert_eq!(record.end(), "upstream_error", "{status}: {record:#?}");
        assert_eq!((record.prompt(), record.completion()), (0, 0), "{status}: {record:#?}");
    }
    stage.gateway.quiet().await;
}

#[tokio::test]
async fn a_request_at_fault_does_not_put_a_deployment_to_rest() {
    let stage = Stage::touchy().await;
    let invalid = r#"{"error":{"message":"bad schema","type":"invalid_request_error","code":400}}"#;
    let tools = json!({ "error": {
        "message": "Error retrieving tool list from MCP server: 'mine'. Http status code: 424 (Failed Dependency)",
        "type": "external_connector_error", "param": "tools", "code": "http_error",
    } });
    let scripts = [
        ("a server of the caller's", Script::json(424, tools.to_string()), 424),
        ("403", Script::error(403, "this prompt is not allowed"), 403),
        ("an error in a plain answer", Script::json(200, invalid), 400),
        ("an error as first event", Script::stream([format!("data: {invalid}\n\n")]), 400),
    ];
    for (what, script, status) in scripts {
        stage.upstream.next(script);
        let answer = stage.gateway.send(&Call::stream(&stage.key, "m")).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
        stage.chat().await.ok();
    }
    stage.upstream.next(Script::error(500, "truly broken"));
    assert_eq!(stage.chat().await.status, 500);
    assert_eq!(stage.chat().await.code(), "no_upstream_available", "the rule does hold for faults");
}

#[tokio::test]
async fn a_cut_stream_counts_what_was_written_beyond_an_early_usage() {
    let stage = Stage::new().await;
    let truth = Truth::of(77);
    let events = Events::new(&truth, "m", 6);
    let early = openai::event(&json!({
        "id": truth.id, "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{ "index": 0, "delta": { "role": "assistant", "content": "" }, "finish_reason": null }],
        "usage": { "prompt_tokens": 11, "completion_tokens": 0, "total_tokens": 11 },
    }));
    let script = Script::events().chunk(early).chunks(&events.content[..5]).reset();
    stage.upstream.next(script);
    let answer = stage.gateway.send(&Call::stream(&stage.key, "m")).await;
    let record = stage.gateway.record(&answer.request_id()).await;
    assert_eq!((record.end(), record.provenance()), ("upstream_aborted", "partial"), "{record:#?}");
    assert_eq!(record.prompt(), 11, "the count that was told stands");
    assert!(record.completion() >= 5 * 6, "what was written is counted: {record:#?}");
}

#[tokio::test]
async fn a_long_plain_answer_that_is_not_whole_is_never_a_clean_one() {
    let stage = Stage::new().await;
    let body = format!(r#"{{"object":"list","data":[{}"#, "0.125,".repeat(30_000));
    let length = body.len().to_string();
    let json = ("content-type", "application/json");
    let with_length = script::head(200, &[json], &[("content-length", &length)]);
    for head in [script::head(200, &[json], &[("connection", "close")]), with_length] {
        for version in BOTH {
            stage.upstream.next(Script::new().send(head.clone()).send(body.clone()).fin());
            let answer = stage.gateway.send_over(version, &Call::chat(&stage.key, "m")).await;
            assert_ne!(answer.end, BodyEnd::Clean, "{version:?}");
            let record = stage.gateway.record(&answer.request_id()).await;
            assert_eq!(record.end(), "upstream_aborted", "{record:#?}");
        }
    }
}

#[tokio::test]
async fn a_silent_stream_is_kept_alive_between_events_and_only_there() {
    let stage = Stage::with(|gateway| gateway.set("/server/keep_alive_after", "100ms")).await;
    let truth = Truth::of(78);
    let events = Events::new(&truth, "m", 2);
    const ALIVE: &str = ": keep-alive\n\n";
    for version in BOTH {
        let (first, middle, half) = (Gate::closed(), Gate::closed(), Gate::closed());
        let (begin, end) = events.content[1].split_at(20);
        let script = Script::events()
            .wait(&first)
            .chunk(&events.content[0])
            .wait(&middle)
            .chunk(begin)
            .wait(&half)
            .chunk(end)
            .chunks([&events.usage, &events.done])
            .end()
            .truth(&truth);
        stage.upstream.next(script);
        let call = json!({ "model": "m", "messages": [{ "role": "user", "content": "x" }], "stream": true,
                           "stream_options": { "include_usage": true } });
        let mut exchange = stage.gateway.open_over(version, &Call::chat_with(&stage.key, &call)).await;
        let mut body = Vec::new();
        exchange.read_to(&mut body, ALIVE.len()).await;
        assert!(body.starts_with(ALIVE.as_bytes()), "before the first event: {body:?}");
        first.open();
        let content = String::from_utf8(events.content[0].clone()).unwrap();
        let after_content = format!("{content}{ALIVE}");
        wait::until("a keep-alive comes after the first event", async || {
            let want = body.len() + 1;
            exchange.read_to(&mut body, want).await;
            String::from_utf8_lossy(&body).contains(&after_content).then_some(())
        })
        .await;
        middle.open();
        half.open();
        let rest = exchange.whole().await;
        let all = String::from_utf8([body, rest.body].concat()).unwrap();
        let without: String = all.replace(ALIVE, "");
        assert_eq!(without, String::from_utf8(events.with_usage()).unwrap(), "{version:?}");
    }
    stage.gateway.quiet().await;
}

#[tokio::test]
async fn an_offered_protocol_other_than_websocket_is_passed_over() {
    let stage = Stage::new().await;
    let call = Call::chat(&stage.key, "m")
        .header("connection", "Upgrade, HTTP2-Settings")
        .header("upgrade", "h2c")
        .header("http2-settings", "AAMAAABkAARAAAAAAAIAAAAA");
    let connection = h1::Connection::open(stage.gateway.settings.public).await;
    let (first, connection) = connection.send(&call).await;
    let (second, _) = connection.expect("the connection lives on").send(&call).await;
    for answer in [first, second] {
        stage.gateway.record(&answer.ok().request_id()).await;
    }
    let websocket = Call::get("/v1/models").header("connection", "Upgrade").header("upgrade", "WebSocket");
    assert_eq!(stage.gateway.send(&websocket).await.status, 426);
}

#[tokio::test]
async fn an_interim_answer_during_a_long_upload_is_no_answer() {
    let stage = Stage::new().await;
    let truth = Truth::of(79);
    let body = json!({ "model": "m", "messages": [{ "role": "user", "content": "x".repeat(8 << 20) }] });
    for version in BOTH {
        let whole = Script::json(200, openai::completion(&truth, "m")).steps;
        let mut steps =
            vec![Step::Send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n".to_vec())];
        steps.extend(whole);
        stage.upstream.next(Script { steps, truth: Some(truth.clone()) });
        let answer = stage.gateway.send_over(version, &Call::chat_with(&stage.key, &body)).await.ok();
        assert_eq!(answer.body, openai::completion(&truth, "m"), "{version:?}");
    }
    assert!(stage.upstream.seen().iter().all(|seen| seen.complete));
}

#[tokio::test]
async fn our_credential_in_an_upstreams_error_stays_here() {
    let stage = Stage::new().await;
    let credential = crate::support::settings::CREDENTIAL;
    for status in [400, 401, 500] {
        stage.upstream.next(Script::error(status, &format!("bad key {credential}, and again {credential}.")));
        let answer = stage.chat().await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.message(), "bad key ***, and again ***.");
    }
}

#[tokio::test]
async fn a_hop_that_cannot_be_read_is_not_taken_for_the_proxy() {
    let stage = Stage::with(|gateway| gateway.set("/server/trusted_proxies", json!(["127.0.0.0/8"]))).await;
    let key = stage.gateway.create_key(json!({ "name": "inside", "allowed_ips": ["127.0.0.0/8"] })).await;
    let forwarded = |value: &str| Call::chat(&key.secret, "m").header("x-forwarded-for", value);
    for (value, status) in [
        ("127.0.0.9", 200),
        ("127.0.0.9:5123", 200),
        ("203.0.113.7:5123", 403),
        ("[2001:db8::1]:443", 403),
        ("unknown", 403),
        ("127.0.0.9, unknown", 403),
        ("unknown, 127.0.0.9", 403),
    ] {
        assert_eq!(stage.gateway.send(&forwarded(value)).await.status, status, "{value}");
    }
}

#[tokio::test]
async fn keep_alives_do_not_lengthen_an_upstreams_silence() {
    let stage = Stage::with(|gateway| {
        let timeouts = json!({ "first_byte": "20s", "idle": "1s" });
        gateway.set("/server/keep_alive_after", "100ms").with(|settings| settings.timeouts("up", timeouts))
    })
    .await;
    let truth = Truth::of(80);
    let events = Events::new(&truth, "m", 3);
    stage.upstream.next(Script::events().chunk(&events.content[0]).await_gone().truth(&truth));
    let answer = stage.gateway.send(&Call::stream(&stage.key, "m")).await;
    assert!(answer.text().contains(": keep-alive"), "{}", answer.text());
    let record = stage.gateway.record(&answer.request_id()).await;
    assert_eq!(record.end(), "upstream_aborted", "{record:#?}");
}
