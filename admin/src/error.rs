//! Every way in which a call is refused, and the one table that says how.

use crate::validate::Problem;
use aione_core::{domain::credential::Role, ports::StoreError};
use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use std::{borrow::Cow, collections::BTreeMap};
use utoipa::{
    IntoResponses, ToSchema,
    openapi::{Content, Ref, RefOr, ResponseBuilder, response::Response as Documented},
};

/// Why a call was not done.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// No credential, more than one, or one that is unknown, expired or disabled.
    Unauthorized,
    /// An inference key, where a management or operator token is needed.
    InferenceKey,
    /// A token, where the inference key itself is needed.
    NoInferenceKey,
    /// An inference key from an address that it is not bound to.
    Address,
    /// A management token, where an operator token is needed.
    NotOperator,
    /// A role that may only read.
    ReadOnly(Role),
    /// Nothing of that name, or another organization's: the two look the same.
    NotFound(&'static str),
    NoSuchPath,
    NoSuchMethod,
    /// More calls from one address than [`crate::pace`] allows.
    TooFast,
    /// As many files are on their way as [`crate::exports`] allows.
    TooManyExports,
    /// A file that HTTP/1.0 could not tell from one that broke off.
    TooLongForHttp10,
    /// The body did not arrive whole.
    BodyBroken,
    /// The body did not arrive in time.
    BodyLate,
    /// The body is over [`crate::json::BODY_MAX`].
    BodyTooLarge,
    /// Parameters that are wrong, each with its place.
    Invalid(Vec<Problem>),
    Store(StoreError),
    /// What is asked does not go with what is there.
    Conflict(&'static str),
    /// An `Idempotency-Key` that was used for another request.
    KeyReused,
    /// A reload found problems, a line each; the running configuration stays.
    ConfigRefused(Vec<String>),
    /// A fault of ours. It was logged where it was found.
    Internal,
}

/// The body of every refusal but 422.
#[derive(Serialize, ToSchema)]
pub(crate) struct Refused {
    /// For people.
    detail: Cow<'static, str>,
    /// For programs.
    code: &'static str,
    /// Of a configuration that was refused: what is wrong, a line each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    problems: Vec<String>,
}

/// The body of a 422: every problem that was found.
#[derive(Serialize, ToSchema)]
pub(crate) struct Unprocessable {
    detail: Vec<Problem>,
}

impl Refusal {
    /// For people.
    pub(crate) fn detail(&self) -> Cow<'static, str> {
        self.row().2
    }

    /// Status, `code` and `detail`.
    fn row(&self) -> (StatusCode, &'static str, Cow<'static, str>) {
        use StatusCode as S;
        match self {
            Self::Unauthorized => (
                S::UNAUTHORIZED,
                "unauthorized",
                "A valid credential is needed in `Authorization: Bearer`".into(),
            ),
            Self::InferenceKey => (
                S::FORBIDDEN,
                "inference_key_not_allowed",
                "An inference key cannot manage; use a management token".into(),
            ),
            Self::NoInferenceKey => (
                S::FORBIDDEN,
                "inference_key_required",
                "Only an inference key can ask this, about itself".into(),
            ),
            Self::Address => {
                (S::FORBIDDEN, "ip_not_allowed", "The key is not allowed from this address".into())
            }
            Self::NotOperator => {
                (S::FORBIDDEN, "operator_required", "Only an operator token may do this".into())
            }
            Self::ReadOnly(role) => (
                S::FORBIDDEN,
                "role_not_allowed",
                format!("The role `{}` may only read; this needs `owner` or `admin`", role.as_str()).into(),
            ),
            Self::NotFound(what) => (S::NOT_FOUND, "not_found", format!("{what} not found").into()),
            Self::NoSuchPath => (S::NOT_FOUND, "not_found", "Not Found".into()),
            Self::NoSuchMethod => (S::METHOD_NOT_ALLOWED, "method_not_allowed", "Method Not Allowed".into()),
            Self::TooFast => {
                (S::TOO_MANY_REQUESTS, "too_many_requests", "Too many calls from this address".into())
            }
            Self::TooManyExports => {
                (S::TOO_MANY_REQUESTS, "too_many_exports", "Too many files are on their way already".into())
            }
            Self::TooLongForHttp10 => (
                S::HTTP_VERSION_NOT_SUPPORTED,
                "http_version_not_supported",
                "A file of this length needs HTTP/1.1: by HTTP/1.0 nobody could tell whether it is whole"
                    .into(),
            ),
            Self::BodyBroken => (S::BAD_REQUEST, "invalid_request", "The body did not arrive whole".into()),
            Self::BodyLate => {
                (S::REQUEST_TIMEOUT, "request_timeout", "The body did not arrive in time".into())
            }
            Self::BodyTooLarge => {
                (S::PAYLOAD_TOO_LARGE, "request_too_large", "The body is larger than 64 KiB".into())
            }
            Self::Invalid(_) => (S::UNPROCESSABLE_ENTITY, "invalid_request", "A parameter is wrong".into()),
            Self::Store(StoreError::Unavailable(_)) => {
                (S::SERVICE_UNAVAILABLE, "store_unavailable", "The store does not answer; try again".into())
            }
            Self::Store(StoreError::Conflict(_)) => {
                (S::CONFLICT, "conflict", "This conflicts with what is stored; read it again".into())
            }
            Self::Conflict(why) => (S::CONFLICT, "conflict", (*why).into()),
            Self::KeyReused => (
                S::CONFLICT,
                "idempotency_key_reused",
                "This `Idempotency-Key` belongs to a request with another body".into(),
            ),
            Self::ConfigRefused(_) => (
                S::CONFLICT,
                "config_refused",
                "The configuration has problems; the running one stays".into(),
            ),
            Self::Store(StoreError::Corrupt(_)) | Self::Internal => {
                (S::INTERNAL_SERVER_ERROR, "internal_error", "The gateway failed".into())
            }
        }
    }
}

impl Refusal {
    /// Says what a conflict in the store means here.
    pub(crate) fn or_conflict(self, means: &'static str) -> Self {
        match self {
            Self::Store(StoreError::Conflict(_)) => Self::Conflict(means),
            other => other,
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code, detail) = self.row();
        if let (true, Self::Store(error)) = (status.is_server_error(), &self) {
            // The store's own words stay in the log: they may name files and hosts.
            tracing::error!(%error, "the management API could not use the store: {error}");
        }
        let problems = match self {
            Self::Invalid(problems) => {
                return (status, Json(Unprocessable { detail: problems })).into_response();
            }
            Self::ConfigRefused(problems) => problems,
            _ => Vec::new(),
        };
        let mut answer = (status, Json(Refused { detail, code, problems })).into_response();
        match status {
            StatusCode::UNAUTHORIZED => {
                answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        answer
    }
}

/// The refusals that any call can meet, for the OpenAPI document.
impl IntoResponses for Refusal {
    fn responses() -> BTreeMap<String, RefOr<Documented>> {
        let documented = |description: &str, schema: &str| {
            let content = Content::new(Some(Ref::from_schema_name(schema)));
            ResponseBuilder::new()
                .description(description)
                .content("application/json", content)
                .build()
                .into()
        };
        [
            ("400", "The body did not arrive whole", "Refused"),
            ("401", "No credential, or none that is valid", "Refused"),
            ("403", "The credential may not do this", "Refused"),
            ("404", "No such thing in this organization", "Refused"),
            ("408", "The body did not arrive in time", "Refused"),
            ("409", "In conflict with what is stored", "Refused"),
            ("413", "The body is larger than 64 KiB", "Refused"),
            ("422", "Parameters that are wrong, each with its place", "Unprocessable"),
            ("429", "Too many calls from this address, or files at once; see `retry-after`", "Refused"),
            ("503", "The store does not answer; see `retry-after`", "Refused"),
            ("505", "A file that is too long for HTTP/1.0", "Refused"),
        ]
        .into_iter()
        .map(|(status, description, schema)| (status.to_owned(), documented(description, schema)))
        .collect()
    }
}
