//! Tests of the splice: nothing but the model and the wish for usage ever changes.

use super::*;
use crate::wire::{
    Dialect,
    codec::UrlSays,
    peek::{self, PeekBounds},
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn peek_in(dialect: Dialect, body: &[u8]) -> Peek {
    let url = UrlSays { model: Some("of-url"), stream: Some(true) };
    peek::peek(dialect, body, url, &PeekBounds::default()).unwrap()
}

fn peek(body: &[u8]) -> Peek {
    peek_in(Dialect::OpenAiChat, body)
}

fn spliced(body: &str, model: &str, ask_usage: bool) -> String {
    spliced_in(Dialect::OpenAiChat, body, model, ask_usage)
}

fn spliced_in(dialect: Dialect, body: &str, model: &str, ask_usage: bool) -> String {
    let body = Bytes::copy_from_slice(body.as_bytes());
    let spliced = splice(&body, &peek_in(dialect, &body), model, ask_usage);
    assert!(spliced.parts.len() <= 5 && spliced.parts.iter().all(|part| !part.is_empty()));
    let whole = spliced.parts.concat();
    assert_eq!(whole.len(), spliced.bytes);
    String::from_utf8(whole).unwrap()
}

#[test]
fn usage_is_asked_for_in_every_shape() {
    let check = |before: &str, after: &str| assert_eq!(spliced(before, "m", true), after);
    check(
        r#"{ "model":"m","stream":true}"#,
        r#"{"stream_options":{"include_usage":true}, "model":"m","stream":true}"#,
    );
    check(
        r#"{"model":"m","stream":true,"stream_options":null}"#,
        r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#,
    );
    check(
        r#"{"stream_options":{ },"model":"m","stream":true}"#,
        r#"{"stream_options":{"include_usage":true },"model":"m","stream":true}"#,
    );
    check(
        r#"{"stream_options":{"include_obfuscation":false},"model":"m","stream":true}"#,
        r#"{"stream_options":{"include_usage":true,"include_obfuscation":false},"model":"m","stream":true}"#,
    );
    check(
        r#"{"stream_options":{"a":[],"include_usage": false},"model":"m","stream":true}"#,
        r#"{"stream_options":{"a":[],"include_usage": true},"model":"m","stream":true}"#,
    );
    check(
        r#"{"stream_options":{"include_us\u0061ge":null},"model":"m","stream":true}"#,
        r#"{"stream_options":{"include_us\u0061ge":true},"model":"m","stream":true}"#,
    );
}

#[test]
fn where_nothing_changes_the_bytes_are_the_same() {
    for body in [
        r#"{"model":"m"}"#,
        r#"{ "m\u006fdel" : "\u006d" , "stream" : false }"#,
        r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#,
    ] {
        assert_eq!(spliced(body, "m", true), body);
    }
    let body = Bytes::from_static(br#"{"model":"m","stream":true}"#);
    let same = splice(&body, &peek(&body), "m", false);
    assert_eq!(same.parts.len(), 1);
    assert_eq!(same.parts[0].as_ptr(), body.as_ptr(), "nothing is copied");
}

#[test]
fn a_model_name_is_escaped() {
    let body = spliced(r#"{"model":"m","x":1}"#, "a\"b\\c\n\u{2028}", false);
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["model"], "a\"b\\c\n\u{2028}");
}

#[test]
fn usage_is_asked_for_in_chat_alone() {
    for dialect in [Dialect::OpenAiResponses, Dialect::AnthropicMessages] {
        let before = r#"{"max_tokens":5,"model" : "m","stream":true,"stream_options":{}}"#;
        let after = r#"{"max_tokens":5,"model" : "n","stream":true,"stream_options":{}}"#;
        assert_eq!(spliced_in(dialect, before, "n", true), after);
    }
}

#[test]
fn a_body_whose_model_is_in_the_url_is_left_alone() {
    for (body, upstream) in
        [("{}", "n"), (r#"{ "model":"models/of-url","stream":true,"contents":[] } "#, "of-url")]
    {
        let bytes = Bytes::from_static(body.as_bytes());
        let same = splice(&bytes, &peek_in(Dialect::Gemini, &bytes), upstream, true);
        assert_eq!((same.parts.len(), same.bytes), (1, body.len()));
        assert_eq!(same.parts[0].as_ptr(), bytes.as_ptr(), "nothing is copied");
    }
}

fn any_stream_options() -> impl Strategy<Value = Option<Value>> {
    let usage = prop_oneof![Just(json!(true)), Just(json!(false)), Just(Value::Null)];
    let members = (proptest::option::of(usage), any::<bool>()).prop_map(|(usage, other)| {
        let mut options = serde_json::Map::new();
        if other {
            options.insert("include_obfuscation".to_owned(), json!({"x": [1, "}"]}));
        }
        if let Some(usage) = usage {
            options.insert("include_usage".to_owned(), usage);
        }
        Value::Object(options)
    });
    proptest::option::of(prop_oneof![Just(Value::Null), members])
}

proptest! {
    #[test]
    fn only_the_model_and_the_wish_for_usage_change(
        name in "[^\\p{Cc}]{1,20}",
        upstream in "\\PC{1,20}",
        stream in proptest::option::of(any::<bool>()),
        options in any_stream_options(),
        content in any::<String>(),
        ask: bool,
        pretty: bool,
        model_first: bool,
    ) {
        let mut body = serde_json::Map::new();
        body.insert("a".to_owned(), json!({"model": content}));
        body.insert(if model_first { "messages" } else { "model" }.to_owned(), Value::Null);
        body.insert("model".to_owned(), json!(name));
        body.insert("messages".to_owned(), json!([{"role": "user", "content": content}]));
        if let Some(stream) = stream {
            body.insert("stream".to_owned(), json!(stream));
        }
        if let Some(options) = &options {
            body.insert("stream_options".to_owned(), options.clone());
        }
        let mut expect = body.clone();
        expect.insert("model".to_owned(), json!(upstream));
        if ask && stream == Some(true) {
            let mut asked = options.filter(Value::is_object).unwrap_or_else(|| json!({}));
            asked["include_usage"] = json!(true);
            expect.insert("stream_options".to_owned(), asked);
        }
        let text = if pretty { serde_json::to_string_pretty(&body) } else { serde_json::to_string(&body) };
        let after = spliced(&text.unwrap(), &upstream, ask);
        prop_assert_eq!(serde_json::from_str::<Value>(&after).unwrap(), Value::Object(expect));
        // Strict, so that no key is there twice.
        let again = peek(after.as_bytes());
        prop_assert_eq!(again.wants_usage(), ask && stream == Some(true) || caller_asked(&body));
        prop_assert_eq!(again.model, upstream);
    }
}

proptest! {
    #[test]
    fn in_the_other_dialects_only_the_model_changes(
        dialect in prop_oneof![
            Just(Dialect::OpenAiResponses), Just(Dialect::AnthropicMessages), Just(Dialect::Gemini)
        ],
        name in "[^\\p{Cc}]{1,20}",
        upstream in "\\PC{1,20}",
        content in any::<String>(),
        stream: bool,
        ask: bool,
        pretty: bool,
        model_at in 0usize..4,
        escaped: bool,
    ) {
        let mut members = vec![
            ("max_tokens", json!(5)),
            ("system", json!([{"model": content, "text": content}])),
            ("input", json!([{"role": "user", "content": content, "model": name}])),
            ("stream", json!(stream)),
        ];
        if dialect != Dialect::Gemini {
            members.insert(model_at, ("model", json!(name)));
        }
        let space = if pretty { " \n\t" } else { "" };
        let mut before = Vec::new();
        // Where the literal of the model stands.
        let mut literal = 0..0;
        for (key, value) in &members {
            before.extend_from_slice(if before.is_empty() { b"{" } else { b"," });
            let key = if escaped { key.replacen('m', "\\u006d", 1) } else { (*key).to_owned() };
            before.extend_from_slice(format!("{space}\"{key}\"{space}:{space}").as_bytes());
            let begin = before.len();
            before.extend_from_slice(value.to_string().as_bytes());
            if key.ends_with("odel") {
                literal = begin..before.len();
            }
            before.extend_from_slice(space.as_bytes());
        }
        before.push(b'}');
        let before = String::from_utf8(before).unwrap();
        let after = spliced_in(dialect, &before, &upstream, ask);
        if literal.is_empty() || name == upstream {
            prop_assert_eq!(after, before);
        } else {
            let written = &after[literal.start..after.len() - (before.len() - literal.end)];
            prop_assert_eq!(serde_json::from_str::<String>(written).unwrap(), upstream);
            prop_assert_eq!(&after[..literal.start], &before[..literal.start]);
            prop_assert!(after.ends_with(&before[literal.end..]));
        }
    }
}

/// Whether the caller asked for usage.
fn caller_asked(body: &serde_json::Map<String, Value>) -> bool {
    body.get("stream_options").is_some_and(|options| options["include_usage"] == json!(true))
}

#[test]
fn a_body_that_repeats_the_model_of_its_url_names_the_upstreams() {
    let url = UrlSays { model: Some("mine"), stream: None };
    for (body, expected) in [
        (
            r#"{"model": "models/mine", "content": {"parts": []}}"#,
            r#"{"model": "models/theirs", "content": {"parts": []}}"#,
        ),
        (
            r#"{"requests":[{"model":"mine","content":{}},{"content":{},"model":"models/mine"}]}"#,
            r#"{"requests":[{"model":"models/theirs","content":{}},{"content":{},"model":"models/theirs"}]}"#,
        ),
        (
            r#"{"generateContentRequest":{"model":"models/mine","contents":[]}}"#,
            r#"{"generateContentRequest":{"model":"models/theirs","contents":[]}}"#,
        ),
        (r#"{"contents":[{"parts":[{"text":"model"}]}]}"#, r#"{"contents":[{"parts":[{"text":"model"}]}]}"#),
    ] {
        let bytes = Bytes::copy_from_slice(body.as_bytes());
        let read = peek::peek(Dialect::Gemini, &bytes, url, &PeekBounds::default()).unwrap();
        let spliced = splice(&bytes, &read, "theirs", true);
        let written = spliced.parts.concat();
        assert_eq!((std::str::from_utf8(&written).unwrap(), written.len()), (expected, spliced.bytes));
        assert_eq!(splice(&bytes, &read, "mine", true).parts.concat(), body.as_bytes());
    }
    for other in [r#"{"requests":[{"model":"other"}]}"#, r#"{"requests":[1]}"#, r#"{"requests":{}}"#] {
        assert!(
            peek::peek(Dialect::Gemini, other.as_bytes(), url, &PeekBounds::default()).is_err(),
            "{other}"
        );
    }
    let many = format!(r#"{{"requests":[{}{{}}]}}"#, "{},".repeat(1024));
    assert!(peek::peek(Dialect::Gemini, many.as_bytes(), url, &PeekBounds::default()).is_err());
}
