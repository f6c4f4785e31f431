//! Tests of peek in Anthropic's dialect.

use super::*;

const DIALECT: Dialect = Dialect::AnthropicMessages;

#[test]
fn a_request_is_read() {
    let body = r#"{
        "max_tokens": 1024, "stream": true, "model": "claude-sonnet-4-6", "temperature": 1,
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        "messages": [
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": [{"type": "text", "text": "Hi"}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [{"text": "1"}]}]}
        ],
        "tools": [{"name": "get", "input_schema": {"type": "object"}}],
        "output_config": {"format": {"schema": {"type": "string"}}},
        "metadata": {"user_id": "not counted"}, "stop_sequences": ["not counted"], "thinking": {"budget_tokens": 7}
    }"#;
    let peek = taken_in(DIALECT, body);
    assert_eq!((peek.dialect, &*peek.model), (DIALECT, "claude-sonnet-4-6"));
    assert_eq!(&body[peek.model_span.clone().unwrap()], "\"claude-sonnet-4-6\"");
    assert!(peek.stream && peek.wants_usage() && peek.stream_options.is_none());
    assert_eq!((peek.ceiling, peek.choices, peek.messages), (Some(1024), 1, 3));
    let system = "textBe brief.ephemeral".len();
    let messages = "userHelloassistanttextHiusertool_resultt1".len();
    let besides = "getobjectstring".len();
    assert_eq!(peek.text_bytes, (system + messages + besides) as u64);
    assert_eq!(peek.memory, Memory::default());
}

#[test]
fn the_ceiling_is_required_where_tokens_are_generated() {
    check_refused(
        DIALECT,
        &[
            ("max_tokens", r#"{"model":"m"}"#),
            ("max_tokens", r#"{"model":"m","max_tokens":null}"#),
            ("max_tokens", r#"{"model":"m","max_completion_tokens":5}"#),
        ],
    );
    let body = br#"{"model":"m","messages":[{"content":"abc"}]}"#;
    let bounds = PeekBounds { needs_ceiling: false, ..PeekBounds::default() };
    let counted = peek(DIALECT, body, UrlSays::default(), &bounds).unwrap();
    assert_eq!((counted.ceiling, counted.text_bytes), (None, 3));
    // What is put into the vendor's cache generates nothing.
    assert_eq!(taken_in(DIALECT, r#"{"model":"m","max_tokens":0}"#).ceiling, Some(0));
}

#[test]
fn other_models_are_not_named_beside_the_one_that_is_asked() {
    taken_in(DIALECT, r#"{"model":"m","max_tokens":5,"fallbacks":null}"#);
    taken_in(DIALECT, r#"{"model":"m","max_tokens":5,"fallbacks":"default"}"#);
    check_refused(
        DIALECT,
        &[
            ("fallbacks", r#"{"model":"m","max_tokens":5,"fallbacks":[{"model":"dear"}]}"#),
            ("fallbacks", r#"{"model":"m","max_tokens":5,"fallbacks":{"model":"dear"}}"#),
            ("fallbacks", r#"{"model":"m","max_tokens":5,"Fallbacks":[{"model":"dear"}]}"#),
        ],
    );
}

#[test]
fn wrong_fields_are_refused_by_name() {
    check_refused(
        DIALECT,
        &[
            ("model", r#"{"max_tokens":5}"#),
            ("model", r#"{"max_tokens":5,"model":null}"#),
            ("model", r#"{"max_tokens":5,"model":""}"#),
            ("model", r#"{"max_tokens":5,"model":"a\nb"}"#),
            ("model", r#"{"max_tokens":5,"model":"m","MODEL":"n"}"#),
            ("model", r#"{"max_tokens":5,"model":"m","model":"m"}"#),
            ("stream", r#"{"max_tokens":5,"model":"m","stream":"true"}"#),
            ("stream", r#"{"max_tokens":5,"model":"m","Stream":true}"#),
            ("max_tokens", r#"{"model":"m","max_tokens":-1}"#),
            ("max_tokens", r#"{"model":"m","max_tokens":1.0}"#),
            ("max_tokens", r#"{"model":"m","max_tokens":"5"}"#),
            ("max_tokens", r#"{"model":"m","max_tokens":2147483649}"#),
            ("max_tokens", r#"{"model":"m","max_tokens":5,"maxTokens":6}"#),
            ("max_tokens", r#"{"model":"m","max_tokens":5,"max_tokens":5}"#),
            ("messages", r#"{"model":"m","max_tokens":5,"messages":"hi"}"#),
            ("messages", r#"{"model":"m","max_tokens":5,"messages":{"role":"user"}}"#),
            ("messages", r#"{"model":"m","max_tokens":5,"Messages":[]}"#),
            ("system", r#"{"model":"m","max_tokens":5,"System":"x"}"#),
        ],
    );
}

#[test]
fn what_only_other_dialects_know_is_the_upstreams_to_judge() {
    let peek = taken_in(
        DIALECT,
        r#"{"model":"m","max_tokens":5,"n":-1,"stream_options":7,"input":[],"background":true,"contents":"x"}"#,
    );
    assert_eq!((peek.choices, peek.text_bytes), (1, 0));
}
