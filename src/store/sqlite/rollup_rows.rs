//! Rows of rollups.

use super::{
    record_rows,
    rollups::Place,
    value::{Values, corrupt, failed, get, join_money, unsigned},
};
use aione_core::{
    domain::{histogram::Histogram, rollup::Rollup},
    ports::StoreError,
};
use sqlx::{
    Row as _, SqliteConnection,
    sqlite::{SqliteArguments, SqliteRow},
};
use std::sync::LazyLock;

/// The primary key, in the order in which [`bind_place`] binds it.
const PLACE: [&str; 8] =
    ["org_id", "by_key", "span_ms", "start_at", "team_id", "key_id", "model", "provider"];
/// In the order in which [`bind_rollup`] binds them.
const NUMBERS: [&str; 17] = [
    "requests",
    "unpriced",
    "faults",
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
    "cost_units",
    "cost_pico",
    "latency_ms",
    "latencies",
];

/// How many rows a statement may read or write, the most first, as for records.
static STATEMENTS: LazyLock<[Statements; 3]> = LazyLock::new(|| [64, 8, 1].map(Statements::of));

struct Statements {
    rows: usize,
    read: String,
    write: String,
}

/// A number that changes when another connection commits, and not when this one does.
pub(super) async fn data_version(db: &mut SqliteConnection) -> Result<i64, StoreError> {
    sqlx::query_scalar("PRAGMA data_version").fetch_one(db).await.map_err(failed)
}

/// The rollups of those places that have one.
pub(super) async fn read(
    db: &mut SqliteConnection,
    places: &[Place],
) -> Result<Vec<(Place, Rollup)>, StoreError> {
    let (mut left, mut found) = (places, Vec::new());
    for statements in STATEMENTS.iter() {
        let mut chunks = left.chunks_exact(statements.rows);
        for chunk in chunks.by_ref() {
            let query = sqlx::query_with(statements.read.as_str(), wanted(chunk)?);
            for row in query.fetch_all(&mut *db).await.map_err(failed)? {
                let nth: i64 = row.try_get(0).map_err(failed)?;
                let place = usize::try_from(nth).ok().and_then(|nth| chunk.get(nth));
                let place = place.expect("a row has the number that it was asked by");
                found.push((place.clone(), rollup_of(&row)?));
            }
        }
        left = chunks.remainder();
    }
    Ok(found)
}

/// Puts rollups in the place of what is there.
pub(super) async fn write(
    db: &mut SqliteConnection,
    rollups: &[(&Place, &Rollup)],
) -> Result<(), StoreError> {
    let mut left = rollups;
    for statements in STATEMENTS.iter() {
        let mut chunks = left.chunks_exact(statements.rows);
        for chunk in chunks.by_ref() {
            let mut values = Values::default();
            values.reserve(chunk.len() * (PLACE.len() + NUMBERS.len()));
            for (place, rollup) in chunk {
                bind_place(&mut values, place)?;
                bind_rollup(&mut values, rollup)?;
            }
            let query = sqlx::query_with(statements.write.as_str(), values.into_arguments());
            query.execute(&mut *db).await.map_err(failed)?;
        }
        left = chunks.remainder();
    }
    Ok(())
}

impl Statements {
    fn of(rows: usize) -> Self {
        let marks = |columns: usize| format!("({})", vec!["?"; columns].join(", "));
        let many = |columns: usize| vec![marks(columns); rows].join(", ");
        let (place, numbers) = (PLACE.join(", "), NUMBERS.join(", "));
        let wanted: Vec<_> = PLACE.iter().map(|column| format!("rollup.{column} = place.{column}")).collect();
        // A cross join keeps the places outside, so that each is one look-up.
        let read = format!(
            "WITH place (nth, {place}) AS (VALUES {}) SELECT nth, {numbers} \
             FROM place CROSS JOIN usage_rollups AS rollup ON {}",
            many(1 + PLACE.len()),
            wanted.join(" AND ")
        );
        let write = format!(
            "INSERT OR REPLACE INTO usage_rollups ({place}, {numbers}) VALUES {}",
            many(PLACE.len() + NUMBERS.len())
        );
        Self { rows, read, write }
    }
}

/// The values of a statement that reads, each place with its number.
fn wanted(places: &[Place]) -> Result<SqliteArguments, StoreError> {
    let mut values = Values::default();
    values.reserve(places.len() * (1 + PLACE.len()));
    for (nth, place) in (0_i64..).zip(places) {
        values.add(nth)?;
        bind_place(&mut values, place)?;
    }
    Ok(values.into_arguments())
}

fn bind_place(values: &mut Values, place: &Place) -> Result<(), StoreError> {
    values.id(place.org.0)?;
    values.add(place.key.is_some())?;
    values.add(place.span.millis())?;
    values.add(place.start.0)?;
    values.id(place.team.0)?;
    values.add(place.key.map_or(Vec::new(), |key| key.0.as_bytes().to_vec()))?;
    values.add(place.model.clone())?;
    values.add(place.provider.clone())
}

fn bind_rollup(values: &mut Values, rollup: &Rollup) -> Result<(), StoreError> {
    values.count(rollup.requests)?;
    values.count(rollup.unpriced)?;
    values.count(rollup.faults)?;
    values.usage(&rollup.usage)?;
    values.money(rollup.cost)?;
    values.count(rollup.latency_ms)?;
    values.add(rollup.latencies.to_bytes())
}

fn rollup_of(row: &SqliteRow) -> Result<Rollup, StoreError> {
    let mut latencies = Histogram::default();
    latencies.merge_bytes(get(row, "latencies")?).map_err(corrupt)?;
    Ok(Rollup {
        requests: unsigned(row, "requests")?,
        unpriced: unsigned(row, "unpriced")?,
        faults: unsigned(row, "faults")?,
        usage: record_rows::usage_of(row)?,
        cost: join_money(get(row, "cost_units")?, i128::from(get::<i64>(row, "cost_pico")?)),
        latency_ms: unsigned(row, "latency_ms")?,
        latencies,
    })
}
