//! The caller leaves after k of n chunks: one record, with the right tokens and where they come from.

use crate::support::{
    client::{BOTH, Call, EITHER_WAY, Leave, Version, h1, h2},
    dialects::{call, honest_of, stage_with},
    gateway::{Gateway, TestGateway},
    records::Record,
    upstream::{Events, Gate, Script, Truth, Upstream, honest, openai},
    wait,
};
use aione_core::wire::Dialect;
use serde_json::json;
use std::{collections::HashSet, ops::RangeInclusive};

/// Content events of the streams here.
const CHUNKS: usize = 5;
/// Tokens that a tokenizer may find in one of them; see `Events`.
const TOKENS_PER_CHUNK: RangeInclusive<u64> = 6..=24;

struct Stage {
    gateway: Gateway,
    upstream: Upstream,
    key: String,
    drains: bool,
    known: HashSet<String>,
}

impl Stage {
    async fn new(policy: &str) -> Self {
        let upstream = Upstream::start().await;
        let gateway = TestGateway::new()
            .upstream("up", &upstream)
            .with(|settings| settings.on_disconnect("up", policy))
            .model("m", &["up"])
            .start()
            .await;
        let key = gateway.key().await;
        Self { gateway, upstream, key, drains: policy == "drain", known: HashSet::new() }
    }

    /// The one record that was not there before.
    async fn new_record(&mut self) -> Record {
        let records = self.gateway.records_eventually(self.known.len() + 1).await;
        let mut new: Vec<_> =
            records.into_iter().filter(|record| !self.known.contains(record.id())).collect();
        assert_eq!(new.len(), 1, "{new:#?}");
        self.known.insert(new[0].id().to_owned());
        new.remove(0)
    }

    /// A stream that stops after `k` content events until the gate opens.
    fn script(events: &Events, truth: &Truth, k: usize, gate: &Gate) -> Script {
        let (before, after) = events.content.split_at(k);
        let tail = after.iter().chain([&events.usage, &events.done]);
        Script::events().chunks(before).wait(gate).chunks(tail).end().truth(truth)
    }

    /// Asks, reads `k` events, leaves; then lets the upstream go on.
    async fn leave_after(&self, version: Version, how: Leave, k: usize, truth: &Truth) {
        let gate = Gate::closed();
        let events = Events::new(truth, "m", CHUNKS);
        self.upstream.next(Self::script(&events, truth, k, &gate));
        let call = Call::stream(&self.key, "m");
        if k == 0 {
            self.leave_unanswered(version, how, &call).await;
        } else {
            let mut exchange = self.gateway.open_over(version, &call).await;
            let received = events.content[..k].concat();
            let mut body = Vec::new();
            exchange.read_to(&mut body, received.len()).await;
            assert_eq!(body, received);
            exchange.leave(how).await;
        }
        self.noticed().await;
        gate.open();
    }

    /// Waits until the gateway knows that the caller has left: it reads on alone, or has stopped.
    async fn noticed(&self) {
        wait::until("the gateway notices", async || {
            let metrics = self.gateway.metrics().await;
            let drains = metrics.sum("drains_in_flight");
            let noticed = if self.drains { drains >= 1.0 } else { metrics.sum("requests_in_flight") == 0.0 };
            noticed.then_some(())
        })
        .await;
    }

    /// Leaves once the upstream was asked: it has answered with a head and no event.
    async fn leave_unanswered(&self, version: Version, how: Leave, call: &Call) {
        let before = self.upstream.asked();
        let asked = async || (self.upstream.asked() > before).then_some(());
        let public = self.gateway.settings.public;
        match version {
            Version::H1 => {
                let mut connection = h1::Connection::open(public).await;
                connection.start(call);
                wait::until("the upstream is asked", asked).await;
                connection.leave(how).await;
            }
            Version::H2 => {
                tokio::select! {
                    // The status may come before the first event, and then leaving is the same.
                    exchange = h2::Exchange::open(public, call) => exchange.leave(how),
                    () = wait::until("the upstream is asked", asked) => {}
                }
            }
        }
    }
}

async fn every_k(policy: &str, check: impl Fn(&Record, &Truth, usize)) {
    let mut stage = Stage::new(policy).await;
    let mut seed = 100;
    for version in BOTH {
        for how in EITHER_WAY {
            for k in 0..=CHUNKS {
                seed += 1;
                let truth = Truth::of(seed);
                stage.leave_after(version, how, k, &truth).await;
                let record = stage.new_record().await;
                let shown = format!("{policy} {version:?} {how:?} k={k}: {record:#?}");
                assert_eq!(record.end(), "client_closed", "{shown}");
                println!("{shown}");
                check(&record, &truth, k);
            }
        }
    }
    stage.gateway.quiet().await;
    assert_eq!(stage.gateway.records().await.len(), stage.known.len());
}

#[tokio::test]
async fn under_drain_the_upstream_is_read_to_its_end_and_the_truth_is_recorded() {
    every_k("drain", |record, truth, _| {
        assert_eq!(record.provenance(), "provider");
        assert_eq!((record.prompt(), record.cached()), (truth.prompt, truth.cached));
        assert_eq!((record.completion(), record.reasoning()), (truth.completion, truth.reasoning));
    })
    .await;
}

#[tokio::test]
async fn under_estimate_the_upstream_is_stopped_and_what_was_sent_is_counted() {
    every_k("estimate", |record, _, k| {
        assert_eq!(record.provenance(), "estimated");
        let k = k as u64;
        // One more event may have been on its way when the caller left.
        let range = k * TOKENS_PER_CHUNK.start()..=(k + 1) * TOKENS_PER_CHUNK.end();
        assert!(range.contains(&record.completion()), "{} not in {range:?}", record.completion());
        assert!((1..50).contains(&record.prompt()), "{}", record.prompt());
    })
    .await;
}

#[tokio::test]
async fn under_none_the_upstream_is_stopped_and_only_its_own_numbers_are_kept() {
    every_k("none", |record, _, _| {
        assert_eq!(record.provenance(), "partial");
        assert_eq!(record.completion(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_caller_that_leaves_after_the_usage_is_recorded_exactly_under_every_policy() {
    for policy in ["drain", "estimate", "none"] {
        let mut stage = Stage::new(policy).await;
        for version in BOTH {
            let truth = Truth::of(77);
            let events = Events::new(&truth, "m", CHUNKS);
            let gate = Gate::closed();
            let script = Script::events().chunks(&events.content).chunk(&events.usage).wait(&gate);
            stage.upstream.next(script.chunk(&events.done).end().truth(&truth));
            let body = json!({
                "model": "m", "stream": true, "stream_options": { "include_usage": true },
                "messages": [{ "role": "user", "content": "Say it." }],
            });
            let mut exchange = stage.gateway.open_over(version, &Call::chat_with(&stage.key, &body)).await;
            let want = events.with_usage().len() - events.done.len();
            exchange.read_to(&mut Vec::new(), want).await;
            exchange.leave(Leave::Fin).await;
            gate.open();
            let record = stage.new_record().await;
            assert_eq!(record.provenance(), "provider", "{policy} {record:#?}");
            assert_eq!((record.prompt(), record.completion()), (truth.prompt, truth.completion));
        }
    }
}

#[tokio::test]
async fn leaving_a_plain_answer_follows_the_policy_too() {
    for (policy, provenance) in [("drain", "provider"), ("estimate", "estimated"), ("none", "partial")] {
        let mut stage = Stage::new(policy).await;
        for version in BOTH {
            for how in EITHER_WAY {
                let truth = Truth::of(78);
                let gate = Gate::closed();
                let mut script = Script::json(200, openai::completion(&truth, "m")).truth(&truth);
                script.steps.insert(1, crate::support::upstream::Step::Wait(gate.clone()));
                stage.upstream.next(script);
                let call = Call::chat(&stage.key, "m");
                stage.leave_unanswered(version, how, &call).await;
                stage.noticed().await;
                gate.open();
                let record = stage.new_record().await;
                assert_eq!(record.end(), "client_closed", "{policy} {version:?} {how:?} {record:#?}");
                assert_eq!(record.provenance(), provenance, "{policy} {version:?} {how:?} {record:#?}");
                if policy == "drain" {
                    assert_eq!((record.prompt(), record.completion()), (truth.prompt, truth.completion));
                }
            }
        }
        stage.gateway.quiet().await;
    }
}

#[tokio::test]
async fn a_drain_without_an_end_is_bounded_by_time() {
    let truth = Truth::of(79);
    let events = Events::new(&truth, "m", CHUNKS);
    let upstream = Upstream::always(Script::events().chunk(&events.content[0]).await_gone()).await;
    let gateway = TestGateway::new()
        .upstream("up", &upstream)
        .model("m", &["up"])
        .set("/drain/max_time", "1s")
        .start()
        .await;
    let key = gateway.key().await;
    let mut exchange = gateway.open_over(Version::H1, &Call::stream(&key, "m")).await;
    exchange.read_to(&mut Vec::new(), 1).await;
    exchange.leave(Leave::Fin).await;
    let record = gateway.records_eventually(1).await.remove(0);
    assert_eq!((record.end(), record.provenance()), ("client_closed", "estimated"));
    wait::until("the upstream is let go", async || (upstream.abandoned() == 1).then_some(())).await;
    gateway.quiet().await;
}

#[tokio::test]
async fn drains_past_their_number_become_estimates() {
    let truth = Truth::of(80);
    let events = Events::new(&truth, "m", CHUNKS);
    let gate = Gate::closed();
    let upstream = Upstream::always(Stage::script(&events, &truth, 1, &gate)).await;
    let gateway = TestGateway::new()
        .upstream("up", &upstream)
        .model("m", &["up"])
        .set("/drain/max_streams", 2)
        .start()
        .await;
    let key = gateway.key().await;
    for _ in 0..5 {
        let mut exchange = gateway.open_over(Version::H1, &Call::stream(&key, "m")).await;
        exchange.read_to(&mut Vec::new(), events.content[0].len()).await;
        exchange.leave(Leave::Fin).await;
    }
    gateway.records_eventually(3).await;
    gate.open();
    let records = gateway.records_eventually(5).await;
    let exact = records.iter().filter(|record| record.provenance() == "provider").count();
    let estimated = records.iter().filter(|record| record.provenance() == "estimated").count();
    assert_eq!((exact, estimated), (2, 3), "{records:#?}");
    gateway.quiet().await;
}

/// Every caller before every upstream, leaving after none, some and all of the text's pieces.
async fn every_pair(policy: &str, check: impl Fn(&Record, &Truth, usize, &str)) {
    let upstream = Upstream::start().await;
    let (gateway, key) = stage_with(&upstream, |gateway| {
        gateway.with(|settings| {
            Dialect::ALL.iter().fold(settings, |all, each| all.on_disconnect(each.as_str(), policy))
        })
    })
    .await;
    let mut known = HashSet::new();
    for caller in Dialect::ALL {
        for asked in Dialect::ALL {
            for k in [0, 2, openai::CONTENT_EVENTS] {
                let truth = Truth::of(900 + known.len() as u64);
                let (before, after) = honest_of(asked, &truth).stream.after(k);
                let gate = Gate::closed();
                upstream.next(Script::events().chunks(before).wait(&gate).chunks(after).end().truth(&truth));
                let asks = call(caller, asked.as_str(), true).bearer(&key);
                let shown = format!("{policy}: {} to {}, k={k}", caller.as_str(), asked.as_str());
                let asked_before = upstream.asked();
                if k == 0 {
                    let mut connection = h1::Connection::open(gateway.settings.public).await;
                    connection.start(&asks);
                    wait::until("the upstream is asked", async || {
                        (upstream.asked() > asked_before).then_some(())
                    })
                    .await;
                    connection.leave(Leave::Fin).await;
                } else {
                    let mut exchange = gateway.open_over(Version::H1, &asks).await;
                    // A codec may keep the last piece until it knows what follows.
                    let (want, mut body) = (honest::text(k - 2), Vec::new());
                    while !String::from_utf8_lossy(&body).contains(&want) {
                        body.extend(exchange.piece().await.unwrap().expect(&shown));
                    }
                    exchange.leave(Leave::Fin).await;
                }
                wait::until("the gateway notices", async || {
                    let metrics = gateway.metrics().await;
                    let alone = metrics.sum("drains_in_flight") >= 1.0;
                    let stopped = metrics.sum("requests_in_flight") == 0.0;
                    (if policy == "drain" { alone } else { stopped }).then_some(())
                })
                .await;
                gate.open();
                let mut records = gateway.records_eventually(known.len() + 1).await;
                records.retain(|record| !known.contains(record.id()));
                let [record] = &records[..] else { panic!("{shown}: {records:#?}") };
                known.insert(record.id().to_owned());
                assert_eq!(record.end(), "client_closed", "{shown}: {record:#?}");
                check(record, &truth, k, &shown);
            }
        }
    }
    println!("{policy}: {} streams were left", known.len());
    gateway.quiet().await;
}

#[tokio::test]
async fn in_every_dialect_and_pair_a_drain_records_the_truth() {
    every_pair("drain", |record, truth, _, shown| {
        assert_eq!(record.provenance(), "provider", "{shown}: {record:#?}");
        assert_eq!((record.prompt(), record.cached()), (truth.prompt, truth.cached), "{shown}");
        let completion = (record.completion(), record.reasoning());
        assert_eq!(completion, (truth.completion, truth.reasoning), "{shown}");
    })
    .await;
}

#[tokio::test]
async fn in_every_dialect_and_pair_an_estimate_counts_what_was_sent() {
    every_pair("estimate", |record, truth, k, shown| {
        let least = k as u64 * TOKENS_PER_CHUNK.start();
        assert!(record.completion() >= least, "{shown}: {record:#?}");
        match record.provenance() {
            "estimated" => {
                // One more piece, and what was thought, may have been on their way.
                let most = (k as u64 + 2) * TOKENS_PER_CHUNK.end();
                assert!(record.completion() <= most, "{shown}: {record:#?}");
                assert!((1..50).contains(&record.prompt()), "{shown}: {record:#?}");
            }
            // Some tell their numbers as they go: those of the prompt are true.
            "partial" => assert_eq!(record.prompt(), truth.prompt, "{shown}: {record:#?}"),
            other => panic!("{shown}: {other}"),
        }
    })
    .await;
}

#[tokio::test]
async fn in_every_dialect_and_pair_nothing_is_counted_but_the_upstreams_numbers_under_none() {
    every_pair("none", |record, truth, _, shown| {
        assert_eq!(record.provenance(), "partial", "{shown}: {record:#?}");
        assert!([0, truth.prompt].contains(&record.prompt()), "{shown}: {record:#?}");
        assert!(record.completion() <= truth.completion, "{shown}: {record:#?}");
    })
    .await;
}
