//! The `usage` object of this dialect, and the disjoint classes.
//!
//! `input_tokens` contains `input_tokens_details.cached_tokens` and `.cache_write_tokens`;
//! `output_tokens` contains `output_tokens_details.reasoning_tokens`. Writes live for 30 minutes, or for
//! twelve hours where `cache_write_tokens_details` says so: the shorter is the class of short writes
//! here, the longer that of long ones. Audio has no class of its own in it.

use crate::{domain::usage::Usage, wire::openai_chat::usage::MAX_COUNT};
use serde::{Deserialize, Serialize};

/// As it is read and written.
#[derive(Clone, Deserialize, Serialize)]
pub(super) struct Counts {
    input_tokens: u64,
    #[serde(default)]
    input_tokens_details: Option<InputDetails>,
    #[serde(default)]
    output_tokens: Option<u64>,
    #[serde(default)]
    output_tokens_details: Option<OutputDetails>,
    #[serde(default)]
    total_tokens: Option<u64>,
}

#[derive(Clone, Deserialize, Serialize, Default)]
#[serde(default)]
struct InputDetails {
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_write_tokens_details: Option<WriteDetails>,
}

#[derive(Clone, Deserialize, Serialize, Default)]
#[serde(default)]
struct WriteDetails {
    ttl_30m_tokens: Option<u64>,
    ttl_12h_tokens: Option<u64>,
}

#[derive(Clone, Deserialize, Serialize, Default)]
#[serde(default)]
struct OutputDetails {
    reasoning_tokens: Option<u64>,
}

/// Reads a usage object; `None`: there is none, or a count is no whole number from 0 to [`MAX_COUNT`].
pub(super) fn decode(value: &[u8]) -> Option<Usage> {
    let counts: Counts = serde_json::from_slice(value).ok()?;
    let read = counts.input_tokens_details.unwrap_or_default();
    let kept = read.cache_write_tokens_details.unwrap_or_default();
    let written = counts.output_tokens_details.unwrap_or_default();
    let mut input = believed(Some(counts.input_tokens))?;
    let mut output = believed(counts.output_tokens)?;
    let cache_read = take(&mut input, believed(read.cached_tokens)?);
    let long = believed(kept.ttl_12h_tokens)?;
    let short = believed(kept.ttl_30m_tokens)?;
    let writes = believed(read.cache_write_tokens.or(Some(short.saturating_add(long))))?;
    let mut cache_write_5m = take(&mut input, writes);
    let cache_write_1h = take(&mut cache_write_5m, long);
    let reasoning = take(&mut output, believed(written.reasoning_tokens)?);
    Some(Usage { input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, ..Usage::default() })
}

/// A count that may be absent, which is 0; `None`: it cannot be believed.
fn believed(count: Option<u64>) -> Option<u64> {
    Some(count.unwrap_or(0)).filter(|count| *count <= MAX_COUNT)
}

/// Takes a part out of a whole, as much of it as is there.
fn take(whole: &mut u64, part: u64) -> u64 {
    let taken = part.min(*whole);
    *whole -= taken;
    taken
}

/// The object that says `usage`.
pub(super) fn encode(usage: &Usage) -> Counts {
    let long_lived = (usage.cache_write_1h > 0).then_some(WriteDetails {
        ttl_30m_tokens: Some(usage.cache_write_5m),
        ttl_12h_tokens: Some(usage.cache_write_1h),
    });
    Counts {
        input_tokens: usage.prompt_tokens(),
        input_tokens_details: Some(InputDetails {
            cached_tokens: Some(usage.cache_read),
            cache_write_tokens: Some(usage.cache_write_5m.saturating_add(usage.cache_write_1h)),
            cache_write_tokens_details: long_lived,
        }),
        output_tokens: Some(usage.completion_tokens()),
        output_tokens_details: Some(OutputDetails { reasoning_tokens: Some(usage.reasoning) }),
        total_tokens: Some(usage.total_tokens()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_token_is_in_one_class() {
        let usage = decode(
            br#"{"input_tokens":5000,"input_tokens_details":{"cached_tokens":3000,"cache_write_tokens":900,
                 "cache_write_tokens_details":{"ttl_30m_tokens":600,"ttl_12h_tokens":300}},
                 "output_tokens":450,"output_tokens_details":{"reasoning_tokens":320},"total_tokens":5450}"#,
        );
        let expected = Usage {
            input: 1100,
            cache_read: 3000,
            cache_write_5m: 600,
            cache_write_1h: 300,
            output: 130,
            reasoning: 320,
            ..Usage::default()
        };
        assert_eq!(usage, Some(expected));
    }

    #[test]
    fn what_cannot_be_believed_is_no_usage() {
        for value in [
            "null",
            "{}",
            "[]",
            r#"{"input_tokens":null}"#,
            r#"{"input_tokens":-1,"output_tokens":1}"#,
            r#"{"input_tokens":1.5,"output_tokens":1}"#,
            r#"{"input_tokens":"1","output_tokens":1}"#,
            r#"{"input_tokens":1,"output_tokens":4294967296}"#,
            r#"{"input_tokens":1e400,"output_tokens":1}"#,
            r#"{"input_tokens":1,"output_tokens":1,"input_tokens_details":{"cached_tokens":-1}}"#,
            r#"{"input_tokens":1"#,
        ] {
            assert_eq!(decode(value.as_bytes()), None, "{value}");
        }
        let nulls = br#"{"input_tokens":2,"output_tokens":null,"input_tokens_details":null,
                         "output_tokens_details":{"reasoning_tokens":null}}"#;
        assert_eq!(decode(nulls), Some(Usage { input: 2, ..Usage::default() }));
        let parts = br#"{"input_tokens":2,"output_tokens":1,"input_tokens_details":{"cached_tokens":9},
                         "output_tokens_details":{"reasoning_tokens":9}}"#;
        assert_eq!(decode(parts), Some(Usage { cache_read: 2, reasoning: 1, ..Usage::default() }));
    }

    proptest! {
        #[test]
        fn what_is_told_is_what_was_used(
            counts in proptest::array::uniform8(0_u64..1 << 28),
            beside in 0_u64..1 << 28,
        ) {
            let [input, cache_read, cache_write_5m, cache_write_1h, audio_in, output, reasoning, audio_out] =
                counts;
            let usage = Usage {
                input, cache_read, cache_write_5m, cache_write_1h, audio_in, output, reasoning, audio_out,
                images: beside, searches: beside, characters: beside, seconds: beside,
            };
            let told = serde_json::to_vec(&encode(&usage)).unwrap();
            let again = decode(&told).unwrap();
            prop_assert_eq!(again.prompt_tokens(), usage.prompt_tokens());
            prop_assert_eq!(again.completion_tokens(), usage.completion_tokens());
            let expected = Usage {
                input: input + audio_in,
                audio_in: 0,
                output: output + audio_out,
                audio_out: 0,
                images: 0,
                searches: 0,
                characters: 0,
                seconds: 0,
                ..usage
            };
            prop_assert_eq!(again, expected);
        }

        #[test]
        fn no_count_overflows(count in any::<u64>()) {
            let usage = Usage { input: count, cache_read: count, output: count, ..Usage::default() };
            let _ = decode(&serde_json::to_vec(&encode(&usage)).unwrap());
        }
    }
}
