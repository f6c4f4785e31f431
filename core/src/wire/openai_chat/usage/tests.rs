//! Tests of the usage decoder: the classes, and every number that cannot be believed.

use super::*;
use proptest::prelude::*;

#[track_caller]
fn check(value: &str, usage: Option<Usage>, flagged: bool) {
    assert_eq!(decode(value.as_bytes()), Decoded { usage, flagged }, "{value}");
}

fn usage(input: u64, output: u64) -> Option<Usage> {
    Some(Usage { input, output, ..Usage::default() })
}

#[test]
fn the_classes_are_disjoint() {
    check(r#"{"prompt_tokens":9,"completion_tokens":12,"total_tokens":21}"#, usage(9, 12), false);
    let all = Usage {
        input: 3,
        cache_read: 16,
        audio_in: 4,
        output: 4,
        reasoning: 5,
        audio_out: 2,
        ..Usage::default()
    };
    check(
        r#"{"prompt_tokens":23,"completion_tokens":11,"total_tokens":34,
            "prompt_tokens_details":{"cached_tokens":16,"audio_tokens":4,"text_tokens":3},
            "completion_tokens_details":{"reasoning_tokens":5,"audio_tokens":2,"accepted_prediction_tokens":1}}"#,
        Some(all),
        false,
    );
    assert_eq!((all.prompt_tokens(), all.completion_tokens()), (23, 11));
}

#[test]
fn what_was_written_to_a_cache_is_a_class_of_its_own() {
    let written = Usage { input: 1, cache_read: 4, cache_write_5m: 3, output: 2, ..Usage::default() };
    check(
        r#"{"prompt_tokens":8,"completion_tokens":2,"total_tokens":10,
            "prompt_tokens_details":{"cached_tokens":4,"cache_write_tokens":3}}"#,
        Some(written),
        false,
    );
    // More than is left of the prompt: as much as there is, and told.
    let all = Usage { cache_read: 4, cache_write_5m: 4, output: 2, ..Usage::default() };
    check(
        r#"{"prompt_tokens":8,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":4,"cache_write_tokens":9}}"#,
        Some(all),
        true,
    );
    check(r#"{"prompt_tokens":8,"prompt_tokens_details":{"cache_write_tokens":-1}}"#, None, true);
}

#[test]
fn compatible_upstreams_are_understood() {
    check(r#"{"prompt_tokens":8,"total_tokens":8}"#, usage(8, 0), false);
    check(r#"{"prompt_tokens":8}"#, usage(8, 0), false);
    check(r#"{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}"#, usage(0, 0), false);
    check(
        r#"{"prompt_tokens":8,"completion_tokens":2,"total_tokens":10,"prompt_tokens_details":null,
            "completion_tokens_details":{"reasoning_tokens":null},"prompt_cost":"0.1","x":[{"prompt_tokens":-1}]}"#,
        usage(8, 2),
        false,
    );
    let hit = Some(Usage { input: 2, cache_read: 6, output: 1, ..Usage::default() });
    check(
        r#"{"prompt_tokens":8,"completion_tokens":1,"total_tokens":9,"prompt_cache_hit_tokens":6,"prompt_cache_miss_tokens":2}"#,
        hit,
        false,
    );
    check(
        r#"{"prompt_tokens":8,"completion_tokens":1,"prompt_cache_hit_tokens":6,"prompt_tokens_details":{"cached_tokens":6}}"#,
        hit,
        false,
    );
    check("null", None, false);
}

#[test]
fn what_vendors_call_otherwise_is_understood() {
    let written = Usage { input: 1, cache_read: 2, cache_write_5m: 5, output: 1, ..Usage::default() };
    for name in ["cache_write_tokens", "cache_creation_input_tokens"] {
        check(
            &format!(
                r#"{{"prompt_tokens":8,"completion_tokens":1,"prompt_tokens_details":{{"cached_tokens":2,"{name}":5}}}}"#
            ),
            Some(written),
            false,
        );
    }
    check(
        r#"{"prompt_tokens":8,"completion_tokens":1,"cached_tokens":2,
            "prompt_tokens_details":{"cache_creation_input_tokens":5,"cache_write_tokens":5}}"#,
        Some(written),
        false,
    );
    check(
        r#"{"prompt_tokens":8,"completion_tokens":1,"prompt_tokens_details":{"cache_write_tokens":9}}"#,
        Some(Usage { cache_write_5m: 8, output: 1, ..Usage::default() }),
        true,
    );
    // As images and transcriptions say it; what also says the usual names is read by those.
    let heard = Usage { input: 20, audio_in: 14, output: 45, ..Usage::default() };
    check(
        r#"{"type":"tokens","input_tokens":34,"input_token_details":{"text_tokens":20,"audio_tokens":14},
            "output_tokens":45,"total_tokens":79}"#,
        Some(heard),
        false,
    );
    check(
        r#"{"prompt_tokens":3,"completion_tokens":2,"input_tokens":0,"output_tokens":0}"#,
        usage(3, 2),
        false,
    );
    let by_time = |seconds| Some(Usage { seconds, ..Usage::default() });
    check(r#"{"type":"duration","seconds":9}"#, by_time(9), false);
    check(r#"{"type":"duration","seconds":9.0}"#, by_time(9), false);
    check(r#"{"type":"duration","seconds":8.010}"#, by_time(9), false);
    for seconds in ["-1", "1e3", "1.5e3", "\"9\"", "null", "99999999999", "4294967295.5", "{}"] {
        check(&format!(r#"{{"type":"duration","seconds":{seconds}}}"#), None, true);
    }
    check(r#"{"prompt_tokens":3,"completion_tokens":2,"seconds":9.5}"#, usage(3, 2), false);
    let searched = Usage { input: 3, output: 2, searches: 4, ..Usage::default() };
    check(
        r#"{"prompt_tokens":3,"completion_tokens":2,"num_sources_used":3,"server_tool_use":{"web_search_requests":1}}"#,
        Some(searched),
        false,
    );
}

#[test]
fn numbers_that_cannot_be_believed_are_rejected() {
    for bad in [
        "-1",
        "-0",
        "1.5",
        "12.0",
        "1e1",
        "1e400",
        "-1e400",
        "\"12\"",
        "null",
        "true",
        "[]",
        "{}",
        "[12]",
        "{\"a\":1}",
        "4294967296",
        "9223372036854775808",
        "18446744073709551616",
        "99999999999999999999999999999999",
    ] {
        check(&format!(r#"{{"prompt_tokens":{bad},"completion_tokens":2,"total_tokens":4}}"#), None, true);
        check(&format!(r#"{{"prompt_tokens":2,"completion_tokens":{bad},"total_tokens":4}}"#), None, true);
    }
    for value in [
        r#"{"prompt_tokens":2,"completion_tokens":2,"total_tokens":-4}"#,
        r#"{"prompt_tokens":2,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":-1}}"#,
        r#"{"prompt_tokens":2,"completion_tokens":2,"completion_tokens_details":{"reasoning_tokens":1.0}}"#,
        r#"{"prompt_tokens":2,"completion_tokens":2,"prompt_cache_hit_tokens":"1"}"#,
        r#"{"prompt_tokens":NaN,"completion_tokens":2}"#,
        r#"{"completion_tokens":2,"total_tokens":4}"#,
        "{}",
        "{",
        "",
        "[]",
        "7",
        "\"usage\"",
    ] {
        check(value, None, true);
    }
    check(
        r#"{"prompt_tokens":4294967295,"completion_tokens":4294967295}"#,
        usage(MAX_COUNT, MAX_COUNT),
        false,
    );
}

#[test]
fn contradictions_are_cut_and_flagged() {
    check(r#"{"prompt_tokens":9,"completion_tokens":12,"total_tokens":99}"#, usage(9, 12), true);
    check(r#"{"prompt_tokens":9,"completion_tokens":12,"total_tokens":0}"#, usage(9, 12), true);
    check(r#"{"prompt_tokens":9,"total_tokens":20}"#, usage(9, 11), true);
    check(r#"{"prompt_tokens":9,"total_tokens":2}"#, usage(9, 0), true);
    check(
        r#"{"prompt_tokens":5,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":7,"audio_tokens":1}}"#,
        Some(Usage { cache_read: 5, output: 1, ..Usage::default() }),
        true,
    );
    check(
        r#"{"prompt_tokens":5,"completion_tokens":3,"completion_tokens_details":{"reasoning_tokens":4,"audio_tokens":1}}"#,
        Some(Usage { input: 5, reasoning: 2, audio_out: 1, ..Usage::default() }),
        true,
    );
    check(
        r#"{"prompt_tokens":5,"completion_tokens":1,"prompt_cache_hit_tokens":2,"prompt_tokens_details":{"cached_tokens":3}}"#,
        Some(Usage { input: 2, cache_read: 3, output: 1, ..Usage::default() }),
        true,
    );
}

#[test]
fn reasoning_beside_the_completion_is_added_where_the_total_says_so() {
    check(
        r#"{"prompt_tokens":32,"completion_tokens":9,"total_tokens":333,"completion_tokens_details":{"reasoning_tokens":292}}"#,
        Some(Usage { input: 32, output: 9, reasoning: 292, ..Usage::default() }),
        false,
    );
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(value in "[{}\\[\\]\":,0-9a-z_ -]{0,60}") {
        let _ = decode(value.as_bytes());
    }

    /// The classes sum up to what the upstream said, whatever the details claim.
    #[test]
    fn no_token_is_lost_or_counted_twice(
        prompt in 0..=MAX_COUNT / 2, completion in 0..=MAX_COUNT / 2,
        cached in 0..=MAX_COUNT, audio in 0..=MAX_COUNT, reasoning in 0..=MAX_COUNT,
    ) {
        let value = serde_json::json!({
            "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": audio},
            "completion_tokens_details": {"reasoning_tokens": reasoning, "audio_tokens": audio},
        });
        let usage = decode(value.to_string().as_bytes()).usage.unwrap();
        prop_assert_eq!(usage.prompt_tokens(), prompt);
        prop_assert_eq!(usage.completion_tokens(), completion);
    }
}
