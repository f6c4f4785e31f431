//! Management tokens of an organization: made and taken back by an operator.

use crate::{
    Admin,
    auth::{self, Operator},
    error::Refusal,
    json,
    validate::{Fields, checks},
};
use aione_core::{
    config::snapshot::Secret,
    domain::{
        clock::Timestamp,
        credential::{ManagementToken, Role},
        id::{OrgId, TokenId},
    },
};
use axum::{
    Json,
    body::Body,
    extract::{Path, State, rejection::PathRejection},
    http::StatusCode,
};
use serde::Serialize;
use utoipa::ToSchema;

/// Characters of a token's name.
const NAME_MAX: usize = 128;
const ROLES: [(&str, Role); 4] =
    [("owner", Role::Owner), ("admin", Role::Admin), ("viewer", Role::Viewer), ("finance", Role::Finance)];

/// A body of `POST /orgs/{org}/tokens`.
#[derive(ToSchema)]
#[schema(as = TokenCreateRequest)]
pub(crate) struct NewToken {
    #[schema(min_length = 1, max_length = 128)]
    name: String,
    /// `owner`, `admin`, `viewer` or `finance`.
    #[schema(value_type = String)]
    role: Role,
    /// Absent: never.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

/// A token that was just made. Not `Debug`: it holds the secret.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenResponse {
    #[schema(value_type = uuid::Uuid)]
    id: TokenId,
    #[schema(value_type = uuid::Uuid)]
    org_id: OrgId,
    name: String,
    /// In clear, in this answer only.
    token: String,
    role: &'static str,
    #[schema(required = true, format = DateTime)]
    expires_at: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
}

/// Make a management token. Its secret is in this answer and in no other.
#[utoipa::path(
    post, path = "/orgs/{org}/tokens", tag = "Organizations", operation_id = "createToken", request_body = NewToken,
    params(("org" = String, Path, description = "Id or slug")),
    responses((status = 201, body = TokenResponse, description = "With `token` in clear, once"), Refusal),
)]
pub(crate) async fn create(
    State(admin): State<Admin>,
    _: Operator,
    path: Result<Path<String>, PathRejection>,
    body: Body,
) -> Result<(StatusCode, Json<TokenResponse>), Refusal> {
    let Path(org) = path.map_err(|_| Refusal::NoSuchPath)?;
    let org = auth::find_organization(&admin, &org).await?;
    let now = admin.surroundings.now();
    let asked = NewToken::take(json::fields(body).await?, now)?;

    let mut entropy = [0; 10];
    admin.surroundings.entropy(&mut entropy);
    let minted = admin.mint.mint_token();
    let token = asked.into_token(TokenId::new(now, entropy), org.id, now);
    admin.keys.insert_token(&token, &minted.hash).await?;
    Ok((StatusCode::CREATED, Json(TokenResponse::of(token, &minted.secret))))
}

/// Take a management token back.
#[utoipa::path(
    delete, path = "/orgs/{org}/tokens/{token_id}", tag = "Organizations", operation_id = "deleteToken",
    params(("org" = String, Path, description = "Id or slug"), ("token_id" = uuid::Uuid, Path)),
    responses((status = 204), Refusal),
)]
pub(crate) async fn delete(
    State(admin): State<Admin>,
    _: Operator,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<StatusCode, Refusal> {
    let Path((org, id)) = path.map_err(|_| Refusal::NoSuchPath)?;
    let id = checks::in_path("token_id", id)?;
    let org = auth::find_organization(&admin, &org).await?;
    if admin.keys.delete_token(org.id, id).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Refusal::NotFound("Token"))
}

impl NewToken {
    pub(crate) fn take(mut fields: Fields, now: Timestamp) -> Result<Self, Refusal> {
        let name = fields.required("name", checks::text(1, NAME_MAX));
        let role = fields.required("role", checks::one_of(&ROLES));
        let expires_at = fields.nullable("expires_at", checks::time_after(now)).flatten();
        fields.finish()?;
        Ok(Self {
            name: name.expect("its absence is a problem"),
            role: role.expect("its absence is a problem"),
            expires_at,
        })
    }

    pub(crate) fn into_token(self, id: TokenId, org: OrgId, now: Timestamp) -> ManagementToken {
        ManagementToken {
            id,
            org,
            name: self.name,
            role: self.role,
            expires_at: self.expires_at,
            created_at: now,
        }
    }
}

impl TokenResponse {
    fn of(token: ManagementToken, secret: &Secret) -> Self {
        Self {
            id: token.id,
            org_id: token.org,
            name: token.name,
            token: secret.expose().to_owned(),
            role: token.role.as_str(),
            expires_at: token.expires_at.map(Timestamp::rfc3339),
            created_at: token.created_at.rfc3339(),
        }
    }
}
