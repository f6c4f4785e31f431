//! Usage records and price books: kept once, as they were.

use super::*;
use aione_core::{
    domain::{money::Rate, price::*},
    ports::{StoreError, UsageStore as _},
};
use std::collections::BTreeMap;

contract! {
    old_records_go_and_reports_stay,
    a_record_comes_back_as_it_was,
    every_end_and_provenance_can_be_kept,
    a_record_that_is_there_stays_as_it_is,
    a_batch_is_kept_whole_or_not_at_all,
    records_are_walked_by_page_in_id_order,
    a_name_of_a_later_version_is_told_and_not_guessed,
    a_price_book_is_kept_once,
}

async fn a_record_comes_back_as_it_was(on: Engine) {
    let store = TestStore::open(on).await;
    let plain = record(1, NOW);
    let mut odd = record(2, Timestamp(0));
    odd.opened.sandbox = true;
    odd.closed.flagged = true;
    odd.closed.unpriced = true;
    odd.closed.provider = Arc::from("");
    odd.closed.usage = Usage { input: u64::MAX, output: 1 << 63, ..Usage::default() };
    odd.closed.cost = Pico(10_i128.pow(27) + 999_999_999_999);
    let interrupted = UsageRecord::interrupted(record(3, NOW).opened, Some(Pico(-1)));
    let records = [plain, odd, interrupted];
    store.insert_records(&records).await.unwrap();
    assert_eq!(store.list_records(None, 10).await.unwrap(), records);
}

async fn every_end_and_provenance_can_be_kept(on: Engine) {
    let store = TestStore::open(on).await;
    let ends = [
        End::Complete,
        End::ClientClosed,
        End::UpstreamAborted,
        End::UpstreamError,
        End::InternalError,
        End::Interrupted,
    ];
    let provenances = [Provenance::Provider, Provenance::Estimated, Provenance::Partial];
    let records: Vec<_> = (1_u128..)
        .zip(ends.into_iter().zip(provenances.into_iter().cycle()))
        .map(|(number, (end, provenance))| {
            let mut record = record(number, NOW);
            (record.closed.end, record.closed.provenance) = (end, provenance);
            record
        })
        .collect();
    store.insert_records(&records).await.unwrap();
    assert_eq!(store.list_records(None, 10).await.unwrap(), records);
}

async fn a_record_that_is_there_stays_as_it_is(on: Engine) {
    let store = TestStore::open(on).await;
    let records: Vec<_> = (1..=150).map(|number| record(number, NOW)).collect();
    store.insert_records(&records[..100]).await.unwrap();
    let mut again = records.clone();
    for record in &mut again[..100] {
        record.closed.cost = Pico(9);
    }
    // The same ones later, in one batch with new ones and with themselves.
    again.extend_from_within(120..);
    store.insert_records(&again).await.unwrap();
    store.insert_records(&again).await.unwrap();
    assert_eq!(store.list_records(None, 1_000).await.unwrap(), records);
    store.insert_records(&[]).await.unwrap();
}

async fn a_batch_is_kept_whole_or_not_at_all(on: Engine) {
    let store = TestStore::open(on).await;
    let mut records: Vec<_> = (1..=200).map(|number| record(number, NOW)).collect();
    records[199].closed.cost = Pico(i128::MAX);
    assert!(matches!(store.insert_records(&records).await, Err(StoreError::Corrupt(_))));
    assert_eq!(store.list_records(None, 1_000).await.unwrap(), []);
    store.insert_records(&records[..199]).await.unwrap();
}

async fn records_are_walked_by_page_in_id_order(on: Engine) {
    let store = TestStore::open(on).await;
    let mut records: Vec<_> = (0..25).map(|number| record(number, NOW)).collect();
    records.reverse();
    store.insert_records(&records).await.unwrap();
    let (mut after, mut walked) = (None, Vec::new());
    loop {
        let page = store.list_records(after, 10).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.opened.id);
        walked.extend(page.into_iter().map(|record| record.opened.id.0.as_u128()));
    }
    assert_eq!(walked, (0..25).collect::<Vec<_>>());
}

async fn a_name_of_a_later_version_is_told_and_not_guessed(on: Engine) {
    let store = TestStore::open(on).await;
    store.insert_records(&[record(1, NOW)]).await.unwrap();
    store.sql("UPDATE usage_records SET ended = 'vanished'").await;
    assert!(matches!(store.list_records(None, 1).await, Err(StoreError::Corrupt(_))));
}

async fn a_price_book_is_kept_once(on: Engine) {
    let store = TestStore::open(on).await;
    let book = |input: u64| PriceBook {
        version: u64::MAX,
        models: BTreeMap::from([(
            Arc::from("gpt-5"),
            ModelPrice {
                periods: vec![PricePeriod {
                    from: Some(NOW),
                    rates: Rates { input: Some(Rate(input)), ..Rates::default() },
                    tiers: vec![Tier { above: 200_000, rates: Rates::default() }],
                }],
            },
        )]),
    };
    assert_eq!(store.find_price_book(u64::MAX).await.unwrap(), None);
    store.keep_price_book(&book(u64::MAX), NOW).await.unwrap();
    store.keep_price_book(&book(2), NOW).await.unwrap();
    assert_eq!(store.find_price_book(u64::MAX).await.unwrap(), Some(book(u64::MAX)));
    assert_eq!(store.find_price_book(0).await.unwrap(), None);
}

async fn old_records_go_and_reports_stay(on: Engine) {
    let store = TestStore::open(on).await;
    let day = |number: i64| NOW.plus_ms(number * 86_400_000);
    let old: Vec<_> = (0..1_200_u128).map(|number| dated(number, day(-100))).collect();
    let young: Vec<_> = (2_000..2_005_u128).map(|number| dated(number, day(0))).collect();
    store.insert_records(&old).await.unwrap();
    store.insert_records(&young).await.unwrap();
    let before = store.sum_usage(&everything()).await.unwrap();
    assert_eq!(before.len(), 2);
    while store.forget_records(day(-60)).await.unwrap() {}
    let left: Vec<_> = store.list_records(None, 10_000).await.unwrap();
    assert_eq!(left, young);
    assert_eq!(store.sum_usage(&everything()).await.unwrap(), before);
    assert!(!store.forget_records(day(-60)).await.unwrap());
    // What comes late is stored all the same.
    store.insert_records(&[dated(1, day(-99))]).await.unwrap();
    assert_eq!(store.list_records(None, 10_000).await.unwrap().len(), 6);
}

/// With an id that begins with its time, as ids do.
fn dated(number: u128, at: Timestamp) -> UsageRecord {
    let mut one = record(number, at);
    let entropy = number.to_be_bytes().last_chunk::<10>().copied().unwrap();
    one.opened.id = RecordId::new(at, entropy);
    one.closed.id = one.opened.id;
    one
}
