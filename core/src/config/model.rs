//! What a configuration file may say: YAML's types, field by field.
//!
//! The JSON Schema that editors use and that the shape check goes by is made from these types.
//! What a later version will do has its name here already, so that it is refused by name and
//! not as a typing error.

mod operation;
mod provider;
mod sale;

pub use operation::{
    Admin, Drain, JournalSync, Keys, Limits, Log, LogFormat, Metrics, NoneWord, OnRedisLoss, ReserveCap,
    Secrets, Server, Storage, Tls, Tracing,
};
pub use provider::{Http2, OnDisconnect, Provider, StreamUsage, Timeouts};
pub use sale::{
    Billing, Capability, Classes, CoolDown, Deployment, Limit, Model, Plan, PolicyName, Price, PricePeriod,
    PriceTier, RetryReason, Route, Unpriced,
};

use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The file format that this version reads.
pub const FORMAT_VERSION: u32 = 1;
/// The plan that is there when no plan is.
pub const STANDARD_PLAN: &str = "standard";

/// The configuration of the AIone gateway.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// The file format.
    #[serde(default = "format_version")]
    #[schemars(range(min = 1, max = 1))]
    pub version: u32,
    /// Other files whose keys are merged with this one's, as patterns relative to its folder.
    /// Only the main file may include.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub include: Vec<String>,
    #[serde(default)]
    pub server: Server,
    #[serde(default)]
    pub admin: Admin,
    #[serde(default)]
    pub metrics: Metrics,
    #[serde(default)]
    pub storage: Storage,
    #[serde(default)]
    pub secrets: Secrets,
    #[serde(default)]
    pub keys: Keys,
    #[serde(default)]
    pub billing: Billing,
    #[serde(default)]
    pub limits: Limits,
    #[serde(default)]
    pub drain: Drain,
    #[serde(default)]
    pub log: Log,
    #[serde(default)]
    pub tracing: Tracing,
    /// Accounts with vendors, by a name of your choice.
    pub providers: BTreeMap<String, Provider>,
    /// What callers can name, by its public name (case-sensitive).
    pub models: BTreeMap<String, Model>,
    /// The plan of an organization that was given none.
    #[serde(default = "standard_plan")]
    pub default_plan: String,
    /// What is sold, by code. Absent: `standard`, with every model and no limits.
    #[serde(default = "standard_plans")]
    pub plans: BTreeMap<String, Plan>,
}

/// One value, or a list of them.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMany<T> {
    One(T),
    Many(#[schemars(length(max = 64))] Vec<T>),
}

impl<T> OneOrMany<T> {
    #[must_use]
    pub fn as_slice(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

fn format_version() -> u32 {
    FORMAT_VERSION
}

fn standard_plan() -> String {
    STANDARD_PLAN.to_owned()
}

fn standard_plans() -> BTreeMap<String, Plan> {
    BTreeMap::from([(STANDARD_PLAN.to_owned(), Plan::default())])
}
