//! The tables, and bringing a file up to the version that this program knows.

use super::{rollups, value::failed};
use aione_core::ports::StoreError;
use sqlx::{Sqlite, SqliteConnection, SqlitePool, Transaction};

/// Each ends with `PRAGMA user_version = n`, its own place here counted from 1.
const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/sqlite/0001_first.sql"),
    include_str!("../migrations/sqlite/0002_rollups.sql"),
    include_str!("../migrations/sqlite/0003_trail.sql"),
];
/// The first version with rollups.
const ROLLUPS: usize = 2;

/// Applies what is missing, in one transaction: another process that opens the same file waits.
pub(super) async fn migrate(pool: &SqlitePool) -> Result<(), StoreError> {
    let mut tx: Transaction<'_, Sqlite> = pool.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    let done = version(&mut tx).await?;
    for migration in &MIGRATIONS[done..] {
        sqlx::raw_sql(*migration).execute(&mut *tx).await.map_err(failed)?;
    }
    if done < ROLLUPS {
        rollups::fill(&mut tx).await?;
    }
    tx.commit().await.map_err(failed)
}

/// Whether the file can be read as it is, by a reader that must not change it.
pub(super) async fn check(pool: &SqlitePool) -> Result<(), StoreError> {
    let mut connection = pool.acquire().await.map_err(failed)?;
    match version(&mut connection).await? {
        done if done == MIGRATIONS.len() => Ok(()),
        done => Err(StoreError::Corrupt(format!(
            "it has schema version {done} and {} is needed: start the gateway on it once",
            MIGRATIONS.len()
        ))),
    }
}

pub(super) async fn version(connection: &mut SqliteConnection) -> Result<usize, StoreError> {
    let stored: i64 =
        sqlx::query_scalar("PRAGMA user_version").fetch_one(connection).await.map_err(failed)?;
    match usize::try_from(stored) {
        Ok(version) if version <= MIGRATIONS.len() => Ok(version),
        _ => Err(StoreError::Corrupt(format!(
            "it has schema version {stored}, and this program knows {}: a newer one has written it",
            MIGRATIONS.len()
        ))),
    }
}
