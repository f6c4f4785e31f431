//! Protecting the file of a store on SQLite, and what is none.

use super::*;
use aione_core::ports::StoreError;
use std::{fs, os::unix::fs::PermissionsExt as _};

#[tokio::test]
async fn the_file_and_its_log_are_the_owners_alone() {
    let store = TestStore::open(Engine::Sqlite).await.with_org(1).await;
    let folder = store.path().parent().unwrap().to_owned();
    let files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()).collect();
    assert!(files.len() >= 2, "the log is beside the file");
    for file in files {
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:?} {mode:o}", file.file_name());
    }
}

#[tokio::test]
async fn what_is_no_store_of_this_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.db");
    assert!(matches!(
        Store::open_read_only(&Database::Sqlite(missing.clone())).await,
        Err(StoreError::Unavailable(_))
    ));
    assert!(!missing.exists());

    let text = folder.path().join("text.db");
    fs::write(&text, "this is not a database, and it is longer than a header of one would be: ".repeat(20))
        .unwrap();
    assert!(matches!(Store::open(&Database::Sqlite(text)).await, Err(StoreError::Unavailable(_))));

    let newer = TestStore::open(Engine::Sqlite).await;
    newer.sql("PRAGMA user_version = 1000").await;
    newer.sql("UPDATE meta SET value = CAST('999' AS BLOB) WHERE name = 'schema_works_since'").await;
    newer.close().await;
    assert!(matches!(Store::open(&newer.database).await, Err(StoreError::Corrupt(_))));
    assert!(matches!(Store::open_read_only(&newer.database).await, Err(StoreError::Corrupt(_))));
}
