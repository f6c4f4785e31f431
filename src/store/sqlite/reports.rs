//! Sums over many records: on connections of their own and within a bounded time, so that no
//! report can keep a key from being looked up.

use super::{
    super::{
        engine::{Db, Held, RunMax},
        row::failed,
    },
    BUSY_MAX,
};
use crate::clock;
use aione_core::{domain::clock::Steady, ports::StoreError};
use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};
use std::time::Duration;

/// Reports that run at the same time.
pub(in crate::store) const REPORTS_MAX: u32 = 2;
/// How long a report waits for its turn.
const WAIT_MAX: Duration = Duration::from_secs(2);
/// How long a report may run.
const RUN_MAX: Duration = Duration::from_secs(10);
/// Steps of SQLite's machine between two looks at the clock: less than a millisecond.
const LOOK_EVERY: i32 = 10_000;

#[derive(Clone, Debug)]
pub(in crate::store) struct Reports {
    pub(in crate::store) pool: SqlitePool,
    pub(in crate::store) run_max: Duration,
}

impl Reports {
    pub(in crate::store) async fn open(options: SqliteConnectOptions) -> Result<Self, StoreError> {
        Self::open_within(options, WAIT_MAX, RUN_MAX).await
    }

    pub(in crate::store) async fn open_within(
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
    pub(in crate::store) async fn begin(&self) -> Result<Db, StoreError> {
        let mut tx = self.pool.begin().await.map_err(failed)?;
        let time = Time { began: clock::steady(), longest: self.run_max };
        let mut handle = tx.lock_handle().await.map_err(failed)?;
        handle.set_progress_handler(LOOK_EVERY, move || time.is_left());
        drop(handle);
        Ok(Db::Sqlite(Held::Transaction(tx), RunMax(None)))
    }

    pub(in crate::store) async fn close(&self) {
        self.pool.close().await;
    }
}

/// How long a report may take.
#[derive(Clone, Copy)]
struct Time {
    began: Steady,
    longest: Duration,
}

impl Time {
    fn is_left(self) -> bool {
        u128::from(clock::steady().since_ns(self.began)) < self.longest.as_nanos()
    }
}
