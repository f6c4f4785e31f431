//! PostgreSQL is stopped, killed or frozen under load and comes back: callers do not notice, nothing is
//! lost or doubled, and the control plane says clearly that it cannot.

use super::{node, recorded};
use crate::support::{
    client::{self, Call, Version},
    gateway::Gateway,
    postgres::Server,
    settings::OPERATOR,
    upstream::Upstream,
    wait,
};
use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// How long it is away. `AIONE_TEST_AWAY_SECONDS` asks for longer.
const AWAY_SECONDS: u64 = 6;
const CALLERS: usize = 4;
/// A request that takes so long hangs; one that waited for the store would take half a second, and the
/// longest is printed.
const HANGS: Duration = Duration::from_secs(5);
/// How long the control plane may take to say that it cannot.
const SAYS_SO: Duration = Duration::from_secs(10);

#[derive(Default)]
struct Load {
    /// Request ids, and how long each took.
    done: Mutex<Vec<(String, Duration)>>,
    stop: AtomicBool,
}

impl Load {
    async fn call(self: Arc<Self>, public: SocketAddr, key: String, stream: bool) {
        let call = if stream { Call::stream(&key, "m") } else { Call::chat(&key, "m") };
        while !self.stop.load(Ordering::SeqCst) {
            let began = Instant::now();
            let answer = client::send(Version::H1, public, &call).await.ok();
            self.done.lock().unwrap().push((answer.request_id(), began.elapsed()));
        }
    }

    fn count(&self) -> usize {
        self.done.lock().unwrap().len()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_do_not_notice_that_it_is_stopped() {
    outage(Server::stop, async |server| server.begin().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_do_not_notice_that_it_is_killed() {
    outage(Server::kill9, async |server| server.begin().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_do_not_notice_that_it_is_frozen() {
    outage(Server::freeze, async |server| server.thaw()).await;
}

#[tokio::test]
async fn a_node_can_leave_while_it_is_frozen_and_forgets_nothing() {
    let (server, upstream) = (Server::start().await, Upstream::start().await);
    let mut gateway = node(&server.url(), &upstream).start().await;
    let key = gateway.key().await;
    gateway.send(&Call::chat(&key, "m")).await.ok();
    recorded(&server.url(), 1).await;
    server.freeze();
    let mut ids = HashSet::new();
    for _ in 0..10 {
        ids.insert(gateway.send(&Call::stream(&key, "m")).await.ok().request_id());
    }
    assert!(gateway.sigterm().await.success());
    server.thaw();
    gateway.start().await;
    assert!(recorded(&server.url(), 11).await.is_superset(&ids));
}

async fn outage(away: fn(&Server), back: impl AsyncFnOnce(&Server)) {
    let seconds = std::env::var("AIONE_TEST_AWAY_SECONDS").ok().and_then(|text| text.parse().ok());
    let length = Duration::from_secs(seconds.unwrap_or(AWAY_SECONDS));
    let (server, upstream) = (Server::start().await, Upstream::start().await);
    let gateway = node(&server.url(), &upstream).start().await;
    let key = gateway.key().await;
    let load = Arc::new(Load::default());
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        callers.spawn(load.clone().call(gateway.settings.public, key.clone(), caller % 2 == 0));
    }
    wait::until("a load", async || (load.count() > 50).then_some(())).await;

    away(&server);
    let began = Instant::now();
    let before = load.count();
    let mut refused = 0;
    while began.elapsed() < length {
        cannot(&gateway).await;
        refused += 3;
    }
    let meanwhile = load.count() - before;
    back(&server).await;

    wait::until("the control plane's return", async || {
        let answer = gateway.admin(Call::get("/api/v1/gateway/keys")).await;
        (answer.status == 200).then_some(())
    })
    .await;
    load.stop.store(true, Ordering::SeqCst);
    while let Some(done) = wait::within("the callers", callers.join_next()).await {
        done.unwrap();
    }
    let done = load.done.lock().unwrap().clone();
    let longest = done.iter().map(|(_, took)| *took).max().unwrap();
    println!(
        "{} requests, {meanwhile} of them while it was away, the longest {longest:?}; {refused} calls of the control plane refused",
        done.len()
    );
    assert!(meanwhile > 50 && refused > 0, "{meanwhile} requests are no load");
    assert!(longest < HANGS, "{longest:?}");
    let ids: HashSet<_> = done.into_iter().map(|(id, _)| id).collect();
    assert_eq!(recorded(&server.url(), ids.len()).await, ids, "nothing is lost, nothing doubled");
    assert_eq!(ids.len(), upstream.truths().len());
    let prompt: u64 = upstream.truths().iter().map(|truth| truth.prompt).sum();
    let rows = gateway.usage("day").await;
    assert_eq!(
        rows.iter().map(|row| row.prompt()).sum::<u64>(),
        prompt,
        "rollups are what the records come to"
    );
}

/// Reads, writes and reports are refused in words, and in time.
async fn cannot(gateway: &Gateway) {
    for call in [
        Call::get("/api/v1/gateway/keys"),
        Call::post("/api/v1/gateway/keys", r#"{"name":"not now"}"#),
        Call::get("/api/v1/obs/usage"),
    ] {
        let call = call.bearer(OPERATOR).header("x-aione-org", "default");
        let asked = client::send(Version::H1, gateway.settings.admin, &call);
        let answer = tokio::time::timeout(SAYS_SO, asked).await.expect("it does not hang");
        assert_eq!(
            (answer.status, answer.json()["code"].as_str()),
            (503, Some("store_unavailable")),
            "{}",
            answer.text()
        );
        assert!(answer.json()["detail"].is_string());
    }
}
