//! Management tokens of an organization: made and taken back by an operator.

use crate::{
    Admin,
    auth::{self, Operator},
    error::Refusal,
    validate::{Fields, checks},
    write::Write,
};
use aione_core::{
    config::snapshot::Secret,
    domain::{
        clock::Timestamp,
        credential::{ManagementToken, Role},
        id::{OrgId, TokenId},
    },
    ports::{Change, Changed, Row},
};
use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    http::StatusCode,
    response::Response,
};
use serde::Serialize;
use utoipa::ToSchema;

/// What a 404 says it did not find.
const TOKEN: &str = "Token";
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
    #[schema(value_type = String, pattern = "^(owner|admin|viewer|finance)$")]
    role: Role,
    /// Absent: never.
    #[schema(value_type = Option<chrono::DateTime<chrono::Utc>>, example = "2099-01-01T00:00:00Z")]
    expires_at: Option<Timestamp>,
}

/// A token. Not `Debug`: when it was just made it holds the secret.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenResponse {
    #[schema(value_type = uuid::Uuid)]
    id: TokenId,
    #[schema(value_type = uuid::Uuid)]
    org_id: OrgId,
    name: String,
    /// In clear, in the answer to its creation only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false)]
    token: Option<String>,
    role: &'static str,
    #[schema(required = true, format = DateTime)]
    expires_at: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct TokenList {
    items: Vec<TokenResponse>,
}

/// List an organization's management tokens, the oldest first, without their secrets.
#[utoipa::path(
    get, path = "/orgs/{org}/tokens", tag = "Organizations", operation_id = "listTokens",
    params(("org" = String, Path, description = "Id or slug")),
    responses((status = 200, body = TokenList), Refusal),
)]
pub(crate) async fn list(
    State(admin): State<Admin>,
    _: Operator,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<TokenList>, Refusal> {
    let Path(org) = path.map_err(|_| Refusal::NoSuchPath)?;
    let org = auth::find_organization(&admin, &org).await?;
    let tokens = admin.keys.list_tokens(org.id).await?;
    Ok(Json(TokenList { items: tokens.iter().map(TokenResponse::of).collect() }))
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
    write: Write,
) -> Result<Response, Refusal> {
    let Path(org) = path.map_err(|_| Refusal::NoSuchPath)?;
    let org = auth::find_organization(&admin, &org).await?;
    let now = admin.surroundings.now();
    let asked = NewToken::take(write.fields()?, now)?;

    let mut entropy = [0; 10];
    admin.surroundings.entropy(&mut entropy);
    let minted = admin.mint.mint_token();
    let token = asked.into_token(TokenId::new(now, entropy), org.id, now);
    let change = Change::InsertToken { token, hash: minted.hash };
    let secret = minted.secret;
    let answer = move |changed: &Changed| match changed.row() {
        Row::Token(token) => Some(TokenResponse::with_secret(token, &secret)),
        _ => None,
    };
    let made = write.make(&admin, org.id, "token.create", change, StatusCode::CREATED, answer).await?;
    made.ok_or(Refusal::NotFound(TOKEN))
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
    write: Write,
) -> Result<Response, Refusal> {
    let Path((org, id)) = path.map_err(|_| Refusal::NoSuchPath)?;
    let id = checks::in_path("token_id", id)?;
    let org = auth::find_organization(&admin, &org).await?;
    write.says_nothing()?;
    let answer = |_: &Changed| None::<TokenResponse>;
    let change = Change::DeleteToken { org: org.id, id };
    let deleted = write.make(&admin, org.id, "token.delete", change, StatusCode::NO_CONTENT, answer).await?;
    deleted.ok_or(Refusal::NotFound(TOKEN))
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
    pub(crate) fn of(token: &ManagementToken) -> Self {
        Self {
            id: token.id,
            org_id: token.org,
            name: token.name.clone(),
            token: None,
            role: token.role.as_str(),
            expires_at: token.expires_at.map(Timestamp::rfc3339),
            created_at: token.created_at.rfc3339(),
        }
    }

    fn with_secret(token: &ManagementToken, secret: &Secret) -> Self {
        Self { token: Some(secret.expose().to_owned()), ..Self::of(token) }
    }
}
