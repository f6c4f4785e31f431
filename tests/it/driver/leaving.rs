//! The caller leaves, at every stage of the exchange.

use crate::support::{
    client::{BOTH, Call, EITHER_WAY, Exchange, Sending, Version, h1, h2},
    gateway::{Gateway, TestGateway},
    upstream::{Events, Gate, Script, Truth, Upstream},
    wait,
};

async fn stage() -> (Gateway, Upstream, String) {
    let upstream = Upstream::start().await;
    let gateway = TestGateway::new()
        .upstream("up", &upstream)
        .with(|settings| settings.on_disconnect("up", "none"))
        .model("m", &["up"])
        .start()
        .await;
    let key = gateway.key().await;
    (gateway, upstream, key)
}

#[tokio::test]
async fn leaving_before_the_request_is_whole_costs_nothing() {
    let (gateway, upstream, key) = stage().await;
    let call = Call::chat(&key, "m");
    let bytes = h1::bytes(&call, "gateway");
    let head = bytes.len() - call.body.len();
    for how in EITHER_WAY {
        for sent in [0, 1, head / 2, head - 1, head, head + 1, bytes.len() - 1] {
            let mut connection = h1::Connection::open(gateway.settings.public).await;
            connection.start_raw(bytes[..sent].to_vec());
            connection.sent().await.unwrap();
            connection.leave(how).await;
        }
    }
    gateway.hung_up().await;
    gateway.all_records(0).await;
    assert_eq!(upstream.asked(), 0);
    gateway.send(&call).await.ok();
    gateway.all_records(1).await;
}

#[tokio::test]
async fn leaving_in_the_middle_of_a_body_over_http2_costs_nothing() {
    let (gateway, upstream, key) = stage().await;
    let call = Call::chat(&key, "m").sending(Sending::CutAfter(10));
    for _ in 0..5 {
        let opening = h2::Exchange::try_open(gateway.settings.public, &call);
        // Nothing answers half a request: dropping the future closes the connection.
        let early = tokio::time::timeout(std::time::Duration::from_millis(50), opening).await;
        assert!(early.is_err(), "an answer to half a request");
    }
    gateway.hung_up().await;
    gateway.all_records(0).await;
    assert_eq!(upstream.asked(), 0);
    gateway.send_over(Version::H2, &Call::chat(&key, "m")).await.ok();
}

#[tokio::test]
async fn leaving_while_the_upstream_thinks_is_noticed() {
    let (gateway, upstream, key) = stage().await;
    let mut left = 0;
    for version in BOTH {
        for how in EITHER_WAY {
            for call in [Call::chat(&key, "m"), Call::stream(&key, "m")] {
                upstream.next(Script::new().await_gone());
                leave_before_the_answer(&gateway, version, &call, how, &upstream).await;
                left += 1;
                wait::until(format_args!("{version:?} {how:?}: the upstream is let go"), async || {
                    (upstream.abandoned() == left).then_some(())
                })
                .await;
            }
        }
    }
    for record in gateway.all_records(usize::try_from(left).unwrap()).await {
        assert_eq!(record.end(), "client_closed");
    }
}

async fn leave_before_the_answer(
    gateway: &Gateway,
    version: Version,
    call: &Call,
    how: crate::support::client::Leave,
    upstream: &Upstream,
) {
    let before = upstream.asked();
    let asked = async || (upstream.asked() > before).then_some(());
    match version {
        Version::H1 => {
            let mut connection = h1::Connection::open(gateway.settings.public).await;
            connection.start(call);
            wait::until("the upstream is asked", asked).await;
            connection.leave(how).await;
        }
        Version::H2 => {
            let opening = h2::Exchange::open(gateway.settings.public, call);
            tokio::select! {
                _ = opening => panic!("an answer that nobody gave"),
                () = wait::until("the upstream is asked", asked) => {}
            }
        }
    }
}

#[tokio::test]
async fn leaving_in_mid_answer_is_noticed() {
    let (gateway, upstream, key) = stage().await;
    let truth = Truth::of(31);
    let events = Events::new(&truth, "m", 4);
    let mut left = 0;
    for version in BOTH {
        for how in EITHER_WAY {
            let gate = Gate::closed();
            upstream.next(Script::events().chunk(&events.content[0]).wait(&gate).end().truth(&truth));
            let mut exchange: Exchange = gateway.open_over(version, &Call::stream(&key, "m")).await;
            exchange.read_to(&mut Vec::new(), events.content[0].len()).await;
            exchange.leave(how).await;
            left += 1;
            wait::until(format_args!("{version:?} {how:?}: the upstream is let go"), async || {
                (upstream.abandoned() == left).then_some(())
            })
            .await;
        }
    }
    for record in gateway.all_records(usize::try_from(left).unwrap()).await {
        assert_eq!(record.end(), "client_closed");
    }
}
