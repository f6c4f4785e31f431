//! The port `UsageStore`, and summing usage by local day, hour and what else is asked for.

use super::{
    SqliteStore, key_rows, record_rows,
    value::{corrupt, failed, join_money},
    zone::{self, Stretch},
};
use aione_core::{
    domain::{
        clock::Timestamp,
        id::RecordId,
        money::Pico,
        price::PriceBook,
        usage::{Usage, UsageRecord},
    },
    ports::{GroupBy, StoreError, UsageQuery, UsageStore, UsageSum},
};
use async_trait::async_trait;
use sqlx::{QueryBuilder, Row as _, Sqlite, sqlite::SqliteRow};
use uuid::Uuid;

/// Token classes in the order in which they are summed.
const CLASSES: [&str; 10] = [
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
];
/// The rest of an amount is summed in parts of this many 10⁻¹² of a unit, because a sum over
/// whole ones leaves 64 bits after 9.2 million records.
const PICO_PART: i128 = 1_000_000;

#[async_trait]
impl UsageStore for SqliteStore {
    async fn insert_records(&self, records: &[UsageRecord]) -> Result<(), StoreError> {
        if records.is_empty() {
            return Ok(());
        }
        let mut tx = self.write().await?;
        record_rows::insert(&mut tx, records).await?;
        let uses = self.uses.news(records);
        for uses in uses.chunks(USES_CHUNK) {
            key_rows::touch(&mut *tx, uses).await?;
        }
        tx.commit().await.map_err(failed)?;
        self.uses.note(&uses);
        Ok(())
    }

    async fn sum_usage(&self, query: &UsageQuery) -> Result<Vec<UsageSum>, StoreError> {
        let stretches = zone::stretches(query.start, query.end, query.zone);
        if stretches.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.reports.run(sum_sql(query, &stretches)).await?;
        rows.iter().map(|row| sum_of(row, &query.group_by)).collect()
    }

    async fn list_records(
        &self,
        after: Option<RecordId>,
        limit: u32,
    ) -> Result<Vec<UsageRecord>, StoreError> {
        record_rows::list(&self.readers, after, limit).await
    }

    async fn keep_price_book(&self, book: &PriceBook, now: Timestamp) -> Result<(), StoreError> {
        record_rows::keep_book(&self.writer, book, now).await
    }

    async fn find_price_book(&self, version: u64) -> Result<Option<PriceBook>, StoreError> {
        record_rows::find_book(&self.readers, version).await
    }
}

/// Rows of one statement that notes when keys were last used.
const USES_CHUNK: usize = 512;

/// The grouping columns, the number of records, then the sums, in the order of [`sum_of`].
fn sum_sql(query: &UsageQuery, stretches: &[Stretch]) -> QueryBuilder<Sqlite> {
    let mut sql = QueryBuilder::new("WITH stretch (start_at, end_at, shift_ms) AS (");
    sql.push_values(stretches, |mut row, stretch| {
        row.push_bind(stretch.start.0).push_bind(stretch.end.0).push_bind(stretch.shift_ms);
    });
    sql.push(") SELECT ");
    for column in &query.group_by {
        sql.push(group_sql(*column)).push(", ");
    }
    sql.push("COUNT(*), SUM(unpriced)");
    for class in CLASSES {
        // Counts are unsigned numbers in signed columns, and two of 2^63 would overflow a sum:
        // the halves are summed apart.
        sql.push(format_args!(", SUM(({class} >> 32) & 4294967295), SUM({class} & 4294967295)"));
    }
    sql.push(format_args!(", SUM(cost_units), SUM(cost_pico / {PICO_PART}), SUM(cost_pico % {PICO_PART})"));
    // A cross join keeps the stretches outside, so that each is a range of the index.
    sql.push(" FROM stretch CROSS JOIN usage_records WHERE org_id = ");
    sql.push_bind(query.org.0.as_bytes().to_vec());
    sql.push(" AND started_at >= start_at AND started_at < end_at");
    if let Some(model) = &query.model {
        sql.push(" AND model = ").push_bind(model.clone());
    }
    if let Some(team) = query.team {
        sql.push(" AND team_id = ").push_bind(team.0.as_bytes().to_vec());
    }
    if let Some(key) = query.key {
        sql.push(" AND key_id = ").push_bind(key.0.as_bytes().to_vec());
    }
    let places = (1..=query.group_by.len()).map(|place| place.to_string()).collect::<Vec<_>>().join(", ");
    if places.is_empty() {
        // One row over everything, and none where there is nothing.
        sql.push(" HAVING COUNT(*) > 0");
    } else {
        sql.push(format_args!(" GROUP BY {places} ORDER BY {places}"));
    }
    sql.push(" LIMIT ").push_bind(i64::try_from(query.page.limit).unwrap_or(i64::MAX));
    sql.push(" OFFSET ").push_bind(i64::try_from(query.page.offset).unwrap_or(i64::MAX));
    sql
}

fn group_sql(column: GroupBy) -> &'static str {
    match column {
        GroupBy::Day => "(started_at + shift_ms) / 86400000",
        GroupBy::Hour => "(started_at + shift_ms) / 3600000",
        GroupBy::Model => "model",
        GroupBy::Team => "team_id",
        GroupBy::Key => "key_id",
        GroupBy::Provider => "provider",
    }
}

fn sum_of(row: &SqliteRow, group_by: &[GroupBy]) -> Result<UsageSum, StoreError> {
    let group = group_by
        .iter()
        .enumerate()
        .map(|(place, column)| label(row, place, *column))
        .collect::<Result<_, _>>()?;
    let mut cells = Cells { row, place: group_by.len() };
    Ok(UsageSum {
        group,
        requests: cells.next()?.cast_unsigned(),
        unpriced: cells.next()?.cast_unsigned(),
        usage: Usage {
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
        },
        cost: cells.money()?,
    })
}

fn label(row: &SqliteRow, place: usize, column: GroupBy) -> Result<String, StoreError> {
    match column {
        GroupBy::Day => row.try_get(place).map(zone::day_label).map_err(failed),
        GroupBy::Hour => row.try_get(place).map(zone::hour_label).map_err(failed),
        GroupBy::Model | GroupBy::Provider => row.try_get(place).map_err(failed),
        GroupBy::Team | GroupBy::Key => {
            let id: &[u8] = row.try_get(place).map_err(failed)?;
            Uuid::from_slice(id).map(|id| id.to_string()).map_err(corrupt)
        }
    }
}

/// A row's sums, read from left to right.
struct Cells<'r> {
    row: &'r SqliteRow,
    place: usize,
}

impl Cells<'_> {
    fn next(&mut self) -> Result<i64, StoreError> {
        let value = self.row.try_get(self.place).map_err(failed)?;
        self.place += 1;
        Ok(value)
    }

    /// A sum of counts from its two halves; at most 2⁶⁴ − 1.
    fn count(&mut self) -> Result<u64, StoreError> {
        let (high, low) = (i128::from(self.next()?), i128::from(self.next()?));
        Ok(u64::try_from((high << 32) + low).unwrap_or(u64::MAX))
    }

    fn money(&mut self) -> Result<Pico, StoreError> {
        let (units, parts, rest) = (self.next()?, self.next()?, self.next()?);
        Ok(join_money(units, i128::from(parts) * PICO_PART + i128::from(rest)))
    }
}
