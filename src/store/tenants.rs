//! Rows of organizations, teams and management tokens.

use super::{
    engine::Db,
    row::{Row, corrupt, saturated},
    statement::{Statement, marks},
};
use crate::clock;
use aione_core::{
    domain::{
        clock::Timestamp,
        credential::{ManagementToken, Role},
        id::{OrgId, TeamId, TokenId},
        invoice::TaxRate,
        key::KeyHash,
    },
    ports::{LimitChange, Organization, Page, StoreError, Team, TenantChange},
};
use uuid::Uuid;

/// Named one by one here and elsewhere: a column that a later version adds must change nothing that
/// this one reads.
const ORG: &str = "id, slug, name, plan, rpm, tpm, rpd, concurrency, billing_mode, credit_limit, monthly_budget, \
                   tax_rate_pct, next_plan, next_plan_at, time_zone, created_at";
const TEAM: &str = "id, org_id, name, rpm, tpm, rpd, concurrency, monthly_budget, created_at";
const TOKEN: &str = "id, org_id, name, role, expires_at, created_at";

/// By id where the text is one, else by slug.
pub(super) async fn find_org(db: &mut Db, id_or_slug: &str) -> Result<Option<Organization>, StoreError> {
    let select = |column| Statement::new(format!("SELECT {ORG} FROM organizations WHERE {column} = ?"));
    let statement = match Uuid::parse_str(id_or_slug) {
        Ok(id) => select("id").bind(id),
        Err(_) => select("slug").bind(id_or_slug.to_owned()),
    };
    optional(db, statement, org_of).await
}

pub(super) async fn insert_org(db: &mut Db, org: &Organization) -> Result<(), StoreError> {
    let insert = Statement::new(format!("INSERT INTO organizations ({ORG}) VALUES {}", marks(16)))
        .bind(org.id)
        .bind(org.slug.clone())
        .bind(org.name.clone())
        .bind(org.plan.clone())
        .bind(org.limits.rpm)
        .bind(org.limits.tpm)
        .bind(org.limits.rpd)
        .bind(org.limits.concurrency)
        .bind(org.terms.mode.as_str())
        .bind(org.terms.credit_limit)
        .bind(org.terms.monthly_budget)
        .bind(org.tax_rate.to_percent())
        .bind(org.next_plan.as_ref().map(|next| next.plan.clone()))
        .bind(org.next_plan.as_ref().map(|next| next.at))
        .bind(org.time_zone.name())
        .bind(org.created_at);
    db.execute(insert).await.map(drop)
}

/// The plans that organizations are on, and how many are on each.
pub(super) async fn plans_in_use(db: &mut Db) -> Result<Vec<(String, i64)>, StoreError> {
    let select = "SELECT plan, COUNT(*) FROM (
                      SELECT plan FROM organizations
                      UNION ALL SELECT next_plan FROM organizations WHERE next_plan IS NOT NULL
                  ) AS named GROUP BY plan ORDER BY plan";
    let rows = db.all(Statement::new(select)).await?;
    rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
}

pub(super) async fn count_orgs(db: &mut Db) -> Result<i64, StoreError> {
    db.one(Statement::new("SELECT COUNT(*) FROM organizations")).await?.get(0)
}

pub(super) async fn get_team(db: &mut Db, org: OrgId, id: TeamId) -> Result<Option<Team>, StoreError> {
    optional(db, select_team("id = ?").bind(org).bind(id), team_of).await
}

pub(super) async fn find_team(db: &mut Db, org: OrgId, name: &str) -> Result<Option<Team>, StoreError> {
    optional(db, select_team("name = ?").bind(org).bind(name.to_owned()), team_of).await
}

pub(super) async fn insert_team(db: &mut Db, team: &Team) -> Result<(), StoreError> {
    let insert = Statement::new(format!("INSERT INTO teams ({TEAM}) VALUES {}", marks(9)))
        .bind(team.id)
        .bind(team.org)
        .bind(team.name.clone())
        .bind(team.limits.rpm)
        .bind(team.limits.tpm)
        .bind(team.limits.rpd)
        .bind(team.limits.concurrency)
        .bind(team.monthly_budget)
        .bind(team.created_at);
    db.execute(insert).await.map(drop)
}

/// Oldest first.
pub(super) async fn list_orgs(db: &mut Db, page: Page) -> Result<Vec<Organization>, StoreError> {
    let select =
        Statement::new(format!("SELECT {ORG} FROM organizations ORDER BY created_at, id LIMIT ? OFFSET ?"))
            .bind(saturated(page.limit))
            .bind(saturated(page.offset));
    all(db, select, org_of).await
}

/// Oldest first.
pub(super) async fn list_teams(db: &mut Db, org: OrgId, page: Page) -> Result<Vec<Team>, StoreError> {
    let select = Statement::new(format!(
        "SELECT {TEAM} FROM teams WHERE org_id = ? AND deleted_at IS NULL ORDER BY created_at, id LIMIT ? OFFSET ?"
    ))
    .bind(org)
    .bind(saturated(page.limit))
    .bind(saturated(page.offset));
    all(db, select, team_of).await
}

pub(super) async fn update_org(
    db: &mut Db,
    id: OrgId,
    change: &TenantChange,
) -> Result<Option<Organization>, StoreError> {
    let mut update = update("organizations", change);
    match (&change.plan, change.plan_at) {
        (None, _) => {}
        (Some(plan), None) => {
            update.push(", next_plan = NULL, next_plan_at = NULL, plan = ").push_value(plan.clone());
        }
        (Some(plan), Some(at)) => {
            // One that holds by now is the plan.
            update.push(", plan = CASE WHEN next_plan_at <= ").push_value(clock::now());
            update.push(" THEN next_plan ELSE plan END, next_plan = ").push_value(plan.clone());
            update.push(", next_plan_at = ").push_value(at);
        }
    }
    if let Some(mode) = change.billing_mode {
        update.push(", billing_mode = ").push_value(mode.as_str());
    }
    if let Some(limit) = change.credit_limit {
        update.push(", credit_limit = ").push_value(limit);
    }
    if let Some(rate) = change.tax_rate {
        update.push(", tax_rate_pct = ").push_value(rate.to_percent());
    }
    if let Some(zone) = change.time_zone {
        update.push(", time_zone = ").push_value(zone.name());
    }
    update.push(" WHERE id = ").push_value(id).push(" RETURNING ").push(ORG);
    optional(db, update, org_of).await
}

pub(super) async fn update_team(
    db: &mut Db,
    org: OrgId,
    id: TeamId,
    change: &TenantChange,
) -> Result<Option<Team>, StoreError> {
    let mut update = update("teams", change);
    update.push(" WHERE org_id = ").push_value(org).push(" AND id = ").push_value(id);
    update.push(" AND deleted_at IS NULL RETURNING ").push(TEAM);
    optional(db, update, team_of).await
}

/// The beginning of an update, up to the columns that both tables have.
fn update(table: &str, change: &TenantChange) -> Statement {
    // The first assignment changes nothing: a list of none would be no SQL.
    let mut update = Statement::new(format!("UPDATE {table} SET id = id"));
    if let Some(name) = &change.name {
        update.push(", name = ").push_value(name.clone());
    }
    push_limits(&mut update, change.limits);
    if let Some(budget) = change.monthly_budget {
        update.push(", monthly_budget = ").push_value(budget);
    }
    update
}

/// The assignments of an update that limits change with.
pub(super) fn push_limits(update: &mut Statement, change: LimitChange) {
    let LimitChange { rpm, tpm, rpd, concurrency } = change;
    for (assignment, value) in
        [(", rpm = ", rpm), (", tpm = ", tpm), (", rpd = ", rpd), (", concurrency = ", concurrency)]
    {
        if let Some(value) = value {
            update.push(assignment).push_value(value);
        }
    }
}

/// Takes a team out of sight, unless it has keys.
pub(super) async fn delete_team(
    db: &mut Db,
    org: OrgId,
    id: TeamId,
    at: Timestamp,
) -> Result<(), StoreError> {
    let count = "SELECT COUNT(*) FROM keys WHERE org_id = ? AND team_id = ? AND deleted_at IS NULL";
    let keys: i64 = db.one(Statement::new(count).bind(org).bind(id)).await?.get(0)?;
    if keys > 0 {
        return Err(StoreError::Conflict(format!("the team has {keys} keys")));
    }
    let delete = Statement::new(
        "UPDATE teams SET deleted_at = ?, former_name = name, name = ? || name
         WHERE org_id = ? AND id = ? AND deleted_at IS NULL",
    )
    .bind(at)
    .bind(format!("deleted {id} "))
    .bind(org)
    .bind(id);
    db.execute(delete).await.map(drop)
}

pub(super) async fn insert_token(
    db: &mut Db,
    token: &ManagementToken,
    hash: &KeyHash,
) -> Result<(), StoreError> {
    let insert = Statement::new(format!("INSERT INTO management_tokens ({TOKEN}, hash) VALUES {}", marks(7)))
        .bind(token.id)
        .bind(token.org)
        .bind(token.name.clone())
        .bind(token.role.as_str())
        .bind(token.expires_at)
        .bind(token.created_at)
        .bind(hash.0);
    db.execute(insert).await.map(drop)
}

pub(super) async fn list_tokens(db: &mut Db, org: OrgId) -> Result<Vec<ManagementToken>, StoreError> {
    let select = format!("SELECT {TOKEN} FROM management_tokens WHERE org_id = ? ORDER BY created_at, id");
    all(db, Statement::new(select).bind(org), token_of).await
}

pub(super) async fn find_token(db: &mut Db, hash: &KeyHash) -> Result<Option<ManagementToken>, StoreError> {
    let select = format!("SELECT {TOKEN} FROM management_tokens WHERE hash = ?");
    optional(db, Statement::new(select).bind(hash.0), token_of).await
}

pub(super) async fn delete_token(
    db: &mut Db,
    org: OrgId,
    id: TokenId,
) -> Result<Option<ManagementToken>, StoreError> {
    let delete = format!("DELETE FROM management_tokens WHERE org_id = ? AND id = ? RETURNING {TOKEN}");
    optional(db, Statement::new(delete).bind(org).bind(id), token_of).await
}

/// Of an organization, which is to be bound first, and not deleted.
fn select_team(condition: &str) -> Statement {
    Statement::new(format!(
        "SELECT {TEAM} FROM teams WHERE org_id = ? AND {condition} AND deleted_at IS NULL"
    ))
}

async fn all<T>(
    db: &mut Db,
    statement: Statement,
    read: fn(&Row) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    db.all(statement).await?.iter().map(read).collect()
}

async fn optional<T>(
    db: &mut Db,
    statement: Statement,
    read: fn(&Row) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    db.optional(statement).await?.as_ref().map(read).transpose()
}

fn org_of(row: &Row) -> Result<Organization, StoreError> {
    let (plan, next_plan) = row.plans("")?;
    Ok(Organization {
        id: OrgId(row.uuid("id")?),
        slug: row.get("slug")?,
        name: row.get("name")?,
        plan,
        next_plan,
        limits: row.limits("")?,
        terms: row.terms("")?,
        tax_rate: TaxRate::from_percent(row.get("tax_rate_pct")?).map_err(corrupt)?,
        time_zone: row.zone("time_zone")?,
        created_at: row.time("created_at")?,
    })
}

fn team_of(row: &Row) -> Result<Team, StoreError> {
    Ok(Team {
        id: TeamId(row.uuid("id")?),
        org: OrgId(row.uuid("org_id")?),
        name: row.get("name")?,
        limits: row.limits("")?,
        monthly_budget: row.decimal_or_none("monthly_budget")?,
        created_at: row.time("created_at")?,
    })
}

fn token_of(row: &Row) -> Result<ManagementToken, StoreError> {
    Ok(ManagementToken {
        id: TokenId(row.uuid("id")?),
        org: OrgId(row.uuid("org_id")?),
        name: row.get("name")?,
        role: row.word("role", Role::from_name)?,
        expires_at: row.time_or_none("expires_at")?,
        created_at: row.time("created_at")?,
    })
}
