//! Usage records: kept, summed, listed.

use super::{Page, StoreError};
use crate::domain::{
    clock::Timestamp,
    fee::PlanHistory,
    histogram::Histogram,
    id::{KeyId, OrgId, RecordId, TeamId},
    money::Pico,
    price::PriceBook,
    standing::Recent,
    usage::{End, Usage, UsageRecord},
};
use async_trait::async_trait;
use chrono::NaiveDate;
use std::collections::HashMap;

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
    /// Of them, those that [failed](crate::domain::usage::Closed::is_fault).
    pub faults: u64,
    pub usage: Usage,
    pub cost: Pico,
    /// The sum over the requests whose end was seen.
    pub latency_ms: u64,
}

/// Which days an overview is of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OverviewQuery {
    pub org: OrgId,
    pub zone: chrono_tz::Tz,
    /// Inclusive, in `zone`.
    pub start: NaiveDate,
    /// Inclusive, in `zone`.
    pub end: NaiveDate,
    /// From when on `recent` is wanted.
    pub recent_since: Timestamp,
}

/// An organization's traffic at a glance, all of it of one moment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Overview {
    /// Each day that has any, in order.
    pub days: Vec<UsageSum>,
    /// By name; so many at most as the store says.
    pub models: Vec<UsageSum>,
    /// By id; so many at most as the store says.
    pub teams: Vec<UsageSum>,
    /// The names of those teams that have one.
    pub team_names: HashMap<TeamId, String>,
    pub latencies: Histogram,
    /// By quarter of an hour and model.
    pub recent: Vec<Recent>,
}

/// Which records to list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordQuery {
    pub org: OrgId,
    pub zone: chrono_tz::Tz,
    /// Inclusive, in `zone`; `None`: from the first on.
    pub start: Option<NaiveDate>,
    /// Inclusive, in `zone`; `None`: to the last.
    pub end: Option<NaiveDate>,
    pub model: Option<String>,
    pub team: Option<TeamId>,
    pub key: Option<KeyId>,
    pub end_is: Option<End>,
    pub id: Option<RecordId>,
    /// Only what stands after this one.
    pub after: Option<RecordPlace>,
    pub limit: u64,
}

/// Where a record stands among an organization's: the newest first, and of those that started
/// together the one with the largest id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordPlace {
    pub started_at: Timestamp,
    pub id: RecordId,
}

/// Takes what a store hands on, one batch after the other, so that neither side holds all of it.
#[async_trait]
pub trait Batches<T: Send>: Send {
    /// `false`: nobody wants more.
    async fn take(&mut self, batch: Vec<T>) -> bool;
}

/// Usage records and the price books that priced them.
#[async_trait]
pub trait UsageStore: Send + Sync {
    /// Inserts what is not there yet, by record id, in one transaction; durable on return.
    async fn insert_records(&self, records: &[UsageRecord]) -> Result<(), StoreError>;
    async fn sum_usage(&self, query: &UsageQuery) -> Result<Vec<UsageSum>, StoreError>;
    /// Every row of a query, whatever its page says, all of it of one moment.
    async fn pass_usage(&self, query: &UsageQuery, to: &mut dyn Batches<UsageSum>) -> Result<(), StoreError>;
    /// A few round trips in one transaction.
    async fn overview(&self, query: &OverviewQuery) -> Result<Overview, StoreError>;
    /// An organization's records, the newest first.
    async fn find_records(&self, query: &RecordQuery) -> Result<Vec<UsageRecord>, StoreError>;
    /// Records in id order after `after`, for the audit.
    async fn list_records(&self, after: Option<RecordId>, limit: u32)
    -> Result<Vec<UsageRecord>, StoreError>;
    /// What time it is where records are kept, which may be another machine.
    async fn now(&self) -> Result<Timestamp, StoreError>;
    /// Lets go of some of the records that started before `before`; what they came to stays in reports.
    /// True: there may be more. A store may keep the rest of a month.
    async fn forget_records(&self, before: Timestamp) -> Result<bool, StoreError>;
    /// Keeps a book under its version; a book that is there already stays as it is.
    async fn keep_price_book(&self, book: &PriceBook, now: Timestamp) -> Result<(), StoreError>;
    async fn find_price_book(&self, version: u64) -> Result<Option<PriceBook>, StoreError>;
}

/// What is kept apart until there is a price for it.
#[async_trait]
pub trait QuarantineStore: Send + Sync {
    /// Records that await a price, in id order after `after`.
    async fn list_unpriced(
        &self,
        after: Option<RecordId>,
        limit: u32,
    ) -> Result<Vec<UsageRecord>, StoreError>;
    /// The plans that an organization was on.
    async fn plan_history(&self, org: OrgId) -> Result<PlanHistory, StoreError>;
    /// Gives records that await a price the cost and the price book that they have here, in one transaction
    /// with entries of their own. One that has a price by now stays as it is. Returns how many had none.
    async fn price_records(&self, records: &[UsageRecord]) -> Result<usize, StoreError>;
}
