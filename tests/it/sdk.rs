//! The official OpenAI SDK for Python: against the built-in simulated provider, and against our limits.

use crate::support::{
    client::{self, Call, Version},
    gateway::{Gateway, TestGateway},
    python,
    upstream::{Gate, Script, Step, Truth, Upstream, openai},
    wait,
};
use serde_json::json;
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The version that the tests were written against; a newer one is a change of its own.
const OPENAI: &str = "openai==3.54.0";

/// The Python of a virtual environment that holds the SDK.
pub(crate) fn python() -> PathBuf {
    python::with(OPENAI)
}

/// A script of `tests/clients`, told where and who.
fn script(name: &str, gateway: &Gateway, key: &str) -> Command {
    let mut command = Command::new(python());
    command
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name))
        .env("OPENAI_BASE_URL", format!("http://{}/v1", gateway.settings.public))
        .env("OPENAI_API_KEY", key);
    command
}

/// Runs a script to its end, on a thread of its own: the SDK blocks.
async fn finish(mut command: Command) {
    let said = tokio::task::spawn_blocking(move || python::run(&mut command, "the SDK")).await.unwrap();
    assert!(said.lines().any(|line| line == "all as expected"), "{said}");
}

#[tokio::test]
async fn the_official_python_sdk_notices_no_gateway() {
    let gateway = TestGateway::new()
        .simulated("sim")
        .model("sim-1", &["sim"])
        .model("sim-embed", &["sim"])
        .set("/models/sim-1/route/attempts", 1)
        .start()
        .await;
    let key = gateway.key().await;
    let limited = gateway.create_key(json!({ "rpm_limit": 1 })).await.secret;
    let mut command = script("openai_python.py", &gateway, &key);
    command.env("LIMITED_KEY", limited);
    finish(command).await;
    gateway.quiet().await;
    let records = gateway.records().await;
    assert!(records.iter().filter(|record| record.end() == "complete").count() >= 7, "{records:#?}");
}

#[tokio::test]
async fn the_sdk_comes_back_after_our_own_429_and_gets_its_answer() {
    let truth = Truth::of(7);
    let gate = Gate::closed();
    let mut held = Script::json(200, openai::completion(&truth, "m"));
    held.steps.insert(1, Step::Wait(gate.clone()));
    let upstream = Upstream::start().await;
    upstream.next(held);
    let gateway = TestGateway::new().upstream("up", &upstream).model("m", &["up"]).start().await;
    let key = gateway.create_key(json!({ "max_concurrency": 1 })).await.secret;
    // Made before the clock of any retry runs.
    let command = script("openai_retry.py", &gateway, &key);
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
