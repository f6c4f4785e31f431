//! The eight calls on keys. Each write is announced to the fleet before it is answered.

mod answer;
mod body;

pub(crate) use answer::KeyResponse;
pub(crate) use body::{Models, NewKey, Rotation};

use crate::{
    Admin,
    auth::{Reader, Writer},
    error::Refusal,
    json,
    page::PageNumber,
    validate::{Fault, Fields, checks},
};
use aione_core::{
    domain::{
        id::{KeyId, OrgId, TeamId},
        key::KeyStatus,
    },
    ports::{KeyFilter, Organization, StoreError},
};
use answer::{KeyList, KeyRotateResponse};
use axum::{
    Json,
    body::Body,
    extract::{FromRequestParts, Path, State},
    http::{HeaderMap, StatusCode, Uri, request::Parts},
};
use body::KeyUpdate;
use std::future::Future;

/// Keys on one page at most, and by default.
const KEYS_PAGE_MAX: u64 = 1000;
/// Characters of `q` at most.
const Q_MAX: usize = 128;
/// The team of keys that name none.
const DEFAULT_TEAM: &str = "default";
/// What a 404 says it did not find.
const KEY: &str = "Key";

type Answer<T> = Result<Json<T>, Refusal>;

/// List the organization's keys.
#[utoipa::path(
    get, path = "/gateway/keys", tag = "Keys", operation_id = "listKeys",
    params(
        ("page" = Option<u64>, Query, description = "From 1"),
        ("page_size" = Option<u64>, Query, description = "1 to 1000, which is the default"),
        ("team_id" = Option<uuid::Uuid>, Query, description = "Only this team's"),
        ("status" = Option<String>, Query, description = "`active`, `disabled` or `expired`"),
        ("q" = Option<String>, Query, description = "A part of the name or the prefix"),
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
    body: Body,
) -> Result<(StatusCode, Json<KeyResponse>), Refusal> {
    let (now, snapshot) = (admin.surroundings.now(), admin.config.snapshot());
    let mut fields = json::fields(body).await?;
    let team = team_of(&admin, &org, &mut fields).await?;
    let asked = NewKey::take(fields, &Models::of(&snapshot, &org), team, now)?;

    let mut entropy = [0; 10];
    admin.surroundings.entropy(&mut entropy);
    let minted = admin.mint.mint_key(&snapshot.keys.prefix);
    let key = asked.into_key(KeyId::new(now, entropy), &org, minted.prefix, now);
    let answer = KeyResponse::with_secret(&key, now, &minted.secret);
    let (store, id, hash) = (admin.keys.clone(), key.id, minted.hash);
    write(&admin, org.id, id, async move { store.insert_key(&key, &hash).await }).await?;
    Ok((StatusCode::CREATED, Json(answer)))
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
    body: Body,
) -> Answer<KeyResponse> {
    let snapshot = admin.config.snapshot();
    let asked = KeyUpdate::take(json::fields(body).await?, &Models::of(&snapshot, &org))?;
    let (store, change) = (admin.keys.clone(), asked.into_change());
    let changed =
        write(&admin, org.id, id, async move { store.update_key(org.id, id, &change).await }).await?;
    let key = changed.ok_or(Refusal::NotFound(KEY))?;
    Ok(Json(KeyResponse::of(&key, admin.surroundings.now())))
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
) -> Result<StatusCode, Refusal> {
    let (store, now) = (admin.keys.clone(), admin.surroundings.now());
    let was_there = write(&admin, org.id, id, async move { store.delete_key(org.id, id, now).await }).await?;
    if was_there { Ok(StatusCode::NO_CONTENT) } else { Err(Refusal::NotFound(KEY)) }
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
    body: Body,
) -> Answer<KeyRotateResponse> {
    let (now, snapshot) = (admin.surroundings.now(), admin.config.snapshot());
    let asked = Rotation::take(json::optional_fields(body).await?)?;
    let grace_until = asked.grace_until(now, snapshot.keys.rotate_grace);

    let minted = admin.mint.mint_key(&snapshot.keys.prefix);
    let (store, hash, prefix) = (admin.keys.clone(), minted.hash, minted.prefix);
    let rotated =
        write(
            &admin,
            org.id,
            id,
            async move { store.rotate_key(org.id, id, &hash, &prefix, grace_until).await },
        )
        .await?;
    let key = rotated.ok_or(Refusal::NotFound(KEY))?;
    Ok(Json(KeyRotateResponse::of(&key, &minted.secret)))
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
) -> Answer<KeyResponse> {
    set_disabled(&admin, org.id, id, true).await
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
) -> Answer<KeyResponse> {
    set_disabled(&admin, org.id, id, false).await
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

async fn set_disabled(admin: &Admin, org: OrgId, id: KeyId, disabled: bool) -> Answer<KeyResponse> {
    let store = admin.keys.clone();
    let changed = write(admin, org, id, async move { store.set_disabled(org, id, disabled).await }).await?;
    let key = changed.ok_or(Refusal::NotFound(KEY))?;
    Ok(Json(KeyResponse::of(&key, admin.surroundings.now())))
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

/// Does a write and announces it, to the end also when the caller has hung up: between the two
/// a revoked key would stay in the caches.
///
/// A write that failed is announced too, because a store that does not answer may have done it.
async fn write<T: Send + 'static>(
    admin: &Admin,
    org: OrgId,
    id: KeyId,
    change: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, Refusal> {
    let fleet = admin.fleet.clone();
    crate::detach::to_the_end(async move {
        let outcome = change.await;
        fleet.key_changed(org, id).await;
        outcome
    })
    .await?
    .map_err(Refusal::Store)
}
