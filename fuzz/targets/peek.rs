//! What the peek takes is JSON, says what it says to every other reader, and is spliced into JSON that differs
//! in the model's name and in `stream_options` alone.

#![no_main]

use aione_core::wire::{
    Dialect,
    codec::UrlSays,
    peek::{Peek, PeekBounds, peek, raw},
    splice::splice,
};
use aione_fuzz::{Input, expect_equal, expect_json, shown};
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

const MODEL: &str = "an\"other\\モデル";

fuzz_target!(|data: &[u8]| {
    let Some(input) = Input::of(data) else { return };
    let is_gemini = input.dialect == Dialect::Gemini;
    let url = if is_gemini {
        UrlSays { model: Some("a-model"), stream: Some(input.flag) }
    } else {
        UrlSays::default()
    };
    let bounds = PeekBounds { needs_ceiling: input.flag, ..PeekBounds::default() };
    let body = Bytes::copy_from_slice(input.bytes);
    check_raw(&input, &body);
    let read = match peek(input.dialect, &body, url, &bounds) {
        Ok(read) => read,
        Err(error) => {
            assert!(!error.message.is_empty());
            return;
        }
    };
    expect_json(&body);
    assert!(read.text_bytes <= 2 * body.len() as u64, "{}", shown(&body));
    let named = splice(&body, &read, MODEL, false);
    let parts_max = 5 + 2 * read.repeated_spans.len();
    assert!(named.parts.len() <= parts_max && named.parts.iter().all(|part| !part.is_empty()));
    let bytes = named.parts.concat();
    assert_eq!(named.bytes, bytes.len());
    check_named(&body, &read, &bytes);
    let asked = splice(&body, &read, MODEL, true).parts.concat();
    expect_json(&asked);
    check_asked(&bytes, &read, &asked);

    // What repeats the model of its URL goes to that of the upstream's.
    let url = if is_gemini { UrlSays { model: Some(MODEL), ..url } } else { url };
    let again = peek(input.dialect, &asked, url, &bounds).unwrap_or_else(|error| panic!("{error}"));
    assert!(again.wants_usage() || !read.stream, "{}", shown(&asked));
    let same = |peek: &Peek| (peek.stream, peek.ceiling, peek.choices, peek.text_bytes, peek.messages);
    assert_eq!(same(&again), same(&read), "{}", shown(&asked));
    assert_eq!(again.memory, read.memory, "{}", shown(&asked));
});

/// Of what is passed on as it is no other reader finds another model.
fn check_raw(input: &Input<'_>, body: &Bytes) {
    const SOLD: &str = "what it is sold as";
    let Ok(read) = raw(input.dialect, body, input.flag, SOLD) else { return };
    // Numbers beyond a double's range are nobody's business here.
    let value = serde_json::from_slice::<Value>(body).ok();
    let named = value.as_ref().and_then(|value| value.get("model"));
    if !read.names_model {
        assert!(read.peek.model == SOLD && named.is_none(), "{}", shown(body));
        return;
    }
    expect_json(body);
    assert!(value.is_none() || named.and_then(Value::as_str) == Some(&*read.peek.model), "{}", shown(body));
    check_named(body, &read.peek, &splice(body, &read.peek, MODEL, false).parts.concat());
}

/// Only the model's name has changed.
fn check_named(body: &Bytes, read: &Peek, after: &[u8]) {
    let Some(span) = read.model_span.clone() else {
        // A body may repeat the model of its URL.
        let mut expected = body.to_vec();
        let again = serde_json::to_vec(&format!("models/{MODEL}")).expect("a string");
        for span in read.repeated_spans.iter().rev() {
            let name: String = serde_json::from_slice(&body[span.clone()]).expect("the span of a string");
            assert_eq!(name.strip_prefix("models/").unwrap_or(&name), read.model);
            expected.splice(span.clone(), again.clone());
        }
        assert_eq!(after, expected, "{}", shown(body));
        return;
    };
    let name: String = serde_json::from_slice(&body[span.clone()]).expect("the span of a string");
    assert_eq!(name, read.model);
    let behind = &body[span.end..];
    let literal = after.len().checked_sub(behind.len()).and_then(|end| after.get(span.start..end));
    let literal = literal.expect("what stood around the name is there");
    assert_eq!(serde_json::from_slice::<String>(literal).expect("a string"), MODEL);
    assert_eq!((&after[..span.start], &after[span.start + literal.len()..]), (&body[..span.start], behind));
}

/// Beside that, a stream of chat asks for its usage.
fn check_asked(named: &[u8], read: &Peek, asked: &[u8]) {
    if !read.stream || read.wants_usage() {
        expect_equal(asked, named, || shown(named).into_owned());
        return;
    }
    // Numbers beyond a double's range are nobody's business here.
    let Ok(mut expected) = serde_json::from_slice::<Value>(named) else { return };
    let options = &mut expected["stream_options"];
    if options.is_null() {
        *options = json!({});
    }
    options["include_usage"] = Value::Bool(true);
    assert_eq!(serde_json::from_slice::<Value>(asked).expect("JSON"), expected, "{}", shown(named));
}
