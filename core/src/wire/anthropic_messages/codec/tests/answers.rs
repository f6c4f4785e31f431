//! Whole answers and errors: what the dialect can hold, and what is none.

use super::*;
use crate::wire::chat::{Choice, Citation, ErrorKind, Finish, Source, Thinking, ToolCall};
use serde_json::json;

#[test]
fn an_answer_holds_what_the_dialect_can() {
    let citation = |url: Option<&str>| Citation {
        url: url.map(str::to_owned),
        title: Some("t".to_owned()),
        quote: None,
        start: Some(0),
        end: Some(1),
    };
    let parts = vec![
        Part::Text {
            text: "a".to_owned(),
            citations: vec![citation(Some("u")), citation(None)],
            signature: None,
            cache: None,
        },
        Part::Image {
            source: Source::Url { url: "u".to_owned(), media_type: None },
            detail: None,
            cache: None,
        },
        Part::text(""),
        Part::Thinking(Thinking { text: "shown".to_owned(), redacted: true, ..Thinking::default() }),
        Part::Thinking(Thinking::default()),
        Part::ToolCall(ToolCall { arguments: "{\"x\":".to_owned(), ..ToolCall::default() }),
        Part::ToolCall(ToolCall::default()),
    ];
    let choice = Choice { parts, finish: Some(Finish::Stop), ..Choice::default() };
    let answer = ChatAnswer { choices: vec![choice.clone(), choice], ..ChatAnswer::default() };
    let mut dropped = Dropped::default();
    let body = AnthropicMessages.encode_answer(&answer, &setting(), &mut dropped);
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(dropped.header(), "citations,image,n");
    let web = json!({
        "type": "web_search_result_location", "url": "u", "title": "t", "cited_text": "", "encrypted_index": "",
    });
    assert_eq!(
        body["content"],
        json!([
            {"type": "text", "text": "a", "citations": [web]},
            {"type": "thinking", "thinking": "shown", "signature": "aione.unsigned"},
            {"type": "tool_use", "id": "aione-", "name": "", "input": {"arguments": "{\"x\":"}},
            {"type": "tool_use", "id": "aione-", "name": "", "input": {}},
        ])
    );
    assert_eq!(
        (&body["id"], &body["model"], &body["stop_reason"]),
        (&json!("gen-1"), &json!("m"), &json!("tool_use"))
    );
    assert_eq!(body["usage"]["input_tokens"], 11);
}

#[test]
fn what_is_no_answer_is_told() {
    for (body, word) in [
        ("", "EOF"),
        ("<html>", "expected value"),
        ("null", "invalid type"),
        ("{}", "is missing"),
        (r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#, "Overloaded"),
        (r#"{"content":[{"type":"tool_use","name":"f","input":{}}]}"#, "is missing"),
        (r#"{"content":[7]}"#, "invalid type"),
    ] {
        let error = AnthropicMessages.decode_answer(body.as_bytes()).unwrap_err();
        assert!(error.message.contains(word), "{body}: {error}");
    }
}

#[test]
fn an_errors_kind_and_wording_are_the_upstreams() {
    for (status, body, kind, message) in [
        (
            529,
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
            ErrorKind::Overloaded,
            "Overloaded",
        ),
        (413, r#"{"error":{"type":"request_too_large","message":"big"}}"#, ErrorKind::TooLarge, "big"),
        (429, r#"{"message":"Too many tokens"}"#, ErrorKind::RateLimit, "Too many tokens"),
        (403, r#"{"error":"no"}"#, ErrorKind::Permission, "no"),
        (503, "busy\n", ErrorKind::Overloaded, "busy"),
    ] {
        let error = AnthropicMessages.decode_error(status, body.as_bytes());
        assert_eq!((error.status, error.kind, &*error.message), (status, kind, message));
    }
}

#[test]
fn an_end_is_the_nearest_that_the_dialect_has() {
    for (reason, finish, again) in [
        ("end_turn", Finish::Stop, "end_turn"),
        ("stop_sequence", Finish::StopSequence, "stop_sequence"),
        ("max_tokens", Finish::Length, "max_tokens"),
        ("tool_use", Finish::ToolCalls, "tool_use"),
        ("refusal", Finish::Refusal, "refusal"),
        ("pause_turn", Finish::Pause, "pause_turn"),
        ("model_context_window_exceeded", Finish::ContextFull, "model_context_window_exceeded"),
        ("compaction", Finish::Other("compaction".to_owned()), "compaction"),
        ("something_new", Finish::Other("something_new".to_owned()), "end_turn"),
    ] {
        let body = json!({ "content": [], "stop_reason": reason }).to_string();
        let answer = AnthropicMessages.decode_answer(body.as_bytes()).unwrap();
        assert_eq!(answer.choices[0].finish, Some(finish));
        let body = AnthropicMessages.encode_answer(&answer, &setting(), &mut Dropped::default());
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["stop_reason"], again);
    }
}
