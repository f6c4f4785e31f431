//! The two databases that the store runs on, and statements on a connection of either.

use super::{
    row::{Row, failed},
    statement::Statement,
};
use aione_core::ports::StoreError;
use futures_util::{
    StreamExt as _, TryStreamExt as _,
    stream::{self, BoxStream},
};
use sqlx::{Database, Postgres, Sqlite, Transaction, pool::PoolConnection};
use std::{
    ops::{Deref, DerefMut},
    time::Duration,
};

/// Which database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Engine {
    Sqlite,
    Postgres,
}

/// What a transaction waits for before it goes on, so that two of a kind do not run at once. On
/// SQLite they never do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Turn {
    /// Of changes to tenants, facts and tables: one at a time reads what it then changes.
    Change,
    /// Of the rollups of those organizations that share this number.
    Rollups(u8),
}

/// A connection, within a transaction or without. A transaction that is dropped is rolled back.
pub(super) enum Db {
    Sqlite(Held<Sqlite>, RunMax),
    Postgres(Held<Postgres>, RunMax),
}

/// How long a statement may take; `None`: as long as it takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct RunMax(pub(super) Option<Duration>);

pub(super) enum Held<D: Database> {
    Connection(PoolConnection<D>),
    Transaction(Transaction<'static, D>),
}

impl Db {
    pub(super) fn engine(&self) -> Engine {
        match self {
            Self::Sqlite(..) => Engine::Sqlite,
            Self::Postgres(..) => Engine::Postgres,
        }
    }

    /// Runs a statement and tells how many rows it changed.
    pub(super) async fn execute(&mut self, statement: Statement) -> Result<u64, StoreError> {
        match self {
            Self::Sqlite(held, run_max) => {
                let (sql, values) = statement.for_sqlite()?;
                let query = sqlx::query_with(sql, values).execute(&mut **held);
                run_max.keep(query).await.map(|done| done.rows_affected())
            }
            Self::Postgres(held, run_max) => {
                let (sql, values) = statement.for_postgres()?;
                let query = sqlx::query_with(sql, values).execute(&mut **held);
                run_max.keep(query).await.map(|done| done.rows_affected())
            }
        }
    }

    /// Every row of a statement.
    pub(super) async fn all(&mut self, statement: Statement) -> Result<Vec<Row>, StoreError> {
        match self {
            Self::Sqlite(held, run_max) => {
                let (sql, values) = statement.for_sqlite()?;
                let rows = run_max.keep(sqlx::query_with(sql, values).fetch_all(&mut **held)).await?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
            Self::Postgres(..) if statement.seeks_nul() => Ok(Vec::new()),
            Self::Postgres(held, run_max) => {
                let (sql, values) = statement.for_postgres()?;
                let rows = run_max.keep(sqlx::query_with(sql, values).fetch_all(&mut **held)).await?;
                Ok(rows.into_iter().map(Row::Postgres).collect())
            }
        }
    }

    /// The first row of a statement.
    pub(super) async fn optional(&mut self, statement: Statement) -> Result<Option<Row>, StoreError> {
        Ok(self.all(statement).await?.into_iter().next())
    }

    /// The one row that a statement always has.
    pub(super) async fn one(&mut self, statement: Statement) -> Result<Row, StoreError> {
        self.optional(statement).await?.ok_or_else(|| super::row::corrupt("a row is missing"))
    }

    /// One row after the other, so that only one is held.
    pub(super) fn rows(
        &mut self,
        statement: Statement,
    ) -> Result<BoxStream<'_, Result<Row, StoreError>>, StoreError> {
        let (rows, run_max): (BoxStream<'_, sqlx::Result<Row>>, _) = match self {
            Self::Sqlite(held, run_max) => {
                let (sql, values) = statement.for_sqlite()?;
                let rows = sqlx::query_with(sql, values).fetch(&mut **held);
                (rows.map(|row| row.map(Row::Sqlite)).boxed(), *run_max)
            }
            Self::Postgres(..) if statement.seeks_nul() => return Ok(stream::empty().boxed()),
            Self::Postgres(held, run_max) => {
                let (sql, values) = statement.for_postgres()?;
                let rows = sqlx::query_with(sql, values).fetch(&mut **held);
                (rows.map(|row| row.map(Row::Postgres)).boxed(), *run_max)
            }
        };
        let timely = stream::unfold(rows, move |mut rows| async move {
            let row = run_max.keep(rows.try_next()).await.transpose()?;
            Some((row, rows))
        });
        Ok(timely.boxed())
    }

    /// Runs statements of this program's own that bring tables up to date.
    pub(super) async fn script(&mut self, sql: &'static str) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(held, _) => sqlx::raw_sql(sql).execute(&mut **held).await.map(drop),
            Self::Postgres(held, _) => sqlx::raw_sql(sql).execute(&mut **held).await.map(drop),
        }
        .map_err(failed)
    }

    /// Waits for its turn, which it has until the transaction ends. Turns are to be taken in order.
    pub(super) async fn take(&mut self, turn: Turn) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(..) => Ok(()),
            Self::Postgres(..) => {
                let lock = Statement::new("SELECT pg_advisory_xact_lock(?)").bind(turn.number());
                self.execute(lock).await.map(drop)
            }
        }
    }

    /// What was done in the transaction is durable on return.
    pub(super) async fn commit(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(Held::Transaction(tx), run_max) => run_max.keep(tx.commit()).await,
            Self::Postgres(Held::Transaction(tx), run_max) => run_max.keep(tx.commit()).await,
            Self::Sqlite(Held::Connection(_), _) | Self::Postgres(Held::Connection(_), _) => Ok(()),
        }
    }
}

impl Turn {
    /// PostgreSQL's locks of this kind are numbers, which all that use a database share.
    fn number(self) -> i64 {
        const OURS: i64 = 0x6169_6f6e_6500_0000;
        match self {
            Self::Change => OURS,
            Self::Rollups(number) => OURS + 1 + i64::from(number),
        }
    }
}

impl RunMax {
    /// What the database says, or that it said nothing in time.
    pub(super) async fn keep<T>(
        self,
        asking: impl Future<Output = sqlx::Result<T>>,
    ) -> Result<T, StoreError> {
        let Some(run_max) = self.0 else { return asking.await.map_err(failed) };
        match tokio::time::timeout(run_max, asking).await {
            Ok(answer) => answer.map_err(failed),
            Err(_) => Err(StoreError::Unavailable(format!("it did not answer within {run_max:?}"))),
        }
    }
}

impl<D: Database> Deref for Held<D> {
    type Target = D::Connection;
    fn deref(&self) -> &D::Connection {
        match self {
            Self::Connection(connection) => connection,
            Self::Transaction(transaction) => transaction,
        }
    }
}

impl<D: Database> DerefMut for Held<D> {
    fn deref_mut(&mut self) -> &mut D::Connection {
        match self {
            Self::Connection(connection) => connection,
            Self::Transaction(transaction) => transaction,
        }
    }
}
