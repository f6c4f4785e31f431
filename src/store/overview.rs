//! An organization's traffic at a glance: a few sums, the latencies and the last hours.

use super::{
    cover::Grain,
    engine::Db,
    row::{Row, corrupt},
    statement::Statement,
    sums::{self, Table},
};
use aione_core::{
    domain::{histogram::Histogram, id::TeamId, rollup::Span, standing::Recent},
    ports::{GroupBy, Overview, OverviewQuery, Page, StoreError, UsageQuery, UsageSum},
};
use futures_util::TryStreamExt as _;
use std::{collections::HashMap, sync::Arc};

/// Models and teams at most; days are fewer.
const PARTS_MAX: u64 = 10_000;
/// Quarters of models at most: a hundred models in each of a day's.
const RECENT_MAX: i64 = 10_000;

/// All in the report's transaction, so that the parts add up.
pub(super) async fn take(report: &mut Db, query: &OverviewQuery) -> Result<Overview, StoreError> {
    Ok(Overview {
        days: sum(report, query, GroupBy::Day).await?,
        models: sum(report, query, GroupBy::Model).await?,
        teams: sum(report, query, GroupBy::Team).await?,
        team_names: team_names(report, query).await?,
        latencies: latencies(report, query).await?,
        recent: recent(report, query).await?,
    })
}

async fn sum(report: &mut Db, query: &OverviewQuery, group: GroupBy) -> Result<Vec<UsageSum>, StoreError> {
    let query = UsageQuery {
        org: query.org,
        zone: query.zone,
        start: query.start,
        end: query.end,
        group_by: vec![group],
        model: None,
        team: None,
        key: None,
        page: Page { offset: 0, limit: PARTS_MAX },
    };
    sums::sum(report, &query).await
}

async fn team_names(report: &mut Db, query: &OverviewQuery) -> Result<HashMap<TeamId, String>, StoreError> {
    let mut sql = Statement::new("SELECT id, COALESCE(former_name, name) AS name FROM teams WHERE org_id = ");
    sql.push_value(query.org).push(&format!(" ORDER BY id LIMIT {PARTS_MAX}"));
    let rows = report.all(sql).await?;
    rows.iter().map(|row| Ok((TeamId(row.uuid("id")?), row.get("name")?))).collect()
}

/// Every histogram of the range in one. They are added here, since SQL cannot.
async fn latencies(report: &mut Db, query: &OverviewQuery) -> Result<Histogram, StoreError> {
    let mut all = Histogram::default();
    let pieces = sums::pieces(report, query.org, query.zone, query.start, query.end, Grain::Range).await?;
    let Some(pieces) = pieces else { return Ok(all) };
    let mut sql = Statement::new("SELECT latencies");
    let rollups = Table::Rollups { org: query.org, by_key: false };
    sums::push_from(&mut sql, report.engine(), rollups, &pieces, |_| {});
    let mut rows = report.rows(sql)?;
    while let Some(row) = rows.try_next().await? {
        all.merge_bytes(row.get(0)?).map_err(corrupt)?;
    }
    drop(rows);
    Ok(all)
}

/// From the quarter of an hour in which `recent_since` falls.
async fn recent(report: &mut Db, query: &OverviewQuery) -> Result<Vec<Recent>, StoreError> {
    let mut sql = Statement::new(
        "SELECT start_at, model, CAST(SUM(requests) AS BIGINT) AS requests, CAST(SUM(faults) AS BIGINT) AS faults \
         FROM usage_rollups WHERE by_key = ",
    );
    sql.push_value(false).push(" AND org_id = ").push_value(query.org);
    sql.push(" AND span_ms = ").push_value(Span::Quarter.millis());
    sql.push(" AND start_at >= ").push_value(Span::Quarter.start_of(query.recent_since));
    sql.push(&format!(" GROUP BY start_at, model ORDER BY start_at DESC, model LIMIT {RECENT_MAX}"));
    let rows = report.all(sql).await?;
    let part = |row: &Row| {
        Ok(Recent {
            start: row.time("start_at")?,
            model: row.get::<&str>("model").map(Arc::from)?,
            requests: row.unsigned("requests")?,
            faults: row.unsigned("faults")?,
        })
    };
    rows.iter().map(part).collect()
}
