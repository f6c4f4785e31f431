//! 500 callers race for the last of something.

use crate::support::{
    client::{self, Call, EITHER_WAY, Leave, Version},
    gateway::{Gateway, TestGateway},
    upstream::{Events, Gate, Script, Step, Truth, Upstream, openai},
    wait,
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

const RACERS: usize = 500;

/// Every answer of the upstream waits for the gate.
async fn scripted(truth: &Truth) -> (TestGateway, Upstream, Gate) {
    let gate = Gate::closed();
    let mut script = Script::json(200, openai::completion(truth, "m")).truth(truth);
    script.steps.insert(1, Step::Wait(gate.clone()));
    let upstream = Upstream::always(script).await;
    let gateway = TestGateway::new().upstream("up", &upstream).model("m", &["up"]);
    (gateway, upstream, gate)
}

async fn held(truth: &Truth) -> (Gateway, Upstream, Gate) {
    let (gateway, upstream, gate) = scripted(truth).await;
    (gateway.start().await, upstream, gate)
}

/// Where the whole reservation counts, also when it is over the limit.
async fn held_strictly(truth: &Truth) -> (Gateway, Upstream, Gate) {
    let (gateway, upstream, gate) = scripted(truth).await;
    (gateway.set("/limits/reserve_cap", "none").start().await, upstream, gate)
}

fn ask(key: &str) -> Call {
    let messages = json!([{ "role": "user", "content": "Say it." }]);
    Call::chat_with(key, &json!({ "model": "m", "max_tokens": 10, "messages": messages }))
}

/// Lets [`RACERS`] callers ask at once, opens the gate when all others were refused, and gives
/// how many were admitted.
async fn race(gateway: &Gateway, upstream: &Upstream, gate: &Gate, key: &str, expect: usize) -> usize {
    let before = upstream.asked();
    let public = gateway.settings.public;
    let mut racers = JoinSet::new();
    for racer in 0..RACERS {
        let version = client::BOTH[racer % 2];
        let call = ask(key);
        racers.spawn(async move { client::send(version, public, &call).await });
    }
    let mut refused = 0;
    while refused < RACERS - expect {
        let answer = wait::within("a refusal", racers.join_next()).await.unwrap().unwrap();
        assert_eq!(answer.status, 429, "{}", answer.text());
        assert_eq!(answer.code(), "rate_limit_exceeded");
        refused += 1;
    }
    wait::until(format_args!("{expect} at the upstream"), async || {
        (upstream.asked() - before >= expect).then_some(())
    })
    .await;
    for _ in 0..expect {
        gate.open_once();
    }
    let mut admitted = 0;
    while let Some(answer) = wait::within("the admitted", racers.join_next()).await {
        answer.unwrap().ok();
        admitted += 1;
    }
    assert_eq!(upstream.asked() - before, admitted);
    gateway.quiet().await;
    admitted
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_request_of_a_window_goes_to_one_of_500() {
    let (gateway, upstream, gate) = held(&Truth::plain("x", 1, 1)).await;
    let key = gateway.create_key(json!({ "rpm_limit": 4 })).await.secret;
    for _ in 0..3 {
        gate.open_once();
        gateway.send(&ask(&key)).await.ok();
    }
    assert_eq!(race(&gateway, &upstream, &gate, &key, 1).await, 1);
    gateway.all_records(4).await;
}

/// What one [`ask`] reserves: the smallest limit under which it is admitted.
async fn reservation(gateway: &Gateway, gate: &Gate) -> u64 {
    let (mut refused, mut admitted) = (0, 256);
    while admitted - refused > 1 {
        let limit = u64::midpoint(refused, admitted);
        let key = gateway.create_key(json!({ "tpm_limit": limit })).await.secret;
        gate.open_once();
        let answer = gateway.send(&ask(&key)).await;
        match answer.status {
            200 => admitted = limit,
            429 => {
                refused = limit;
                // Take back the passage that nobody used.
                gate.pass().await;
            }
            other => panic!("{other}: {}", answer.text()),
        }
    }
    admitted
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_tokens_of_a_window_go_to_exactly_as_many_as_fit() {
    let (gateway, upstream, gate) = held_strictly(&Truth::plain("x", 1, 1)).await;
    let each = reservation(&gateway, &gate).await;
    for (limit, fit) in [(each, 1), (4 * each - 1, 3), (4 * each, 4)] {
        let key = gateway.create_key(json!({ "tpm_limit": limit })).await.secret;
        let admitted = race(&gateway, &upstream, &gate, &key, fit).await;
        assert_eq!(admitted, fit, "a limit of {limit} and {each} reserved by each");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrency_admits_as_many_as_it_says_and_returns_to_none() {
    let (gateway, upstream, gate) = held(&Truth::plain("x", 1, 1)).await;
    let key = gateway.create_key(json!({ "max_concurrency": 5 })).await.secret;
    for _ in 0..2 {
        assert_eq!(race(&gateway, &upstream, &gate, &key, 5).await, 5);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_s_buckets_are_by_organization_and_model() {
    let plan = json!({
        "name": "Standard", "models": ["*"],
        "rpm_limits": { "*": 3, "m": 2 }, "rpd_limits": { "day": 1 }, "concurrency_limits": { "*": 100 },
    });
    let upstream = Upstream::start().await;
    let gateway = TestGateway::new()
        .upstream("up", &upstream)
        .model("m", &["up"])
        .model("n", &["up"])
        .model("o", &["up"])
        .model("day", &["up"])
        .plan("standard", plan)
        .start()
        .await;
    let keys = [gateway.key().await, gateway.key().await];
    for (model, allowed, limit) in [("m", 2, "rpm"), ("n", 3, "rpm"), ("o", 3, "rpm"), ("day", 1, "rpd")] {
        for n in 0..allowed + 2 {
            let answer = gateway.send(&Call::chat(&keys[n % 2], model)).await;
            let expected = if n < allowed { 200 } else { 429 };
            assert_eq!(answer.status, expected, "request {n} of {model}: {}", answer.text());
            if expected == 429 {
                assert!(answer.text().contains(limit), "{}", answer.text());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_every_mix_of_endings_nothing_is_held() {
    let truth = Truth::of(71);
    let events = Events::new(&truth, "m", 3);
    let bad = Upstream::start().await;
    let good = Upstream::start().await;
    let gateway = TestGateway::new()
        .upstream("bad", &bad)
        .upstream("good", &good)
        .with(|settings| settings.timeouts("bad", json!({ "first_byte": "1s", "idle": "1s" })))
        .with(|settings| settings.on_disconnect("bad", "estimate"))
        .model("m", &["bad", "good"])
        .start()
        .await;
    let fields = json!({ "max_concurrency": 1_000, "tpm_limit": 1_000_000_000u64, "rpm_limit": 1_000_000 });
    let key = gateway.create_key(fields).await.secret;
    let scripts = [
        Script::stream(events.all()).truth(&truth),
        Script::events().chunk(&events.content[0]).fin(),
        Script::events().chunk(&events.content[0]).reset(),
        Script::error(500, "no"),
        Script::error(400, "no"),
        Script::new().fin(),
        Script::new().await_gone(),
        Script::events().chunk(&events.content[0]).await_gone(),
        Script::answer(200, &[], ""),
    ];
    let mut exchanges = JoinSet::new();
    let public = gateway.settings.public;
    for n in 0..scripts.len() * 12 {
        bad.next(scripts[n % scripts.len()].clone());
        let version = client::BOTH[n % 2];
        let call = Call::stream(&key, "m");
        let leaves = (n % 3 == 0).then_some(EITHER_WAY[n % 2]);
        exchanges.spawn(mixed(version, public, call, leaves));
    }
    while let Some(done) = wait::within("every exchange", exchanges.join_next()).await {
        done.unwrap();
    }
    gateway.quiet().await;
    let call = Call::get("/api/v1/gateway/key").bearer(&key);
    let own = client::send(Version::H1, gateway.settings.admin, &call).await.ok().json();
    assert!(!has_positive_in_flight(&own), "{own}");
    let records = gateway.all_records(scripts.len() * 12).await;
    let ids: std::collections::HashSet<_> = records.iter().map(|record| record.id()).collect();
    assert_eq!(ids.len(), records.len(), "one record for each exchange");
}

/// One exchange that the client may leave after the first bytes.
async fn mixed(version: Version, public: std::net::SocketAddr, call: Call, leaves: Option<Leave>) {
    let mut exchange = client::open(version, public, &call).await;
    match leaves {
        Some(how) => {
            let _ = wait::within("some bytes", exchange.piece()).await;
            exchange.leave(how).await;
        }
        None => {
            wait::within("the end", exchange.whole()).await;
        }
    }
}

/// Whether any number named for what is in flight is not 0.
fn has_positive_in_flight(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.iter().any(|(name, value)| {
            (name.contains("in_flight") && value.as_u64() != Some(0)) || has_positive_in_flight(value)
        }),
        Value::Array(values) => values.iter().any(has_positive_in_flight),
        _ => false,
    }
}
