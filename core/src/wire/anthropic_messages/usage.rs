//! The dialect's `usage` object and the disjoint classes of [`Usage`].
//!
//! Here the classes of the prompt are disjoint already: `input_tokens` is what was neither read from the
//! cache nor written to it. `output_tokens` contains what was thought, of which
//! `output_tokens_details.thinking_tokens` tells how much. `cache_creation` splits
//! `cache_creation_input_tokens` by how long it is kept; where it does not, five minutes are the default.
//! In a stream, counts are totals so far and those that do not change are left out
//! (<https://platform.claude.com/docs/en/build-with-claude/streaming>).

#[cfg(test)]
mod tests;

use crate::{domain::usage::Usage, wire::openai_chat::usage::MAX_COUNT};
use serde::Serialize;
use serde_json::Value;

/// The classes of a usage object; `None`: there is none, or a number cannot be believed.
pub(super) fn decode(value: &[u8]) -> Option<Usage> {
    let mut counts = Counts::default();
    counts.add(value).then(|| counts.classes()).flatten()
}

/// What has been told so far: each later total replaces the earlier one.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::wire) struct Counts {
    input: Option<u64>,
    /// Of both durations.
    cache_write: Option<u64>,
    cache_write_1h: Option<u64>,
    cache_read: Option<u64>,
    output: Option<u64>,
    thinking: Option<u64>,
    searches: Option<u64>,
}

impl Counts {
    /// Takes over what `value` tells. `false`: it is no JSON, or one of its numbers cannot be believed, and
    /// nothing was taken.
    pub(in crate::wire) fn add(&mut self, value: &[u8]) -> bool {
        let told = serde_json::from_slice(value).ok();
        let Some(later) = told.and_then(|told| Self::told(&told)) else { return false };
        *self = Self {
            input: later.input.or(self.input),
            cache_write: later.cache_write.or(self.cache_write),
            cache_write_1h: later.cache_write_1h.or(self.cache_write_1h),
            cache_read: later.cache_read.or(self.cache_read),
            output: later.output.or(self.output),
            thinking: later.thinking.or(self.thinking),
            searches: later.searches.or(self.searches),
        };
        true
    }

    /// `None`: one is no whole number from 0 to [`MAX_COUNT`].
    fn told(usage: &Value) -> Option<Self> {
        let count = |path: &str| match usage.pointer(path) {
            None | Some(Value::Null) => Some(None),
            Some(count) => count.as_u64().filter(|count| *count <= MAX_COUNT).map(Some),
        };
        let cache_write_5m = count("/cache_creation/ephemeral_5m_input_tokens")?;
        let cache_write_1h = count("/cache_creation/ephemeral_1h_input_tokens")?;
        let is_split = cache_write_5m.is_some() || cache_write_1h.is_some();
        let both = cache_write_5m.unwrap_or(0).saturating_add(cache_write_1h.unwrap_or(0));
        Some(Self {
            input: count("/input_tokens")?,
            cache_write: count("/cache_creation_input_tokens")?.or(is_split.then_some(both)),
            cache_write_1h,
            cache_read: count("/cache_read_input_tokens")?,
            output: count("/output_tokens")?,
            thinking: count("/output_tokens_details/thinking_tokens")?,
            searches: count("/server_tool_use/web_search_requests")?,
        })
    }

    /// `None`: nothing has been told. Parts that are larger than their whole are cut to it.
    pub(in crate::wire) fn classes(&self) -> Option<Usage> {
        if self.input.is_none() && self.output.is_none() {
            return None;
        }
        let cache_write = self.cache_write.unwrap_or(0);
        let cache_write_1h = self.cache_write_1h.unwrap_or(0).min(cache_write);
        let output = self.output.unwrap_or(0);
        let reasoning = self.thinking.unwrap_or(0).min(output);
        Some(Usage {
            input: self.input.unwrap_or(0),
            cache_read: self.cache_read.unwrap_or(0),
            cache_write_5m: cache_write - cache_write_1h,
            cache_write_1h,
            output: output - reasoning,
            reasoning,
            searches: self.searches.unwrap_or(0),
            ..Usage::default()
        })
    }
}

/// The usage object as it is written, in an answer or an event.
#[derive(Serialize)]
pub(super) struct Written {
    input_tokens: u64,
    cache_creation_input_tokens: u64,
    cache_read_input_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_creation: Option<WrittenCache>,
    output_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_tokens_details: Option<WrittenOutput>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_tool_use: Option<WrittenTools>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'static str>,
}

#[derive(Serialize)]
struct WrittenCache {
    ephemeral_5m_input_tokens: u64,
    ephemeral_1h_input_tokens: u64,
}

#[derive(Serialize)]
struct WrittenOutput {
    thinking_tokens: u64,
}

#[derive(Serialize)]
struct WrittenTools {
    web_search_requests: u64,
    web_fetch_requests: u64,
}

impl Written {
    /// `usage` is `None` where nobody told, so that the prompt is only estimated. Audio has no class here
    /// and counts as text, images none at all.
    pub(super) fn of(usage: Option<&Usage>, estimated_input: u64, service_tier: Option<&str>) -> Self {
        let estimate = Usage { input: estimated_input, ..Usage::default() };
        let usage = usage.unwrap_or(&estimate);
        let Usage { cache_write_5m, cache_write_1h, reasoning, searches, .. } = *usage;
        let cache_write = cache_write_5m.saturating_add(cache_write_1h);
        Self {
            input_tokens: usage.input.saturating_add(usage.audio_in),
            cache_creation_input_tokens: cache_write,
            cache_read_input_tokens: usage.cache_read,
            cache_creation: (cache_write > 0).then_some(WrittenCache {
                ephemeral_5m_input_tokens: cache_write_5m,
                ephemeral_1h_input_tokens: cache_write_1h,
            }),
            output_tokens: usage.completion_tokens(),
            output_tokens_details: (reasoning > 0).then_some(WrittenOutput { thinking_tokens: reasoning }),
            server_tool_use: (searches > 0)
                .then_some(WrittenTools { web_search_requests: searches, web_fetch_requests: 0 }),
            service_tier: service_tier.and_then(tier),
        }
    }
}

/// The dialect's word for how an answer was served.
fn tier(word: &str) -> Option<&'static str> {
    match word {
        "default" => Some("standard"),
        "priority" => Some("priority"),
        "batch" => Some("batch"),
        _ => None,
    }
}
