//! Rows of what attempts cost and brought, by quarter of an hour, so that a day begins in any zone where
//! one does.

use super::{
    Store,
    cover::{self, Grain},
    engine::{Db, Engine},
    row::{Row, saturated},
    statement::{ROWS, Statement, by_statement, marks},
    sums::{self, Cells, Table},
    zone,
};
use aione_core::{
    domain::{clock::Timestamp, id::OrgId, outlay::Margin, rollup::Span, usage::UsageRecord},
    ports::{MarginGroup, MarginQuery, MarginStore, MarginSum, StoreError},
};
use async_trait::async_trait;
use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

/// The primary key, in the order in which [`add_all`] binds it.
const PLACE: [&str; 5] = ["start_at", "org_id", "model", "provider", "upstream_model"];
const COUNTS: [&str; 4] = ["attempts", "failed", "uncosted", "unpriced"];
/// Amounts, each in two columns.
const AMOUNTS: [&str; 3] = ["revenue", "uncosted_revenue", "cost"];
const COLUMNS: usize = PLACE.len() + COUNTS.len() + 2 * AMOUNTS.len();

static ADDS: LazyLock<[String; 3]> = LazyLock::new(|| ROWS.map(add_sql));

/// What margins are added up by; ordered as the primary key is.
type Place = (Timestamp, OrgId, Arc<str>, Arc<str>, Arc<str>);

/// Adds what the attempts of records came to that were inserted just now, in the same transaction. Their
/// organizations' turns have been taken.
pub(super) async fn add(
    db: &mut Db,
    records: impl IntoIterator<Item = &UsageRecord>,
) -> Result<(), StoreError> {
    let mut news: BTreeMap<Place, Margin> = BTreeMap::new();
    for record in records {
        for (provider, upstream_model, share) in Margin::shares(record) {
            let sum = news.entry(place(record, provider, upstream_model)).or_default();
            *sum = sum.plus(&share);
        }
    }
    add_all(db, news.into_iter().map(|(place, sum)| (place, sum, sum.unpriced.cast_signed())).collect()).await
}

/// Adds in the same way what records bring that are there and had no price.
pub(super) async fn add_revenue(db: &mut Db, records: &[&UsageRecord]) -> Result<(), StoreError> {
    let mut news: BTreeMap<Place, (Margin, i64)> = BTreeMap::new();
    for record in records {
        let place = place(record, &record.closed.provider, &record.closed.upstream_model);
        let (sum, unpriced) = news.entry(place).or_default();
        *sum = sum.plus(&Margin::of_later_price(record));
        *unpriced -= 1;
    }
    add_all(db, news.into_iter().map(|(place, (sum, unpriced))| (place, sum, unpriced)).collect()).await
}

fn place(record: &UsageRecord, provider: &Arc<str>, upstream_model: &Arc<str>) -> Place {
    let opened = &record.opened;
    let start = Span::Quarter.start_of(opened.started_at);
    (start, opened.org, opened.model.clone(), provider.clone(), upstream_model.clone())
}

/// Adds sums to their places, and how many more answers have no price, which may be fewer.
async fn add_all(db: &mut Db, news: Vec<(Place, Margin, i64)>) -> Result<(), StoreError> {
    for (which, news) in by_statement(&news) {
        let mut statement = Statement::with_values(&ADDS[which], news.len() * COLUMNS);
        for ((start, org, model, provider, upstream_model), margin, unpriced) in news {
            statement.add(*start);
            statement.add(*org);
            statement.add(model.clone());
            statement.add(provider.clone());
            statement.add(upstream_model.clone());
            statement.add(margin.attempts);
            statement.add(margin.failed);
            statement.add(margin.uncosted);
            statement.add(*unpriced);
            statement.add_money(margin.revenue)?;
            statement.add_money(margin.uncosted_revenue)?;
            statement.add_money(margin.cost)?;
        }
        db.execute(statement).await?;
    }
    Ok(())
}

fn add_sql(rows: usize) -> String {
    let amounts = AMOUNTS.map(|amount| format!("{amount}_units, {amount}_pico")).join(", ");
    let (place, counts) = (PLACE.join(", "), COUNTS.join(", "));
    let rows = vec![marks(COLUMNS); rows].join(", ");
    let more_counts = COUNTS.map(|count| format!("{count} = margins.{count} + excluded.{count}")).join(", ");
    // The rests of two amounts are less than two units.
    let more_amounts = AMOUNTS
        .map(|amount| {
            let rest = format!("(margins.{amount}_pico + excluded.{amount}_pico)");
            format!(
                "{amount}_units = margins.{amount}_units + excluded.{amount}_units + {rest} / 1000000000000,
                 {amount}_pico = {rest} % 1000000000000"
            )
        })
        .join(", ");
    format!(
        "INSERT INTO margins ({place}, {counts}, {amounts}) VALUES {rows}
         ON CONFLICT ({place}) DO UPDATE SET {more_counts}, {more_amounts}"
    )
}

#[async_trait]
impl MarginStore for Store {
    async fn sum_margins(&self, query: &MarginQuery) -> Result<Vec<MarginSum>, StoreError> {
        let mut report = self.pools.report().await?;
        let stretches = zone::stretches(query.start, query.end, query.zone);
        let pieces = cover::pieces(&stretches, Grain::Hour);
        let mut sql = Statement::new("SELECT ");
        for group in &query.group_by {
            sql.push(group_sql(*group)).push(", ");
        }
        push_sums(&mut sql, report.engine());
        sums::push_from(&mut sql, report.engine(), Table::Margins, &pieces, |sql| {
            if let Some(org) = query.org {
                sql.push(" AND org_id = ").push_value(org);
            }
        });
        let groups = (1..=query.group_by.len()).map(|place| place.to_string()).collect::<Vec<_>>().join(", ");
        sql.push(&format!(" GROUP BY {groups} ORDER BY {groups} LIMIT "));
        sql.push_value(saturated(query.page.limit));
        sql.push(" OFFSET ").push_value(saturated(query.page.offset));
        report.all(sql).await?.iter().map(|row| sum_of(row, &query.group_by)).collect()
    }

    async fn margin_totals(&self, from: Timestamp) -> Result<BTreeMap<OrgId, Margin>, StoreError> {
        let mut report = self.pools.report().await?;
        let mut sql = Statement::new("SELECT org_id, ");
        push_sums(&mut sql, report.engine());
        sql.push(" FROM margins WHERE start_at >= ").push_value(from).push(" GROUP BY org_id");
        let rows = report.all(sql).await?;
        rows.iter().map(|row| Ok((OrgId(row.uuid(0)?), margin_of(row, 1)?))).collect()
    }
}

fn push_sums(sql: &mut Statement, engine: Engine) {
    for (nth, count) in COUNTS.into_iter().enumerate() {
        sums::push_count(sql.push(if nth == 0 { "" } else { ", " }), engine, count);
    }
    for amount in AMOUNTS {
        sums::push_money(sql.push(", "), engine, amount);
    }
}

fn group_sql(group: MarginGroup) -> &'static str {
    match group {
        MarginGroup::Day => "(start_at + shift_ms) / 86400000",
        MarginGroup::Org => "org_id",
        MarginGroup::Model => "model",
        MarginGroup::Provider => "provider",
        MarginGroup::Deployment => "provider || '/' || upstream_model",
    }
}

fn sum_of(row: &Row, group_by: &[MarginGroup]) -> Result<MarginSum, StoreError> {
    let label = |(place, group): (usize, &MarginGroup)| match group {
        MarginGroup::Day => row.get(place).map(zone::day_label),
        MarginGroup::Org => row.uuid(place).map(|id| id.to_string()),
        MarginGroup::Model | MarginGroup::Provider | MarginGroup::Deployment => row.get(place),
    };
    let group = group_by.iter().enumerate().map(label).collect::<Result<_, _>>()?;
    Ok(MarginSum { group, margin: margin_of(row, group_by.len())? })
}

/// The sums of [`push_sums`], from column `place` on.
fn margin_of(row: &Row, place: usize) -> Result<Margin, StoreError> {
    let mut cells = Cells::from(row, place);
    Ok(Margin {
        attempts: cells.count()?,
        failed: cells.count()?,
        uncosted: cells.count()?,
        unpriced: cells.count()?,
        revenue: cells.money()?,
        uncosted_revenue: cells.money()?,
        cost: cells.money()?,
    })
}
