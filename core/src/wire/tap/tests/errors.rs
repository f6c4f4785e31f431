//! Errors in the streams of every dialect: first and later, whose fault they are, and what is told of
//! them.

use super::*;

const ANTHROPIC: Dialect = Dialect::AnthropicMessages;
const RESPONSES: Dialect = Dialect::OpenAiResponses;
const GEMINI: Dialect = Dialect::Gemini;

/// An error that a stream begins with; the body of an answer that tells of it.
#[track_caller]
fn check_first(dialect: Dialect, stream: &str, blames: bool, body: &str) {
    let mut tap = StreamTap::new(dialect, false);
    let mut out = Vec::new();
    tap.feed(&Bytes::copy_from_slice(stream.as_bytes()), &mut out);
    tap.finish(&mut out);
    out.append(&mut tap.take_terminal());
    assert_eq!(out.concat(), stream.as_bytes());
    assert_eq!(
        (tap.first(), tap.has_error(), tap.blames_request()),
        (First::Error, true, blames),
        "{stream}"
    );
    assert_eq!(String::from_utf8(tap.error_body(&out.concat())).unwrap(), body);
    let whole = Outcome::in_dialect(dialect, [stream.as_bytes()]);
    for size in 1..stream.len() {
        assert_eq!(Outcome::in_dialect(dialect, stream.as_bytes().chunks(size)), whole, "{stream}");
    }
}

#[test]
fn an_error_may_come_first() {
    let event = |data: &str| format!("event: error\ndata: {data}\n\n");
    let overloaded = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    check_first(ANTHROPIC, &event(overloaded), false, overloaded);
    let ping = "event: ping\ndata: {\"type\": \"ping\"}\n\n";
    check_first(ANTHROPIC, &format!("{ping}: c\n\n{ping}{}", event(overloaded)), false, overloaded);
    for kind in ["invalid_request_error", "request_too_large", "not_found_error"] {
        let error = overloaded.replace("overloaded_error", kind);
        check_first(ANTHROPIC, &event(&error), true, &error);
    }
    for kind in ["authentication_error", "billing_error", "rate_limit_error", "api_error", "timeout_error"] {
        let error = overloaded.replace("overloaded_error", kind);
        check_first(ANTHROPIC, &event(&error), false, &error);
    }
    // As those write it who imitate the dialect.
    for other in [r#"{"message":"busy"}"#, "busy", r#"{"error":{"message":"busy"}}"#] {
        check_first(ANTHROPIC, &event(other), false, other);
    }
    check_first(ANTHROPIC, "data: {\"error\":\"busy\"}\n\n", false, "{\"error\":\"busy\"}");

    let nested = r#"{"type":"error","error":{"type":"tokens","code":"rate_limit_exceeded","message":"M"}}"#;
    check_first(RESPONSES, &event(nested), false, nested);
    let flat = r#"{"type":"error","code":"context_length_exceeded","message":"M","param":null}"#;
    check_first(RESPONSES, &event(flat), true, &format!("{{\"error\":{flat}}}"));
    let error = r#"{"code":"server_error","message":"M"}"#;
    let failed = format!(r#"data: {{"type":"response.failed","response":{{"id":"r","error":{error}}}}}"#);
    check_first(RESPONSES, &format!("{failed}\n\n"), false, &format!("{{\"error\":{error}}}"));
    check_first(RESPONSES, &failed, false, &format!("{{\"error\":{error}}}"));
    let failed = failed.replace("server_error", "invalid_image_url");
    let body = format!("{{\"error\":{}}}", error.replace("server_error", "invalid_image_url"));
    check_first(RESPONSES, &failed, true, &body);

    let gemini = |code: u16, status: &str| {
        format!(r#"{{"error": {{"code": {code}, "message": "M", "status": "{status}"}}}}"#)
    };
    let unavailable = gemini(503, "UNAVAILABLE");
    check_first(GEMINI, &format!("data: {unavailable}\r\n\r\n"), false, &unavailable);
    check_first(GEMINI, &format!("[{unavailable}\n]"), false, &format!("[{unavailable}]"));
    let invalid = gemini(400, "INVALID_ARGUMENT");
    check_first(GEMINI, &format!("data: {invalid}\n\n"), true, &invalid);
    let billing = gemini(400, "FAILED_PRECONDITION");
    check_first(GEMINI, &format!("[{billing}]"), false, &format!("[{billing}]"));
    check_first(GEMINI, &unavailable, false, &format!("[{unavailable}]"));
}

#[test]
fn an_error_may_come_later() {
    let check = |dialect, stream: &str| {
        let outcome = Outcome::in_dialect(dialect, stream.as_bytes().chunks(5));
        assert_eq!((outcome.first, outcome.reading.error), (First::Answer, true), "{stream}");
        assert_eq!([outcome.client, outcome.terminal].concat(), stream.as_bytes());
        assert!(outcome.reading.usage.is_some(), "what came before it was used");
    };
    let start = r#"data: {"type":"message_start","message":{"usage":{"input_tokens":3,"output_tokens":1}}}"#;
    let error = r#"data: {"type":"error","error":{"type":"overloaded_error","message":"M"}}"#;
    let text = r#"data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#;
    check(ANTHROPIC, &format!("{start}\n\n{text}\n\n{error}\n\n"));
    let created = r#"data: {"type":"response.created","response":{"error":null,"usage":null}}"#;
    let failed = r#"data: {"type":"response.failed","response":{"error":{"code":"server_error","message":"M"},"usage":{"input_tokens":3,"output_tokens":1}}}"#;
    let item = r#"data: {"type":"response.output_item.added","output_index":0,"item":{"type":"reasoning"}}"#;
    check(RESPONSES, &format!("{created}\n\n{item}\n\n{failed}\n\n"));
    let told =
        r#"{"candidates":[{"content":{"parts":[{"text":"x"}]}}],"usageMetadata":{"promptTokenCount":3}}"#;
    check(GEMINI, &format!("data: {told}\n\ndata: {{\"error\":{{\"code\":500}}}}\n\n"));
    check(GEMINI, &format!("[{told},{{\"error\":{{\"code\":500}}}}]"));
}

#[test]
fn what_only_says_that_an_answer_is_to_come_is_none_yet() {
    let start = r#"data: {"type":"message_start","message":{"usage":{"input_tokens":3,"output_tokens":1}}}"#;
    let overloaded = r#"{"type":"error","error":{"type":"overloaded_error","message":"M"}}"#;
    check_first(ANTHROPIC, &format!("{start}\n\ndata: {overloaded}\n\n"), false, overloaded);
    let begun = |kind: &str| {
        format!(
            "event: {kind}\ndata: {{\"type\":\"{kind}\",\"response\":{{\"id\":\"r\",\"error\":null}}}}\n\n"
        )
    };
    let begun = ["response.created", "response.queued", "response.in_progress"].map(begun).concat();
    let error = r#"{"code":"server_is_overloaded","message":"M"}"#;
    let failed = format!(r#"data: {{"type":"response.failed","response":{{"id":"r","error":{error}}}}}"#);
    check_first(RESPONSES, &format!("{begun}{failed}\n\n"), false, &format!("{{\"error\":{error}}}"));
    // One that is longer than what is waited for is believed to be an answer.
    let long = begun.replace("\"id\":\"r\"", &format!("\"instructions\":\"{}\"", "x".repeat(HOLD_MAX)));
    let outcome = Outcome::in_dialect(RESPONSES, format!("{long}{failed}\n\n").as_bytes().chunks(4096));
    assert_eq!((outcome.first, outcome.reading.error), (First::Answer, true));
    let mut tap = StreamTap::new(RESPONSES, false);
    tap.feed(&Bytes::from(begun), &mut Vec::new());
    assert_eq!(tap.first(), First::Unknown);
    let item = "data: {\"type\":\"response.output_item.added\",\"output_index\":0,\"item\":{\"type\":\"reasoning\"}}\n\n";
    tap.feed(&Bytes::from_static(item.as_bytes()), &mut Vec::new());
    assert_eq!(tap.first(), First::Answer);
}

#[test]
fn what_only_looks_like_an_error_is_none() {
    for (dialect, data) in [
        (ANTHROPIC, r#"{"type":"content_block_delta","delta":{"type":"text_delta","text":"\"error\":1"}}"#),
        (ANTHROPIC, r#"{"type":"something_new","error":{"message":"x"}}"#),
        (ANTHROPIC, r#"{"error":null}"#),
        (RESPONSES, r#"{"type":"response.in_progress","response":{"error":{"code":"x"}}}"#),
        (RESPONSES, r#"{"type":"response.completed","response":{"error":null}}"#),
        (RESPONSES, r#"{"error":{}}"#),
        (GEMINI, r#"{"error":null,"candidates":[]}"#),
        (GEMINI, r#"{"candidates":[{"error":{"code":500}}]}"#),
        (GEMINI, r#"{"error":{"code":500}"#),
    ] {
        let stream = format!("data: {data}\n\n");
        let outcome = Outcome::in_dialect(dialect, [stream.as_bytes()]);
        assert_eq!((outcome.first, outcome.reading.error), (First::Answer, false), "{data}");
    }
}
