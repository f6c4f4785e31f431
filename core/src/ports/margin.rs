//! What is left of the revenue, for operators alone.

use super::{Page, StoreError};
use crate::domain::{clock::Timestamp, id::OrgId, outlay::Margin};
use async_trait::async_trait;
use chrono::NaiveDate;
use std::collections::BTreeMap;

/// A column that margins can be grouped by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MarginGroup {
    Day,
    Org,
    Model,
    Provider,
    /// `provider/model`, the model being the upstream's own id.
    Deployment,
}

/// Which margins to sum, and by what.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MarginQuery {
    /// `None`: of all.
    pub org: Option<OrgId>,
    pub zone: chrono_tz::Tz,
    /// Inclusive, in `zone`.
    pub start: NaiveDate,
    /// Inclusive, in `zone`.
    pub end: NaiveDate,
    /// In the order asked for; rows come sorted by it.
    pub group_by: Vec<MarginGroup>,
    pub page: Page,
}

/// One row of grouped margins.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MarginSum {
    /// One value for each of the query's `group_by`, in its order.
    pub group: Vec<String>,
    pub margin: Margin,
}

/// What attempts came to. The recorder adds to it with the records.
#[async_trait]
pub trait MarginStore: Send + Sync {
    async fn sum_margins(&self, query: &MarginQuery) -> Result<Vec<MarginSum>, StoreError>;
    /// What everything that started at `from` or later comes to, by organization, for the audit. `from` is
    /// the beginning of a [quarter of an hour](crate::domain::rollup::Span::Quarter).
    async fn margin_totals(&self, from: Timestamp) -> Result<BTreeMap<OrgId, Margin>, StoreError>;
}
