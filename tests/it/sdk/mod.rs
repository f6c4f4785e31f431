//! The vendors' official SDKs judge what the gateway says: each before a model of its own dialect and before those of
//! the others, so that its parser reads what was translated.

mod retries;

use crate::support::{
    gateway::{Gateway, TestGateway},
    packages,
};
use aione_core::wire::Dialect;
use serde_json::json;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

/// The versions that the tests were written against; a newer one is a change of its own.
const PYTHON: &str = "openai==3.54.0 anthropic==2.12.0 google-genai==3.4.0";
const JAVASCRIPT: &str = "openai@6.49.0 @anthropic-ai/sdk@1.12.0";

/// The Python of a virtual environment that holds the SDKs.
pub(crate) fn python() -> PathBuf {
    packages::python(PYTHON)
}

/// A script of `tests/clients`, told where and who.
fn script(name: &str, gateway: &Gateway, key: &str) -> Command {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name);
    let mut command = if file.extension().is_some_and(|extension| extension == "py") {
        Command::new(python())
    } else {
        let mut node = Command::new("node");
        node.env("NODE_PATH", packages::node(JAVASCRIPT));
        node
    };
    command.arg(file).env("AIONE", format!("http://{}", gateway.settings.public)).env("KEY", key);
    // The sources stay as they are.
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// Runs a script to its end, on a thread of its own: the SDK blocks.
async fn finish(mut command: Command) {
    let said = tokio::task::spawn_blocking(move || packages::run(&mut command, "the SDK")).await.unwrap();
    assert!(said.lines().any(|line| line == "all as expected"), "{said}");
}

/// A model for each dialect, named like it, whose simulated provider speaks that alone; and one for embeddings.
async fn stage() -> Gateway {
    let mut gateway = TestGateway::new().simulated("any").model("embedding", &["any"]);
    for dialect in Dialect::ALL {
        let name = dialect.as_str();
        let provider = json!({ "kind": "simulated", "dialects": [name] });
        gateway = gateway
            .with(|settings| settings.provider(name, provider))
            .model(name, &[name])
            .set(&format!("/models/{name}/route/attempts"), 1)
            .set(&format!("/models/{name}/price/cache_write_5m"), "1.30")
            .set(&format!("/models/{name}/price/cache_write_1h"), "2.10");
    }
    gateway.start().await
}

/// The SDK finds everything as its script expects it, and what it used is counted for every model.
async fn notices_no_gateway(name: &str, environment: &[(&str, &str)]) {
    let gateway = stage().await;
    let key = gateway.key().await;
    let limited = gateway.create_key(json!({ "rpm_limit": 1 })).await.secret;
    let mut command = script(name, &gateway, &key);
    command.env("LIMITED_KEY", limited).envs(environment.iter().copied());
    finish(command).await;
    gateway.quiet().await;
    let records = gateway.records().await;
    let complete: Vec<_> = records.iter().filter(|record| record.end() == "complete").collect();
    assert!(complete.iter().all(|record| record.provenance() == "provider"), "{complete:#?}");
    assert!(complete.iter().all(|record| !record.flagged()), "{complete:#?}");
    let models: BTreeSet<_> =
        complete.iter().filter(|record| record.completion() > 0).map(|record| record.model()).collect();
    assert_eq!(models, Dialect::ALL.map(Dialect::as_str).into(), "{records:#?}");
}

#[tokio::test]
async fn openais_python_sdk_notices_no_gateway_in_chat() {
    notices_no_gateway("openai_chat.py", &[]).await;
}

#[tokio::test]
async fn openais_python_sdk_notices_no_gateway_in_responses() {
    notices_no_gateway("openai_responses.py", &[]).await;
}

#[tokio::test]
async fn anthropics_python_sdk_notices_no_gateway() {
    notices_no_gateway("anthropic_messages.py", &[]).await;
}

#[tokio::test]
async fn googles_python_sdk_notices_no_gateway_in_v1beta() {
    notices_no_gateway("google_genai.py", &[("API_VERSION", "v1beta")]).await;
}

#[tokio::test]
async fn googles_python_sdk_notices_no_gateway_in_v1() {
    notices_no_gateway("google_genai.py", &[("API_VERSION", "v1")]).await;
}

#[tokio::test]
async fn openais_javascript_sdk_notices_no_gateway() {
    notices_no_gateway("openai.cjs", &[]).await;
}

#[tokio::test]
async fn anthropics_javascript_sdk_notices_no_gateway() {
    notices_no_gateway("anthropic.cjs", &[]).await;
}
