//! How the domain's values come out of columns, and how a database's errors become the port's.

use super::statement::join_money;
use crate::clock;
use aione_core::{
    domain::{
        budget::{BillingMode, Terms},
        clock::Timestamp,
        money::Pico,
        plan::RateLimits,
    },
    ports::{NextPlan, StoreError},
};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::{ColumnIndex, Decode, Postgres, Row as _, Sqlite, Type, postgres::PgRow, sqlite::SqliteRow};
use std::sync::Arc;
use uuid::Uuid;

/// SQLite broke a statement off at its time's end; so did PostgreSQL.
const BROKEN_OFF: [&str; 2] = ["9", "57014"];
/// PostgreSQL's class of values that no column takes.
const DATA_EXCEPTION: &str = "22";

/// A row of either engine. Its accessors take a column's name or its place.
pub(super) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// A column that both engines find.
pub(super) trait Column:
    ColumnIndex<SqliteRow> + ColumnIndex<PgRow> + std::fmt::Display + Copy
{
}

impl<C: ColumnIndex<SqliteRow> + ColumnIndex<PgRow> + std::fmt::Display + Copy> Column for C {}

/// A value that both engines have.
pub(super) trait Both<'r>:
    Decode<'r, Sqlite> + Type<Sqlite> + Decode<'r, Postgres> + Type<Postgres>
{
}

impl<'r, T: Decode<'r, Sqlite> + Type<Sqlite> + Decode<'r, Postgres> + Type<Postgres>> Both<'r> for T {}

impl Row {
    pub(super) fn get<'r, T: Both<'r>>(&'r self, column: impl Column) -> Result<T, StoreError> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
        .map_err(failed)
    }

    pub(super) fn uuid(&self, column: impl Column) -> Result<Uuid, StoreError> {
        self.uuid_or_none(column)?.ok_or_else(|| corrupt(format!("{column} is null")))
    }

    pub(super) fn uuid_or_none(&self, column: impl Column) -> Result<Option<Uuid>, StoreError> {
        match self {
            Self::Sqlite(row) => {
                let bytes: Option<&[u8]> = row.try_get(column).map_err(failed)?;
                bytes.map(Uuid::from_slice).transpose().map_err(corrupt)
            }
            Self::Postgres(row) => row.try_get(column).map_err(failed),
        }
    }

    /// An unsigned number, which is kept in the bits of a signed one.
    pub(super) fn unsigned(&self, column: impl Column) -> Result<u64, StoreError> {
        Ok(self.get::<i64>(column)?.cast_unsigned())
    }

    /// A number of a narrower type.
    pub(super) fn narrow<T: TryFrom<i64>>(&self, column: impl Column) -> Result<T, StoreError> {
        T::try_from(self.get::<i64>(column)?).map_err(|_| corrupt(format!("{column} is out of range")))
    }

    pub(super) fn time(&self, column: impl Column) -> Result<Timestamp, StoreError> {
        self.get(column).map(Timestamp)
    }

    pub(super) fn time_or_none(&self, column: impl Column) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.get::<Option<i64>>(column)?.map(Timestamp))
    }

    /// A value that is kept as JSON.
    pub(super) fn json<T: DeserializeOwned>(&self, column: impl Column) -> Result<T, StoreError> {
        serde_json::from_str(self.get(column)?).map_err(|error| corrupt(format!("{column}: {error}")))
    }

    pub(super) fn json_or_none<T: DeserializeOwned>(
        &self,
        column: impl Column,
    ) -> Result<Option<T>, StoreError> {
        let text: Option<&str> = self.get(column)?;
        text.map(serde_json::from_str).transpose().map_err(|error| corrupt(format!("{column}: {error}")))
    }

    /// An amount in the columns `cost_units` and `cost_pico`.
    pub(super) fn cost(&self) -> Result<Pico, StoreError> {
        self.money("cost_units", "cost_pico")
    }

    pub(super) fn money(&self, units: &str, rest: &str) -> Result<Pico, StoreError> {
        Ok(join_money(self.get(units)?, i128::from(self.get::<i64>(rest)?)))
    }

    /// An amount that is kept as a decimal.
    pub(super) fn decimal_or_none(&self, column: impl Column) -> Result<Option<Pico>, StoreError> {
        let text: Option<&str> = self.get(column)?;
        text.map(str::parse).transpose().map_err(|error| corrupt(format!("{column}: {error}")))
    }

    pub(super) fn decimal(&self, column: impl Column) -> Result<Pico, StoreError> {
        self.decimal_or_none(column)?.ok_or_else(|| corrupt(format!("{column} is null")))
    }

    /// The id of a part of a primary key; `None`: it is not of anything.
    pub(super) fn id_or_none(&self, column: impl Column) -> Result<Option<Uuid>, StoreError> {
        match self {
            Self::Sqlite(row) => {
                let bytes: &[u8] = row.try_get(column).map_err(failed)?;
                (!bytes.is_empty()).then(|| Uuid::from_slice(bytes)).transpose().map_err(corrupt)
            }
            Self::Postgres(row) => {
                let id: Uuid = row.try_get(column).map_err(failed)?;
                Ok(Some(id).filter(|id| !id.is_nil()))
            }
        }
    }

    /// One of the words that `known` knows.
    pub(super) fn word<T>(
        &self,
        column: impl Column,
        known: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, StoreError> {
        let word = self.get(column)?;
        known(word).ok_or_else(|| corrupt(format!("{column}: there is no `{word}`")))
    }

    pub(super) fn zone(&self, column: impl Column) -> Result<chrono_tz::Tz, StoreError> {
        self.get::<&str>(column)?.parse().map_err(|error| corrupt(format!("{column}: {error}")))
    }

    /// The plan that holds now, and the one that will: of the columns whose names begin with `prefix`.
    pub(super) fn plans(&self, prefix: &str) -> Result<(Arc<str>, Option<NextPlan>), StoreError> {
        let column = |name: &str| format!("{prefix}{name}");
        let next: Option<&str> = self.get(column("next_plan").as_str())?;
        let at = self.time_or_none(column("next_plan_at").as_str())?;
        match next.zip(at) {
            Some((plan, at)) if at <= clock::now() => Ok((plan.into(), None)),
            next => {
                let plan = self.get::<&str>(column("plan").as_str())?.into();
                Ok((plan, next.map(|(plan, at)| NextPlan { plan: plan.into(), at })))
            }
        }
    }

    /// What the columns whose names begin with `prefix` say of an organization's terms.
    pub(super) fn terms(&self, prefix: &str) -> Result<Terms, StoreError> {
        let column = |name: &str| format!("{prefix}{name}");
        Ok(Terms {
            mode: self.word(column("billing_mode").as_str(), BillingMode::from_name)?,
            credit_limit: self.decimal_or_none(column("credit_limit").as_str())?,
            monthly_budget: self.decimal_or_none(column("monthly_budget").as_str())?,
        })
    }

    /// The four limit columns, whose names begin with `prefix`.
    pub(super) fn limits(&self, prefix: &str) -> Result<RateLimits, StoreError> {
        let of = |meter: &str| -> Result<Option<u64>, StoreError> {
            Ok(self.get::<Option<i64>>(format!("{prefix}{meter}").as_str())?.map(i64::cast_unsigned))
        };
        Ok(RateLimits { rpm: of("rpm")?, tpm: of("tpm")?, rpd: of("rpd")?, concurrency: of("concurrency")? })
    }
}

/// What a failed statement means to the caller of a port.
pub(super) fn failed(error: sqlx::Error) -> StoreError {
    match &error {
        sqlx::Error::Database(inner)
            if inner.is_unique_violation()
                || inner.is_foreign_key_violation()
                || inner.is_check_violation() =>
        {
            StoreError::Conflict(inner.message().to_owned())
        }
        sqlx::Error::Database(inner) => match inner.code() {
            Some(code) if BROKEN_OFF.contains(&&*code) => {
                StoreError::Unavailable("a statement took longer than it may".to_owned())
            }
            Some(code) if code.len() == 5 && code.starts_with(DATA_EXCEPTION) => corrupt(error),
            _ => StoreError::Unavailable(error.to_string()),
        },
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::ColumnNotFound(_) => {
            corrupt(error)
        }
        _ => StoreError::Unavailable(error.to_string()),
    }
}

pub(super) fn corrupt(what: impl ToString) -> StoreError {
    StoreError::Corrupt(what.to_string())
}

pub(super) fn to_json(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(corrupt)
}

/// A number of rows, as databases count them.
pub(super) fn saturated(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
