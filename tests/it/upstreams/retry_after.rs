//! What an upstream says of when to come back: passed on within bounds, and no rule of ours.

use crate::support::{
    client::{BOTH, Call, Version},
    gateway::TestGateway,
    upstream::{Script, Upstream, script},
    wait,
};
use serde_json::json;

/// The longest time that is passed on, in seconds.
const LONGEST: &str = "3600";
const DATE: &str = "Wed, 21 Oct 2026 07:28:00 GMT";

#[tokio::test]
async fn a_retry_after_passes_within_bounds_or_not_at_all() {
    let upstream = Upstream::start().await;
    let gateway = TestGateway::new()
        .upstream("up", &upstream)
        .model("m", &["up"])
        .set("/models/m/route/attempts", 1)
        .start()
        .await;
    let key = gateway.key().await;
    let cases = [
        (None, None),
        (Some("0"), Some("0")),
        (Some("7"), Some("7")),
        (Some(" 7 "), Some("7")),
        (Some(LONGEST), Some(LONGEST)),
        (Some("3601"), Some(LONGEST)),
        (Some("99999999999"), Some(LONGEST)),
        (Some("18446744073709551615"), Some(LONGEST)),
        (Some(DATE), Some(DATE)),
        // No numbers of seconds: a caller that reads them wrong would sleep for ever or not at all.
        (Some("-5"), None),
        (Some("1.5"), None),
        (Some("1e9"), None),
        (Some("NaN"), None),
        (Some("soon"), None),
        (Some(""), None),
        (Some("7, 8"), None),
    ];
    for status in [429, 503, 529] {
        for (sent, expected) in cases {
            let body = script::error_body(status, "not now");
            let mut headers = vec![("content-type", "application/json")];
            headers.extend(sent.map(|value| ("retry-after", value)));
            let script = Script::answer(status, &headers, &body);
            upstream.decide(move |_| script.clone());
            for version in BOTH {
                let answer = gateway.send_over(version, &Call::chat(&key, "m")).await;
                assert_eq!((answer.status, answer.text()), (status, body.clone()), "{sent:?}");
                let passed = answer.headers.all("retry-after");
                assert_eq!(passed, expected.into_iter().collect::<Vec<_>>(), "{status} {sent:?} {version:?}");
                assert!(answer.header("x-aione-refused").is_none(), "{sent:?}");
            }
        }
    }
    gateway.all_records(3 * cases.len() * BOTH.len()).await;
}

#[tokio::test]
async fn a_retry_after_beyond_any_number_is_a_long_one() {
    let upstream = Upstream::start().await;
    let gateway = TestGateway::new().upstream("up", &upstream).model("m", &["up"]).start().await;
    let key = gateway.key().await;
    // One more than 64 bits hold.
    let headers = [("content-type", "application/json"), ("retry-after", "18446744073709551616")];
    let script = Script::answer(429, &headers, script::error_body(429, "not now"));
    upstream.decide(move |_| script.clone());
    let answer = gateway.send(&Call::chat(&key, "m")).await;
    assert!([None, Some(LONGEST)].contains(&answer.header("retry-after")), "{:?}", answer.headers);
}

#[tokio::test]
async fn a_cool_down_goes_by_our_rule_whatever_the_upstream_says() {
    for absurd in ["99999999999", "-5", "Fri, 31 Dec 9999 23:59:59 GMT", "soon"] {
        let upstream = Upstream::start().await;
        let gateway = TestGateway::new()
            .upstream("up", &upstream)
            .model("m", &["up"])
            .set(
                "/models/m/route/cool_down",
                json!({ "after": 1, "within": "30s", "for": "1s", "max": "1s" }),
            )
            .start()
            .await;
        let key = gateway.key().await;
        let headers = [("content-type", "application/json"), ("retry-after", absurd)];
        upstream.next(Script::answer(429, &headers, script::error_body(429, "not now")));
        assert_eq!(gateway.send(&Call::chat(&key, "m")).await.status, 429, "{absurd}");
        let resting = gateway.send(&Call::chat(&key, "m")).await;
        assert_eq!((resting.status, resting.code().as_str()), (503, "no_upstream_available"), "{absurd}");
        assert_eq!(resting.header("retry-after"), Some("1"), "{absurd}");
        wait::until(format_args!("{absurd}: the deployment comes back"), async || {
            let answer = gateway.send_over(Version::H1, &Call::chat(&key, "m")).await;
            (answer.status == 200).then_some(())
        })
        .await;
    }
}
