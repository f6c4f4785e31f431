//! Opening, sharing and protecting the file, and the first start.

use super::*;
use aione_core::{domain::key::Peppers, ports::StoreError, ports::UsageStore as _};
use std::{fs, os::unix::fs::PermissionsExt as _};

const PEPPERS: [&str; 2] =
    ["the first pepper of this store, long enough", "the second pepper, long enough too"];

fn peppers(which: &[usize]) -> Peppers {
    Peppers::new(which.iter().map(|index| PEPPERS[*index])).unwrap()
}

#[tokio::test]
async fn the_file_and_its_log_are_the_owners_alone() {
    let store = TestStore::open().await.with_org(1).await;
    let folder = store.path().parent().unwrap().to_owned();
    let files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()).collect();
    assert!(files.len() >= 2, "the log is beside the file");
    for file in files {
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:?} {mode:o}", file.file_name());
    }
}

#[tokio::test]
async fn what_was_written_is_there_after_opening_again() {
    let store = TestStore::open().await.with_org(1).await;
    store.insert_key(&key(1), &hash(1)).await.unwrap();
    store.close().await;
    let again = SqliteStore::open(&store.path()).await.unwrap();
    assert_eq!(again.get_key(org_id(1), key_id(1)).await.unwrap(), Some(key(1)));
}

#[tokio::test]
async fn two_processes_can_open_one_file_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("aione.db");
    let (one, other) = tokio::join!(SqliteStore::open(&path), SqliteStore::open(&path));
    let (one, other) = (one.unwrap(), other.unwrap());
    one.insert_org(&org(1)).await.unwrap();
    other.insert_team(&team(1)).await.unwrap();
    one.insert_key(&key(1), &hash(1)).await.unwrap();
    assert!(other.find_by_hash(&hash(1)).await.unwrap().is_some());

    let of = |half: u128| (0..200).map(|n| record(half * 1_000 + n, NOW)).collect::<Vec<_>>();
    let (first, second) = (of(1), of(2));
    let (a, b, c) =
        tokio::join!(one.insert_records(&first), other.insert_records(&second), other.insert_records(&first));
    a.and(b).and(c).unwrap();
    assert_eq!(one.list_records(None, 1_000).await.unwrap().len(), 400);
}

#[tokio::test]
async fn a_reader_sees_a_running_store_and_changes_nothing() {
    let store = TestStore::open().await.with_org(1).await;
    let reader = SqliteStore::open_read_only(&store.path()).await.unwrap();
    store.insert_records(&[record(1, NOW)]).await.unwrap();
    assert_eq!(reader.list_records(None, 10).await.unwrap(), [record(1, NOW)]);
    assert!(matches!(reader.insert_records(&[record(2, NOW)]).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(reader.insert_org(&org(2)).await, Err(StoreError::Unavailable(_))));
    store.close().await;
    reader.close().await;
    let alone = SqliteStore::open_read_only(&store.path()).await.unwrap();
    assert_eq!(alone.list_records(None, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_no_store_of_this_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.db");
    assert!(matches!(SqliteStore::open_read_only(&missing).await, Err(StoreError::Unavailable(_))));
    assert!(!missing.exists());

    let text = folder.path().join("text.db");
    fs::write(&text, "this is not a database, and it is longer than a header of one would be: ".repeat(20))
        .unwrap();
    assert!(matches!(SqliteStore::open(&text).await, Err(StoreError::Unavailable(_))));

    let newer = TestStore::open().await;
    sqlx::query("PRAGMA user_version = 1000").execute(&newer.writer).await.unwrap();
    newer.close().await;
    assert!(matches!(SqliteStore::open(&newer.path()).await, Err(StoreError::Corrupt(_))));
    assert!(matches!(SqliteStore::open_read_only(&newer.path()).await, Err(StoreError::Corrupt(_))));
}

#[tokio::test]
async fn a_first_start_makes_one_organization_and_team() {
    let store = TestStore::open().await;
    let plan = Arc::from("starter");
    store.bootstrap(NOW, [7; 20], &plan, chrono_tz::Asia::Shanghai).await.unwrap();
    let org = store.find_org("default").await.unwrap().unwrap();
    assert_eq!((&*org.plan, org.time_zone), ("starter", chrono_tz::Asia::Shanghai));
    let team = store.find_team(org.id, "default").await.unwrap().unwrap();
    assert_eq!(team.org, org.id);

    let other_plan = Arc::from("other");
    store.bootstrap(NOW.plus_ms(1), [8; 20], &other_plan, chrono_tz::UTC).await.unwrap();
    assert_eq!(store.find_org("default").await.unwrap(), Some(org));
}

#[tokio::test]
async fn a_first_start_beside_organizations_makes_none() {
    let store = TestStore::open().await.with_org(1).await;
    store.bootstrap(NOW, [7; 20], &Arc::from("starter"), chrono_tz::UTC).await.unwrap();
    assert_eq!(store.find_org("default").await.unwrap(), None);
}

#[tokio::test]
async fn a_node_with_another_pepper_is_refused() {
    let store = TestStore::open().await;
    store.check_pepper(&peppers(&[0])).await.unwrap();
    store.check_pepper(&peppers(&[0])).await.unwrap();
    assert!(matches!(store.check_pepper(&peppers(&[1])).await, Err(StoreError::Conflict(_))));
    store.check_pepper(&peppers(&[1, 0])).await.unwrap();
    store.check_pepper(&peppers(&[1])).await.unwrap();
    assert!(matches!(store.check_pepper(&peppers(&[0])).await, Err(StoreError::Conflict(_))));
}

#[tokio::test]
async fn a_store_with_records_is_of_one_currency() {
    let store = TestStore::open().await;
    store.check_currency("CNY").await.unwrap();
    store.check_currency("USD").await.unwrap();
    store.insert_records(&[record(1, NOW)]).await.unwrap();
    store.check_currency("USD").await.unwrap();
    let error = store.check_currency("CNY").await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Conflict(why) if why.contains("USD") && why.contains("CNY")),
        "{error}"
    );
    store.check_currency("USD").await.unwrap();
}
