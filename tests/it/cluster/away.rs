//! Redis is stopped, killed, frozen, emptied or full under load and comes back: each mode does what it says,
//! and nobody waits for it.

use super::{Pair, admitted, load::Load, node};
use crate::support::{client::Call, gateway::TestGateway, postgres, redis::Server, upstream::Upstream, wait};
use serde_json::json;

/// How long a decision may wait; `load` allows for it.
const DECISION_MAX: &str = "200ms";

async fn pair(mode: &'static str) -> Pair {
    pair_on(Server::start().await, mode).await
}

async fn pair_on(redis: Server, mode: &'static str) -> Pair {
    let mode = |node: TestGateway| {
        node.set("/limits/on_redis_loss", mode).set("/limits/redis_timeout", DECISION_MAX)
    };
    Pair::on(redis, Upstream::start().await, mode).await
}

type Act = fn(&Server);

/// Ways to be away, each with the way back.
const OUTAGES: [(&str, Act); 3] =
    [("stopped", Server::stop), ("killed", Server::kill9), ("frozen", Server::freeze)];

async fn come_back(pair: &Pair, how: &str) {
    if how == "frozen" {
        pair.redis.thaw();
    } else {
        pair.redis.begin().await;
    }
    pair.together().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_local_share_each_node_admits_its_part_and_what_it_did_counts_afterwards() {
    let pair = pair("local_share").await;
    let wide = pair.wide_key().await;
    let load = Load::start(&pair, &wide).await;
    for (how, away) in OUTAGES {
        println!("{how}");
        let fresh = pair.nodes[0].create_key(json!({ "rpm_limit": 21 })).await.secret;
        let used = pair.nodes[1].create_key(json!({ "rpm_limit": 20 })).await.secret;
        assert_eq!(admitted(&pair, &used, 8).await, 8);
        away(&pair.redis);
        pair.apart(&wide).await;
        load.take();
        assert_eq!(admitted(&pair, &fresh, 60).await, 20, "ten on each node");
        assert_eq!(admitted(&pair, &used, 60).await, 12, "a part begins with what the node has admitted");
        load.more(40).await;
        assert!(load.take().iter().all(|(status, _)| *status == 200));
        come_back(&pair, how).await;
        assert_eq!(admitted(&pair, &fresh, 10).await, 1, "what was admitted without Redis counts in it");
        load.more(40).await;
        assert!(load.take().iter().all(|(status, _)| *status == 200));
    }
    for node in &pair.nodes {
        let metrics = node.metrics().await;
        for by in ["redis", "local_share"] {
            assert!(metrics.sum(&format!("limit_decisions_total{{by=\"{by}\"}}")) > 0.0, "{}", metrics.0);
        }
        assert!(metrics.sum("redis_losses_total") >= 3.0);
        assert_eq!(metrics.sum("redis_dropped_ends_total"), 0.0);
    }
    load.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_admits_everybody_and_closed_nobody() {
    for mode in ["open", "closed"] {
        let pair = pair(mode).await;
        let wide = pair.wide_key().await;
        let tight = pair.known_key(json!({ "rpm_limit": 2 })).await.secret;
        let load = Load::start(&pair, &wide).await;
        for (how, away) in OUTAGES {
            println!("{mode}, {how}");
            assert_eq!(admitted(&pair, &tight, 4).await, 0);
            away(&pair.redis);
            pair.apart(&wide).await;
            load.take();
            load.more(40).await;
            for (status, code) in load.take() {
                match mode {
                    "open" => assert_eq!(status, 200),
                    _ => assert_eq!((status, code.as_str()), (503, "limits_unavailable")),
                }
            }
            for node in &pair.nodes {
                let answer = node.send(&Call::chat(&tight, "m")).await;
                if mode == "open" {
                    assert_eq!(answer.status, 200, "{}", answer.text());
                } else {
                    assert_eq!(answer.header("x-aione-refused"), Some("limits_unavailable"));
                    assert!(answer.header("retry-after").is_some());
                }
            }
            if mode == "closed" {
                // What has no limit does not need Redis.
                let free = pair.nodes[0].key().await;
                pair.nodes[0].send(&Call::chat(&free, "m")).await.ok();
            }
            come_back(&pair, how).await;
            load.more(40).await;
            load.take();
            if how == "frozen" || mode == "open" {
                assert_eq!(admitted(&pair, &tight, 4).await, 0, "it counts again");
            } else {
                // Empty, it has forgotten; then the limit holds anew.
                assert_eq!(admitted(&pair, &tight, 4).await, 2);
            }
        }
        load.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_redis_and_forgotten_scripts_are_no_error() {
    let pair = pair("closed").await;
    let wide = pair.wide_key().await;
    let load = Load::start(&pair, &wide).await;
    let tight = pair.nodes[0].create_key(json!({ "rpm_limit": 3 })).await.secret;
    assert_eq!(admitted(&pair, &tight, 6).await, 3);
    for _ in 0..5 {
        pair.redis.flush();
        assert!(pair.redis.tell(&["SCRIPT", "FLUSH"]));
        load.more(40).await;
    }
    pair.redis.flush();
    assert_eq!(admitted(&pair, &tight, 8).await, 3, "no more than the limit again");
    assert!(load.take().iter().all(|(status, _)| *status == 200));
    load.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_takes_half_a_second_is_away_until_it_is_faster() {
    let redis = Server::start_with(&["--enable-debug-command", "local"]).await;
    let pair = pair_on(redis, "local_share").await;
    let wide = pair.wide_key().await;
    let load = Load::start(&pair, &wide).await;
    for _ in 0..2 {
        let slow = pair.redis.slow();
        pair.apart(&wide).await;
        load.more(100).await;
        drop(slow);
        pair.together().await;
    }
    assert!(load.take().iter().all(|(status, _)| *status == 200));
    load.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_full_or_only_reads_is_away() {
    let pair = pair("local_share").await;
    let wide = pair.wide_key().await;
    let load = Load::start(&pair, &wide).await;
    let whole = ["CONFIG", "SET", "maxmemory", "0"];
    let full = ["CONFIG", "SET", "maxmemory", "1"];
    for (away, back) in
        [(&full[..], &whole[..]), (&["REPLICAOF", "127.0.0.1", "1"][..], &["REPLICAOF", "NO", "ONE"][..])]
    {
        assert!(pair.redis.tell(away));
        pair.apart(&wide).await;
        load.take();
        load.more(40).await;
        assert!(load.take().iter().all(|(status, _)| *status == 200));
        assert!(pair.redis.tell(back));
        pair.together().await;
    }
    load.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_starts_without_redis_and_joins_when_it_comes() {
    let (url, upstream) = (postgres::database().await, Upstream::start().await);
    let redis = Server::not_yet(&[]);
    let gateway = node(&url, &redis.url(), &upstream).start().await;
    let key = gateway.create_key(json!({ "rpm_limit": 4 })).await.secret;
    for expected in [200, 200, 200, 200, 429] {
        assert_eq!(gateway.send(&Call::chat(&key, "m")).await.status, expected);
    }
    assert_eq!(gateway.metrics().await.sum("aione_redis_away"), 1.0);
    redis.begin().await;
    wait::until("it is joined", async || {
        (gateway.metrics().await.sum("aione_redis_away") == 0.0).then_some(())
    })
    .await;
    assert_eq!(gateway.send(&Call::chat(&key, "m")).await.status, 429, "what was admitted before counts");
    assert!(gateway.metrics().await.sum("limit_decisions_total{by=\"redis\"}") >= 1.0);
}
