//! Looking for single records: by page, the newest first.

use super::{record_rows, reports::Report};
use aione_core::{
    domain::{clock::Timestamp, usage::UsageRecord},
    ports::{RecordQuery, StoreError},
};
use sqlx::{QueryBuilder, Sqlite};

/// A filter that hardly anything meets makes it read all of a range: it is a report, with a report's
/// bounds.
pub(super) async fn find(report: &mut Report, query: &RecordQuery) -> Result<Vec<UsageRecord>, StoreError> {
    let rows = report.fetch(find_sql(query)).await?;
    rows.iter().map(record_rows::record_of).collect()
}

fn find_sql(query: &RecordQuery) -> QueryBuilder<Sqlite> {
    let mut sql = QueryBuilder::new("SELECT * FROM usage_records WHERE org_id = ");
    sql.push_bind(query.org.0.as_bytes().to_vec());
    if let Some(start) = query.start {
        sql.push(" AND started_at >= ").push_bind(Timestamp::start_of(start, query.zone).0);
    }
    if let Some(until) = until(query) {
        sql.push(" AND started_at < ").push_bind(until.0);
    }
    if let Some(model) = &query.model {
        sql.push(" AND model = ").push_bind(model.clone());
    }
    if let Some(team) = query.team {
        sql.push(" AND team_id = ").push_bind(team.0.as_bytes().to_vec());
    }
    if let Some(key) = query.key {
        sql.push(" AND key_id = ").push_bind(key.0.as_bytes().to_vec());
    }
    if let Some(end) = query.end_is {
        sql.push(" AND ended = ").push_bind(end.as_str());
    }
    if let Some(id) = query.id {
        sql.push(" AND id = ").push_bind(id.0.as_bytes().to_vec());
    }
    if let Some(after) = query.after {
        sql.push(" AND (started_at, id) < (").push_bind(after.started_at.0);
        sql.push(", ").push_bind(after.id.0.as_bytes().to_vec()).push(")");
    }
    sql.push(" ORDER BY started_at DESC, id DESC LIMIT ");
    sql.push_bind(i64::try_from(query.limit).unwrap_or(i64::MAX));
    sql
}

/// Before when records start: the end of the last day, or where the page before ended, so that a later
/// page does not read the ones before it again.
fn until(query: &RecordQuery) -> Option<Timestamp> {
    // The last day that there is has no end.
    let day = query.end.and_then(|end| end.succ_opt()).map(|after| Timestamp::start_of(after, query.zone));
    let page = query.after.map(|after| after.started_at.plus_ms(1));
    day.into_iter().chain(page).min()
}
