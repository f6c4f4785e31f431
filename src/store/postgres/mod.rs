//! PostgreSQL: the database of several nodes.
//!
//! Few connections, each for what it is named after, and a bound on everything that is asked: the
//! server breaks a statement off, and where it does not answer at all, this side stops waiting.

mod partitions;

use super::{
    engine::{Db, Held, RunMax},
    row::failed,
    schema,
    statement::Statement,
};
use aione_core::{domain::clock::Timestamp, ports::StoreError};
use futures_util::future::BoxFuture;
use partitions::Partitions;
use sqlx::{
    Connection as _, PgConnection, PgPool,
    pool::PoolConnectionMetadata,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::time::Duration;

/// Connections of a node: for look-ups, for purses, for lists, for the recorder and changes, for reports.
const READERS_MAX: u32 = 4;
const PURSES_MAX: u32 = 2;
pub(super) const PAGES_MAX: u32 = 2;
const WRITERS_MAX: u32 = 4;
const REPORTS_MAX: u32 = 4;
/// How long a caller waits for a connection, and for a new one to be made.
const ACQUIRE_MAX: Duration = Duration::from_secs(2);
/// A connection that nobody needed for so long is closed.
const IDLE_MAX: Duration = Duration::from_secs(600);
/// How long the server may take for a look-up or a list, a write and a report.
const READ_MAX: Duration = Duration::from_secs(2);
const WRITE_MAX: Duration = Duration::from_secs(10);
const REPORT_MAX: Duration = Duration::from_secs(10);
/// Memory of the server's that a step of a report may have.
const REPORT_MEMORY: &str = "64MB";
/// How much longer this side waits: for a server that is stopped and says nothing.
const SILENCE_MAX: Duration = Duration::from_secs(1);
/// How long a connection that comes back gets to show that it is at rest: one whose statement was given
/// up may never be.
const REST_MAX: Duration = Duration::from_secs(1);
/// How long the connections get to be closed.
const CLOSE_MAX: Duration = Duration::from_secs(2);
/// How long bringing the tables up to date may take.
const MIGRATION_MAX: Duration = Duration::from_secs(3_600);
/// What the server shows of whose connection it is.
const APPLICATION: &str = "aione";

/// The connections to one server.
#[derive(Clone, Debug)]
pub(super) struct Pools {
    readers: PgPool,
    pages: PgPool,
    purses: PgPool,
    writers: PgPool,
    reports: PgPool,
    partitions: Partitions,
}

impl Pools {
    pub(super) async fn open(url: &str) -> Result<Self, StoreError> {
        let pools = Self::connect(options(url)?).await?;
        let migration = pool(1).connect_with(bounded(options(url)?, MIGRATION_MAX)).await.map_err(failed)?;
        schema::migrate(begin(&migration, MIGRATION_MAX).await?).await?;
        migration.close().await;
        Ok(pools)
    }

    pub(super) async fn open_read_only(url: &str) -> Result<Self, StoreError> {
        let pools = Self::connect(options(url)?.options([("default_transaction_read_only", "on")])).await?;
        schema::check(&mut pools.read().await?).await?;
        Ok(pools)
    }

    /// Makes the first connection, to know that there is a server.
    async fn connect(options: PgConnectOptions) -> Result<Self, StoreError> {
        // A join by hash or by order would read all rollups of an organization where a few are asked
        // for, and a statement of a millisecond is not worth being compiled. What a report groups is little
        // beside what it reads, and there is memory to put it in order without the disk.
        let report = options.clone().options([
            ("work_mem", REPORT_MEMORY),
            ("enable_hashjoin", "off"),
            ("enable_mergejoin", "off"),
            ("jit", "off"),
            // How much a report reads depends on its range, which a plan for all of them cannot know.
            ("plan_cache_mode", "force_custom_plan"),
        ]);
        let pools = Self {
            readers: pool(READERS_MAX).connect_lazy_with(bounded(options.clone(), READ_MAX)),
            purses: pool(PURSES_MAX).connect_lazy_with(bounded(report.clone(), READ_MAX)),
            pages: pool(PAGES_MAX).connect_lazy_with(bounded(options.clone(), READ_MAX)),
            writers: pool(WRITERS_MAX).after_connect(durable).connect_lazy_with(bounded(options, WRITE_MAX)),
            reports: pool(REPORTS_MAX).connect_lazy_with(bounded(report, REPORT_MAX)),
            partitions: Partitions::default(),
        };
        pools.read().await?;
        Ok(pools)
    }

    pub(super) async fn read(&self) -> Result<Db, StoreError> {
        look_up(&self.readers).await
    }

    pub(super) async fn purse(&self) -> Result<Db, StoreError> {
        look_up(&self.purses).await
    }

    /// The server's clock.
    pub(super) async fn now(&self) -> Result<Timestamp, StoreError> {
        let now = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";
        self.read().await?.one(Statement::new(now)).await?.get(0).map(Timestamp)
    }

    pub(super) async fn page(&self) -> Result<Db, StoreError> {
        look_up(&self.pages).await
    }

    pub(super) async fn write(&self) -> Result<Db, StoreError> {
        begin(&self.writers, WRITE_MAX).await
    }

    pub(super) async fn report(&self) -> Result<Db, StoreError> {
        let begin = self.reports.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
        let transaction = wait(REPORT_MAX).keep(begin).await?;
        Ok(Db::Postgres(Held::Transaction(transaction), wait(REPORT_MAX)))
    }

    /// A server that says nothing is not waited for.
    pub(super) async fn close(&self) {
        let closing = async {
            self.reports.close().await;
            self.readers.close().await;
            self.pages.close().await;
            self.purses.close().await;
            self.writers.close().await;
        };
        let _ = tokio::time::timeout(CLOSE_MAX, closing).await;
    }
}

async fn look_up(pool: &PgPool) -> Result<Db, StoreError> {
    let connection = pool.acquire().await.map_err(failed)?;
    Ok(Db::Postgres(Held::Connection(connection), wait(READ_MAX)))
}

async fn begin(pool: &PgPool, run_max: Duration) -> Result<Db, StoreError> {
    let transaction = wait(run_max).keep(pool.begin()).await?;
    Ok(Db::Postgres(Held::Transaction(transaction), wait(run_max)))
}

/// How long this side waits for what the server may take so long for.
fn wait(run_max: Duration) -> RunMax {
    RunMax(Some(run_max + SILENCE_MAX))
}

fn pool(connections: u32) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_MAX)
        .idle_timeout(IDLE_MAX)
        .max_lifetime(None)
        .after_release(|connection, _| Box::pin(is_at_rest(connection)))
}

/// Whether a connection can be used again. The pool itself would ask without a bound, and keep its place
/// taken meanwhile: a few that went silent would be all there are.
async fn is_at_rest(connection: &mut PgConnection) -> sqlx::Result<bool> {
    Ok(tokio::time::timeout(REST_MAX, connection.ping()).await.is_ok_and(|answer| answer.is_ok()))
}

/// What a commit has returned from survives the server's end, on which the journal relies when it is
/// truncated; a server that is set to do otherwise is told so for this connection.
fn durable(connection: &mut PgConnection, _: PoolConnectionMetadata) -> BoxFuture<'_, sqlx::Result<()>> {
    const DURABLE: &str = "SELECT set_config('synchronous_commit', 'on', false)
                           WHERE current_setting('synchronous_commit') = 'off'";
    Box::pin(async move { sqlx::raw_sql(DURABLE).execute(connection).await.map(drop) })
}

/// What is wrong is told without the address, which may hold a password.
fn options(url: &str) -> Result<PgConnectOptions, StoreError> {
    let options: PgConnectOptions = url.parse().map_err(|error| match error {
        sqlx::Error::Configuration(why) => {
            StoreError::Unavailable(format!("the address cannot be read: {why}"))
        }
        other => failed(other),
    })?;
    Ok(options.application_name(APPLICATION))
}

/// The server itself breaks off what takes too long, and a transaction that nobody goes on with.
fn bounded(options: PgConnectOptions, run_max: Duration) -> PgConnectOptions {
    let run_max = run_max.as_millis().to_string();
    options.options([("statement_timeout", &run_max), ("idle_in_transaction_session_timeout", &run_max)])
}

/// Makes an empty schema for a test.
#[cfg(test)]
pub(super) async fn create_schema(url: &str, name: &str) -> Result<(), StoreError> {
    let pool = pool(1).connect_with(options(url)?).await.map_err(failed)?;
    let create = sqlx::AssertSqlSafe(format!("CREATE SCHEMA {name}"));
    sqlx::raw_sql(create).execute(&pool).await.map_err(failed)?;
    pool.close().await;
    Ok(())
}
