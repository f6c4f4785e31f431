//! Single requests as a CSV file: all that the filters let through, the newest first, read page by page.

use super::row::RequestRow;
use crate::csv::{Lines, cell, line};
use aione_core::ports::{RecordPlace, RecordQuery, UsageStore};
use futures_util::{StreamExt as _, stream};
use std::sync::Arc;

/// Records that are read at once.
const PAGE: u64 = 2_000;
/// In the order in which [`one_line`] writes them.
const COLUMNS: [&str; 21] = [
    "id",
    "started_at",
    "team_id",
    "key_id",
    "model",
    "provider",
    "dialect",
    "streamed",
    "is_sandbox",
    "outcome",
    "status",
    "attempts",
    "prompt_tokens",
    "cached_tokens",
    "completion_tokens",
    "reasoning_tokens",
    "total_tokens",
    "provenance",
    "cost_rmb",
    "latency_ms",
    "first_byte_ms",
];

pub(super) fn header() -> String {
    line(COLUMNS.into_iter().map(str::to_owned))
}

/// Each page begins where the one before ended, so that what comes in meanwhile moves nothing.
pub(super) fn all(usage: Arc<dyn UsageStore>, query: RecordQuery) -> Lines {
    let first = Some(RecordQuery { limit: PAGE, ..query });
    let pages = stream::try_unfold(first, move |query| {
        let usage = usage.clone();
        async move {
            let Some(query) = query else { return Ok(None) };
            let records = usage.find_records(&query).await?;
            let text: String = records.iter().map(|record| one_line(&RequestRow::of(record))).collect();
            let last = records.last().filter(|_| records.len() as u64 == PAGE);
            let next = last.map(|last| {
                let opened = &last.opened;
                let after = Some(RecordPlace { started_at: opened.started_at, id: opened.id });
                RecordQuery { after, ..query }
            });
            Ok(Some((text, next)))
        }
    });
    pages.boxed()
}

fn one_line(row: &RequestRow) -> String {
    line(
        [
            row.id.clone(),
            row.started_at.clone(),
            row.team_id.clone(),
            row.key_id.clone(),
            cell(&row.model),
            cell(&row.provider),
            cell(&row.dialect),
            row.streamed.to_string(),
            row.is_sandbox.to_string(),
            row.outcome.to_owned(),
            row.status.to_string(),
            row.attempts.to_string(),
            row.prompt_tokens.to_string(),
            row.cached_tokens.to_string(),
            row.completion_tokens.to_string(),
            row.reasoning_tokens.to_string(),
            row.total_tokens.to_string(),
            row.provenance.to_owned(),
            row.cost_rmb.clone().unwrap_or_default(),
            row.latency_ms.to_string(),
            row.first_byte_ms.to_string(),
        ]
        .into_iter(),
    )
}
