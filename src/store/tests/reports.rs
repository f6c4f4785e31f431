//! On SQLite: reports are bounded, and whatever they do, keys are looked up beside them.

use super::{
    super::{
        Pools,
        sqlite::{Bounded, Bounds, REPORTS, options_read_only},
    },
    *,
};
use aione_core::ports::{StoreError, UsageStore as _};
use std::time::Duration;

/// Long enough for whatever must come.
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(20);

/// A store with a key and more rollups than a report can sum between two looks at the clock: records
/// of as many models.
async fn store(wait_max: Duration, run_max: Duration) -> TestStore {
    let mut store = TestStore::open(Engine::Sqlite).await.with_org(1).await;
    store.insert_key(&key(1), &hash(1)).await.unwrap();
    let mut records: Vec<_> = (0..1_000).map(|number| record(number, NOW)).collect();
    for record in &mut records {
        record.opened.model = Arc::from(record.opened.id.to_string());
    }
    store.insert_records(&records).await.unwrap();
    let options = options_read_only(&store.path());
    *reports(&mut store) = Bounded::new(options, Bounds { wait_max, run_max, ..REPORTS });
    store
}

fn reports(store: &mut TestStore) -> &mut Bounded {
    match &mut store.store.pools {
        Pools::Sqlite(pools) => &mut pools.reports,
        Pools::Postgres(_) => panic!("it was opened on SQLite"),
    }
}

#[tokio::test]
async fn a_report_is_broken_off_at_the_end_of_its_time_and_its_connection_is_free_again() {
    let mut store = store(LONG, Duration::ZERO).await;
    // Each connection many times over: one that stayed taken would make the next ones wait.
    for _ in 0..10 * REPORTS.turns {
        let error = store.sum_usage(&everything()).await.unwrap_err();
        assert!(matches!(&error, StoreError::Unavailable(why) if why.contains("took longer")), "{error}");
    }
    reports(&mut store).run_max = LONG;
    assert_eq!(store.sum_usage(&everything()).await.unwrap()[0].requests, 1_000);
}

#[tokio::test]
async fn a_report_that_nobody_waits_for_gives_its_connection_back() {
    let store = store(LONG, LONG).await;
    for _ in 0..10 * REPORTS.turns {
        let query = everything();
        let report = store.sum_usage(&query);
        let _ = tokio::time::timeout(Duration::from_micros(200), report).await;
    }
    assert_eq!(store.sum_usage(&everything()).await.unwrap()[0].requests, 1_000);
}

#[tokio::test]
async fn keys_are_looked_up_while_every_report_connection_is_taken() {
    let mut store = store(SHORT, LONG).await;
    let mut taken = Vec::new();
    for _ in 0..REPORTS.turns {
        taken.push(reports(&mut store).pool.acquire().await.unwrap());
    }
    let error = store.sum_usage(&everything()).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "a report waits no longer than its bound: {error}");
    assert!(store.find_by_hash(&hash(1)).await.unwrap().is_some());
    drop(taken);
    assert_eq!(store.sum_usage(&everything()).await.unwrap()[0].requests, 1_000);
}
