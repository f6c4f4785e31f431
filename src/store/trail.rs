//! Rows of the trail of writes, and of answers that are given again.

use super::{
    engine::Db,
    row::{Row, corrupt},
    statement::{Statement, marks},
};
use aione_core::{
    domain::{
        audit::{Actor, AuditEntry, Object},
        clock::Timestamp,
        id::{AuditId, OrgId, TokenId},
    },
    ports::{AuditFilter, KeptAnswer, StoreError},
};

const ENTRY: &str = "id, at, org_id, actor_kind, actor_id, actor_name, address, action, object, object_id, \
                     before, after";
const ANSWER: &str = "scope, request, status, sealed, kept_until";
/// Answers that have run out which one write clears away.
const CLEARED_MAX: i64 = 100;

pub(super) async fn insert(db: &mut Db, entry: &AuditEntry) -> Result<(), StoreError> {
    let text = |value: &Option<serde_json::Value>| value.as_ref().map(ToString::to_string);
    let insert = Statement::new(format!("INSERT INTO audit ({ENTRY}) VALUES {}", marks(12)))
        .bind(entry.id)
        .bind(entry.at)
        .bind(entry.org)
        .bind(entry.actor.kind())
        .bind(entry.actor.id())
        .bind(entry.actor.name().to_owned())
        .bind(entry.address.map(|address| address.to_string()))
        .bind(entry.action.clone())
        .bind(entry.object.as_str())
        .bind(entry.object_id.clone())
        .bind(text(&entry.before))
        .bind(text(&entry.after));
    db.execute(insert).await.map(drop)
}

/// Newest first: ids rise with time.
pub(super) async fn list(
    db: &mut Db,
    filter: &AuditFilter,
    limit: u32,
) -> Result<Vec<AuditEntry>, StoreError> {
    let mut sql = Statement::new(format!("SELECT {ENTRY} FROM audit WHERE 1 = 1"));
    if let Some(org) = filter.org {
        sql.push(" AND org_id = ").push_value(org);
    }
    if let Some(before) = filter.before {
        sql.push(" AND id < ").push_value(before);
    }
    if let Some(actor) = &filter.actor {
        sql.push(" AND (actor_id = ").push_value(actor.clone());
        sql.push(" OR actor_kind = ").push_value(actor.clone()).push(")");
    }
    if let Some(object) = &filter.object {
        sql.push(" AND (object_id = ").push_value(object.clone());
        sql.push(" OR object = ").push_value(object.clone()).push(")");
    }
    if let Some(from) = filter.from {
        sql.push(" AND at >= ").push_value(from);
    }
    if let Some(until) = filter.until {
        sql.push(" AND at < ").push_value(until);
    }
    sql.push(" ORDER BY id DESC LIMIT ").push_value(limit);
    db.all(sql).await?.iter().map(entry_of).collect()
}

/// Keeps an answer. Where one is kept in the same scope and has not run out, that is a conflict.
pub(super) async fn keep_answer(db: &mut Db, answer: &KeptAnswer, now: Timestamp) -> Result<(), StoreError> {
    let clear = Statement::new(
        "DELETE FROM kept_answers WHERE scope IN
         (SELECT scope FROM kept_answers WHERE kept_until <= ? ORDER BY kept_until LIMIT ?)
         OR (scope = ? AND kept_until <= ?)",
    );
    db.execute(clear.bind(now).bind(CLEARED_MAX).bind(answer.scope).bind(now)).await?;
    let insert = Statement::new(format!("INSERT INTO kept_answers ({ANSWER}) VALUES {}", marks(5)))
        .bind(answer.scope)
        .bind(answer.request)
        .bind(answer.status)
        .bind(answer.sealed.clone())
        .bind(answer.kept_until);
    db.execute(insert).await.map(drop)
}

pub(super) async fn find_answer(
    db: &mut Db,
    scope: &[u8; 32],
    now: Timestamp,
) -> Result<Option<KeptAnswer>, StoreError> {
    let select = format!("SELECT {ANSWER} FROM kept_answers WHERE scope = ? AND kept_until > ?");
    let row = db.optional(Statement::new(select).bind(*scope).bind(now)).await?;
    row.as_ref().map(answer_of).transpose()
}

fn answer_of(row: &Row) -> Result<KeptAnswer, StoreError> {
    let hash = |column: &str| row.get::<&[u8]>(column)?.try_into().map_err(corrupt);
    Ok(KeptAnswer {
        scope: hash("scope")?,
        request: hash("request")?,
        status: row.narrow("status")?,
        sealed: row.get("sealed")?,
        kept_until: row.time("kept_until")?,
    })
}

fn entry_of(row: &Row) -> Result<AuditEntry, StoreError> {
    let object: &str = row.get("object")?;
    let address: Option<&str> = row.get("address")?;
    Ok(AuditEntry {
        id: AuditId(row.uuid("id")?),
        at: row.time("at")?,
        org: row.uuid_or_none("org_id")?.map(OrgId),
        actor: actor_of(row)?,
        address: address.map(str::parse).transpose().map_err(corrupt)?,
        action: row.get("action")?,
        object: Object::from_name(object).ok_or_else(|| corrupt(format!("there is no object `{object}`")))?,
        object_id: row.get("object_id")?,
        before: row.json_or_none("before")?,
        after: row.json_or_none("after")?,
    })
}

fn actor_of(row: &Row) -> Result<Actor, StoreError> {
    let (kind, id): (&str, &str) = (row.get("actor_kind")?, row.get("actor_id")?);
    Ok(match kind {
        "operator" => Actor::Operator { fingerprint: id.to_owned() },
        "token" => Actor::Token { id: id.parse::<TokenId>().map_err(corrupt)?, name: row.get("actor_name")? },
        "local" => Actor::Local,
        _ => return Err(corrupt(format!("there is no actor `{kind}`"))),
    })
}
