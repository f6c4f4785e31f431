//! Sums over many records, and lists: on connections of their own and within a bounded time, so that
//! neither can keep a key from being looked up.

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

/// Steps of SQLite's machine between two looks at the clock: less than a millisecond.
const LOOK_EVERY: i32 = 10_000;

/// How much is read beside the rest.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Bounds {
    /// Connections: how many read at the same time.
    pub(in crate::store) turns: u32,
    /// How long one waits for its turn.
    pub(in crate::store) wait_max: Duration,
    /// How long it may read.
    pub(in crate::store) run_max: Duration,
}

/// Reads of one kind.
#[derive(Clone, Debug)]
pub(in crate::store) struct Bounded {
    pub(in crate::store) pool: SqlitePool,
    pub(in crate::store) run_max: Duration,
}

impl Bounded {
    /// Its connections are opened when they are needed.
    pub(in crate::store) fn new(options: SqliteConnectOptions, bounds: Bounds) -> Self {
        let pool = SqlitePoolOptions::new()
            .max_connections(bounds.turns)
            .acquire_timeout(bounds.wait_max)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(options.busy_timeout(BUSY_MAX.min(bounds.run_max)));
        Self { pool, run_max: bounds.run_max }
    }

    /// Waits for a turn and begins. All that is read is of one moment. SQLite itself breaks it off at
    /// the end of its time, also where nobody waits for it any more: dropping it leaves a statement
    /// running.
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

/// How long it may take.
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
