//! Who is refused: 401 and 403, and keys that disagree.

use super::Stage;
use crate::support::{client::Call, settings::OPERATOR};
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

#[tokio::test]
async fn strange_keys_are_refused_in_bounded_time_and_memory() {
    let stage = Stage::new().await;
    let long = "k".repeat(200_000);
    let answer = stage.gateway.send(&Call::chat(&long, "m")).await;
    assert!([400, 401, 431].contains(&answer.status), "{}", answer.status);
    assert!(answer.body.len() < 4_096, "the key is not echoed");
    let digits = format!("{}٣", &stage.key[..stage.key.len() - 1]);
    let answer = stage.gateway.send(&Call::chat(&digits, "m")).await;
    assert!([400, 401].contains(&answer.status), "{}", answer.status);
    stage.expect_untouched().await;
}

#[tokio::test]
async fn a_key_is_taken_from_every_place_and_in_every_case_of_the_scheme() {
    let stage = Stage::new().await;
    let bare = Call { headers: Vec::new(), ..Call::chat("", "m") }.header("content-type", "application/json");
    let key = &stage.key;
    for call in [
        bare.clone().header("authorization", &format!("bearer {key}")),
        bare.clone().header("Authorization", &format!("BEARER {key}")),
        bare.clone().header("x-api-key", key),
        bare.clone().header("x-goog-api-key", key),
        bare.clone().header("x-api-key", key).header("authorization", &format!("Bearer {key}")),
        Call { path: format!("/v1/chat/completions?key={key}"), ..bare.clone() },
    ] {
        let answer = stage.gateway.send(&call).await;
        assert_eq!(answer.status, 200, "{:?}: {}", call.headers, answer.text());
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
