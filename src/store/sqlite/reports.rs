//! Sums over many records: on connections of their own and within a bounded time, so that no
//! report can keep a key from being looked up.

use super::{BUSY_MAX, value::failed};
use crate::clock;
use aione_core::ports::StoreError;
use sqlx::{
    QueryBuilder, Sqlite, SqlitePool,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteRow},
};
use std::time::Duration;

/// Reports that run at the same time.
pub(super) const REPORTS_MAX: u32 = 2;
/// How long a report waits for its turn.
const WAIT_MAX: Duration = Duration::from_secs(2);
/// How long a report may run.
const RUN_MAX: Duration = Duration::from_secs(10);
/// Steps of SQLite's machine between two looks at the clock: less than a millisecond.
const LOOK_EVERY: i32 = 10_000;

#[derive(Clone, Debug)]
pub(super) struct Reports {
    pub(super) pool: SqlitePool,
    pub(super) run_max: Duration,
}

impl Reports {
    pub(super) async fn open(options: SqliteConnectOptions) -> Result<Self, StoreError> {
        Self::open_within(options, WAIT_MAX, RUN_MAX).await
    }

    pub(super) async fn open_within(
        options: SqliteConnectOptions,
        wait_max: Duration,
        run_max: Duration,
    ) -> Result<Self, StoreError> {
        let pool = SqlitePoolOptions::new()
            .max_connections(REPORTS_MAX)
            .acquire_timeout(wait_max)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options.busy_timeout(BUSY_MAX.min(run_max)))
            .await
            .map_err(failed)?;
        Ok(Self { pool, run_max })
    }

    /// Runs a report to its end, or to the end of its time. SQLite itself breaks it off, also
    /// where nobody waits for it any more: dropping this leaves a statement running.
    ///
    /// # Errors
    /// `Unavailable`: it got no turn, or took too long.
    pub(super) async fn run(&self, mut sql: QueryBuilder<Sqlite>) -> Result<Vec<SqliteRow>, StoreError> {
        let mut connection = self.pool.acquire().await.map_err(failed)?;
        let (began, longest) = (clock::steady(), self.run_max.as_nanos());
        let is_in_time = move || u128::from(clock::steady().since_ns(began)) < longest;
        connection.lock_handle().await.map_err(failed)?.set_progress_handler(LOOK_EVERY, is_in_time);
        let rows = sql.build().fetch_all(&mut *connection).await;
        rows.map_err(|error| match error {
            sqlx::Error::Database(_) if !is_in_time() => {
                StoreError::Unavailable(format!("a report took longer than {:?}", self.run_max))
            }
            other => failed(other),
        })
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}
