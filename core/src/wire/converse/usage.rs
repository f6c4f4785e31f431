//! The `usage` object and the disjoint classes of [`Usage`].
//!
//! The prompt's counts are disjoint: `inputTokens` has neither what was read from a cache nor what was
//! written to one. `cacheDetails` splits the writes by how long they are kept; where it is missing, five
//! minutes are the default. What was thought is a part of `outputTokens`, and not told apart:
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html>.

use crate::{domain::usage::Usage, wire::openai_chat::usage::MAX_COUNT};
use serde::Deserialize;

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Wire {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_write_input_tokens: Option<u64>,
    cache_details: Option<Vec<CacheDetail>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct CacheDetail {
    ttl: String,
    input_tokens: u64,
}

/// `None`: there is none, or a number cannot be believed.
pub(super) fn decode(value: &[u8]) -> Option<Usage> {
    let wire: Wire = serde_json::from_slice::<Option<Wire>>(value).ok().flatten()?;
    let counts =
        [wire.input_tokens, wire.output_tokens, wire.cache_read_input_tokens, wire.cache_write_input_tokens];
    let [Some(_), Some(_), ..] = counts else { return None };
    let [input, output, cache_read, cache_write] = counts.map(Option::unwrap_or_default);
    if [input, output, cache_read, cache_write].iter().any(|count| *count > MAX_COUNT) {
        return None;
    }
    let long = wire.cache_details.iter().flatten().filter(|detail| detail.ttl == "1h");
    let cache_write_1h = long.map(|detail| detail.input_tokens).fold(0, u64::saturating_add).min(cache_write);
    Some(Usage {
        input,
        cache_read,
        cache_write_5m: cache_write - cache_write_1h,
        cache_write_1h,
        output,
        ..Usage::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_fall_into_disjoint_classes() {
        let usage = decode(
            br#"{"inputTokens":30,"outputTokens":9,"totalTokens":139,"cacheReadInputTokens":40,
            "cacheWriteInputTokens":60,"cacheDetails":[{"ttl":"1h","inputTokens":20},{"ttl":"5m","inputTokens":40}]}"#,
        );
        let expect = Usage {
            input: 30,
            cache_read: 40,
            cache_write_5m: 40,
            cache_write_1h: 20,
            output: 9,
            ..Usage::default()
        };
        assert_eq!(usage, Some(expect));
        let plain = decode(br#"{"inputTokens":3,"outputTokens":0,"totalTokens":3}"#);
        assert_eq!(plain, Some(Usage { input: 3, ..Usage::default() }));
    }

    #[test]
    fn what_is_no_count_is_not_believed() {
        for count in ["-1", "1.5", "\"7\"", "4294967296", "[]", "null"] {
            let json = format!(r#"{{"inputTokens":3,"outputTokens":{count}}}"#);
            assert_eq!(decode(json.as_bytes()), None, "{count}");
        }
        assert_eq!(decode(b"null"), None);
        assert_eq!(decode(b"{}"), None);
    }
}
