//! `kill -9` at random moments under load: what a client received to its end is recorded once.

use crate::support::{
    client::{Call, Sending, h1},
    gateway::{Gateway, TestGateway},
    records::Record,
    upstream::{Truth, Upstream, truth::Seeded},
    wait,
};
use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};
use tokio::task::JoinSet;

/// `AIONE_TEST_KILLS` asks for longer runs, `AIONE_TEST_SEED` repeats one.
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
        let request = exchange.headers.get("x-request-id").map(str::to_owned);
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
            let request = request.expect("every answer carries x-request-id");
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
async fn every_answer_that_was_received_has_exactly_one_record() {
    let kills = number_from_environment("AIONE_TEST_KILLS", KILLS);
    let seed = number_from_environment("AIONE_TEST_SEED", 20_261_125);
    println!("AIONE_TEST_KILLS={kills} AIONE_TEST_SEED={seed}");
    let mut seeded = Seeded::new(seed);
    let upstream = Upstream::start().await;
    let mut gateway = TestGateway::new().upstream("up", &upstream).model("m", &["up"]).start().await;
    let key = gateway.key().await;
    let load = Arc::new(Load::default());
    let public = gateway.settings.public;
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        callers.spawn(load.clone().call(public, key.clone(), caller));
    }
    for _ in 0..kills {
        kill_after(&mut gateway, &upstream, &mut seeded).await;
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
    println!("{} answers received over {kills} kills", received.len());
    assert!(received.len() as u64 >= kills, "{} answers are no load", received.len());
    expect_conserved(&gateway, &received, &upstream.truths()).await;
    let audit = gateway.command(&["audit", "-c", "aione.yaml"]).output().unwrap();
    assert!(
        audit.status.success(),
        "{}{}",
        String::from_utf8_lossy(&audit.stdout),
        String::from_utf8_lossy(&audit.stderr)
    );
}

/// Lets the upstream be asked a random number of times, then kills in the middle of it and starts again.
async fn kill_after(gateway: &mut Gateway, upstream: &Upstream, seeded: &mut Seeded) {
    let target = upstream.asked() + usize::try_from(seeded.between(1, 60)).unwrap();
    wait::until("the load", async || (upstream.asked() >= target).then_some(())).await;
    // A moment of its own inside the exchange that is under way: so many turns of the runtime.
    for _ in 0..seeded.between(0, 400) {
        tokio::task::yield_now().await;
    }
    gateway.kill9();
    gateway.start().await;
}

async fn expect_conserved(gateway: &Gateway, received: &[Received], truths: &[Truth]) {
    let wanted: HashSet<_> = received.iter().map(|one| one.request.as_str()).collect();
    assert_eq!(wanted.len(), received.len(), "request ids are unique");
    let records = wait::until_within(wait::PATIENCE, async || {
        let records = gateway.records().await;
        let have: HashSet<_> = records.iter().map(Record::id).collect();
        wanted.iter().all(|id| have.contains(id)).then_some(records)
    });
    let Some(records) = records.await else {
        let records = gateway.records().await;
        let have: HashSet<_> = records.iter().map(Record::id).collect();
        let lost: Vec<_> = received.iter().filter(|one| !have.contains(one.request.as_str())).collect();
        panic!("{} of {} answers have no record: {lost:#?}", lost.len(), received.len());
    };
    let mut by_id: HashMap<&str, &Record> = HashMap::new();
    for record in &records {
        assert!(by_id.insert(record.id(), record).is_none(), "twice: {record:#?}");
        assert!(!record.end().is_empty() && record.end() != "internal_error", "{record:#?}");
    }
    let truths: HashMap<&str, &Truth> = truths.iter().map(|truth| (truth.id.as_str(), truth)).collect();
    for one in received {
        let (record, truth) = (by_id[one.request.as_str()], truths[one.answer.as_str()]);
        assert_eq!(record.provenance(), "provider", "{record:#?}");
        assert_eq!((record.prompt(), record.cached()), (truth.prompt, truth.cached), "{record:#?}");
        assert_eq!(
            (record.completion(), record.reasoning()),
            (truth.completion, truth.reasoning),
            "{record:#?}"
        );
    }
}
