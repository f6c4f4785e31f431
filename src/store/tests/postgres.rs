//! On PostgreSQL: partitions, bounds, and what a server does that a file does not.

use super::{super::postgres::PAGES_MAX, *};
use aione_core::ports::{Page, StoreError, UsageStore as _};
use std::{process::Command, time::Duration};

const ALL: Page = Page { offset: 0, limit: 100 };

async fn store() -> TestStore {
    TestStore::open(Engine::Postgres).await.with_org(1).await
}

#[tokio::test]
async fn each_month_of_records_has_a_table_of_its_own() {
    let store = store().await;
    let month = 31 * 86_400_000;
    let records: Vec<_> =
        (0..6).map(|n| record(n, NOW.plus_ms(i64::try_from(n).unwrap() / 2 * month))).collect();
    store.insert_records(&records).await.unwrap();
    // Another node's view does not know which are made.
    store.opened_again().await.insert_records(&records).await.unwrap();
    let tables = "SELECT c.relname::text, (SELECT COUNT(*) FROM usage_records r WHERE r.tableoid = c.oid)
                  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                  WHERE i.inhparent = 'usage_records'::regclass ORDER BY 1";
    let tables: Vec<(String, i64)> =
        store.ask(tables).await.iter().map(|row| (row.get(0).unwrap(), row.get(1).unwrap())).collect();
    let of = |month: &str| (format!("usage_records_{month}"), 2);
    let other = ("usage_records_other".to_owned(), 0);
    assert_eq!(tables, [of("2026_11"), of("2026_12"), of("2027_01"), other]);
}

#[tokio::test]
async fn a_month_that_was_dropped_can_come_back() {
    let store = store().await;
    let forgetful = store.opened_again().await;
    store.insert_records(&[record(1, NOW)]).await.unwrap();
    let later = NOW.plus_ms(60 * 86_400_000);
    while forgetful.forget_records(later).await.unwrap() {}
    // This one believes that the table is there, and the other one that it is not.
    store.insert_records(&[record(2, NOW)]).await.unwrap();
    forgetful.insert_records(&[record(3, NOW)]).await.unwrap();
    let kept = store.list_records(None, 10).await.unwrap();
    assert_eq!(kept, [record(2, NOW), record(3, NOW)]);
    while forgetful.forget_records(later).await.unwrap() {}
    assert_eq!(store.list_records(None, 10).await.unwrap(), []);
}

#[tokio::test]
async fn a_long_reader_over_the_turn_of_a_month_keeps_no_record_waiting() {
    let store = store().await;
    store.insert_records(&[record(1, NOW)]).await.unwrap();
    let mut dump = store.pools.report().await.unwrap();
    dump.all(Statement::new("SELECT id FROM usage_records")).await.unwrap();
    let next = record(2, NOW.plus_ms(31 * 86_400_000));
    store.insert_records(std::slice::from_ref(&next)).await.unwrap();
    let later = NOW.plus_ms(400 * 86_400_000);
    let refused = store.forget_records(later).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert_eq!(store.list_records(None, 10).await.unwrap(), [record(1, NOW), next]);
    drop(dump);
    while store.forget_records(later).await.unwrap() {}
    assert_eq!(store.list_records(None, 10).await.unwrap(), []);
}

#[tokio::test]
async fn connections_that_went_silent_leave_room_for_others() {
    let store = store().await;
    let pid = "SELECT pg_backend_pid()::bigint";
    // The server's other processes go on, as a host does whose network has lost a connection.
    let mut held = Vec::new();
    for _ in 0..PAGES_MAX {
        let mut page = store.pools.page().await.unwrap();
        let pid: i64 = page.one(Statement::new(pid)).await.unwrap().get(0).unwrap();
        held.push((page, Stopped::new(pid)));
    }
    let mut silent = Vec::new();
    for (mut page, stopped) in held {
        let answer = page.one(Statement::new(pid)).await;
        assert!(matches!(answer, Err(StoreError::Unavailable(_))));
        silent.push(stopped);
    }
    for _ in 0..PAGES_MAX {
        assert_eq!(store.list_teams(org_id(1), ALL).await.unwrap().len(), 1);
    }
}

/// A process of the server's that answers nothing until it is let go.
struct Stopped(String);

impl Stopped {
    fn new(pid: i64) -> Self {
        Self(pid.to_string()).told("-STOP")
    }

    fn told(self, signal: &str) -> Self {
        assert!(Command::new("kill").args([signal, &self.0]).status().unwrap().success());
        self
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-CONT", &self.0]).status();
    }
}

#[tokio::test]
async fn what_is_committed_is_durable_whatever_the_server_is_set_to() {
    let Database::Postgres(url) = fresh_schema().await else { panic!("it is a server's") };
    let lax = Secret::new(format!("{}&options[synchronous_commit]=off", url.expose()));
    let store = Store::open(&Database::Postgres(lax)).await.unwrap();
    let setting = Statement::new("SELECT current_setting('synchronous_commit')");
    let row = store.pools.write().await.unwrap().one(setting).await.unwrap();
    assert_eq!(row.get::<&str>(0).unwrap(), "on");
}

#[tokio::test]
async fn the_servers_clock_can_be_read() {
    let theirs = store().await.now().await.unwrap();
    let ours = crate::clock::now();
    assert!((theirs.0 - ours.0).abs() < 3_600_000, "both run on one machine: {theirs:?} and {ours:?}");
}

#[tokio::test]
async fn amounts_and_times_can_be_read_by_people() {
    let store = store().await;
    let mut one = record(1, NOW);
    one.closed.cost = Pico(-1_500_000_000_001);
    store.insert_records(&[one]).await.unwrap();
    let rows = store.ask("SELECT cost::text, started_at::text FROM usage_readable").await;
    assert_eq!(rows[0].get::<&str>(0).unwrap().trim_end_matches('0'), "-1.500000000001");
    assert!(rows[0].get::<&str>(1).unwrap().starts_with("2026-11-23 14:00:00"));
}

#[tokio::test]
async fn what_no_text_can_hold_is_in_none() {
    let store = store().await;
    assert_eq!(store.find_org("a\0b").await.unwrap(), None);
    let filter = aione_core::ports::KeyFilter { q: Some("\0".to_owned()), ..Default::default() };
    assert_eq!(store.list_keys(org_id(1), &filter, ALL, NOW).await.unwrap(), []);
    let mut poison = record(1, NOW);
    poison.closed.upstream_model = Arc::from("a\0b");
    let error = store.insert_records(&[poison]).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt(_)), "a record that no try can insert: {error}");
}

#[tokio::test]
async fn two_changes_of_one_key_at_once_both_hold() {
    let store = store().await;
    store.insert_key(&key(1), &hash(1)).await.unwrap();
    let other = store.opened_again().await;
    let name = KeyChange { name: Some("new".to_owned()), ..KeyChange::default() };
    let models = KeyChange { models_allowed: Some(vec!["m".to_owned()]), ..KeyChange::default() };
    let (one, two) = tokio::join!(
        store.update_key(org_id(1), key_id(1), &name),
        other.update_key(org_id(1), key_id(1), &models),
    );
    one.and(two).unwrap();
    let key = store.get_key(org_id(1), key_id(1)).await.unwrap().unwrap();
    assert_eq!((key.name.as_str(), key.models_allowed), ("new", vec!["m".to_owned()]));
}

#[tokio::test]
async fn a_lock_that_another_holds_is_not_waited_for_without_end() {
    let store = store().await;
    let mut other = store.pools.write().await.unwrap();
    other.script("LOCK TABLE keys IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let look_up = tokio::time::timeout(Duration::from_secs(30), store.find_by_hash(&hash(1))).await;
    let error = look_up.expect("it has a bound").unwrap_err();
    assert!(matches!(&error, StoreError::Unavailable(why) if why.contains("took longer")), "{error}");
    drop(other);
    store.find_by_hash(&hash(1)).await.unwrap();
}

#[tokio::test]
async fn a_store_that_a_newer_version_widened_goes_on_and_one_that_it_changed_does_not() {
    let store = store().await;
    // What a later version adds is not in the way of statements that are prepared already.
    store.get_key(org_id(1), key_id(1)).await.unwrap();
    store
        .sql("ALTER TABLE keys ADD COLUMN later text; ALTER TABLE usage_records ADD COLUMN later text")
        .await;
    store.sql("UPDATE meta SET value = '1000'::bytea WHERE name = 'schema_version'").await;
    store.insert_key(&key(1), &hash(1)).await.unwrap();
    store.insert_records(&[record(1, NOW)]).await.unwrap();
    assert_eq!(store.get_key(org_id(1), key_id(1)).await.unwrap().unwrap().name, "key 1");
    let again = store.opened_again().await;
    assert_eq!(again.list_records(None, 10).await.unwrap(), [record(1, NOW)]);
    Store::open_read_only(&store.database).await.unwrap();
    store.sql("UPDATE meta SET value = '999'::bytea WHERE name = 'schema_works_since'").await;
    assert!(matches!(Store::open(&store.database).await, Err(StoreError::Corrupt(_))));
    assert!(matches!(Store::open_read_only(&store.database).await, Err(StoreError::Corrupt(_))));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_without_its_password() {
    let url = "postgres://aione:marker-of-a-password@127.0.0.1:1/aione";
    let database = Database::Postgres(Secret::new(url.to_owned()));
    let error = Store::open(&database).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    for text in [format!("{error} {error:?}"), format!("{database} {database:?}")] {
        assert!(!text.contains("marker"), "{text}");
    }
    assert_eq!(database.to_string(), "postgres://127.0.0.1:1/aione");
}
