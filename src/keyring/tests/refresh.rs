//! Keys in use are read again beside the requests that use them.

use super::*;

/// What `body` brings, while keys are read again beside it.
async fn beside_refreshes<T>(test: &Test, body: impl Future<Output = T>) -> T {
    tokio::select! {
        biased;
        answer = body => answer,
        () = test.ring.clone().refresh() => panic!("it goes on for as long as the ring is there"),
    }
}

async fn none_is_under_way(test: &Test) {
    while !test.ring.refreshes.is_idle() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_key_in_use_is_read_again_before_it_is_too_old_and_no_request_waits() {
    let test = Test::new();
    let secret = test.add(1);
    test.at(&secret, 0).await.unwrap();
    let gate = test.store.close_gate();
    beside_refreshes(&test, async {
        test.change(&secret, |context| context.key.name = "new".to_owned());
        for _ in 0..10 {
            assert_eq!(test.at(&secret, 4).await.unwrap().key.name, "1", "it is not waited for");
        }
        gate.entered().await;
        gate.release();
        test.store.open_gate();
        none_is_under_way(&test).await;
        assert_eq!(test.at(&secret, 5).await.unwrap().key.name, "new");
    })
    .await;
    assert_eq!(test.store.reads(), 2, "once for all who used it");
}

#[tokio::test]
async fn no_request_waits_for_a_store_that_is_away_and_its_return_is_noticed() {
    let test = Test::with_ask_max(Duration::from_millis(1));
    let secret = test.add(1);
    test.at(&secret, 0).await.unwrap();
    let gate = test.store.close_gate();
    beside_refreshes(&test, async {
        test.at(&secret, 4).await.unwrap();
        gate.entered().await;
        none_is_under_way(&test).await;
        let before = test.store.reads();
        for second in [6, 60, 600] {
            assert!(test.at(&secret, second).await.is_ok(), "after {second} s");
        }
        assert_eq!(test.store.reads(), before, "a request that reads would wait");
        none_is_under_way(&test).await;
        test.store.open_gate();
        test.change(&secret, |context| context.key.disabled = true);
        test.at(&secret, 602).await.unwrap();
        none_is_under_way(&test).await;
        assert_eq!(test.at(&secret, 602).await.err(), Some(Denied::Disabled));
    })
    .await;
}

#[tokio::test]
async fn a_read_that_panics_ends_no_other() {
    let test = Test::new();
    let secret = test.add(1);
    test.at(&secret, 0).await.unwrap();
    test.store.panic_once();
    beside_refreshes(&test, async {
        test.at(&secret, 4).await.unwrap();
        none_is_under_way(&test).await;
        test.change(&secret, |context| context.key.name = "new".to_owned());
        test.at(&secret, 4).await.unwrap();
        none_is_under_way(&test).await;
        assert_eq!(test.at(&secret, 4).await.unwrap().key.name, "new");
    })
    .await;
}

#[tokio::test]
async fn what_waits_to_be_read_again_is_bounded() {
    let test = Test::new();
    for number in 0..10_000_u32 {
        let mut hash = KeyHash([0; 32]);
        hash.0[..4].copy_from_slice(&number.to_be_bytes());
        test.ring.refreshes.want(&hash, Steady(0));
    }
    assert!(test.ring.refreshes.waiting_count() <= 4_096);
}
