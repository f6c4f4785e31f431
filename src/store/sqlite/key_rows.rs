//! Rows of keys and of their secrets' hashes.

use super::value::{
    failed, get, json, limit, limits, push_limits, saturated, time, time_or_none, to_json, uuid,
};
use aione_core::{
    domain::{
        clock::Timestamp,
        id::{KeyId, OrgId, TeamId},
        key::{Key, KeyHash, KeyStatus},
    },
    ports::{KeyChange, KeyFilter, KeyInContext, Page, StoreError},
};
use sqlx::{QueryBuilder, Sqlite, SqliteConnection, SqliteExecutor, sqlite::SqliteRow};
use std::sync::Arc;

/// Former secrets of one key that are kept within their grace; an older one dies at once.
const FORMER_SECRETS_MAX: i64 = 8;
/// Rows of one statement: each statement is a trip to the connection's thread, which costs more
/// than a row does.
const INSERT_CHUNK: usize = 128;

/// A key by a secret's hash, with what stands above it.
pub(super) async fn find_by_hash(
    db: impl SqliteExecutor<'_>,
    hash: &KeyHash,
) -> Result<Option<KeyInContext>, StoreError> {
    let row = sqlx::query(
        "SELECT k.*, s.dies_at AS secret_dies_at, o.plan AS org_plan,
                o.rpm AS org_rpm, o.tpm AS org_tpm, o.rpd AS org_rpd, o.concurrency AS org_concurrency,
                t.rpm AS team_rpm, t.tpm AS team_tpm, t.rpd AS team_rpd, t.concurrency AS team_concurrency
         FROM key_secrets s
         JOIN keys k ON k.id = s.key_id
         JOIN organizations o ON o.id = k.org_id
         JOIN teams t ON t.id = k.team_id
         WHERE s.hash = ? AND k.deleted_at IS NULL",
    )
    .bind(hash.0.to_vec())
    .fetch_optional(db)
    .await
    .map_err(failed)?;
    row.as_ref().map(context_of).transpose()
}

/// Oldest first, so that a new key moves none to another page.
pub(super) async fn list(
    db: impl SqliteExecutor<'_>,
    org: OrgId,
    filter: &KeyFilter,
    page: Page,
    now: Timestamp,
) -> Result<Vec<Key>, StoreError> {
    let mut sql = QueryBuilder::<Sqlite>::new("SELECT * FROM keys WHERE deleted_at IS NULL AND org_id = ");
    sql.push_bind(org.0.as_bytes().to_vec());
    if let Some(team) = filter.team {
        sql.push(" AND team_id = ").push_bind(team.0.as_bytes().to_vec());
    }
    match filter.status {
        None => {}
        Some(KeyStatus::Disabled) => {
            sql.push(" AND disabled = 1");
        }
        Some(KeyStatus::Expired) => {
            sql.push(" AND disabled = 0 AND expires_at <= ").push_bind(now.0);
        }
        Some(KeyStatus::Active) => {
            sql.push(" AND disabled = 0 AND (expires_at IS NULL OR expires_at > ").push_bind(now.0).push(")");
        }
    }
    if let Some(part) = &filter.q {
        sql.push(" AND (instr(lower(name), lower(").push_bind(part.clone()).push(")) > 0");
        sql.push(" OR instr(lower(prefix), lower(").push_bind(part.clone()).push(")) > 0)");
    }
    sql.push(" ORDER BY created_at, id LIMIT ").push_bind(saturated(page.limit));
    sql.push(" OFFSET ").push_bind(saturated(page.offset));
    let rows = sql.build().fetch_all(db).await.map_err(failed)?;
    rows.iter().map(key_of).collect()
}

pub(super) async fn get_one(
    db: impl SqliteExecutor<'_>,
    org: OrgId,
    id: KeyId,
) -> Result<Option<Key>, StoreError> {
    let row = sqlx::query("SELECT * FROM keys WHERE org_id = ? AND id = ? AND deleted_at IS NULL")
        .bind(org.0.as_bytes().to_vec())
        .bind(id.0.as_bytes().to_vec())
        .fetch_optional(db)
        .await
        .map_err(failed)?;
    row.as_ref().map(key_of).transpose()
}

/// Inserts keys, each with the hash of its secret.
pub(super) async fn insert(db: &mut SqliteConnection, keys: &[(&Key, &KeyHash)]) -> Result<(), StoreError> {
    for chunk in keys.chunks(INSERT_CHUNK) {
        insert_keys(&mut *db, chunk).await?;
        insert_secrets(&mut *db, chunk.iter().map(|(key, hash)| (key.id, *hash))).await?;
    }
    Ok(())
}

async fn insert_keys(db: &mut SqliteConnection, keys: &[(&Key, &KeyHash)]) -> Result<(), StoreError> {
    let mut json = Vec::with_capacity(keys.len());
    for (key, _) in keys {
        json.push((to_json(&key.models_allowed)?, to_json(&key.allowed_ips)?, to_json(&key.metadata)?));
    }
    let mut sql = QueryBuilder::<Sqlite>::new(
        "INSERT INTO keys (id, org_id, team_id, name, prefix, models_allowed, allowed_ips, rpm, tpm, rpd,
                           concurrency, is_sandbox, expires_at, disabled, rotate_grace_until, created_at,
                           last_used_at, metadata) ",
    );
    sql.push_values(keys.iter().zip(json), |mut row, ((key, _), (models, ips, metadata))| {
        row.push_bind(key.id.0.as_bytes().to_vec())
            .push_bind(key.org.0.as_bytes().to_vec())
            .push_bind(key.team.0.as_bytes().to_vec())
            .push_bind(key.name.clone())
            .push_bind(key.prefix.clone())
            .push_bind(models)
            .push_bind(ips)
            .push_bind(limit(key.limits.rpm))
            .push_bind(limit(key.limits.tpm))
            .push_bind(limit(key.limits.rpd))
            .push_bind(limit(key.limits.concurrency))
            .push_bind(key.is_sandbox)
            .push_bind(key.expires_at.map(|end| end.0))
            .push_bind(key.disabled)
            .push_bind(key.rotate_grace_until.map(|end| end.0))
            .push_bind(key.created_at.0)
            .push_bind(key.last_used_at.map(|at| at.0))
            .push_bind(metadata);
    });
    sql.build().execute(db).await.map(drop).map_err(failed)
}

async fn insert_secrets(
    db: &mut SqliteConnection,
    secrets: impl Iterator<Item = (KeyId, &KeyHash)>,
) -> Result<(), StoreError> {
    let mut sql = QueryBuilder::<Sqlite>::new("INSERT INTO key_secrets (hash, key_id) ");
    sql.push_values(secrets, |mut row, (id, hash)| {
        row.push_bind(hash.0.to_vec()).push_bind(id.0.as_bytes().to_vec());
    });
    sql.build().execute(db).await.map(drop).map_err(failed)
}

/// Changes the columns that are named, in one statement, so that two changes at once both hold.
pub(super) async fn update(
    db: impl SqliteExecutor<'_>,
    org: OrgId,
    id: KeyId,
    change: &KeyChange,
) -> Result<Option<Key>, StoreError> {
    // The first assignment changes nothing: a list of none would be no SQL.
    let mut sql = QueryBuilder::<Sqlite>::new("UPDATE keys SET id = id");
    if let Some(name) = &change.name {
        sql.push(", name = ").push_bind(name.clone());
    }
    if let Some(models) = &change.models_allowed {
        sql.push(", models_allowed = ").push_bind(to_json(models)?);
    }
    if let Some(ips) = &change.allowed_ips {
        sql.push(", allowed_ips = ").push_bind(to_json(ips)?);
    }
    push_limits(&mut sql, change.limits);
    if let Some(metadata) = &change.metadata {
        sql.push(", metadata = ").push_bind(to_json(metadata)?);
    }
    sql.push(" WHERE org_id = ").push_bind(org.0.as_bytes().to_vec());
    sql.push(" AND id = ").push_bind(id.0.as_bytes().to_vec());
    sql.push(" AND deleted_at IS NULL RETURNING *");
    let row = sql.build().fetch_optional(db).await.map_err(failed)?;
    row.as_ref().map(key_of).transpose()
}

pub(super) async fn set_disabled(
    db: impl SqliteExecutor<'_>,
    org: OrgId,
    id: KeyId,
    disabled: bool,
) -> Result<Option<Key>, StoreError> {
    let row = sqlx::query(
        "UPDATE keys SET disabled = ? WHERE org_id = ? AND id = ? AND deleted_at IS NULL RETURNING *",
    )
    .bind(disabled)
    .bind(org.0.as_bytes().to_vec())
    .bind(id.0.as_bytes().to_vec())
    .fetch_optional(db)
    .await
    .map_err(failed)?;
    row.as_ref().map(key_of).transpose()
}

/// Every earlier secret dies at `grace_until`, or sooner where an earlier rotation said so. They
/// are not ended by the rotation itself: a rotation that is tried again because its answer was
/// lost must not cut off the secret that is in use.
pub(super) async fn rotate(
    db: &mut SqliteConnection,
    org: OrgId,
    id: KeyId,
    hash: &KeyHash,
    prefix: &str,
    grace_until: Timestamp,
) -> Result<Option<Key>, StoreError> {
    let row = sqlx::query(
        "UPDATE keys SET prefix = ?, rotate_grace_until = ?
         WHERE org_id = ? AND id = ? AND deleted_at IS NULL RETURNING *",
    )
    .bind(prefix.to_owned())
    .bind(grace_until.0)
    .bind(org.0.as_bytes().to_vec())
    .bind(id.0.as_bytes().to_vec())
    .fetch_optional(&mut *db)
    .await
    .map_err(failed)?;
    let Some(row) = row else {
        return Ok(None);
    };
    sqlx::query("UPDATE key_secrets SET dies_at = MIN(COALESCE(dies_at, ?1), ?1) WHERE key_id = ?2")
        .bind(grace_until.0)
        .bind(id.0.as_bytes().to_vec())
        .execute(&mut *db)
        .await
        .map_err(failed)?;
    sqlx::query(
        "DELETE FROM key_secrets WHERE hash IN
         (SELECT hash FROM key_secrets WHERE key_id = ? ORDER BY dies_at DESC LIMIT -1 OFFSET ?)",
    )
    .bind(id.0.as_bytes().to_vec())
    .bind(FORMER_SECRETS_MAX)
    .execute(&mut *db)
    .await
    .map_err(failed)?;
    insert_secrets(db, std::iter::once((id, hash))).await?;
    key_of(&row).map(Some)
}

pub(super) async fn delete(
    db: &mut SqliteConnection,
    org: OrgId,
    id: KeyId,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE keys SET deleted_at = ? WHERE org_id = ? AND id = ? AND deleted_at IS NULL")
        .bind(now.0)
        .bind(org.0.as_bytes().to_vec())
        .bind(id.0.as_bytes().to_vec())
        .execute(&mut *db)
        .await
        .map_err(failed)?;
    sqlx::query("DELETE FROM key_secrets WHERE key_id IN (SELECT id FROM keys WHERE org_id = ? AND id = ?)")
        .bind(org.0.as_bytes().to_vec())
        .bind(id.0.as_bytes().to_vec())
        .execute(&mut *db)
        .await
        .map(drop)
        .map_err(failed)
}

/// Notes uses; a later one that is known already stays.
pub(super) async fn touch(
    db: impl SqliteExecutor<'_>,
    uses: &[(KeyId, Timestamp)],
) -> Result<(), StoreError> {
    let mut sql = QueryBuilder::<Sqlite>::new("WITH used (id, at) AS (");
    sql.push_values(uses, |mut row, (id, at)| {
        row.push_bind(id.0.as_bytes().to_vec()).push_bind(at.0);
    });
    sql.push(
        ") UPDATE keys SET last_used_at = MAX(COALESCE(last_used_at, latest.at), latest.at)
         FROM (SELECT id, MAX(at) AS at FROM used GROUP BY id) AS latest WHERE keys.id = latest.id",
    );
    sql.build().execute(db).await.map(drop).map_err(failed)
}

fn context_of(row: &SqliteRow) -> Result<KeyInContext, StoreError> {
    Ok(KeyInContext {
        key: key_of(row)?,
        secret_dies_at: time_or_none(row, "secret_dies_at")?,
        org_plan: Arc::from(get::<&str>(row, "org_plan")?),
        org_limits: limits(row, "org_")?,
        team_limits: limits(row, "team_")?,
    })
}

fn key_of(row: &SqliteRow) -> Result<Key, StoreError> {
    Ok(Key {
        id: KeyId(uuid(row, "id")?),
        org: OrgId(uuid(row, "org_id")?),
        team: TeamId(uuid(row, "team_id")?),
        name: get(row, "name")?,
        prefix: get(row, "prefix")?,
        models_allowed: json(row, "models_allowed")?,
        allowed_ips: json(row, "allowed_ips")?,
        limits: limits(row, "")?,
        is_sandbox: get(row, "is_sandbox")?,
        expires_at: time_or_none(row, "expires_at")?,
        disabled: get(row, "disabled")?,
        rotate_grace_until: time_or_none(row, "rotate_grace_until")?,
        created_at: time(row, "created_at")?,
        last_used_at: time_or_none(row, "last_used_at")?,
        metadata: json(row, "metadata")?,
    })
}
