//! The turns of HTTP: 100-continue, reuse, early answers, interim answers, half-closes.

use crate::support::{
    client::{BOTH, BodyEnd, Call, Sending, Version, h1},
    gateway::{Gateway, TestGateway},
    upstream::{Gate, Script, Step, Truth, Upstream, openai},
    wait,
};

async fn one_attempt() -> (Gateway, Upstream, String) {
    let upstream = Upstream::start().await;
    let gateway = TestGateway::new()
        .upstream("up", &upstream)
        .model("m", &["up"])
        .set("/models/m/route/attempts", 1)
        .start()
        .await;
    let key = gateway.key().await;
    (gateway, upstream, key)
}

#[tokio::test]
async fn a_client_that_expects_100_continue_gets_it() {
    let (gateway, upstream, key) = one_attempt().await;
    let call = Call::chat(&key, "m").header("expect", "100-continue");
    let bytes = h1::bytes(&call, "gateway");
    let head = bytes.len() - call.body.len();
    let mut connection = h1::Connection::open(gateway.settings.public).await;
    connection.start_raw(bytes[..head].to_vec());
    connection.sent().await.unwrap();
    let status = wait::within("the interim status", connection.next_status()).await.unwrap();
    assert_eq!(status, 100);
    connection.start_raw(bytes[head..].to_vec());
    let exchange = wait::within("the answer", connection.answer()).await;
    assert_eq!(exchange.status, 200);
    assert_eq!(upstream.the_one().body, call.body);
}

#[tokio::test]
async fn a_client_that_expects_100_continue_and_is_a_stranger_gets_401_at_once() {
    let (gateway, _upstream, _) = one_attempt().await;
    let call =
        Call::chat("sk-aione-nobody", "m").header("expect", "100-continue").sending(Sending::CutAfter(0));
    assert_eq!(gateway.send(&call).await.status, 401);
}

#[tokio::test]
async fn connections_to_the_upstream_are_kept_and_used_again() {
    let (gateway, upstream, key) = one_attempt().await;
    for _ in 0..5 {
        gateway.send(&Call::chat(&key, "m")).await.ok();
        gateway.send(&Call::stream(&key, "m")).await.ok();
    }
    assert!(upstream.connections() <= 2, "{} connections for ten requests", upstream.connections());
}

#[tokio::test]
async fn a_pooled_connection_that_was_closed_is_not_noticed_by_the_caller() {
    let (gateway, upstream, key) = one_attempt().await;
    for closing in [Step::Fin, Step::Reset] {
        let truth = Truth::of(7);
        upstream.next(Script::json(200, openai::completion(&truth, "m")).truth(&truth).then(closing));
        gateway.send(&Call::chat(&key, "m")).await.ok();
        gateway.send(&Call::chat(&key, "m")).await.ok();
    }
}

#[tokio::test]
async fn a_pooled_connection_that_dies_under_the_request_is_tried_once_more() {
    let (gateway, upstream, key) = one_attempt().await;
    gateway.send(&Call::chat(&key, "m")).await.ok();
    // The pooled connection takes the request and closes without a byte of an answer.
    upstream.next(Script::new().fin());
    let answer = gateway.send(&Call::chat(&key, "m")).await.ok();
    let seen = upstream.seen();
    assert_eq!(seen.len(), 3);
    assert_eq!(seen[1].connection, seen[0].connection);
    assert_ne!(seen[2].connection, seen[1].connection);
    gateway.record(&answer.request_id()).await;
    gateway.all_records(2).await;
}

#[tokio::test]
async fn a_fresh_connection_that_dies_is_an_upstream_error() {
    let (gateway, upstream, key) = one_attempt().await;
    upstream.decide(|_| Script::new().fin());
    for version in BOTH {
        let answer = gateway.send_over(version, &Call::chat(&key, "m")).await;
        assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_error"));
        assert_eq!(answer.end, BodyEnd::Clean);
    }
    gateway.quiet().await;
}

#[tokio::test]
async fn an_answer_before_the_body_was_sent_reaches_the_caller() {
    let (gateway, upstream, key) = one_attempt().await;
    let body = serde_json::json!({ "model": "m", "messages": [{ "role": "user", "content": "x".repeat(20 << 20) }] });
    for version in BOTH {
        let gate = Gate::closed();
        let early = Script::error(413, "this upstream takes less").steps.split_off(1);
        let script = Script { steps: early, truth: None }.hold(&gate).then(Step::ReadBody);
        upstream.next(script);
        let answer = gateway.send_over(version, &Call::chat_with(&key, &body)).await;
        gate.open();
        assert_eq!(
            (answer.status, answer.message().as_str()),
            (413, "this upstream takes less"),
            "{version:?}"
        );
        // Nothing of the rest of that body is taken for a request or an answer.
        gateway.send_over(version, &Call::chat(&key, "m")).await.ok();
    }
}

#[tokio::test]
async fn interim_answers_of_the_upstream_are_no_answers() {
    let (gateway, upstream, key) = one_attempt().await;
    let truth = Truth::of(3);
    let mut script = Script::json(200, openai::completion(&truth, "m")).truth(&truth);
    let hints = "HTTP/1.1 103 Early Hints\r\nlink: </x>; rel=preload\r\n\r\n";
    script.steps.insert(1, Step::Send(format!("HTTP/1.1 100 Continue\r\n\r\n{hints}").into_bytes()));
    upstream.decide(move |_| script.clone());
    for version in BOTH {
        let answer = gateway.send_over(version, &Call::chat(&key, "m")).await.ok();
        assert_eq!(answer.body, openai::completion(&truth, "m"));
        assert!(answer.header("link").is_none());
        assert!(answer.interim.iter().all(|status| *status == 103), "a 100 that nobody expected");
    }
}

#[tokio::test]
async fn a_client_that_half_closes_gets_its_answer_or_nothing_but_is_metered_once() {
    let (gateway, upstream, key) = one_attempt().await;
    let gate = Gate::closed();
    let truth = Truth::of(4);
    let whole = Script::json(200, openai::completion(&truth, "m")).truth(&truth);
    let mut script = whole.clone();
    script.steps.insert(1, Step::Wait(gate.clone()));
    upstream.next(script);
    let mut connection = h1::Connection::open(gateway.settings.public).await;
    connection.start(&Call::chat(&key, "m"));
    connection.half_close().await;
    wait::until("the upstream is asked", async || (upstream.asked() == 1).then_some(())).await;
    gate.open();
    let answered = wait::within("an answer or a close", connection.try_answer()).await;
    if let Ok(exchange) = answered {
        assert!([200, 499].contains(&exchange.status), "{}", exchange.status);
    }
    let record = gateway.records_eventually(1).await.remove(0);
    assert_eq!((record.prompt(), record.completion()), (truth.prompt, truth.completion));
    assert_eq!(record.provenance(), "provider");
}

#[tokio::test]
async fn requests_follow_each_other_on_one_connection_after_every_kind_of_answer() {
    let (gateway, _upstream, key) = one_attempt().await;
    let calls = [
        (Call::chat(&key, "m"), 200),
        (Call::stream(&key, "m").sending(Sending::Chunked(11)), 200),
        (Call::chat(&key, "missing"), 404),
        (Call::chat("sk-wrong", "m"), 401),
        (
            Call::post("/v1/chat/completions", vec![b'x'; 100_000])
                .bearer("sk-wrong")
                .sending(Sending::Chunked(999)),
            401,
        ),
        (Call::get("/v1/models").bearer(&key), 200),
        (Call::get("/healthz"), 200),
        (Call::chat(&key, "m"), 200),
    ];
    let mut connection = None;
    for (call, status) in calls {
        let current = match connection.take() {
            Some(connection) => connection,
            // A refused body may cost the connection; it must never be read as a request.
            None => h1::Connection::open(gateway.settings.public).await,
        };
        let (answer, next) = wait::within("an answer", current.send(&call)).await;
        assert_eq!(answer.status, status, "{} {}", call.path, answer.text());
        connection = next;
    }
}

#[tokio::test]
async fn http2_to_the_upstream_over_tls_with_an_authority_of_our_own() {
    use crate::support::upstream::tls::TlsUpstream;
    let upstream = TlsUpstream::start_as("localhost").await;
    let stranger = TlsUpstream::start_as("elsewhere.example").await;
    let folder = tempfile::tempdir().unwrap();
    let add = |settings: crate::support::settings::Settings, name: &str, upstream: &TlsUpstream| {
        let file = folder.path().join(format!("{name}.pem"));
        upstream.write_ca(&file);
        let pointer = format!("/providers/{name}/ca_file");
        settings.provider_at(name, &upstream.base_url()).set(&pointer, file.to_str().unwrap())
    };
    let gateway = TestGateway::new()
        .with(|settings| add(settings, "tls", &upstream))
        .with(|settings| add(settings, "wrong-name", &stranger))
        .with(|settings| settings.provider_at("unknown-authority", &upstream.base_url()))
        .model("good", &["tls"])
        .model("wrong", &["wrong-name"])
        .model("unknown", &["unknown-authority"])
        .start()
        .await;
    let key = gateway.key().await;
    for version in BOTH {
        for call in [Call::chat(&key, "good"), Call::stream(&key, "good")] {
            let answer = gateway.send_over(version, &call).await.ok();
            let record = gateway.record(&answer.request_id()).await;
            let truth = upstream.truths().pop().unwrap();
            assert_eq!((record.prompt(), record.completion()), (truth.prompt, truth.completion));
        }
    }
    let seen = upstream.seen();
    assert_eq!(seen.len(), BOTH.len() * 2);
    assert!(seen.iter().all(|seen| seen.head.start.ends_with("HTTP/2")));
    for model in ["wrong", "unknown"] {
        let answer = gateway.send_over(Version::H1, &Call::chat(&key, model)).await;
        assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_error"), "{model}");
    }
    assert!(stranger.seen().is_empty(), "no request goes to a certificate of another name");
}
