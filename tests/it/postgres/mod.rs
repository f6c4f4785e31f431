//! The gateway on PostgreSQL: one node, two nodes, and what stands between them and the server.

mod away;
mod export;
mod sessions;
mod tls;

use crate::support::{
    client::Call,
    gateway::{Gateway, TestGateway},
    postgres::{self, PEPPER},
    upstream::Upstream,
    wait,
};
use std::{collections::HashSet, time::Duration};

/// A node with one model at `upstream`, on the database at `url`.
fn node(url: &str, upstream: &Upstream) -> TestGateway {
    TestGateway::new()
        .upstream("up", upstream)
        .model("m", &["up"])
        .set("/storage/database", url)
        .set("/secrets/key_pepper", PEPPER)
}

/// Records that a recorder stores in a second at the least.
const RECORDED_A_SECOND: u64 = 1_000;

/// The ids of all records once there are `count`, each of them once.
async fn recorded(url: &str, count: usize) -> HashSet<String> {
    let bound = wait::PATIENCE + Duration::from_secs(count as u64 / RECORDED_A_SECOND);
    let all = wait::until_within(bound, async || postgres::count(url).await.filter(|found| *found >= count));
    assert_eq!(all.await, Some(count), "records");
    postgres::records(url).await.iter().map(|record| record.id().to_owned()).collect()
}

fn run(gateway: &Gateway, arguments: &[&str]) -> (bool, String) {
    let output = gateway.command(arguments).output().unwrap();
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), text)
}

#[tokio::test]
async fn a_call_is_metered_and_another_node_knows_its_key_and_its_usage() {
    let (url, upstream) = (postgres::database().await, Upstream::start().await);
    let one = node(&url, &upstream).start().await;
    let two = node(&url, &upstream).start().await;
    let key = one.key().await;
    let mut ids = HashSet::new();
    for gateway in [&one, &two] {
        for call in [Call::chat(&key, "m"), Call::stream(&key, "m")] {
            ids.insert(gateway.send(&call).await.ok().request_id());
        }
    }
    assert_eq!(recorded(&url, 4).await, ids);
    let prompt: u64 = upstream.truths().iter().map(|truth| truth.prompt).sum();
    for gateway in [&one, &two] {
        let rows = gateway.usage_eventually(|rows| rows.iter().any(|row| row.requests() == 4)).await;
        assert_eq!(rows.iter().map(|row| row.prompt()).sum::<u64>(), prompt);
    }
}

#[tokio::test]
async fn two_nodes_count_the_same_organization_at_once_and_the_audit_agrees() {
    let (url, upstream) = (postgres::database().await, Upstream::start().await);
    let one = node(&url, &upstream).start().await;
    let two = node(&url, &upstream).start().await;
    let key = one.key().await;
    let load = async |gateway: &Gateway| {
        for _ in 0..100 {
            gateway.send(&Call::chat(&key, "m")).await.ok();
        }
    };
    tokio::join!(load(&one), load(&one), load(&two), load(&two));
    assert_eq!(recorded(&url, 400).await.len(), 400);
    let rows = one.usage_eventually(|rows| rows.iter().map(|row| row.requests()).sum::<u64>() == 400).await;
    let truths = upstream.truths();
    assert_eq!(
        rows.iter().map(|row| row.prompt()).sum::<u64>(),
        truths.iter().map(|t| t.prompt).sum::<u64>()
    );
    assert_eq!(
        rows.iter().map(|row| row.completion()).sum::<u64>(),
        truths.iter().map(|t| t.completion).sum::<u64>()
    );
    let (agrees, text) = run(&one, &["audit", "-c", "aione.yaml"]);
    assert!(agrees && text.contains("400"), "{text}");
}

#[tokio::test]
async fn a_restart_replays_what_a_killed_node_had_not_stored() {
    let (url, upstream) = (postgres::database().await, Upstream::start().await);
    let mut gateway = node(&url, &upstream).start().await;
    let key = gateway.key().await;
    let mut ids = HashSet::new();
    for _ in 0..5 {
        for _ in 0..20 {
            ids.insert(gateway.send(&Call::chat(&key, "m")).await.ok().request_id());
        }
        gateway.kill9();
        gateway.start().await;
    }
    assert_eq!(recorded(&url, 100).await, ids);
}

#[tokio::test]
async fn the_command_line_works_on_it() {
    let (url, upstream) = (postgres::database().await, Upstream::start().await);
    let gateway = node(&url, &upstream).start().await;
    let (done, text) = run(&gateway, &["migrate", "-c", "aione.yaml"]);
    assert!(done && text.contains("schema version 8"), "{text}");
    let (done, secret) =
        run(&gateway, &["keys", "create", "--org", "default", "--name", "by hand", "-c", "aione.yaml"]);
    assert!(done, "{secret}");
    gateway.send(&Call::chat(secret.trim(), "m")).await.ok();
    let (done, list) = run(&gateway, &["keys", "list", "--org", "default", "-c", "aione.yaml"]);
    assert!(done && list.contains("by hand"), "{list}");
}

#[tokio::test]
async fn a_node_with_another_pepper_or_none_does_not_start() {
    let (url, upstream) = (postgres::database().await, Upstream::start().await);
    let mut gateway = node(&url, &upstream).start().await;
    gateway.kill9();
    gateway.settings =
        gateway.settings.clone().set("/secrets/key_pepper", "another pepper, which is as long as the first");
    gateway.write_settings();
    let (started, text) = run(&gateway, &["serve", "-c", "aione.yaml"]);
    assert!(!started && text.contains("pepper"), "{text}");
    gateway.settings = gateway.settings.clone().set("/secrets/key_pepper", "file:data/none");
    gateway.write_settings();
    let (sound, text) = run(&gateway, &["check", "-c", "aione.yaml"]);
    assert!(!sound && text.contains("secrets.key_pepper") && text.contains("same one"), "{text}");
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_at_the_start_is_told_without_the_password() {
    let (url, upstream) = (postgres::database().await, Upstream::start().await);
    let mut gateway = node(&url, &upstream).start().await;
    gateway.kill9();
    let nobody = Upstream::refusing();
    let url = format!("postgres://aione:marker-of-a-password@{nobody}/aione");
    gateway.settings = gateway.settings.clone().set("/storage/database", url);
    gateway.write_settings();
    let (started, text) = run(&gateway, &["serve", "-c", "aione.yaml"]);
    assert!(!started, "{text}");
    assert!(text.contains(&nobody.to_string()) && !text.contains("marker"), "{text}");
}
