//! One request. The order of the fields is part of the contract.

use aione_core::domain::usage::UsageRecord;
use serde::Serialize;
use utoipa::ToSchema;

/// A usage record, as its organization may see it: whom the gateway asked under which name and
/// credential is the operator's.
#[derive(Serialize, ToSchema)]
pub(crate) struct RequestRow {
    /// The answer's `x-request-id`.
    #[schema(value_type = uuid::Uuid)]
    pub(super) id: String,
    #[schema(format = DateTime)]
    pub(super) started_at: String,
    #[schema(value_type = uuid::Uuid)]
    pub(super) team_id: String,
    #[schema(value_type = uuid::Uuid)]
    pub(super) key_id: String,
    /// The resolved public model name.
    pub(super) model: String,
    /// Whose answer it was; empty where none answered.
    pub(super) provider: String,
    /// The dialect the caller spoke, such as `openai_chat`; `raw`: the request was passed on as it was.
    pub(super) dialect: String,
    pub(super) streamed: bool,
    pub(super) is_sandbox: bool,
    /// `complete`, `client_closed`, `upstream_aborted`, `upstream_error`, `internal_error` or
    /// `interrupted`.
    pub(super) outcome: &'static str,
    /// That was sent to the caller; 0 where nobody knows.
    pub(super) status: u16,
    /// Upstreams that were asked.
    pub(super) attempts: u8,
    /// Everything that was read, from a cache or not.
    pub(super) prompt_tokens: u64,
    /// Of them, read from a cache.
    pub(super) cached_tokens: u64,
    /// Everything that was written, reasoning included.
    pub(super) completion_tokens: u64,
    /// Of them, reasoning.
    pub(super) reasoning_tokens: u64,
    pub(super) total_tokens: u64,
    /// Where the numbers come from: `provider`, `estimated` or `partial`.
    pub(super) provenance: &'static str,
    /// A decimal amount in the billing currency, not rounded; `null`: not known, since a class that
    /// occurred has no rate.
    #[schema(required = true)]
    pub(super) cost_rmb: Option<String>,
    /// From the last byte of the request to the last byte of the answer.
    pub(super) latency_ms: u32,
    /// From the last byte of the request to the first byte of the answer.
    pub(super) first_byte_ms: u32,
}

impl RequestRow {
    pub(super) fn of(UsageRecord { opened, closed }: &UsageRecord) -> Self {
        let usage = &closed.usage;
        Self {
            id: opened.id.to_string(),
            started_at: opened.started_at.rfc3339(),
            team_id: opened.team.to_string(),
            key_id: opened.key.to_string(),
            model: opened.model.to_string(),
            provider: closed.provider.to_string(),
            dialect: opened.dialect.to_string(),
            streamed: opened.streamed,
            is_sandbox: opened.sandbox,
            outcome: closed.end.as_str(),
            status: closed.status,
            attempts: closed.attempts,
            prompt_tokens: usage.prompt_tokens(),
            cached_tokens: usage.cache_read,
            completion_tokens: usage.completion_tokens(),
            reasoning_tokens: usage.reasoning,
            total_tokens: usage.total_tokens(),
            provenance: closed.provenance.as_str(),
            cost_rmb: (!closed.unpriced).then(|| closed.cost.to_decimal()),
            latency_ms: closed.latency_ms,
            first_byte_ms: closed.first_byte_ms,
        }
    }
}
