//! What callers are told when no upstream can answer: 502, 503, 504, and errors that pass.

use super::assert_refusal;
use crate::support::{
    client::{BOTH, Call},
    gateway::TestGateway,
    upstream::{Script, Upstream, script},
};
use serde_json::json;

const STATUSES: [u16; 10] = [400, 401, 403, 404, 409, 422, 429, 500, 503, 529];

#[tokio::test]
async fn an_upstreams_error_passes_byte_for_byte() {
    let upstream = Upstream::start().await;
    let gateway = TestGateway::new()
        .upstream("up", &upstream)
        .model("m", &["up"])
        .set("/models/m/route/attempts", 1)
        .start()
        .await;
    let key = gateway.key().await;
    for status in STATUSES {
        let body = script::error_body(status, "in the vendor's own words: ünïcode");
        let sent = body.clone();
        upstream.decide(move |_| {
            Script::answer(status, &[("content-type", "application/json"), ("retry-after", "7")], &sent)
        });
        for version in BOTH {
            for call in [Call::chat(&key, "m"), Call::stream(&key, "m")] {
                let answer = gateway.send_over(version, &call).await;
                assert_eq!((answer.status, answer.text()), (status, body.clone()));
                assert!(answer.header("x-aione-refused").is_none(), "{status} is not ours");
                assert_eq!(answer.header("retry-after"), Some("7"), "{status}");
            }
        }
    }
    for record in gateway.all_records(STATUSES.len() * BOTH.len() * 2).await {
        assert_eq!(
            (record.end(), record.completion(), record.prompt()),
            ("upstream_error", 0, 0),
            "{record:#?}"
        );
        assert!(record.status() >= 400, "{record:#?}");
    }
}

#[tokio::test]
async fn no_connection_is_502_and_no_byte_in_time_is_504() {
    let silent = Upstream::always(Script::new().await_gone()).await;
    let gateway = TestGateway::new()
        .upstream("silent", &silent)
        .with(|settings| settings.timeouts("silent", json!({ "first_byte": "1s" })))
        .with(|settings| settings.provider_at("refusing", &format!("http://{}/v1", Upstream::refusing())))
        .model("slow", &["silent"])
        .model("gone", &["refusing"])
        .set("/models/slow/route/attempts", 1)
        .start()
        .await;
    let key = gateway.key().await;
    for version in BOTH {
        for call in [Call::chat(&key, "gone"), Call::stream(&key, "gone")] {
            let answer = gateway.send_over(version, &call).await;
            assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_error"), "{}", answer.text());
        }
        for call in [Call::chat(&key, "slow"), Call::stream(&key, "slow")] {
            let answer = gateway.send_over(version, &call).await;
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (504, "upstream_timeout"),
                "{}",
                answer.text()
            );
        }
    }
    gateway.quiet().await;
}

#[tokio::test]
async fn all_deployments_cooling_is_503_with_the_soonest_return() {
    let upstream = Upstream::always(Script::error(500, "out of order")).await;
    let gateway = TestGateway::new()
        .upstream("up", &upstream)
        .model("m", &["up"])
        .set("/models/m/route/cool_down", json!({ "after": 2, "within": "30s", "for": "20s", "max": "60s" }))
        .set("/models/m/route/attempts", 1)
        .start()
        .await;
    let key = gateway.key().await;
    for _ in 0..2 {
        assert_eq!(gateway.send(&Call::chat(&key, "m")).await.status, 500);
    }
    let asked = upstream.asked();
    for version in BOTH {
        let answer = gateway.send_over(version, &Call::chat(&key, "m")).await;
        assert_refusal("cooling", &answer, 503, "no_upstream_available");
        let after: u64 = answer.header("retry-after").expect("retry-after").parse().unwrap();
        assert!((1..=20).contains(&after), "{after}");
    }
    assert_eq!(upstream.asked(), asked, "a cooling deployment is not asked");
}

#[tokio::test]
async fn strange_answers_of_an_upstream_are_never_a_crash() {
    let upstream = Upstream::start().await;
    let gateway = TestGateway::new()
        .upstream("up", &upstream)
        .model("m", &["up"])
        .set("/models/m/route/attempts", 1)
        .start()
        .await;
    let key = gateway.key().await;
    let html = [("content-type", "text/html")];
    let (empty, null) = (r#"{"choices":[],"usage":null}"#, r#"{"error":null,"choices":null}"#);
    let gateway_page = "<html>bad gateway</html>";
    // What passes as it is, with its status.
    for (script, status, body) in [
        (Script::answer(502, &html, gateway_page), 502, gateway_page),
        (Script::json(200, empty), 200, empty),
        (Script::json(200, null), 200, null),
    ] {
        for call in [Call::chat(&key, "m"), Call::stream(&key, "m")] {
            upstream.next(script.clone());
            let answer = gateway.send(&call).await;
            assert_eq!((answer.status, answer.text().as_str()), (status, body));
            assert!(answer.header("x-aione-refused").is_none());
            gateway.send(&Call::chat(&key, "m")).await.ok();
        }
    }
    // What is no answer.
    let scripts = [
        Script::answer(200, &[], ""),
        Script::answer(200, &html, "<html>welcome</html>"),
        Script::json(200, "null"),
        Script::answer(204, &[], ""),
        Script::new().send("HTTP/1.1 abc\r\n\r\n").fin(),
        Script::new().send("garbage").fin(),
        Script::new().send("HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n").fin(),
        Script::new()
            .send("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n")
            .fin(),
        Script::new().send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n").fin(),
    ];
    for script in &scripts {
        for call in [Call::chat(&key, "m"), Call::stream(&key, "m")] {
            upstream.next(script.clone());
            let answer = gateway.send(&call).await;
            assert_refusal(&format!("{script:?}"), &answer, 502, "upstream_error");
            // The next request is unharmed.
            gateway.send(&Call::chat(&key, "m")).await.ok();
        }
    }
    gateway.all_records((3 + scripts.len()) * 4).await;
    assert!(!gateway.logs().contains("panicked"), "a panic in the log");
}
