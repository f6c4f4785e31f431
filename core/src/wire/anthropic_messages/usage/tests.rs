//! Usage: the classes, their inverse, and numbers that cannot be believed.

use super::*;
use proptest::prelude::*;

#[track_caller]
fn check(value: &str, usage: Option<Usage>) {
    assert_eq!(decode(value.as_bytes()), usage, "{value}");
}

#[test]
fn the_classes_are_disjoint() {
    let all = Usage {
        input: 21,
        cache_read: 188_086,
        cache_write_5m: 456,
        cache_write_1h: 100,
        output: 300,
        reasoning: 93,
        searches: 2,
        ..Usage::default()
    };
    check(
        r#"{"input_tokens":21,"cache_creation_input_tokens":556,"cache_read_input_tokens":188086,
            "cache_creation":{"ephemeral_5m_input_tokens":456,"ephemeral_1h_input_tokens":100},"output_tokens":393,
            "output_tokens_details":{"thinking_tokens":93},"server_tool_use":{"web_search_requests":2,"web_fetch_requests":9}}"#,
        Some(all),
    );
    let plain = |input, output| Some(Usage { input, output, ..Usage::default() });
    check(
        r#"{"input_tokens":3,"output_tokens":4,"cache_creation":null,"server_tool_use":null}"#,
        plain(3, 4),
    );
    check(r#"{"output_tokens":4}"#, plain(0, 4));
    // Without its split, what was written is kept for five minutes.
    let written = Usage { input: 3, cache_write_5m: 7, ..Usage::default() };
    check(r#"{"input_tokens":3,"cache_creation_input_tokens":7}"#, Some(written));
    let split = Usage { input: 3, cache_write_5m: 2, cache_write_1h: 5, ..Usage::default() };
    check(
        r#"{"input_tokens":3,"cache_creation":{"ephemeral_5m_input_tokens":2,"ephemeral_1h_input_tokens":5}}"#,
        Some(split),
    );
}

#[test]
fn what_cannot_be_believed_is_none() {
    for value in [
        "null",
        "{}",
        "7",
        "[]",
        "",
        "{",
        r#"{"input_tokens":-1}"#,
        r#"{"input_tokens":1.5}"#,
        r#"{"input_tokens":"7"}"#,
        r#"{"input_tokens":1e400}"#,
        r#"{"input_tokens":7,"output_tokens":4294967296}"#,
        r#"{"input_tokens":7,"output_tokens":18446744073709551616}"#,
        r#"{"input_tokens":7,"cache_creation":{"ephemeral_1h_input_tokens":-7}}"#,
        r#"{"input_tokens":7,"server_tool_use":{"web_search_requests":1e9}}"#,
    ] {
        check(value, None);
    }
    // Parts that are larger than their whole are cut to it.
    let cut = Usage { cache_write_1h: 1, reasoning: 2, ..Usage::default() };
    check(
        r#"{"input_tokens":0,"cache_creation_input_tokens":1,"cache_creation":{"ephemeral_1h_input_tokens":9},
            "output_tokens":2,"output_tokens_details":{"thinking_tokens":9}}"#,
        Some(cut),
    );
}

#[test]
fn later_totals_replace_earlier_ones_and_never_add_up() {
    let mut counts = Counts::default();
    assert!(counts.add(
        br#"{"input_tokens":10,"cache_creation_input_tokens":300,"cache_read_input_tokens":5,
             "cache_creation":{"ephemeral_5m_input_tokens":100,"ephemeral_1h_input_tokens":200},"output_tokens":1}"#
    ));
    assert!(counts.add(br#"{"cache_creation_input_tokens":300,"output_tokens":40}"#));
    assert!(!counts.add(br#"{"output_tokens":-1}"#));
    assert!(counts.add(br#"{"output_tokens":90,"input_tokens":12}"#));
    let expected = Usage {
        input: 12,
        cache_read: 5,
        cache_write_5m: 100,
        cache_write_1h: 200,
        output: 90,
        ..Usage::default()
    };
    assert_eq!(counts.classes(), Some(expected));
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(classes in prop::array::uniform10(0_u64..100_000_000)) {
        let [input, cache_read, cache_write_5m, cache_write_1h, audio_in, output, reasoning, audio_out, images, searches] = classes;
        let usage = Usage {
            input, cache_read, cache_write_5m, cache_write_1h, audio_in, output, reasoning, audio_out, images, searches,
            ..Usage::default()
        };
        let written = serde_json::to_vec(&Written::of(Some(&usage), 7, Some("flex"))).unwrap();
        let again = decode(&written).unwrap();
        prop_assert_eq!(again.prompt_tokens(), usage.prompt_tokens());
        prop_assert_eq!(again.completion_tokens(), usage.completion_tokens());
        let folded = Usage {
            input: input + audio_in, audio_in: 0, output: output + audio_out, audio_out: 0, images: 0, ..usage
        };
        prop_assert_eq!(again, folded);
    }

    #[test]
    fn the_largest_numbers_break_nothing(classes in prop::array::uniform10(any::<u64>())) {
        let [input, cache_read, cache_write_5m, cache_write_1h, audio_in, output, reasoning, audio_out, images, searches] = classes;
        let usage = Usage {
            input, cache_read, cache_write_5m, cache_write_1h, audio_in, output, reasoning, audio_out, images, searches,
            ..Usage::default()
        };
        let written = serde_json::to_vec(&Written::of(Some(&usage), 7, None)).unwrap();
        let _ = decode(&written);
    }
}
