//! Errors as the caller's dialect writes them: our own refusals and faults, and an upstream's that
//! another dialect is to read.

use super::{
    Dialect,
    chat::{ChatError, ErrorKind},
    json::push_string,
};

/// What an error says, apart from how a dialect writes it. All text is escaped when written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ErrorText<'a> {
    /// The HTTP status of the answer, or the one it would have had before the stream began.
    pub status: u16,
    /// Such as `invalid_request_error`.
    pub kind: &'a str,
    /// Such as `model_not_found`.
    pub code: Option<&'a str>,
    pub message: &'a str,
    /// The request's parameter at fault.
    pub param: Option<&'a str>,
    /// Which limit refused, such as `rpm`.
    pub limit: Option<&'a str>,
    /// The exchange's id, in dialects that repeat it in the body.
    pub request_id: &'a str,
}

impl<'a> ErrorText<'a> {
    /// An upstream's error.
    #[must_use]
    pub fn of(error: &'a ChatError, request_id: &'a str) -> Self {
        Self {
            status: error.status,
            kind: error.kind.word(),
            code: error.code.as_deref(),
            message: &error.message,
            param: error.param.as_deref(),
            limit: None,
            request_id,
        }
    }
}

/// The body of an error answer, as `application/json`.
#[must_use]
pub fn body(dialect: Dialect, error: ErrorText<'_>) -> Vec<u8> {
    match dialect {
        Dialect::OpenAiChat | Dialect::OpenAiResponses => openai_body(error),
        Dialect::AnthropicMessages => anthropic_body(error),
        Dialect::Gemini => gemini_body(error),
    }
}

/// What tells of an error after a stream has begun: one event, in Responses two, of which SDKs act on the
/// first and Codex on the second alone. Nothing may follow it: a clean end (`[DONE]`) would make it look
/// like a whole answer.
///
/// `sequence` is the number of the first event in dialects that count them.
#[must_use]
pub fn event(dialect: Dialect, error: ErrorText<'_>, sequence: u64) -> Vec<u8> {
    match dialect {
        Dialect::OpenAiChat | Dialect::Gemini => framed(None, &body(dialect, error)),
        Dialect::AnthropicMessages => framed(Some("error"), &anthropic_body(error)),
        Dialect::OpenAiResponses => {
            let failed = responses_failed(error, sequence.saturating_add(1));
            [responses_error(error, sequence), framed(Some("response.failed"), &failed)].concat()
        }
    }
}

fn framed(name: Option<&str>, data: &[u8]) -> Vec<u8> {
    let name = name.map_or_else(String::new, |name| format!("event: {name}\n"));
    [name.as_bytes(), b"data: ", data, b"\n\n"].concat()
}

fn openai_body(error: ErrorText<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(96 + error.message.len());
    out.extend_from_slice(b"{\"error\":{\"message\":");
    push_string(&mut out, error.message);
    out.extend_from_slice(b",\"type\":");
    push_string(&mut out, error.kind);
    out.extend_from_slice(b",\"param\":");
    push_or_null(&mut out, error.param);
    out.extend_from_slice(b",\"code\":");
    push_or_null(&mut out, error.code);
    if let Some(limit) = error.limit {
        out.extend_from_slice(b",\"limit\":");
        push_string(&mut out, limit);
    }
    out.extend_from_slice(b"}}");
    out
}

/// The `error` event of Responses. The vendor's reference has its members flat, its servers send them in an
/// `error`, which is what SDKs raise: <https://github.com/openai/openai-dotnet/issues/881>. Here they are both.
pub(super) fn responses_error(error: ErrorText<'_>, sequence: u64) -> Vec<u8> {
    let mut out = b"{\"type\":\"error\",".to_vec();
    push_responses_members(&mut out, error);
    out.extend_from_slice(format!(",\"sequence_number\":{sequence},\"error\":{{\"type\":").as_bytes());
    push_string(&mut out, error.kind);
    out.push(b',');
    push_responses_members(&mut out, error);
    out.extend_from_slice(b"}}");
    framed(Some("error"), &out)
}

fn push_responses_members(out: &mut Vec<u8>, error: ErrorText<'_>) {
    out.extend_from_slice(b"\"code\":");
    push_string(out, error.code.unwrap_or(error.kind));
    out.extend_from_slice(b",\"message\":");
    push_string(out, error.message);
    out.extend_from_slice(b",\"param\":");
    push_or_null(out, error.param);
}

/// The end of a response of which nothing else is known.
fn responses_failed(error: ErrorText<'_>, sequence: u64) -> Vec<u8> {
    let mut out = b"{\"type\":\"response.failed\",\"response\":{\"id\":".to_vec();
    let id = error.request_id.strip_prefix("resp_").unwrap_or(error.request_id);
    push_string(&mut out, &format!("resp_{id}"));
    out.extend_from_slice(b",\"object\":\"response\",\"status\":\"failed\",\"error\":{\"code\":");
    push_string(&mut out, error.code.unwrap_or(error.kind));
    out.extend_from_slice(b",\"message\":");
    push_string(&mut out, error.message);
    let rest = "},\"incomplete_details\":null,\"output\":[],\"usage\":null},\"sequence_number\":";
    out.extend_from_slice(format!("{rest}{sequence}}}").as_bytes());
    out
}

fn anthropic_body(error: ErrorText<'_>) -> Vec<u8> {
    let mut out = b"{\"type\":\"error\",\"error\":{\"type\":".to_vec();
    // Where the others have a code for it, this dialect has a kind.
    push_string(&mut out, if error.status == 413 { "request_too_large" } else { error.kind });
    out.extend_from_slice(b",\"message\":");
    push_string(&mut out, error.message);
    out.extend_from_slice(b"},\"request_id\":");
    push_string(&mut out, error.request_id);
    out.push(b'}');
    out
}

fn gemini_body(error: ErrorText<'_>) -> Vec<u8> {
    let mut out = format!("{{\"error\":{{\"code\":{},\"message\":", error.status).into_bytes();
    push_string(&mut out, error.message);
    out.extend_from_slice(b",\"status\":");
    push_string(&mut out, gemini_status(error.status));
    out.extend_from_slice(b"}}");
    out
}

/// Google's name for an HTTP status: <https://cloud.google.com/apis/design/errors>.
fn gemini_status(status: u16) -> &'static str {
    match ErrorKind::of_status(status) {
        ErrorKind::InvalidRequest | ErrorKind::TooLarge => "INVALID_ARGUMENT",
        ErrorKind::Authentication => "UNAUTHENTICATED",
        ErrorKind::Billing => "FAILED_PRECONDITION",
        ErrorKind::Permission => "PERMISSION_DENIED",
        ErrorKind::NotFound => "NOT_FOUND",
        ErrorKind::RateLimit => "RESOURCE_EXHAUSTED",
        ErrorKind::Timeout => "DEADLINE_EXCEEDED",
        ErrorKind::Overloaded => "UNAVAILABLE",
        ErrorKind::Internal => "INTERNAL",
    }
}

fn push_or_null(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        Some(text) => push_string(out, text),
        None => out.extend_from_slice(b"null"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const NASTY: &str = "a \"quote\"\r\n\u{2028}\u{2029}\u{0}\u{7f}\\ 你好";

    fn nasty() -> ErrorText<'static> {
        ErrorText {
            status: 429,
            kind: "rate_limit_error",
            code: Some("x"),
            message: NASTY,
            param: Some("m\"x"),
            limit: Some("rpm"),
            request_id: "id",
        }
    }

    fn expected(dialect: Dialect) -> Value {
        match dialect {
            Dialect::OpenAiChat | Dialect::OpenAiResponses => json!({"error": {
                "message": NASTY, "type": "rate_limit_error", "param": "m\"x", "code": "x", "limit": "rpm"
            }}),
            Dialect::AnthropicMessages => json!({
                "type": "error",
                "error": {"type": "rate_limit_error", "message": NASTY},
                "request_id": "id",
            }),
            Dialect::Gemini => {
                json!({"error": {"code": 429, "message": NASTY, "status": "RESOURCE_EXHAUSTED"}})
            }
        }
    }

    #[test]
    fn an_error_body_has_its_fields_and_reads_back() {
        for dialect in Dialect::ALL {
            let value: Value = serde_json::from_slice(&body(dialect, nasty())).unwrap();
            assert_eq!(value, expected(dialect));
        }
    }

    #[test]
    fn an_error_event_is_one_data_line_with_its_name_and_in_responses_the_response_fails_too() {
        for dialect in Dialect::ALL {
            let event = String::from_utf8(event(dialect, nasty(), 7)).unwrap();
            let event = event.strip_suffix("\n\n").unwrap();
            let (event, failed) = event.split_once("\n\n").unwrap_or((event, ""));
            let is_named = matches!(dialect, Dialect::OpenAiResponses | Dialect::AnthropicMessages);
            let data = if is_named { event.strip_prefix("event: error\n").unwrap() } else { event };
            let data = data.strip_prefix("data: ").unwrap();
            assert!(!data.contains(['\n', '\r', '\u{2028}', '\u{2029}', '\0', '\u{7f}']));
            let value: Value = serde_json::from_str(data).unwrap();
            if dialect == Dialect::OpenAiResponses {
                let error =
                    json!({"type": "rate_limit_error", "code": "x", "message": NASTY, "param": "m\"x"});
                let expected = json!({
                    "type": "error", "code": "x", "message": NASTY, "param": "m\"x", "sequence_number": 7,
                    "error": error,
                });
                assert_eq!(value, expected);
                let data = failed.strip_prefix("event: response.failed\ndata: ").unwrap();
                let value: Value = serde_json::from_str(data).unwrap();
                assert_eq!(
                    (&value["type"], &value["sequence_number"]),
                    (&json!("response.failed"), &json!(8))
                );
                assert_eq!(value["response"]["status"], "failed");
                assert_eq!(value["response"]["error"], json!({"code": "x", "message": NASTY}));
                assert_eq!(value["response"]["id"], "resp_id");
            } else {
                assert_eq!(failed, "");
                assert_eq!(value, expected(dialect));
            }
        }
    }

    #[test]
    fn a_request_that_is_too_large_has_a_kind_of_its_own_with_anthropic() {
        let body = body(
            Dialect::AnthropicMessages,
            ErrorText { status: 413, kind: "invalid_request_error", ..nasty() },
        );
        let value: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(value["error"]["type"], "request_too_large");
    }
}
