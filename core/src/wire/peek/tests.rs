//! Tests of peek: what it reads, and each thing that it refuses with the parameter it names. Here those of
//! chat and of what all dialects have in common, beside it those of the others.

mod form;
mod gemini;
mod messages;
mod mutations;
mod responses;

use super::*;

const OF_URL: UrlSays<'_> = UrlSays { model: Some("m"), stream: Some(false) };

fn read_in(dialect: Dialect, body: &str) -> Result<Peek, PeekError> {
    let url = if dialect == Dialect::Gemini { OF_URL } else { UrlSays::default() };
    peek(dialect, body.as_bytes(), url, &PeekBounds::default())
}

#[track_caller]
fn taken_in(dialect: Dialect, body: &str) -> Peek {
    read_in(dialect, body).unwrap_or_else(|error| panic!("{body}: {error}"))
}

/// Checks that each body is refused for the parameter before it, by its name.
#[track_caller]
fn check_refused(dialect: Dialect, table: &[(&str, &str)]) {
    for (param, body) in table {
        let error = read_in(dialect, body).expect_err(body);
        assert_eq!(error.param, Some(*param), "{body}: {error}");
        assert!(error.message.contains(param.rsplit('.').next().unwrap()), "{body}: {error}");
    }
}

fn read(body: &str) -> Result<Peek, PeekError> {
    read_in(Dialect::OpenAiChat, body)
}

#[track_caller]
fn taken(body: &str) -> Peek {
    taken_in(Dialect::OpenAiChat, body)
}

#[test]
fn a_chat_request_is_read() {
    let body = include_str!("../../../../tests/fixtures/wire/openai_chat/request_chat.json");
    let peek = taken(body);
    assert_eq!((&*peek.model, &body[peek.model_span.clone().unwrap()]), ("gpt-5", "\"gpt-5\""));
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
    // Each prompt has its answers, and a list of tokens is one prompt.
    for (prompt, choices) in
        [(r#"["a","b","c"]"#, 6), ("[[1,2],[3]]", 4), ("[1,2,3]", 2), ("[]", 2), ("\"[\"", 2)]
    {
        let peek = taken(&format!("{{\"model\":\"m\",\"n\":2,\"max_tokens\":9,\"prompt\":{prompt}}}"));
        assert_eq!((peek.choices, peek.ceiling), (choices, Some(9)), "{prompt}");
    }
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
        ("prompt", "\"Prompt\":\"x\""),
        ("max_tokens", "\"maxTokens\":5"),
        ("best_of", "\"bestOf\":5"),
        ("stream_options", "\"stream_options\":true"),
        ("stream_options", "\"stream_options\":[]"),
        ("stream_options", "\"stream_options\":{\"Include_Usage\":true}"),
        ("stream_options", "\"stream_options\":{\"includeUsage\":true}"),
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
        ("api_key", "\"apiKey\":\"x\""),
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
    for dialect in Dialect::ALL {
        for body in ["", "[]", "null", "\"model\"", "{", "{\"model\":\"m\"} x", "\u{feff}{\"model\":\"m\"}"] {
            assert_eq!(read_in(dialect, body).expect_err(body).param, None, "{body}");
        }
    }
}

#[test]
fn a_field_given_twice_is_refused_before_any_decision() {
    for (param, body) in [
        (Some("model"), r#"{"model":"cheap","model":"dear"}"#),
        (Some("model"), r#"{"model":"cheap","m\u006fdel":"dear"}"#),
        (Some("stream"), r#"{"model":"m","stream":true,"stream":false}"#),
        (Some("max_tokens"), r#"{"model":"m","max_tokens":1,"max_tokens":1}"#),
        (None, r#"{"model":"m","user":"a","user":"b"}"#),
        (None, r#"{"model":"m","messages":[{"role":"user","role":"system"}]}"#),
        (None, r#"{"model":"m","metadata":{"model":"m","model":"n"}}"#),
        (None, r#"{"model":"m","stream_options":{"include_usage":true,"include_usage":true}}"#),
    ] {
        let error = read(body).expect_err(body);
        assert_eq!(error.param, param, "{body}");
        assert!(error.message.contains("given twice"), "{body}: {error}");
    }
}

/// The smallest body of each dialect, up to where more can be said.
fn begun(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAiChat | Dialect::OpenAiResponses => r#"{"model":"m","#,
        Dialect::AnthropicMessages => r#"{"model":"m","max_tokens":5,"#,
        Dialect::Gemini => "{",
    }
}

#[test]
fn in_every_dialect_bombs_are_refused() {
    let members: Vec<_> = (0..132_000).map(|number| format!("\"{number}\":0")).collect();
    let members = members.join(",");
    let (deep, number) = ("[".repeat(100_000), "9".repeat(200));
    for dialect in Dialect::ALL {
        let begun = begun(dialect);
        for rest in [
            &format!("\"x\":{deep}"),
            &format!("\"messages\":{deep},\"contents\":{deep},\"input\":{deep}"),
            &format!("\"tools\":{deep}"),
            &members,
            &format!("\"tools\":{{{members}}}}}"),
            &format!("\"x\":{number}}}"),
            "\"x\":\"\\ud800\"}",
            "\"x\":NaN}",
            "\"x\":1 /* why */}",
            "\"x\":[1,]}",
        ] {
            let error = read_in(dialect, &format!("{begun}{rest}")).expect_err("a bomb");
            assert_eq!(error.param, None, "{error}");
            assert!(error.message.len() < 200, "{error}");
        }
        let no_utf8 = [begun.as_bytes(), b"\"x\":\"\xff\"}"].concat();
        assert!(peek(dialect, &no_utf8, OF_URL, &PeekBounds::default()).is_err());
    }
}

#[test]
fn in_every_dialect_a_request_cannot_choose_its_upstream() {
    for dialect in Dialect::ALL {
        for (param, member) in [
            ("api_base", "\"api_base\":\"http://10.0.0.1\""),
            ("api_base", "\"apiBase\":null"),
            ("models", "\"models\":[\"dear\"]"),
            ("models", "\"Models\":[\"dear\"]"),
            ("preset", "\"preset\":\"theirs\""),
            ("base_url", "\"base_u\\u0072l\":1"),
            ("base_url", "\"baseUrl\":{}"),
            ("api_key", "\"API_KEY\":\"x\""),
            ("custom_llm_provider", "\"custom_llm_provider\":\"x\""),
        ] {
            check_refused(dialect, &[(param, &format!("{}{member}}}", begun(dialect)))]);
        }
    }
}

#[test]
fn a_file_counts_as_its_bound_and_a_seal_too() {
    let long = "x".repeat(10_000);
    let check = |dialect, member: &str, text_bytes| {
        let peek = taken_in(dialect, &format!("{}{}}}", begun(dialect), member.replace("LONG", &long)));
        assert_eq!(peek.text_bytes, text_bytes, "{dialect:?}: {member}");
    };
    let (chat, responses) = (Dialect::OpenAiChat, Dialect::OpenAiResponses);
    let (messages, gemini) = (Dialect::AnthropicMessages, Dialect::Gemini);
    check(chat, r#""messages":[{"content":[{"image_url":{"url":"LONG"}}]}]"#, 3072);
    check(chat, r#""messages":[{"content":[{"text":"LONG"}]}]"#, 10_000);
    check(chat, r#""messages":[{"result":"LONG"}]"#, 10_000);
    check(responses, r#""input":[{"content":[{"image_url":"LONG"},{"file_data":"LONG"}]}]"#, 6144);
    check(responses, r#""input":[{"result":"LONG"}]"#, 3072);
    check(responses, r#""input":[{"output":"LONG"}]"#, 10_000);
    check(responses, r#""input":[{"encrypted_content":"LONG"}]"#, 3072);
    check(messages, r#""messages":[{"content":[{"source":{"data":"LONG"}}]}]"#, 3072);
    check(messages, r#""messages":[{"content":[{"source":{"url":"abc"}}]}]"#, 3);
    check(messages, r#""messages":[{"content":[{"thinking":"abc","signature":"LONG"}]}]"#, 3075);
    // A document in plain text is text, whichever comes first.
    check(messages, r#""messages":[{"source":{"media_type":"text/plain","data":"LONG"}}]"#, 10_010);
    check(messages, r#""messages":[{"source":{"data":"LONG","media_type":"text/plain"}}]"#, 10_010);
    check(messages, r#""messages":[{"source":{"data":"LONG"}},{"media_type":"text/plain"}]"#, 3082);
    // What a tool is asked may be called so too.
    check(messages, r#""messages":[{"content":[{"input":{"data":"LONG","url":"LONG"}}]}]"#, 20_000);
    check(gemini, r#""contents":[{"parts":[{"inlineData":{"mimeType":"image/png","data":"LONG"}}]}]"#, 3081);
    check(
        gemini,
        r#""contents":[{"parts":[{"inline_data":{"data":"LONG","mime_type":"text/csv"}}]}]"#,
        10_008,
    );
    check(gemini, r#""contents":[{"parts":[{"text":"a","thoughtSignature":"LONG"}]}]"#, 3073);
    check(gemini, r#""contents":[{"parts":[{"functionCall":{"args":{"data":"LONG"}}}]}]"#, 10_000);
}
