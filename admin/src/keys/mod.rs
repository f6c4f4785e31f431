//! The eight calls on keys.

mod answer;
mod body;

pub(crate) use answer::KeyResponse;
pub(crate) use body::{Models, NewKey, Rotation, take_limit};

use crate::{
    Admin,
    auth::{Reader, Writer},
    error::Refusal,
    page::PageNumber,
    validate::{Fault, Fields, checks},
    write::Write,
};
use aione_core::{
    domain::{
        id::{KeyId, OrgId, TeamId},
        key::{Key, KeyStatus},
    },
    ports::{Change, Changed, KeyFilter, Organization, Row, StoreError},
};
use answer::{KeyList, KeyRotateResponse};
use axum::{
    Json,
    extract::{FromRequestParts, Path, State},
    http::{HeaderMap, StatusCode, Uri, request::Parts},
    response::Response,
};
use body::KeyUpdate;

/// Keys on one page at most, and by default.
const KEYS_PAGE_MAX: u64 = 1000;
/// Characters of `q` at most.
const Q_MAX: usize = 128;
/// The team of keys that name none.
pub(crate) const DEFAULT_TEAM: &str = "default";
/// What a 404 says it did not find.
const KEY: &str = "Key";

type Answer<T> = Result<Json<T>, Refusal>;

/// List the organization's keys.
#[utoipa::path(
    get, path = "/gateway/keys", tag = "Keys", operation_id = "listKeys",
    params(
        ("page" = Option<u64>, Query, minimum = 1, maximum = 1_000_000, description = "From 1"),
        ("page_size" = Option<u64>, Query, minimum = 1, maximum = 1_000, description = "1 to 1000, which is the default"),
        ("team_id" = Option<uuid::Uuid>, Query, description = "Only this team's"),
        ("status" = Option<String>, Query, pattern = "^(active|disabled|expired)$", description = "`active`, `disabled` or `expired`"),
        ("q" = Option<String>, Query, max_length = 128, description = "A part of the name or the prefix"),
    ),
    responses((status = 200, body = KeyList, description = "`x-next-page` where more follow"), Refusal),
)]
pub(crate) async fn list(
    State(admin): State<Admin>,
    Reader(org): Reader,
    uri: Uri,
) -> Result<(HeaderMap, Json<KeyList>), Refusal> {
    const STATUSES: [(&str, KeyStatus); 3] =
        [("active", KeyStatus::Active), ("disabled", KeyStatus::Disabled), ("expired", KeyStatus::Expired)];
    let mut query = Fields::of_query(&uri, &[]);
    let page = PageNumber::take(&mut query, KEYS_PAGE_MAX);
    let filter = KeyFilter {
        team: query.given("team_id", checks::id),
        status: query.given("status", checks::one_of(&STATUSES)),
        q: query.given("q", checks::text(0, Q_MAX)).filter(|q| !q.is_empty()),
    };
    query.finish_ignoring_others()?;

    let now = admin.surroundings.now();
    let mut keys = admin.keys.list_keys(org.id, &filter, page.rows(), now).await?;
    let headers = page.cut(&mut keys);
    Ok((headers, Json(KeyList::of(keys, now))))
}

/// Make a key. Its secret is in this answer and in no other.
#[utoipa::path(
    post, path = "/gateway/keys", tag = "Keys", operation_id = "createKey", request_body = NewKey,
    responses((status = 201, body = KeyResponse, description = "With `key` in clear, once"), Refusal),
)]
pub(crate) async fn create(
    State(admin): State<Admin>,
    Writer(org): Writer,
    write: Write,
) -> Result<Response, Refusal> {
    let (now, snapshot) = (admin.surroundings.now(), admin.config.snapshot());
    let mut fields = write.fields()?;
    let team = team_of(&admin, &org, &mut fields).await?;
    let asked = NewKey::take(fields, &Models::of(&snapshot, &org), team, now)?;

    let mut entropy = [0; 10];
    admin.surroundings.entropy(&mut entropy);
    let minted = admin.mint.mint_key(&snapshot.keys.prefix);
    let key = asked.into_key(KeyId::new(now, entropy), &org, minted.prefix, now);
    let change = Change::InsertKey { key: Box::new(key), hash: minted.hash };
    let secret = minted.secret;
    let answer = move |changed: &Changed| Some(KeyResponse::with_secret(key_of(changed)?, now, &secret));
    let made = write.make(&admin, org.id, "key.create", change, StatusCode::CREATED, answer).await?;
    made.ok_or(Refusal::NotFound(KEY))
}

/// Show a key.
#[utoipa::path(
    get, path = "/gateway/keys/{key_id}", tag = "Keys", operation_id = "getKey", params(("key_id" = uuid::Uuid, Path)),
    responses((status = 200, body = KeyResponse), Refusal),
)]
pub(crate) async fn get(
    State(admin): State<Admin>,
    Reader(org): Reader,
    InPath(id): InPath,
) -> Answer<KeyResponse> {
    let key = admin.keys.get_key(org.id, id).await?.ok_or(Refusal::NotFound(KEY))?;
    Ok(Json(KeyResponse::of(&key, admin.surroundings.now())))
}

/// Change a key. Absent: unchanged; `null`: back to the plan's default.
#[utoipa::path(
    put, path = "/gateway/keys/{key_id}", tag = "Keys", operation_id = "updateKey", params(("key_id" = uuid::Uuid, Path)),
    request_body = KeyUpdate, responses((status = 200, body = KeyResponse), Refusal),
)]
pub(crate) async fn update(
    State(admin): State<Admin>,
    Writer(org): Writer,
    InPath(id): InPath,
    write: Write,
) -> Result<Response, Refusal> {
    let snapshot = admin.config.snapshot();
    let asked = KeyUpdate::take(write.fields()?, &Models::of(&snapshot, &org))?;
    let change = Change::UpdateKey { org: org.id, id, change: asked.into_change() };
    change_key(&admin, org.id, "key.update", change, write).await
}

/// Delete a key. Its usage and invoices stay.
#[utoipa::path(
    delete, path = "/gateway/keys/{key_id}", tag = "Keys", operation_id = "deleteKey", params(("key_id" = uuid::Uuid, Path)),
    responses((status = 204), Refusal),
)]
pub(crate) async fn delete(
    State(admin): State<Admin>,
    Writer(org): Writer,
    InPath(id): InPath,
    write: Write,
) -> Result<Response, Refusal> {
    write.says_nothing()?;
    let change = Change::DeleteKey { org: org.id, id, at: admin.surroundings.now() };
    let answer = |_: &Changed| None::<KeyResponse>;
    let deleted = write.make(&admin, org.id, "key.delete", change, StatusCode::NO_CONTENT, answer).await?;
    deleted.ok_or(Refusal::NotFound(KEY))
}

/// Give a key a new secret. The former one is taken for the grace that is asked for.
#[utoipa::path(
    put, path = "/gateway/keys/{key_id}/rotate", tag = "Keys", operation_id = "rotateKey", params(("key_id" = uuid::Uuid, Path)),
    request_body = Option<Rotation>,
    responses((status = 200, body = KeyRotateResponse, description = "With `key` in clear, once"), Refusal),
)]
pub(crate) async fn rotate(
    State(admin): State<Admin>,
    Writer(org): Writer,
    InPath(id): InPath,
    write: Write,
) -> Result<Response, Refusal> {
    let (now, snapshot) = (admin.surroundings.now(), admin.config.snapshot());
    let asked = Rotation::take(write.optional_fields()?)?;
    let grace_until = asked.grace_until(now, snapshot.keys.rotate_grace);

    let minted = admin.mint.mint_key(&snapshot.keys.prefix);
    let change = Change::RotateKey { org: org.id, id, hash: minted.hash, prefix: minted.prefix, grace_until };
    let secret = minted.secret;
    let answer = move |changed: &Changed| Some(KeyRotateResponse::of(key_of(changed)?, &secret));
    let rotated = write.make(&admin, org.id, "key.rotate", change, StatusCode::OK, answer).await?;
    rotated.ok_or(Refusal::NotFound(KEY))
}

/// Refuse a key until it is enabled again.
#[utoipa::path(
    put, path = "/gateway/keys/{key_id}/disable", tag = "Keys", operation_id = "disableKey", params(("key_id" = uuid::Uuid, Path)),
    responses((status = 200, body = KeyResponse), Refusal),
)]
pub(crate) async fn disable(
    State(admin): State<Admin>,
    Writer(org): Writer,
    InPath(id): InPath,
    write: Write,
) -> Result<Response, Refusal> {
    write.says_nothing()?;
    let change = Change::DisableKey { org: org.id, id, disabled: true };
    change_key(&admin, org.id, "key.disable", change, write).await
}

/// Take a disabled key again.
#[utoipa::path(
    put, path = "/gateway/keys/{key_id}/enable", tag = "Keys", operation_id = "enableKey", params(("key_id" = uuid::Uuid, Path)),
    responses((status = 200, body = KeyResponse), Refusal),
)]
pub(crate) async fn enable(
    State(admin): State<Admin>,
    Writer(org): Writer,
    InPath(id): InPath,
    write: Write,
) -> Result<Response, Refusal> {
    write.says_nothing()?;
    let change = Change::DisableKey { org: org.id, id, disabled: false };
    change_key(&admin, org.id, "key.enable", change, write).await
}

/// The `{key_id}` of a path.
pub(crate) struct InPath(KeyId);

impl FromRequestParts<Admin> for InPath {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, admin: &Admin) -> Result<Self, Refusal> {
        let Path(text) =
            Path::<String>::from_request_parts(parts, admin).await.map_err(|_| Refusal::NoSuchPath)?;
        checks::in_path("key_id", text).map(Self)
    }
}

/// Makes a change whose answer is the changed key.
async fn change_key(
    admin: &Admin,
    org: OrgId,
    action: &'static str,
    change: Change,
    write: Write,
) -> Result<Response, Refusal> {
    let now = admin.surroundings.now();
    let answer = move |changed: &Changed| Some(KeyResponse::of(key_of(changed)?, now));
    let changed = write.make(admin, org, action, change, StatusCode::OK, answer).await?;
    changed.ok_or(Refusal::NotFound(KEY))
}

fn key_of(changed: &Changed) -> Option<&Key> {
    match changed.row() {
        Row::Key(key) => Some(key),
        _ => None,
    }
}

/// Takes `team_id`. `None` only where a problem was noted.
async fn team_of(
    admin: &Admin,
    org: &Organization,
    fields: &mut Fields,
) -> Result<Option<TeamId>, StoreError> {
    let sent = fields.peek("team_id");
    let given = fields.nullable("team_id", checks::id::<TeamId>);
    if given.is_none() && sent.is_some() {
        return Ok(None);
    }
    let found = match given.flatten() {
        Some(id) => admin.keys.get_team(org.id, id).await?,
        None => admin.keys.find_team(org.id, DEFAULT_TEAM).await?,
    };
    if found.is_none() {
        let fault = Fault::value("no such team in this organization");
        fields.blame("team_id", fault, sent.unwrap_or_default());
    }
    Ok(found.map(|team| team.id))
}
