//! Rows of organizations, teams and management tokens.

use super::{
    SqliteStore,
    value::{corrupt, failed, get, limit, limits, push_limits, saturated, time, time_or_none, uuid},
};
use aione_core::{
    domain::{
        clock::Timestamp,
        credential::{ManagementToken, Role},
        id::{OrgId, TeamId, TokenId},
        key::KeyHash,
    },
    ports::{Organization, Page, StoreError, Team, TenantChange},
};
use sqlx::{
    QueryBuilder, Sqlite, SqliteConnection, SqliteExecutor, query::Query, sqlite::SqliteArguments,
    sqlite::SqliteRow,
};
use std::sync::Arc;
use uuid::Uuid;

type Statement = Query<'static, Sqlite, SqliteArguments>;

/// By id where the text is one, else by slug.
pub(super) async fn find_org(
    db: impl SqliteExecutor<'_>,
    id_or_slug: &str,
) -> Result<Option<Organization>, StoreError> {
    let statement = match Uuid::parse_str(id_or_slug) {
        Ok(id) => sqlx::query("SELECT * FROM organizations WHERE id = ?").bind(id.as_bytes().to_vec()),
        Err(_) => sqlx::query("SELECT * FROM organizations WHERE slug = ?").bind(id_or_slug.to_owned()),
    };
    optional(db, statement, org_of).await
}

pub(super) async fn insert_org(db: impl SqliteExecutor<'_>, org: &Organization) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO organizations (id, slug, name, plan, rpm, tpm, rpd, concurrency, time_zone, created_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(org.id.0.as_bytes().to_vec())
    .bind(&org.slug)
    .bind(&org.name)
    .bind(org.plan.clone())
    .bind(limit(org.limits.rpm))
    .bind(limit(org.limits.tpm))
    .bind(limit(org.limits.rpd))
    .bind(limit(org.limits.concurrency))
    .bind(org.time_zone.name())
    .bind(org.created_at.0)
    .execute(db)
    .await
    .map(drop)
    .map_err(failed)
}

impl SqliteStore {
    /// The plans that organizations are on, and how many are on each.
    ///
    /// # Errors
    /// The store is unavailable.
    pub async fn plans_in_use(&self) -> Result<Vec<(String, i64)>, StoreError> {
        sqlx::query_as("SELECT plan, COUNT(*) FROM organizations GROUP BY plan ORDER BY plan")
            .fetch_all(&self.readers)
            .await
            .map_err(failed)
    }
}

pub(super) async fn get_team(
    db: impl SqliteExecutor<'_>,
    org: OrgId,
    id: TeamId,
) -> Result<Option<Team>, StoreError> {
    let statement = sqlx::query("SELECT * FROM teams WHERE org_id = ? AND id = ? AND deleted_at IS NULL")
        .bind(org.0.as_bytes().to_vec())
        .bind(id.0.as_bytes().to_vec());
    optional(db, statement, team_of).await
}

pub(super) async fn find_team(
    db: impl SqliteExecutor<'_>,
    org: OrgId,
    name: &str,
) -> Result<Option<Team>, StoreError> {
    let statement = sqlx::query("SELECT * FROM teams WHERE org_id = ? AND name = ? AND deleted_at IS NULL")
        .bind(org.0.as_bytes().to_vec())
        .bind(name.to_owned());
    optional(db, statement, team_of).await
}

pub(super) async fn insert_team(db: impl SqliteExecutor<'_>, team: &Team) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO teams (id, org_id, name, rpm, tpm, rpd, concurrency, created_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(team.id.0.as_bytes().to_vec())
    .bind(team.org.0.as_bytes().to_vec())
    .bind(&team.name)
    .bind(limit(team.limits.rpm))
    .bind(limit(team.limits.tpm))
    .bind(limit(team.limits.rpd))
    .bind(limit(team.limits.concurrency))
    .bind(team.created_at.0)
    .execute(db)
    .await
    .map(drop)
    .map_err(failed)
}

/// Oldest first.
pub(super) async fn list_orgs(
    db: impl SqliteExecutor<'_>,
    page: Page,
) -> Result<Vec<Organization>, StoreError> {
    let statement = sqlx::query("SELECT * FROM organizations ORDER BY created_at, id LIMIT ? OFFSET ?")
        .bind(saturated(page.limit))
        .bind(saturated(page.offset));
    all(db, statement, org_of).await
}

/// Oldest first.
pub(super) async fn list_teams(
    db: impl SqliteExecutor<'_>,
    org: OrgId,
    page: Page,
) -> Result<Vec<Team>, StoreError> {
    let statement = sqlx::query(
        "SELECT * FROM teams WHERE org_id = ? AND deleted_at IS NULL ORDER BY created_at, id LIMIT ? OFFSET ?",
    )
    .bind(org.0.as_bytes().to_vec())
    .bind(saturated(page.limit))
    .bind(saturated(page.offset));
    all(db, statement, team_of).await
}

pub(super) async fn update_org(
    db: impl SqliteExecutor<'_>,
    id: OrgId,
    change: &TenantChange,
) -> Result<Option<Organization>, StoreError> {
    let mut sql = update("organizations", change);
    if let Some(plan) = &change.plan {
        sql.push(", plan = ").push_bind(plan.clone());
    }
    if let Some(zone) = change.time_zone {
        sql.push(", time_zone = ").push_bind(zone.name());
    }
    sql.push(" WHERE id = ").push_bind(id.0.as_bytes().to_vec()).push(" RETURNING *");
    sql.build().fetch_optional(db).await.map_err(failed)?.as_ref().map(org_of).transpose()
}

pub(super) async fn update_team(
    db: impl SqliteExecutor<'_>,
    org: OrgId,
    id: TeamId,
    change: &TenantChange,
) -> Result<Option<Team>, StoreError> {
    let mut sql = update("teams", change);
    sql.push(" WHERE org_id = ").push_bind(org.0.as_bytes().to_vec());
    sql.push(" AND id = ").push_bind(id.0.as_bytes().to_vec()).push(" AND deleted_at IS NULL RETURNING *");
    sql.build().fetch_optional(db).await.map_err(failed)?.as_ref().map(team_of).transpose()
}

/// The beginning of an update, up to the columns that both tables have.
fn update(table: &str, change: &TenantChange) -> QueryBuilder<Sqlite> {
    // The first assignment changes nothing: a list of none would be no SQL.
    let mut sql = QueryBuilder::new(format!("UPDATE {table} SET id = id"));
    if let Some(name) = &change.name {
        sql.push(", name = ").push_bind(name.clone());
    }
    push_limits(&mut sql, change.limits);
    sql
}

/// Takes a team out of sight, unless it has keys.
pub(super) async fn delete_team(
    db: &mut SqliteConnection,
    org: OrgId,
    id: TeamId,
    at: Timestamp,
) -> Result<(), StoreError> {
    let keys: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM keys WHERE org_id = ? AND team_id = ? AND deleted_at IS NULL",
    )
    .bind(org.0.as_bytes().to_vec())
    .bind(id.0.as_bytes().to_vec())
    .fetch_one(&mut *db)
    .await
    .map_err(failed)?;
    if keys > 0 {
        return Err(StoreError::Conflict(format!("the team has {keys} keys")));
    }
    sqlx::query(
        "UPDATE teams SET deleted_at = ?, former_name = name, name = ? || name
         WHERE org_id = ? AND id = ? AND deleted_at IS NULL",
    )
    .bind(at.0)
    .bind(format!("deleted {id} "))
    .bind(org.0.as_bytes().to_vec())
    .bind(id.0.as_bytes().to_vec())
    .execute(db)
    .await
    .map(drop)
    .map_err(failed)
}

pub(super) async fn insert_token(
    db: impl SqliteExecutor<'_>,
    token: &ManagementToken,
    hash: &KeyHash,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO management_tokens (id, org_id, name, role, expires_at, created_at, hash)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(token.id.0.as_bytes().to_vec())
    .bind(token.org.0.as_bytes().to_vec())
    .bind(&token.name)
    .bind(token.role.as_str())
    .bind(token.expires_at.map(|end| end.0))
    .bind(token.created_at.0)
    .bind(hash.0.to_vec())
    .execute(db)
    .await
    .map(drop)
    .map_err(failed)
}

pub(super) async fn list_tokens(
    db: impl SqliteExecutor<'_>,
    org: OrgId,
) -> Result<Vec<ManagementToken>, StoreError> {
    let statement = sqlx::query("SELECT * FROM management_tokens WHERE org_id = ? ORDER BY created_at, id")
        .bind(org.0.as_bytes().to_vec());
    all(db, statement, token_of).await
}

pub(super) async fn find_token(
    db: impl SqliteExecutor<'_>,
    hash: &KeyHash,
) -> Result<Option<ManagementToken>, StoreError> {
    let statement = sqlx::query("SELECT * FROM management_tokens WHERE hash = ?").bind(hash.0.to_vec());
    optional(db, statement, token_of).await
}

pub(super) async fn delete_token(
    db: impl SqliteExecutor<'_>,
    org: OrgId,
    id: TokenId,
) -> Result<Option<ManagementToken>, StoreError> {
    let statement = sqlx::query("DELETE FROM management_tokens WHERE org_id = ? AND id = ? RETURNING *")
        .bind(org.0.as_bytes().to_vec())
        .bind(id.0.as_bytes().to_vec());
    optional(db, statement, token_of).await
}

async fn all<T>(
    db: impl SqliteExecutor<'_>,
    statement: Statement,
    read: fn(&SqliteRow) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    statement.fetch_all(db).await.map_err(failed)?.iter().map(read).collect()
}

async fn optional<T>(
    db: impl SqliteExecutor<'_>,
    statement: Statement,
    read: fn(&SqliteRow) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    statement.fetch_optional(db).await.map_err(failed)?.as_ref().map(read).transpose()
}

fn org_of(row: &SqliteRow) -> Result<Organization, StoreError> {
    Ok(Organization {
        id: OrgId(uuid(row, "id")?),
        slug: get(row, "slug")?,
        name: get(row, "name")?,
        plan: Arc::from(get::<&str>(row, "plan")?),
        limits: limits(row, "")?,
        time_zone: get::<&str>(row, "time_zone")?.parse().map_err(corrupt)?,
        created_at: time(row, "created_at")?,
    })
}

fn team_of(row: &SqliteRow) -> Result<Team, StoreError> {
    Ok(Team {
        id: TeamId(uuid(row, "id")?),
        org: OrgId(uuid(row, "org_id")?),
        name: get(row, "name")?,
        limits: limits(row, "")?,
        created_at: time(row, "created_at")?,
    })
}

fn token_of(row: &SqliteRow) -> Result<ManagementToken, StoreError> {
    let role: &str = get(row, "role")?;
    Ok(ManagementToken {
        id: TokenId(uuid(row, "id")?),
        org: OrgId(uuid(row, "org_id")?),
        name: get(row, "name")?,
        role: Role::from_name(role).ok_or_else(|| corrupt(format!("there is no role `{role}`")))?,
        expires_at: time_or_none(row, "expires_at")?,
        created_at: time(row, "created_at")?,
    })
}
