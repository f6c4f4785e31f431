//! Sums over many records: on connections of their own and within a bounded time, so that no
//! report can keep a key from being looked up.

use super::{BUSY_MAX, value::failed};
use crate::clock;
use aione_core::{domain::clock::Steady, ports::StoreError};
use futures_util::TryStreamExt as _;
use sqlx::{
    QueryBuilder, Sqlite, SqlitePool, Transaction,
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

    /// Waits for a turn and begins a report. All that it reads is of one moment. SQLite itself breaks
    /// it off at the end of its time, also where nobody waits for it any more: dropping it leaves a
    /// statement running.
    ///
    /// # Errors
    /// `Unavailable`: it got no turn.
    pub(super) async fn begin(&self) -> Result<Report, StoreError> {
        let mut tx = self.pool.begin().await.map_err(failed)?;
        let time = Time { began: clock::steady(), longest: self.run_max };
        let mut handle = tx.lock_handle().await.map_err(failed)?;
        handle.set_progress_handler(LOOK_EVERY, move || time.is_left());
        drop(handle);
        Ok(Report { tx, time })
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

/// A report that is under way. It changes nothing, so that its end is a roll-back.
pub(super) struct Report {
    tx: Transaction<'static, Sqlite>,
    time: Time,
}

/// How long a report may take.
#[derive(Clone, Copy)]
struct Time {
    began: Steady,
    longest: Duration,
}

impl Report {
    /// # Errors
    /// `Unavailable`: the report took too long.
    pub(super) async fn fetch(
        &mut self,
        mut sql: QueryBuilder<Sqlite>,
    ) -> Result<Vec<SqliteRow>, StoreError> {
        let rows = sql.build().fetch_all(&mut *self.tx).await;
        rows.map_err(|error| self.time.failed(error))
    }

    /// Hands on one row after the other, so that only one is held.
    ///
    /// # Errors
    /// As [`Report::fetch`], and what `take` brings.
    pub(super) async fn each(
        &mut self,
        mut sql: QueryBuilder<Sqlite>,
        mut take: impl FnMut(SqliteRow) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut rows = sql.build().fetch(&mut *self.tx);
        while let Some(row) = rows.try_next().await.map_err(|error| self.time.failed(error))? {
            take(row)?;
        }
        Ok(())
    }
}

impl Time {
    fn is_left(self) -> bool {
        u128::from(clock::steady().since_ns(self.began)) < self.longest.as_nanos()
    }

    fn failed(self, error: sqlx::Error) -> StoreError {
        match error {
            sqlx::Error::Database(_) if !self.is_left() => {
                StoreError::Unavailable(format!("a report took longer than {:?}", self.longest))
            }
            other => failed(other),
        }
    }
}
