//! Bodies of every size and framing reach the upstream byte for byte, also after a failover.

use crate::support::{
    client::{Call, Sending, Version, h1},
    gateway::{Gateway, TestGateway},
    upstream::{Script, Upstream},
};

const SIZES: [usize; 5] = [65_535, 65_536, 65_537, 1 << 20, 20 << 20];
/// Not a divisor of any size, so that the last chunk is a short one.
const CHUNK: usize = 60_007;

/// A model for each way in which the first deployment can fail, all ending at one good upstream.
const MODELS: [&str; 5] = ["direct", "refused", "failed", "closed", "cut"];

struct Stage {
    gateway: Gateway,
    good: Upstream,
    _bad: [Upstream; 3],
}

async fn stage() -> Stage {
    let good = Upstream::start().await;
    let failing = Upstream::always(Script::error(500, "out of order")).await;
    let closing = Upstream::always(Script::new().fin()).await;
    // Resets while the body is still on its way.
    let cutting = Upstream::deciding(|_| Script::new().reset()).await;
    for _ in 0..SIZES.len() * 2 {
        cutting.next(Script::early().reset());
    }
    let gateway = TestGateway::new()
        .upstream("good", &good)
        .with(|settings| settings.provider_at("refusing", &format!("http://{}/v1", Upstream::refusing())))
        .upstream("failing", &failing)
        .upstream("closing", &closing)
        .upstream("cutting", &cutting)
        .model("direct", &["good"])
        .model("refused", &["refusing", "good"])
        .model("failed", &["failing", "good"])
        .model("closed", &["closing", "good"])
        .model("cut", &["cutting", "good"])
        .start()
        .await;
    Stage { gateway, good, _bad: [failing, closing, cutting] }
}

/// A chat request of exactly `size` bytes.
fn body(model: &str, size: usize) -> Vec<u8> {
    let start = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":""#);
    let end = r#""}]}"#;
    let pad = size - start.len() - end.len();
    let text = "The quick brown fox jumps. ".bytes().cycle().take(pad);
    start.bytes().chain(text).chain(end.bytes()).collect()
}

async fn bodies_pass(version: Version) {
    let stage = stage().await;
    let key = stage.gateway.key().await;
    for size in SIZES {
        for framing in [Sending::Length, Sending::Chunked(CHUNK)] {
            for model in MODELS {
                let sent = body(model, size);
                let call = Call::post("/v1/chat/completions", sent.clone()).bearer(&key).sending(framing);
                let answer = stage.gateway.send_over(version, &call).await;
                assert_eq!(answer.status, 200, "{model} {size} {framing:?}: {}", answer.text());
                let seen = stage.good.take_seen();
                assert_eq!(seen.len(), 1, "{model} {size} {framing:?}");
                // Not assert_eq: nobody reads 20 MiB of difference.
                assert!(
                    seen[0].body == sent,
                    "{model} {size} {framing:?}: {} bytes came",
                    seen[0].body.len()
                );
            }
        }
    }
    for record in stage.gateway.all_records(SIZES.len() * 2 * MODELS.len()).await {
        assert_eq!((record.end(), record.provider()), ("complete", "good"));
        let attempts = if record.model() == "direct" { 1 } else { 2 };
        assert_eq!(record.attempts(), attempts, "{}", record.model());
    }
}

#[tokio::test]
async fn bodies_of_every_size_pass_over_http1() {
    bodies_pass(Version::H1).await;
}

#[tokio::test]
async fn bodies_of_every_size_pass_over_http2() {
    bodies_pass(Version::H2).await;
}

#[tokio::test]
async fn empty_bodies_and_single_bytes_are_refused_and_the_connection_lives() {
    let stage = stage().await;
    let key = stage.gateway.key().await;
    let mut connection = h1::Connection::open(stage.gateway.settings.public).await;
    for body in ["", "1", "{"] {
        for framing in [Sending::Length, Sending::Chunked(CHUNK)] {
            let call = Call::post("/v1/chat/completions", body).bearer(&key).sending(framing);
            let (answer, next) = connection.send(&call).await;
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (400, "invalid_request"),
                "{body:?} {framing:?}"
            );
            connection = next.expect("a refusal keeps the connection");
            let over_h2 = stage.gateway.send_over(Version::H2, &call).await;
            assert_eq!(over_h2.status, 400, "{body:?} {framing:?} over HTTP/2");
        }
    }
    let (answer, _) = connection.send(&Call::chat(&key, "direct")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(stage.good.asked(), 1);
}

#[tokio::test]
async fn only_the_models_name_is_changed_on_the_way() {
    let upstream = Upstream::start().await;
    let gateway = TestGateway::new()
        .upstream("up", &upstream)
        .model("public-name", &["up"])
        .set(
            "/models/public-name/route/deployments",
            serde_json::json!([{ "provider": "up", "model": "vendor/name \"quoted\" ü" }]),
        )
        .start()
        .await;
    let key = gateway.key().await;
    let body = "{ \"messages\" : [ {\"role\":\"user\",\"content\":\"\\u00fc {\\\"model\\\":\\\"x\\\"}\"} ],\n\t\"mo\\u0064el\" : \"public-name\" , \"unknown\": 1.50e3, \"metadata\": {\"model\": \"inner\"} }";
    gateway.send(&Call::post("/v1/chat/completions", body).bearer(&key)).await.ok();
    let seen = upstream.the_one();
    let got = String::from_utf8(seen.body.clone()).unwrap();
    assert_eq!(seen.json()["model"], "vendor/name \"quoted\" ü");
    let (before, after) = body.split_once("\"public-name\"").unwrap();
    assert!(got.starts_with(before) && got.ends_with(after), "{got}");
}
