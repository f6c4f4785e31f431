//! Who is refused: 401 and 403, and keys that disagree.

use super::Stage;
use crate::support::{
    client::{self, Answer, BOTH, Call, h1, h2},
    settings::OPERATOR,
    upstream::frames,
    wait,
};
use serde_json::json;

/// Well-formed but for its checksum.
const WRONG_SUM: &str = "sk-aione-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA000wxyz";

#[tokio::test]
async fn strangers_are_refused_with_a_masked_key() {
    let stage = Stage::new().await;
    let answer = stage.expect("a wrong checksum", &Call::chat(WRONG_SUM, "m"), 401, "invalid_api_key").await;
    assert_eq!(answer.message(), "Invalid API key provided: sk-aio…wxyz");
    let last = stage.key.chars().last().unwrap();
    let other = if last == 'a' { 'b' } else { 'a' };
    let one_off = format!("{}{other}", &stage.key[..stage.key.len() - 1]);
    for (what, secret) in [
        ("one character off", one_off.as_str()),
        ("another prefix", "sk-proj-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA000000"),
        ("short", "sk"),
        ("an operator token", OPERATOR),
        ("upper case", &stage.key.to_uppercase()),
        ("a trailing dot", &format!("{}.", stage.key)),
    ] {
        let answer = stage.expect(what, &Call::chat(secret, "m"), 401, "invalid_api_key").await;
        assert!(!answer.text().contains(secret) || secret.len() < 8, "{what}: {}", answer.text());
    }
    let nobody = Call { headers: Vec::new(), ..Call::chat("", "m") };
    stage.expect("no key", &nobody, 401, "invalid_api_key").await;
    stage.expect("an empty key", &Call::chat("", "m"), 401, "invalid_api_key").await;
    stage
        .expect("no scheme", &nobody.clone().header("authorization", &stage.key), 401, "invalid_api_key")
        .await;
    stage.expect_untouched().await;
}

/// A longer key than any head may hold.
const LONG: usize = 1 << 20;

#[tokio::test]
async fn a_key_of_a_megabyte_is_refused_in_bounded_memory_and_not_echoed() {
    let stage = Stage::new().await;
    let mut settled = 0;
    for round in 0..16 {
        if round == 4 {
            // What such heads need is there by now.
            settled = stage.gateway.resident_kib();
        }
        for length in [200_000, LONG] {
            let long = "k".repeat(length);
            refused_over_both(&stage, &Call::chat(&long, "m")).await;
            refused_over_both(&stage, &Call::chat(&stage.key, "m").header("x-api-key", &long)).await;
        }
    }
    let growth = stage.gateway.resident_kib().saturating_sub(settled);
    assert!(growth < 24 << 10, "grew by {growth} KiB");
    stage.expect_untouched().await;
}

/// Such a head may cost the connection.
async fn refused_over_both(stage: &Stage, call: &Call) {
    let mut connection = h1::Connection::open(stage.gateway.settings.public).await;
    connection.start(call);
    if let Ok(exchange) = wait::within("a refusal or a close", connection.try_answer()).await {
        expect_short_refusal(client::Exchange::H1(Box::new(exchange)).whole().await);
    }
    let opened = h2::Exchange::try_open(stage.gateway.settings.public, call);
    if let Ok(exchange) = wait::within("a refusal or a reset", opened).await {
        expect_short_refusal(client::Exchange::H2(Box::new(exchange)).whole().await);
    }
}

fn expect_short_refusal(answer: Answer) {
    assert!([400, 401, 431].contains(&answer.status), "{}", answer.status);
    assert!(answer.body.len() < 4_096, "the key is not echoed");
}

#[tokio::test]
async fn keys_of_other_alphabets_are_refused_without_an_echo() {
    let stage = Stage::new().await;
    let start = &stage.key[..stage.key.len() - 1];
    for (what, end) in [
        ("an Arabic digit", "\u{663}"),
        ("a full-width digit", "\u{ff11}"),
        ("a Cyrillic letter", "\u{430}"),
        ("a zero-width space", "\u{200b}"),
        ("an accent of its own", "a\u{301}"),
    ] {
        let secret = format!("{start}{end}");
        for header in ["authorization", "x-api-key", "x-goog-api-key"] {
            let value = if header == "authorization" { format!("Bearer {secret}") } else { secret.clone() };
            let bare = Call { headers: Vec::new(), ..Call::chat("", "m") };
            let answer = stage.expect(what, &bare.header(header, &value), 401, "invalid_api_key").await;
            assert!(!answer.text().contains(start), "{what}: {}", answer.text());
        }
    }
    stage.expect_untouched().await;
}

#[tokio::test]
async fn a_nul_in_a_key_is_refused_over_http1() {
    let stage = Stage::new().await;
    for place in ["\0{}", "{}\0", "{}\0suffix"] {
        let call = Call::chat(&place.replace("{}", &stage.key), "m");
        let mut connection = h1::Connection::open(stage.gateway.settings.public).await;
        connection.start(&call);
        if let Ok(exchange) = wait::within("a refusal or a close", connection.try_answer()).await {
            assert!([400, 401].contains(&exchange.status), "{place:?}: {}", exchange.status);
        }
    }
    stage.expect_untouched().await;
}

#[tokio::test]
async fn a_nul_in_a_key_is_refused_over_http2() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let stage = Stage::new().await;
    let bearer = format!("Bearer {}\0", stage.key);
    let block: Vec<u8> = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/v1/chat/completions"),
        (":authority", "gateway"),
        ("authorization", &bearer),
    ]
    .iter()
    .flat_map(|(name, value)| frames::field(name, value))
    .collect();
    let body = Call::chat("", "m").body;
    let bytes = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        frames::frame(frames::SETTINGS, 0, 0, &[]),
        frames::frame(frames::HEADERS, frames::END_HEADERS, 1, &block),
        frames::frame(frames::DATA, frames::END_STREAM, 1, &body),
    ];
    let mut tcp = tokio::net::TcpStream::connect(stage.gateway.settings.public).await.unwrap();
    tcp.write_all(&bytes.concat()).await.unwrap();
    let kind = wait::within("a frame that refuses", async {
        loop {
            let mut head = [0; 9];
            if tcp.read_exact(&mut head).await.is_err() {
                return None;
            }
            let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
            tcp.read_exact(&mut payload).await.unwrap();
            if [frames::HEADERS, frames::RST_STREAM, frames::GOAWAY].contains(&head[3]) {
                return Some((head[3], payload));
            }
        }
    })
    .await;
    // `:status: 200` would be the first byte of a head, 0x88.
    assert!(
        kind.as_ref().is_none_or(|(kind, payload)| *kind != frames::HEADERS || payload[0] != 0x88),
        "{kind:?}"
    );
    stage.expect_untouched().await;
}

#[tokio::test]
async fn many_authorization_headers_are_one_key_or_a_refusal() {
    let stage = Stage::new().await;
    let other = stage.gateway.key().await;
    let with = |call: Call, secret: &str| call.header("authorization", &format!("Bearer {secret}"));
    let bare = || Call { headers: Vec::new(), ..Call::chat("", "m") };
    let many = |secrets: &[&str]| secrets.iter().fold(bare(), |call, secret| with(call, secret));
    let own = stage.key.as_str();
    for secrets in [vec![own, &other], vec![&other, own], vec![own, own, own, &other]] {
        stage.expect("keys that differ", &many(&secrets), 400, "invalid_request").await;
    }
    let basic = with(bare().header("authorization", "Basic YTpi"), own);
    stage.expect("two schemes", &basic, 401, "invalid_api_key").await;
    stage.expect_untouched().await;
    for secrets in [vec![own; 2], vec![own; 40]] {
        for version in BOTH {
            stage.gateway.send_over(version, &many(&secrets)).await.ok();
        }
    }
}

#[tokio::test]
async fn a_key_is_taken_from_every_place_and_in_every_case_of_the_scheme() {
    let stage = Stage::new().await;
    let bare = Call { headers: Vec::new(), ..Call::chat("", "m") }.header("content-type", "application/json");
    let key = &stage.key;
    for call in [
        bare.clone().header("authorization", &format!("bearer {key}")),
        bare.clone().header("authorization", &format!("BEARER {key}")),
        bare.clone().header("authorization", &format!("bEaReR   {key}")),
        bare.clone().header("x-api-key", key),
        bare.clone().header("x-goog-api-key", key),
        bare.clone().header("x-api-key", key).header("authorization", &format!("Bearer {key}")),
        Call { path: format!("/v1/chat/completions?key={key}"), ..bare.clone() },
    ] {
        for version in BOTH {
            let answer = stage.gateway.send_over(version, &call).await;
            assert_eq!(answer.status, 200, "{version:?} {:?}: {}", call.headers, answer.text());
        }
    }
}

#[tokio::test]
async fn two_keys_that_disagree_are_refused() {
    let stage = Stage::new().await;
    let other = stage.gateway.key().await;
    for (name, value) in [
        ("x-api-key", other.as_str()),
        ("x-goog-api-key", other.as_str()),
        ("authorization", &format!("Bearer {other}")),
        ("x-api-key", "sk-junk"),
    ] {
        let call = Call::chat(&stage.key, "m").header(name, value);
        stage.expect(name, &call, 400, "invalid_request").await;
    }
    let mut call = Call::chat(&stage.key, "m");
    call.path = format!("{}?key={other}", call.path);
    stage.expect("?key=", &call, 400, "invalid_request").await;
    stage.expect_untouched().await;
}

#[tokio::test]
async fn disabled_deleted_and_expired_keys_are_refused_at_once() {
    let stage = Stage::new().await;
    let key = stage.gateway.create_key(json!({})).await;
    let call = Call::chat(&key.secret, "m");
    let path = format!("/api/v1/gateway/keys/{}", key.id);
    stage.gateway.send(&call).await.ok();
    stage.gateway.admin(Call::new("PUT", &format!("{path}/disable"))).await.ok();
    stage.expect("disabled", &call, 401, "invalid_api_key").await;
    stage.gateway.admin(Call::new("PUT", &format!("{path}/enable"))).await.ok();
    stage.gateway.send(&call).await.ok();
    assert_eq!(stage.gateway.admin(Call::new("DELETE", &path)).await.status, 204);
    stage.expect("deleted", &call, 401, "invalid_api_key").await;
    let expired = stage.gateway.admin(Call::post(
        "/api/v1/gateway/keys",
        r#"{"name":"old","expires_at":"2020-01-01T00:00:00.000Z"}"#,
    ));
    let expired = expired.await;
    if expired.status == 201 {
        let secret = expired.json()["key"].as_str().unwrap().to_owned();
        stage.expect("expired", &Call::chat(&secret, "m"), 401, "invalid_api_key").await;
    } else {
        assert_eq!(expired.status, 422, "{}", expired.text());
    }
}

#[tokio::test]
async fn a_rotated_key_lives_through_its_grace_and_no_longer() {
    let stage = Stage::new().await;
    for (grace, alive) in [(3_600, true), (0, false)] {
        let key = stage.gateway.create_key(json!({})).await;
        stage.gateway.send(&Call::chat(&key.secret, "m")).await.ok();
        let body = json!({ "grace_seconds": grace }).to_string();
        let mut rotate = Call::post(&format!("/api/v1/gateway/keys/{}/rotate", key.id), body);
        rotate.method = "PUT";
        let rotated = stage.gateway.admin(rotate).await.ok().json();
        let new = rotated["key"].as_str().unwrap();
        assert_eq!(rotated["id"], key.id.as_str());
        stage.gateway.send(&Call::chat(new, "m")).await.ok();
        let old = stage.gateway.send(&Call::chat(&key.secret, "m")).await;
        assert_eq!(old.status, if alive { 200 } else { 401 }, "a grace of {grace} s");
    }
}

#[tokio::test]
async fn a_key_from_elsewhere_than_allowed_is_refused() {
    let stage = Stage::new().await;
    let elsewhere =
        stage.gateway.create_key(json!({ "allowed_ips": ["203.0.113.0/24", "2001:db8::1"] })).await;
    let spoofed = Call::chat(&elsewhere.secret, "m").header("x-forwarded-for", "203.0.113.9");
    stage.expect("another address", &Call::chat(&elsewhere.secret, "m"), 403, "ip_not_allowed").await;
    stage.expect("a spoofed address", &spoofed, 403, "ip_not_allowed").await;
    stage.expect_untouched().await;
    let here = stage.gateway.create_key(json!({ "allowed_ips": ["127.0.0.0/8"] })).await;
    stage.gateway.send(&Call::chat(&here.secret, "m")).await.ok();
}

#[tokio::test]
async fn a_trusted_hop_tells_the_callers_address() {
    let stage = Stage::with(|gateway| gateway.set("/server/trusted_proxies", json!(["127.0.0.1/32"]))).await;
    let key = stage.gateway.create_key(json!({ "allowed_ips": ["203.0.113.9"] })).await;
    let from = |hops: &str| Call::chat(&key.secret, "m").header("x-forwarded-for", hops);
    stage.gateway.send(&from("203.0.113.9")).await.ok();
    stage.gateway.send(&from("198.51.100.1, 203.0.113.9")).await.ok();
    // Only the last hop is known to be true: what stands before it anyone can write.
    stage.expect("a forged first hop", &from("203.0.113.9, 198.51.100.1"), 403, "ip_not_allowed").await;
}
