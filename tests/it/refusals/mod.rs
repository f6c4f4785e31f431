//! Every refusal before an upstream is asked, its status, code, type and headers.

mod body;
mod front;
mod key;
mod model;
mod upstream;

use crate::support::{
    client::{Answer, BOTH, BodyEnd, Call},
    gateway::{Gateway, TestGateway},
    upstream::Upstream,
};

struct Stage {
    gateway: Gateway,
    upstream: Upstream,
    key: String,
}

impl Stage {
    async fn new() -> Self {
        Self::with(|gateway| gateway).await
    }

    async fn with(change: impl FnOnce(TestGateway) -> TestGateway) -> Self {
        let upstream = Upstream::start().await;
        let gateway = TestGateway::new().upstream("up", &upstream).model("m", &["up"]);
        let gateway = change(gateway).start().await;
        let key = gateway.key().await;
        Self { gateway, upstream, key }
    }

    /// Sends `call` over both protocols and asserts the same refusal of ours.
    async fn expect(&self, what: &str, call: &Call, status: u16, code: &str) -> Answer {
        let mut last = None;
        for version in BOTH {
            let answer = self.gateway.send_over(version, call).await;
            assert_refusal(&format!("{what} over {version:?}"), &answer, status, code);
            last = Some(answer);
        }
        last.expect("there are two protocols")
    }

    /// Nothing reached the upstream, nothing was recorded, nothing is held; and a request that is
    /// admitted afterwards is the first of both.
    async fn expect_untouched(&self) {
        self.gateway.all_records(0).await;
        assert_eq!(self.upstream.asked(), 0, "a refusal reached the upstream");
        let admitted = self.gateway.send(&Call::chat(&self.key, "m")).await.ok();
        let records = self.gateway.all_records(1).await;
        assert_eq!(records[0].id(), admitted.request_id());
        assert_eq!(self.upstream.take_seen().len(), 1);
    }
}

/// A refusal is well-formed, in OpenAI's shape, and says that it is ours.
fn assert_refusal(what: &str, answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{what}: {}", answer.text());
    assert_eq!(answer.end, BodyEnd::Clean, "{what}");
    let error = &answer.json()["error"];
    assert_eq!(error["code"], code, "{what}: {error}");
    assert_eq!(error["type"], kind(status), "{what}: {error}");
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{what}: {error}");
    assert!(error.as_object().unwrap().contains_key("param"), "{what}: {error}");
    assert_eq!(answer.header("x-aione-refused"), Some(code), "{what}");
    assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("application/json")), "{what}");
    answer.request_id();
}

fn kind(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        429 => "rate_limit_error",
        503 => "overloaded_error",
        500..=599 => "api_error",
        _ => "invalid_request_error",
    }
}
