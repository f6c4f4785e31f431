//! `usageMetadata`, turned into the disjoint classes of [`Usage`] and back.
//!
//! In this dialect `promptTokenCount` contains `cachedContentTokenCount`, while
//! `candidatesTokenCount` contains neither `thoughtsTokenCount` nor what tools put into the prompt,
//! `toolUsePromptTokenCount`: <https://ai.google.dev/api/generate-content#UsageMetadata>. Fields that
//! are zero may be missing. Audio is told in the details by modality. Images and searches are not
//! told: they are counted where answers are read.

use super::types::{ModalityTokens, PLAIN, UsageMetadata};
use crate::{domain::usage::Usage, wire::openai_chat::usage::MAX_COUNT};
use serde_json::value::{RawValue, to_raw_value};

const AUDIO: &str = "AUDIO";
const TEXT: &str = "TEXT";

/// Reads a `usageMetadata` value; `None`: it tells no counts, as in most chunks of Vertex's streams,
/// or one that is no count.
pub(super) fn decode(value: &[u8]) -> Option<Usage> {
    let wire = serde_json::from_slice::<Option<UsageMetadata>>(value).ok().flatten()?;
    let counts = [
        wire.prompt_token_count,
        wire.cached_content_token_count,
        wire.candidates_token_count,
        wire.thoughts_token_count,
        wire.tool_use_prompt_token_count,
        wire.total_token_count,
    ];
    let is_absurd = counts.iter().flatten().any(|count| *count > MAX_COUNT);
    if is_absurd || counts.iter().all(Option::is_none) {
        return None;
    }
    let [prompt, cached, candidates, thoughts, tools, total] = counts;
    let [prompt, thoughts, tools] = [prompt, thoughts, tools].map(|count| count.unwrap_or(0));
    // Where the answer's own count is missing, the total tells it.
    let rest = || total.map_or(0, |total| total.saturating_sub(prompt + thoughts + tools));
    let candidates = candidates.unwrap_or_else(rest);

    let cache_read = cached.unwrap_or(0).min(prompt);
    let cached_audio = audio(wire.cache_tokens_details).min(cache_read);
    let prompt_audio = audio(wire.prompt_tokens_details).saturating_sub(cached_audio);
    let prompt_audio = prompt_audio.min(prompt - cache_read);
    let tools_audio = audio(wire.tool_use_prompt_tokens_details).min(tools);
    let audio_out = audio(wire.candidates_tokens_details).min(candidates);
    Some(Usage {
        input: (prompt - cache_read - prompt_audio) + (tools - tools_audio),
        cache_read,
        audio_in: prompt_audio + tools_audio,
        output: candidates - audio_out,
        reasoning: thoughts,
        audio_out,
        ..Usage::default()
    })
}

fn audio(details: Option<Vec<ModalityTokens>>) -> u64 {
    let details = details.into_iter().flatten();
    let audio = details.filter(|detail| detail.modality.as_deref() == Some(AUDIO));
    audio.filter_map(|detail| detail.token_count).fold(0, u64::saturating_add)
}

/// Writes to a cache are a part of the prompt here. Modalities are told where there is audio.
pub(super) fn encode(usage: &Usage) -> Box<RawValue> {
    let details = |all: u64, audio: u64| {
        let tokens = |modality: &str, count| ModalityTokens {
            modality: Some(modality.to_owned()),
            token_count: Some(count),
        };
        (audio > 0).then(|| vec![tokens(TEXT, all.saturating_sub(audio)), tokens(AUDIO, audio)])
    };
    let some = |count: u64| (count > 0).then_some(count);
    let candidates = usage.output.saturating_add(usage.audio_out);
    let wire = UsageMetadata {
        prompt_token_count: Some(usage.prompt_tokens()),
        cached_content_token_count: some(usage.cache_read),
        candidates_token_count: Some(candidates),
        thoughts_token_count: some(usage.reasoning),
        total_token_count: Some(usage.total_tokens()),
        prompt_tokens_details: details(usage.prompt_tokens(), usage.audio_in),
        candidates_tokens_details: details(candidates, usage.audio_out),
        ..UsageMetadata::default()
    };
    to_raw_value(&wire).expect(PLAIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn counts_fall_into_disjoint_classes() {
        let usage = decode(
            br#"{"promptTokenCount":100,"cachedContentTokenCount":40,"candidatesTokenCount":30,
            "thoughtsTokenCount":12,"toolUsePromptTokenCount":7,"totalTokenCount":149,"trafficType":"ON_DEMAND",
            "promptTokensDetails":[{"modality":"TEXT","tokenCount":70},{"modality":"AUDIO","tokenCount":30}],
            "cacheTokensDetails":[{"modality":"AUDIO","tokenCount":10}],
            "candidatesTokensDetails":[{"modality":"AUDIO","tokenCount":5}]}"#,
        )
        .unwrap();
        let expect = Usage {
            input: 47,
            cache_read: 40,
            audio_in: 20,
            output: 25,
            reasoning: 12,
            audio_out: 5,
            ..Usage::default()
        };
        assert_eq!(usage, expect);
        assert_eq!(usage.total_tokens(), 149);
    }

    #[test]
    fn a_count_that_is_missing_is_zero_or_the_totals_rest() {
        let read = |json: &str| decode(json.as_bytes());
        let usage = read(r#"{"promptTokenCount":5,"totalTokenCount":12,"thoughtsTokenCount":3}"#).unwrap();
        assert_eq!((usage.input, usage.output, usage.reasoning), (5, 4, 3));
        let usage =
            read(r#"{"promptTokenCount":5,"totalTokenCount":5,"candidatesTokenCount":null}"#).unwrap();
        assert_eq!((usage.input, usage.output), (5, 0));
        assert_eq!(read(r#"{"trafficType":"ON_DEMAND"}"#), None);
        assert_eq!(read("null"), None);
    }

    #[test]
    fn what_is_no_count_is_not_believed() {
        for count in ["-1", "1.5", "\"7\"", "1e400", "4294967296", "18446744073709551616", "[]", "true"] {
            let json = format!(r#"{{"promptTokenCount":3,"candidatesTokenCount":{count}}}"#);
            assert_eq!(decode(json.as_bytes()), None, "{count}");
        }
        // A part that is larger than its whole is cut to it.
        let usage = decode(br#"{"promptTokenCount":3,"cachedContentTokenCount":9,"candidatesTokenCount":1}"#);
        assert_eq!(usage, Some(Usage { cache_read: 3, output: 1, ..Usage::default() }));
    }

    proptest! {
        #[test]
        fn usage_comes_back(counts in proptest::array::uniform8(0_u64..1 << 28)) {
            let [input, cache_read, cache_write_5m, cache_write_1h, audio_in, output, reasoning, audio_out] = counts;
            let usage = Usage {
                input, cache_read, cache_write_5m, cache_write_1h, audio_in, output, reasoning, audio_out,
                ..Usage::default()
            };
            let back = decode(encode(&usage).get().as_bytes()).unwrap();
            prop_assert_eq!(back.prompt_tokens(), usage.prompt_tokens());
            prop_assert_eq!(back.completion_tokens(), usage.completion_tokens());
            let own = Usage {
                input: input + cache_write_5m + cache_write_1h, cache_write_5m: 0, cache_write_1h: 0, ..usage
            };
            prop_assert_eq!(back, own);
        }
    }
}
