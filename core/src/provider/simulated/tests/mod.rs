//! Answers, exactly: shapes, counts, streams, directives and refusals.

mod bodies;
mod chat;
mod directives;
mod errors;
mod foreign;
mod tongue;
mod transcript;

use super::*;
use crate::provider::simulated::text::{OPENERS, Rng, WORDS, count, sentences};

const CREATED: i64 = 1_767_225_600;

fn ask(endpoint: Endpoint, body: &Value, directive: &str) -> Script {
    answer(endpoint, body.to_string().as_bytes(), Some(directive), 1, CREATED)
}

fn chat(body: &Value) -> Script {
    ask(Endpoint::Chat, body, "")
}

fn bytes(script: Script) -> Vec<u8> {
    script.parts.flat_map(|part| part.bytes.to_vec()).collect()
}

fn json_of(script: Script) -> Value {
    serde_json::from_slice(&bytes(script)).unwrap()
}

/// The events of a stream; `[DONE]` as a text.
fn events(script: Script) -> Vec<Value> {
    script
        .parts
        .map(|part| {
            let frame = std::str::from_utf8(&part.bytes).unwrap();
            let data = frame.strip_prefix("data: ").unwrap().strip_suffix("\n\n").unwrap();
            serde_json::from_str(data).unwrap_or_else(|_| json!(data))
        })
        .collect()
}

fn hello(more: Value) -> Value {
    let mut body = json!({ "model": "m", "messages": [{ "role": "user", "content": "Say hello." }] });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn weather_tool() -> Value {
    let parameters = json!({
        "type": "object",
        "properties": { "city": { "type": "string" }, "days": { "type": "integer", "minimum": 3, "maximum": 3 } },
        "required": ["city", "days"],
    });
    json!([
        { "type": "function", "function": { "name": "weather", "parameters": parameters } },
        { "type": "function", "function": { "name": "clock" } },
    ])
}

fn refused(script: Script) -> (String, Value) {
    assert_eq!(script.status, 400);
    let error = json_of(script)["error"].clone();
    assert_eq!(
        (&error["type"], &error["code"]),
        (&json!("invalid_request_error"), &json!("invalid_request"))
    );
    (error["message"].as_str().unwrap().to_owned(), error["param"].clone())
}

fn joined(events: &[Value], pointer: &str) -> String {
    events.iter().filter_map(|event| event.pointer(pointer)?.as_str()).collect()
}

#[test]
fn every_piece_of_a_text_is_one_token() {
    for word in WORDS.iter().chain(OPENERS) {
        assert_eq!(count(word), 1, "{word}");
    }
    for opener in OPENERS {
        assert_eq!(count(opener.trim_start()), 1, "{opener}");
    }
    for seed in 0..500 {
        for length in [Some(1), Some(2), Some(7), Some(40), Some(300), None] {
            let pieces = sentences(&mut Rng::new(seed), length);
            let text = pieces.concat();
            assert_eq!(count(&text), pieces.len() as u64, "{text}");
            assert!(length.is_none_or(|length| length == pieces.len() as u64));
            for end in 0..pieces.len().min(60) {
                assert_eq!(count(&pieces[..end].concat()), end as u64, "a cut text too");
            }
        }
    }
}
