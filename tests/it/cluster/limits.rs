//! Limits hold over both nodes together, exactly.

use super::{Pair, all_pass, ask, held, race};
use crate::support::{
    client::{self, Call, Version},
    upstream::Upstream,
    wait,
};
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How long a reservation holds that nobody renews, and how much later a test calls it stuck.
const LEASE: Duration = Duration::from_secs(30);
const STUCK: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_requests_a_minute_over_two_nodes_are_sixty() {
    let pair = Pair::start(Upstream::start().await, |node| node).await;
    let key = pair.nodes[0].create_key(json!({ "rpm_limit": 60 })).await.secret;
    let began = Instant::now();
    let mut calls = JoinSet::new();
    for n in 0..200 {
        let (public, call) = (pair.nodes[n % 2].settings.public, Call::chat(&key, "m"));
        calls.spawn(async move { client::send(Version::H1, public, &call).await });
    }
    let mut passed = 0;
    while let Some(answer) = wait::within("an answer", calls.join_next()).await {
        let answer = answer.unwrap();
        assert!([200, 429].contains(&answer.status), "{}", answer.text());
        passed += usize::from(answer.status == 200);
    }
    assert!(began.elapsed() < Duration::from_secs(60), "too slow to say anything");
    assert_eq!((passed, pair.upstream.asked()), (60, 60));
    for node in &pair.nodes {
        assert!(node.metrics().await.sum("limit_decisions_total{by=\"redis\"}") >= 50.0);
        let refused = node.send(&Call::chat(&key, "m")).await;
        assert_eq!(refused.header("x-ratelimit-limit-requests"), Some("60"));
        assert_eq!(refused.header("x-ratelimit-remaining-requests"), Some("0"));
        let wait_s: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=61).contains(&wait_s), "{wait_s}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_reserved_and_settled_over_both_nodes() {
    let (pair, gate) = held().await;
    let limit = 100_000;
    let key = pair.nodes[0].create_key(json!({ "tpm_limit": limit })).await.secret;
    gate.open_once();
    let answer = pair.nodes[1].send(&ask(&key)).await.ok();
    let left: u64 = answer.header("x-ratelimit-remaining-tokens").unwrap().parse().unwrap();
    let each = limit - left;
    let key = pair.nodes[0].create_key(json!({ "tpm_limit": 10 * each + each / 2 })).await.secret;
    let first = race(&pair, &key, 40, 10, 429).await;
    all_pass(&gate, first).await;
    // Two tokens were used of each reservation: the rest is there again, on both nodes.
    pair.told().await;
    let fits = usize::try_from((10 * each + each / 2 - 10 * 2) / each).unwrap();
    let second = race(&pair, &key, 40, fits, 429).await;
    all_pass(&gate, second).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrency_is_exact_over_both_nodes_and_returns_to_none() {
    let (pair, gate) = held().await;
    let key = pair.nodes[0].create_key(json!({ "max_concurrency": 5 })).await.secret;
    for _ in 0..3 {
        let held = race(&pair, &key, 40, 5, 429).await;
        all_pass(&gate, held).await;
        pair.told().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_leaves_in_order_holds_nothing_and_is_counted_no_more() {
    let mut pair = Pair::start(Upstream::start().await, |node| node).await;
    let key = pair.nodes[0].create_key(json!({ "max_concurrency": 1 })).await.secret;
    pair.nodes[0].send(&Call::chat(&key, "m")).await.ok();
    assert!(pair.nodes[0].sigterm().await.success());
    assert_eq!(pair.redis.places(), 0, "its ends were told before it left");
    pair.nodes[1].send(&Call::chat(&key, "m")).await.ok();
    wait::until("one node", async || (pair.nodes[1].metrics().await.sum("aione_nodes") == 1.0).then_some(()))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_node_gives_its_places_back_after_the_lease_and_a_living_one_keeps_its_own() {
    let (mut pair, _gate) = held().await;
    let key = pair.nodes[0].create_key(json!({ "max_concurrency": 2 })).await.secret;
    let mut held = race(&pair, &key, 2, 2, 429).await;
    let began = Instant::now();
    pair.nodes[0].kill9();
    let (before, public, call) = (pair.upstream.asked(), pair.nodes[1].settings.public, ask(&key));
    held.spawn({
        let call = call.clone();
        async move {
            loop {
                let status = client::send(Version::H1, public, &call).await.status;
                if status != 429 {
                    return status;
                }
            }
        }
    });
    let freed = wait::until_within(LEASE + STUCK, async || (pair.upstream.asked() > before).then_some(()));
    assert!(freed.await.is_some(), "the place is stuck");
    let took = began.elapsed();
    println!("the place was free after {took:?}");
    assert!(took + Duration::from_secs(5) > LEASE, "it was given away while it could still be held");
    let refused = pair.nodes[1].send(&call).await;
    assert_eq!(refused.status, 429, "the living node's place, which is older than a lease, is held");
}
