//! Rows of which plan an organization was on, and of what plans were.

use super::{engine::Db, statement::Statement};
use aione_core::{
    domain::{
        clock::Timestamp,
        fee::{PlanHistory, PlanVersion},
        id::OrgId,
        plan::Plan,
    },
    ports::StoreError,
};
use std::sync::Arc;

/// From `at` on the organization is on a plan.
pub(super) async fn assign(
    db: &mut Db,
    org: OrgId,
    at: Timestamp,
    plan: &Arc<str>,
) -> Result<(), StoreError> {
    let assign = "INSERT INTO plan_assignments (org_id, from_at, plan) VALUES (?, ?, ?)
                  ON CONFLICT (org_id, from_at) DO UPDATE SET plan = excluded.plan";
    db.execute(Statement::new(assign).bind(org).bind(at).bind(plan.clone())).await.map(drop)
}

/// Keeps what a plan is from `now` on, where it was something else.
pub(super) async fn keep(db: &mut Db, plan: &Plan, now: Timestamp) -> Result<(), StoreError> {
    let last = "SELECT name, monthly_fee FROM plan_versions WHERE code = ? ORDER BY from_at DESC LIMIT 1";
    if let Some(row) = db.optional(Statement::new(last).bind(plan.code.clone())).await?
        && row.get::<&str>(0)? == plan.name
        && row.get::<&str>(1)? == plan.monthly_fee
    {
        return Ok(());
    }
    let insert = "INSERT INTO plan_versions (code, from_at, name, monthly_fee) VALUES (?, ?, ?, ?)
                  ON CONFLICT (code, from_at) DO UPDATE SET name = excluded.name, monthly_fee = excluded.monthly_fee";
    let insert = Statement::new(insert)
        .bind(plan.code.clone())
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
