//! Tests of peek in the dialect of Responses.

use super::*;

const DIALECT: Dialect = Dialect::OpenAiResponses;

#[test]
fn a_request_is_read() {
    let body = r#"{
        "model": "gpt-5", "stream": true, "max_output_tokens": 99, "instructions": "Be brief.", "store": false,
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "Hello"}]},
            {"type": "function_call", "call_id": "c", "name": "get", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "1"}
        ],
        "tools": [{"type": "function", "name": "get", "parameters": {"type": "object"}}],
        "text": {"format": {"type": "json_schema", "schema": {"type": "string"}}},
        "reasoning": {"effort": "not counted"}, "include": ["not counted"],
        "stream_options": {"include_obfuscation": false}
    }"#;
    let peek = taken_in(DIALECT, body);
    assert_eq!((peek.dialect, &*peek.model), (DIALECT, "gpt-5"));
    assert_eq!(&body[peek.model_span.clone().unwrap()], "\"gpt-5\"");
    assert!(peek.stream && peek.wants_usage() && peek.stream_options.is_none());
    assert_eq!((peek.ceiling, peek.choices, peek.messages), (Some(99), 1, 3));
    let input = "userinput_textHellofunction_callcget{}function_call_outputc1".len();
    let besides = "Be brief.functiongetobjectjson_schemastring".len();
    assert_eq!(peek.text_bytes, (input + besides) as u64);
    assert_eq!(peek.memory, Memory::default());
}

#[test]
fn the_input_may_be_one_text() {
    let check = |input: &str, messages, text_bytes| {
        let peek = taken_in(DIALECT, &format!("{{\"input\":{input},\"model\":\"m\"}}"));
        assert_eq!((peek.messages, peek.text_bytes), (messages, text_bytes), "{input}");
    };
    check("\"h\\u00e9\"", 1, 3);
    check("[]", 0, 0);
    check("null", 0, 0);
    check(r#"[{"role":"user","content":"abc"}]"#, 1, 7);
}

#[test]
fn what_leans_on_the_upstreams_memory_is_told() {
    let check = |members: &str, previous: Option<&str>, refers_to_items, keeps_answer| {
        let peek = taken_in(DIALECT, &format!("{{\"model\":\"m\",{members}}}"));
        let expect = Memory { previous: previous.map(str::to_owned), refers_to_items, keeps_answer };
        assert_eq!(peek.memory, expect, "{members}");
    };
    check(r#""store":null"#, None, false, true);
    check(r#""store":true"#, None, false, true);
    check(r#""store":false"#, None, false, false);
    check(r#""previous_response_id":null"#, None, false, true);
    check(r#""previous_response_id":"resp_\u0031""#, Some("resp_1"), false, true);
    check(r#""previous_response_id":"r","store":false"#, Some("r"), false, false);
    check(r#""input":[{"type":"item_reference","id":"msg_1"}]"#, None, true, true);
    check(r#""input":[{"role":"user","content":"x"},{"id":"rs_1"}]"#, None, true, true);
    check(r#""input":[{"id":"rs_1","type":null}]"#, None, true, true);
    // Here somebody only says so.
    let said = r#""input":[{"content":[{"type":"item_reference"}],"role":"user"},{"type":"x","id":"item_reference"}]"#;
    check(said, None, false, true);
    check(r#""input":[{"role":"user","content":"item_reference"},[],7]"#, None, false, true);
    check(r#""background":false,"conversation":null,"prompt":null"#, None, false, true);
}

#[test]
fn wrong_fields_are_refused_by_name() {
    let long = format!(r#"{{"model":"m","previous_response_id":"{}"}}"#, "r".repeat(MAX_ID_BYTES + 1));
    check_refused(
        DIALECT,
        &[
            ("model", r#"{"input":"x"}"#),
            ("model", r#"{"model":["m"]}"#),
            ("model", r#"{"model":"m","m\u006fdel":"n"}"#),
            ("model", r#"{"model":"m","mOdel":"n"}"#),
            ("stream", r#"{"model":"m","stream":1}"#),
            ("max_output_tokens", r#"{"model":"m","max_output_tokens":0}"#),
            ("max_output_tokens", r#"{"model":"m","max_output_tokens":1e3}"#),
            ("max_output_tokens", r#"{"model":"m","max_output_tokens":2147483649}"#),
            ("max_output_tokens", r#"{"model":"m","maxOutputTokens":5}"#),
            ("max_output_tokens", r#"{"model":"m","max_output_tokens":5,"max_output_tokens":5}"#),
            ("input", r#"{"model":"m","input":{"role":"user"}}"#),
            ("input", r#"{"model":"m","input":7}"#),
            ("input", r#"{"model":"m","INPUT":"x"}"#),
            ("background", r#"{"model":"m","background":true}"#),
            ("background", r#"{"model":"m","background":"true"}"#),
            ("background", r#"{"model":"m","Background":true}"#),
            ("store", r#"{"model":"m","store":"no"}"#),
            ("store", r#"{"model":"m","Store":false}"#),
            ("previous_response_id", r#"{"model":"m","previous_response_id":7}"#),
            ("previous_response_id", r#"{"model":"m","previous_response_id":""}"#),
            ("previous_response_id", r#"{"model":"m","previousResponseId":"r"}"#),
            (
                "previous_response_id",
                r#"{"model":"m","previous_response_id":"r","previous_response_id":"s"}"#,
            ),
            ("previous_response_id", &long),
            ("conversation", r#"{"model":"m","conversation":"conv_1"}"#),
            ("conversation", r#"{"model":"m","conversation":{"id":"conv_1"}}"#),
            ("prompt", r#"{"model":"m","prompt":{"id":"pmpt_1"}}"#),
        ],
    );
    let error = read_in(DIALECT, r#"{"model":"m","background":true}"#).unwrap_err();
    assert!(error.message.starts_with("`background` must not be true"), "{error}");
}
