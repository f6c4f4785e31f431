//! What an SDK does by itself when it meets our limits.

use super::{finish, script};
use crate::support::{
    client::{self, Call, Version},
    gateway::TestGateway,
    upstream::{Gate, Script, Step, Truth, Upstream, openai},
    wait,
};
use serde_json::json;

/// The SDK meets a key whose only place is taken until it was refused once.
async fn comes_back(sdk: &str) {
    let truth = Truth::of(7);
    let gate = Gate::closed();
    let mut held = Script::json(200, openai::completion(&truth, "m"));
    held.steps.insert(1, Step::Wait(gate.clone()));
    let upstream = Upstream::start().await;
    upstream.next(held);
    let gateway = TestGateway::new().upstream("up", &upstream).model("m", &["up"]).start().await;
    let key = gateway.create_key(json!({ "max_concurrency": 1 })).await.secret;
    // Made before the clock of any retry runs.
    let mut command = script("retry.py", &gateway, &key);
    command.arg(sdk);
    let (public, call) = (gateway.settings.public, Call::chat(&key, "m"));
    let holding = tokio::spawn(async move { client::send(Version::H1, public, &call).await });
    wait::until("the place is taken", async || (upstream.asked() == 1).then_some(())).await;
    let sdk = tokio::spawn(finish(command));
    wait::until("the SDK is refused", async || {
        let refused = gateway.metrics().await.sum("refusals_total{code=\"rate_limit_exceeded\"}");
        (refused > 0.0 || sdk.is_finished()).then_some(())
    })
    .await;
    gate.open();
    holding.await.unwrap().ok();
    sdk.await.unwrap();
    // The one that held the place and the one that came back: a refusal is no use.
    gateway.all_records(2).await;
    assert_eq!(upstream.asked(), 2);
}

#[tokio::test]
async fn openais_sdk_comes_back_after_our_own_429_and_gets_its_answer() {
    comes_back("openai").await;
}

#[tokio::test]
async fn anthropics_sdk_comes_back_after_our_own_429_and_gets_its_answer() {
    comes_back("anthropic").await;
}
