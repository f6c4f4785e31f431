//! Tests of peek in Gemini's dialect.

use super::*;

const DIALECT: Dialect = Dialect::Gemini;

#[test]
fn a_request_is_read() {
    let body = r#"{
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "Hello"}]},
            {"role": "model", "parts": [{"functionCall": {"name": "get", "args": {"a": "b"}}}]}
        ],
        "tools": [{"functionDeclarations": [{"name": "get", "parameters": {"type": "OBJECT"}}]}],
        "generationConfig": {"maxOutputTokens": 99, "candidateCount": 2, "stopSequences": ["not counted"],
            "responseSchema": {"type": "STRING"}},
        "safetySettings": [{"category": "not counted"}], "cachedContent": ""
    }"#;
    let url = UrlSays { model: Some("gemini-pro"), stream: Some(true) };
    let peek = peek(DIALECT, body.as_bytes(), url, &PeekBounds::default()).unwrap();
    assert_eq!((peek.dialect, &*peek.model, &peek.model_span), (DIALECT, "gemini-pro", &None));
    assert!(peek.stream && peek.wants_usage() && peek.stream_options.is_none());
    assert_eq!((peek.ceiling, peek.choices, peek.messages), (Some(99), 2, 2));
    let text = "Be brief.userHellomodelgetbgetOBJECTSTRING".len();
    assert_eq!(peek.text_bytes, text as u64);
    assert_eq!(peek.memory, Memory::default());
}

#[test]
fn both_spellings_of_a_name_are_one() {
    let check = |body: &str, ceiling, choices, text_bytes| {
        let peek = taken_in(DIALECT, body);
        assert_eq!((peek.ceiling, peek.choices, peek.text_bytes), (ceiling, choices, text_bytes), "{body}");
    };
    check(r#"{"generation_config":{"max_output_tokens":5,"candidate_count":3}}"#, Some(5), 3, 0);
    check(r#"{"generationConfig":{"max_output_tokens":5,"candidateCount":3}}"#, Some(5), 3, 0);
    check(r#"{"generation_config":null,"system_instruction":{"parts":{"text":"abc"}}}"#, None, 1, 3);
    check(
        r#"{"generationConfig":{"response_schema":{"a":"b"},"response_json_schema":{"a":"bc"}}}"#,
        None,
        1,
        3,
    );
    check(r#"{"generationConfig":{"_responseJsonSchema":{"a":"b"}}}"#, None, 1, 1);
    // Elsewhere a name is only a name.
    check(r#"{"labels":{"maxOutputTokens":5,"max_output_tokens":6},"maxOutputTokens":7}"#, None, 1, 0);
}

#[test]
fn numbers_are_written_as_protobuf_writes_them() {
    for written in ["256", "256.0", "256.000", "\"256\"", "\"2\\u00356\"", "\"0256\""] {
        let body = format!("{{\"generationConfig\":{{\"maxOutputTokens\":{written}}}}}");
        assert_eq!(taken_in(DIALECT, &body).ceiling, Some(256), "{written}");
    }
    let wrong = [
        "0", "-1", "1.5", "1e3", "\"\"", "\"-1\"", "\"+5\"", "\"5 \"", "\"5.0\"", "\"0x5\"", "true", "[5]",
        "1.0e2",
    ];
    for written in wrong {
        for name in ["maxOutputTokens", "candidate_count"] {
            let body = format!("{{\"generationConfig\":{{\"{name}\":{written}}}}}");
            let error = read_in(DIALECT, &body).expect_err(&body);
            assert!(error.param.unwrap().starts_with("generationConfig."), "{body}: {error}");
        }
    }
}

#[test]
fn a_conversation_may_be_one_message() {
    let check = |contents: &str, messages, text_bytes| {
        let peek = taken_in(DIALECT, &format!("{{\"contents\":{contents}}}"));
        assert_eq!((peek.messages, peek.text_bytes), (messages, text_bytes), "{contents}");
    };
    check(r#"{"parts":[{"text":"abc"},{"text":"d"}]}"#, 1, 4);
    check(r#"[{"parts":[{"text":"abc"}]},{"parts":{"text":"d"}}]"#, 2, 4);
    check("{}", 1, 0);
    check("null", 0, 0);
}

#[test]
fn what_is_counted_or_embedded_is_text() {
    let check = |body: &str, bytes| assert_eq!(taken_in(DIALECT, body).text_bytes, bytes, "{body}");
    check(r#"{"content":{"parts":[{"text":"abc"}]},"taskType":"NOT_COUNTED","model":"models/m"}"#, 3);
    check(r#"{"requests":[{"content":{"parts":[{"text":"abc"}]}}]}"#, 3);
    check(r#"{"generateContentRequest":{"contents":[{"parts":[{"text":"abc"}]}]}}"#, 3);
}

#[test]
fn the_model_is_the_urls() {
    let bounds = PeekBounds::default();
    let read = |model, body: &str| peek(DIALECT, body.as_bytes(), UrlSays { model, stream: None }, &bounds);
    for body in ["{}", r#"{"model":null}"#, r#"{"model":"m"}"#, r#"{"model":"models\/m"}"#] {
        let peek = read(Some("m"), body).unwrap();
        assert_eq!((&*peek.model, peek.model_span, peek.stream), ("m", None, false), "{body}");
    }
    let long = "m".repeat(MAX_MODEL_BYTES + 1);
    for (model, body) in [
        (None, "{}"),
        (None, r#"{"model":"m"}"#),
        (Some(""), "{}"),
        (Some("a\nb"), "{}"),
        (Some(&*long), "{}"),
        (Some("m"), r#"{"model":"n"}"#),
        (Some("m"), r#"{"model":"models/models/m"}"#),
        (Some("m"), r#"{"model":7}"#),
        (Some("m"), r#"{"Model":"m"}"#),
        (Some("m"), r#"{"model":"m","model":"m"}"#),
    ] {
        assert_eq!(read(model, body).expect_err(body).param, Some("model"), "{model:?} {body}");
    }
}

#[test]
fn wrong_fields_are_refused_by_name() {
    let config = "generationConfig";
    let ceiling = "generationConfig.maxOutputTokens";
    let count = "generationConfig.candidateCount";
    check_refused(
        DIALECT,
        &[
            (config, r#"{"generationConfig":[]}"#),
            (config, r#"{"generation_config":7}"#),
            (config, r#"{"generationConfig":{},"generation_config":{}}"#),
            (config, r#"{"generation_config":{},"generationConfig":null}"#),
            (config, r#"{"generationConfig":{},"generationConfig":{}}"#),
            (config, r#"{"generationconfig":{"maxOutputTokens":5}}"#),
            (config, r#"{"generation_Config":{"maxOutputTokens":5}}"#),
            (ceiling, r#"{"generationConfig":{"maxOutputTokens":5,"max_output_tokens":5}}"#),
            (ceiling, r#"{"generationConfig":{"max_output_tokens":5,"maxOutput\u0054okens":6}}"#),
            (ceiling, r#"{"generationConfig":{"maxOutputTokens":5,"maxOutputTokens":6}}"#),
            (ceiling, r#"{"generationConfig":{"MaxOutputTokens":5}}"#),
            (ceiling, r#"{"generationConfig":{"max_outputTokens":5}}"#),
            (ceiling, r#"{"generationConfig":{"maxOutputTokens":2147483649}}"#),
            (count, r#"{"generationConfig":{"candidateCount":129}}"#),
            (count, r#"{"generationConfig":{"candidateCount":1,"candidate_count":1}}"#),
            (count, r#"{"generationConfig":{"candidatecount":1}}"#),
            ("contents", r#"{"contents":"hi"}"#),
            ("contents", r#"{"contents":7}"#),
            ("contents", r#"{"Contents":[]}"#),
            ("systemInstruction", r#"{"systemInstruction":{},"system_instruction":{}}"#),
            ("systemInstruction", r#"{"SystemInstruction":{}}"#),
            ("cachedContent", r#"{"cachedContent":"cachedContents/x"}"#),
            ("cachedContent", r#"{"cached_content":"cachedContents/x"}"#),
            ("cachedContent", r#"{"cachedContent":{}}"#),
        ],
    );
}
