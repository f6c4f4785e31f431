//! The commands that work on the store and the journal, through the binary, beside a gateway.

use crate::support::{
    client::{self, Call, Version},
    gateway::{Gateway, TestGateway},
    wait,
};
use std::process::Output;

fn run(gateway: &Gateway, words: &[&str], options: &[&str]) -> Output {
    let arguments = [words, &["-c", "aione.yaml"], options].concat();
    gateway.command(&arguments).output().unwrap()
}

/// What a command prints that must succeed.
fn said(gateway: &Gateway, words: &[&str], options: &[&str]) -> String {
    let output = run(gateway, words, options);
    assert!(output.status.success(), "{words:?} {options:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

async fn one_model() -> Gateway {
    TestGateway::new().simulated("sim").model("m", &["sim"]).set("/keys/cache_max_age", "0s").start().await
}

async fn status(gateway: &Gateway, key: &str) -> u16 {
    gateway.send(&Call::chat(key, "m")).await.status
}

#[tokio::test]
async fn keys_are_made_listed_rotated_and_disabled() {
    let gateway = one_model().await;
    let secret = said(&gateway, &["keys", "create"], &["--name", "app", "--rpm", "1000", "--tpm", "1000000"]);
    assert_eq!(status(&gateway, &secret).await, 200);
    let list = said(&gateway, &["keys", "list"], &[]);
    let line = list.lines().find(|line| line.ends_with("\tapp")).unwrap();
    assert!(line.contains("Active") && !list.contains(&secret), "{list}");
    let id = line.split('\t').next().unwrap();

    let next = said(&gateway, &["keys", "rotate"], &[id, "--grace-seconds", "0"]);
    assert_ne!(next, secret);
    wait::until("the former secret's end", async || (status(&gateway, &secret).await == 401).then_some(()))
        .await;
    assert_eq!(status(&gateway, &next).await, 200);

    said(&gateway, &["keys", "disable"], &[id]);
    wait::until("the key's end", async || (status(&gateway, &next).await == 401).then_some(())).await;
    assert!(said(&gateway, &["keys", "list"], &[]).contains("Disabled"));
    let missing = run(&gateway, &["keys", "disable"], &["00000000-0000-4000-8000-000000000000"]);
    assert!(!missing.status.success() && String::from_utf8_lossy(&missing.stderr).contains("no such key"));
}

#[tokio::test]
async fn what_the_api_would_refuse_the_command_line_refuses_too() {
    let gateway = one_model().await;
    let long = "x".repeat(129);
    let cases: [(&[&str], &[&str], &str); 7] = [
        (&["keys", "create"], &["--name", "a", "--rpm", "0"], "rpm_limit"),
        (&["keys", "create"], &["--name", "a", "--tpm", "18446744073709551615"], "tpm_limit"),
        (&["keys", "create"], &["--name", "a\u{1b}[31m"], "control characters"),
        (&["keys", "create"], &["--name", ""], "name"),
        (&["keys", "create"], &["--name", &long], "at most 128"),
        (&["tokens", "create"], &["--name", "a\nb"], "control characters"),
        (&["tokens", "create"], &["--name", "a", "--role", "root"], "owner"),
    ];
    for (words, options, why) in cases {
        let output = run(&gateway, words, options);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && output.stdout.is_empty(), "{options:?}: {output:?}");
        assert!(said.contains(why), "{options:?}: {said}");
    }
    assert_eq!(said(&gateway, &["keys", "list"], &[]), "");
    let secret = said(&gateway, &["keys", "create"], &["--name", "app"]);
    let list = said(&gateway, &["keys", "list"], &[]);
    let id = list.split('\t').next().unwrap();
    let forever = run(&gateway, &["keys", "rotate"], &[id, "--grace-seconds", "4294967295"]);
    assert!(!forever.status.success(), "{forever:?}");
    assert_eq!(status(&gateway, &secret).await, 200);
}

#[tokio::test]
async fn a_management_token_is_made_and_works() {
    let gateway = one_model().await;
    let token = said(&gateway, &["tokens", "create"], &["--name", "console", "--role", "viewer"]);
    assert!(token.starts_with("mt-"), "{token}");
    let admin = gateway.settings.admin;
    client::send(Version::H1, admin, &Call::get("/api/v1/gateway/keys").bearer(&token)).await.ok();
    let write = Call::post("/api/v1/gateway/keys", r#"{"name":"a"}"#).bearer(&token);
    assert_eq!(client::send(Version::H1, admin, &write).await.status, 403);
}

#[tokio::test]
async fn the_journal_is_looked_into_beside_the_gateway() {
    let gateway = one_model().await;
    let key = gateway.key().await;
    gateway.send(&Call::chat(&key, "m")).await.ok();
    gateway.records_eventually(1).await;
    let report = said(&gateway, &["journal", "inspect"], &[]);
    assert!(report.contains("segment"), "{report}");
}

#[tokio::test]
async fn a_store_is_migrated_ahead_of_its_gateway_and_beside_it() {
    let gateway = one_model().await;
    let beside = said(&gateway, &["migrate"], &[]);
    assert!(beside.contains(": schema version "), "{beside}");
    gateway.write_text(&gateway.settings.text().replace("data/aione.db", "elsewhere/new.db"));
    let ahead = said(&gateway, &["migrate"], &[]);
    assert_eq!(ahead.rsplit(' ').next(), beside.rsplit(' ').next());
    assert!(gateway.folder().join("elsewhere/new.db").is_file());
}
