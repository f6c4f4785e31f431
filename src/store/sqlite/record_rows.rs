//! Rows of usage records and price books.

use super::value::{Values, corrupt, failed, get, join_money, narrow, time, unsigned, uuid};
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
    SqliteConnection, SqliteExecutor,
    sqlite::{SqliteArguments, SqliteRow},
};
use std::{
    collections::HashSet,
    sync::{Arc, LazyLock},
};

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

/// Inserts what is not there yet, and tells how many that are.
pub(super) async fn insert(db: &mut SqliteConnection, records: &[UsageRecord]) -> Result<usize, StoreError> {
    let (mut left, mut inserted) = (records, 0);
    for (rows, sql) in INSERTS.iter() {
        let mut chunks = left.chunks_exact(*rows);
        for chunk in chunks.by_ref() {
            let query = sqlx::query_with(sql.as_str(), values(chunk)?);
            inserted += query.execute(&mut *db).await.map_err(failed)?.rows_affected();
        }
        left = chunks.remainder();
    }
    Ok(usize::try_from(inserted).unwrap_or(usize::MAX))
}

/// Inserts what is not there yet, and tells which those are: each row that comes back costs about as
/// much as one that goes in.
pub(super) async fn insert_telling<'r>(
    db: &mut SqliteConnection,
    records: &'r [UsageRecord],
) -> Result<Vec<&'r UsageRecord>, StoreError> {
    let sql = INSERT_TELLING.as_str();
    let mut inserted = HashSet::new();
    for record in records {
        let query = sqlx::query_with(sql, values(std::slice::from_ref(record))?);
        for row in query.fetch_all(&mut *db).await.map_err(failed)? {
            inserted.insert(uuid(&row, "id")?);
        }
    }
    // Of one that is there twice the first was inserted.
    Ok(records.iter().filter(|record| inserted.remove(&record.opened.id.0)).collect())
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

static INSERT_TELLING: LazyLock<String> = LazyLock::new(|| insert_sql(1) + " RETURNING id");

fn insert_sql(rows: usize) -> String {
    let row = format!("({})", ["?"; COLUMNS.len()].join(", "));
    let rows = vec![row.as_str(); rows].join(", ");
    format!("INSERT INTO usage_records ({}) VALUES {rows} ON CONFLICT (id) DO NOTHING", COLUMNS.join(", "))
}

/// The values of a statement that inserts `records`.
fn values(records: &[UsageRecord]) -> Result<SqliteArguments, StoreError> {
    let mut row = Values::default();
    row.reserve(records.len() * COLUMNS.len());
    for record in records {
        bind(&mut row, record)?;
    }
    Ok(row.into_arguments())
}

/// Binds one record, column by column.
fn bind(row: &mut Values, UsageRecord { opened, closed }: &UsageRecord) -> Result<(), StoreError> {
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
    row.usage(&closed.usage)?;
    row.add(closed.provenance.as_str())?;
    row.add(closed.flagged)?;
    row.add(closed.unpriced)?;
    row.add(closed.latency_ms)?;
    row.add(closed.first_byte_ms)?;
    row.money(closed.cost)
}

pub(super) fn record_of(row: &SqliteRow) -> Result<UsageRecord, StoreError> {
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

pub(super) fn usage_of(row: &SqliteRow) -> Result<Usage, StoreError> {
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
