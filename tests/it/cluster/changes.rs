//! What is changed through one node is in force on the other at once, also after a message was missed.

use super::{Pair, node};
use crate::support::{
    client::Call, gateway::Gateway, postgres, redis::Server, settings::OPERATOR, upstream::Upstream, wait,
};
use serde_json::{Value, json};
use std::time::Duration;

/// A change is in force on every node within a second; so much longer is a busy machine's.
const WITHIN: Duration = Duration::from_secs(1);
/// Until a connection is there again and what was known has been read again.
const AFTER_RETURN: Duration = Duration::from_secs(5);

/// Where what is known does for a minute, unless it is heard otherwise.
async fn pair() -> Pair {
    Pair::start(Upstream::start().await, |node| node.set("/keys/cache_max_age", "60s")).await
}

async fn disable(node: &Gateway, id: &str) {
    node.admin(Call::new("PUT", &format!("/api/v1/gateway/keys/{id}/disable"))).await.ok();
}

fn put(path: &str, body: Value) -> Call {
    Call { method: "PUT", ..Call::post(path, body.to_string()) }
}

async fn refuses(node: &Gateway, secret: &str, bound: Duration) {
    let call = Call::chat(secret, "m");
    let refused = wait::until_within(bound, async || (node.send(&call).await.status == 401).then_some(()));
    assert!(refused.await.is_some(), "not refused within {bound:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_one_node_disables_is_refused_by_the_other_within_a_second() {
    let pair = pair().await;
    for n in 0..4 {
        let key = pair.known_key(json!({ "rpm_limit": 1_000 })).await;
        disable(&pair.nodes[n % 2], &key.id).await;
        refuses(&pair.nodes[1 - n % 2], &key.secret, WITHIN).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_that_one_node_changes_holds_on_the_other_within_a_second() {
    let pair = pair().await;
    let key = pair.known_key(json!({ "rpm_limit": 1_000 })).await;
    let call = Call::chat(&key.secret, "m");
    let path = format!("/api/v1/gateway/keys/{}", key.id);
    let change = |limit: u64| put(&path, json!({ "rpm_limit": limit }));
    pair.nodes[0].admin(change(2)).await.ok();
    let refused =
        wait::until_within(WITHIN, async || (pair.nodes[1].send(&call).await.status == 429).then_some(()));
    assert!(refused.await.is_some(), "what was used before counts under the new limit");
    // And the organization's, which stands above the key.
    pair.nodes[1].admin(change(1_000)).await.ok();
    let passes = async || (pair.nodes[0].send(&call).await.status == 200).then_some(());
    assert!(wait::until_within(WITHIN, passes).await.is_some());
    pair.nodes[1].admin(put("/api/v1/orgs/default", json!({ "rpm_limit": 1 }))).await.ok();
    let refused = async || (pair.nodes[0].send(&call).await.status == 429).then_some(());
    assert!(wait::until_within(WITHIN, refused).await.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_nobody_could_hear_of_is_in_force_once_redis_is_back() {
    let pair = pair().await;
    let key = pair.known_key(json!({})).await;
    pair.redis.kill9();
    disable(&pair.nodes[0], &key.id).await;
    refuses(&pair.nodes[0], &key.secret, WITHIN).await;
    pair.redis.begin().await;
    refuses(&pair.nodes[1], &key.secret, AFTER_RETURN).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_lost_does_not_matter_once_the_connection_is_new() {
    let pair = pair().await;
    let key = pair.known_key(json!({})).await;
    // The row is changed behind the gateway's back: nothing is said at all.
    let url = pair.nodes[0].settings.value["storage"]["database"].as_str().unwrap().to_owned();
    let sql = format!("UPDATE keys SET disabled = true WHERE id = '{}'", key.id);
    postgres::execute(&url, &sql).await;
    for node in &pair.nodes {
        node.send(&Call::chat(&key.secret, "m")).await.ok();
    }
    assert!(pair.redis.tell(&["CLIENT", "KILL", "TYPE", "pubsub"]));
    for node in &pair.nodes {
        refuses(node, &key.secret, AFTER_RETURN).await;
    }
}

#[tokio::test]
async fn a_password_of_redis_is_nowhere_to_be_read() {
    const PASSWORD: &str = "marker-of-a-password";
    let (url, upstream) = (postgres::database().await, Upstream::start().await);
    let redis = Server::start_with(&["--requirepass", PASSWORD]).await;
    let address = redis.address();
    let with = |password: &str| format!("redis://:{password}@{address}/0");
    let mut gateway = node(&url, &with(PASSWORD), &upstream).start().await;
    let key = gateway.create_key(json!({ "rpm_limit": 100 })).await.secret;
    gateway.send(&Call::chat(&key, "m")).await.ok();
    assert_eq!(gateway.metrics().await.sum("aione_redis_away"), 0.0);
    // One that is wrong, and one that does not fit.
    gateway.settings = gateway.settings.clone().set("/storage/redis", with("marker-of-a-password-not"));
    gateway.write_settings();
    let reloaded = gateway.admin(Call::post("/api/v1/config/reload", "")).await;
    assert!(reloaded.text().contains("storage.redis"), "{}", reloaded.text());
    gateway.sigterm().await;
    gateway.start().await;
    gateway.send(&Call::chat(&key, "m")).await.ok();
    let metrics = gateway.metrics().await;
    assert_eq!(metrics.sum("aione_redis_away"), 1.0);
    gateway.settings =
        gateway.settings.clone().set("/storage/redis", format!("redis://:{PASSWORD}@ {address}"));
    gateway.write_settings();
    let check = gateway.command(&["check", "-c", "aione.yaml"]).output().unwrap();
    assert!(!check.status.success());
    let shown = [
        gateway.logs(),
        metrics.0,
        reloaded.text(),
        String::from_utf8_lossy(&check.stdout).into_owned(),
        String::from_utf8_lossy(&check.stderr).into_owned(),
    ];
    assert!(gateway.logs().contains(&address));
    for text in shown {
        assert!(!text.contains("marker"), "{text}");
        assert!(!text.contains(OPERATOR));
    }
}
