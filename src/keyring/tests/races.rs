//! Changes, waits and departures while a key is being read.

use super::*;
use futures_util::{FutureExt as _, future::join_all};
use tokio::join;

#[tokio::test]
async fn a_read_under_way_does_not_bring_a_revoked_key_back() {
    let test = Test::new();
    let secret = test.add(1);
    let gate = test.store.close_gate();
    let revoke = async {
        gate.entered().await; // The read has seen the key as it was.
        test.change(&secret, |context| context.key.disabled = true);
        test.store.open_gate();
        test.ring.forget(context(1).key.id);
        gate.release();
    };
    let (reader, ()) = join!(test.at(&secret, 0), revoke);
    assert_eq!(reader.err(), Some(Denied::Disabled), "the read was overtaken");
    assert_eq!(test.at(&secret, 0).await.err(), Some(Denied::Disabled));
    assert_eq!(test.store.reads(), 2);
}

#[tokio::test]
async fn a_refresh_under_way_does_not_bring_a_deleted_key_back() {
    let test = Test::new();
    let secret = test.add(1);
    test.at(&secret, 0).await.unwrap();
    let gate = test.store.close_gate();
    let delete = async {
        gate.entered().await;
        test.store.remove(&test.ring.peppers.hash(secret.expose()));
        test.store.open_gate();
        test.ring.forget(context(1).key.id);
        gate.release();
    };
    let (reader, ()) = join!(test.at(&secret, 5), delete);
    assert_eq!(reader.err(), Some(Denied::Unknown));
    assert_eq!(test.at(&secret, 5).await.err(), Some(Denied::Unknown));
}

#[tokio::test]
async fn a_look_up_under_way_does_not_hide_a_key_that_is_made() {
    let test = Test::new();
    let secret = secret(1);
    let gate = test.store.close_gate();
    let create = async {
        gate.entered().await; // The look-up has seen no key.
        test.add(1);
        test.store.open_gate();
        test.ring.forget(context(1).key.id);
        gate.release();
    };
    let (early, ()) = join!(test.at(&secret, 0), create);
    assert_eq!(early.err(), Some(Denied::Unknown), "it was asked for before it was there");
    assert!(test.at(&secret, 0).await.is_ok());
}

#[tokio::test]
async fn what_is_doubted_is_read_again_once_and_does_while_the_store_is_away() {
    let test = Test::new();
    let (one, other) = (test.add(1), test.add(2));
    for secret in [&one, &other] {
        test.at(secret, 0).await.unwrap();
    }
    test.change(&one, |context| context.key.disabled = true);
    assert!(test.at(&one, 0).await.is_ok(), "nobody has heard of it");
    test.ring.doubt_all();
    assert_eq!(test.at(&one, 0).await.err(), Some(Denied::Disabled));
    for _ in 0..3 {
        test.at(&other, 0).await.unwrap();
    }
    assert_eq!(test.store.reads(), 4);
    test.ring.doubt_all();
    test.store.fail(true);
    assert!(test.at(&other, 0).await.is_ok());
    assert_eq!(test.at(&one, 0).await.err(), Some(Denied::Disabled));
}

#[tokio::test]
async fn callers_of_one_key_ask_the_store_together() {
    let test = Test::new();
    let secret = test.add(1);
    for second in [0, 5] {
        let gate = test.store.close_gate();
        let callers = join_all((0..50).map(|_| test.at(&secret, second)));
        let release = async {
            gate.entered().await;
            gate.release();
        };
        let (answers, ()) = join!(callers, release);
        assert!(answers.iter().all(Result::is_ok));
    }
    assert_eq!(test.store.reads(), 2, "one for all at first, one for all when it was old");
}

#[tokio::test]
async fn a_caller_that_leaves_holds_up_nobody() {
    let test = Test::new();
    let secret = test.add(1);
    let gate = test.store.close_gate();
    let mut leaving = Box::pin(test.at(&secret, 0));
    assert!(leaving.as_mut().now_or_never().is_none());
    gate.entered().await;
    let mut waiting = Box::pin(test.at(&secret, 0));
    assert!(waiting.as_mut().now_or_never().is_none());
    drop(leaving);
    gate.release();
    assert!(waiting.await.is_ok());
    assert_eq!(test.store.reads(), 2);
}

#[tokio::test]
async fn a_store_that_never_answers_is_given_up() {
    let test = Test::with_ask_max(Duration::from_millis(1));
    let (known, stranger) = (test.add(1), test.add(2));
    test.at(&known, 0).await.unwrap();
    let _gate = test.store.close_gate();
    assert!(test.at(&known, 5).await.is_ok(), "what is known does for a while");
    assert_eq!(test.at(&stranger, 6).await.err(), Some(Denied::StoreUnavailable));
    assert_eq!(test.store.reads(), 3);
}

#[tokio::test]
async fn a_crowd_that_waits_for_its_turn_is_no_outage() {
    let test = Test::with_ask_max(Duration::from_millis(1));
    let (waiting, other) = (test.add(1), test.add(2));
    let place = changes::place(&test.ring.peppers.hash(waiting.expose()).0, LOOKUPS_MAX);
    let turn = test.ring.lookup_turns[place].lock().await;
    assert_eq!(test.at(&waiting, 0).await.err(), Some(Denied::StoreUnavailable));
    assert_eq!((test.store.reads(), test.ring.pause.is_on()), (0, false));
    drop(turn);
    assert!(test.at(&other, 0).await.is_ok() && test.at(&waiting, 0).await.is_ok());
}

#[tokio::test]
async fn a_key_that_changes_all_the_time_is_given_up() {
    let test = Test::new();
    let secret = test.add(1);
    let gate = test.store.close_gate();
    let change = async {
        for _ in 0..READS_MAX {
            gate.entered().await;
            test.ring.forget(context(1).key.id);
            gate.release();
        }
    };
    let (reader, ()) = join!(test.at(&secret, 0), change);
    assert_eq!(reader.err(), Some(Denied::StoreUnavailable));
    test.store.open_gate();
    assert!(test.at(&secret, 0).await.is_ok(), "the store itself is well and is asked again");
}

#[tokio::test]
async fn a_change_of_one_key_leaves_the_others_known() {
    let test = Test::new();
    let (one, other) = (test.add(1), test.add(2));
    test.at(&one, 0).await.unwrap();
    test.at(&other, 0).await.unwrap();
    test.ring.forget(context(1).key.id);
    test.at(&one, 0).await.unwrap();
    test.at(&other, 0).await.unwrap();
    assert_eq!(test.store.reads(), 3);
}
