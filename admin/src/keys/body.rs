//! What the calls on keys take: bodies that were checked as a whole.

use crate::{
    error::Refusal,
    orgs::take_amount,
    validate::{Fault, Fields, checks},
};
use aione_core::{
    config::snapshot::Snapshot,
    domain::{
        budget::BudgetPeriod,
        clock::Timestamp,
        id::{KeyId, TeamId},
        key::Key,
        money::Pico,
        plan::{Plan, RateLimits},
    },
    ports::{KeyChange, LimitChange, Organization},
};
use ipnet::IpNet;
use serde_json::{Map, Value};
use std::{sync::Arc, time::Duration};
use utoipa::ToSchema;

/// Characters of a key's name.
const NAME_MAX: usize = 128;
/// Models that one key may name.
const MODELS_MAX: usize = 256;
/// Characters of a model's name.
const MODEL_NAME_MAX: usize = 512;
/// Addresses and networks that one key may be bound to.
const ADDRESSES_MAX: usize = 256;
/// What a limit may be: what every store's integers hold.
const LIMIT_MAX: u64 = i64::MAX.unsigned_abs();
/// Bytes of `metadata` as compact JSON.
const METADATA_MAX: usize = 4096;
/// Seconds that a former secret may live on: 90 days.
const GRACE_MAX_SECONDS: u64 = 90 * 24 * 3600;
/// Fields of the API that this version refuses.
const NOT_YET: [&str; 1] = ["scopes"];

/// A body of `POST /gateway/keys`.
#[derive(ToSchema)]
#[schema(as = KeyCreateRequest)]
pub(crate) struct NewKey {
    #[schema(min_length = 1, max_length = 128)]
    name: String,
    /// Absent: the organization's team `default`.
    #[schema(value_type = Option<uuid::Uuid>)]
    team_id: Option<TeamId>,
    /// Names or aliases; empty: all of the plan.
    #[schema(required = false, example = json!([]))]
    models_allowed: Vec<String>,
    #[schema(minimum = 1)]
    rpm_limit: Option<u64>,
    #[schema(minimum = 1)]
    tpm_limit: Option<u64>,
    #[schema(required = false, default = false)]
    is_sandbox: bool,
    /// Addresses or networks in CIDR notation; empty: from anywhere.
    #[schema(required = false, value_type = Vec<String>, example = json!(["203.0.113.0/24"]))]
    allowed_ips: Vec<IpNet>,
    #[schema(value_type = Option<chrono::DateTime<chrono::Utc>>, example = "2099-01-01T00:00:00Z")]
    expires_at: Option<Timestamp>,
    #[schema(minimum = 1)]
    max_concurrency: Option<u64>,
    #[schema(minimum = 1)]
    rpd_limit: Option<u64>,
    /// What may be spent in each of its periods, a decimal amount. `null`: no bound of its own.
    #[schema(pattern = r"^(0|[1-9][0-9]{0,11})(\.[0-9]{1,12})?$", value_type = Option<String>, example = "50.00")]
    budget_rmb: Option<Pico>,
    /// `day` or `month`, in the organization's time zone. Absent: `month`.
    #[schema(pattern = "^(day|month)$", nullable = false, value_type = Option<String>, example = "month")]
    budget_period: Option<BudgetPeriod>,
    /// At most 4 KiB of JSON.
    #[schema(required = false, value_type = Object)]
    metadata: Map<String, Value>,
}

/// A body of `PUT /gateway/keys/{key_id}`. Absent: unchanged; `null`: back to the plan's default.
#[derive(ToSchema)]
#[schema(as = KeyUpdateRequest)]
pub(crate) struct KeyUpdate {
    #[schema(min_length = 1, max_length = 128, nullable = false)]
    name: Option<String>,
    /// Names or aliases; empty: all of the plan.
    #[schema(example = json!([]))]
    models_allowed: Option<Vec<String>>,
    /// Addresses or networks in CIDR notation; empty: from anywhere.
    #[schema(value_type = Option<Vec<String>>, example = json!(["203.0.113.0/24"]))]
    allowed_ips: Option<Vec<IpNet>>,
    #[schema(minimum = 1, value_type = Option<u64>)]
    rpm_limit: Option<Option<u64>>,
    #[schema(minimum = 1, value_type = Option<u64>)]
    tpm_limit: Option<Option<u64>>,
    #[schema(minimum = 1, value_type = Option<u64>)]
    max_concurrency: Option<Option<u64>>,
    #[schema(minimum = 1, value_type = Option<u64>)]
    rpd_limit: Option<Option<u64>>,
    /// What may be spent in each of its periods, a decimal amount. `null`: no bound of its own.
    #[schema(pattern = r"^(0|[1-9][0-9]{0,11})(\.[0-9]{1,12})?$", value_type = Option<String>, example = "50.00")]
    budget_rmb: Option<Option<Pico>>,
    /// `day` or `month`, in the organization's time zone.
    #[schema(pattern = "^(day|month)$", nullable = false, value_type = Option<String>, example = "month")]
    budget_period: Option<BudgetPeriod>,
    /// Takes the place of what there was. At most 4 KiB of JSON.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Map<String, Value>>,
}

/// A body of `PUT /gateway/keys/{key_id}/rotate`.
#[derive(ToSchema)]
#[schema(as = KeyRotateRequest)]
pub(crate) struct Rotation {
    /// How long the former secret is still taken; 0: no longer. Absent: `keys.rotate_grace`.
    #[schema(minimum = 0, maximum = 7_776_000, nullable = false)]
    grace_seconds: Option<u64>,
}

/// The models that an organization's keys may name.
pub(crate) struct Models<'a> {
    snapshot: &'a Snapshot,
    plan: Option<&'a Arc<Plan>>,
}

impl<'a> Models<'a> {
    /// Of an organization whose plan is not in the configuration: those of the default plan, which
    /// is also what its requests are served by.
    pub(crate) fn of(snapshot: &'a Snapshot, org: &Organization) -> Self {
        Self { snapshot, plan: snapshot.plan_or_default(&org.plan) }
    }

    /// The public name that a name or alias stands for. One outside of the plan and one that
    /// does not exist are the same.
    fn resolve(&self, value: &Value) -> Result<String, Fault> {
        let name = checks::text(1, MODEL_NAME_MAX)(value)?;
        let model = self.snapshot.sold(&name).map(|model| &model.id);
        model
            .filter(|id| self.plan.is_some_and(|plan| plan.includes(id)))
            .map(|id| id.to_string())
            .ok_or_else(|| Fault::value(format!("Model '{name}' not found")))
    }
}

impl NewKey {
    /// `team` is `None` only where `fields` holds a problem with it.
    pub(crate) fn take(
        mut fields: Fields,
        models: &Models<'_>,
        team: Option<TeamId>,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        let name = fields.required("name", checks::text(1, NAME_MAX));
        let key = Self {
            name: name.unwrap_or_default(),
            team_id: team,
            models_allowed: take_models(&mut fields, models).unwrap_or_default(),
            rpm_limit: take_limit(&mut fields, "rpm_limit").flatten(),
            tpm_limit: take_limit(&mut fields, "tpm_limit").flatten(),
            is_sandbox: fields.given("is_sandbox", checks::boolean).unwrap_or_default(),
            allowed_ips: fields.list("allowed_ips", ADDRESSES_MAX, checks::network).unwrap_or_default(),
            expires_at: fields.nullable("expires_at", checks::time_after(now)).flatten(),
            max_concurrency: take_limit(&mut fields, "max_concurrency").flatten(),
            rpd_limit: take_limit(&mut fields, "rpd_limit").flatten(),
            budget_rmb: take_amount(&mut fields, "budget_rmb").flatten(),
            budget_period: take_period(&mut fields),
            metadata: fields.given("metadata", checks::object(METADATA_MAX)).unwrap_or_default(),
        };
        fields.not_yet(&NOT_YET);
        fields.finish()?;
        Ok(key)
    }

    /// # Panics
    /// Never: without a team there was a problem, and then there is no `NewKey`.
    pub(crate) fn into_key(self, id: KeyId, org: &Organization, prefix: String, now: Timestamp) -> Key {
        Key {
            id,
            org: org.id,
            team: self.team_id.expect("a key without a team was refused"),
            name: self.name,
            prefix,
            models_allowed: self.models_allowed,
            allowed_ips: self.allowed_ips,
            limits: RateLimits {
                rpm: self.rpm_limit,
                tpm: self.tpm_limit,
                rpd: self.rpd_limit,
                concurrency: self.max_concurrency,
            },
            budget: self.budget_rmb,
            budget_period: self.budget_period.unwrap_or_default(),
            is_sandbox: self.is_sandbox,
            expires_at: self.expires_at,
            disabled: false,
            rotate_grace_until: None,
            created_at: now,
            last_used_at: None,
            metadata: self.metadata,
        }
    }
}

impl KeyUpdate {
    pub(crate) fn take(mut fields: Fields, models: &Models<'_>) -> Result<Self, Refusal> {
        fields.null_means("models_allowed", Value::Array(Vec::new()));
        fields.null_means("allowed_ips", Value::Array(Vec::new()));
        fields.null_means("metadata", Value::Object(Map::new()));
        let update = Self {
            name: fields.given("name", checks::text(1, NAME_MAX)),
            models_allowed: take_models(&mut fields, models),
            allowed_ips: fields.list("allowed_ips", ADDRESSES_MAX, checks::network),
            rpm_limit: take_limit(&mut fields, "rpm_limit"),
            tpm_limit: take_limit(&mut fields, "tpm_limit"),
            max_concurrency: take_limit(&mut fields, "max_concurrency"),
            rpd_limit: take_limit(&mut fields, "rpd_limit"),
            budget_rmb: take_amount(&mut fields, "budget_rmb"),
            budget_period: take_period(&mut fields),
            metadata: fields.given("metadata", checks::object(METADATA_MAX)),
        };
        fields.not_yet(&NOT_YET);
        fields.finish()?;
        Ok(update)
    }

    pub(crate) fn into_change(self) -> KeyChange {
        KeyChange {
            name: self.name,
            models_allowed: self.models_allowed,
            allowed_ips: self.allowed_ips,
            limits: LimitChange {
                rpm: self.rpm_limit,
                tpm: self.tpm_limit,
                rpd: self.rpd_limit,
                concurrency: self.max_concurrency,
            },
            budget: self.budget_rmb,
            budget_period: self.budget_period,
            metadata: self.metadata,
        }
    }
}

impl Rotation {
    pub(crate) fn take(mut fields: Fields) -> Result<Self, Refusal> {
        let grace_seconds = fields.given("grace_seconds", checks::integer(0, GRACE_MAX_SECONDS));
        fields.finish()?;
        Ok(Self { grace_seconds })
    }

    pub(crate) fn grace_until(&self, now: Timestamp, default: Duration) -> Timestamp {
        let grace = self.grace_seconds.map_or(default, Duration::from_secs);
        now.plus_ms(i64::try_from(grace.as_millis()).unwrap_or(i64::MAX))
    }
}

/// Resolved, each once, in the order given.
fn take_models(fields: &mut Fields, models: &Models<'_>) -> Option<Vec<String>> {
    let names = fields.list("models_allowed", MODELS_MAX, |value| models.resolve(value))?;
    let mut unique = Vec::with_capacity(names.len());
    for name in names {
        if !unique.contains(&name) {
            unique.push(name);
        }
    }
    Some(unique)
}

fn take_period(fields: &mut Fields) -> Option<BudgetPeriod> {
    let periods = BudgetPeriod::ALL.map(|period| (period.as_str(), period));
    fields.given("budget_period", checks::one_of(&periods))
}

/// `null`: none of its own.
pub(crate) fn take_limit(fields: &mut Fields, name: &str) -> Option<Option<u64>> {
    fields.nullable(name, checks::integer(1, LIMIT_MAX))
}
