//! Usage as a CSV file: one page where the caller names one, and every row otherwise.

use super::row::{UsageRow, field};
use crate::csv::{Lines, cell, line};
use aione_core::ports::{Batches, GroupBy, StoreError, UsageQuery, UsageStore, UsageSum};
use async_trait::async_trait;
use futures_util::{
    StreamExt as _,
    stream::{self},
};
use std::sync::Arc;
use tokio::sync::mpsc;

/// The columns after the groups.
const NUMBERS: [&str; 8] = [
    "requests",
    "prompt_tokens",
    "cached_tokens",
    "completion_tokens",
    "reasoning_tokens",
    "total_tokens",
    "cost_rmb",
    "unpriced_requests",
];
/// Batches that the store may be ahead of a slow reader. A report has a bounded time, and one that
/// waited for its reader would use it up.
const AHEAD_MAX: usize = 32;

pub(super) fn header(groups: &[GroupBy]) -> String {
    line(groups.iter().copied().map(field).chain(NUMBERS).map(str::to_owned))
}

pub(super) fn lines(groups: &[GroupBy], sums: Vec<UsageSum>) -> String {
    sums.into_iter().map(|sum| one_line(&UsageRow::of(groups, sum))).collect()
}

/// Every row of the query, as the store brings them.
pub(super) fn all(usage: Arc<dyn UsageStore>, query: UsageQuery) -> Lines {
    let (ahead, mut batches) = mpsc::channel(AHEAD_MAX);
    let groups = query.group_by.clone();
    let passing = async move { usage.pass_usage(&query, &mut Ahead(ahead)).await };
    // Both are driven by whoever reads the file: without a reader nothing goes on.
    let failure =
        stream::once(passing).filter_map(async |passed: Result<(), StoreError>| passed.err().map(Err));
    let batches = stream::poll_fn(move |context| batches.poll_recv(context));
    let texts = batches.map(move |sums| Ok(lines(&groups, sums)));
    stream::select(texts, failure).boxed()
}

struct Ahead(mpsc::Sender<Vec<UsageSum>>);

#[async_trait]
impl Batches<UsageSum> for Ahead {
    async fn take(&mut self, batch: Vec<UsageSum>) -> bool {
        self.0.send(batch).await.is_ok()
    }
}

fn one_line(row: &UsageRow) -> String {
    let group = row.group.0.iter().map(|(_, value)| cell(value));
    let counts = [
        row.requests,
        row.prompt_tokens,
        row.cached_tokens,
        row.completion_tokens,
        row.reasoning_tokens,
        row.total_tokens,
    ];
    let counts = counts.iter().map(u64::to_string);
    line(group.chain(counts).chain([row.cost_rmb.clone(), row.unpriced_requests.to_string()]))
}
