//! Keys, and the organizations, teams and tokens above them.

use super::{Page, StoreError};
use crate::domain::{
    budget::{BillingMode, BudgetPeriod, Terms},
    clock::Timestamp,
    credential::ManagementToken,
    id::{KeyId, OrgId, TeamId},
    invoice::TaxRate,
    key::{Key, KeyHash, KeyStatus},
    money::Pico,
    plan::RateLimits,
};
use async_trait::async_trait;
use std::sync::Arc;

/// An organization, as stored.
#[derive(Clone, PartialEq, Debug)]
pub struct Organization {
    pub id: OrgId,
    pub slug: String,
    pub name: String,
    /// A plan's code; the plan itself is in the configuration.
    pub plan: Arc<str>,
    pub next_plan: Option<NextPlan>,
    /// Over all models.
    pub limits: RateLimits,
    pub terms: Terms,
    pub tax_rate: TaxRate,
    pub time_zone: chrono_tz::Tz,
    pub created_at: Timestamp,
}

/// The plan that an organization will be on, and from when.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NextPlan {
    pub plan: Arc<str>,
    pub at: Timestamp,
}

/// A team of an organization, as stored.
#[derive(Clone, PartialEq, Debug)]
pub struct Team {
    pub id: TeamId,
    pub org: OrgId,
    pub name: String,
    /// Over all models.
    pub limits: RateLimits,
    /// In a month of the organization's zone.
    pub monthly_budget: Option<Pico>,
    pub created_at: Timestamp,
}

/// What `PUT` on an organization or a team changes; `None`: unchanged.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TenantChange {
    pub name: Option<String>,
    /// A plan's code; of an organization alone.
    pub plan: Option<Arc<str>>,
    /// From when on that plan holds. `None`: at once.
    pub plan_at: Option<Timestamp>,
    /// Of an organization alone.
    pub time_zone: Option<chrono_tz::Tz>,
    pub limits: LimitChange,
    /// Of an organization alone.
    pub tax_rate: Option<TaxRate>,
    /// Of an organization alone.
    pub billing_mode: Option<BillingMode>,
    /// Of an organization alone. The inner `None`: none.
    pub credit_limit: Option<Option<Pico>>,
    /// The inner `None`: none.
    pub monthly_budget: Option<Option<Pico>>,
}

/// Limits that change; the inner `None`: none of its own, the plan's alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LimitChange {
    pub rpm: Option<Option<u64>>,
    pub tpm: Option<Option<u64>>,
    pub rpd: Option<Option<u64>>,
    pub concurrency: Option<Option<u64>>,
}

impl LimitChange {
    /// What `limits` are after it.
    #[must_use]
    pub fn applied_to(self, limits: RateLimits) -> RateLimits {
        RateLimits {
            rpm: self.rpm.unwrap_or(limits.rpm),
            tpm: self.tpm.unwrap_or(limits.tpm),
            rpd: self.rpd.unwrap_or(limits.rpd),
            concurrency: self.concurrency.unwrap_or(limits.concurrency),
        }
    }
}

/// A key with what stands above it: all that admission needs to know.
#[derive(Clone, PartialEq, Debug)]
pub struct KeyInContext {
    pub key: Key,
    /// Set when the secret that was looked up is the one before the last rotation: it is
    /// refused from this time on.
    pub secret_dies_at: Option<Timestamp>,
    pub org_plan: Arc<str>,
    pub org_next_plan: Option<NextPlan>,
    pub org_limits: RateLimits,
    pub org_terms: Terms,
    pub org_zone: chrono_tz::Tz,
    pub team_limits: RateLimits,
    pub team_budget: Option<Pico>,
}

impl KeyInContext {
    /// The plan's code that holds at `at`.
    #[must_use]
    pub fn plan_at(&self, at: Timestamp) -> &Arc<str> {
        match &self.org_next_plan {
            Some(next) if next.at <= at => &next.plan,
            _ => &self.org_plan,
        }
    }
}

/// What `PUT` on a key changes; `None`: unchanged.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct KeyChange {
    pub name: Option<String>,
    pub models_allowed: Option<Vec<String>>,
    pub allowed_ips: Option<Vec<ipnet::IpNet>>,
    pub limits: LimitChange,
    /// The inner `None`: none.
    pub budget: Option<Option<Pico>>,
    pub budget_period: Option<BudgetPeriod>,
    pub metadata: Option<serde_json::Map<String, serde_json::Value>>,
}

/// Which keys to list.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct KeyFilter {
    pub team: Option<TeamId>,
    pub status: Option<KeyStatus>,
    /// A part of the name or the prefix.
    pub q: Option<String>,
}

/// Keys and the organizations and teams that own them, to be read; see [`super::ChangeStore`].
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
    /// By id or slug.
    async fn find_org(&self, id_or_slug: &str) -> Result<Option<Organization>, StoreError>;
    /// Oldest first.
    async fn list_orgs(&self, page: Page) -> Result<Vec<Organization>, StoreError>;
    async fn get_team(&self, org: OrgId, id: TeamId) -> Result<Option<Team>, StoreError>;
    async fn find_team(&self, org: OrgId, name: &str) -> Result<Option<Team>, StoreError>;
    /// Oldest first.
    async fn list_teams(&self, org: OrgId, page: Page) -> Result<Vec<Team>, StoreError>;

    /// Oldest first.
    async fn list_tokens(&self, org: OrgId) -> Result<Vec<ManagementToken>, StoreError>;
    async fn find_token(&self, hash: &KeyHash) -> Result<Option<ManagementToken>, StoreError>;
}
