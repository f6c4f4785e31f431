//! What of the headers goes on, in both directions, and what must not.

use crate::support::{
    client::{BOTH, Call},
    gateway::{Gateway, TestGateway},
    settings::CREDENTIAL,
    upstream::{Script, Truth, Upstream, openai},
};

async fn stage() -> (Gateway, Upstream, String) {
    let upstream = Upstream::start().await;
    let gateway = TestGateway::new().upstream("up", &upstream).model("m", &["up"]).start().await;
    let key = gateway.key().await;
    (gateway, upstream, key)
}

#[tokio::test]
async fn hop_by_hop_headers_and_what_connection_names_stay_behind() {
    let (gateway, upstream, key) = stage().await;
    let call = Call::chat(&key, "m")
        .header("connection", "keep-alive, x-one-hop , X-Other-Hop")
        .header("keep-alive", "timeout=9")
        .header("x-one-hop", "1")
        .header("x-other-hop", "2")
        .header("proxy-authorization", "Basic abc")
        .header("proxy-connection", "keep-alive")
        .header("te", "trailers")
        .header("trailer", "x-sum")
        .header("x-end-to-end", "3");
    gateway.send(&call).await.ok();
    let seen = upstream.the_one();
    for name in
        ["keep-alive", "x-one-hop", "x-other-hop", "proxy-authorization", "proxy-connection", "te", "trailer"]
    {
        assert!(!seen.headers().has(name), "{name} went upstream");
    }
    let nominated = seen.headers().get("connection").unwrap_or_default();
    assert!(!nominated.contains("hop"), "{nominated}");
}

#[tokio::test]
async fn a_caller_cannot_nominate_our_credential_away() {
    let (gateway, upstream, key) = stage().await;
    let call = Call::chat(&key, "m")
        .header("connection", "authorization, x-api-key, content-length, content-type, host, x-request-id");
    gateway.send(&call).await.ok();
    let seen = upstream.the_one();
    assert_eq!(seen.headers().all("authorization"), [format!("Bearer {CREDENTIAL}")]);
    assert_eq!(seen.headers().get("host"), Some(upstream.addr.to_string().as_str()));
    assert_eq!(seen.body, call.body);
}

#[tokio::test]
async fn nothing_of_the_callers_key_or_address_reaches_the_upstream() {
    let (gateway, upstream, key) = stage().await;
    for version in BOTH {
        let call = Call::chat("unused", "m");
        let calls = [
            Call { headers: vec![("authorization".into(), format!("Bearer {key}"))], ..call.clone() },
            Call { headers: vec![("x-api-key".into(), key.clone())], ..call.clone() },
            Call { headers: vec![("x-goog-api-key".into(), key.clone())], ..call.clone() },
            Call { headers: Vec::new(), path: format!("{}?key={key}", call.path), ..call.clone() },
        ];
        for call in calls {
            let call = call
                .header("content-type", "application/json")
                .header("x-forwarded-for", "203.0.113.7")
                .header("x-real-ip", "203.0.113.7")
                .header("forwarded", "for=203.0.113.7")
                .header("cf-connecting-ip", "203.0.113.7")
                .header("true-client-ip", "203.0.113.7")
                .header("cookie", "session=203.0.113.7");
            gateway.send_over(version, &call).await.ok();
            let seen = upstream.take_seen().remove(0);
            let head = String::from_utf8_lossy(&seen.head.raw).into_owned();
            assert!(!head.contains(&key), "{head}");
            assert!(!head.contains("203.0.113.7"), "{head}");
            let without_host = head.replace(&upstream.addr.to_string(), "");
            assert!(!without_host.contains("127.0.0.1"), "{head}");
            assert_eq!(seen.headers().all("authorization"), [format!("Bearer {CREDENTIAL}")]);
            assert_eq!(seen.path(), "/v1/chat/completions");
        }
    }
}

#[tokio::test]
async fn spoofed_internal_headers_mean_nothing() {
    let (gateway, upstream, key) = stage().await;
    for version in BOTH {
        let call = Call::chat(&key, "m")
            .header("x-request-id", "11111111-1111-1111-1111-111111111111")
            .header("x-aione-org", "other")
            .header("x_aione_org", "other")
            .header("x-org-id", "other")
            .header("x-aione-refused", "no")
            .header("x-aione-key", "other");
        let answer = gateway.send_over(version, &call).await.ok();
        assert_ne!(answer.request_id(), "11111111-1111-1111-1111-111111111111");
        assert!(answer.header("x-aione-refused").is_none());
        let seen = upstream.take_seen().remove(0);
        let ours: Vec<_> = seen
            .headers()
            .0
            .iter()
            .filter(|(name, _)| name.replace('_', "-").starts_with("x-aione"))
            .collect();
        assert!(ours.is_empty(), "{ours:?}");
        gateway.record(&answer.request_id()).await;
    }
}

#[tokio::test]
async fn hop_by_hop_and_internal_headers_of_the_upstream_stay_behind() {
    let (gateway, upstream, key) = stage().await;
    let truth = Truth::of(21);
    let headers = [
        ("content-type", "application/json"),
        ("connection", "x-upstream-hop"),
        ("x-upstream-hop", "1"),
        ("keep-alive", "timeout=5"),
        ("proxy-authenticate", "Basic"),
        ("x-request-id", "req_of_the_upstream"),
        ("x-aione-refused", "no"),
        ("set-cookie", "vendor=1"),
        ("x-ratelimit-remaining-requests", "9"),
        ("openai-processing-ms", "12"),
    ];
    let script = Script::answer(200, &headers, openai::completion(&truth, "m")).truth(&truth);
    upstream.decide(move |_| script.clone());
    for version in BOTH {
        let answer = gateway.send_over(version, &Call::chat(&key, "m")).await.ok();
        for name in ["x-upstream-hop", "keep-alive", "proxy-authenticate", "x-aione-refused"] {
            assert!(answer.header(name).is_none(), "{name} came down");
        }
        assert_eq!(answer.headers.all("x-request-id").len(), 1);
        assert_ne!(answer.request_id(), "req_of_the_upstream");
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
}

#[tokio::test]
async fn a_redirect_of_the_upstream_is_not_followed() {
    let (gateway, upstream, key) = stage().await;
    let elsewhere = Upstream::start().await;
    let location = format!("http://{}/v1/chat/completions", elsewhere.addr);
    upstream.decide(move |_| Script::answer(307, &[("location", &location)], ""));
    let answer = gateway.send(&Call::chat(&key, "m")).await;
    assert_eq!(elsewhere.asked(), 0);
    assert!(answer.header("location").is_none(), "an internal host leaks");
    assert!(answer.status >= 300, "{}", answer.status);
}

#[tokio::test]
async fn values_with_line_breaks_and_nul_never_reach_a_header() {
    let (gateway, upstream, key) = stage().await;
    for (name, value) in
        [("x-test", "a\r\nx-injected: 1"), ("x-test", "a\0b"), ("x-test", "a\nx-injected: 1")]
    {
        let mut connection = crate::support::client::h1::Connection::open(gateway.settings.public).await;
        connection.start(&Call::chat(&key, "m").header(name, value));
        if let Ok(exchange) = connection.try_answer().await {
            assert!([200, 400].contains(&exchange.status), "{}", exchange.status);
        }
    }
    for seen in upstream.seen() {
        assert!(!seen.head.raw.contains(&0));
        let bare = seen.head.raw.windows(2).filter(|pair| pair[1] == b'\n' && pair[0] != b'\r').count();
        assert_eq!(bare, 0);
    }
    let named = serde_json::json!({ "model": "a\r\nx-injected: 1", "messages": [] });
    let answer = gateway.send(&Call::chat_with(&key, &named)).await;
    assert!([400, 404].contains(&answer.status), "{}", answer.status);
    assert!(answer.header("x-injected").is_none());
}
