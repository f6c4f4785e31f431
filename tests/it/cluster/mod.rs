//! Two nodes on one Redis and one PostgreSQL: limits hold over both, changes are heard of on both, and
//! Redis may go away in every manner.

mod away;
mod changes;
mod limits;
mod load;
mod tls;

use crate::support::{
    client::Call,
    gateway::{Gateway, TestGateway},
    postgres::{self, PEPPER},
    redis::Server,
    upstream::Upstream,
    wait,
};
use serde_json::json;

/// A node with one model at `upstream`, on the database at `url` and the Redis at `redis`.
fn node(url: &str, redis: &str, upstream: &Upstream) -> TestGateway {
    TestGateway::new()
        .upstream("up", upstream)
        .model("m", &["up"])
        .set("/storage/database", url)
        .set("/storage/redis", redis)
        // The machine of a test run is busy, and Redis is not to be taken for away.
        .set("/limits/redis_timeout", "1s")
        .set("/secrets/key_pepper", PEPPER)
}

/// Two nodes that know of each other.
struct Pair {
    nodes: [Gateway; 2],
    redis: Server,
    upstream: Upstream,
}

impl Pair {
    async fn start(upstream: Upstream, change: impl Fn(TestGateway) -> TestGateway) -> Self {
        Self::on(Server::start().await, upstream, change).await
    }

    async fn on(redis: Server, upstream: Upstream, change: impl Fn(TestGateway) -> TestGateway) -> Self {
        let url = postgres::database().await;
        let one = change(node(&url, &redis.url(), &upstream)).start().await;
        let two = change(node(&url, &redis.url(), &upstream)).start().await;
        let pair = Self { nodes: [one, two], redis, upstream };
        pair.together().await;
        pair.warm().await;
        pair
    }

    /// Has each node read a key, for which it makes its first connection: a busy machine may take longer for
    /// that than a caller waits.
    async fn warm(&self) {
        let key = self.nodes[0].key().await;
        for node in &self.nodes {
            let call = Call::get("/v1/models").bearer(&key);
            wait::until("a first key", async || (node.send(&call).await.status == 200).then_some(())).await;
        }
    }

    /// Waits until both ask Redis and count two nodes.
    async fn together(&self) {
        for node in &self.nodes {
            wait::until("both on Redis", async || {
                let metrics = node.metrics().await;
                (metrics.sum("aione_redis_away") == 0.0 && metrics.sum("aione_nodes") == 2.0).then_some(())
            })
            .await;
        }
    }

    /// Waits until neither asks Redis any more; calls of `key` find that out.
    async fn apart(&self, key: &str) {
        for node in &self.nodes {
            wait::until("without Redis", async || {
                node.send(&Call::chat(key, "m")).await;
                (node.metrics().await.sum("aione_redis_away") == 1.0).then_some(())
            })
            .await;
        }
    }

    /// Waits until Redis has been told of every end.
    async fn told(&self) {
        wait::until("every end is told", async || (self.redis.places() == 0).then_some(())).await;
    }

    /// A key with these fields and a call of it that both nodes have served.
    async fn known_key(&self, fields: serde_json::Value) -> crate::support::admin::Key {
        let key = self.nodes[0].create_key(fields).await;
        for node in &self.nodes {
            node.send(&Call::chat(&key.secret, "m")).await.ok();
        }
        key
    }

    /// A key with a limit that is far away, so that Redis is asked.
    async fn wide_key(&self) -> String {
        self.known_key(json!({ "rpm_limit": 1_000_000 })).await.secret
    }
}

/// How many of `count` calls of `key`, over both nodes in turn, are answered with 200; the others must be
/// refused for a limit.
async fn admitted(pair: &Pair, key: &str, count: usize) -> usize {
    let mut passed = 0;
    for n in 0..count {
        let answer = pair.nodes[n % 2].send(&Call::chat(key, "m")).await;
        match answer.status {
            200 => passed += 1,
            _ => assert_eq!(
                (answer.status, answer.code().as_str()),
                (429, "rate_limit_exceeded"),
                "{}",
                answer.text()
            ),
        }
    }
    passed
}
