//! schemathesis, all checks, walks the management API as its own document describes it: no server error,
//! no answer that is not documented, nothing taken that is not allowed.

use crate::support::{
    client::Call,
    gateway::{Gateway, TestGateway},
    packages, past,
    postgres::{self, PEPPER},
    settings::OPERATOR,
};
use serde_json::{Value, json};
use std::{path::Path, process::Command};

/// The version that the tests were written against; a newer one is a change of its own.
const SCHEMATHESIS: &str = "schemathesis==4.32.5";
/// Seconds for each store, of all walkers. `AIONE_TEST_SCHEMATHESIS_SECONDS` asks for longer runs,
/// `AIONE_TEST_SEED` repeats one.
const SECONDS: u64 = 120;
/// Invoices and tokens that are there to begin with: enough of them that some are left for each call.
const INVOICES: u32 = 12;
const TOKENS: u32 = 4;
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

/// Who walks, and where.
struct Walker {
    name: &'static str,
    token: String,
    calls: Calls,
    /// Share of the time, in percent.
    share: u64,
}

/// Calls by the document's names.
enum Calls {
    /// Some few, which need something that no call makes: no call leads to the next.
    Only(&'static [&'static str]),
    /// All but these.
    Without(&'static [&'static str]),
}

/// What needs a deployment, or a key that nobody has deleted.
const SEEDED: &[&str] = &["explain", "drainUpstream", "undrainUpstream"];
const OWN_KEY: &[&str] = &["getOwnKey"];
const NOT_AN_OPERATORS: &[&str] = &["getOwnKey", "explain", "drainUpstream", "undrainUpstream"];
/// What an owner may not call, which the authorization matrix has refused.
const NOT_AN_OWNERS: &[&str] = &[
    "listOrgs",
    "createOrg",
    "getOrg",
    "updateOrg",
    "setPlan",
    "createCredit",
    "closeMonth",
    "issueInvoice",
    "payInvoice",
    "voidInvoice",
    "creditInvoice",
    "listTeams",
    "createTeam",
    "getTeam",
    "updateTeam",
    "deleteTeam",
    "listTokens",
    "createToken",
    "deleteToken",
    "listMargins",
    "listUpstreams",
    "drainUpstream",
    "undrainUpstream",
    "getConfig",
    "checkConfig",
    "reloadConfig",
    "listAudit",
    "getOwnKey",
    "explain",
];

/// As an operator, as an organization's owner and as an inference key.
async fn walk(gateway: TestGateway) {
    let gateway = gateway.simulated("sim").model("sim-1", &["sim"]).start().await;
    let create = ["tokens", "create", "--name", "owner", "--role", "owner", "-c", "aione.yaml"];
    let owner = String::from_utf8(gateway.command(&create).output().unwrap().stdout).unwrap();
    let key = gateway.create_key(json!({})).await;
    let walker = |name, token: &str, calls, share| Walker { name, token: token.to_owned(), calls, share };
    // The operator comes last: it takes tokens and keys away from the others.
    let walkers = [
        walker("operator, what is there", OPERATOR, Calls::Only(SEEDED), 10),
        walker("inference key", &key.secret, Calls::Only(OWN_KEY), 5),
        walker("owner", owner.trim(), Calls::Without(NOT_AN_OWNERS), 35),
        walker("operator", OPERATOR, Calls::Without(NOT_AN_OPERATORS), 50),
    ];
    let (invoices, tokens) = (invoices(&gateway).await, tokens(&gateway).await);
    let config = config(&key.id, &invoices, &tokens);
    std::fs::write(gateway.folder().join("schemathesis.toml"), config).unwrap();
    let seconds = number("AIONE_TEST_SCHEMATHESIS_SECONDS").unwrap_or(SECONDS);
    let seed = number("AIONE_TEST_SEED").unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let python = tokio::task::spawn_blocking(|| packages::python(SCHEMATHESIS)).await.unwrap();
    for walker in walkers {
        let base = format!("http://{}", gateway.settings.admin);
        let mut command = Command::new(python.with_file_name("schemathesis"));
        command
            .args(["--config-file", "schemathesis.toml"])
            .args(["run", &format!("{base}/api/v1/openapi.json"), "--url", &base])
            .args(["--header", &format!("Authorization: Bearer {}", walker.token)])
            .args(["--max-time", &(seconds * walker.share / 100).to_string()])
            .args(["--rate-limit", RATE, "--seed", &seed.to_string()])
            .args(["--checks", "all", "--continue-on-failure", "--phases", "coverage,fuzzing,stateful"])
            .current_dir(gateway.folder());
        let (calls, option) = match walker.calls {
            Calls::Only(calls) => (calls, "--include-operation-id"),
            Calls::Without(calls) => (calls, "--exclude-operation-id"),
        };
        for call in calls {
            command.args([option, call]);
        }
        if walker.token == OPERATOR {
            command.args(["--header", "x-aione-org: default"]);
        }
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let whole =
            format!("{}, seed {seed}:\n{said}\n{}", walker.name, String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{whole}");
        let (links, phases): (_, &[&str]) = match walker.calls {
            Calls::Only(_) => (None, &["Coverage", "Fuzzing"]),
            Calls::Without(_) => (Some(linked(&said)), &["Coverage", "Fuzzing", "Stateful"]),
        };
        for phase in phases {
            assert!(said.contains(&format!("✅ {phase}")), "{phase} did not run: {whole}");
        }
        assert!(links.is_none_or(|links| links > 0), "no link was followed: {whole}");
        let cases = said.lines().find(|line| line.contains(" generated,"));
        println!(
            "{}, seed {seed}: {}, links followed: {links:?}",
            walker.name,
            cases.expect("it says how many cases it made").trim()
        );
    }
    let lines = gateway.log_lines();
    let errors = lines.iter().filter(|line| line["level"] == "ERROR").count();
    assert_eq!(errors, 0, "{}", gateway.logs());
    // A walk that never gets past the door has shown nothing.
    let unseen: Vec<_> = documented().into_iter().filter(|call| !call.was_done(&lines)).collect();
    assert!(unseen.is_empty(), "seed {seed}: never done: {unseen:?}");
}

/// Tokens that can be deleted.
async fn tokens(gateway: &Gateway) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0..TOKENS {
        let body = json!({ "name": format!("token {number}"), "role": "viewer" }).to_string();
        let made = gateway.admin(Call::post("/api/v1/orgs/default/tokens", body)).await;
        assert_eq!(made.status, 201, "{}", made.text());
        ids.push(made.json()["id"].as_str().unwrap().to_owned());
    }
    ids
}

/// Invoices to begin with, most of them issued.
async fn invoices(gateway: &Gateway) -> Vec<String> {
    let org = gateway.admin(Call::get("/api/v1/orgs/default")).await.ok().json();
    let months = 1..=INVOICES;
    let times: Vec<String> = months.clone().map(|month| format!("2020-{month:02}-02T00:00:00Z")).collect();
    let charges: Vec<_> = times.iter().map(|at| (&**at, 10_i128.pow(15))).collect();
    past::charge(gateway, org["id"].as_str().unwrap(), &charges).await;
    let mut ids = Vec::new();
    for month in months {
        let body = json!({ "period": format!("2020-{month:02}") }).to_string();
        let closed = gateway.admin(Call::post("/api/v1/orgs/default/invoices/close", body)).await;
        assert_eq!(closed.status, 201, "{}", closed.text());
        let id = closed.json()["id"].as_str().unwrap().to_owned();
        if month > INVOICES / 4 {
            gateway.admin(Call::post(&format!("/api/v1/orgs/default/invoices/{id}/issue"), "")).await.ok();
        }
        ids.push(id);
    }
    ids
}

/// What is the same for every run, and the names of what is there.
fn config(key: &str, invoices: &[String], tokens: &[String]) -> String {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/schemathesis.toml");
    let mut config = std::fs::read_to_string(shared).unwrap();
    // What is paid cannot become void, and the walk comes to paying first.
    let (invoices, voidable) = invoices.split_at(invoices.len() - invoices.len() / 3);
    let [invoices, voidable, tokens] = [invoices, voidable, tokens].map(|ids| ids.join("\", \""));
    let months: Vec<String> = (2021..=2025).map(|year| format!("{year}-06")).collect();
    let months = months.join("\", \"");
    let there = [
        ("invoices", &*invoices),
        ("voidable", &*voidable),
        ("tokens", &*tokens),
        ("months", &*months),
        ("amounts", "0.01"),
        ("keys", key),
        ("orgs", "default"),
        ("plans", "standard"),
        ("models", "sim-1"),
        ("zones", "Asia/Shanghai"),
        ("times", "2099-01-01T00:00:00Z"),
    ];
    for (name, value) in there {
        config += &format!("\n[dictionaries.{name}]\nvalues = [\"{value}\"]\n");
    }
    config
}

/// A call of the document.
#[derive(Debug)]
struct Documented {
    method: String,
    path: String,
}

impl Documented {
    /// Whether an access line tells of one that was answered with success.
    fn was_done(&self, lines: &[Value]) -> bool {
        lines.iter().any(|line| {
            let text = |name: &str| line[name].as_str().unwrap_or_default();
            let done = line["status"].as_u64().is_some_and(|status| (200..300).contains(&status));
            let (asked, here) = (text("path").split('/'), self.path.split('/'));
            let same = |(asked, here): (&str, &str)| asked == here || here.starts_with('{');
            done && text("method") == self.method
                && asked.clone().count() == here.clone().count()
                && asked.zip(here).all(same)
        })
    }
}

fn documented() -> Vec<Documented> {
    let document: Value = serde_json::from_str(&aione_admin::openapi_json()).unwrap();
    let mut calls = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            calls.push(Documented { method: method.to_uppercase(), path: path.clone() });
        }
    }
    calls
}

/// How many different ways from one call to the next were taken.
fn linked(said: &str) -> u64 {
    let links = said.lines().find_map(|line| line.trim().strip_prefix("API Links:"));
    links.and_then(|links| links.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
