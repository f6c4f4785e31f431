//! The golden streams of every dialect that is not chat's: cut at every byte and at random, framed in
//! odd ways, broken off; what is read is what the dialect's codec reads.

use super::*;
use crate::wire::{
    chat::{ChatEvent, Fold},
    codec::codec,
    error::ErrorText,
};

/// What a fixture says besides what the codec reads of it.
struct Golden {
    name: &'static str,
    /// Without blanks.
    text: &'static str,
    /// How what is held back begins; empty: nothing is.
    terminal: &'static str,
}

const fn golden(name: &'static str, text: &'static str, terminal: &'static str) -> Golden {
    Golden { name, text, terminal }
}

const STOP: &str = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

const ANTHROPIC: &[Golden] = &[
    golden("stream_compatible.sse", "Hm.Hi", "data: {\"type\":\"message_stop\"}\n\ndata: [DONE]\n\n"),
    golden(
        "stream_crlf_no_end.sse",
        "Grüße…",
        "event:message_stop\r\ndata:{\"type\":\r\ndata: \"message_stop\"}",
    ),
    golden("stream_error_first.sse", "", ""),
    golden("stream_error_later.sse", "Once", ""),
    golden("stream_refusal.sse", "Ican't", STOP),
    golden("stream_search.sse", "web_search{\"query\":\"cup\"}Theredswon", STOP),
    golden("stream_text.sse", "Becauseshortwaves🌊scattermore.", STOP),
    golden("stream_thinking.sse", "First,27=3³.Three.", STOP),
    golden("stream_thinking_omitted.sse", "Three.", STOP),
    golden(
        "stream_tools.sse",
        "I'lllook.get_weather{\"city\":\"Paris\",\"unit\":\"celsius\"}nowget_weather{\"city\":\"Rome\"}",
        STOP,
    ),
];

const COMPLETED: &str = "event: response.completed\n";

const RESPONSES: &[Golden] = &[
    golden("stream_broken.sse", "Halfof", ""),
    golden("stream_citations.sse", "ItrisesintheBlackForest.", COMPLETED),
    golden("stream_compatible.sse", "Plainarithmetic.Four.OrIV.", COMPLETED),
    golden("stream_crlf_unfinished.sse", "Olá", "event: response.completed\r\n"),
    golden("stream_custom_call.sse", "apply_patch***BeginPatch+\"x\"\\你***EndPatch", COMPLETED),
    golden("stream_error.sse", "Halfof", "event: response.failed\n"),
    golden("stream_failed.sse", "Halfof", "event: response.failed\n"),
    golden("stream_length.sse", "Halfofit", "event: response.incomplete\n"),
    golden("stream_only_whole.sse", "Allatonce.{\"city\":\"Ulm\"}get_weather", COMPLETED),
    golden(
        "stream_parallel_calls.sse",
        "get_weather{\"cityget_weather{\"city\":\":\"Ulm\"}\"Wien\"}",
        COMPLETED,
    ),
    golden("stream_refusal.sse", "Ican't.", COMPLETED),
];

const GEMINI: &[Golden] = &[
    golden("stream_array.json", "Rome\"[{,}]\"🏛f{\"deep\":{\"list\":[{\"a\":\"]}\"}]}}", "]"),
    golden("stream_array_cut.json", "Ro", ""),
    golden("stream_array_error.json", "Ro", "]"),
    golden("stream_blocked.sse", "", ""),
    golden("stream_cut_short.sse", "Onceupon", ""),
    golden("stream_error.sse", "Onceupon", ""),
    golden("stream_finish_every_time.sse", "onetwothree", ""),
    golden("stream_grounded.sse", "Dasheißtso.", ""),
    golden("stream_image.sse", "Afox:", ""),
    golden("stream_odd_framing.sse", "a👩‍👧f{\"a\":1}", ""),
    golden("stream_text.sse", "Rome,dieewigeStadt🏛.", ""),
    golden(
        "stream_thinking_tools.sse",
        "**Lookingup**Twocitiestoaskfor.Iaskforboth.get_weather{\"city\":\"Paris\"}get_weather{\"city\":\"London\"}now",
        "",
    ),
    golden("stream_two_candidates.sse", "HeaTails.ds.", ""),
    golden("stream_vertex.sse", "Hello!HowcanIhelp?", ""),
];

const DIALECTS: [(Dialect, &[Golden]); 3] = [
    (Dialect::AnthropicMessages, ANTHROPIC),
    (Dialect::OpenAiResponses, RESPONSES),
    (Dialect::Gemini, GEMINI),
];

fn without_blanks(text: &str) -> String {
    text.chars().filter(|each| !each.is_whitespace()).collect()
}

/// What the dialect's codec makes of a stream.
fn folded(dialect: Dialect, stream: &[u8]) -> Fold {
    let (mut reader, mut events) = (codec(dialect).unwrap().reader(), Vec::<ChatEvent>::new());
    reader.feed(stream, &mut events);
    reader.end(&mut events);
    let mut fold = Fold::default();
    events.iter().for_each(|event| fold.feed(event));
    fold
}

/// All fixtures, with what is expected of each.
fn cases() -> Vec<(Dialect, String, Vec<u8>, Outcome)> {
    let mut cases = Vec::new();
    for (dialect, golden) in DIALECTS {
        for (name, stream) in fixtures(dialect, "stream_") {
            let outcome = Outcome::in_dialect(dialect, [&*stream]);
            let told = [&*outcome.client, &*outcome.terminal].concat();
            assert!(told == stream, "{name}: bytes out are bytes in");
            let reading = &outcome.reading;
            let fold = folded(dialect, &stream);
            assert_eq!(reading.usage, fold.answer().usage, "{name}");
            // A codec cannot go on after an event that it cannot read; here it just passes.
            let is_broken = name.contains("broken");
            assert_eq!(reading.error, fold.error().is_some() && !is_broken, "{name}");
            assert_eq!(reading.complete && !reading.error, fold.is_done(), "{name}");
            assert!(!reading.flagged, "{name}");
            let starts_with_error = fold.error().is_some() && fold.answer().choices.is_empty();
            let first = if starts_with_error { First::Error } else { First::Answer };
            assert_eq!(outcome.first, first, "{name}");
            if let Some(golden) = golden.iter().find(|golden| golden.name == name) {
                assert_eq!(without_blanks(reading.text().kept()), golden.text, "{name}");
                let terminal = String::from_utf8_lossy(&outcome.terminal);
                assert!(terminal.starts_with(golden.terminal), "{name}: {terminal}");
                assert_eq!(terminal.is_empty(), golden.terminal.is_empty(), "{name}: {terminal}");
            }
            cases.push((dialect, name, stream, outcome));
        }
        for golden in golden {
            assert!(
                cases.iter().any(|(of, name, ..)| *of == dialect && name == golden.name),
                "{}",
                golden.name
            );
        }
    }
    cases
}

#[test]
fn a_stream_split_at_every_byte_is_the_same() {
    for (dialect, name, stream, expect) in cases() {
        for at in 0..=stream.len() {
            let outcome = Outcome::in_dialect(dialect, [&stream[..at], &stream[at..]]);
            assert_eq!(outcome, expect, "{name}, split at {at}");
        }
        assert_eq!(Outcome::in_dialect(dialect, stream.chunks(1)), expect, "{name}, byte by byte");
    }
}

#[test]
fn a_stream_split_at_random_1_000_times_is_the_same() {
    for (dialect, name, stream, expect) in cases() {
        for seed in 0..1_000 {
            let chunks = Random::new(seed).cut(&stream);
            assert_eq!(Outcome::in_dialect(dialect, chunks), expect, "{name}, seed {seed}");
        }
    }
}

#[test]
fn framing_changes_nothing_that_is_read() {
    for (dialect, name, stream, expect) in cases() {
        let Ok(plain) = String::from_utf8(stream) else { continue };
        if !name.ends_with(".sse") || plain.contains('\r') || plain.contains('\u{feff}') {
            continue;
        }
        let framed = [
            plain.replace('\n', "\r\n"),
            plain.replace('\n', "\r"),
            format!("\u{feff}{plain}"),
            plain.replace("\n\n", "\nid: 7\nretry: 10\n\n: a comment\n\n\n"),
            plain.replace("data: ", "data:"),
            plain.trim_end().to_owned(),
        ];
        for stream in framed {
            let whole = Outcome::in_dialect(dialect, [stream.as_bytes()]);
            assert!([&*whole.client, &*whole.terminal].concat() == stream.as_bytes(), "{name}");
            assert_eq!((whole.first, &whole.reading), (expect.first, &expect.reading), "{name}: {stream:?}");
            assert_eq!(whole.terminal.is_empty(), expect.terminal.is_empty(), "{name}: {stream:?}");
            for seed in 0..20 {
                let chunks = Random::new(seed).cut(stream.as_bytes());
                assert_eq!(Outcome::in_dialect(dialect, chunks), whole, "{name}, seed {seed}: {stream:?}");
            }
        }
    }
}

#[test]
fn nothing_of_the_end_leaks_and_a_stream_that_breaks_off_is_not_complete() {
    for (dialect, name, stream, expect) in cases() {
        let end = stream.len() - expect.terminal.len();
        for at in 0..=stream.len() {
            let mut tap = StreamTap::new(dialect, false);
            let mut out = Vec::new();
            tap.feed(&Bytes::copy_from_slice(&stream[..at]), &mut out);
            assert!(out.iter().map(Bytes::len).sum::<usize>() <= end, "{name}, broken off at {at}");
            let held = tap.take_terminal().concat();
            assert!(held.is_empty() || tap.is_done(), "{name}, broken off at {at}");
            let reading = tap.take_reading();
            assert!(!reading.complete || tap.is_done(), "{name}, broken off at {at}");
            assert!(!reading.flagged, "{name}, broken off at {at}");
        }
    }
}

#[test]
fn events_that_are_not_the_end_are_passed_on_as_they_come() {
    let fed = |dialect, chunk: &str| {
        let mut out = Vec::new();
        StreamTap::new(dialect, true).feed(&Bytes::copy_from_slice(chunk.as_bytes()), &mut out);
        String::from_utf8(out.concat()).unwrap()
    };
    let delta = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"te";
    assert_eq!(fed(Dialect::AnthropicMessages, delta), delta);
    for open in
        ["e", "event: content_block_delta\n", "data: {\"type\":\"message", "data: {\"type\":\"message_stop\""]
    {
        assert_eq!(fed(Dialect::AnthropicMessages, open), "", "{open}");
    }
    let delta = "data: {\"type\":\"response.output_text.delta\",\"del";
    assert_eq!(fed(Dialect::OpenAiResponses, delta), delta);
    assert_eq!(fed(Dialect::OpenAiResponses, "data: {\"type\":\"response.completed\",\"resp"), "");
    for passes in ["data: {\"candid", "[{\"candidates\": [", "\r\n[ {}, {\"a"] {
        assert_eq!(fed(Dialect::Gemini, passes), passes);
    }
    assert_eq!(fed(Dialect::Gemini, "[{}\n]\n"), "[{}\n");
}

#[test]
fn what_keeps_a_stream_alive_goes_between_events_only() {
    let is_between = |dialect, chunk: &'static str| {
        let mut tap = StreamTap::new(dialect, false);
        tap.feed(&Bytes::from_static(chunk.as_bytes()), &mut Vec::new());
        !tap.keep_alive().is_empty()
    };
    assert!(is_between(Dialect::AnthropicMessages, ""));
    assert!(is_between(Dialect::AnthropicMessages, "data: {\"type\":\"ping\"}\n\n"));
    assert!(is_between(Dialect::AnthropicMessages, "data: {\"type\":\"message_st"), "it is held");
    assert!(!is_between(Dialect::AnthropicMessages, "data: {\"type\":\"ping\""));
    assert!(!is_between(Dialect::AnthropicMessages, "data: {\"type\":\"message_stop\"}\n\n"));
    assert!(is_between(Dialect::Gemini, "data: {}\n\n"));
    assert!(!is_between(Dialect::Gemini, "data: {}"));
    assert!(is_between(Dialect::Gemini, "[{}\n,\n"), "an empty line is none of JSON's business");
    assert!(is_between(Dialect::Gemini, ""), "whatever it will be");
    assert!(!is_between(Dialect::Gemini, "[{}\n,\n{\"a"));
}

#[test]
fn an_error_of_ours_follows_what_the_client_has() {
    let text = ErrorText {
        status: 502,
        kind: "api_error",
        code: None,
        message: "gone",
        param: None,
        limit: None,
        request_id: "",
    };
    let told = |dialect, chunk: &'static str, says_events: bool| {
        let mut tap = StreamTap::new(dialect, false);
        if says_events {
            tap = tap.said_to_be_events();
        }
        let mut out = Vec::new();
        tap.feed(&Bytes::from_static(chunk.as_bytes()), &mut out);
        (String::from_utf8(out.concat()).unwrap(), String::from_utf8(tap.break_off(text)).unwrap())
    };
    let error = r#"{"error":{"code":502,"message":"gone","status":"INTERNAL"}}"#;
    for (chunk, says_events) in [("", true), ("data: {}\n\n", false), ("data: {\"a", false)] {
        assert_eq!(told(Dialect::Gemini, chunk, says_events).1, format!("\n\ndata: {error}\n\n"), "{chunk}");
    }
    for (chunk, items) in [("", 0), ("[", 0), ("[{}", 1), ("[{}\n,", 1), ("[{},{}\n", 2)] {
        let (sent, error) = told(Dialect::Gemini, chunk, false);
        let whole: Vec<serde_json::Value> = serde_json::from_str(&format!("{sent}{error}")).unwrap();
        assert_eq!((whole.len(), &whole[items]["error"]["message"]), (items + 1, &"gone".into()), "{chunk}");
    }
    assert_eq!(told(Dialect::Gemini, "[{},{\"a", false).1, "", "half an item was sent");
    assert_eq!(told(Dialect::Gemini, "[{}]", false).1, "", "its end was read");
    let named = told(Dialect::AnthropicMessages, "data: {\"type\":\"ping\"}\n\n", false).1;
    assert!(named.starts_with("\n\nevent: error\ndata: {\"type\":\"error\""), "{named}");
}

/// What streams are made of, and what they should not be.
const SCRAPS: [&str; 30] = [
    "data: ",
    "data:",
    "event: error\n",
    "event: message_stop\n",
    "\n",
    "\r",
    "\r\n",
    "\n\n",
    ": c\n",
    "{",
    "}",
    "[",
    "]",
    ",",
    "\"",
    "\\",
    "\u{feff}",
    "{\"type\":\"message_stop\"}",
    "{\"type\":\"ping\"}",
    "{\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":3}}}",
    "{\"type\":\"content_block_delta\",\"delta\":{\"text\":\"hi\"}}",
    "{\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":3}}}",
    "{\"type\":\"response.failed\"}",
    "{\"type\":\"response.x.delta\",\"delta\":\"hi\"}",
    "{\"candidates\":[{\"finishReason\":\"STOP\",\"content\":{\"parts\":[{\"text\":\"hi\"}]}}]}",
    "{\"usageMetadata\":{\"promptTokenCount\":3}}",
    "{\"error\":{\"code\":400}}",
    "{\"choices\":[],\"usage\":{\"prompt_tokens\":3}}",
    "[DONE]",
    "{\"a\":1,\"type\":",
];

#[test]
fn what_is_no_stream_of_the_dialect_passes_all_the_same() {
    for seed in 0..3_000 {
        let mut random = Random::new(seed);
        let scraps = 1 + random.below(24);
        let stream: String = (0..scraps).map(|_| SCRAPS[random.below(SCRAPS.len())]).collect();
        for dialect in Dialect::ALL {
            let whole = Outcome::in_dialect(dialect, [stream.as_bytes()]);
            assert_eq!(
                [&*whole.client, &*whole.terminal].concat(),
                stream.as_bytes(),
                "{dialect:?}: {stream:?}"
            );
            let bytes = stream.as_bytes();
            assert_eq!(Outcome::in_dialect(dialect, bytes.chunks(1)), whole, "{dialect:?}: {stream:?}");
            let at = random.below(bytes.len() + 1);
            let halves = [&bytes[..at], &bytes[at..]];
            assert_eq!(Outcome::in_dialect(dialect, halves), whole, "{dialect:?}: {stream:?} at {at}");
        }
    }
}
