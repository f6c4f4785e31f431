//! Flow: every event at once, and no more in memory than a slow reader leaves room for.

use crate::support::{
    client::{BOTH, Call, Version},
    gateway::TestGateway,
    upstream::{Events, Gate, Script, Truth, Upstream},
    wait,
};

#[tokio::test]
async fn every_event_is_flushed_as_it_comes() {
    let truth = Truth::of(11);
    let events = Events::new(&truth, "m", 20);
    for version in BOTH {
        let gate = Gate::closed();
        let pieces = events.all().into_iter();
        let script = pieces.fold(Script::events(), |script, event| script.wait(&gate).chunk(event)).end();
        let upstream = Upstream::always(script.truth(&truth)).await;
        let gateway = TestGateway::new().upstream("up", &upstream).model("m", &["up"]).start().await;
        let key = gateway.key().await;
        gate.open_once();
        let mut exchange = gateway.open_over(version, &Call::stream(&key, "m")).await;
        let (mut body, mut expected) = (Vec::new(), Vec::new());
        for event in &events.content {
            expected.extend_from_slice(event);
            // The next event is not sent before this one was received.
            exchange.read_to(&mut body, expected.len()).await;
            assert_eq!(body, expected, "{version:?}");
            gate.open_once();
        }
        gate.open();
        let rest = exchange.whole().await;
        body.extend_from_slice(&rest.body);
        assert_eq!(body, events.without_usage(), "{version:?}");
    }
}

#[tokio::test]
async fn half_an_event_is_not_held_back_for_ever() {
    // An event may be split anywhere; its halves may wait for each other, but never for a third.
    let truth = Truth::of(12);
    let events = Events::new(&truth, "m", 3);
    let gate = Gate::closed();
    let script = events.content.iter().fold(Script::events(), |script, event| {
        let (left, right) = event.split_at(event.len() / 2);
        script.chunk(left).chunk(right).wait(&gate)
    });
    let script = script.chunk(&events.usage).chunk(&events.done).end();
    let upstream = Upstream::always(script.truth(&truth)).await;
    let gateway = TestGateway::new().upstream("up", &upstream).model("m", &["up"]).start().await;
    let key = gateway.key().await;
    let mut exchange = gateway.open_over(Version::H1, &Call::stream(&key, "m")).await;
    let mut body = Vec::new();
    let mut want = 0;
    for event in &events.content {
        want += event.len();
        exchange.read_to(&mut body, want).await;
        gate.open_once();
    }
    body.extend_from_slice(&exchange.whole().await.body);
    assert_eq!(body, events.without_usage());
}

/// A stream far longer than all socket buffers on the way.
const LONG_EVENTS: usize = 1_536;
const LONG_EVENT: usize = 64 * 1024;
/// What the buffers of four sockets on loopback may hold, with room to spare.
const BUFFERS: u64 = 48 << 20;
/// What the gateway may grow by while one reader is slow.
const GROWTH_KIB: u64 = 24 << 10;
/// So many looks without a change count as standing still.
const STILL: u32 = 30;

#[tokio::test]
async fn a_slow_reader_holds_the_upstream_back() {
    let truth = Truth::of(13);
    let pad = "y".repeat(LONG_EVENT);
    let long = crate::support::upstream::openai::event(&serde_json::json!({
        "id": truth.id, "model": "m", "choices": [{ "index": 0, "delta": { "content": pad } }],
    }));
    let tail = Events::new(&truth, "m", 1);
    let pieces =
        std::iter::repeat_n(long.clone(), LONG_EVENTS).chain([tail.usage.clone(), tail.done.clone()]);
    let script = Script::stream(pieces).truth(&truth);
    let failing = Upstream::always(Script::error(503, "out of order")).await;
    let (straight, failed_over) = (&["up"][..], &["failing", "up"][..]);
    for (version, route) in [(BOTH[0], straight), (BOTH[0], failed_over), (BOTH[1], failed_over)] {
        let upstream = Upstream::always(script.clone()).await;
        let gateway = TestGateway::new()
            .upstream("failing", &failing)
            .upstream("up", &upstream)
            .model("m", route)
            .start()
            .await;
        let key = gateway.key().await;
        // Everything that a first exchange allocates is there before the measure.
        upstream.next(Script::stream(tail.all()).truth(&truth));
        gateway.send(&Call::stream(&key, "m")).await.ok();
        let before = gateway.resident_kib();
        let mut exchange = gateway.open_over(version, &Call::stream(&key, "m")).await;
        let (mut last, mut still) = (0, 0);
        wait::until("the upstream stands still", async || {
            let written = upstream.written();
            still = if written == last { still + 1 } else { 0 };
            last = written;
            (still > STILL).then_some(())
        })
        .await;
        assert!(last < BUFFERS, "{version:?}: {last} bytes were taken from the upstream");
        let growth = gateway.resident_kib().saturating_sub(before);
        assert!(growth < GROWTH_KIB, "{version:?}: the gateway grew by {growth} KiB");
        let mut length = 0;
        loop {
            match wait::within("the rest", exchange.piece()).await {
                Ok(Some(piece)) => length += piece.len(),
                Ok(None) => break,
                Err(error) => panic!("{version:?}: cut: {error}"),
            }
        }
        assert_eq!(length, long.len() * LONG_EVENTS + tail.done.len(), "{version:?}");
        gateway.quiet().await;
    }
}
