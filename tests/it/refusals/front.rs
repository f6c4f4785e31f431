//! The front door: unknown paths, methods, upgrades, slow heads, heads that lie.

use super::Stage;
use crate::support::{
    client::{Call, h1},
    wait,
};

#[tokio::test]
async fn unknown_paths_and_methods_are_refused() {
    let stage = Stage::new().await;
    for (method, path) in [
        ("GET", "/v1/nothing"),
        ("POST", "/v1/files"),
        ("GET", "/v1/batches"),
        ("DELETE", "/v1/chat/completions"),
        ("POST", "/v1/chat/../chat/completions"),
        ("POST", "/v1//chat/completions"),
        ("POST", "/v1/chat%2fcompletions"),
        ("GET", "/api/v1/gateway/keys"),
        ("GET", "/metrics"),
        ("GET", "/console"),
    ] {
        let answer = stage.gateway.send(&Call::new(method, path).bearer(&stage.key)).await;
        assert!([400, 401, 403, 404, 405].contains(&answer.status), "{method} {path}: {}", answer.status);
    }
    stage.expect_untouched().await;
}

#[tokio::test]
async fn upgrades_are_refused_with_426() {
    let stage = Stage::new().await;
    let call = Call::get("/v1/realtime?model=m")
        .bearer(&stage.key)
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    assert_eq!(stage.gateway.send(&call).await.status, 426);
    stage.expect_untouched().await;
}

#[tokio::test]
async fn a_slow_head_is_closed_also_on_the_second_request() {
    let stage = Stage::with(|gateway| gateway.set("/server/header_timeout", "1s")).await;
    let mut fresh = h1::Connection::open(stage.gateway.settings.public).await;
    fresh.start_raw(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-slow: ".to_vec());
    wait::within("a fresh connection's close", fresh_close(fresh)).await;
    let connection = h1::Connection::open(stage.gateway.settings.public).await;
    let (first, connection) = connection.send(&Call::chat(&stage.key, "m")).await;
    assert_eq!(first.status, 200);
    let mut second = connection.expect("kept alive");
    second.start_raw(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-slow: ".to_vec());
    wait::within("a used connection's close", fresh_close(second)).await;
}

/// A 408 or a bare close, in bounded time.
async fn fresh_close(connection: h1::Connection) {
    if let Ok(exchange) = connection.try_answer().await {
        assert!([400, 408].contains(&exchange.status), "{}", exchange.status);
    }
}

#[tokio::test]
async fn a_head_that_drips_is_closed_as_a_whole() {
    let stage = Stage::with(|gateway| gateway.set("/server/header_timeout", "1s")).await;
    let mut connection = h1::Connection::open(stage.gateway.settings.public).await;
    connection.start_raw(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-slow: ".to_vec());
    let closed = wait::until_within(wait::PATIENCE, async || {
        connection.sent().await.err().map(|_| ()).or_else(|| {
            connection.start_raw(b"a".to_vec());
            None
        })
    });
    assert!(closed.await.is_some(), "a byte every 10 ms holds a connection for ever");
}

#[tokio::test]
async fn heads_that_two_parsers_could_read_differently_never_smuggle() {
    let stage = Stage::new().await;
    let smuggled = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: 30\r\n\r\n",
        stage.key
    );
    let body = br#"{"model":"m","messages":[]}"#;
    let heads = [
        // Both lengths.
        format!("content-length: {}\r\ntransfer-encoding: chunked\r\n", 5 + smuggled.len()),
        format!("transfer-encoding: chunked\r\ncontent-length: {}\r\n", 5 + smuggled.len()),
        "transfer-encoding: xchunked\r\n".to_owned(),
        "transfer-encoding: chunked, identity\r\n".to_owned(),
        "transfer-encoding : chunked\r\n".to_owned(),
        "content-length: 5\r\ncontent-length: 6\r\n".to_owned(),
        "content-length: +5\r\n".to_owned(),
        "content-length: 0x5\r\n".to_owned(),
    ];
    for head in heads {
        let mut bytes = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n{head}\r\n",
            stage.key
        )
        .into_bytes();
        bytes.extend_from_slice(b"0\r\n\r\n");
        bytes.extend_from_slice(smuggled.as_bytes());
        bytes.extend_from_slice(body);
        bytes.extend_from_slice(b"   ");
        let mut connection = h1::Connection::open(stage.gateway.settings.public).await;
        connection.start_raw(bytes);
        // Any refusal or a close will do.
        let answered = wait::within("an answer or a close", connection.try_answer()).await;
        if let Ok(exchange) = answered {
            assert!(exchange.status >= 400, "{head:?}: {}", exchange.status);
        }
    }
    stage.gateway.quiet().await;
    for seen in stage.upstream.seen() {
        assert!(!String::from_utf8_lossy(&seen.body).contains("HTTP/1.1"), "a request inside a body");
    }
}
