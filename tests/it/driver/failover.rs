//! What the driver owes, once more where the first deployment answered 503 and the second is asked.

use crate::support::{
    client::{BOTH, BodyEnd, Call, EITHER_WAY, Leave, Sending, Version, h1, h2},
    gateway::{Gateway, TestGateway},
    records::Record,
    upstream::{Events, Gate, Script, Step, Truth, Upstream, openai},
    wait,
};
use std::time::Duration;

struct Stage {
    gateway: Gateway,
    failing: Upstream,
    /// The second deployment.
    good: Upstream,
    key: String,
}

impl Stage {
    async fn new() -> Self {
        let failing = Upstream::always(Script::error(503, "out of order")).await;
        let good = Upstream::start().await;
        let gateway = TestGateway::new()
            .upstream("failing", &failing)
            .upstream("good", &good)
            .with(|settings| settings.on_disconnect("good", "none"))
            .with(|settings| settings.on_disconnect("failing", "none"))
            .model("m", &["failing", "good"])
            .start()
            .await;
        let key = gateway.key().await;
        Self { gateway, failing, good, key }
    }

    /// The records of `count` exchanges, each of which ended as `end` at the second deployment.
    async fn expect(&self, count: usize, end: &str) -> Vec<Record> {
        let records = self.gateway.all_records(count).await;
        for record in &records {
            let found = (record.end(), record.provider(), record.attempts());
            assert_eq!(found, (end, "good", 2), "{record:#?}");
        }
        assert_eq!(self.failing.asked(), count, "each began at the first deployment");
        records
    }
}

#[tokio::test]
async fn an_expected_100_continue_comes_once_and_the_body_goes_to_both() {
    let stage = Stage::new().await;
    for version in BOTH {
        let call = Call::chat(&stage.key, "m").header("expect", "100-continue");
        match version {
            Version::H1 => {
                let bytes = h1::bytes(&call, "gateway");
                let head = bytes.len() - call.body.len();
                let mut connection = h1::Connection::open(stage.gateway.settings.public).await;
                connection.start_raw(bytes[..head].to_vec());
                connection.sent().await.unwrap();
                let interim = wait::within("the interim status", connection.next_status()).await.unwrap();
                assert_eq!(interim, 100);
                connection.start_raw(bytes[head..].to_vec());
                let exchange = wait::within("the answer", connection.answer()).await;
                assert_eq!((exchange.status, exchange.interim.len()), (200, 0));
            }
            Version::H2 => {
                stage.gateway.send_over(version, &call).await.ok();
            }
        }
        for upstream in [&stage.failing, &stage.good] {
            let seen = upstream.seen().pop().unwrap();
            assert!(seen.body == call.body && !seen.headers().has("expect"), "{version:?}");
        }
    }
    stage.expect(2, "complete").await;
}

#[tokio::test]
async fn a_pooled_connection_of_the_second_deployment_that_dies_is_replaced() {
    let stage = Stage::new().await;
    for (count, version) in BOTH.into_iter().enumerate() {
        stage.gateway.send_over(version, &Call::chat(&stage.key, "m")).await.ok();
        stage.good.take_seen();
        // The pooled connection takes the request and closes without a byte of an answer.
        stage.good.next(Script::new().fin());
        stage.gateway.send_over(version, &Call::chat(&stage.key, "m")).await.ok();
        let seen = stage.good.take_seen();
        assert_eq!(seen.len(), 2, "{version:?}: once more, and no more often");
        assert_ne!(seen[0].connection, seen[1].connection, "{version:?}");
        stage.expect((count + 1) * 2, "complete").await;
    }
}

#[tokio::test]
async fn a_pooled_connection_of_the_first_deployment_that_dies_is_replaced_before_the_second_is_asked() {
    let stage = Stage::new().await;
    for version in BOTH {
        stage.gateway.send_over(version, &Call::chat(&stage.key, "m")).await.ok();
        stage.failing.take_seen();
        stage.failing.next(Script::new().fin());
        stage.gateway.send_over(version, &Call::chat(&stage.key, "m")).await.ok();
        assert_eq!(stage.failing.take_seen().len(), 2, "{version:?}");
    }
    let records = stage.gateway.all_records(4).await;
    assert!(records.iter().all(|it| (it.end(), it.attempts()) == ("complete", 2)), "{records:#?}");
    assert_eq!(stage.good.asked(), 4);
}

#[tokio::test]
async fn an_early_answer_of_the_second_deployment_reaches_the_caller() {
    let stage = Stage::new().await;
    let body = serde_json::json!({ "model": "m", "messages": [{ "role": "user", "content": "x".repeat(20 << 20) }] });
    for version in BOTH {
        let gate = Gate::closed();
        let early = Script::error(413, "this upstream takes less").steps.split_off(1);
        stage.good.next(Script { steps: early, truth: None }.hold(&gate).then(Step::ReadBody));
        let answer = stage.gateway.send_over(version, &Call::chat_with(&stage.key, &body)).await;
        gate.open();
        assert_eq!((answer.status, answer.end.clone()), (413, BodyEnd::Clean), "{version:?}");
        assert_eq!(answer.message(), "this upstream takes less");
        stage.gateway.send_over(version, &Call::chat(&stage.key, "m")).await.ok();
    }
    let ends: Vec<_> =
        stage.gateway.all_records(4).await.iter().map(|it| (it.end().to_owned(), it.attempts())).collect();
    assert_eq!(ends.iter().filter(|end| **end == ("upstream_error".into(), 2)).count(), 2, "{ends:?}");
    assert_eq!(ends.iter().filter(|end| **end == ("complete".into(), 2)).count(), 2, "{ends:?}");
}

#[tokio::test]
async fn every_event_after_a_failover_is_flushed_as_it_comes() {
    let stage = Stage::new().await;
    let truth = Truth::of(311);
    let events = Events::new(&truth, "m", 10);
    for version in BOTH {
        let gate = Gate::closed();
        let pieces = events.all().into_iter();
        let script = pieces.fold(Script::events(), |script, event| script.wait(&gate).chunk(event)).end();
        stage.good.next(script.truth(&truth));
        gate.open_once();
        let mut exchange = stage.gateway.open_over(version, &Call::stream(&stage.key, "m")).await;
        let (mut body, mut expected) = (Vec::new(), Vec::new());
        for event in &events.content {
            expected.extend_from_slice(event);
            exchange.read_to(&mut body, expected.len()).await;
            assert_eq!(body, expected, "{version:?}");
            gate.open_once();
        }
        gate.open();
        body.extend_from_slice(&exchange.whole().await.body);
        assert_eq!(body, events.without_usage(), "{version:?}");
    }
    for record in stage.expect(2, "complete").await {
        assert_eq!((record.prompt(), record.completion()), (truth.prompt, truth.completion));
    }
}

#[tokio::test]
async fn leaving_before_the_body_is_complete_asks_nobody() {
    let stage = Stage::new().await;
    let call = Call::chat(&stage.key, "m");
    let bytes = h1::bytes(&call, "gateway");
    for how in EITHER_WAY {
        let mut connection = h1::Connection::open(stage.gateway.settings.public).await;
        connection.start_raw(bytes[..bytes.len() - 1].to_vec());
        connection.sent().await.unwrap();
        connection.leave(how).await;
    }
    let cut = call.clone().sending(Sending::CutAfter(10));
    let opening = h2::Exchange::try_open(stage.gateway.settings.public, &cut);
    assert!(tokio::time::timeout(Duration::from_millis(50), opening).await.is_err(), "half a request");
    stage.gateway.hung_up().await;
    stage.gateway.all_records(0).await;
    assert_eq!((stage.failing.asked(), stage.good.asked()), (0, 0));
}

/// Asks, and leaves once the second deployment was asked.
async fn leave_unanswered(stage: &Stage, version: Version, how: Leave, call: &Call) {
    let before = stage.good.asked();
    let asked = async || (stage.good.asked() > before).then_some(());
    match version {
        Version::H1 => {
            let mut connection = h1::Connection::open(stage.gateway.settings.public).await;
            connection.start(call);
            wait::until("the second deployment is asked", asked).await;
            connection.leave(how).await;
        }
        Version::H2 => tokio::select! {
            _ = h2::Exchange::open(stage.gateway.settings.public, call) => panic!("an answer that nobody gave"),
            () = wait::until("the second deployment is asked", asked) => {}
        },
    }
}

#[tokio::test]
async fn leaving_while_the_second_deployment_thinks_lets_it_go() {
    let stage = Stage::new().await;
    let mut left = 0;
    for version in BOTH {
        for how in EITHER_WAY {
            for call in [Call::chat(&stage.key, "m"), Call::stream(&stage.key, "m")] {
                stage.good.next(Script::new().await_gone());
                leave_unanswered(&stage, version, how, &call).await;
                left += 1;
                wait::until(format_args!("{version:?} {how:?}: the upstream is let go"), async || {
                    (stage.good.abandoned() == left).then_some(())
                })
                .await;
            }
        }
    }
    stage.expect(usize::try_from(left).unwrap(), "client_closed").await;
}

#[tokio::test]
async fn leaving_in_mid_answer_of_the_second_deployment_lets_it_go() {
    let stage = Stage::new().await;
    let truth = Truth::of(312);
    let events = Events::new(&truth, "m", 4);
    let mut left = 0;
    for version in BOTH {
        for how in EITHER_WAY {
            let gate = Gate::closed();
            let script = Script::events().chunk(&events.content[0]).wait(&gate).end();
            stage.good.next(script.truth(&truth));
            let mut exchange = stage.gateway.open_over(version, &Call::stream(&stage.key, "m")).await;
            exchange.read_to(&mut Vec::new(), events.content[0].len()).await;
            exchange.leave(how).await;
            left += 1;
            wait::until(format_args!("{version:?} {how:?}: the upstream is let go"), async || {
                (stage.good.abandoned() == left).then_some(())
            })
            .await;
        }
    }
    stage.expect(usize::try_from(left).unwrap(), "client_closed").await;
}

#[tokio::test]
async fn leaving_while_the_first_deployment_thinks_asks_no_second() {
    let stage = Stage::new().await;
    for (count, version) in BOTH.into_iter().enumerate() {
        stage.failing.next(Script::new().await_gone());
        let before = stage.failing.asked();
        let call = Call::chat(&stage.key, "m");
        let asked = async || (stage.failing.asked() > before).then_some(());
        match version {
            Version::H1 => {
                let mut connection = h1::Connection::open(stage.gateway.settings.public).await;
                connection.start(&call);
                wait::until("the first deployment is asked", asked).await;
                connection.leave(Leave::Fin).await;
            }
            Version::H2 => tokio::select! {
                _ = h2::Exchange::open(stage.gateway.settings.public, &call) => panic!("an answer"),
                () = wait::until("the first deployment is asked", asked) => {}
            },
        }
        let abandoned = async || (stage.failing.abandoned() == count as u64 + 1).then_some(());
        wait::until("the first deployment is let go", abandoned).await;
    }
    let records = stage.gateway.all_records(2).await;
    assert!(records.iter().all(|it| (it.end(), it.attempts()) == ("client_closed", 1)), "{records:#?}");
    assert_eq!(stage.good.asked(), 0);
}

#[tokio::test]
async fn a_plain_answer_of_the_second_deployment_is_its_own_bytes() {
    let stage = Stage::new().await;
    for version in BOTH {
        let answer = stage.gateway.send_over(version, &Call::chat(&stage.key, "m")).await.ok();
        let truth = stage.good.truths().pop().unwrap();
        assert_eq!(answer.body, openai::completion(&truth, "m"), "{version:?}");
        assert!(!answer.text().contains("out of order"));
    }
    stage.expect(2, "complete").await;
}
