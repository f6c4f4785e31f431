//! The trail of writes, newest first. For operators.

use crate::{
    Admin,
    auth::{self, Operator},
    cursor::{self, Cursors},
    error::Refusal,
    validate::{Fault, Fields, checks},
};
use aione_core::{
    domain::{audit::AuditEntry, clock::Timestamp, id::AuditId},
    ports::AuditFilter,
};
use axum::{Json, extract::State, http::Uri};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// Rows on one page, at most and by default.
const PAGE_MAX: u64 = 200;
const PAGE_DEFAULT: u64 = 50;
/// Characters of a filter.
const FILTER_MAX: usize = 128;

#[derive(Serialize, ToSchema)]
pub(crate) struct AuditList {
    items: Vec<AuditRow>,
    /// For `cursor`, to go on; `null`: there is no more.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

/// One write.
#[derive(Serialize, ToSchema)]
pub(crate) struct AuditRow {
    #[schema(value_type = uuid::Uuid)]
    id: String,
    #[schema(format = DateTime)]
    at: String,
    /// `null`: of the gateway as a whole.
    #[schema(required = true, value_type = Option<uuid::Uuid>)]
    org_id: Option<String>,
    actor: ActorShape,
    /// `null`: on the gateway's own machine.
    #[schema(required = true)]
    address: Option<String>,
    /// Such as `key.create`.
    action: String,
    /// `key`, `token`, `organization`, `team`, `deployment`, `ledger_entry` or `config`.
    object: &'static str,
    object_id: String,
    /// As the API showed it; `null`: it was not there.
    #[schema(required = true, value_type = Option<Object>)]
    before: Option<Value>,
    /// `null`: it is gone.
    #[schema(required = true, value_type = Option<Object>)]
    after: Option<Value>,
}

#[derive(Serialize, ToSchema)]
struct ActorShape {
    /// `operator`, `token` or `local`.
    kind: &'static str,
    /// A token's id, or the beginning of the hash of an operator's token.
    id: String,
    name: String,
}

/// List what was written, newest first.
#[utoipa::path(
    get, path = "/audit", tag = "Configuration", operation_id = "listAudit",
    params(
        ("org" = Option<String>, Query, min_length = 1, max_length = 128, description = "Only this organization's, by id or slug"),
        ("actor" = Option<String>, Query, min_length = 1, max_length = 128, description = "An actor's id, or `operator`, `token`, `local`"),
        ("object" = Option<String>, Query, min_length = 1, max_length = 128, description = "An object's id, or its kind, such as `key`"),
        ("from" = Option<chrono::DateTime<chrono::Utc>>, Query, description = "A time, inclusive"),
        ("until" = Option<chrono::DateTime<chrono::Utc>>, Query, description = "A time, exclusive"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before, under the same `org`"),
        ("page_size" = Option<u64>, Query, minimum = 1, maximum = 200, description = "1 to 200, 50 by default"),
    ),
    responses((status = 200, body = AuditList), Refusal),
)]
pub(crate) async fn list(
    State(admin): State<Admin>,
    _: Operator,
    uri: Uri,
) -> Result<Json<AuditList>, Refusal> {
    let mut query = Fields::of_query(&uri, &[]);
    let org = match query.given("org", checks::text(1, FILTER_MAX)) {
        Some(org) => Some(auth::find_organization(&admin, &org).await?.id),
        None => None,
    };
    let cursors = Cursors::new(&admin, "audit", org);
    let filter = AuditFilter {
        org,
        actor: query.given("actor", checks::text(1, FILTER_MAX)),
        object: query.given("object", checks::text(1, FILTER_MAX)),
        from: query.given("from", checks::time),
        until: query.given("until", checks::time),
        before: query.given("cursor", |value: &Value| cursors.open(value).and_then(|bytes| place(&bytes))),
    };
    let size = query.given("page_size", checks::digits(1, PAGE_MAX)).unwrap_or(PAGE_DEFAULT);
    query.finish_ignoring_others()?;
    let size = u32::try_from(size).unwrap_or(u32::MAX);
    // One more than is shown, to know whether there are more.
    let mut entries = admin.changes.list_audit(&filter, size + 1).await?;
    let has_more = entries.len() > size as usize;
    entries.truncate(size as usize);
    let next_cursor = entries.last().filter(|_| has_more).map(|entry| cursors.seal(entry.id.0.as_bytes()));
    Ok(Json(AuditList { items: entries.into_iter().map(AuditRow::of).collect(), next_cursor }))
}

/// The row after which a page begins.
fn place(bytes: &[u8]) -> Result<AuditId, Fault> {
    uuid::Uuid::from_slice(bytes).map(AuditId).map_err(|_| cursor::fault())
}

impl AuditRow {
    fn of(entry: AuditEntry) -> Self {
        Self {
            id: entry.id.to_string(),
            at: Timestamp::rfc3339(entry.at),
            org_id: entry.org.map(|org| org.to_string()),
            actor: ActorShape {
                kind: entry.actor.kind(),
                id: entry.actor.id(),
                name: entry.actor.name().to_owned(),
            },
            address: entry.address.map(|address| address.to_string()),
            action: entry.action,
            object: entry.object.as_str(),
            object_id: entry.object_id,
            before: entry.before,
            after: entry.after,
        }
    }
}
