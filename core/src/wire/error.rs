//! Our own refusals and faults, as the caller's dialect writes them.

use super::{Dialect, json::push_string};

/// What an error says, apart from how a dialect writes it. All text is escaped when written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ErrorText<'a> {
    /// Such as `invalid_request_error`.
    pub kind: &'a str,
    /// Such as `model_not_found`.
    pub code: &'a str,
    pub message: &'a str,
    /// The request's parameter at fault.
    pub param: Option<&'a str>,
    /// Which limit refused, such as `rpm`.
    pub limit: Option<&'a str>,
}

/// The body of an error answer, as `application/json`.
#[must_use]
pub fn body(dialect: Dialect, error: ErrorText<'_>) -> Vec<u8> {
    match dialect {
        Dialect::OpenAiChat => openai_body(error),
    }
}

/// The event that tells of an error after a stream has begun. Nothing may follow it: a clean
/// end (`[DONE]`) would make it look like a whole answer.
#[must_use]
pub fn event(dialect: Dialect, error: ErrorText<'_>) -> Vec<u8> {
    let mut event = b"data: ".to_vec();
    event.extend_from_slice(&body(dialect, error));
    event.extend_from_slice(b"\n\n");
    event
}

fn openai_body(error: ErrorText<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(96 + error.message.len());
    out.extend_from_slice(b"{\"error\":{\"message\":");
    push_string(&mut out, error.message);
    out.extend_from_slice(b",\"type\":");
    push_string(&mut out, error.kind);
    out.extend_from_slice(b",\"param\":");
    match error.param {
        Some(param) => push_string(&mut out, param),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"code\":");
    push_string(&mut out, error.code);
    if let Some(limit) = error.limit {
        out.extend_from_slice(b",\"limit\":");
        push_string(&mut out, limit);
    }
    out.extend_from_slice(b"}}");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const NASTY: &str = "a \"quote\"\r\n\u{2028}\u{2029}\u{0}\u{7f}\\ 你好";

    #[test]
    fn an_error_body_has_its_fields_and_reads_back() {
        let error = ErrorText {
            kind: "invalid_request_error",
            code: "x",
            message: NASTY,
            param: Some("m\"x"),
            limit: Some("rpm"),
        };
        let body = body(Dialect::OpenAiChat, error);
        let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            value,
            serde_json::json!({"error": {
                "message": NASTY, "type": "invalid_request_error", "param": "m\"x", "code": "x", "limit": "rpm"
            }})
        );
    }

    #[test]
    fn an_error_event_is_one_data_line() {
        let error =
            ErrorText { kind: "api_error", code: "upstream_error", message: NASTY, param: None, limit: None };
        let event = String::from_utf8(event(Dialect::OpenAiChat, error)).unwrap();
        let data = event.strip_prefix("data: ").unwrap().strip_suffix("\n\n").unwrap();
        assert!(!data.contains(['\n', '\r', '\u{2028}', '\u{2029}', '\0', '\u{7f}']));
        let value: serde_json::Value = serde_json::from_str(data).unwrap();
        assert_eq!(value["error"]["param"], serde_json::Value::Null);
    }
}
