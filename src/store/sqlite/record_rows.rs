//! Rows of usage records and price books.

use super::value::{corrupt, failed, get, join_money, narrow, split_money, time, unsigned, uuid};
use aione_core::{
    domain::{
        clock::Timestamp,
        id::{KeyId, OrgId, RecordId, TeamId},
        price::PriceBook,
        usage::{Closed, End, Opened, Provenance, Usage, UsageRecord},
    },
    ports::StoreError,
};
use sqlx::{
    Arguments as _, Encode, Sqlite, SqliteConnection, SqliteExecutor, Type,
    sqlite::{SqliteArguments, SqliteRow},
};
use std::sync::{Arc, LazyLock};

/// In the order in which [`bind`] binds them.
const COLUMNS: [&str; 34] = [
    "id",
    "started_at",
    "org_id",
    "team_id",
    "key_id",
    "model",
    "dialect",
    "first_provider",
    "sandbox",
    "streamed",
    "price_version",
    "estimated_input",
    "provider",
    "upstream_model",
    "ended",
    "status",
    "attempts",
    "input",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "audio_in",
    "output",
    "reasoning",
    "audio_out",
    "images",
    "searches",
    "provenance",
    "flagged",
    "unpriced",
    "latency_ms",
    "first_byte_ms",
    "cost_units",
    "cost_pico",
];

/// How many rows a statement may have, the most first: each statement is a trip to the connection's
/// thread, which costs more than a row does, and is prepared once.
static INSERTS: LazyLock<[(usize, String); 3]> =
    LazyLock::new(|| [64, 8, 1].map(|rows| (rows, insert_sql(rows))));

/// Inserts what is not there yet.
pub(super) async fn insert(db: &mut SqliteConnection, records: &[UsageRecord]) -> Result<(), StoreError> {
    let mut left = records;
    for (rows, sql) in INSERTS.iter() {
        let mut chunks = left.chunks_exact(*rows);
        for chunk in chunks.by_ref() {
            insert_rows(db, sql.as_str(), chunk).await?;
        }
        left = chunks.remainder();
    }
    Ok(())
}

pub(super) async fn list(
    db: impl SqliteExecutor<'_>,
    after: Option<RecordId>,
    limit: u32,
) -> Result<Vec<UsageRecord>, StoreError> {
    // No id is below sixteen zeros, and none is equal to none.
    let after = after.map_or(Vec::new(), |id| id.0.as_bytes().to_vec());
    let rows = sqlx::query("SELECT * FROM usage_records WHERE id > ? ORDER BY id LIMIT ?")
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(db)
        .await
        .map_err(failed)?;
    rows.iter().map(record_of).collect()
}

pub(super) async fn keep_book(
    db: impl SqliteExecutor<'_>,
    book: &PriceBook,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO price_books (version, kept_at, body) VALUES (?, ?, ?) ON CONFLICT DO NOTHING")
        .bind(book.version.cast_signed())
        .bind(now.0)
        .bind(super::value::to_json(book)?)
        .execute(db)
        .await
        .map(drop)
        .map_err(failed)
}

pub(super) async fn find_book(
    db: impl SqliteExecutor<'_>,
    version: u64,
) -> Result<Option<PriceBook>, StoreError> {
    let row = sqlx::query("SELECT body FROM price_books WHERE version = ?")
        .bind(version.cast_signed())
        .fetch_optional(db)
        .await
        .map_err(failed)?;
    row.as_ref().map(|row| super::value::json(row, "body")).transpose()
}

fn insert_sql(rows: usize) -> String {
    let row = format!("({})", ["?"; COLUMNS.len()].join(", "));
    let rows = vec![row.as_str(); rows].join(", ");
    format!("INSERT INTO usage_records ({}) VALUES {rows} ON CONFLICT (id) DO NOTHING", COLUMNS.join(", "))
}

async fn insert_rows(
    db: &mut SqliteConnection,
    sql: &'static str,
    records: &[UsageRecord],
) -> Result<(), StoreError> {
    let mut row = Row(SqliteArguments::default());
    row.0.reserve(records.len() * COLUMNS.len(), 0);
    for record in records {
        bind(&mut row, record)?;
    }
    sqlx::query_with(sql, row.0).execute(db).await.map(drop).map_err(failed)
}

/// Binds one record, column by column.
fn bind(row: &mut Row, UsageRecord { opened, closed }: &UsageRecord) -> Result<(), StoreError> {
    let (units, pico) = split_money(closed.cost)?;
    let usage = &closed.usage;
    row.id(opened.id.0)?;
    row.add(opened.started_at.0)?;
    row.id(opened.org.0)?;
    row.id(opened.team.0)?;
    row.id(opened.key.0)?;
    row.add(opened.model.clone())?;
    row.add(opened.dialect.clone())?;
    row.add(opened.provider.clone())?;
    row.add(opened.sandbox)?;
    row.add(opened.streamed)?;
    row.count(opened.price_version)?;
    row.count(opened.estimated_input)?;
    row.add(closed.provider.clone())?;
    row.add(closed.upstream_model.clone())?;
    row.add(closed.end.as_str())?;
    row.add(closed.status)?;
    row.add(closed.attempts)?;
    row.count(usage.input)?;
    row.count(usage.cache_read)?;
    row.count(usage.cache_write_5m)?;
    row.count(usage.cache_write_1h)?;
    row.count(usage.audio_in)?;
    row.count(usage.output)?;
    row.count(usage.reasoning)?;
    row.count(usage.audio_out)?;
    row.count(usage.images)?;
    row.count(usage.searches)?;
    row.add(closed.provenance.as_str())?;
    row.add(closed.flagged)?;
    row.add(closed.unpriced)?;
    row.add(closed.latency_ms)?;
    row.add(closed.first_byte_ms)?;
    row.add(units)?;
    row.add(pico)
}

/// The values of a statement, as they are gathered.
struct Row(SqliteArguments);

impl Row {
    fn add<'t, T: Encode<'t, Sqlite> + Type<Sqlite>>(&mut self, value: T) -> Result<(), StoreError> {
        self.0.add(value).map_err(corrupt)
    }

    fn id(&mut self, id: uuid::Uuid) -> Result<(), StoreError> {
        self.add(id.as_bytes().to_vec())
    }

    fn count(&mut self, count: u64) -> Result<(), StoreError> {
        self.add(count.cast_signed())
    }
}

fn record_of(row: &SqliteRow) -> Result<UsageRecord, StoreError> {
    let id = RecordId(uuid(row, "id")?);
    let opened = Opened {
        id,
        started_at: time(row, "started_at")?,
        org: OrgId(uuid(row, "org_id")?),
        team: TeamId(uuid(row, "team_id")?),
        key: KeyId(uuid(row, "key_id")?),
        model: text(row, "model")?,
        dialect: text(row, "dialect")?,
        provider: text(row, "first_provider")?,
        sandbox: get(row, "sandbox")?,
        streamed: get(row, "streamed")?,
        price_version: unsigned(row, "price_version")?,
        estimated_input: unsigned(row, "estimated_input")?,
    };
    let closed = Closed {
        id,
        provider: text(row, "provider")?,
        upstream_model: text(row, "upstream_model")?,
        end: named(row, "ended", End::from_name)?,
        status: narrow(row, "status")?,
        attempts: narrow(row, "attempts")?,
        usage: usage_of(row)?,
        provenance: named(row, "provenance", Provenance::from_name)?,
        flagged: get(row, "flagged")?,
        unpriced: get(row, "unpriced")?,
        latency_ms: narrow(row, "latency_ms")?,
        first_byte_ms: narrow(row, "first_byte_ms")?,
        cost: join_money(get(row, "cost_units")?, i128::from(get::<i64>(row, "cost_pico")?)),
    };
    Ok(UsageRecord { opened, closed })
}

fn usage_of(row: &SqliteRow) -> Result<Usage, StoreError> {
    Ok(Usage {
        input: unsigned(row, "input")?,
        cache_read: unsigned(row, "cache_read")?,
        cache_write_5m: unsigned(row, "cache_write_5m")?,
        cache_write_1h: unsigned(row, "cache_write_1h")?,
        audio_in: unsigned(row, "audio_in")?,
        output: unsigned(row, "output")?,
        reasoning: unsigned(row, "reasoning")?,
        audio_out: unsigned(row, "audio_out")?,
        images: unsigned(row, "images")?,
        searches: unsigned(row, "searches")?,
    })
}

fn text(row: &SqliteRow, column: &str) -> Result<Arc<str>, StoreError> {
    get::<&str>(row, column).map(Arc::from)
}

fn named<T>(row: &SqliteRow, column: &str, of: fn(&str) -> Option<T>) -> Result<T, StoreError> {
    let name: &str = get(row, column)?;
    of(name).ok_or_else(|| corrupt(format!("{column} has the unknown value `{name}`")))
}
