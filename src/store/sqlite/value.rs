//! How the domain's values stand in columns, and how SQLite's errors become the port's.

use aione_core::{
    domain::{clock::Timestamp, money::Pico, plan::RateLimits, usage::Usage},
    ports::{LimitChange, StoreError},
};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::{
    Arguments as _, Encode, QueryBuilder, Row, Sqlite, Type,
    sqlite::{SqliteArguments, SqliteRow},
};
use uuid::Uuid;

const PICO_PER_UNIT: i128 = 1_000_000_000_000;

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
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::ColumnNotFound(_) => {
            corrupt(error)
        }
        _ => StoreError::Unavailable(error.to_string()),
    }
}

pub(super) fn corrupt(what: impl ToString) -> StoreError {
    StoreError::Corrupt(what.to_string())
}

/// A column by name.
pub(super) fn get<'r, T>(row: &'r SqliteRow, column: &str) -> Result<T, StoreError>
where
    T: sqlx::Decode<'r, Sqlite> + sqlx::Type<Sqlite>,
{
    row.try_get(column).map_err(failed)
}

pub(super) fn uuid(row: &SqliteRow, column: &str) -> Result<Uuid, StoreError> {
    Uuid::from_slice(get::<&[u8]>(row, column)?).map_err(corrupt)
}

pub(super) fn uuid_or_none(row: &SqliteRow, column: &str) -> Result<Option<Uuid>, StoreError> {
    get::<Option<&[u8]>>(row, column)?.map(Uuid::from_slice).transpose().map_err(corrupt)
}

/// An unsigned number, which is kept in the bits of a signed one.
pub(super) fn unsigned(row: &SqliteRow, column: &str) -> Result<u64, StoreError> {
    Ok(get::<i64>(row, column)?.cast_unsigned())
}

/// A number of a narrower type.
pub(super) fn narrow<T: TryFrom<i64>>(row: &SqliteRow, column: &str) -> Result<T, StoreError> {
    T::try_from(get::<i64>(row, column)?).map_err(|_| corrupt(format!("{column} is out of range")))
}

pub(super) fn time(row: &SqliteRow, column: &str) -> Result<Timestamp, StoreError> {
    get(row, column).map(Timestamp)
}

pub(super) fn time_or_none(row: &SqliteRow, column: &str) -> Result<Option<Timestamp>, StoreError> {
    Ok(get::<Option<i64>>(row, column)?.map(Timestamp))
}

/// A value that is kept as JSON.
pub(super) fn json<T: DeserializeOwned>(row: &SqliteRow, column: &str) -> Result<T, StoreError> {
    serde_json::from_str(get(row, column)?).map_err(|error| corrupt(format!("{column}: {error}")))
}

pub(super) fn json_or_none<T: DeserializeOwned>(
    row: &SqliteRow,
    column: &str,
) -> Result<Option<T>, StoreError> {
    let text: Option<&str> = get(row, column)?;
    text.map(serde_json::from_str).transpose().map_err(|error| corrupt(format!("{column}: {error}")))
}

pub(super) fn to_json(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(corrupt)
}

/// The four limit columns, whose names begin with `prefix`.
pub(super) fn limits(row: &SqliteRow, prefix: &str) -> Result<RateLimits, StoreError> {
    let of = |meter: &str| -> Result<Option<u64>, StoreError> {
        Ok(get::<Option<i64>>(row, &format!("{prefix}{meter}"))?.map(i64::cast_unsigned))
    };
    Ok(RateLimits { rpm: of("rpm")?, tpm: of("tpm")?, rpd: of("rpd")?, concurrency: of("concurrency")? })
}

/// The assignments of an update that limits change with.
pub(super) fn push_limits(sql: &mut QueryBuilder<Sqlite>, change: LimitChange) {
    let LimitChange { rpm, tpm, rpd, concurrency } = change;
    for (assignment, value) in
        [(", rpm = ", rpm), (", tpm = ", tpm), (", rpd = ", rpd), (", concurrency = ", concurrency)]
    {
        if let Some(value) = value {
            sql.push(assignment).push_bind(limit(value));
        }
    }
}

/// A number of rows, as SQLite counts them.
pub(super) fn saturated(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(super) fn limit(value: Option<u64>) -> Option<i64> {
    value.map(u64::cast_signed)
}

/// An amount as whole units and the rest in 10⁻¹² of one, which is never negative: together they
/// hold ±9.2 × 10¹⁸ units, where one column of 10⁻¹² would end at 9.2 million.
fn split_money(amount: Pico) -> Result<(i64, i64), StoreError> {
    let units = i64::try_from(amount.0.div_euclid(PICO_PER_UNIT))
        .map_err(|_| corrupt(format!("the amount {amount} is too large to be kept")))?;
    let rest = i64::try_from(amount.0.rem_euclid(PICO_PER_UNIT)).expect("a remainder is below 10^12");
    Ok((units, rest))
}

/// The amount of sums over the two columns.
pub(super) fn join_money(units: i64, rest: i128) -> Pico {
    Pico(i128::from(units) * PICO_PER_UNIT + rest)
}

/// The values of a statement, as they are gathered.
#[derive(Default)]
pub(super) struct Values(SqliteArguments);

impl Values {
    pub(super) fn reserve(&mut self, values: usize) {
        self.0.reserve(values, 0);
    }

    pub(super) fn add<'t, T: Encode<'t, Sqlite> + Type<Sqlite>>(
        &mut self,
        value: T,
    ) -> Result<(), StoreError> {
        self.0.add(value).map_err(corrupt)
    }

    pub(super) fn id(&mut self, id: Uuid) -> Result<(), StoreError> {
        self.add(id.as_bytes().to_vec())
    }

    pub(super) fn count(&mut self, count: u64) -> Result<(), StoreError> {
        self.add(count.cast_signed())
    }

    /// The ten classes, in the order of [`Usage`].
    pub(super) fn usage(&mut self, usage: &Usage) -> Result<(), StoreError> {
        self.count(usage.input)?;
        self.count(usage.cache_read)?;
        self.count(usage.cache_write_5m)?;
        self.count(usage.cache_write_1h)?;
        self.count(usage.audio_in)?;
        self.count(usage.output)?;
        self.count(usage.reasoning)?;
        self.count(usage.audio_out)?;
        self.count(usage.images)?;
        self.count(usage.searches)
    }

    /// The two columns of an amount.
    pub(super) fn money(&mut self, amount: Pico) -> Result<(), StoreError> {
        let (units, rest) = split_money(amount)?;
        self.add(units)?;
        self.add(rest)
    }

    pub(super) fn into_arguments(self) -> SqliteArguments {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_comes_back_as_it_was() {
        let largest = i128::from(i64::MAX) * PICO_PER_UNIT + (PICO_PER_UNIT - 1);
        for pico in [0, 1, -1, PICO_PER_UNIT, -PICO_PER_UNIT - 1, 10_i128.pow(27) + 7, largest] {
            let (units, rest) = split_money(Pico(pico)).unwrap();
            assert!((0..PICO_PER_UNIT).contains(&i128::from(rest)));
            assert_eq!(join_money(units, i128::from(rest)), Pico(pico));
        }
        assert!(matches!(split_money(Pico(largest + 1)), Err(StoreError::Corrupt(_))));
    }
}
