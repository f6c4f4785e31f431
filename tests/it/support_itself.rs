//! The scripted upstream and the clients against each other, with no gateway between them.

use crate::support::{
    client::{self, Answer, BodyEnd, Call, Leave, Sending, Version, h1},
    money, records,
    upstream::{Events, Gate, Script, Truth, Upstream, openai, script, tls::TlsUpstream},
    wait,
};

async fn ask(upstream: &Upstream, call: &Call) -> Answer {
    client::send(Version::H1, upstream.addr, call).await
}

#[tokio::test]
async fn an_honest_upstream_logs_the_truth_it_answers() {
    let upstream = Upstream::start().await;
    let answer = ask(&upstream, &Call::chat("k", "m")).await.ok();
    let truth = upstream.truths().remove(0);
    assert_eq!(answer.json()["id"], truth.id);
    assert_eq!(answer.json()["usage"]["prompt_tokens"], truth.prompt);
    assert_eq!(upstream.the_one().json()["model"], "m");
    assert_eq!(upstream.the_one().headers().get("authorization"), Some("Bearer k"));
}

#[tokio::test]
async fn a_stream_has_its_usage_only_when_asked() {
    let upstream = Upstream::start().await;
    let plain = ask(&upstream, &Call::stream("k", "m")).await.ok();
    let events = Events::new(&upstream.truths()[0], "m", openai::CONTENT_EVENTS);
    assert_eq!(plain.body, events.without_usage());
    let asking =
        serde_json::json!({ "model": "m", "stream": true, "stream_options": { "include_usage": true } });
    let full = ask(&upstream, &Call::chat_with("k", &asking)).await.ok();
    let events = Events::new(&upstream.truths()[1], "m", openai::CONTENT_EVENTS);
    assert_eq!(full.body, events.with_usage());
}

#[tokio::test]
async fn a_connection_is_kept_for_the_next_request() {
    let upstream = Upstream::start().await;
    let connection = h1::Connection::open(upstream.addr).await;
    let (first, connection) = connection.send(&Call::chat("k", "m")).await;
    let call = Call::chat("k", "m").sending(Sending::Chunked(7));
    let (second, connection) = connection.unwrap().send(&call).await;
    assert_eq!((first.status, second.status), (200, 200));
    assert!(connection.is_some());
    let seen = upstream.seen();
    assert_eq!((seen[0].connection, seen[1].connection), (0, 0));
    assert_eq!(seen[0].body, seen[1].body);
}

#[tokio::test]
async fn a_gate_holds_a_chunk_back() {
    let gate = Gate::closed();
    let upstream = Upstream::always(Script::events().chunk("a").wait(&gate).chunk("b").end()).await;
    let mut exchange = client::open(Version::H1, upstream.addr, &Call::stream("k", "m")).await;
    assert_eq!(exchange.piece().await, Ok(Some(b"a".to_vec())));
    gate.open_once();
    assert_eq!(exchange.piece().await, Ok(Some(b"b".to_vec())));
    assert_eq!(exchange.piece().await, Ok(None));
}

#[tokio::test]
async fn a_reset_and_a_close_are_told_from_a_clean_end() {
    for (script, broken) in [
        (Script::events().chunk("a").end(), false),
        (Script::events().chunk("a").fin(), true),
        (Script::events().chunk("a").reset(), true),
        (Script::new().send(script::head(200, &[("content-length", "5")], &[])).send("abc").fin(), true),
    ] {
        let upstream = Upstream::always(script).await;
        let answer = ask(&upstream, &Call::stream("k", "m")).await;
        assert_eq!(answer.end != BodyEnd::Clean, broken, "{answer:?}");
    }
}

#[tokio::test]
async fn an_upstream_notices_a_client_that_leaves() {
    for how in client::EITHER_WAY {
        let gate = Gate::closed();
        let upstream = Upstream::always(Script::events().chunk("a").wait(&gate).end()).await;
        let mut exchange = client::open(Version::H1, upstream.addr, &Call::stream("k", "m")).await;
        exchange.read_to(&mut Vec::new(), 1).await;
        exchange.leave(how).await;
        wait::until("the upstream notices", async || (upstream.abandoned() == 1).then_some(())).await;
    }
}

#[tokio::test]
async fn an_early_answer_comes_before_the_body() {
    let upstream = Upstream::start().await;
    upstream.next(Script { steps: Script::error(400, "no").steps.split_off(1), truth: None }.fin());
    let call = Call::post("/v1/x", vec![b'x'; 100]).sending(Sending::CutAfter(1));
    assert_eq!(ask(&upstream, &call).await.status, 400);
    assert!(!upstream.the_one().complete);
}

#[tokio::test]
async fn a_large_body_passes_whole() {
    let upstream = Upstream::start().await;
    let body = serde_json::json!({ "model": "m", "pad": "x".repeat(1 << 20) }).to_string();
    for framing in [Sending::Length, Sending::Chunked(10_000)] {
        ask(&upstream, &Call::post("/v1/chat/completions", body.clone()).sending(framing)).await.ok();
    }
    assert!(upstream.seen().iter().all(|seen| seen.body == body.as_bytes()));
}

#[tokio::test]
async fn the_tls_upstream_speaks_http2() {
    use std::sync::Arc;
    use tokio_rustls::{TlsConnector, rustls};
    let upstream = TlsUpstream::start_as("localhost").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    upstream.write_ca(&file);
    let mut roots = rustls::RootCertStore::empty();
    for certificate in rustls::pki_types::pem::PemObject::pem_file_iter(&file).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let tcp = tokio::net::TcpStream::connect(upstream.addr).await.unwrap();
    let tls =
        TlsConnector::from(Arc::new(config)).connect("localhost".try_into().unwrap(), tcp).await.unwrap();
    let (mut client, connection) = h2::client::handshake(tls).await.unwrap();
    let driver = tokio::spawn(connection);
    let request = http::Request::post("https://localhost/v1/chat/completions").body(()).unwrap();
    let (response, mut send) = client.send_request(request, false).unwrap();
    send.send_data(bytes::Bytes::from_static(br#"{"model":"m","stream":true}"#), true).unwrap();
    let answer = response.await.unwrap();
    assert_eq!(answer.status(), 200);
    let mut body = answer.into_body();
    let mut bytes = Vec::new();
    while let Some(data) = body.data().await {
        bytes.extend_from_slice(&data.unwrap());
    }
    driver.abort();
    let truth = upstream.truths().remove(0);
    assert_eq!(bytes, Events::new(&truth, "m", openai::CONTENT_EVENTS).without_usage());
}

#[test]
fn money_is_calculated_in_integers() {
    assert_eq!(money::pico("1.05"), 1_050_000_000_000);
    assert_eq!(money::pico("-0.000000000001"), -1);
    assert_eq!(money::pico("3.0000000000000"), 3_000_000_000_000);
    let truth = Truth { cached: 400_000, ..Truth::plain("x", 1_000_000, 1_000_000) };
    assert_eq!(money::cost(&truth), money::pico("0.63") + money::pico("0.21") + money::pico("4.2"));
}

#[tokio::test]
async fn records_of_no_database_are_none() {
    let folder = tempfile::tempdir().unwrap();
    assert!(records::read(&folder.path().join("none.db")).await.is_empty());
    let _ = Leave::Fin;
}
