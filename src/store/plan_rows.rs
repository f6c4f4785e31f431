//! Rows of which plan an organization was on, and of what plans were.

use super::{engine::Db, statement::Statement};
use crate::clock;
use aione_core::{
    domain::{
        clock::Timestamp,
        fee::{PlanHistory, PlanVersion},
        id::OrgId,
        plan::Plan,
    },
    ports::StoreError,
};
use std::{collections::BTreeSet, sync::Arc};

/// From `at` on the organization is on a plan, whatever was to come after it.
pub(super) async fn assign(
    db: &mut Db,
    org: OrgId,
    at: Timestamp,
    plan: &Arc<str>,
) -> Result<(), StoreError> {
    let forget = "DELETE FROM plan_assignments WHERE org_id = ? AND from_at > ?";
    db.execute(Statement::new(forget).bind(org).bind(clock::now())).await?;
    // In the order in which they were made, whatever each node's clock says.
    let last = "SELECT MAX(from_at) FROM plan_assignments WHERE org_id = ?";
    let last: Option<i64> = db.one(Statement::new(last).bind(org)).await?.get(0)?;
    let at = last.map_or(at, |last| at.max(Timestamp(last).plus_ms(1)));
    let assign = "INSERT INTO plan_assignments (org_id, from_at, plan) VALUES (?, ?, ?)
                  ON CONFLICT (org_id, from_at) DO UPDATE SET plan = excluded.plan";
    db.execute(Statement::new(assign).bind(org).bind(at).bind(plan.clone())).await.map(drop)
}

/// Every plan that was kept, or that an organization was on.
pub(super) async fn codes(db: &mut Db) -> Result<BTreeSet<Arc<str>>, StoreError> {
    let select = "SELECT code FROM plan_versions UNION SELECT plan FROM plan_assignments";
    db.all(Statement::new(select)).await?.iter().map(|row| Ok(Arc::from(row.get::<&str>(0)?))).collect()
}

/// Keeps what a plan's code stands for from `now` on, where it was something else.
pub(super) async fn keep(
    db: &mut Db,
    code: &Arc<str>,
    plan: &Plan,
    now: Timestamp,
) -> Result<(), StoreError> {
    let last = "SELECT name, monthly_fee FROM plan_versions WHERE code = ? ORDER BY from_at DESC LIMIT 1";
    if let Some(row) = db.optional(Statement::new(last).bind(code.clone())).await?
        && row.get::<&str>(0)? == plan.name
        && row.get::<&str>(1)? == plan.monthly_fee
    {
        return Ok(());
    }
    let insert = "INSERT INTO plan_versions (code, from_at, name, monthly_fee) VALUES (?, ?, ?, ?)
                  ON CONFLICT (code, from_at) DO UPDATE SET name = excluded.name, monthly_fee = excluded.monthly_fee";
    let insert = Statement::new(insert)
        .bind(code.clone())
        .bind(now)
        .bind(plan.name.clone())
        .bind(plan.monthly_fee.clone());
    db.execute(insert).await.map(drop)
}

pub(super) async fn history(db: &mut Db, org: OrgId) -> Result<PlanHistory, StoreError> {
    let select = "SELECT from_at, plan FROM plan_assignments WHERE org_id = ? ORDER BY from_at";
    let mut history = PlanHistory::default();
    for row in db.all(Statement::new(select).bind(org)).await? {
        history.assignments.push((row.time(0)?, Arc::from(row.get::<&str>(1)?)));
    }
    let select = "SELECT code, from_at, name, monthly_fee FROM plan_versions
                  WHERE code IN (SELECT plan FROM plan_assignments WHERE org_id = ?) ORDER BY code, from_at";
    for row in db.all(Statement::new(select).bind(org)).await? {
        history.versions.push(PlanVersion {
            code: Arc::from(row.get::<&str>("code")?),
            from: row.time("from_at")?,
            name: row.get("name")?,
            monthly_fee: row.decimal("monthly_fee")?,
        });
    }
    Ok(history)
}
