//! Usage records: kept, summed, listed.

use super::{Page, StoreError};
use crate::domain::{
    clock::Timestamp,
    id::{KeyId, OrgId, RecordId, TeamId},
    money::Pico,
    price::PriceBook,
    usage::{Usage, UsageRecord},
};
use async_trait::async_trait;
use chrono::NaiveDate;

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
    async fn list_records(&self, after: Option<RecordId>, limit: u32)
    -> Result<Vec<UsageRecord>, StoreError>;
    /// Keeps a book under its version; a book that is there already stays as it is.
    async fn keep_price_book(&self, book: &PriceBook, now: Timestamp) -> Result<(), StoreError>;
    async fn find_price_book(&self, version: u64) -> Result<Option<PriceBook>, StoreError>;
}
