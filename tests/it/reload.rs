//! A reload takes effect as a whole, or is refused, says why, and changes nothing.

use crate::support::{
    client::{self, Answer, Call},
    gateway::{Gateway, TestGateway},
    settings::Settings,
    upstream::Upstream,
    wait,
};
use serde_json::{Value, json};
use sqlx::{Connection as _, sqlite::SqliteConnection};
use std::{fs, path::Path};

async fn reload(gateway: &Gateway) -> Answer {
    gateway.admin(Call::new("POST", "/api/v1/config/reload")).await
}

/// The running gateway's answer to a reload of its settings after `change`.
async fn reload_with(gateway: &mut Gateway, change: impl FnOnce(Settings) -> Settings) -> Answer {
    gateway.settings = change(gateway.settings.clone());
    gateway.write_settings();
    reload(gateway).await
}

async fn version(gateway: &Gateway) -> Value {
    gateway.admin(Call::get("/api/v1/config")).await.ok().json()["version"].clone()
}

#[tokio::test]
async fn a_reload_whose_prices_cannot_be_kept_is_refused_and_can_be_repeated() {
    let mut gateway = TestGateway::new().simulated("sim").model("m", &["sim"]).start().await;
    let before = version(&gateway).await;
    let url = format!("sqlite://{}", gateway.database().display());
    let mut other = SqliteConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let refused = reload_with(&mut gateway, |settings| settings.set("/models/m/price/output", "9.99")).await;
    assert_eq!(refused.status, 409, "{}", refused.text());
    assert!(refused.text().contains("price book"), "{}", refused.text());
    assert_eq!(version(&gateway).await, before);
    assert_eq!(gateway.metrics().await.sum("aione_config_last_reload_refused"), 1.0);
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    // The watch may have been first: what was not taken is read again at its next event too.
    reload(&gateway).await.ok();
    assert_ne!(version(&gateway).await, before);
    let metrics = gateway.metrics().await;
    assert_eq!(metrics.sum("aione_config_last_reload_refused"), 0.0);
    assert!(metrics.sum("aione_config_reloads_total{outcome=\"refused\"}") >= 1.0, "{}", metrics.0);
    assert!(metrics.sum("aione_config_reloads_total{outcome=\"accepted\"}") >= 1.0, "{}", metrics.0);
}

#[tokio::test]
async fn a_new_key_prefix_waits_for_a_restart_so_that_keys_live_on() {
    let mut gateway = TestGateway::new().simulated("sim").model("m", &["sim"]).start().await;
    let key = gateway.key().await;
    let reloaded = reload_with(&mut gateway, |settings| settings.set("/keys/prefix", "sk-other")).await.ok();
    assert!(reloaded.json()["needs_restart"].to_string().contains("keys.prefix"), "{}", reloaded.text());
    gateway.send(&Call::chat(&key, "m")).await.ok();
    assert!(gateway.key().await.starts_with("sk-aione-"));
}

#[tokio::test]
async fn another_currency_needs_a_restart_and_is_refused_over_records() {
    let upstream = Upstream::start().await;
    let mut gateway = TestGateway::new().upstream("up", &upstream).model("m", &["up"]).start().await;
    let refused = reload_with(&mut gateway, |settings| settings.set("/billing/currency", "USD")).await;
    assert_eq!(refused.status, 409, "{}", refused.text());
    assert!(refused.text().contains("billing.currency: CNY → USD needs a restart"), "{}", refused.text());
    let shown = gateway.admin(Call::get("/api/v1/config")).await.ok();
    assert_eq!(shown.json()["currency"], "CNY");
    let key = gateway.key().await;
    gateway.send(&Call::chat(&key, "m")).await.ok();
    gateway.records_eventually(1).await;
    gateway.sigterm().await;
    let output = gateway.command(&["keys", "list", "-c", "aione.yaml"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("CNY") && said.contains("USD"), "{output:?}");
    gateway.settings = gateway.settings.clone().set("/billing/currency", "CNY");
    gateway.write_settings();
    gateway.start().await;
    gateway.send(&Call::chat(&key, "m")).await.ok();
}

#[tokio::test]
async fn a_plan_that_a_reload_removed_gives_way_to_the_default_plan_with_a_warning() {
    let upstream = Upstream::start().await;
    let mut gateway = TestGateway::new()
        .upstream("up", &upstream)
        .model("m", &["up"])
        .plan("gold", json!({ "name": "Gold", "models": ["*"] }))
        .set("/default_plan", "gold")
        .start()
        .await;
    let remove = |settings: Settings| settings.set("/default_plan", "standard").remove("plans", "gold");
    reload_with(&mut gateway, remove).await.ok();
    let key = gateway.create_key(json!({ "models_allowed": ["m"] })).await;
    gateway.send(&Call::chat(&key.secret, "m")).await.ok();
    wait::until("the warning", async || {
        let lines = gateway.log_lines();
        let warns = |line: &Value| line["level"] == "WARN" && line["plan"] == "gold";
        lines.iter().any(warns).then_some(())
    })
    .await;
}

/// Writes a certificate for `localhost` and its key as `<name>.crt` and `<name>.key`; the
/// certificate in DER.
fn write_pair(folder: &Path, name: &str) -> Vec<u8> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    fs::write(folder.join(format!("{name}.crt")), made.cert.pem()).unwrap();
    fs::write(folder.join(format!("{name}.key")), made.signing_key.serialize_pem()).unwrap();
    made.cert.der().to_vec()
}

fn tls(cert: &Path, key: &Path) -> Value {
    json!({ "cert": cert.to_str().unwrap(), "key": key.to_str().unwrap() })
}

#[test]
fn a_certificate_that_does_not_fit_its_key_is_refused_at_its_line() {
    let folder = tempfile::tempdir().unwrap();
    write_pair(folder.path(), "one");
    write_pair(folder.path(), "two");
    fs::write(
        folder.path().join("broken.crt"),
        "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    let check = |cert: &str, key: &str| {
        let text = format!(
            "version: 1\nproviders: {{ sim: {{ kind: simulated }} }}\nmodels:\n  m:\n    price: {{ input: '1', cache_read: '0', output: '4' }}\n    route: {{ deployments: [{{ provider: sim }}] }}\nserver:\n  tls: {{ cert: {cert}, key: {key} }}\n"
        );
        fs::write(folder.path().join("aione.yaml"), text).unwrap();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_aione"));
        command.current_dir(folder.path()).args(["check", "-c", "aione.yaml"]).output().unwrap()
    };
    assert!(check("one.crt", "one.key").status.success());
    for (cert, key, why) in
        [("one.crt", "two.key", "do not belong together"), ("broken.crt", "one.key", "certificate")]
    {
        let output = check(cert, key);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(!output.status.success(), "{cert} {key} passes");
        assert!(said.contains("aione.yaml:8:") && said.contains(why), "{said}");
    }
}

#[tokio::test]
async fn other_certificate_files_are_served_after_a_reload_and_a_wrong_pair_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let [first, second, _] = ["one", "two", "three"].map(|name| write_pair(folder.path(), name));
    let mut gateway = TestGateway::new()
        .simulated("sim")
        .model("m", &["sim"])
        .set("/server/tls", tls(&at("one.crt"), &at("one.key")))
        .start()
        .await;
    let shown = async |gateway: &Gateway| client::tls::certificate(gateway.settings.public).await.unwrap();
    assert_eq!(shown(&gateway).await, first);
    let moved = tls(&at("two.crt"), &at("two.key"));
    reload_with(&mut gateway, |settings| settings.set("/server/tls", moved)).await.ok();
    assert_eq!(shown(&gateway).await, second);
    let wrong = tls(&at("two.crt"), &at("three.key"));
    let refused = reload_with(&mut gateway, |settings| settings.set("/server/tls", wrong)).await;
    assert_eq!(refused.status, 409, "{}", refused.text());
    assert!(refused.text().contains("server.tls"), "{}", refused.text());
    assert_eq!(shown(&gateway).await, second);
}
