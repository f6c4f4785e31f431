//! An organization's traffic at a glance: a few sums, the latencies and the last hours.

use super::{
    cover::Grain,
    reports::Report,
    sums,
    value::{corrupt, failed, get, time, unsigned, uuid},
};
use aione_core::{
    domain::{histogram::Histogram, id::TeamId, rollup::Span, standing::Recent},
    ports::{GroupBy, Overview, OverviewQuery, Page, StoreError, UsageQuery, UsageSum},
};
use sqlx::{QueryBuilder, Row as _};
use std::{collections::HashMap, sync::Arc};

/// Models and teams at most; days are fewer.
const PARTS_MAX: u64 = 10_000;
/// Quarters of models at most: a hundred models in each of a day's.
const RECENT_MAX: i64 = 10_000;

/// All in the report's transaction, so that the parts add up.
pub(super) async fn take(report: &mut Report, query: &OverviewQuery) -> Result<Overview, StoreError> {
    Ok(Overview {
        days: sum(report, query, GroupBy::Day).await?,
        models: sum(report, query, GroupBy::Model).await?,
        teams: sum(report, query, GroupBy::Team).await?,
        team_names: team_names(report, query).await?,
        latencies: latencies(report, query).await?,
        recent: recent(report, query).await?,
    })
}

async fn sum(
    report: &mut Report,
    query: &OverviewQuery,
    group: GroupBy,
) -> Result<Vec<UsageSum>, StoreError> {
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

async fn team_names(
    report: &mut Report,
    query: &OverviewQuery,
) -> Result<HashMap<TeamId, String>, StoreError> {
    let mut sql =
        QueryBuilder::new("SELECT id, COALESCE(former_name, name) AS name FROM teams WHERE org_id = ");
    sql.push_bind(query.org.0.as_bytes().to_vec()).push(format_args!(" ORDER BY id LIMIT {PARTS_MAX}"));
    let rows = report.fetch(sql).await?;
    rows.iter().map(|row| Ok((TeamId(uuid(row, "id")?), get(row, "name")?))).collect()
}

/// Every histogram of the range in one. They are added here, since SQL cannot.
async fn latencies(report: &mut Report, query: &OverviewQuery) -> Result<Histogram, StoreError> {
    let mut all = Histogram::default();
    let pieces = sums::pieces(report, query.org, query.zone, query.start, query.end, Grain::Range).await?;
    let Some(pieces) = pieces else { return Ok(all) };
    let mut sql = sums::over(&pieces);
    sql.push("SELECT latencies");
    sums::push_rollups(&mut sql, query.org, false);
    report
        .each(sql, |row| {
            let bytes: &[u8] = row.try_get(0).map_err(failed)?;
            all.merge_bytes(bytes).map_err(corrupt)
        })
        .await?;
    Ok(all)
}

/// From the quarter of an hour in which `recent_since` falls.
async fn recent(report: &mut Report, query: &OverviewQuery) -> Result<Vec<Recent>, StoreError> {
    let mut sql = QueryBuilder::new(
        "SELECT start_at, model, SUM(requests) AS requests, SUM(faults) AS faults FROM usage_rollups \
         WHERE by_key = 0 AND org_id = ",
    );
    sql.push_bind(query.org.0.as_bytes().to_vec());
    sql.push(" AND span_ms = ").push_bind(Span::Quarter.millis());
    sql.push(" AND start_at >= ").push_bind(Span::Quarter.start_of(query.recent_since).0);
    sql.push(format_args!(" GROUP BY start_at, model ORDER BY start_at DESC, model LIMIT {RECENT_MAX}"));
    let rows = report.fetch(sql).await?;
    let part = |row| {
        Ok(Recent {
            start: time(row, "start_at")?,
            model: get::<&str>(row, "model").map(Arc::from)?,
            requests: unsigned(row, "requests")?,
            faults: unsigned(row, "faults")?,
        })
    };
    rows.iter().map(part).collect()
}
