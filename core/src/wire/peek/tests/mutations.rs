//! Bodies that were changed at random: none of them is a panic, and what is said of those that are taken is
//! what a tree says of them.

use super::*;
use crate::wire::splice::splice;
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::Value;

/// Bodies in which everything occurs that a dialect is read for.
fn seeds(dialect: Dialect) -> &'static [&'static str] {
    match dialect {
        Dialect::OpenAiChat => &[
            r#"{"model":"m","stream":true,"stream_options":{"include_usage":false,"x":1},"max_tokens":20,"n":2,"messages":[{"role":"user","content":[{"text":"h\u00e9"},{"image_url":{"url":"data:"}}]}],"tools":[{"a":1.5e3}]}"#,
            r#"{"prompt":[1,22],"suffix":null,"model":"a\\b","best_of":3,"stream_options":null,"max_completion_tokens":7}"#,
        ],
        Dialect::OpenAiResponses => &[
            r#"{"model":"m","input":[{"role":"user","content":"x"},{"type":"item_reference","id":"i"}],"max_output_tokens":20,"store":false,"previous_response_id":"resp_1","stream":true,"background":false,"text":{"a":"b"}}"#,
            r#"{"input":"h\u00e9","conversation":null,"prompt":null,"model":"m","store":null,"instructions":"x"}"#,
        ],
        Dialect::AnthropicMessages => &[
            r#"{"max_tokens":20,"model":"m","stream":false,"system":"x","messages":[{"role":"user","content":[{"source":{"data":"eA==","media_type":"text/plain"}}]}],"fallbacks":"default"}"#,
        ],
        Dialect::Gemini => &[
            r#"{"contents":[{"role":"user","parts":[{"text":"x"},{"inlineData":{"mimeType":"a/b","data":"eA=="}}]}],"generationConfig":{"maxOutputTokens":"20","candidateCount":2.0,"responseSchema":{"a":"b"}},"model":"models/m"}"#,
            r#"{"contents":{"parts":[]},"generation_config":{"max_output_tokens":20},"system_instruction":{},"cachedContent":""}"#,
        ],
    }
}

/// What is at `path`, where it says something.
fn member<'v>(value: &'v Value, path: &[&[&str]]) -> Option<&'v Value> {
    let found = path.iter().try_fold(value, |value, names| names.iter().find_map(|name| value.get(name)))?;
    (!found.is_null()).then_some(found)
}

/// A number as a dialect may write it.
fn number(value: &Value) -> u64 {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    text.split('.').next().unwrap().parse().unwrap()
}

fn check(dialect: Dialect, body: &[u8]) {
    let url = if dialect == Dialect::Gemini { OF_URL } else { UrlSays::default() };
    let Ok(read) = peek(dialect, body, url, &PeekBounds::default()) else { return };
    let shown = String::from_utf8_lossy(body);
    let value: Value = match serde_json::from_slice(body) {
        Ok(value) => value,
        // Numbers that are nobody's business here.
        Err(error) if error.to_string().contains("number out of range") => return,
        Err(error) => panic!("{shown} is taken: {error}"),
    };
    let ceiling: &[&[&[&str]]] = match dialect {
        Dialect::OpenAiChat => &[&[&["max_tokens"]], &[&["max_completion_tokens"]]],
        Dialect::OpenAiResponses => &[&[&["max_output_tokens"]]],
        Dialect::AnthropicMessages => &[&[&["max_tokens"]]],
        Dialect::Gemini => {
            &[&[&["generationConfig", "generation_config"], &["maxOutputTokens", "max_output_tokens"]]]
        }
    };
    let ceiling = ceiling.iter().find_map(|path| member(&value, path)).map(number);
    assert_eq!(read.ceiling, ceiling, "{shown}");
    let previous =
        member(&value, &[&["previous_response_id"]]).filter(|_| dialect == Dialect::OpenAiResponses);
    assert_eq!(read.memory.previous.as_deref(), previous.and_then(Value::as_str), "{shown}");
    assert!(read.text_bytes <= 2 * body.len() as u64, "{shown}");

    let body = Bytes::copy_from_slice(body);
    let after = splice(&body, &read, "other\"", true).parts.concat();
    let Some(span) = read.model_span.clone() else {
        let mut expected = body.to_vec();
        for span in read.repeated_spans.iter().rev() {
            expected.splice(span.clone(), *b"\"models/other\\\"\"");
        }
        assert_eq!(after, expected, "{shown}");
        return;
    };
    assert_eq!(value["model"], *read.model, "{shown}");
    assert_eq!(value["stream"].as_bool().unwrap_or(false), read.stream, "{shown}");
    assert_eq!(serde_json::from_slice::<String>(&body[span]).unwrap(), read.model, "{shown}");
    let again = peek(dialect, &after, url, &PeekBounds::default()).unwrap();
    assert_eq!((&*again.model, again.text_bytes), ("other\"", read.text_bytes), "{shown}");
    assert!(again.wants_usage() || !read.stream, "{shown}");
}

/// What stands in the place of some bytes.
const PIECES: &[&str] = &[
    "",
    "\"",
    "\\",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    " ",
    "0",
    "-",
    ".0",
    "e9",
    "null",
    "true",
    "_",
    "M",
    "\u{17f}",
    "\u{e9}",
    "\\u0061",
    "\\ud83d",
    "\n",
    "\0",
    "\"model\":\"n\",",
    "\"stream\":true,",
    "{\"a\":[1,{}]}",
];

#[test]
fn one_change_anywhere_is_no_panic() {
    for dialect in Dialect::ALL {
        for seed in seeds(dialect) {
            assert!(read_in(dialect, seed).is_ok(), "{seed}");
            check(dialect, seed.as_bytes());
            for at in 0..=seed.len() {
                check(dialect, &seed.as_bytes()[..at]);
                for piece in PIECES {
                    for taken in 0..=2.min(seed.len() - at) {
                        let (before, behind) = (&seed.as_bytes()[..at], &seed.as_bytes()[at + taken..]);
                        check(dialect, &[before, piece.as_bytes(), behind].concat());
                    }
                }
            }
        }
    }
}

fn any_dialect() -> impl Strategy<Value = Dialect> {
    (0..Dialect::ALL.len()).prop_map(|at| Dialect::ALL[at])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn many_changes_are_no_panic(
        dialect in any_dialect(),
        seed: usize,
        changes in proptest::collection::vec((any::<usize>(), 0usize..8, any::<usize>()), 1..6),
        raw in proptest::collection::vec(any::<u8>(), 0..3),
    ) {
        let seeds = seeds(dialect);
        let mut body = seeds[seed % seeds.len()].as_bytes().to_vec();
        for (at, taken, piece) in changes {
            let at = at % (body.len() + 1);
            let end = (at + taken).min(body.len());
            let piece = PIECES.get(piece % (PIECES.len() + 1)).map_or(&*raw, |piece| piece.as_bytes());
            body.splice(at..end, piece.iter().copied());
        }
        check(dialect, &body);
    }

    #[test]
    fn any_bytes_are_no_panic(dialect in any_dialect(), body in proptest::collection::vec(any::<u8>(), 0..64)) {
        check(dialect, &body);
    }
}
