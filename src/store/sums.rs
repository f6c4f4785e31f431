//! Summing rollups by local day, hour and what else is asked for.

use super::{
    cover::{self, Grain, Piece},
    engine::{Db, Engine},
    row::{Row, saturated},
    statement::{Statement, join_money},
    zone,
};
use aione_core::{
    domain::{clock::Timestamp, id::OrgId, money::Pico, rollup::Span, usage::Usage},
    ports::{Batches, GroupBy, Page, StoreError, UsageQuery, UsageSum},
};
use chrono::NaiveDate;
use chrono_tz::Tz;
use futures_util::TryStreamExt as _;

/// Rows that are handed on together.
const BATCH: usize = 1_000;

/// What is summed as counts, in the order of [`sum_of`].
const COUNTS: [&str; 16] = [
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
    "latency_ms",
];
/// The rest of an amount is summed in parts of this many 10⁻¹² of a unit, because a sum over
/// whole ones leaves 64 bits after 9.2 million rollups.
const PICO_PART: i128 = 1_000_000;

/// 2200-01-01 UTC: no range goes further, and a record's clock may have said anything.
const FURTHEST: Timestamp = Timestamp(7_258_118_400_000);

/// # Errors
/// The store is unavailable, or holds what no version wrote.
pub(super) async fn sum(report: &mut Db, query: &UsageQuery) -> Result<Vec<UsageSum>, StoreError> {
    let grain = grain_of(&query.group_by);
    let Some(pieces) = pieces(report, query.org, query.zone, query.start, query.end, grain).await? else {
        return Ok(Vec::new());
    };
    let rows = report.all(sum_sql(report.engine(), query, &pieces)).await?;
    rows.iter().map(|row| sum_of(row, &query.group_by)).collect()
}

/// Every row of a query, a batch after the other.
pub(super) async fn pass(
    report: &mut Db,
    query: &UsageQuery,
    to: &mut dyn Batches<UsageSum>,
) -> Result<(), StoreError> {
    let whole = UsageQuery { page: Page { offset: 0, limit: u64::MAX }, ..query.clone() };
    let grain = grain_of(&query.group_by);
    let Some(pieces) = pieces(report, query.org, query.zone, query.start, query.end, grain).await? else {
        return Ok(());
    };
    let mut rows = report.rows(sum_sql(report.engine(), &whole, &pieces))?.try_chunks(BATCH);
    while let Some(batch) = rows.try_next().await.map_err(|error| error.1)? {
        let sums = batch.iter().map(|row| sum_of(row, &query.group_by)).collect::<Result<_, _>>()?;
        if !to.take(sums).await {
            break;
        }
    }
    Ok(())
}

/// The rollups that make up the days from `start` to `end`, as far as the organization has any;
/// `None` where it has none.
pub(super) async fn pieces(
    report: &mut Db,
    org: OrgId,
    zone: Tz,
    start: NaiveDate,
    end: NaiveDate,
    grain: Grain,
) -> Result<Option<Vec<Piece>>, StoreError> {
    let Some((first, last)) = bounds(report, org).await? else { return Ok(None) };
    let start = start.max(first.date_in(zone));
    let end = end.min(last.min(FURTHEST).date_in(zone));
    let pieces = cover::pieces(&zone::stretches(start, end, zone), grain);
    Ok(Some(pieces).filter(|pieces| !pieces.is_empty()))
}

/// When an organization's first block begins and the last instant of its last one.
async fn bounds(report: &mut Db, org: OrgId) -> Result<Option<(Timestamp, Timestamp)>, StoreError> {
    let mut sql = Statement::new("SELECT ");
    for (nth, (name, order)) in [("first", "ASC"), ("last", "DESC")].into_iter().enumerate() {
        sql.push(if nth == 0 { "" } else { ", " });
        sql.push("(SELECT start_at FROM usage_rollups WHERE org_id = ").push_value(org);
        sql.push(" AND by_key = ").push_value(false).push(" AND span_ms = ").push_value(Span::Block.millis());
        sql.push(&format!(" ORDER BY start_at {order} LIMIT 1) AS {name}"));
    }
    let rows = report.all(sql).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let (first, last): (Option<i64>, Option<i64>) = (row.get("first")?, row.get("last")?);
    Ok(first
        .zip(last)
        .map(|(first, last)| (Timestamp(first), Timestamp(last.saturating_add(Span::Block.millis() - 1)))))
}

/// Rows of some span of time that are summed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Table {
    /// Of one organization, over all keys of a team or of single ones.
    Rollups {
        org: OrgId,
        by_key: bool,
    },
    Margins,
}

/// Goes on with the rows of `table` that lie in `pieces` and pass `filter`, which adds conditions; beside
/// each is the `shift_ms` of its piece.
pub(super) fn push_from(
    sql: &mut Statement,
    engine: Engine,
    table: Table,
    pieces: &[Piece],
    filter: impl Fn(&mut Statement),
) {
    let (name, has_spans) = match table {
        Table::Rollups { .. } => ("usage_rollups", true),
        Table::Margins => ("margins", false),
    };
    let push_wanted = |sql: &mut Statement| {
        if let Table::Rollups { org, by_key } = table {
            sql.push("org_id = ").push_value(org).push(" AND by_key = ").push_value(by_key).push(" AND ");
        }
    };
    // No piece is a list as well, an empty one: nothing lies in it.
    if pieces.is_empty() || pieces.len() > engine.queries_max() {
        let rows: Vec<_> = pieces
            .iter()
            .map(|piece| [piece.span.millis(), piece.start.0, piece.end.0, piece.shift_ms])
            .collect();
        // As one value: the parameters of a statement are counted, and a day may be three pieces. A cross
        // join keeps the pieces outside, so that each is a range of the primary key.
        let rows = serde_json::to_string(&rows).expect("numbers are JSON");
        sql.push(&format!(" FROM ({}) AS piece CROSS JOIN {name} WHERE ", engine.unpacked())).add(rows);
        push_wanted(sql);
        sql.push(if has_spans { "span_ms = span AND " } else { "" });
        sql.push("start_at >= from_at AND start_at < until_at");
        return filter(sql);
    }
    // A query for each: a database that knows the range knows how much lies in it, and how best to read it.
    for (nth, piece) in pieces.iter().enumerate() {
        sql.push(if nth == 0 { " FROM (" } else { " UNION ALL " });
        sql.push("SELECT CAST(").push_value(piece.shift_ms);
        sql.push(&format!(" AS BIGINT) AS shift_ms, {name}.* FROM {name} WHERE "));
        push_wanted(sql);
        if has_spans {
            sql.push("span_ms = ").push_value(piece.span.millis()).push(" AND ");
        }
        sql.push("start_at >= ").push_value(piece.start).push(" AND start_at < ").push_value(piece.end);
        filter(sql);
    }
    sql.push(") AS piece");
}

/// The grouping columns, then the sums, in the order of [`sum_of`].
fn sum_sql(engine: Engine, query: &UsageQuery, pieces: &[Piece]) -> Statement {
    let by_key = query.key.is_some() || query.group_by.contains(&GroupBy::Key);
    let mut sql = Statement::new("SELECT ");
    for column in &query.group_by {
        sql.push(group_sql(*column)).push(", ");
    }
    for (nth, count) in COUNTS.into_iter().enumerate() {
        push_count(sql.push(if nth == 0 { "" } else { ", " }), engine, count);
    }
    push_money(sql.push(", "), engine, "cost");
    push_from(&mut sql, engine, Table::Rollups { org: query.org, by_key }, pieces, |sql| {
        if let Some(model) = &query.model {
            sql.push(" AND model = ").push_value(model.clone());
        }
        if let Some(team) = query.team {
            sql.push(" AND team_id = ").push_value(team);
        }
        if let Some(key) = query.key {
            sql.push(" AND key_id = ").push_value(key);
        }
    });
    let places = (1..=query.group_by.len()).map(|place| place.to_string()).collect::<Vec<_>>().join(", ");
    if places.is_empty() {
        // One row over everything, and none where there is nothing.
        sql.push(" HAVING COUNT(*) > 0");
    } else {
        sql.push(&format!(" GROUP BY {places} ORDER BY {places}"));
    }
    sql.push(" LIMIT ").push_value(saturated(query.page.limit));
    sql.push(" OFFSET ").push_value(saturated(query.page.offset));
    sql
}

/// The sum of a count, for [`Cells::count`]: how many times 2^32 it is, and the rest. Counts are unsigned
/// numbers in signed columns, so that one of 2^63 or more counts as that much less 2^64.
pub(super) fn push_count(sql: &mut Statement, engine: Engine, count: &str) {
    sql.push(&match engine {
        // Two of 2^63 would overflow a sum: the halves are summed apart.
        Engine::Sqlite => format!("SUM(({count} >> 32) & 4294967295), SUM({count} & 4294967295)"),
        Engine::Postgres => {
            let sum = format!("SUM({count}) + 18446744073709551616 * COUNT(*) FILTER (WHERE {count} < 0)");
            split(&sum, 1 << 32)
        }
    });
}

/// The sum of an amount in the columns `<amount>_units` and `<amount>_pico`, for [`Cells::money`].
pub(super) fn push_money(sql: &mut Statement, engine: Engine, amount: &str) {
    sql.push(&match engine {
        Engine::Sqlite => {
            format!("SUM({amount}_units), SUM({amount}_pico / {PICO_PART}), SUM({amount}_pico % {PICO_PART})")
        }
        Engine::Postgres => {
            format!(
                "CAST(SUM({amount}_units) AS BIGINT), {}",
                split(&format!("SUM({amount}_pico)"), PICO_PART)
            )
        }
    });
}

/// PostgreSQL sums whole numbers up without an end, and each sum once, however often it is asked for: only
/// the result has to be in two.
fn split(sum: &str, part: i128) -> String {
    format!("CAST(DIV({sum}, {part}) AS BIGINT), CAST(MOD({sum}, {part}) AS BIGINT)")
}

fn grain_of(group_by: &[GroupBy]) -> Grain {
    if group_by.contains(&GroupBy::Hour) {
        return Grain::Hour;
    }
    if group_by.contains(&GroupBy::Day) { Grain::Day } else { Grain::Range }
}

fn group_sql(column: GroupBy) -> &'static str {
    match column {
        GroupBy::Day => "(start_at + shift_ms) / 86400000",
        GroupBy::Hour => "(start_at + shift_ms) / 3600000",
        GroupBy::Model => "model",
        GroupBy::Team => "team_id",
        GroupBy::Key => "key_id",
        GroupBy::Provider => "provider",
    }
}

fn sum_of(row: &Row, group_by: &[GroupBy]) -> Result<UsageSum, StoreError> {
    let group = group_by
        .iter()
        .enumerate()
        .map(|(place, column)| label(row, place, *column))
        .collect::<Result<_, _>>()?;
    let mut cells = Cells::from(row, group_by.len());
    let (requests, unpriced, faults) = (cells.count()?, cells.count()?, cells.count()?);
    let usage = Usage {
        input: cells.count()?,
        cache_read: cells.count()?,
        cache_write_5m: cells.count()?,
        cache_write_1h: cells.count()?,
        audio_in: cells.count()?,
        output: cells.count()?,
        reasoning: cells.count()?,
        audio_out: cells.count()?,
        images: cells.count()?,
        searches: cells.count()?,
        characters: cells.count()?,
        seconds: cells.count()?,
    };
    let latency_ms = cells.count()?;
    Ok(UsageSum { group, requests, unpriced, faults, usage, cost: cells.money()?, latency_ms })
}

fn label(row: &Row, place: usize, column: GroupBy) -> Result<String, StoreError> {
    match column {
        GroupBy::Day => row.get(place).map(zone::day_label),
        GroupBy::Hour => row.get(place).map(zone::hour_label),
        GroupBy::Model | GroupBy::Provider => row.get(place),
        GroupBy::Team | GroupBy::Key => row.uuid(place).map(|id| id.to_string()),
    }
}

/// A row's sums, read from left to right.
pub(super) struct Cells<'r> {
    row: &'r Row,
    place: usize,
}

impl<'r> Cells<'r> {
    /// The sums of `row` from column `place` on.
    pub(super) fn from(row: &'r Row, place: usize) -> Self {
        Self { row, place }
    }

    fn next(&mut self) -> Result<i64, StoreError> {
        let value = self.row.get(self.place)?;
        self.place += 1;
        Ok(value)
    }

    /// A sum of counts from its two halves; at most 2⁶⁴ − 1.
    pub(super) fn count(&mut self) -> Result<u64, StoreError> {
        let (high, low) = (i128::from(self.next()?), i128::from(self.next()?));
        Ok(u64::try_from((high << 32) + low).unwrap_or(u64::MAX))
    }

    pub(super) fn money(&mut self) -> Result<Pico, StoreError> {
        let (units, parts, rest) = (self.next()?, self.next()?, self.next()?);
        Ok(join_money(units, i128::from(parts) * PICO_PART + i128::from(rest)))
    }
}
