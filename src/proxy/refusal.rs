//! Every reason for which an exchange is refused or fails, and the one table that says how
//! each is told to the caller.

use aione_core::domain::{
    budget::Owner,
    limit::{Refused, View, Which},
};
use std::borrow::Cow;

/// Why the caller gets an answer of ours instead of a model's.
#[derive(Debug)]
pub(crate) enum Refusal {
    InvalidRequest {
        message: Cow<'static, str>,
        param: Option<Cow<'static, str>>,
    },
    MissingKey,
    InvalidKey {
        masked: String,
    },
    ModelNotAllowed {
        model: String,
    },
    IpNotAllowed,
    SandboxOnly {
        model: String,
    },
    ModelNotFound {
        model: String,
    },
    NoSuchEndpoint,
    MethodNotAllowed,
    /// As above, where only these are passed on.
    MethodNotPassed {
        allowed: String,
    },
    UpgradeRefused,
    ContextLengthExceeded {
        maximum: u64,
        asked: u64,
    },
    RequestTimeout,
    TooLarge {
        max_bytes: usize,
    },
    UnsupportedEncoding,
    /// The process holds as many request bodies as it may.
    Overloaded,
    RateLimited(Refused),
    /// A purse that pays for the request has not enough left.
    InsufficientBalance(Owner),
    /// What is left to be spent cannot be read, and is not remembered.
    BudgetsUnavailable,
    /// Every deployment rests; the first returns after this many milliseconds.
    NoUpstream {
        retry_after_ms: u64,
    },
    /// The key store cannot be asked and this key is not remembered.
    KeysUnavailable,
    /// Redis, without which the limits admit nobody, cannot be asked.
    LimitsUnavailable,
    /// The journal can promise no more room: an exchange could not be accounted for.
    JournalFull,
    UpstreamFailed {
        message: &'static str,
    },
    UpstreamTimeout,
    /// The process is ending.
    Leaving,
    Internal,
}

/// How a refusal looks from outside, before a dialect words it.
#[derive(Debug)]
pub(crate) struct Face {
    pub(crate) status: u16,
    pub(crate) kind: &'static str,
    pub(crate) code: &'static str,
    pub(crate) message: Cow<'static, str>,
    pub(crate) param: Option<Cow<'static, str>>,
    pub(crate) retry_after_ms: Option<u64>,
}

const INVALID: &str = "invalid_request_error";
/// How long a caller is asked to wait when nothing says how long it will take.
const SOON_MS: u64 = 1_000;

impl Refusal {
    pub(crate) fn invalid(message: impl Into<Cow<'static, str>>, param: Option<&'static str>) -> Self {
        Self::InvalidRequest { message: message.into(), param: param.map(Cow::Borrowed) }
    }

    /// The table. Statuses, types and codes are product.md's contract.
    pub(crate) fn face(&self) -> Face {
        let face = |status, kind, code, message: Cow<'static, str>| Face {
            status,
            kind,
            code,
            message,
            param: None,
            retry_after_ms: None,
        };
        match self {
            Self::InvalidRequest { message, param } => {
                Face { param: param.clone(), ..face(400, INVALID, "invalid_request", message.clone()) }
            }
            Self::MissingKey => face(
                401,
                "authentication_error",
                "invalid_api_key",
                "No API key provided: send it as `Authorization: Bearer <key>`".into(),
            ),
            Self::InvalidKey { masked } => face(
                401,
                "authentication_error",
                "invalid_api_key",
                format!("Invalid API key provided: {masked}").into(),
            ),
            Self::ModelNotAllowed { model } => Face {
                param: Some("model".into()),
                ..face(
                    403,
                    "permission_error",
                    "model_not_allowed",
                    format!("This API key may not use model '{model}'").into(),
                )
            },
            Self::IpNotAllowed => face(
                403,
                "permission_error",
                "ip_not_allowed",
                "This API key may not be used from this address".into(),
            ),
            Self::SandboxOnly { model } => face(
                403,
                "permission_error",
                "scope_not_allowed",
                format!("A sandbox key may use sandbox models only, and '{model}' is not one").into(),
            ),
            Self::ModelNotFound { model } => Face {
                param: Some("model".into()),
                ..face(404, "not_found_error", "model_not_found", format!("Model '{model}' not found").into())
            },
            Self::NoSuchEndpoint => {
                face(404, "not_found_error", "not_found", "No such endpoint on this gateway".into())
            }
            Self::MethodNotAllowed | Self::MethodNotPassed { .. } => {
                face(405, INVALID, "method_not_allowed", "This endpoint does not take this method".into())
            }
            Self::UpgradeRefused => {
                face(426, INVALID, "upgrade_refused", "This endpoint is not served over WebSocket".into())
            }
            Self::ContextLengthExceeded { maximum, asked } => face(
                400,
                INVALID,
                "context_length_exceeded",
                format!(
                    "This model's maximum context length is {maximum} tokens; \
                     the request asks for about {asked} (prompt and answer together)"
                )
                .into(),
            ),
            Self::RequestTimeout => {
                face(408, INVALID, "request_timeout", "The request's body did not arrive in time".into())
            }
            Self::TooLarge { max_bytes } => face(
                413,
                INVALID,
                "request_too_large",
                format!("The request's body is over the maximum of {max_bytes} bytes").into(),
            ),
            Self::UnsupportedEncoding => face(
                415,
                INVALID,
                "unsupported_encoding",
                "The content encoding is not one of zstd, gzip, br, deflate".into(),
            ),
            Self::Overloaded => Face {
                retry_after_ms: Some(SOON_MS),
                ..face(
                    503,
                    "overloaded_error",
                    "overloaded",
                    "The gateway holds as many request bodies as it may; try again shortly".into(),
                )
            },
            Self::RateLimited(refused) => Face {
                retry_after_ms: Some(refused.retry_after_ms),
                ..face(429, "rate_limit_error", "rate_limit_exceeded", rate_limit_message(refused).into())
            },
            Self::NoUpstream { retry_after_ms } => Face {
                retry_after_ms: Some(*retry_after_ms),
                ..face(
                    503,
                    "overloaded_error",
                    "no_upstream_available",
                    "Every deployment of this model is resting after failures; try again later".into(),
                )
            },
            Self::KeysUnavailable => Face {
                retry_after_ms: Some(SOON_MS),
                ..face(
                    503,
                    "api_error",
                    "keys_unavailable",
                    "API keys cannot be checked at the moment".into(),
                )
            },
            Self::InsufficientBalance(owner) => face(
                402,
                "billing_error",
                "insufficient_balance",
                format!("The {} does not cover the most that this request can cost", purse(owner)).into(),
            ),
            Self::BudgetsUnavailable => Face {
                retry_after_ms: Some(SOON_MS),
                ..face(
                    503,
                    "api_error",
                    "budgets_unavailable",
                    "What is left to be spent cannot be checked at the moment".into(),
                )
            },
            Self::LimitsUnavailable => Face {
                retry_after_ms: Some(SOON_MS),
                ..face(
                    503,
                    "overloaded_error",
                    "limits_unavailable",
                    "Limits cannot be checked at the moment, so no request is taken".into(),
                )
            },
            Self::JournalFull => Face {
                retry_after_ms: Some(SOON_MS),
                ..face(
                    503,
                    "overloaded_error",
                    "journal_unavailable",
                    "Usage cannot be recorded at the moment, so no request is taken".into(),
                )
            },
            Self::UpstreamFailed { message } => face(502, "api_error", "upstream_error", (*message).into()),
            Self::UpstreamTimeout => {
                face(504, "api_error", "upstream_timeout", "The upstream did not answer in time".into())
            }
            Self::Leaving => Face {
                retry_after_ms: Some(SOON_MS),
                ..face(503, "overloaded_error", "shutting_down", "The gateway is going away".into())
            },
            Self::Internal => face(500, "api_error", "internal_error", "The gateway failed".into()),
        }
    }

    /// The methods that a 405 names in its head.
    pub(crate) fn allowed(&self) -> Option<&str> {
        match self {
            Self::MethodNotAllowed => Some("GET, HEAD, POST"),
            Self::MethodNotPassed { allowed } => Some(allowed),
            _ => None,
        }
    }

    /// Which limit a 429 names in its body.
    pub(crate) fn limit(&self) -> Option<&'static str> {
        match self {
            Self::RateLimited(refused) => Some(refused.limit.as_str()),
            _ => None,
        }
    }

    /// The limits as they stood when one of them refused.
    pub(crate) fn view(&self) -> Option<&View> {
        match self {
            Self::RateLimited(refused) => Some(&refused.view),
            _ => None,
        }
    }
}

/// No amount is told: whoever has a key need not know what its organization has.
fn purse(owner: &Owner) -> String {
    match owner {
        Owner::Account(_) => "balance of the organization".to_owned(),
        Owner::Organization(_) => "organization's budget for this month".to_owned(),
        Owner::Team(..) => "team's budget for this month".to_owned(),
        Owner::Key(_, _, period) => format!("API key's budget for this {}", period.as_str()),
    }
}

fn rate_limit_message(refused: &Refused) -> String {
    let what = match refused.limit {
        Which::Rpm => "requests per minute",
        Which::Tpm => "tokens per minute",
        Which::Rpd => "requests per day",
        Which::Concurrency => "concurrent requests",
    };
    format!(
        "Rate limit reached for {what} ({} limit: {}). Please try again in {} ms",
        refused.scope.as_str(),
        refused.max,
        refused.retry_after_ms
    )
}
