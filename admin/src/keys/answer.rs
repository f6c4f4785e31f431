//! What the calls on keys answer. The order of the fields is part of the contract.

use aione_core::{
    config::snapshot::Secret,
    domain::{
        budget::BudgetPeriod,
        clock::Timestamp,
        id::{KeyId, OrgId, TeamId},
        key::{Key, KeyStatus},
        money::Pico,
    },
};
use ipnet::IpNet;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// A key as its organization sees it. Not `Debug`: it can hold a secret.
#[derive(Serialize, ToSchema)]
pub(crate) struct KeyResponse {
    #[schema(value_type = uuid::Uuid)]
    id: KeyId,
    #[schema(value_type = uuid::Uuid)]
    org_id: OrgId,
    #[schema(value_type = uuid::Uuid)]
    team_id: TeamId,
    name: String,
    /// The secret; `null` except right after the key was made.
    #[schema(required = true)]
    key: Option<String>,
    key_prefix: String,
    models_allowed: Vec<String>,
    #[schema(required = true)]
    rpm_limit: Option<u64>,
    #[schema(required = true)]
    tpm_limit: Option<u64>,
    is_sandbox: bool,
    allowed_ips: Vec<String>,
    #[schema(required = true, format = DateTime)]
    expires_at: Option<String>,
    /// Until when the secret before the last rotation is taken.
    #[schema(required = true, format = DateTime)]
    rotate_grace_until: Option<String>,
    /// `active`, `disabled` or `expired`.
    #[schema(value_type = String)]
    status: KeyStatus,
    #[schema(format = DateTime)]
    created_at: String,
    /// To within a minute.
    #[schema(required = true, format = DateTime)]
    last_used_at: Option<String>,
    #[schema(required = true)]
    max_concurrency: Option<u64>,
    #[schema(required = true)]
    rpd_limit: Option<u64>,
    #[schema(required = true)]
    budget_rmb: Option<String>,
    /// `day` or `month`.
    #[schema(value_type = String)]
    budget_period: BudgetPeriod,
    #[schema(value_type = Object)]
    metadata: Map<String, Value>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct KeyList {
    items: Vec<KeyResponse>,
}

/// A key's new secret. Not `Debug`.
#[derive(Serialize, ToSchema)]
pub(crate) struct KeyRotateResponse {
    #[schema(value_type = uuid::Uuid)]
    id: KeyId,
    key: String,
    key_prefix: String,
    #[schema(required = true, format = DateTime)]
    rotate_grace_until: Option<String>,
}

impl KeyResponse {
    pub(crate) fn of(key: &Key, now: Timestamp) -> Self {
        Self {
            id: key.id,
            org_id: key.org,
            team_id: key.team,
            name: key.name.clone(),
            key: None,
            key_prefix: key.prefix.clone(),
            models_allowed: key.models_allowed.clone(),
            rpm_limit: key.limits.rpm,
            tpm_limit: key.limits.tpm,
            is_sandbox: key.is_sandbox,
            allowed_ips: key.allowed_ips.iter().map(shown).collect(),
            expires_at: key.expires_at.map(Timestamp::rfc3339),
            rotate_grace_until: key.rotate_grace_until.map(Timestamp::rfc3339),
            status: key.status(now),
            created_at: key.created_at.rfc3339(),
            last_used_at: key.last_used_at.map(Timestamp::rfc3339),
            max_concurrency: key.limits.concurrency,
            rpd_limit: key.limits.rpd,
            budget_rmb: key.budget.map(Pico::to_decimal),
            budget_period: key.budget_period,
            metadata: key.metadata.clone(),
        }
    }

    pub(super) fn with_secret(key: &Key, now: Timestamp, secret: &Secret) -> Self {
        Self { key: Some(secret.expose().to_owned()), ..Self::of(key, now) }
    }
}

impl KeyList {
    pub(super) fn of(keys: Vec<Key>, now: Timestamp) -> Self {
        Self { items: keys.iter().map(|key| KeyResponse::of(key, now)).collect() }
    }
}

impl KeyRotateResponse {
    pub(super) fn of(key: &Key, secret: &Secret) -> Self {
        Self {
            id: key.id,
            key: secret.expose().to_owned(),
            key_prefix: key.prefix.clone(),
            rotate_grace_until: key.rotate_grace_until.map(Timestamp::rfc3339),
        }
    }
}

/// An address as an address, a network as a network.
fn shown(net: &IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() { net.addr().to_string() } else { net.to_string() }
}
