//! Rows of the trail of writes, and of answers that are given again.

use super::{
    reports::Report,
    value::{corrupt, failed, get, json_or_none, narrow, time, uuid, uuid_or_none},
};
use aione_core::{
    domain::{
        audit::{Actor, AuditEntry, Object},
        clock::Timestamp,
        id::{AuditId, OrgId, TokenId},
    },
    ports::{AuditFilter, KeptAnswer, StoreError},
};
use sqlx::{QueryBuilder, Sqlite, SqliteConnection, SqliteExecutor, sqlite::SqliteRow};

/// Answers that have run out which one write clears away.
const CLEARED_MAX: i64 = 100;

pub(super) async fn insert(db: &mut SqliteConnection, entry: &AuditEntry) -> Result<(), StoreError> {
    let text = |value: &Option<serde_json::Value>| value.as_ref().map(ToString::to_string);
    sqlx::query(
        "INSERT INTO audit (id, at, org_id, actor_kind, actor_id, actor_name, address, action, object,
                            object_id, before, after)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(entry.id.0.as_bytes().to_vec())
    .bind(entry.at.0)
    .bind(entry.org.map(|org| org.0.as_bytes().to_vec()))
    .bind(entry.actor.kind())
    .bind(entry.actor.id())
    .bind(entry.actor.name().to_owned())
    .bind(entry.address.map(|address| address.to_string()))
    .bind(entry.action.clone())
    .bind(entry.object.as_str())
    .bind(entry.object_id.clone())
    .bind(text(&entry.before))
    .bind(text(&entry.after))
    .execute(db)
    .await
    .map(drop)
    .map_err(failed)
}

/// Newest first: ids rise with time.
pub(super) async fn list(
    report: &mut Report,
    filter: &AuditFilter,
    limit: u32,
) -> Result<Vec<AuditEntry>, StoreError> {
    let mut sql = QueryBuilder::<Sqlite>::new("SELECT * FROM audit WHERE 1 = 1");
    if let Some(org) = filter.org {
        sql.push(" AND org_id = ").push_bind(org.0.as_bytes().to_vec());
    }
    if let Some(before) = filter.before {
        sql.push(" AND id < ").push_bind(before.0.as_bytes().to_vec());
    }
    if let Some(actor) = &filter.actor {
        sql.push(" AND (actor_id = ").push_bind(actor.clone());
        sql.push(" OR actor_kind = ").push_bind(actor.clone()).push(")");
    }
    if let Some(object) = &filter.object {
        sql.push(" AND (object_id = ").push_bind(object.clone());
        sql.push(" OR object = ").push_bind(object.clone()).push(")");
    }
    if let Some(from) = filter.from {
        sql.push(" AND at >= ").push_bind(from.0);
    }
    if let Some(until) = filter.until {
        sql.push(" AND at < ").push_bind(until.0);
    }
    sql.push(" ORDER BY id DESC LIMIT ").push_bind(i64::from(limit));
    report.fetch(sql).await?.iter().map(entry_of).collect()
}

/// Keeps an answer. Where one is kept in the same scope and has not run out, that is a conflict.
pub(super) async fn keep_answer(
    db: &mut SqliteConnection,
    answer: &KeptAnswer,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "DELETE FROM kept_answers WHERE scope IN
         (SELECT scope FROM kept_answers WHERE kept_until <= ? ORDER BY kept_until LIMIT ?)
         OR (scope = ? AND kept_until <= ?)",
    )
    .bind(now.0)
    .bind(CLEARED_MAX)
    .bind(answer.scope.to_vec())
    .bind(now.0)
    .execute(&mut *db)
    .await
    .map_err(failed)?;
    sqlx::query(
        "INSERT INTO kept_answers (scope, request, status, sealed, kept_until) VALUES (?, ?, ?, ?, ?)",
    )
    .bind(answer.scope.to_vec())
    .bind(answer.request.to_vec())
    .bind(answer.status)
    .bind(answer.sealed.clone())
    .bind(answer.kept_until.0)
    .execute(db)
    .await
    .map(drop)
    .map_err(failed)
}

pub(super) async fn find_answer(
    db: impl SqliteExecutor<'_>,
    scope: &[u8; 32],
    now: Timestamp,
) -> Result<Option<KeptAnswer>, StoreError> {
    let row = sqlx::query("SELECT * FROM kept_answers WHERE scope = ? AND kept_until > ?")
        .bind(scope.to_vec())
        .bind(now.0)
        .fetch_optional(db)
        .await
        .map_err(failed)?;
    row.as_ref().map(answer_of).transpose()
}

fn answer_of(row: &SqliteRow) -> Result<KeptAnswer, StoreError> {
    let hash = |column| get::<&[u8]>(row, column)?.try_into().map_err(corrupt);
    Ok(KeptAnswer {
        scope: hash("scope")?,
        request: hash("request")?,
        status: narrow(row, "status")?,
        sealed: get(row, "sealed")?,
        kept_until: time(row, "kept_until")?,
    })
}

fn entry_of(row: &SqliteRow) -> Result<AuditEntry, StoreError> {
    let object: &str = get(row, "object")?;
    let address: Option<&str> = get(row, "address")?;
    Ok(AuditEntry {
        id: AuditId(uuid(row, "id")?),
        at: time(row, "at")?,
        org: uuid_or_none(row, "org_id")?.map(OrgId),
        actor: actor_of(row)?,
        address: address.map(str::parse).transpose().map_err(corrupt)?,
        action: get(row, "action")?,
        object: Object::from_name(object).ok_or_else(|| corrupt(format!("there is no object `{object}`")))?,
        object_id: get(row, "object_id")?,
        before: json_or_none(row, "before")?,
        after: json_or_none(row, "after")?,
    })
}

fn actor_of(row: &SqliteRow) -> Result<Actor, StoreError> {
    let (kind, id): (&str, &str) = (get(row, "actor_kind")?, get(row, "actor_id")?);
    Ok(match kind {
        "operator" => Actor::Operator { fingerprint: id.to_owned() },
        "token" => {
            Actor::Token { id: id.parse::<TokenId>().map_err(corrupt)?, name: get(row, "actor_name")? }
        }
        "local" => Actor::Local,
        _ => return Err(corrupt(format!("there is no actor `{kind}`"))),
    })
}
