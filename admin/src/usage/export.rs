//! Usage as a CSV file: one page where the caller names one, and every row otherwise.

use super::row::{UsageRow, field};
use crate::csv::{Lines, cell, line};
use aione_core::ports::{Batches, GroupBy, StoreError, UsageQuery, UsageStore, UsageSum};
use async_trait::async_trait;
use futures_util::{
    StreamExt as _,
    stream::{self},
};
use std::{sync::Arc, time::Duration};
use tokio::{sync::mpsc, task::JoinSet};

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
const AHEAD_MAX: usize = 8;
/// How long a reader may take none of them: a report holds one of a few connections.
const STILL_MAX: Duration = Duration::from_secs(5);

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
    // A task of its own, so that it goes on, and ends, also where nobody reads. It ends with the file.
    let mut passing = JoinSet::new();
    passing.spawn(async move {
        let mut ahead = Ahead { batches: ahead, still_max: STILL_MAX, gave_up: false };
        usage.pass_usage(&query, &mut ahead).await?;
        if ahead.gave_up { Err(StoreError::Unavailable("its reader stood still".to_owned())) } else { Ok(()) }
    });
    let batches = stream::poll_fn(move |context| batches.poll_recv(context));
    let texts = batches.map(move |sums| Ok(lines(&groups, sums)));
    let failure =
        stream::once(async move { passing.join_next().await }).filter_map(async |passed| match passed {
            Some(Ok(Ok(()))) | None => None,
            Some(Ok(Err(error))) => Some(Err(error)),
            Some(Err(error)) => Some(Err(StoreError::Unavailable(error.to_string()))),
        });
    texts.chain(failure).boxed()
}

struct Ahead {
    batches: mpsc::Sender<Vec<UsageSum>>,
    still_max: Duration,
    /// The reader stood still for longer than that.
    gave_up: bool,
}

#[async_trait]
impl Batches<UsageSum> for Ahead {
    async fn take(&mut self, batch: Vec<UsageSum>) -> bool {
        let sent = tokio::time::timeout(self.still_max, self.batches.send(batch)).await;
        self.gave_up = sent.is_err();
        matches!(sent, Ok(Ok(())))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reader_who_stands_still_is_waited_for_no_longer() {
        let (batches, mut reader) = mpsc::channel(1);
        let mut ahead = Ahead { batches, still_max: Duration::from_millis(1), gave_up: false };
        assert!(ahead.take(Vec::new()).await);
        assert!(!ahead.take(Vec::new()).await && ahead.gave_up);
        reader.recv().await.expect("a batch");
        assert!(ahead.take(Vec::new()).await && !ahead.gave_up);
        drop(reader);
        assert!(!ahead.take(Vec::new()).await && !ahead.gave_up, "nobody wants more, which is no failure");
    }
}
