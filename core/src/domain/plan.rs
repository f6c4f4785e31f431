//! A plan: which models an organization may call, how fast, and at what fee.

use crate::domain::price::{ModelPrice, PriceBook};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, sync::Arc};
use uuid::Uuid;

/// The name that stands for "each model that is not named".
pub const EVERY_MODEL: &str = "*";

/// Limits over one meter. `None`: no limit of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RateLimits {
    /// Requests in any 60 seconds.
    pub rpm: Option<u64>,
    /// Tokens in any 60 seconds.
    pub tpm: Option<u64>,
    /// Requests in any 24 hours.
    pub rpd: Option<u64>,
    /// Requests in flight.
    pub concurrency: Option<u64>,
}

impl RateLimits {
    /// Whether nothing is limited, so that no meter is needed.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }
}

/// A plan as the snapshot holds it; its maps go by model name or [`EVERY_MODEL`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    pub code: Arc<str>,
    pub name: String,
    /// Model names, or [`EVERY_MODEL`].
    pub models: Vec<String>,
    pub rpm_limits: BTreeMap<String, u64>,
    pub tpm_limits: BTreeMap<String, u64>,
    pub rpd_limits: BTreeMap<String, u64>,
    pub concurrency_limits: BTreeMap<String, u64>,
    /// What its requests cost: the book of all, or one of its own where it states rates.
    pub prices: Arc<PriceBook>,
    /// The rates that it states itself, as they are written.
    pub own_prices: BTreeMap<String, String>,
    /// A decimal amount in the billing currency.
    pub monthly_fee: String,
    pub sandbox_included: bool,
    pub sla_tier: String,
}

impl Plan {
    /// A plan is known by its code; where a client wants a UUID, this is the one that follows from
    /// it, on every node and after every restart: version 8 (RFC 9562 §5.8), the first bits of
    /// SHA-256 over `aione plan`, a zero byte and the code.
    #[must_use]
    pub fn id(&self) -> Uuid {
        let digest: [u8; 32] =
            Sha256::new().chain_update(b"aione plan\0").chain_update(self.code.as_bytes()).finalize().into();
        let (first, _) = digest.split_first_chunk::<16>().expect("32 bytes are more than 16");
        uuid::Builder::from_custom_bytes(*first).into_uuid()
    }

    #[must_use]
    pub fn includes(&self, model: &str) -> bool {
        self.models.iter().any(|name| name == EVERY_MODEL || name == model)
    }

    /// What `model`, by its public name, costs under this plan.
    #[must_use]
    pub fn price_of(&self, model: &str) -> Option<&ModelPrice> {
        self.prices.models.get(model)
    }

    /// The limits of one organization's bucket for `model`.
    #[must_use]
    pub fn limits_for(&self, model: &str) -> RateLimits {
        let of = |map: &BTreeMap<String, u64>| map.get(model).or_else(|| map.get(EVERY_MODEL)).copied();
        RateLimits {
            rpm: of(&self.rpm_limits),
            tpm: of(&self.tpm_limits),
            rpd: of(&self.rpd_limits),
            concurrency: of(&self.concurrency_limits),
        }
    }
}
