//! Rows of usage records and price books.

use super::{
    engine::Db,
    row::{Row, corrupt, to_json},
    statement::{ROWS, Statement, Value, by_statement, marks},
};
use aione_core::{
    domain::{
        clock::Timestamp,
        id::{KeyId, OrgId, RecordId, TeamId},
        outlay::Outlay,
        price::PriceBook,
        usage::{Closed, End, Opened, Provenance, Usage, UsageRecord},
    },
    ports::StoreError,
};
use std::{
    collections::HashSet,
    sync::{Arc, LazyLock},
};

/// In the order in which [`bind`] binds them.
const COLUMNS: [&str; 38] = [
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
    "characters",
    "seconds",
    "provenance",
    "flagged",
    "unpriced",
    "latency_ms",
    "first_byte_ms",
    "cost_units",
    "cost_pico",
    "outlay",
    "failed_attempts",
];

/// Records that are deleted at a time: others write in between.
const DELETED_MAX: u32 = 1_000;

static INSERTS: LazyLock<[String; 3]> = LazyLock::new(|| ROWS.map(insert_sql));
static INSERT_TELLING: LazyLock<String> = LazyLock::new(|| insert_sql(1) + " RETURNING id");
pub(super) static SELECT: LazyLock<String> =
    LazyLock::new(|| format!("SELECT {} FROM usage_records", COLUMNS.join(", ")));

/// Inserts what is not there yet, and tells how many that are.
pub(super) async fn insert(db: &mut Db, records: &[UsageRecord]) -> Result<usize, StoreError> {
    let mut inserted = 0;
    for (which, records) in by_statement(records) {
        inserted += db.execute(with_values(&INSERTS[which], records)?).await?;
    }
    Ok(usize::try_from(inserted).unwrap_or(usize::MAX))
}

/// Inserts what is not there yet, and tells which those are: each row that comes back costs about as
/// much as one that goes in.
pub(super) async fn insert_telling<'r>(
    db: &mut Db,
    records: &'r [UsageRecord],
) -> Result<Vec<&'r UsageRecord>, StoreError> {
    let mut inserted = HashSet::new();
    for record in records {
        let insert = with_values(&INSERT_TELLING, std::slice::from_ref(record))?;
        for row in db.all(insert).await? {
            inserted.insert(row.uuid("id")?);
        }
    }
    // Of one that is there twice the first was inserted.
    Ok(records.iter().filter(|record| inserted.remove(&record.opened.id.0)).collect())
}

pub(super) async fn list(
    db: &mut Db,
    after: Option<RecordId>,
    limit: u32,
) -> Result<Vec<UsageRecord>, StoreError> {
    in_id_order(db, "TRUE", after, limit).await
}

/// Those that await a price.
pub(super) async fn list_unpriced(
    db: &mut Db,
    after: Option<RecordId>,
    limit: u32,
) -> Result<Vec<UsageRecord>, StoreError> {
    in_id_order(db, "unpriced AND NOT sandbox", after, limit).await
}

async fn in_id_order(
    db: &mut Db,
    which: &'static str,
    after: Option<RecordId>,
    limit: u32,
) -> Result<Vec<UsageRecord>, StoreError> {
    let mut sql = Statement::new(SELECT.as_str());
    sql.push(" WHERE ").push(which);
    if let Some(after) = after {
        sql.push(" AND id > ").push_value(after);
    }
    sql.push(" ORDER BY id LIMIT ").push_value(limit);
    db.all(sql).await?.iter().map(record_of).collect()
}

/// Gives a record that awaits one its price, and tells whether it did.
pub(super) async fn price(db: &mut Db, record: &UsageRecord) -> Result<bool, StoreError> {
    let UsageRecord { opened, closed } = record;
    let mut update = Statement::new(
        "UPDATE usage_records SET unpriced = ?, price_version = ?, cost_units = ?, cost_pico = ?
         WHERE id = ? AND started_at = ? AND unpriced",
    );
    update.add(false);
    update.add(opened.price_version);
    update.add_money(closed.cost)?;
    update.add(opened.id);
    update.add(opened.started_at);
    db.execute(update).await.map(|updated| updated == 1)
}

/// Deletes the oldest of those that started before `before`, and tells whether there may be more.
pub(super) async fn delete_some(db: &mut Db, before: Timestamp) -> Result<bool, StoreError> {
    // An id begins with its record's time, so that the oldest stand together.
    let delete = Statement::new(
        "DELETE FROM usage_records WHERE id IN
         (SELECT id FROM usage_records WHERE id < ? AND started_at < ? ORDER BY id LIMIT ?)",
    );
    let deleted =
        db.execute(delete.bind(RecordId::new(before, [0; 10])).bind(before).bind(DELETED_MAX)).await?;
    Ok(deleted == u64::from(DELETED_MAX))
}

pub(super) async fn keep_book(db: &mut Db, book: &PriceBook, now: Timestamp) -> Result<(), StoreError> {
    let insert = "INSERT INTO price_books (version, kept_at, body) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
    db.execute(Statement::new(insert).bind(book.version).bind(now).bind(to_json(book)?)).await.map(drop)
}

pub(super) async fn find_book(db: &mut Db, version: u64) -> Result<Option<PriceBook>, StoreError> {
    let select = "SELECT body FROM price_books WHERE version = ?";
    let row = db.optional(Statement::new(select).bind(version)).await?;
    row.map(|row| row.json("body")).transpose()
}

/// Of the same id, a record is the same: PostgreSQL's partitions need the time beside it.
fn insert_sql(rows: usize) -> String {
    let rows = vec![marks(COLUMNS.len()); rows].join(", ");
    format!("INSERT INTO usage_records ({}) VALUES {rows} ON CONFLICT DO NOTHING", COLUMNS.join(", "))
}

/// A statement that inserts `records`.
fn with_values(sql: &'static str, records: &[UsageRecord]) -> Result<Statement, StoreError> {
    let mut statement = Statement::with_values(sql, records.len() * COLUMNS.len());
    for record in records {
        bind(&mut statement, record)?;
    }
    Ok(statement)
}

/// Binds one record, column by column.
fn bind(row: &mut Statement, UsageRecord { opened, closed }: &UsageRecord) -> Result<(), StoreError> {
    row.add(opened.id);
    row.add(opened.started_at);
    row.add(opened.org);
    row.add(opened.team);
    row.add(opened.key);
    row.add(opened.model.clone());
    row.add(opened.dialect.clone());
    row.add(opened.provider.clone());
    row.add(opened.sandbox);
    row.add(opened.streamed);
    row.add(opened.price_version);
    row.add(opened.estimated_input);
    row.add(closed.provider.clone());
    row.add(closed.upstream_model.clone());
    row.add(closed.end.as_str());
    row.add(closed.status);
    row.add(closed.attempts);
    row.add_usage(&closed.usage);
    row.add(closed.provenance.as_str());
    row.add(closed.flagged);
    row.add(closed.unpriced);
    row.add(closed.latency_ms);
    row.add(closed.first_byte_ms);
    row.add_money(closed.cost)?;
    let Outlay { cost, failed } = &closed.outlay;
    row.add(*cost);
    row.add(if failed.is_empty() { Value::NullText } else { to_json(failed)?.into() });
    Ok(())
}

pub(super) fn record_of(row: &Row) -> Result<UsageRecord, StoreError> {
    let id = RecordId(row.uuid("id")?);
    let opened = Opened {
        id,
        started_at: row.time("started_at")?,
        org: OrgId(row.uuid("org_id")?),
        team: TeamId(row.uuid("team_id")?),
        key: KeyId(row.uuid("key_id")?),
        model: text(row, "model")?,
        dialect: text(row, "dialect")?,
        provider: text(row, "first_provider")?,
        sandbox: row.get("sandbox")?,
        streamed: row.get("streamed")?,
        price_version: row.unsigned("price_version")?,
        estimated_input: row.unsigned("estimated_input")?,
    };
    let closed = Closed {
        id,
        provider: text(row, "provider")?,
        upstream_model: text(row, "upstream_model")?,
        end: named(row, "ended", End::from_name)?,
        status: row.narrow("status")?,
        attempts: row.narrow("attempts")?,
        usage: usage_of(row)?,
        provenance: named(row, "provenance", Provenance::from_name)?,
        flagged: row.get("flagged")?,
        unpriced: row.get("unpriced")?,
        latency_ms: row.narrow("latency_ms")?,
        first_byte_ms: row.narrow("first_byte_ms")?,
        cost: row.cost()?,
        outlay: Outlay {
            cost: row.decimal_or_none("outlay")?,
            failed: row.json_or_none("failed_attempts")?.unwrap_or_default(),
        },
    };
    Ok(UsageRecord { opened, closed })
}

pub(super) fn usage_of(row: &Row) -> Result<Usage, StoreError> {
    Ok(Usage {
        input: row.unsigned("input")?,
        cache_read: row.unsigned("cache_read")?,
        cache_write_5m: row.unsigned("cache_write_5m")?,
        cache_write_1h: row.unsigned("cache_write_1h")?,
        audio_in: row.unsigned("audio_in")?,
        output: row.unsigned("output")?,
        reasoning: row.unsigned("reasoning")?,
        audio_out: row.unsigned("audio_out")?,
        images: row.unsigned("images")?,
        searches: row.unsigned("searches")?,
        characters: row.unsigned("characters")?,
        seconds: row.unsigned("seconds")?,
    })
}

fn text(row: &Row, column: &str) -> Result<Arc<str>, StoreError> {
    row.get::<&str>(column).map(Arc::from)
}

fn named<T>(row: &Row, column: &str, of: fn(&str) -> Option<T>) -> Result<T, StoreError> {
    let name: &str = row.get(column)?;
    of(name).ok_or_else(|| corrupt(format!("{column} has the unknown value `{name}`")))
}
