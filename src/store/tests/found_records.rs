//! Single records are found by page, the newest first, in one organization alone.

use super::*;
use aione_core::ports::{RecordPlace, RecordQuery, UsageStore as _};

contract! {
    pages_go_on_where_they_ended_whatever_is_inserted_between,
    every_filter_holds,
}

fn all(org: u128) -> RecordQuery {
    RecordQuery {
        org: org_id(org),
        zone: chrono_tz::Asia::Shanghai,
        start: None,
        end: None,
        model: None,
        team: None,
        key: None,
        end_is: None,
        id: None,
        after: None,
        limit: 1_000,
    }
}

async fn numbers(store: &Store, query: &RecordQuery) -> Vec<u128> {
    let found = store.find_records(query).await.unwrap();
    found.iter().map(|record| record.opened.id.0.as_u128()).collect()
}

async fn pages_go_on_where_they_ended_whatever_is_inserted_between(on: Engine) {
    let store = TestStore::open(on).await;
    // Three start together each time.
    let records: Vec<_> =
        (1..=30_u128).map(|number| record(number, NOW.plus_ms(i64::try_from(number / 3).unwrap()))).collect();
    store.insert_records(&records).await.unwrap();
    let mut query = RecordQuery { limit: 4, end: Some("2026-11-23".parse().unwrap()), ..all(1) };
    let (mut seen, mut next) = (Vec::new(), 100);
    loop {
        let page = store.find_records(&query).await.unwrap();
        assert!(page.len() <= 4);
        let Some(last) = page.last() else { break };
        query.after = Some(RecordPlace { started_at: last.opened.started_at, id: last.opened.id });
        seen.extend(page.iter().map(|record| record.opened.id.0.as_u128()).filter(|number| *number < 100));
        store
            .insert_records(&[record(next, NOW.plus_ms(5)), record(next + 1, NOW.plus_ms(50))])
            .await
            .unwrap();
        next += 2;
    }
    assert_eq!(seen, (1..=30).rev().collect::<Vec<_>>());
}

async fn every_filter_holds(on: Engine) {
    let store = TestStore::open(on).await;
    let mut records: Vec<_> = (1..=4).map(|number| record(number, NOW)).collect();
    // 2026-11-23T15:59:59.999Z is the last instant of the 23rd in Shanghai.
    records[0].opened.started_at = NOW.plus_ms(2 * 3_600_000 - 1);
    records[1].opened.started_at = NOW.plus_ms(2 * 3_600_000);
    records[1].opened.model = Arc::from("other");
    records[2].opened.team = team_id(9);
    records[2].opened.key = key_id(9);
    records[3].closed.end = End::UpstreamError;
    let mut theirs = record(5, NOW);
    theirs.opened.org = org_id(2);
    records.push(theirs);
    store.insert_records(&records).await.unwrap();

    let day = |text: &str| Some(text.parse().unwrap());
    let id = |number| Some(RecordId(Uuid::from_u128(number)));
    for (query, expect) in [
        (all(1), vec![2, 1, 4, 3]),
        (all(2), vec![5]),
        (all(3), vec![]),
        (RecordQuery { end: day("2026-11-23"), ..all(1) }, vec![1, 4, 3]),
        (RecordQuery { start: day("2026-11-24"), ..all(1) }, vec![2]),
        (RecordQuery { end: Some(chrono::NaiveDate::MAX), ..all(1) }, vec![2, 1, 4, 3]),
        (RecordQuery { model: Some("other".to_owned()), ..all(1) }, vec![2]),
        (RecordQuery { team: Some(team_id(9)), ..all(1) }, vec![3]),
        (RecordQuery { key: Some(key_id(9)), ..all(1) }, vec![3]),
        (RecordQuery { key: Some(key_id(1)), ..all(2) }, vec![5]),
        (RecordQuery { end_is: Some(End::UpstreamError), ..all(1) }, vec![4]),
        (RecordQuery { id: id(3), ..all(1) }, vec![3]),
        (RecordQuery { id: id(5), ..all(1) }, vec![]),
        (RecordQuery { limit: 1, ..all(1) }, vec![2]),
    ] {
        assert_eq!(numbers(&store, &query).await, expect, "{query:?}");
    }
}
