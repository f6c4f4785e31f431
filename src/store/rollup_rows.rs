//! Rows of rollups.

use super::{
    engine::{Db, Engine},
    record_rows,
    rollups::Place,
    row::{Row, corrupt},
    statement::{ROWS, Statement, Value, by_statement, marks},
};
use aione_core::{
    domain::{histogram::Histogram, rollup::Rollup},
    ports::StoreError,
};
use std::sync::LazyLock;

/// The primary key, in the order in which [`bind_place`] binds it.
const PLACE: [&str; 8] =
    ["org_id", "by_key", "span_ms", "start_at", "team_id", "key_id", "model", "provider"];
/// In the order in which [`bind_rollup`] binds them.
const NUMBERS: [&str; 19] = [
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
    "characters",
    "seconds",
    "cost_units",
    "cost_pico",
    "latency_ms",
    "latencies",
];

static STATEMENTS: LazyLock<[Statements; 3]> = LazyLock::new(|| ROWS.map(Statements::of));

struct Statements {
    read: String,
    write: String,
}

/// A number that changes when another connection commits, and not when this one does. `None`: the
/// database does not tell.
pub(super) async fn data_version(db: &mut Db) -> Result<Option<i64>, StoreError> {
    match db.engine() {
        Engine::Sqlite => db.one(Statement::new("PRAGMA data_version")).await?.get(0).map(Some),
        Engine::Postgres => Ok(None),
    }
}

/// The rollups of those places that have one.
pub(super) async fn read(db: &mut Db, places: &[Place]) -> Result<Vec<(Place, Rollup)>, StoreError> {
    let mut found = Vec::new();
    for (which, places) in by_statement(places) {
        for row in db.all(wanted(&STATEMENTS[which].read, places)).await? {
            let place = usize::try_from(row.get::<i64>(0)?).ok().and_then(|nth| places.get(nth));
            let place = place.expect("a row has the number that it was asked by");
            found.push((place.clone(), rollup_of(&row)?));
        }
    }
    Ok(found)
}

/// Puts rollups in the place of what is there.
pub(super) async fn write(db: &mut Db, rollups: &[(&Place, &Rollup)]) -> Result<(), StoreError> {
    for (which, rollups) in by_statement(rollups) {
        let values = rollups.len() * (PLACE.len() + NUMBERS.len());
        let mut statement = Statement::with_values(&STATEMENTS[which].write, values);
        for (place, rollup) in rollups {
            bind_place(&mut statement, place);
            bind_rollup(&mut statement, rollup)?;
        }
        db.execute(statement).await?;
    }
    Ok(())
}

impl Statements {
    fn of(rows: usize) -> Self {
        let many = |columns: usize| vec![marks(columns); rows].join(", ");
        let (place, numbers) = (PLACE.join(", "), NUMBERS.join(", "));
        let wanted = PLACE.map(|column| format!("rollup.{column} = place.{column}")).join(" AND ");
        let new = NUMBERS.map(|column| format!("{column} = excluded.{column}")).join(", ");
        // A cross join keeps the places outside, so that each is one look-up.
        let read = format!(
            "WITH place (nth, {place}) AS (VALUES {}) SELECT nth, {numbers} \
             FROM place CROSS JOIN usage_rollups AS rollup WHERE {wanted}",
            many(1 + PLACE.len()),
        );
        let write = format!(
            "INSERT INTO usage_rollups ({place}, {numbers}) VALUES {} ON CONFLICT ({place}) DO UPDATE SET {new}",
            many(PLACE.len() + NUMBERS.len())
        );
        Self { read, write }
    }
}

/// A statement that reads, each place with its number.
fn wanted(sql: &'static str, places: &[Place]) -> Statement {
    let mut statement = Statement::with_values(sql, places.len() * (1 + PLACE.len()));
    for (nth, place) in (0_i64..).zip(places) {
        statement.add(nth);
        bind_place(&mut statement, place);
    }
    statement
}

fn bind_place(statement: &mut Statement, place: &Place) {
    statement.add(place.org);
    statement.add(place.key.is_some());
    statement.add(place.span.millis());
    statement.add(place.start);
    statement.add(place.team);
    statement.add(place.key.map_or(Value::NoId, Value::from));
    statement.add(place.model.clone());
    statement.add(place.provider.clone());
}

fn bind_rollup(statement: &mut Statement, rollup: &Rollup) -> Result<(), StoreError> {
    statement.add(rollup.requests);
    statement.add(rollup.unpriced);
    statement.add(rollup.faults);
    statement.add_usage(&rollup.usage);
    statement.add_money(rollup.cost)?;
    statement.add(rollup.latency_ms);
    statement.add(rollup.latencies.to_bytes());
    Ok(())
}

fn rollup_of(row: &Row) -> Result<Rollup, StoreError> {
    let mut latencies = Histogram::default();
    latencies.merge_bytes(row.get("latencies")?).map_err(corrupt)?;
    Ok(Rollup {
        requests: row.unsigned("requests")?,
        unpriced: row.unsigned("unpriced")?,
        faults: row.unsigned("faults")?,
        usage: record_rows::usage_of(row)?,
        cost: row.cost()?,
        latency_ms: row.unsigned("latency_ms")?,
        latencies,
    })
}
