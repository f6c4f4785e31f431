//! `kill -9` at random moments under load: what was admitted is recorded once, whatever came of it.
//!
//! What a client received to its end has a record with the upstream's numbers; what the journal
//! holds as open when the process is dead becomes an `interrupted` record; a client that saw a
//! head finds a record; and no answer of the upstream is in two of them.

use crate::support::{
    client::{Call, Sending, h1},
    gateway::{Gateway, TestGateway},
    records::Record,
    upstream::{Truth, Upstream, truth::Seeded},
    wait,
};
use aione_gateway::journal::inspect;
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};
use tokio::task::JoinSet;

/// Kills over both modes of the journal. `AIONE_TEST_KILLS` asks for longer runs,
/// `AIONE_TEST_SEED` repeats one.
const KILLS: u64 = 20;
const CALLERS: usize = 8;

fn number_from_environment(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// The gateway's id and the upstream's id of one answer that was received to its end.
#[derive(Clone, Debug)]
struct Received {
    request: String,
    answer: String,
}

#[derive(Default)]
struct Load {
    received: Mutex<Vec<Received>>,
    /// Ids of the requests of which a head with status 200 was seen, received to the end or not.
    heads: Mutex<Vec<String>>,
    count: AtomicUsize,
    stop: AtomicBool,
}

impl Load {
    /// Calls on and on; a connection that breaks is replaced, an answer that is cut is not received.
    async fn call(self: Arc<Self>, public: SocketAddr, key: String, caller: usize) {
        let mut connection = None;
        let mut turn = caller;
        while !self.stop.load(Ordering::SeqCst) {
            let mut current = match connection.take() {
                Some(connection) => connection,
                None => match h1::Connection::try_open(public).await {
                    Ok(connection) => connection,
                    Err(_) => {
                        // The process is down: the next try is after others had their turn.
                        tokio::task::yield_now().await;
                        continue;
                    }
                },
            };
            turn += 1;
            let call = match turn % 3 {
                0 => Call::chat(&key, "m"),
                1 => Call::stream(&key, "m"),
                _ => Call::stream(&key, "m").sending(Sending::Chunked(50)),
            };
            current.start(&call);
            connection = self.receive(current).await;
        }
    }

    async fn receive(&self, connection: h1::Connection) -> Option<h1::Connection> {
        let mut exchange = connection.try_answer().await.ok()?;
        let request = exchange.headers.get("x-request-id").expect("every answer carries an id").to_owned();
        if exchange.status == 200 {
            self.heads.lock().unwrap().push(request.clone());
        }
        let mut body = Vec::new();
        loop {
            match exchange.piece().await {
                Ok(Some(piece)) => body.extend_from_slice(&piece),
                Ok(None) => break,
                Err(_) => return None,
            }
        }
        if exchange.status == 200 {
            let answer = answer_id(&body).expect("a whole answer names itself");
            self.received.lock().unwrap().push(Received { request, answer });
            self.count.fetch_add(1, Ordering::SeqCst);
        }
        exchange.connection.settled().await
    }
}

/// The upstream's id in a plain or a streamed answer.
fn answer_id(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let start = text.find("chatcmpl-")?;
    Some(text[start..].chars().take_while(|c| *c != '"').collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_admitted_before_a_kill_has_exactly_one_record_under_interval() {
    kills_under("interval", 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_admitted_before_a_kill_has_exactly_one_record_under_group() {
    kills_under("group", 1).await;
}

async fn kills_under(sync: &str, half: u64) {
    let kills = number_from_environment("AIONE_TEST_KILLS", KILLS).div_ceil(2);
    let seed = number_from_environment("AIONE_TEST_SEED", 20_261_125) + half;
    println!("{kills} kills under {sync}, seed {seed}");
    let mut seeded = Seeded::new(seed);
    let upstream = Upstream::start().await;
    let gateway = TestGateway::new().upstream("up", &upstream).model("m", &["up"]);
    let mut gateway = gateway.journal_sync(sync).start().await;
    let key = gateway.key().await;
    let load = Arc::new(Load::default());
    let public = gateway.settings.public;
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        callers.spawn(load.clone().call(public, key.clone(), caller));
    }
    let mut cut = BTreeSet::new();
    for _ in 0..kills {
        cut.extend(kill_after(&mut gateway, &upstream, &mut seeded).await);
    }
    // One more answer after the last start, so that a gateway that no longer serves is noticed.
    let count = load.count.load(Ordering::SeqCst);
    wait::until("an answer after the last kill", async || {
        (load.count.load(Ordering::SeqCst) > count).then_some(())
    })
    .await;
    load.stop.store(true, Ordering::SeqCst);
    while let Some(done) = wait::within("the callers", callers.join_next()).await {
        done.unwrap();
    }
    gateway.quiet().await;
    let received = load.received.lock().unwrap().clone();
    let heads = load.heads.lock().unwrap().clone();
    println!("{} heads, {} received, {} cut over {kills} kills", heads.len(), received.len(), cut.len());
    assert!(received.len() as u64 >= kills, "{} answers are no load", received.len());
    assert!(!cut.is_empty(), "no kill met an exchange under way");
    let records = recorded(&gateway, heads.iter().chain(&cut)).await;
    let by_id = by_id(&records);
    expect_truth(&by_id, &received, &upstream.truths());
    expect_interrupted(&by_id, &cut, &received);
    expect_no_truth_twice(&records, &upstream.truths());
    expect_audited(&gateway, records.len());
}

/// Lets the upstream be asked a random number of times, then kills in the middle of it and starts
/// again. Gives the ids of the exchanges that the journal holds as open.
async fn kill_after(gateway: &mut Gateway, upstream: &Upstream, seeded: &mut Seeded) -> Vec<String> {
    let target = upstream.asked() + usize::try_from(seeded.between(1, 60)).unwrap();
    wait::until("the load", async || (upstream.asked() >= target).then_some(())).await;
    // A moment of its own inside the exchange that is under way: so many turns of the runtime.
    for _ in 0..seeded.between(0, 400) {
        tokio::task::yield_now().await;
    }
    gateway.kill9();
    let open = open_exchanges(gateway);
    gateway.start().await;
    open
}

/// What the journal of a dead process holds as opened and not ended.
fn open_exchanges(gateway: &Gateway) -> Vec<String> {
    let found = inspect::inspect(&gateway.folder().join("data/journal")).unwrap();
    found.open.iter().map(|opened| opened.id.to_string()).collect()
}

/// All records, once those of `wanted` are there.
async fn recorded<'w>(gateway: &Gateway, wanted: impl Iterator<Item = &'w String>) -> Vec<Record> {
    let wanted: HashSet<_> = wanted.map(String::as_str).collect();
    let lost = |records: &[Record]| {
        let have: HashSet<_> = records.iter().map(Record::id).collect();
        wanted.difference(&have).map(|id| (*id).to_owned()).collect::<Vec<_>>()
    };
    let found = wait::until_within(wait::PATIENCE, async || {
        let records = gateway.records().await;
        lost(&records).is_empty().then_some(records)
    });
    if let Some(records) = found.await {
        return records;
    }
    let lost = lost(&gateway.records().await);
    panic!("{} of {} exchanges have no record: {lost:#?}", lost.len(), wanted.len());
}

fn by_id(records: &[Record]) -> HashMap<&str, &Record> {
    let mut by_id = HashMap::new();
    for record in records {
        assert!(by_id.insert(record.id(), record).is_none(), "twice: {record:#?}");
        assert!(!record.end().is_empty() && record.end() != "internal_error", "{record:#?}");
    }
    by_id
}

/// Every answer that was received to its end is recorded with the upstream's numbers.
fn expect_truth(by_id: &HashMap<&str, &Record>, received: &[Received], truths: &[Truth]) {
    let ids: HashSet<_> = received.iter().map(|one| one.request.as_str()).collect();
    assert_eq!(ids.len(), received.len(), "request ids are unique");
    let truths: HashMap<&str, &Truth> = truths.iter().map(|truth| (truth.id.as_str(), truth)).collect();
    for one in received {
        let (record, truth) = (by_id[one.request.as_str()], truths[one.answer.as_str()]);
        assert_eq!((record.provenance(), record.end()), ("provider", "complete"), "{record:#?}");
        assert_eq!(numbers(record), truth_numbers(truth), "{record:#?}");
    }
}

/// What the journal held as open is interrupted, and nothing else is.
fn expect_interrupted(by_id: &HashMap<&str, &Record>, cut: &BTreeSet<String>, received: &[Received]) {
    for one in received {
        assert!(
            !cut.contains(&one.request),
            "received to its end, and its end is not in the journal: {one:?}"
        );
    }
    let interrupted: BTreeSet<String> =
        by_id.values().filter(|record| record.end() == "interrupted").map(|it| it.id().to_owned()).collect();
    assert_eq!(interrupted, *cut);
}

/// No answer of the upstream is in two records: each record with the upstream's numbers uses up
/// one truth.
fn expect_no_truth_twice(records: &[Record], truths: &[Truth]) {
    let mut left: HashMap<[u64; 4], u64> = HashMap::new();
    for truth in truths {
        *left.entry(truth_numbers(truth)).or_default() += 1;
    }
    for record in records.iter().filter(|record| record.provenance() == "provider") {
        let count = left.get_mut(&numbers(record)).unwrap_or_else(|| panic!("nobody's answer: {record:#?}"));
        assert!(*count > 0, "an answer recorded twice: {record:#?}");
        *count -= 1;
    }
}

fn numbers(record: &Record) -> [u64; 4] {
    [record.prompt(), record.cached(), record.completion(), record.reasoning()]
}

fn truth_numbers(truth: &Truth) -> [u64; 4] {
    [truth.prompt, truth.cached, truth.completion, truth.reasoning]
}

/// `aione audit` has looked at `count` records and finds every charge right.
fn expect_audited(gateway: &Gateway, count: usize) {
    let output = gateway.command(&["audit", "-c", "aione.yaml"]).output().unwrap();
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}");
    assert!(text.lines().all(|line| !line.is_empty()), "an empty line: {text:?}");
    let counted = text.split(|c: char| !c.is_ascii_digit()).any(|word| word == count.to_string());
    assert!(counted, "{count} records, and the audit says: {text}");
}
