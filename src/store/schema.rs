//! The tables, and bringing a store up to the version that this program knows.

use super::{
    engine::{Db, Engine, Turn},
    meta, rollups,
    row::corrupt,
    statement::Statement,
};
use aione_core::ports::StoreError;

/// What brings a store from one version to the next, which is its place in the list counted from 1.
struct Migration {
    sql: &'static str,
    /// The first version of this program that can go on with a store that has it: one that added what
    /// older programs need not know names an older one.
    works_since: usize,
}

const SQLITE: &[Migration] = &[
    Migration { sql: include_str!("migrations/sqlite/0001_first.sql"), works_since: 1 },
    Migration { sql: include_str!("migrations/sqlite/0002_rollups.sql"), works_since: 2 },
    Migration { sql: include_str!("migrations/sqlite/0003_trail.sql"), works_since: 3 },
    Migration { sql: include_str!("migrations/sqlite/0004_ledger.sql"), works_since: 4 },
    Migration { sql: include_str!("migrations/sqlite/0005_budgets.sql"), works_since: 4 },
    Migration { sql: include_str!("migrations/sqlite/0006_invoices.sql"), works_since: 6 },
    Migration { sql: include_str!("migrations/sqlite/0007_unpriced.sql"), works_since: 6 },
    Migration { sql: include_str!("migrations/sqlite/0008_margins.sql"), works_since: 8 },
    Migration { sql: include_str!("migrations/sqlite/0009_pieces.sql"), works_since: 9 },
];
const POSTGRES: &[Migration] = &[
    Migration { sql: include_str!("migrations/postgres/0001_first.sql"), works_since: 1 },
    Migration { sql: include_str!("migrations/postgres/0002_ledger.sql"), works_since: 2 },
    Migration { sql: include_str!("migrations/postgres/0003_dense_rollups.sql"), works_since: 2 },
    Migration { sql: include_str!("migrations/postgres/0004_budgets.sql"), works_since: 2 },
    Migration { sql: include_str!("migrations/postgres/0005_invoices.sql"), works_since: 5 },
    Migration { sql: include_str!("migrations/postgres/0006_unpriced.sql"), works_since: 5 },
    Migration { sql: include_str!("migrations/postgres/0007_margins.sql"), works_since: 7 },
    Migration { sql: include_str!("migrations/postgres/0008_pieces.sql"), works_since: 8 },
];
/// The first version of a SQLite file with rollups.
const ROLLUPS: usize = 2;
/// The version of the tables, where the database has no place of its own for it.
const VERSION: &str = "schema_version";
/// The highest [`Migration::works_since`] of the tables.
const WORKS_SINCE: &str = "schema_works_since";

/// Applies what is missing. The transaction keeps others that open the store waiting.
pub(super) async fn migrate(mut db: Db) -> Result<(), StoreError> {
    db.take(Turn::Change).await?;
    let migrations = migrations(db.engine());
    let done = version(&mut db).await?;
    for migration in migrations.get(done..).unwrap_or_default() {
        db.script(migration.sql).await?;
    }
    if done < migrations.len() {
        let works_since = migrations.iter().map(|migration| migration.works_since).max().unwrap_or(0);
        keep_number(&mut db, WORKS_SINCE, works_since).await?;
        match db.engine() {
            Engine::Sqlite => db.execute(set_user_version(migrations.len())).await.map(drop)?,
            Engine::Postgres => keep_number(&mut db, VERSION, migrations.len()).await?,
        }
    }
    if db.engine() == Engine::Sqlite && done < ROLLUPS {
        rollups::fill(&mut db).await?;
    }
    db.commit().await
}

/// Whether the store can be read as it is, by a reader that must not change it.
pub(super) async fn check(db: &mut Db) -> Result<(), StoreError> {
    let needed = migrations(db.engine()).len();
    match version(db).await? {
        done if done >= needed => Ok(()),
        done => Err(corrupt(format!(
            "it has schema version {done} and {needed} is needed: start the gateway on it once"
        ))),
    }
}

/// The version of the tables.
///
/// # Errors
/// A newer program has brought them to where this one cannot follow.
pub(super) async fn version(db: &mut Db) -> Result<usize, StoreError> {
    let known = migrations(db.engine()).len();
    let stored = match db.engine() {
        Engine::Sqlite => db.one(Statement::new("PRAGMA user_version")).await?.narrow(0)?,
        Engine::Postgres if has_meta(db).await? => number(db, VERSION).await?.unwrap_or(0),
        Engine::Postgres => 0,
    };
    if stored > known {
        let works_since = number(db, WORKS_SINCE).await?.unwrap_or(stored);
        if works_since > known {
            return Err(corrupt(format!(
                "it has schema version {stored}, and this program knows {known}: a newer one has written it"
            )));
        }
    }
    Ok(stored)
}

fn migrations(engine: Engine) -> &'static [Migration] {
    match engine {
        Engine::Sqlite => SQLITE,
        Engine::Postgres => POSTGRES,
    }
}

/// A pragma takes no values.
fn set_user_version(version: usize) -> Statement {
    Statement::new(format!("PRAGMA user_version = {version}"))
}

async fn has_meta(db: &mut Db) -> Result<bool, StoreError> {
    db.one(Statement::new("SELECT to_regclass('meta') IS NOT NULL")).await?.get(0)
}

async fn keep_number(db: &mut Db, name: &'static str, number: usize) -> Result<(), StoreError> {
    meta::keep(db, name, number.to_string().as_bytes()).await
}

async fn number(db: &mut Db, name: &'static str) -> Result<Option<usize>, StoreError> {
    let Some(value) = meta::fact(db, name).await? else { return Ok(None) };
    let text = std::str::from_utf8(&value).map_err(corrupt)?;
    text.parse().map(Some).map_err(corrupt)
}
