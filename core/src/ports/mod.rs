//! The traits of what lies outside: the stores, as the domain needs them.
//!
//! Ports take and return domain types. Each method is one round trip unless it says otherwise.

mod budgets;
mod change;
mod invoices;
mod keys;
mod ledger;
mod margin;
mod upstreams;
mod usage;

pub use budgets::{BudgetStore, Spending};
pub use change::{AuditFilter, Change, ChangeStore, Changed, KeptAnswer, Row, Sign, Trail};
pub use invoices::InvoiceStore;
pub use keys::{
    KeyChange, KeyFilter, KeyInContext, KeyStore, LimitChange, NextPlan, Organization, Team, TenantChange,
};
pub use ledger::{EntryPlace, LedgerStore};
pub use margin::{MarginGroup, MarginQuery, MarginStore, MarginSum};
pub use upstreams::{Upstream, Upstreams};
pub use usage::{
    Batches, GroupBy, Overview, OverviewQuery, QuarantineStore, RecordPlace, RecordQuery, UsageQuery,
    UsageStore, UsageSum,
};

use crate::domain::{
    clock::Timestamp,
    id::{KeyId, OrgId},
};
use async_trait::async_trait;
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

/// A page of a list that is asked for by number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Page {
    pub offset: u64,
    pub limit: u64,
}

/// Tells every node of what changed, so that caches let go of it.
#[async_trait]
pub trait Fleet: Send + Sync {
    /// On return this node refuses what the change forbids; the others follow within a second.
    async fn key_changed(&self, org: OrgId, id: KeyId);
    /// The same of what stands above keys: an organization or a team.
    async fn tenant_changed(&self, org: OrgId);
    /// An organization has paid in, or has to pay: its balance is another one.
    async fn funds_changed(&self, org: OrgId);
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

/// What a reload would do now.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DryRun {
    pub would: Reloaded,
    /// What is allowed and probably not meant, a line each.
    pub warnings: Vec<String>,
}

/// The running configuration and the way to replace it.
#[async_trait]
pub trait ConfigControl: Send + Sync {
    fn snapshot(&self) -> Arc<crate::config::snapshot::Snapshot>;
    /// What was wrong at the last reload, a line each; empty where it was sound.
    fn last_problems(&self) -> Vec<String>;
    /// Loads and checks as [`ConfigControl::reload`] does and changes nothing. What only a store can
    /// refuse is not tried.
    async fn check(&self) -> Result<DryRun, Vec<String>>;
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
