//! Starting, stopping in order, and starting again.

use crate::support::{
    client::{self, Call, Version},
    gateway::TestGateway,
    upstream::{Events, Gate, Script, Truth, Upstream},
    wait,
};
use std::{collections::BTreeSet, fs, path::PathBuf, time::Instant};

#[tokio::test]
async fn an_idle_gateway_leaves_at_once() {
    let mut gateway = TestGateway::new().simulated("sim").model("m", &["sim"]).start().await;
    let began = Instant::now();
    assert!(gateway.sigterm().await.success());
    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_stopping_gateway_finishes_its_streams_and_then_leaves() {
    let truth = Truth::of(81);
    let events = Events::new(&truth, "m", 2);
    let gate = Gate::closed();
    let tail = [&events.content[1], &events.usage, &events.done];
    let script = Script::events().chunk(&events.content[0]).wait(&gate).chunks(tail).end().truth(&truth);
    let upstream = Upstream::always(script).await;
    let mut gateway = TestGateway::new().upstream("up", &upstream).model("m", &["up"]).start().await;
    let key = gateway.key().await;
    let mut streams = Vec::new();
    for version in client::BOTH {
        let mut exchange = gateway.open_over(version, &Call::stream(&key, "m")).await;
        let mut body = Vec::new();
        exchange.read_to(&mut body, events.content[0].len()).await;
        streams.push((exchange, body));
    }
    gateway.signal("TERM");
    // Readiness drops first, or the door is closed already.
    wait::until("not ready any more", async || {
        let Ok(mut probe) = client::h1::Connection::try_open(gateway.settings.public).await else {
            return Some(());
        };
        probe.start(&Call::get("/readyz"));
        match probe.try_answer().await {
            Ok(exchange) if exchange.status == 200 => None,
            _ => Some(()),
        }
    })
    .await;
    gate.open();
    for (exchange, mut body) in streams {
        body.extend_from_slice(&wait::within("the rest", exchange.whole()).await.body);
        assert!(body == events.without_usage());
    }
    let began = Instant::now();
    assert!(gateway.ended().await.success());
    assert!(began.elapsed().as_secs() < 5, "it leaves when the last stream ends: {:?}", began.elapsed());
    for record in gateway.records_eventually(2).await {
        assert_eq!((record.end(), record.provenance()), ("complete", "provider"));
        assert_eq!(record.completion(), truth.completion);
    }
}

#[tokio::test]
async fn a_stream_past_the_deadline_is_cut_and_recorded() {
    let truth = Truth::of(82);
    let events = Events::new(&truth, "m", 2);
    let upstream =
        Upstream::always(Script::events().chunk(&events.content[0]).await_gone().truth(&truth)).await;
    let mut gateway = TestGateway::new()
        .upstream("up", &upstream)
        .model("m", &["up"])
        .set("/server/drain_timeout", "1s")
        .start()
        .await;
    let key = gateway.key().await;
    let mut exchange = gateway.open_over(Version::H1, &Call::stream(&key, "m")).await;
    exchange.read_to(&mut Vec::new(), 1).await;
    gateway.signal("TERM");
    let rest = wait::within("the end", exchange.whole()).await;
    assert!(!rest.text().contains("[DONE]"), "a cut is never a clean end");
    gateway.ended().await;
    gateway.start().await;
    let record = gateway.records_eventually(1).await.remove(0);
    assert_ne!(record.end(), "complete");
    assert!(record.completion() > 0 || record.end() == "interrupted", "{record:#?}");
}

#[tokio::test]
async fn keys_limits_and_usage_survive_a_restart() {
    let upstream = Upstream::start().await;
    let mut gateway = TestGateway::new().upstream("up", &upstream).model("m", &["up"]).start().await;
    let key = gateway.key().await;
    gateway.send(&Call::chat(&key, "m")).await.ok();
    gateway.sigterm().await;
    gateway.start().await;
    gateway.send(&Call::chat(&key, "m")).await.ok();
    let rows = gateway.usage_eventually(|rows| rows.first().is_some_and(|row| row.requests() == 2)).await;
    let total: u64 = upstream.truths().iter().map(|truth| truth.completion).sum();
    assert_eq!(rows[0].completion(), total);
}

#[tokio::test]
async fn the_pepper_is_kept_from_others() {
    use std::os::unix::fs::PermissionsExt as _;
    let gateway = TestGateway::new().simulated("sim").model("m", &["sim"]).start().await;
    let pepper = std::fs::metadata(gateway.folder().join("data/pepper")).unwrap();
    assert_eq!(pepper.permissions().mode() & 0o777, 0o600);
}

/// A batch on its way to the store must not keep an answer waiting, nor the journal a request that it has admitted.
#[tokio::test]
async fn threads_that_serve_go_first() {
    let gateway = TestGateway::new().simulated("sim").model("m", &["sim"]).start().await;
    let key = gateway.key().await;
    gateway.send(&Call::chat(&key, "m")).await.ok();
    let threads = turns(gateway.pid());
    let of = |name: &str| {
        let of_name: BTreeSet<_> =
            threads.iter().filter(|(thread, _)| thread.starts_with(name)).map(|(_, turns)| *turns).collect();
        assert!(!of_name.is_empty(), "no {name} in {threads:?}");
        of_name
    };
    let serving = of("proxy").into_iter().next().unwrap();
    assert_eq!((of("proxy").len(), serving.policy), (1, OTHER), "{threads:?}");
    // Answers wait for it, but not before they are ready.
    assert_eq!(of("journal"), BTreeSet::from([Turns { policy: BATCH, ..serving }]), "{threads:?}");
    let behind = Turns { policy: BATCH, niceness: serving.niceness + 5 };
    for name in ["control", "access-log"] {
        assert_eq!(of(name), BTreeSet::from([behind]), "{threads:?}");
    }
    // One writes the records, and another looks up what is waited for.
    assert_eq!(of("sqlx-sqlite"), BTreeSet::from([behind, serving]), "{threads:?}");
}

/// Linux' numbers of the usual policy and of the one that does not interrupt others.
const OTHER: u32 = 0;
const BATCH: u32 = 3;

/// How a thread comes to its turns.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Turns {
    policy: u32,
    niceness: i64,
}

/// The threads of a process by name, and how each comes to its turns.
fn turns(pid: u32) -> Vec<(String, Turns)> {
    let of = |folder: PathBuf| {
        let name = fs::read_to_string(folder.join("comm")).ok()?;
        let stat = fs::read_to_string(folder.join("stat")).ok()?;
        // From the third field on; the second, in parentheses, may hold blanks.
        let fields: Vec<_> = stat.rsplit(')').next()?.split_whitespace().collect();
        let turns = Turns { policy: fields.get(38)?.parse().ok()?, niceness: fields.get(16)?.parse().ok()? };
        Some((name.trim().to_owned(), turns))
    };
    // One may end meanwhile.
    fs::read_dir(format!("/proc/{pid}/task"))
        .unwrap()
        .filter_map(|thread| of(thread.unwrap().path()))
        .collect()
}
