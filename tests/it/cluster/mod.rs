//! Two nodes on one Redis and one PostgreSQL: limits hold over both, changes are heard of on both, and
//! Redis may go away in every manner.

mod answers;
mod away;
mod budgets;
mod changes;
mod limits;
mod load;
mod tls;

use crate::support::{
    client::{self, Call, Version},
    gateway::{Gateway, TestGateway},
    postgres::{self, PEPPER},
    redis::Server,
    upstream::{Gate, Script, Step, Truth, Upstream, openai},
    wait,
};
use serde_json::json;
use tokio::task::JoinSet;

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

/// Every answer waits for the gate.
async fn held() -> (Pair, Gate) {
    let truth = Truth::plain("x", 1, 1);
    let gate = Gate::closed();
    let mut script = Script::json(200, openai::completion(&truth, "m")).truth(&truth);
    script.steps.insert(1, Step::Wait(gate.clone()));
    let upstream = Upstream::always(script).await;
    let strict = |node: crate::support::gateway::TestGateway| node.set("/limits/reserve_cap", "none");
    (Pair::start(upstream, strict).await, gate)
}

fn ask(key: &str) -> Call {
    let messages = json!([{ "role": "user", "content": "Say it." }]);
    Call::chat_with(key, &json!({ "model": "m", "max_tokens": 10, "messages": messages }))
}

/// Lets `racers` ask at once over both nodes; gives those that wait for the gate once all others were
/// refused with `refusal`.
async fn race(pair: &Pair, key: &str, racers: usize, expect: usize, refusal: u16) -> JoinSet<u16> {
    let before = pair.upstream.asked();
    let mut all = JoinSet::new();
    for racer in 0..racers {
        let (public, call) = (pair.nodes[racer % 2].settings.public, ask(key));
        all.spawn(async move { client::send(Version::H1, public, &call).await.status });
    }
    for _ in expect..racers {
        let status = wait::within("a refusal", all.join_next()).await.unwrap().unwrap();
        assert_eq!(status, refusal);
    }
    wait::until(format_args!("{expect} at the upstream"), async || {
        (pair.upstream.asked() - before >= expect).then_some(())
    })
    .await;
    assert_eq!(pair.upstream.asked() - before, expect);
    all
}

async fn all_pass(gate: &Gate, mut held: JoinSet<u16>) {
    for _ in 0..held.len() {
        gate.open_once();
    }
    while let Some(status) = wait::within("the admitted", held.join_next()).await {
        assert_eq!(status.unwrap(), 200);
    }
}
