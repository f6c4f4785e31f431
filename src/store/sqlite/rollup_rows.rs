//! Rows of rollups: what records come to, added to what is there.

use super::{
    record_rows,
    value::{Values, corrupt, failed, get, join_money, unsigned},
};
use aione_core::{
    domain::{
        clock::Timestamp,
        histogram::Histogram,
        id::{KeyId, OrgId, TeamId},
        rollup::{Rollup, Span},
        usage::UsageRecord,
    },
    ports::StoreError,
};
use sqlx::{
    Row as _, SqliteConnection,
    sqlite::{SqliteArguments, SqliteRow},
};
use std::{collections::BTreeMap, sync::LazyLock};

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

/// Records that are rolled up at a time where a store has more than rollups.
const FILL_CHUNK: u32 = 5_000;

struct Statements {
    rows: usize,
    read: String,
    write: String,
}

/// What a rollup is of. Ordered as the primary key is, so that rows are found and written one
/// beside the other.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place<'r> {
    org: OrgId,
    span: Span,
    start: Timestamp,
    team: TeamId,
    /// `None`: over all keys of the team.
    key: Option<KeyId>,
    model: &'r str,
    provider: &'r str,
}

/// Adds records that were inserted just now, in the same transaction. Records of one place are
/// added up before the store is asked, so that a batch costs by its places: two for each key, model
/// and provider that occur in it, and two for each team's.
///
/// # Errors
/// `Corrupt`: an amount grows too large to be kept.
pub(super) async fn add(
    db: &mut SqliteConnection,
    records: impl IntoIterator<Item = &UsageRecord>,
) -> Result<(), StoreError> {
    let mut rollups = BTreeMap::new();
    for record in records {
        for place in places(record) {
            rollups.entry(place).or_insert_with(Rollup::default).add(&record.closed);
        }
    }
    let mut rollups: Vec<_> = rollups.into_iter().collect();
    let mut left = rollups.as_mut_slice();
    for statements in STATEMENTS.iter() {
        let mut chunks = left.chunks_exact_mut(statements.rows);
        for chunk in chunks.by_ref() {
            add_rows(db, statements, chunk).await?;
        }
        left = chunks.into_remainder();
    }
    Ok(())
}

/// Rolls up every record of a store that had no rollups until now: in id order, which is nearly
/// that of time, so that a chunk has few places.
pub(super) async fn fill(db: &mut SqliteConnection) -> Result<(), StoreError> {
    let (mut after, mut filled) = (None, 0);
    loop {
        let records = record_rows::list(&mut *db, after, FILL_CHUNK).await?;
        let Some(last) = records.last() else { return Ok(()) };
        after = Some(last.opened.id);
        add(db, &records).await?;
        filled += records.len();
        tracing::info!(records = filled, "usage records are rolled up for reports");
    }
}

fn places(record: &UsageRecord) -> impl Iterator<Item = Place<'_>> {
    let UsageRecord { opened, closed } = record;
    let keys = [None, Some(opened.key)];
    keys.into_iter().flat_map(move |key| {
        Span::ALL.into_iter().map(move |span| Place {
            org: opened.org,
            span,
            start: span.start_of(opened.started_at),
            team: opened.team,
            key,
            model: &opened.model,
            provider: &closed.provider,
        })
    })
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

/// Adds what is there to `rollups` and puts the sums in its place.
async fn add_rows(
    db: &mut SqliteConnection,
    statements: &'static Statements,
    rollups: &mut [(Place<'_>, Rollup)],
) -> Result<(), StoreError> {
    let wanted = sqlx::query_with(statements.read.as_str(), places_of(rollups)?);
    for row in wanted.fetch_all(&mut *db).await.map_err(failed)? {
        let nth: i64 = row.try_get(0).map_err(failed)?;
        let rollup = usize::try_from(nth).ok().and_then(|nth| rollups.get_mut(nth));
        rollup.expect("a row has the number that it was asked by").1.merge(&rollup_of(&row)?);
    }
    let mut values = Values::default();
    values.reserve(rollups.len() * (PLACE.len() + NUMBERS.len()));
    for (place, rollup) in rollups {
        bind_place(&mut values, place)?;
        bind_rollup(&mut values, rollup)?;
    }
    let write = sqlx::query_with(statements.write.as_str(), values.into_arguments());
    write.execute(db).await.map(drop).map_err(failed)
}

fn places_of(rollups: &[(Place<'_>, Rollup)]) -> Result<SqliteArguments, StoreError> {
    let mut values = Values::default();
    values.reserve(rollups.len() * (1 + PLACE.len()));
    for (nth, (place, _)) in (0_i64..).zip(rollups) {
        values.add(nth)?;
        bind_place(&mut values, place)?;
    }
    Ok(values.into_arguments())
}

fn bind_place(values: &mut Values, place: &Place<'_>) -> Result<(), StoreError> {
    values.id(place.org.0)?;
    values.add(place.key.is_some())?;
    values.add(place.span.millis())?;
    values.add(place.start.0)?;
    values.id(place.team.0)?;
    values.add(place.key.map_or(Vec::new(), |key| key.0.as_bytes().to_vec()))?;
    values.add(place.model.to_owned())?;
    values.add(place.provider.to_owned())
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
