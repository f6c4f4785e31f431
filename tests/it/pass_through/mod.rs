//! Paths that a provider opens beside the gateway's own endpoints.

mod accounting;
mod passing;
mod refusing;
mod streams;

use crate::support::{
    client::{Answer, Call},
    gateway::{Gateway, TestGateway},
    settings::Settings,
    upstream::Upstream,
};
use serde_json::{Value, json};

/// What the provider `up` opens.
const OPEN: [&str; 6] = [
    "GET /v1/things",
    "GET /v1/things/{id}",
    "PUT /v1/things/{id}",
    "DELETE /v1/things/{id}",
    "POST /v1/things",
    "POST /v1/tools/*",
];
/// What it is sold as.
const SOLD: &str = "up/pass_through";

struct Stage {
    gateway: Gateway,
    upstream: Upstream,
    key: String,
}

impl Stage {
    async fn new() -> Self {
        Self::with(|settings| settings).await
    }

    async fn with(change: impl FnOnce(Settings) -> Settings) -> Self {
        let upstream = Upstream::start().await;
        let gateway = TestGateway::new()
            .upstream("up", &upstream)
            .model("m", &["up"])
            .set("/models/m/route/deployments", json!([{ "provider": "up", "model": "up-m" }]))
            .set("/providers/up/pass_through", json!(OPEN))
            .set(
                "/providers/up/pass_through_price",
                json!({ "request": "0.01", "input": "1", "output": "2" }),
            )
            .with(change)
            .start()
            .await;
        let key = gateway.key().await;
        Self { gateway, upstream, key }
    }

    async fn send(&self, call: Call) -> Answer {
        self.gateway.send(&call.bearer(&self.key)).await
    }

    /// With JSON in its body.
    async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Call::post(path, body.to_string())).await
    }
}

fn usage(prompt: u64, completion: u64) -> Value {
    json!({ "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion })
}
