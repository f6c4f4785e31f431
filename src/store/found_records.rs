//! Looking for single records: by page, the newest first.

use super::{engine::Db, record_rows, row::saturated, statement::Statement};
use aione_core::{
    domain::{clock::Timestamp, usage::UsageRecord},
    ports::{RecordQuery, StoreError},
};

/// A filter that hardly anything meets makes it read all of a range: it is a report, with a report's
/// bounds.
pub(super) async fn find(report: &mut Db, query: &RecordQuery) -> Result<Vec<UsageRecord>, StoreError> {
    let rows = report.all(find_sql(query)).await?;
    rows.iter().map(record_rows::record_of).collect()
}

fn find_sql(query: &RecordQuery) -> Statement {
    let mut sql = Statement::new(record_rows::SELECT.as_str());
    sql.push(" WHERE org_id = ").push_value(query.org);
    if let Some(start) = query.start {
        sql.push(" AND started_at >= ").push_value(Timestamp::start_of(start, query.zone));
    }
    if let Some(until) = until(query) {
        sql.push(" AND started_at < ").push_value(until);
    }
    if let Some(model) = &query.model {
        sql.push(" AND model = ").push_value(model.clone());
    }
    if let Some(team) = query.team {
        sql.push(" AND team_id = ").push_value(team);
    }
    if let Some(key) = query.key {
        sql.push(" AND key_id = ").push_value(key);
    }
    if let Some(end) = query.end_is {
        sql.push(" AND ended = ").push_value(end.as_str());
    }
    if let Some(id) = query.id {
        sql.push(" AND id = ").push_value(id);
    }
    if let Some(after) = query.after {
        sql.push(" AND (started_at, id) < (").push_value(after.started_at);
        sql.push(", ").push_value(after.id).push(")");
    }
    sql.push(" ORDER BY started_at DESC, id DESC LIMIT ");
    sql.push_value(saturated(query.limit));
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
