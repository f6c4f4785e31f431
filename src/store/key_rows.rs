//! Rows of keys and of their secrets' hashes.

use super::{
    engine::Db,
    row::{Row, saturated, to_json},
    statement::Statement,
    tenants::push_limits,
};
use aione_core::{
    domain::{
        budget::BudgetPeriod,
        clock::Timestamp,
        id::{KeyId, OrgId, TeamId},
        key::{Key, KeyHash, KeyStatus},
    },
    ports::{KeyChange, KeyFilter, KeyInContext, Page, StoreError},
};
use std::sync::LazyLock;

/// In the order in which [`insert_keys`] binds them.
const COLUMNS: [&str; 20] = [
    "id",
    "org_id",
    "team_id",
    "name",
    "prefix",
    "models_allowed",
    "allowed_ips",
    "rpm",
    "tpm",
    "rpd",
    "concurrency",
    "budget",
    "budget_period",
    "is_sandbox",
    "expires_at",
    "disabled",
    "rotate_grace_until",
    "created_at",
    "last_used_at",
    "metadata",
];
/// Former secrets of one key that are kept within their grace; an older one dies at once.
const FORMER_SECRETS_MAX: i64 = 8;
/// Rows of one statement: each statement is a trip to the connection's thread or to a server, which
/// costs more than a row does.
const INSERT_CHUNK: usize = 128;

static KEY: LazyLock<String> = LazyLock::new(|| COLUMNS.join(", "));
static FIND: LazyLock<String> = LazyLock::new(|| {
    let key = COLUMNS.map(|column| format!("k.{column}")).join(", ");
    format!(
        "SELECT {key}, s.dies_at AS secret_dies_at, o.plan AS org_plan,
                o.next_plan AS org_next_plan, o.next_plan_at AS org_next_plan_at,
                o.rpm AS org_rpm, o.tpm AS org_tpm, o.rpd AS org_rpd, o.concurrency AS org_concurrency,
                o.billing_mode AS org_billing_mode, o.credit_limit AS org_credit_limit,
                o.monthly_budget AS org_monthly_budget, o.time_zone AS org_time_zone,
                t.rpm AS team_rpm, t.tpm AS team_tpm, t.rpd AS team_rpd, t.concurrency AS team_concurrency,
                t.monthly_budget AS team_monthly_budget
         FROM key_secrets s
         JOIN keys k ON k.id = s.key_id
         JOIN organizations o ON o.id = k.org_id
         JOIN teams t ON t.id = k.team_id
         WHERE s.hash = ? AND k.deleted_at IS NULL"
    )
});

/// A key by a secret's hash, with what stands above it.
pub(super) async fn find_by_hash(db: &mut Db, hash: &KeyHash) -> Result<Option<KeyInContext>, StoreError> {
    let row = db.optional(Statement::new(FIND.as_str()).bind(hash.0)).await?;
    row.as_ref().map(context_of).transpose()
}

/// Oldest first, so that a new key moves none to another page.
pub(super) async fn list(
    db: &mut Db,
    org: OrgId,
    filter: &KeyFilter,
    page: Page,
    now: Timestamp,
) -> Result<Vec<Key>, StoreError> {
    let key = KEY.as_str();
    let mut sql = Statement::new(format!("SELECT {key} FROM keys WHERE deleted_at IS NULL AND org_id = "));
    sql.push_value(org);
    if let Some(team) = filter.team {
        sql.push(" AND team_id = ").push_value(team);
    }
    match filter.status {
        None => {}
        Some(KeyStatus::Disabled) => {
            sql.push(" AND disabled");
        }
        Some(KeyStatus::Expired) => {
            sql.push(" AND NOT disabled AND expires_at <= ").push_value(now);
        }
        Some(KeyStatus::Active) => {
            sql.push(" AND NOT disabled AND (expires_at IS NULL OR expires_at > ").push_value(now).push(")");
        }
    }
    if let Some(part) = &filter.q {
        let engine = db.engine();
        let position = engine.position();
        for (column, before, after) in [("name", " AND (", " OR "), ("prefix", "", ")")] {
            sql.push(&format!("{before}{position}({}, ", engine.lowered(column)));
            sql.push_value(part.to_ascii_lowercase()).push(") > 0").push(after);
        }
    }
    sql.push(" ORDER BY created_at, id LIMIT ").push_value(saturated(page.limit));
    sql.push(" OFFSET ").push_value(saturated(page.offset));
    db.all(sql).await?.iter().map(key_of).collect()
}

pub(super) async fn get_one(db: &mut Db, org: OrgId, id: KeyId) -> Result<Option<Key>, StoreError> {
    let key = KEY.as_str();
    let select =
        Statement::new(format!("SELECT {key} FROM keys WHERE org_id = ? AND id = ? AND deleted_at IS NULL"));
    optional(db, select.bind(org).bind(id)).await
}

/// Inserts keys, each with the hash of its secret.
pub(super) async fn insert(db: &mut Db, keys: &[(&Key, &KeyHash)]) -> Result<(), StoreError> {
    for chunk in keys.chunks(INSERT_CHUNK) {
        insert_keys(db, chunk).await?;
        insert_secrets(db, chunk.iter().map(|(key, hash)| (key.id, *hash))).await?;
    }
    Ok(())
}

async fn insert_keys(db: &mut Db, keys: &[(&Key, &KeyHash)]) -> Result<(), StoreError> {
    let mut json = Vec::with_capacity(keys.len());
    for (key, _) in keys {
        json.push((to_json(&key.models_allowed)?, to_json(&key.allowed_ips)?, to_json(&key.metadata)?));
    }
    let mut sql = Statement::new(format!("INSERT INTO keys ({}) ", KEY.as_str()));
    sql.push_rows(COLUMNS.len(), keys.iter().zip(json), |row, ((key, _), (models, ips, metadata))| {
        row.add(key.id);
        row.add(key.org);
        row.add(key.team);
        row.add(key.name.clone());
        row.add(key.prefix.clone());
        row.add(models);
        row.add(ips);
        row.add(key.limits.rpm);
        row.add(key.limits.tpm);
        row.add(key.limits.rpd);
        row.add(key.limits.concurrency);
        row.add(key.budget);
        row.add(key.budget_period.as_str());
        row.add(key.is_sandbox);
        row.add(key.expires_at);
        row.add(key.disabled);
        row.add(key.rotate_grace_until);
        row.add(key.created_at);
        row.add(key.last_used_at);
        row.add(metadata);
    });
    db.execute(sql).await.map(drop)
}

async fn insert_secrets(
    db: &mut Db,
    secrets: impl Iterator<Item = (KeyId, &KeyHash)>,
) -> Result<(), StoreError> {
    let mut sql = Statement::new("INSERT INTO key_secrets (hash, key_id) ");
    sql.push_rows(2, secrets, |row, (id, hash)| {
        row.add(hash.0);
        row.add(id);
    });
    db.execute(sql).await.map(drop)
}

/// Changes the columns that are named, in one statement, so that two changes at once both hold.
pub(super) async fn update(
    db: &mut Db,
    org: OrgId,
    id: KeyId,
    change: &KeyChange,
) -> Result<Option<Key>, StoreError> {
    // The first assignment changes nothing: a list of none would be no SQL.
    let mut sql = Statement::new("UPDATE keys SET id = id");
    if let Some(name) = &change.name {
        sql.push(", name = ").push_value(name.clone());
    }
    if let Some(models) = &change.models_allowed {
        sql.push(", models_allowed = ").push_value(to_json(models)?);
    }
    if let Some(ips) = &change.allowed_ips {
        sql.push(", allowed_ips = ").push_value(to_json(ips)?);
    }
    push_limits(&mut sql, change.limits);
    if let Some(budget) = change.budget {
        sql.push(", budget = ").push_value(budget);
    }
    if let Some(period) = change.budget_period {
        sql.push(", budget_period = ").push_value(period.as_str());
    }
    if let Some(metadata) = &change.metadata {
        sql.push(", metadata = ").push_value(to_json(metadata)?);
    }
    changed(db, sql, org, id).await
}

pub(super) async fn set_disabled(
    db: &mut Db,
    org: OrgId,
    id: KeyId,
    disabled: bool,
) -> Result<Option<Key>, StoreError> {
    changed(db, Statement::new("UPDATE keys SET disabled = ?").bind(disabled), org, id).await
}

/// Every earlier secret dies at `grace_until`, or sooner where an earlier rotation said so. They
/// are not ended by the rotation itself: a rotation that is tried again because its answer was
/// lost must not cut off the secret that is in use.
pub(super) async fn rotate(
    db: &mut Db,
    org: OrgId,
    id: KeyId,
    hash: &KeyHash,
    prefix: &str,
    grace_until: Timestamp,
) -> Result<Option<Key>, StoreError> {
    let update = Statement::new("UPDATE keys SET prefix = ?, rotate_grace_until = ?")
        .bind(prefix.to_owned())
        .bind(grace_until);
    let Some(key) = changed(db, update, org, id).await? else {
        return Ok(None);
    };
    let end = Statement::new(
        "UPDATE key_secrets SET dies_at = CASE WHEN dies_at < ? THEN dies_at ELSE ? END WHERE key_id = ?",
    );
    db.execute(end.bind(grace_until).bind(grace_until).bind(id)).await?;
    let trim = Statement::new(
        "DELETE FROM key_secrets WHERE hash IN
         (SELECT hash FROM key_secrets WHERE key_id = ? ORDER BY dies_at DESC LIMIT ? OFFSET ?)",
    );
    db.execute(trim.bind(id).bind(i64::MAX).bind(FORMER_SECRETS_MAX)).await?;
    insert_secrets(db, std::iter::once((id, hash))).await?;
    Ok(Some(key))
}

pub(super) async fn delete(db: &mut Db, org: OrgId, id: KeyId, now: Timestamp) -> Result<(), StoreError> {
    let hide = "UPDATE keys SET deleted_at = ? WHERE org_id = ? AND id = ? AND deleted_at IS NULL";
    db.execute(Statement::new(hide).bind(now).bind(org).bind(id)).await?;
    let forget = "DELETE FROM key_secrets WHERE key_id IN (SELECT id FROM keys WHERE org_id = ? AND id = ?)";
    db.execute(Statement::new(forget).bind(org).bind(id)).await.map(drop)
}

/// Notes uses; a later one that is known already stays.
pub(super) async fn touch(db: &mut Db, uses: &[(KeyId, Timestamp)]) -> Result<(), StoreError> {
    let mut sql = Statement::new("WITH used (id, at) AS (");
    sql.push_rows(2, uses, |row, (id, at)| {
        row.add(*id);
        row.add(*at);
    });
    sql.push(
        ") UPDATE keys SET last_used_at = CASE WHEN last_used_at > latest.at THEN last_used_at ELSE latest.at END
         FROM (SELECT id, MAX(at) AS at FROM used GROUP BY id) AS latest WHERE keys.id = latest.id",
    );
    db.execute(sql).await.map(drop)
}

/// The key after an update, if there is such a key.
async fn changed(
    db: &mut Db,
    mut update: Statement,
    org: OrgId,
    id: KeyId,
) -> Result<Option<Key>, StoreError> {
    update.push(" WHERE org_id = ").push_value(org).push(" AND id = ").push_value(id);
    update.push(" AND deleted_at IS NULL RETURNING ").push(&KEY);
    optional(db, update).await
}

async fn optional(db: &mut Db, statement: Statement) -> Result<Option<Key>, StoreError> {
    db.optional(statement).await?.as_ref().map(key_of).transpose()
}

fn context_of(row: &Row) -> Result<KeyInContext, StoreError> {
    let (org_plan, org_next_plan) = row.plans("org_")?;
    Ok(KeyInContext {
        key: key_of(row)?,
        secret_dies_at: row.time_or_none("secret_dies_at")?,
        org_plan,
        org_next_plan,
        org_limits: row.limits("org_")?,
        org_terms: row.terms("org_")?,
        org_zone: row.zone("org_time_zone")?,
        team_limits: row.limits("team_")?,
        team_budget: row.decimal_or_none("team_monthly_budget")?,
    })
}

fn key_of(row: &Row) -> Result<Key, StoreError> {
    Ok(Key {
        id: KeyId(row.uuid("id")?),
        org: OrgId(row.uuid("org_id")?),
        team: TeamId(row.uuid("team_id")?),
        name: row.get("name")?,
        prefix: row.get("prefix")?,
        models_allowed: row.json("models_allowed")?,
        allowed_ips: row.json("allowed_ips")?,
        limits: row.limits("")?,
        budget: row.decimal_or_none("budget")?,
        budget_period: row.word("budget_period", BudgetPeriod::from_name)?,
        is_sandbox: row.get("is_sandbox")?,
        expires_at: row.time_or_none("expires_at")?,
        disabled: row.get("disabled")?,
        rotate_grace_until: row.time_or_none("rotate_grace_until")?,
        created_at: row.time("created_at")?,
        last_used_at: row.time_or_none("last_used_at")?,
        metadata: row.json("metadata")?,
    })
}
