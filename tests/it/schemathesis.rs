//! schemathesis, all checks, walks the management API as its own document describes it: no server error,
//! no answer that is not documented, nothing taken that is not allowed.

use crate::support::{
    gateway::TestGateway,
    postgres::{self, PEPPER},
    python,
    settings::OPERATOR,
};
use std::{path::Path, process::Command};

/// The version that the tests were written against; a newer one is a change of its own.
const SCHEMATHESIS: &str = "schemathesis==4.32.5";
/// Seconds for each store. `AIONE_TEST_SCHEMATHESIS_SECONDS` asks for longer runs,
/// `AIONE_TEST_SEED` repeats one.
const SECONDS: u64 = 120;
/// What the management API takes from one address.
const RATE: &str = "95/s";

#[tokio::test]
async fn every_answer_is_as_documented_on_sqlite() {
    walk(TestGateway::new()).await;
}

#[tokio::test]
async fn every_answer_is_as_documented_on_postgres() {
    let url = postgres::database().await;
    walk(TestGateway::new().set("/storage/database", url).set("/secrets/key_pepper", PEPPER)).await;
}

/// As an operator, then as an organization's owner, each for half of the time.
async fn walk(gateway: TestGateway) {
    let gateway = gateway.simulated("sim").model("sim-1", &["sim"]).start().await;
    let seconds = number("AIONE_TEST_SCHEMATHESIS_SECONDS").unwrap_or(SECONDS) / 2;
    let seed = number("AIONE_TEST_SEED").unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let create = ["tokens", "create", "--name", "owner", "--role", "owner", "-c", "aione.yaml"];
    let owner = String::from_utf8(gateway.command(&create).output().unwrap().stdout).unwrap();
    let python = tokio::task::spawn_blocking(|| python::with(SCHEMATHESIS)).await.unwrap();
    for (who, token) in [("operator", OPERATOR), ("owner", owner.trim())] {
        let base = format!("http://{}", gateway.settings.admin);
        let mut command = Command::new(python.with_file_name("schemathesis"));
        command
            .arg("--config-file")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/schemathesis.toml"))
            .args(["run", &format!("{base}/api/v1/openapi.json"), "--url", &base])
            .args(["--header", &format!("Authorization: Bearer {token}")])
            .args(["--max-time", &seconds.to_string(), "--rate-limit", RATE, "--seed", &seed.to_string()])
            .args(["--checks", "all", "--continue-on-failure"])
            .current_dir(gateway.folder());
        if who == "operator" {
            command.args(["--header", "x-aione-org: default"]);
        }
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "{who}, seed {seed}:\n{said}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let cases = said.lines().find(|line| line.contains(" generated,"));
        println!("{who}, seed {seed}: {}", cases.expect("it says how many cases it made").trim());
    }
    let errors = gateway.log_lines().into_iter().filter(|line| line["level"] == "ERROR").count();
    assert_eq!(errors, 0, "{}", gateway.logs());
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
