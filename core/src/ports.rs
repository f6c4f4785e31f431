//! The traits of what lies outside: the stores, as the domain needs them.
//!
//! Ports take and return domain types. Each method is one round trip unless it says otherwise.

use crate::domain::{
    clock::Timestamp,
    credential::ManagementToken,
    id::{KeyId, OrgId, TeamId, TokenId},
    key::{Key, KeyHash},
    money::Pico,
    plan::RateLimits,
    price::PriceBook,
    usage::{Usage, UsageRecord},
};
use async_trait::async_trait;
use chrono::NaiveDate;
use std::sync::Arc;

/// Why a store did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, or not in time; nothing is known of the outcome.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// A name or slug is taken, or a row changed underneath.
    #[error("conflict: {0}")]
    Conflict(String),
    /// What it holds cannot be read by this version.
    #[error("the store holds something that cannot be read: {0}")]
    Corrupt(String),
}

/// An organization, as stored.
#[derive(Clone, PartialEq, Debug)]
pub struct Organization {
    pub id: OrgId,
    pub slug: String,
    pub name: String,
    /// A plan's code; the plan itself is in the configuration.
    pub plan: Arc<str>,
    /// Over all models.
    pub limits: RateLimits,
    pub time_zone: chrono_tz::Tz,
    pub created_at: Timestamp,
}

/// A team of an organization, as stored.
#[derive(Clone, PartialEq, Debug)]
pub struct Team {
    pub id: TeamId,
    pub org: OrgId,
    pub name: String,
    /// Over all models.
    pub limits: RateLimits,
    pub created_at: Timestamp,
}

/// A key with what stands above it: all that admission needs to know.
#[derive(Clone, PartialEq, Debug)]
pub struct KeyInContext {
    pub key: Key,
    /// Set when the secret that was looked up is the one before the last rotation: it is
    /// refused from this time on.
    pub secret_dies_at: Option<Timestamp>,
    pub org_plan: Arc<str>,
    pub org_limits: RateLimits,
    pub team_limits: RateLimits,
}

/// What `PUT` on a key changes; `None`: unchanged.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct KeyChange {
    pub name: Option<String>,
    pub models_allowed: Option<Vec<String>>,
    pub allowed_ips: Option<Vec<ipnet::IpNet>>,
    /// The inner `None` goes back to the plan's default.
    pub rpm: Option<Option<u64>>,
    pub tpm: Option<Option<u64>>,
    pub rpd: Option<Option<u64>>,
    pub concurrency: Option<Option<u64>>,
    pub metadata: Option<serde_json::Map<String, serde_json::Value>>,
}

/// A page of a list that is asked for by number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Page {
    pub offset: u64,
    pub limit: u64,
}

/// Which keys to list.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct KeyFilter {
    pub team: Option<TeamId>,
    pub status: Option<crate::domain::key::KeyStatus>,
    /// A part of the name or the prefix.
    pub q: Option<String>,
}

/// Keys and the organizations and teams that own them.
///
/// Every method that takes an organization sees only that organization's rows.
#[async_trait]
pub trait KeyStore: Send + Sync {
    /// The key whose present secret, or whose former one within its grace, hashes to `hash`.
    /// Deleted keys are not found; disabled and expired ones are.
    async fn find_by_hash(&self, hash: &KeyHash) -> Result<Option<KeyInContext>, StoreError>;
    async fn list_keys(
        &self,
        org: OrgId,
        filter: &KeyFilter,
        page: Page,
        now: Timestamp,
    ) -> Result<Vec<Key>, StoreError>;
    async fn get_key(&self, org: OrgId, id: KeyId) -> Result<Option<Key>, StoreError>;
    async fn insert_key(&self, key: &Key, hash: &KeyHash) -> Result<(), StoreError>;
    /// The changed key; `None` where there is none.
    async fn update_key(&self, org: OrgId, id: KeyId, change: &KeyChange) -> Result<Option<Key>, StoreError>;
    async fn set_disabled(&self, org: OrgId, id: KeyId, disabled: bool) -> Result<Option<Key>, StoreError>;
    /// Puts `hash` in the place of the present secret, which is taken until `grace_until`.
    async fn rotate_key(
        &self,
        org: OrgId,
        id: KeyId,
        hash: &KeyHash,
        prefix: &str,
        grace_until: Timestamp,
    ) -> Result<Option<Key>, StoreError>;
    /// Whether there was one. Its usage stays.
    async fn delete_key(&self, org: OrgId, id: KeyId, now: Timestamp) -> Result<bool, StoreError>;

    /// By id or slug.
    async fn find_org(&self, id_or_slug: &str) -> Result<Option<Organization>, StoreError>;
    async fn insert_org(&self, org: &Organization) -> Result<(), StoreError>;
    async fn get_team(&self, org: OrgId, id: TeamId) -> Result<Option<Team>, StoreError>;
    async fn find_team(&self, org: OrgId, name: &str) -> Result<Option<Team>, StoreError>;
    async fn insert_team(&self, team: &Team) -> Result<(), StoreError>;

    async fn insert_token(&self, token: &ManagementToken, hash: &KeyHash) -> Result<(), StoreError>;
    async fn find_token(&self, hash: &KeyHash) -> Result<Option<ManagementToken>, StoreError>;
    async fn delete_token(&self, org: OrgId, id: TokenId) -> Result<bool, StoreError>;
}

/// A column that usage can be grouped by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum GroupBy {
    Day,
    Hour,
    Model,
    Team,
    Key,
    Provider,
}

/// Which usage to sum, and by what.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UsageQuery {
    pub org: OrgId,
    pub zone: chrono_tz::Tz,
    /// Inclusive, in `zone`.
    pub start: NaiveDate,
    /// Inclusive, in `zone`.
    pub end: NaiveDate,
    /// In the order asked for; rows come sorted by it.
    pub group_by: Vec<GroupBy>,
    pub model: Option<String>,
    pub team: Option<TeamId>,
    pub key: Option<KeyId>,
    pub page: Page,
}

/// One row of grouped usage. The grouping fields that were asked for are set.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct UsageSum {
    /// One value for each of the query's `group_by`, in its order: a date, an hour
    /// (`2026-11-23T14`), a name or an id.
    pub group: Vec<String>,
    pub requests: u64,
    /// Of them, those whose cost is not known and not in `cost`.
    pub unpriced: u64,
    pub usage: Usage,
    pub cost: Pico,
}

/// Usage records and the price books that priced them.
#[async_trait]
pub trait UsageStore: Send + Sync {
    /// Inserts what is not there yet, by record id, in one transaction; durable on return.
    async fn insert_records(&self, records: &[UsageRecord]) -> Result<(), StoreError>;
    async fn sum_usage(&self, query: &UsageQuery) -> Result<Vec<UsageSum>, StoreError>;
    /// Records in id order after `after`, for the audit.
    async fn list_records(
        &self,
        after: Option<crate::domain::id::RecordId>,
        limit: u32,
    ) -> Result<Vec<UsageRecord>, StoreError>;
    /// Keeps a book under its version; a book that is there already stays as it is.
    async fn keep_price_book(&self, book: &PriceBook, now: Timestamp) -> Result<(), StoreError>;
    async fn find_price_book(&self, version: u64) -> Result<Option<PriceBook>, StoreError>;
}

/// Tells every node of what changed, so that caches let go of it.
#[async_trait]
pub trait Fleet: Send + Sync {
    /// On return this node refuses what the change forbids; the others follow within a second.
    async fn key_changed(&self, org: OrgId, id: KeyId);
}

/// What one key has in use now, for `GET /gateway/key`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct KeyUse {
    /// In the last 60 seconds.
    pub requests: u64,
    /// In the last 60 seconds, reservations included.
    pub tokens: u64,
    pub in_flight: u64,
}

/// The limiter's counters, to be looked at.
pub trait LiveUse: Send + Sync {
    fn key_use(&self, id: KeyId) -> KeyUse;
}

/// What a reload did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Reloaded {
    pub version: u64,
    /// What changed, a line each.
    pub changes: Vec<String>,
    /// Changes that wait for a restart, a line each.
    pub needs_restart: Vec<String>,
}

/// The running configuration and the way to replace it.
#[async_trait]
pub trait ConfigControl: Send + Sync {
    fn snapshot(&self) -> Arc<crate::config::snapshot::Snapshot>;
    /// Loads, checks and publishes; with any problem nothing changes and each is told, a line
    /// each, as `aione check` would.
    async fn reload(&self) -> Result<Reloaded, Vec<String>>;
}

/// Where the domain's times and random bytes come from.
pub trait Surroundings: Send + Sync {
    fn now(&self) -> Timestamp;
    /// Fills `bytes` from the system's secure source.
    fn entropy(&self, bytes: &mut [u8]);
}
