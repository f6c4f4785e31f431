//! Bodies that are refused: their JSON, their size, their encoding, their pace.

use super::{Stage, assert_refusal};
use crate::support::{
    client::{Call, Sending, Version, h1},
    wait,
};
use std::io::Write as _;

const CHAT: &str = "/v1/chat/completions";
const MESSAGES: &str = r#""messages":[{"role":"user","content":"hi"}]"#;

#[tokio::test]
async fn json_that_two_parsers_could_read_differently_is_refused() {
    let stage = Stage::new().await;
    let bodies = [
        "not json".to_owned(),
        "[]".to_owned(),
        "null".to_owned(),
        "\"m\"".to_owned(),
        format!(r#"{{{MESSAGES}}}"#),
        format!(r#"{{"model":"m","model":"m",{MESSAGES}}}"#),
        format!(r#"{{"model":"m","mo\u0064el":"other",{MESSAGES}}}"#),
        format!(r#"{{"model":"m","stream":false,"stream":true,{MESSAGES}}}"#),
        format!(r#"{{"model":"m","max_tokens":1,"max_tokens":2,{MESSAGES}}}"#),
        format!(
            r#"{{"model":"m",{MESSAGES},"stream_options":{{"include_usage":true,"include_usage":false}}}}"#
        ),
        format!(r#"{{"model":"m",{MESSAGES}}} trailing"#),
        format!(r#"{{"model":"m",{MESSAGES}}}{{}}"#),
        format!("\u{feff}{{\"model\":\"m\",{MESSAGES}}}"),
        format!(r#"{{"model":"m",{MESSAGES},}}"#),
        format!(r#"{{"model":"m",/* hi */{MESSAGES}}}"#),
        format!(r#"{{"model":"m","temperature":NaN,{MESSAGES}}}"#),
        format!(r#"{{"model":"m","temperature":Infinity,{MESSAGES}}}"#),
        format!(r#"{{"model":"m","temperature":01,{MESSAGES}}}"#),
        format!(r#"{{"model":5,{MESSAGES}}}"#),
        format!(r#"{{"model":null,{MESSAGES}}}"#),
        format!(r#"{{"model":"m","stream":"yes",{MESSAGES}}}"#),
        format!(r#"{{"model":"\ud800",{MESSAGES}}}"#),
        format!(r#"{{"model":"m","user":"\ud800",{MESSAGES}}}"#),
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"a\nb\"}]}".to_owned(),
    ];
    for body in bodies {
        stage.expect(&body, &Call::post(CHAT, body.clone()).bearer(&stage.key), 400, "invalid_request").await;
    }
    let mut invalid = format!(r#"{{"model":"m","user":"?",{MESSAGES}}}"#).into_bytes();
    let at = invalid.iter().position(|byte| *byte == b'?').unwrap();
    invalid[at] = 0xff;
    stage
        .expect("invalid UTF-8", &Call::post(CHAT, invalid).bearer(&stage.key), 400, "invalid_request")
        .await;
    stage.expect_untouched().await;
}

#[tokio::test]
async fn absurd_ceilings_are_refused() {
    let stage = Stage::new().await;
    for value in
        ["0", "-1", "1.5", "\"9\"", "1e400", "9223372036854775808", "18446744073709551616", "true", "[1]"]
    {
        for name in ["max_tokens", "max_completion_tokens"] {
            let body = format!(r#"{{"model":"m","{name}":{value},{MESSAGES}}}"#);
            stage
                .expect(&body, &Call::post(CHAT, body.clone()).bearer(&stage.key), 400, "invalid_request")
                .await;
        }
    }
    stage.expect_untouched().await;
    for value in ["null", "1", "4096"] {
        let body = format!(r#"{{"model":"m","max_tokens":{value},{MESSAGES}}}"#);
        stage.gateway.send(&Call::post(CHAT, body).bearer(&stage.key)).await.ok();
    }
}

#[tokio::test]
async fn json_bombs_are_refused_in_linear_time() {
    let stage = Stage::new().await;
    let before = stage.gateway.resident_kib();
    let deep = |open: &str, close: &str| {
        let depth = 100_000;
        format!(r#"{{"model":"m","x":{}{},{MESSAGES}}}"#, open.repeat(depth), close.repeat(depth))
    };
    let objects =
        format!(r#"{{"model":"m","x":{}1{},{MESSAGES}}}"#, r#"{"a":"#.repeat(100_000), "}".repeat(100_000));
    for (what, body) in [("arrays", deep("[", "]")), ("objects", objects), ("unclosed", "[".repeat(1 << 20))]
    {
        stage.expect(what, &Call::post(CHAT, body).bearer(&stage.key), 400, "invalid_request").await;
    }
    let keys: Vec<_> = (0..1_000_000).map(|n| format!("\"k{n}\":0")).collect();
    let wide = format!(r#"{{"model":"m",{},{MESSAGES}}}"#, keys.join(","));
    let number = format!(r#"{{"model":"m","seed":1{},{MESSAGES}}}"#, "0".repeat(10 << 20));
    for (what, body) in [("a million keys", wide), ("a number of 10 MB", number)] {
        let answer = stage.gateway.send(&Call::post(CHAT, body).bearer(&stage.key)).await;
        assert!([200, 400, 413].contains(&answer.status), "{what}: {}", answer.text());
    }
    stage.gateway.quiet().await;
    let growth = stage.gateway.resident_kib().saturating_sub(before);
    assert!(growth < 256 << 10, "grew by {growth} KiB");
}

#[tokio::test]
async fn a_body_over_the_bound_is_refused_early() {
    let stage = Stage::with(|gateway| gateway.set("/server/max_body", "64KiB")).await;
    let large = Call::post(CHAT, vec![b'x'; (64 << 10) + 1]).bearer(&stage.key);
    stage.expect("by length", &large, 413, "request_too_large").await;
    stage
        .expect("in chunks", &large.clone().sending(Sending::Chunked(1_000)), 413, "request_too_large")
        .await;
    // The announced length alone is enough.
    let announced = Call { body: vec![b'x'; 10 << 20], ..large }.sending(Sending::CutAfter(10));
    assert_refusal("announced", &stage.gateway.send(&announced).await, 413, "request_too_large");
    stage.expect_untouched().await;
}

#[tokio::test]
async fn a_chunked_body_without_end_is_cut_at_the_bound() {
    let stage = Stage::with(|gateway| gateway.set("/server/max_body", "1MiB")).await;
    let before = stage.gateway.resident_kib();
    let endless = Call::post(CHAT, vec![b' '; 32 << 20]).bearer(&stage.key).sending(Sending::Chunked(8_192));
    assert_refusal("endless", &stage.gateway.send(&endless).await, 413, "request_too_large");
    assert!(stage.gateway.resident_kib().saturating_sub(before) < 32 << 10);
}

#[tokio::test]
async fn a_hundred_thousand_chunks_of_one_byte_are_a_body() {
    let stage = Stage::new().await;
    let body = format!(r#"{{"model":"m","user":"{}",{MESSAGES}}}"#, "u".repeat(100_000));
    let call = Call::post(CHAT, body.clone()).bearer(&stage.key).sending(Sending::Chunked(1));
    stage.gateway.send(&call).await.ok();
    assert!(stage.upstream.the_one().body == body.as_bytes());
}

#[tokio::test]
async fn a_body_that_does_not_come_is_timed_out() {
    let stage = Stage::with(|gateway| gateway.set("/server/body_timeout", "1s")).await;
    let call = Call::chat(&stage.key, "m").sending(Sending::CutAfter(5));
    assert_refusal("late over HTTP/1", &stage.gateway.send(&call).await, 408, "request_timeout");
    let answer = stage.gateway.send_over(Version::H2, &call).await;
    assert_refusal("late over HTTP/2", &answer, 408, "request_timeout");
    stage.expect_untouched().await;
}

#[tokio::test]
async fn a_body_that_drips_is_timed_out_as_a_whole() {
    let stage = Stage::with(|gateway| gateway.set("/server/body_timeout", "1s")).await;
    let bytes = h1::bytes(&Call::post(CHAT, vec![b' '; 10_000]).bearer(&stage.key), "gateway");
    let mut connection = h1::Connection::open(stage.gateway.settings.public).await;
    let mut rest = &bytes[bytes.len() - 10_000..];
    connection.start_raw(bytes[..bytes.len() - 10_000].to_vec());
    let dripped = wait::until_within(wait::PATIENCE, async || {
        let (byte, left) = rest.split_first()?;
        rest = left;
        connection.sent().await.err().map(|_| ()).or_else(|| {
            connection.start_raw(vec![*byte]);
            None
        })
    });
    // Writing fails once the gateway has given up, long before the last byte.
    assert!(dripped.await.is_some(), "10 000 bytes were taken one by one");
    stage.expect_untouched().await;
}

fn encoded(encoding: &str, body: &[u8]) -> Vec<u8> {
    use flate2::{Compression, write};
    match encoding {
        "gzip" => {
            let mut writer = write::GzEncoder::new(Vec::new(), Compression::default());
            writer.write_all(body).unwrap();
            writer.finish().unwrap()
        }
        "deflate" => {
            let mut writer = write::ZlibEncoder::new(Vec::new(), Compression::default());
            writer.write_all(body).unwrap();
            writer.finish().unwrap()
        }
        "zstd" => zstd::encode_all(body, 3).unwrap(),
        "br" => {
            let mut bytes = Vec::new();
            brotli::CompressorWriter::new(&mut bytes, 4_096, 5, 20).write_all(body).unwrap();
            bytes
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn encoded_bodies_are_decoded_once_and_forwarded_consistently() {
    let stage = Stage::new().await;
    let body = format!(r#"{{"model":"m","user":"{}",{MESSAGES}}}"#, "u".repeat(10_000));
    for encoding in ["gzip", "deflate", "zstd", "br"] {
        for version in crate::support::client::BOTH {
            let call = Call::post(CHAT, encoded(encoding, body.as_bytes()))
                .bearer(&stage.key)
                .header("content-encoding", encoding);
            let answer = stage.gateway.send_over(version, &call).await;
            assert_eq!(answer.status, 200, "{encoding}: {}", answer.text());
            let seen = stage.upstream.take_seen().remove(0);
            assert_eq!(seen.headers().get("content-encoding"), None, "{encoding}");
            assert!(seen.body == body.as_bytes(), "{encoding}");
        }
    }
}

#[tokio::test]
async fn encodings_that_are_unknown_stacked_or_broken_are_refused() {
    let stage = Stage::new().await;
    let body = format!(r#"{{"model":"m",{MESSAGES}}}"#);
    let call = |bytes: Vec<u8>, encoding: &str| {
        Call::post(CHAT, bytes).bearer(&stage.key).header("content-encoding", encoding)
    };
    for encoding in ["lzma", "gzip, br", "gzip,gzip", "x"] {
        let answer = stage.gateway.send(&call(body.clone().into_bytes(), encoding)).await;
        assert_refusal(encoding, &answer, 415, "unsupported_encoding");
    }
    for encoding in ["gzip", "deflate", "zstd", "br"] {
        let whole = encoded(encoding, body.as_bytes());
        let cut = call(whole[..whole.len() / 2].to_vec(), encoding);
        stage.expect(encoding, &cut, 400, "invalid_request").await;
        stage.expect(encoding, &call(b"never encoded".to_vec(), encoding), 400, "invalid_request").await;
    }
    stage.expect_untouched().await;
}

#[tokio::test]
async fn an_encoded_bomb_is_refused_in_bounded_memory() {
    let stage = Stage::with(|gateway| gateway.set("/server/max_body", "1MiB")).await;
    let zeros = vec![b' '; 64 << 20];
    let before = stage.gateway.resident_kib();
    for encoding in ["gzip", "deflate", "zstd", "br"] {
        let bomb = Call::post(CHAT, encoded(encoding, &zeros))
            .bearer(&stage.key)
            .header("content-encoding", encoding);
        stage.expect(encoding, &bomb, 413, "request_too_large").await;
    }
    let growth = stage.gateway.resident_kib().saturating_sub(before);
    assert!(growth < 48 << 10, "grew by {growth} KiB");
    stage.expect_untouched().await;
}
