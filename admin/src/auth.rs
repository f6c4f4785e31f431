//! Who is calling, for which organization, and whether the call is theirs to make.
//!
//! Each extractor is a permission: a handler that takes a [`Writer`] cannot be reached by a
//! viewer. All of them run before the body is read.

use crate::{
    Admin, Listener, Peer,
    error::Refusal,
    validate::{Fault, Problem},
    write::Acting,
};
use aione_core::{
    config::snapshot::OperatorToken,
    domain::{
        audit::Actor,
        clock::Timestamp,
        credential::{ManagementToken, OPERATOR_TOKEN_BYTES_MAX, Role},
        key::{KeyHash, KeyStatus},
    },
    ports::{KeyInContext, Organization},
};
use axum::{
    extract::FromRequestParts,
    http::{header, request::Parts},
};
use serde_json::Value;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// The header in which an operator names an organization, by id or slug.
const ORG_HEADER: &str = "x-aione-org";
/// Bytes of the longest credential that is looked at: no other is as long as an operator's.
const CREDENTIAL_MAX: usize = OPERATOR_TOKEN_BYTES_MAX;

/// May read what belongs to this organization: any of its tokens, or an operator.
pub(crate) struct Reader(pub(crate) Organization);

/// The role of the token that a [`Reader`] was let in with; `None`: an operator. A request extension.
#[derive(Clone, Copy)]
pub(crate) struct ReaderRole(pub(crate) Option<Role>);

/// May change what belongs to this organization: its owners and admins, or an operator.
pub(crate) struct Writer(pub(crate) Organization);

/// May do what concerns the whole gateway.
pub(crate) struct Operator;

/// An inference key that asks about itself.
pub(crate) struct OwnKey(pub(crate) KeyInContext);

impl FromRequestParts<Admin> for Reader {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, admin: &Admin) -> Result<Self, Refusal> {
        let caller = caller(parts, admin).await?;
        let organization = organization(&caller, parts, admin).await?;
        let role = match caller {
            Caller::Member(token) => Some(token.role),
            Caller::Operator(_) | Caller::Key(_) => None,
        };
        parts.extensions.insert(ReaderRole(role));
        Ok(Self(organization))
    }
}

impl FromRequestParts<Admin> for Writer {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, admin: &Admin) -> Result<Self, Refusal> {
        let caller = caller(parts, admin).await?;
        let organization = organization(&caller, parts, admin).await?;
        match &caller {
            Caller::Member(token) if !may_write(token.role) => return Err(Refusal::ReadOnly(token.role)),
            _ => {}
        }
        if let Some(actor) = actor(caller) {
            parts.extensions.insert(Acting { org: Some(organization.id), actor });
        }
        Ok(Self(organization))
    }
}

impl FromRequestParts<Admin> for Operator {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, admin: &Admin) -> Result<Self, Refusal> {
        match caller(parts, admin).await? {
            caller @ Caller::Operator(_) => {
                if let Some(actor) = actor(caller) {
                    parts.extensions.insert(Acting { org: None, actor });
                }
                Ok(Self)
            }
            Caller::Member(_) => Err(Refusal::NotOperator),
            Caller::Key(_) => Err(Refusal::InferenceKey),
        }
    }
}

impl FromRequestParts<Admin> for OwnKey {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, admin: &Admin) -> Result<Self, Refusal> {
        let Caller::Key(found) = caller(parts, admin).await? else {
            return Err(Refusal::NoInferenceKey);
        };
        let peer = parts.extensions.get::<Peer>();
        if !found.key.allowed_ips.is_empty() && !peer.is_some_and(|peer| found.key.allows_ip(peer.0)) {
            return Err(Refusal::Address);
        }
        Ok(Self(*found))
    }
}

/// Whose credential it is.
enum Caller {
    /// With the hash of the token.
    Operator([u8; 32]),
    Member(ManagementToken),
    Key(Box<KeyInContext>),
}

async fn caller(parts: &Parts, admin: &Admin) -> Result<Caller, Refusal> {
    let credential = bearer(parts).ok_or(Refusal::Unauthorized)?;
    let on_admin_listener = parts.extensions.get() == Some(&Listener::Admin);
    if on_admin_listener
        && let Some(digest) = operator(credential, &admin.config.snapshot().admin.operator_tokens)
    {
        return Ok(Caller::Operator(digest));
    }
    let now = admin.surroundings.now();
    if admin.mint.looks_like_management_token(credential) {
        return member(admin, &admin.mint.hashes(credential), now).await;
    }
    if admin.mint.looks_like_inference_key(credential) {
        return key(admin, &admin.mint.hashes(credential), now).await;
    }
    Err(Refusal::Unauthorized)
}

/// The one credential of a request that has exactly one.
fn bearer(parts: &Parts) -> Option<&str> {
    let mut headers = parts.headers.get_all(header::AUTHORIZATION).iter();
    let (only, None) = (headers.next()?, headers.next()) else {
        return None;
    };
    let (scheme, credential) = only.to_str().ok()?.split_once(' ')?;
    let credential = credential.trim();
    let usable = !credential.is_empty() && credential.len() <= CREDENTIAL_MAX;
    (scheme.eq_ignore_ascii_case("bearer") && usable).then_some(credential)
}

/// The hash of an operator's token. Compares with every one, each in constant time, so that the time
/// tells nothing.
fn operator(credential: &str, tokens: &[OperatorToken]) -> Option<[u8; 32]> {
    let digest: [u8; 32] = Sha256::digest(credential.as_bytes()).into();
    let matches = tokens.iter().fold(Choice::from(0), |found, token| found | token.0.ct_eq(&digest));
    bool::from(matches).then_some(digest)
}

/// Who a write is by; a key makes none.
fn actor(caller: Caller) -> Option<Actor> {
    match caller {
        Caller::Operator([a, b, c, d, ..]) => {
            Some(Actor::Operator { fingerprint: format!("{:08x}", u32::from_be_bytes([a, b, c, d])) })
        }
        Caller::Member(token) => Some(Actor::Token { id: token.id, name: token.name }),
        Caller::Key(_) => None,
    }
}

async fn member(admin: &Admin, hashes: &[KeyHash], now: Timestamp) -> Result<Caller, Refusal> {
    for hash in hashes {
        let Some(token) = admin.keys.find_token(hash).await? else { continue };
        if token.expires_at.is_some_and(|end| end <= now) {
            return Err(Refusal::Unauthorized);
        }
        return Ok(Caller::Member(token));
    }
    Err(Refusal::Unauthorized)
}

async fn key(admin: &Admin, hashes: &[KeyHash], now: Timestamp) -> Result<Caller, Refusal> {
    for hash in hashes {
        let Some(found) = admin.keys.find_by_hash(hash).await? else { continue };
        let secret_is_dead = found.secret_dies_at.is_some_and(|end| end <= now);
        if secret_is_dead || found.key.status(now) != KeyStatus::Active {
            return Err(Refusal::Unauthorized);
        }
        return Ok(Caller::Key(Box::new(found)));
    }
    Err(Refusal::Unauthorized)
}

/// The organization that a call is about: the token's own, or the one that an operator names.
async fn organization(caller: &Caller, parts: &Parts, admin: &Admin) -> Result<Organization, Refusal> {
    let named = parts.headers.get(ORG_HEADER).map(|value| value.to_str().unwrap_or_default());
    match caller {
        Caller::Key(_) => Err(Refusal::InferenceKey),
        Caller::Operator(_) => {
            let name = named.ok_or_else(no_organization)?;
            find_organization(admin, name).await
        }
        Caller::Member(token) => {
            let own = token.org.to_string();
            let found = find_organization(admin, named.unwrap_or(&own)).await?;
            if found.id == token.org { Ok(found) } else { Err(NO_SUCH_ORGANIZATION) }
        }
    }
}

const NO_SUCH_ORGANIZATION: Refusal = Refusal::NotFound("Organization");

/// # Errors
/// 404 where no organization has this id or slug.
pub(crate) async fn find_organization(admin: &Admin, id_or_slug: &str) -> Result<Organization, Refusal> {
    admin.keys.find_org(id_or_slug).await?.ok_or(NO_SUCH_ORGANIZATION)
}

fn no_organization() -> Refusal {
    let fault = Fault::new("missing", "Field required: an operator names the organization");
    Refusal::Invalid(vec![Problem::new(vec!["header".into(), ORG_HEADER.into()], fault, Value::Null)])
}

fn may_write(role: Role) -> bool {
    match role {
        Role::Owner | Role::Admin => true,
        Role::Viewer | Role::Finance => false,
    }
}
