//! SQL with its values, for either engine.

use super::engine::Engine;
use aione_core::{
    domain::{
        clock::Timestamp,
        id::{AuditId, CreditNoteId, EntryId, InvoiceId, KeyId, OrgId, RecordId, TeamId, TokenId},
        money::Pico,
        usage::Usage,
    },
    ports::StoreError,
};
use sqlx::{
    Arguments as _, AssertSqlSafe, SqlSafeStr as _, SqlStr, postgres::PgArguments, sqlite::SqliteArguments,
};
use std::{borrow::Cow, fmt::Write as _, sync::Arc};
use uuid::Uuid;

const PICO_PER_UNIT: i128 = 1_000_000_000_000;

/// A statement that is being put together. Values stand as `?`, in order; PostgreSQL is shown them
/// with their numbers. No text of anybody else's is ever a part of the SQL.
#[derive(Debug)]
pub(super) struct Statement {
    sql: Cow<'static, str>,
    values: Vec<Value>,
}

/// A value of a column.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Int(i64),
    Text(Arc<str>),
    /// One of a fixed set of words.
    Word(&'static str),
    Bytes(Vec<u8>),
    Id(Uuid),
    /// The id of a part of a primary key that is not of anything: it cannot be null.
    NoId,
    Flag(bool),
    NullInt,
    NullText,
    NullId,
}

impl Statement {
    pub(super) fn new(sql: impl Into<Cow<'static, str>>) -> Self {
        Self { sql: sql.into(), values: Vec::new() }
    }

    /// With room for so many values.
    pub(super) fn with_values(sql: &'static str, values: usize) -> Self {
        Self { sql: Cow::Borrowed(sql), values: Vec::with_capacity(values) }
    }

    /// The value of the next `?` that is there already.
    pub(super) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.add(value);
        self
    }

    pub(super) fn add(&mut self, value: impl Into<Value>) {
        self.values.push(value.into());
    }

    /// More SQL.
    pub(super) fn push(&mut self, sql: &str) -> &mut Self {
        self.sql.to_mut().push_str(sql);
        self
    }

    /// A value at the end of the SQL.
    pub(super) fn push_value(&mut self, value: impl Into<Value>) -> &mut Self {
        self.push("?");
        self.add(value);
        self
    }

    /// `VALUES` and a row for each of `rows`, all of them of `columns` values that `bind` adds.
    pub(super) fn push_rows<T>(
        &mut self,
        columns: usize,
        rows: impl IntoIterator<Item = T>,
        mut bind: impl FnMut(&mut Self, T),
    ) -> &mut Self {
        let row = marks(columns);
        for (nth, item) in rows.into_iter().enumerate() {
            self.push(if nth == 0 { "VALUES " } else { ", " }).push(&row);
            bind(self, item);
        }
        self
    }

    /// The twelve classes, in the order of [`Usage`].
    pub(super) fn add_usage(&mut self, usage: &Usage) {
        for count in [
            usage.input,
            usage.cache_read,
            usage.cache_write_5m,
            usage.cache_write_1h,
            usage.audio_in,
            usage.output,
            usage.reasoning,
            usage.audio_out,
            usage.images,
            usage.searches,
            usage.characters,
            usage.seconds,
        ] {
            self.add(count);
        }
    }

    /// The two columns of an amount.
    ///
    /// # Errors
    /// It is too large to be kept.
    pub(super) fn add_money(&mut self, amount: Pico) -> Result<(), StoreError> {
        let (units, rest) = split_money(amount)?;
        self.add(units);
        self.add(rest);
        Ok(())
    }

    /// Whether it looks for a text with a character that PostgreSQL keeps in none: it finds nothing. What
    /// is to be kept is another matter.
    pub(super) fn seeks_nul(&self) -> bool {
        let has_nul = |value: &Value| matches!(value, Value::Text(text) if text.contains('\0'));
        self.values.iter().any(has_nul)
            && !["INSERT ", "UPDATE ", "DELETE "].iter().any(|word| self.sql.contains(word))
    }

    pub(super) fn for_sqlite(self) -> Result<(SqlStr, SqliteArguments), StoreError> {
        let mut arguments = SqliteArguments::default();
        arguments.reserve(self.values.len(), 0);
        for value in self.values {
            match value {
                Value::Int(value) => arguments.add(value),
                Value::Text(value) => arguments.add(value),
                Value::Word(value) => arguments.add(value),
                Value::Bytes(value) => arguments.add(value),
                Value::Id(value) => arguments.add(value.as_bytes().to_vec()),
                Value::NoId => arguments.add(Vec::<u8>::new()),
                Value::Flag(value) => arguments.add(value),
                Value::NullInt => arguments.add(None::<i64>),
                Value::NullText => arguments.add(None::<&str>),
                Value::NullId => arguments.add(None::<Vec<u8>>),
            }
            .map_err(super::row::corrupt)?;
        }
        Ok((safe(self.sql), arguments))
    }

    pub(super) fn for_postgres(self) -> Result<(SqlStr, PgArguments), StoreError> {
        let mut arguments = PgArguments::default();
        arguments.reserve(self.values.len(), 0);
        for value in self.values {
            match value {
                Value::Int(value) => arguments.add(value),
                Value::Text(value) => arguments.add(value),
                Value::Word(value) => arguments.add(value),
                Value::Bytes(value) => arguments.add(value),
                Value::Id(value) => arguments.add(value),
                Value::NoId => arguments.add(Uuid::nil()),
                Value::Flag(value) => arguments.add(value),
                Value::NullInt => arguments.add(None::<i64>),
                Value::NullText => arguments.add(None::<&str>),
                Value::NullId => arguments.add(None::<Uuid>),
            }
            .map_err(super::row::corrupt)?;
        }
        Ok((safe(Cow::Owned(numbered(&self.sql))), arguments))
    }
}

/// The SQL is this program's own: whatever comes from elsewhere is a value.
fn safe(sql: Cow<'static, str>) -> SqlStr {
    match sql {
        Cow::Borrowed(sql) => sql.into_sql_str(),
        Cow::Owned(sql) => AssertSqlSafe(sql).into_sql_str(),
    }
}

/// `(?, ?, …)` of so many columns.
pub(super) fn marks(columns: usize) -> String {
    format!("({})", vec!["?"; columns].join(", "))
}

/// Each `?` as `$1`, `$2`, ….
fn numbered(sql: &str) -> String {
    let mut parts = sql.split('?');
    let mut numbered = String::with_capacity(sql.len() * 3 / 2);
    numbered.push_str(parts.next().unwrap_or_default());
    for (nth, part) in parts.enumerate() {
        write!(numbered, "${}{part}", nth + 1).expect("a string takes everything");
    }
    numbered
}

/// The words in which the engines differ.
impl Engine {
    /// A function that tells where in its first text its second one begins, 0: nowhere.
    pub(super) fn position(self) -> &'static str {
        match self {
            Self::Sqlite => "instr",
            Self::Postgres => "strpos",
        }
    }

    /// A column's text with the letters of ASCII in lower case and all others as they are.
    pub(super) fn lowered(self, column: &str) -> String {
        match self {
            Self::Sqlite => format!("lower({column})"),
            Self::Postgres => format!("lower({column} COLLATE \"C\")"),
        }
    }

    /// Pieces of time from a JSON array of arrays, which is one value.
    pub(super) fn unpacked(self) -> &'static str {
        match self {
            Self::Sqlite => {
                "SELECT value ->> 0 AS span, value ->> 1 AS from_at, value ->> 2 AS until_at, \
                 value ->> 3 AS shift_ms FROM json_each(?)"
            }
            Self::Postgres => {
                "SELECT (value ->> 0)::bigint AS span, (value ->> 1)::bigint AS from_at, \
                 (value ->> 2)::bigint AS until_at, (value ->> 3)::bigint AS shift_ms \
                 FROM json_array_elements(?::json)"
            }
        }
    }

    /// Pieces of time of which each is a query of its own; more are joined. SQLite would copy the rows of
    /// several.
    pub(super) fn queries_max(self) -> usize {
        match self {
            Self::Sqlite => 1,
            Self::Postgres => 4,
        }
    }
}

/// How many rows a statement may have, the most first: each statement is a trip to the connection's
/// thread or to a server, which costs more than a row does, and is prepared once.
pub(super) const ROWS: [usize; 3] = [64, 8, 1];

/// `rows` in as few statements as there can be: for each, which of [`ROWS`] it has, and those rows.
pub(super) fn by_statement<T>(rows: &[T]) -> impl Iterator<Item = (usize, &[T])> {
    let mut left = rows;
    std::iter::from_fn(move || {
        let which = ROWS.iter().position(|rows| *rows <= left.len())?;
        let (rows, rest) = left.split_at(ROWS[which]);
        left = rest;
        Some((which, rows))
    })
}

/// An amount as whole units and the rest in 10⁻¹² of one, which is never negative: together they
/// hold ±9.2 × 10¹⁸ units, where one column of 10⁻¹² would end at 9.2 million.
fn split_money(amount: Pico) -> Result<(i64, i64), StoreError> {
    let units = i64::try_from(amount.0.div_euclid(PICO_PER_UNIT))
        .map_err(|_| StoreError::Corrupt(format!("the amount {amount} is too large to be kept")))?;
    let rest = i64::try_from(amount.0.rem_euclid(PICO_PER_UNIT)).expect("a remainder is below 10^12");
    Ok((units, rest))
}

/// The amount of sums over the two columns.
pub(super) fn join_money(units: i64, rest: i128) -> Pico {
    Pico(i128::from(units) * PICO_PER_UNIT + rest)
}

macro_rules! values {
    ($($from:ty, $value:ident => $to:expr;)*) => {
        $(impl From<$from> for Value {
            fn from($value: $from) -> Self {
                $to
            }
        })*
    };
}

values! {
    i64, value => Value::Int(value);
    u32, value => Value::Int(value.into());
    u16, value => Value::Int(value.into());
    u8, value => Value::Int(value.into());
    // An unsigned number is kept in the bits of a signed one.
    u64, value => Value::Int(value.cast_signed());
    bool, value => Value::Flag(value);
    String, value => Value::Text(value.into());
    Arc<str>, value => Value::Text(value);
    &'static str, value => Value::Word(value);
    Vec<u8>, value => Value::Bytes(value);
    [u8; 32], value => Value::Bytes(value.to_vec());
    Uuid, value => Value::Id(value);
    OrgId, id => Value::Id(id.0);
    TeamId, id => Value::Id(id.0);
    KeyId, id => Value::Id(id.0);
    TokenId, id => Value::Id(id.0);
    AuditId, id => Value::Id(id.0);
    RecordId, id => Value::Id(id.0);
    EntryId, id => Value::Id(id.0);
    InvoiceId, id => Value::Id(id.0);
    CreditNoteId, id => Value::Id(id.0);
    Timestamp, at => Value::Int(at.0);
    // As the decimal that it is, exact.
    Option<Pico>, amount => amount.map_or(Value::NullText, |amount| Value::Text(amount.to_decimal().into()));
    Option<u64>, value => value.map_or(Value::NullInt, Value::from);
    Option<Timestamp>, value => value.map_or(Value::NullInt, Value::from);
    Option<Arc<str>>, value => value.map_or(Value::NullText, Value::from);
    Option<String>, value => value.map_or(Value::NullText, Value::from);
    Option<OrgId>, value => value.map_or(Value::NullId, Value::from);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_numbered_in_order() {
        assert_eq!(numbered("SELECT 1"), "SELECT 1");
        assert_eq!(numbered("a = ? AND b = ? LIMIT ?"), "a = $1 AND b = $2 LIMIT $3");
    }

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
