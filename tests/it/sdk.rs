//! The official OpenAI SDK for Python against the built-in simulated provider.

use crate::support::gateway::TestGateway;
use serde_json::json;
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The version that the tests were written against; a newer one is a change of its own.
const OPENAI: &str = "openai==3.54.0";

fn run(command: &mut Command, what: &str) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{what}: {error}"));
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{what}: {}\n{said}", output.status);
    said
}

/// The Python of a virtual environment that holds the SDK; made once, kept beside the build.
fn python() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(OPENAI.replace("==", "-"));
    let python = folder.join("bin/python");
    let installed = folder.join("installed");
    if installed.exists() {
        return python;
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder), "python3 -m venv");
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", OPENAI]);
    run(&mut pip, "pip install");
    std::fs::write(installed, OPENAI).unwrap();
    python
}

#[tokio::test]
async fn the_official_python_sdk_notices_no_gateway() {
    let python = python();
    let gateway = TestGateway::new()
        .simulated("sim")
        .model("sim-1", &["sim"])
        .model("sim-embed", &["sim"])
        .set("/models/sim-1/route/attempts", 1)
        .start()
        .await;
    let key = gateway.key().await;
    let limited = gateway.create_key(json!({ "rpm_limit": 1 })).await.secret;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/openai_python.py");
    let mut command = Command::new(python);
    command
        .arg(script)
        .env("OPENAI_BASE_URL", format!("http://{}/v1", gateway.settings.public))
        .env("OPENAI_API_KEY", &key)
        .env("LIMITED_KEY", limited);
    // The SDK blocks; the runtime here has nothing else to do.
    let said = tokio::task::spawn_blocking(move || run(&mut command, "openai_python.py")).await.unwrap();
    assert!(said.lines().any(|line| line == "all as expected"), "{said}");
    gateway.quiet().await;
    let records = gateway.records().await;
    assert!(records.iter().filter(|record| record.end() == "complete").count() >= 7, "{records:#?}");
}
