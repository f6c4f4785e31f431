//! A row of usage. The order of the fields is part of the contract.

use aione_core::ports::{GroupBy, UsageSum};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

/// Usage of one group: the grouping fields that were asked for, then the numbers.
#[derive(Serialize, ToSchema)]
pub(crate) struct UsageRow {
    /// Each field that was asked for, in that order: a date, an hour (`2026-11-23T14`), a
    /// model's or provider's name, a team's or key's id.
    #[serde(flatten)]
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub(super) group: Group,
    pub(super) requests: u64,
    /// Everything that was read, from a cache or not.
    pub(super) prompt_tokens: u64,
    /// Of them, read from a cache.
    pub(super) cached_tokens: u64,
    /// Everything that was written, reasoning included.
    pub(super) completion_tokens: u64,
    /// Of them, reasoning.
    pub(super) reasoning_tokens: u64,
    pub(super) total_tokens: u64,
    /// A decimal amount in the billing currency, not rounded.
    pub(super) cost_rmb: String,
    /// Requests whose cost is not known, since a class that occurred has no rate: they are not in
    /// `cost_rmb`.
    pub(super) unpriced_requests: u64,
}

/// Names and values in the order asked for, which a map type would lose.
pub(crate) struct Group(pub(crate) Vec<(&'static str, String)>);

impl Serialize for Group {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl UsageRow {
    pub(super) fn of(asked: &[GroupBy], sum: UsageSum) -> Self {
        let usage = sum.usage;
        Self {
            group: Group(asked.iter().copied().map(field).zip(sum.group).collect()),
            requests: sum.requests,
            prompt_tokens: usage.prompt_tokens(),
            cached_tokens: usage.cache_read,
            completion_tokens: usage.completion_tokens(),
            reasoning_tokens: usage.reasoning,
            total_tokens: usage.total_tokens(),
            cost_rmb: sum.cost.to_decimal(),
            unpriced_requests: sum.unpriced,
        }
    }
}

/// A group's name in `group_by` and in a row.
pub(super) fn field(group: GroupBy) -> &'static str {
    match group {
        GroupBy::Day => "day",
        GroupBy::Hour => "hour",
        GroupBy::Model => "model",
        GroupBy::Team => "team",
        GroupBy::Key => "key",
        GroupBy::Provider => "provider",
    }
}
