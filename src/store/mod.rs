//! What is kept: core's ports over one store on either of two databases, and the limits, in this process
//! (`local`) or shared through Redis (`redis`).
//! SQL is nowhere else.
//!
//! In reading order: [`engine`] (statements on either database), `sqlite` and `postgres` (connections and
//! their bounds), `schema`; then a file for each port (`keys` `changes` `usage` `ledger` `budgets`
//! `invoices`) and one for each kind of
//! row.

mod bootstrap;
mod budgets;
mod changes;
mod charge_rows;
mod cover;
mod engine;
mod found_records;
mod invoice_rows;
mod invoices;
mod key_rows;
mod keys;
mod ledger;
mod ledger_rows;
pub mod limits;
pub mod local;
mod margin_rows;
mod meta;
pub mod origins;
mod overview;
mod plan_rows;
mod postgres;
mod quarantine;
mod record_rows;
pub mod redis;
mod rollup_rows;
mod rollups;
mod row;
mod schema;
mod sqlite;
mod statement;
mod sums;
mod tenants;
#[cfg(test)]
pub(crate) mod tests;
mod trail;
mod usage;
mod uses;
mod zone;

pub use bootstrap::DEFAULT_NAME;

use aione_core::{config::snapshot::Database, domain::usage::UsageRecord, ports::StoreError};
use charge_rows::Books;
use engine::{Db, Turn};
use rollups::Rollups;
use uses::Uses;

/// An open store. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Store {
    pools: Pools,
    uses: Uses,
    rollups: Rollups,
    books: Books,
}

/// The connections of one database.
#[derive(Clone, Debug)]
enum Pools {
    Sqlite(sqlite::Pools),
    Postgres(postgres::Pools),
}

impl Store {
    /// Opens the store and brings its tables up to date. A file of SQLite's is made where it is missing.
    ///
    /// # Errors
    /// It cannot be reached, opened or made, or a newer version has written it.
    pub async fn open(database: &Database) -> Result<Self, StoreError> {
        let rollups = Rollups::default();
        let pools = match database {
            Database::Sqlite(path) => Pools::Sqlite(sqlite::Pools::open(path, &rollups).await?),
            Database::Postgres(url) => Pools::Postgres(postgres::Pools::open(url.expose()).await?),
        };
        Ok(Self { pools, uses: Uses::default(), rollups, books: Books::default() })
    }

    /// Opens an existing store for reading, also beside a running gateway. Every method that writes
    /// fails.
    ///
    /// # Errors
    /// There is no such store, or its tables are of another version.
    pub async fn open_read_only(database: &Database) -> Result<Self, StoreError> {
        let pools = match database {
            Database::Sqlite(path) => Pools::Sqlite(sqlite::Pools::open_read_only(path).await?),
            Database::Postgres(url) => Pools::Postgres(postgres::Pools::open_read_only(url.expose()).await?),
        };
        Ok(Self { pools, uses: Uses::default(), rollups: Rollups::default(), books: Books::default() })
    }

    /// The version that its tables have.
    ///
    /// # Errors
    /// The store is unavailable.
    pub async fn schema_version(&self) -> Result<usize, StoreError> {
        schema::version(&mut self.pools.read().await?).await
    }

    /// The plans that organizations are on, and how many are on each.
    ///
    /// # Errors
    /// The store is unavailable.
    pub async fn plans_in_use(&self) -> Result<Vec<(String, i64)>, StoreError> {
        tenants::plans_in_use(&mut self.pools.read().await?).await
    }

    /// Waits for what is under way and closes the connections.
    pub async fn close(&self) {
        match &self.pools {
            Pools::Sqlite(pools) => pools.close().await,
            Pools::Postgres(pools) => pools.close().await,
        }
    }

    /// Begins a transaction that nobody else's change runs beside.
    async fn change(&self) -> Result<Db, StoreError> {
        let mut tx = self.pools.write().await?;
        tx.take(Turn::Change).await?;
        Ok(tx)
    }
}

impl Pools {
    /// A connection for a look-up of a row: a request may wait for one.
    async fn read(&self) -> Result<Db, StoreError> {
        match self {
            Self::Sqlite(pools) => pools.read().await,
            Self::Postgres(pools) => pools.read().await,
        }
    }

    /// A connection for a list: what somebody leafs through keeps no look-up waiting.
    async fn page(&self) -> Result<Db, StoreError> {
        match self {
            Self::Sqlite(pools) => pools.pages.begin().await,
            Self::Postgres(pools) => pools.page().await,
        }
    }

    /// A connection for what is in a purse: a sum that a request may wait for.
    async fn purse(&self) -> Result<Db, StoreError> {
        match self {
            Self::Sqlite(pools) => pools.purses.begin().await,
            Self::Postgres(pools) => pools.purse().await,
        }
    }

    /// Begins a transaction that writes.
    async fn write(&self) -> Result<Db, StoreError> {
        match self {
            Self::Sqlite(pools) => pools.write().await,
            Self::Postgres(pools) => pools.write().await,
        }
    }

    /// Begins a report: all that it reads is of one moment, it changes nothing, and neither its turn nor
    /// its statements take longer than they may.
    async fn report(&self) -> Result<Db, StoreError> {
        match self {
            Self::Sqlite(pools) => pools.reports.begin().await,
            Self::Postgres(pools) => pools.report().await,
        }
    }

    /// Sees to it that there is a table for each of these records.
    async fn make_room_for(&self, records: &[UsageRecord]) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(pools) => pools.make_room_for(records).await,
        }
    }
}
