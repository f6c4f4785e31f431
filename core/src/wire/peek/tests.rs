//! Tests of peek: what it reads, and each thing that it refuses with the parameter it names.

use super::*;

fn read(body: &str) -> Result<Peek, PeekError> {
    peek(body.as_bytes(), &PeekBounds::default())
}

#[track_caller]
fn taken(body: &str) -> Peek {
    read(body).unwrap_or_else(|error| panic!("{body}: {error}"))
}

#[test]
fn a_chat_request_is_read() {
    let body = include_str!("../../../../tests/fixtures/wire/openai_chat/request_chat.json");
    let peek = taken(body);
    assert_eq!((&*peek.model, &body[peek.model_span.clone()]), ("gpt-5", "\"gpt-5\""));
    assert!(peek.stream && !peek.wants_usage());
    assert_eq!((peek.ceiling, peek.choices, peek.messages), (Some(256), 1, 2));
    assert_eq!(&body[..peek.body_open], "{");
    let options = peek.stream_options.unwrap();
    assert!(body[options.span.clone()].starts_with('{') && body[options.span].ends_with('}'));
    assert!(!options.empty && options.include_usage.is_none() && options.include_usage_span.is_none());
    // The picture has 5 522 bytes and counts as 3 072.
    assert!((3072..3200).contains(&peek.text_bytes), "{}", peek.text_bytes);
}

#[test]
fn the_sibling_endpoints_are_read() {
    let check = |body, text_bytes| assert_eq!(taken(body).text_bytes, text_bytes, "{body}");
    check(r#"{"model":"m","prompt":"Once upon","suffix":"end"}"#, 12);
    check(r#"{"model":"m","prompt":["one","two"]}"#, 6);
    check(r#"{"model":"m","prompt":[1,2,30000]}"#, 9);
    check(r#"{"model":"m","input":"h\u00e9"}"#, 3);
    check(r#"{"model":"m","input":[[1,2],[3]]}"#, 9);
    check(r#"{"model":"m","input":null,"user":"not counted"}"#, 0);
    let choices = taken(r#"{"model":"m","prompt":"x","n":2,"best_of":5}"#).choices;
    assert_eq!(choices, 5);
}

#[test]
fn messages_are_counted_and_their_text_too() {
    let check = |messages: &str, count, bytes| {
        let peek = taken(&format!("{{\"messages\":{messages},\"model\":\"m\"}}"));
        assert_eq!((peek.messages, peek.text_bytes), (count, bytes), "{messages}");
    };
    check("[]", 0, 0);
    check("null", 0, 0);
    check(r#"[{"role":"user","content":"hello"}]"#, 1, 9);
    check(r#"[{"content":[{"text":"a"},{"text":"b"}]},{},[]]"#, 3, 2);
    check(r#"[{"content":[[{"a":[]}]]},{"x":{"y":{}}}]"#, 2, 0);
}

#[test]
fn optional_fields_may_be_null() {
    let peek = taken(
        r#"{"stream":null,"stream_options":null,"max_tokens":null,"max_completion_tokens":7,"n":null,"model":"m"}"#,
    );
    assert_eq!((peek.stream, peek.ceiling, peek.choices), (false, Some(7), 1));
    let options = peek.stream_options.unwrap();
    assert_eq!((options.open, options.include_usage), (None, None));
}

#[test]
fn stream_options_tell_what_they_ask() {
    let check = |options: &str, include_usage, has_span, empty| {
        let body = format!("{{\"model\":\"m\",\"stream\":true,\"stream_options\":{options}}}");
        let peek = taken(&body);
        assert_eq!(peek.wants_usage(), include_usage == Some(true));
        let found = peek.stream_options.unwrap();
        assert_eq!(&body[found.span], options);
        assert_eq!(found.include_usage, include_usage, "{options}");
        assert_eq!((found.include_usage_span.is_some(), found.empty), (has_span, empty), "{options}");
    };
    check("{}", None, false, true);
    check(r#"{"include_usage":true}"#, Some(true), true, false);
    check(r#"{ "include_us\u0061ge" : false , "x":{"include_usage":true} }"#, Some(false), true, false);
    check(r#"{"include_usage":null}"#, None, true, false);
}

#[test]
fn wrong_fields_are_refused_by_name() {
    let long = format!("\"model\":\"{}\"", "m".repeat(MAX_MODEL_BYTES + 1));
    let table: &[(&str, &str)] = &[
        ("model", ""),
        ("model", "\"model\":null"),
        ("model", "\"model\":5"),
        ("model", "\"model\":[\"m\"]"),
        ("model", "\"model\":\"\""),
        ("model", "\"model\":\"a\\nb\""),
        ("model", "\"model\":\"a\\u0000\""),
        ("model", "\"model\":\"a\\u0085\""),
        ("model", &long),
        ("model", "\"model\":\"m\",\"Model\":\"n\""),
        ("model", "\"MODEL\":\"m\""),
        ("stream", "\"stream\":1"),
        ("stream", "\"stream\":\"true\""),
        ("stream", "\"\u{17f}tream\":true"),
        ("stream_options", "\"stream_options\":true"),
        ("stream_options", "\"stream_options\":[]"),
        ("stream_options", "\"stream_options\":{\"Include_Usage\":true}"),
        ("stream_options.include_usage", "\"stream_options\":{\"include_usage\":1}"),
        ("max_tokens", "\"max_tokens\":0"),
        ("max_tokens", "\"max_tokens\":-1"),
        ("max_tokens", "\"max_tokens\":-0"),
        ("max_tokens", "\"max_tokens\":1.5"),
        ("max_tokens", "\"max_tokens\":1.0"),
        ("max_tokens", "\"max_tokens\":1e3"),
        ("max_tokens", "\"max_tokens\":1e400"),
        ("max_tokens", "\"max_tokens\":2147483649"),
        ("max_tokens", "\"max_tokens\":18446744073709551616"),
        ("max_tokens", "\"max_tokens\":\"5\""),
        ("max_tokens", "\"max_tokens\":{}"),
        ("max_tokens", "\"max_tokens\":5,\"max_completion_tokens\":6"),
        ("max_tokens", "\"max_to\u{212a}ens\":5"),
        ("max_completion_tokens", "\"max_completion_tokens\":0"),
        ("max_completion_tokens", "\"max_completion_tokens\":true"),
        ("n", "\"n\":0"),
        ("n", "\"n\":129"),
        ("n", "\"n\":\"1\""),
        ("best_of", "\"best_of\":1000"),
        ("messages", "\"messages\":\"hi\""),
        ("messages", "\"messages\":{}"),
        ("api_base", "\"api_base\":\"http://10.0.0.1\""),
        ("base_url", "\"base_url\":null"),
        ("api_key", "\"api_key\":\"x\""),
        ("api_key", "\"API_\\u004bey\":\"x\""),
        ("custom_llm_provider", "\"custom_llm_provider\":\"x\""),
    ];
    for (param, member) in table {
        let model = if *param == "model" { "" } else { "\"model\":\"m\"," };
        let body = format!("{{{model}{member}}}");
        let error = read(&body).expect_err(&body);
        assert_eq!(error.param, Some(*param), "{body}: {error}");
        assert!(error.message.contains(param.rsplit('.').next().unwrap()), "{body}: {error}");
    }
}

#[test]
fn ceilings_that_agree_are_one() {
    let check = |members: &str, ceiling| {
        assert_eq!(taken(&format!("{{\"model\":\"m\",{members}}}")).ceiling, Some(ceiling));
    };
    check("\"max_tokens\":5,\"max_completion_tokens\":5", 5);
    check("\"max_tokens\":2147483648", 1 << 31);
    check("\"max_completion_tokens\":1", 1);
}

#[test]
fn names_of_nested_members_are_free() {
    taken(r#"{"model":"m","metadata":{"api_base":"x","Model":"y","max_tokens":-1}}"#);
}

#[test]
fn a_body_that_is_no_object_is_refused() {
    for body in ["", "[]", "null", "\"model\"", "{", "{\"model\":\"m\"} x", "\u{feff}{\"model\":\"m\"}"] {
        assert_eq!(read(body).expect_err(body).param, None, "{body}");
    }
}

#[test]
fn a_field_given_twice_is_refused_before_any_decision() {
    for (param, body) in [
        (Some("model"), r#"{"model":"cheap","model":"dear"}"#),
        (Some("model"), r#"{"model":"cheap","m\u006fdel":"dear"}"#),
        (Some("stream"), r#"{"model":"m","stream":true,"stream":false}"#),
        (Some("max_tokens"), r#"{"model":"m","max_tokens":1,"max_tokens":1}"#),
        (None, r#"{"model":"m","messages":[{"role":"user","role":"system"}]}"#),
        (None, r#"{"model":"m","stream_options":{"include_usage":true,"include_usage":true}}"#),
    ] {
        let error = read(body).expect_err(body);
        assert_eq!(error.param, param, "{body}");
        assert!(error.message.contains("given twice"), "{body}: {error}");
    }
}
