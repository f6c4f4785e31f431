//! Configuration: checked as a whole, reloaded as a whole, refused with reasons.

use crate::support::{
    client::{BOTH, BodyEnd, Call, Exchange},
    gateway::{Gateway, TestGateway},
    settings::Settings,
    upstream::{Events, Gate, Script, Truth, Upstream, truth::Seeded},
    wait,
};
use serde_json::json;
use std::process::Output;

const STREAMS: usize = 200;

/// What is run in a folder without a gateway.
fn check_text(text: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("aione.yaml"), text).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_aione"));
    command.current_dir(folder.path()).args(["check", "-c", "aione.yaml"]).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

const GOOD: &str = r#"version: 1
admin:
  operator_tokens: ["op-0123456789abcdefghijklmnopqrstuvwxyz"]
providers:
  sim: { kind: simulated }
models:
  m:
    price: { input: "1.05", output: "4.20" }
    route:
      deployments:
        - { provider: sim, model: m }
"#;

#[test]
fn a_good_file_checks_with_0() {
    let output = check_text(GOOD);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

#[test]
fn every_problem_is_told_with_its_line_and_a_suggestion() {
    let text = GOOD
        .replace("version: 1", "version: 1\nsevrer: { listen: 127.0.0.1:1 }")
        .replace("provider: sim, ", "provider: sin, ")
        .replace("\"4.20\"", "\"4.2000001\"");
    let output = check_text(&text);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let said = said(&output);
    for (line, part) in [(2, "sevrer"), (2, "server"), (12, "sin"), (12, "sim"), (9, "4.2000001")] {
        assert!(said.contains(part), "no {part:?} in:\n{said}");
        assert!(
            said.contains(&format!(":{line}")) || said.contains(&format!("line {line}")),
            "no line {line} in:\n{said}"
        );
    }
}

#[test]
fn mistakes_are_refused_at_their_line() {
    let cases = [
        ("a duplicate key", GOOD.replace("version: 1", "version: 1\nversion: 1"), 2),
        (
            "an unset variable",
            GOOD.replace("kind: simulated", "kind: simulated, base_url: \"${AIONE_NOT_SET}\""),
            5,
        ),
        ("a duration without a unit", format!("{GOOD}server: {{ body_timeout: 60 }}\n"), 12),
        ("a wrong kind", GOOD.replace("kind: simulated", "kind: simulatd"), 5),
        ("a short operator token", GOOD.replace("op-0123456789abcdefghijklmnopqrstuvwxyz", "op-short"), 3),
        ("a wrong policy", GOOD.replace("route:\n", "route:\n      policy: random\n"), 10),
        ("a float for money", GOOD.replace("\"1.05\"", "1.05"), 8),
        ("not YAML", format!("{GOOD}  }}: [\n"), 12),
    ];
    for (what, text, line) in cases {
        let output = check_text(&text);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(1), "{what}: {said}");
        let located = said.contains(&format!(":{line}")) || said.contains(&format!("line {line}"));
        assert!(located, "{what}: no line {line} in:\n{said}");
        assert!(!said.contains("panicked"), "{what}: {said}");
    }
}

#[test]
fn a_pattern_of_include_matches_beside_a_file_that_is_named_without_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("aione.yaml"), format!("include: [\"*.yaml\"]\n{GOOD}")).unwrap();
    std::fs::write(folder.path().join("extra.yaml"), "lgo: { level: warn }\n").unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_aione"));
    let output = command.current_dir(folder.path()).args(["check", "-c", "aione.yaml"]).output().unwrap();
    let said = said(&output);
    assert!(said.contains("extra.yaml:1:1") && said.contains("lgo"), "{said}");
}

#[test]
fn mutated_files_never_panic() {
    let seed = 20_261_124;
    println!("seed {seed}");
    let mut seeded = Seeded::new(seed);
    for round in 0..60 {
        let mut bytes = GOOD.as_bytes().to_vec();
        for _ in 0..seeded.between(1, 4) {
            let at = usize::try_from(seeded.between(0, bytes.len() as u64)).unwrap();
            match seeded.between(0, 3) {
                0 => drop(bytes.remove(at)),
                1 => bytes.insert(
                    at,
                    *b"{}[]:,&*#\"'-| \n\t".get(usize::try_from(seeded.between(0, 16)).unwrap()).unwrap(),
                ),
                _ => bytes.truncate(at),
            }
            if bytes.is_empty() {
                break;
            }
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let output = check_text(&text);
        assert!(matches!(output.status.code(), Some(0 | 1)), "round {round}: {}\n{text}", said(&output));
        assert!(!said(&output).contains("panicked"), "round {round}: {}", said(&output));
    }
}

#[tokio::test]
async fn a_bad_file_at_the_start_ends_the_process_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("aione.yaml"), GOOD.replace("kind: simulated", "kimd: simulated"))
        .unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_aione"));
    let output = command.current_dir(folder.path()).args(["serve", "-c", "aione.yaml"]).output().unwrap();
    assert!(!output.status.success());
    let said = said(&output);
    assert!(said.contains("kimd") && said.contains("kind") && said.contains(":5"), "{said}");
}

#[test]
fn the_schema_is_json() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_aione")).arg("schema").output().unwrap();
    assert!(output.status.success());
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/conf/aione.schema.json");
    assert!(output.stdout == std::fs::read(committed).unwrap(), "`make schema` would change the file");
    assert!(schema["properties"]["providers"].is_object() || schema["$defs"].is_object(), "{schema}");
}

#[tokio::test]
async fn secrets_come_from_the_environment_and_from_files() {
    let upstream = Upstream::start().await;
    let gateway = TestGateway::new()
        .environment("AIONE_TEST_CREDENTIAL", "from-the-environment")
        .upstream("up", &upstream)
        .set("/providers/up/credentials", json!(["${AIONE_TEST_CREDENTIAL}"]))
        .model("m", &["up"])
        .start()
        .await;
    let key = gateway.key().await;
    gateway.send(&Call::chat(&key, "m")).await.ok();
    assert_eq!(upstream.the_one().headers().get("authorization"), Some("Bearer from-the-environment"));
}

/// 200 streams that have begun and wait for their gate.
struct Streams {
    gateway: Gateway,
    _upstream: Upstream,
    key: String,
    gate: Gate,
    events: Events,
    open: Vec<(Exchange, Vec<u8>)>,
}

impl Streams {
    async fn open() -> Self {
        let truth = Truth::of(91);
        let events = Events::new(&truth, "m", 2);
        let gate = Gate::closed();
        let tail = [&events.content[1], &events.usage, &events.done];
        let script = Script::events().chunk(&events.content[0]).wait(&gate).chunks(tail).end().truth(&truth);
        let upstream = Upstream::always(script).await;
        let gateway = TestGateway::new().upstream("up", &upstream).model("m", &["up"]).start().await;
        let key = gateway.key().await;
        let mut open = Vec::new();
        for n in 0..STREAMS {
            let mut exchange = gateway.open_over(BOTH[n % 2], &Call::stream(&key, "m")).await;
            let mut body = Vec::new();
            exchange.read_to(&mut body, events.content[0].len()).await;
            open.push((exchange, body));
        }
        Self { gateway, _upstream: upstream, key, gate, events, open }
    }

    /// Lets all go on; each must end whole.
    async fn finish(&mut self) {
        self.gate.open();
        for (exchange, mut body) in self.open.drain(..) {
            let rest = wait::within("the rest of a stream", exchange.whole()).await;
            assert_eq!(rest.end, BodyEnd::Clean);
            body.extend_from_slice(&rest.body);
            assert!(body == self.events.without_usage(), "{}", String::from_utf8_lossy(&body));
        }
        self.gateway.records_eventually(STREAMS).await;
        self.gateway.quiet().await;
    }

    async fn version(&self) -> String {
        self.gateway.admin(Call::get("/api/v1/config")).await.ok().json()["version"].to_string()
    }
}

#[tokio::test]
async fn a_bad_reload_under_200_streams_changes_nothing_and_says_why() {
    let mut streams = Streams::open().await;
    let before = streams.version().await;
    let bad = streams.gateway.settings.text().replace("\"providers\"", "\"provders\"");
    streams.gateway.write_text(&bad);
    let refused = streams.gateway.admin(Call::new("POST", "/api/v1/config/reload")).await;
    assert!((400..500).contains(&refused.status), "{}", refused.text());
    assert!(refused.text().contains("provders"), "{}", refused.text());
    let logged = |gateway: &Gateway| gateway.logs().matches("provders").count();
    let told = logged(&streams.gateway);
    streams.gateway.signal("HUP");
    wait::until("the log says why", async || (logged(&streams.gateway) > told).then_some(())).await;
    assert_eq!(streams.version().await, before);
    streams.finish().await;
    streams.gateway.send(&Call::stream(&streams.key, "m")).await.ok();
}

#[tokio::test]
async fn a_good_reload_breaks_none_of_200_streams() {
    let mut streams = Streams::open().await;
    let before = streams.version().await;
    streams.gateway.settings = streams.gateway.settings.clone().model("added", &["up"]).remove("models", "m");
    streams.gateway.write_settings();
    streams.gateway.admin(Call::new("POST", "/api/v1/config/reload")).await.ok();
    assert_ne!(streams.version().await, before);
    let gone = streams.gateway.send(&Call::stream(&streams.key, "m")).await;
    assert_eq!(gone.status, 404, "{}", gone.text());
    streams.finish().await;
    streams.gateway.send(&Call::stream(&streams.key, "added")).await.ok();
}

async fn model_appears(gateway: &Gateway, key: &str, model: &str) {
    wait::until(format_args!("{model} can be called"), async || {
        (gateway.send(&Call::chat(key, model)).await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_file_change_and_sighup_reload_too() {
    let upstream = Upstream::start().await;
    let mut gateway = TestGateway::new().upstream("up", &upstream).model("m", &["up"]).start().await;
    let key = gateway.key().await;
    gateway.settings = gateway.settings.clone().model("by-change", &["up"]);
    gateway.write_settings();
    model_appears(&gateway, &key, "by-change").await;
    gateway.settings = gateway.settings.clone().model("by-signal", &["up"]);
    gateway.write_settings();
    gateway.signal("HUP");
    model_appears(&gateway, &key, "by-signal").await;
    // A partial write is a bad file: the old one stays, and the whole one is taken.
    gateway.write_text("{ \"version\": 1, \"server\": ");
    gateway.send(&Call::chat(&key, "m")).await.ok();
    gateway.settings = gateway.settings.clone().model("after-half", &["up"]);
    gateway.write_settings();
    model_appears(&gateway, &key, "after-half").await;
}

#[tokio::test]
async fn what_needs_a_restart_is_listed_and_not_half_applied() {
    let upstream = Upstream::start().await;
    let gateway = TestGateway::new().upstream("up", &upstream).model("m", &["up"]).start().await;
    let key = gateway.key().await;
    let elsewhere = crate::support::ports::free();
    let settings: Settings = gateway.settings.clone();
    gateway.write_text(&settings.set("/server/listen", elsewhere.to_string()).text());
    let reloaded = gateway.admin(Call::new("POST", "/api/v1/config/reload")).await.ok();
    assert!(reloaded.text().contains("listen"), "{}", reloaded.text());
    gateway.send(&Call::chat(&key, "m")).await.ok();
}
