//! Errors of upstreams: <https://ai.google.dev/gemini-api/docs/troubleshooting>, in the shape that all of
//! the vendor's services have: <https://cloud.google.com/apis/design/errors>.

use crate::wire::chat::{ChatError, ErrorKind, code_of_words};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

/// Longest text of an error that is no JSON of this dialect, in characters.
const TEXT_CHARS_MAX: usize = 2_000;

#[derive(Deserialize)]
struct Around<'a> {
    #[serde(borrow)]
    error: &'a RawValue,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Status {
    /// The HTTP status.
    code: Option<Value>,
    message: Option<String>,
    status: Option<String>,
    details: Value,
}

/// What an upstream answered with `status`.
pub(super) fn decode(status: u16, body: &[u8]) -> ChatError {
    // Where a stream was asked for that is no event stream, it is an array of one.
    let around = serde_json::from_slice::<[Around<'_>; 1]>(body).map(|[only]| only);
    let inner = around.or_else(|_| serde_json::from_slice(body));
    read(Some(status), inner.map_or(body, |around: Around<'_>| around.error.get().as_bytes()))
}

/// The value of an `error` member. Without a status, as in a stream, it says its own.
pub(super) fn read(status: Option<u16>, error: &[u8]) -> ChatError {
    let wire = serde_json::from_slice::<Status>(error).unwrap_or_default();
    let code = wire.code.as_ref().and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
    let status = status.or(code.filter(|code| (400..600).contains(code))).unwrap_or(500);
    let details = wire.details.as_array().map_or(&[][..], Vec::as_slice);
    let kind = match wire.status.as_deref() {
        // The account has no billing where there is nothing for free.
        Some("FAILED_PRECONDITION") => ErrorKind::Billing,
        _ if details.iter().any(|detail| detail["reason"] == "API_KEY_INVALID") => ErrorKind::Authentication,
        _ => ErrorKind::of_status(status),
    };
    let param = details.iter().find_map(|detail| detail["fieldViolations"][0]["field"].as_str());
    let message = wire.message.unwrap_or_else(|| told(status, error));
    let code = code_of_words(&message).or(wire.status);
    ChatError { kind, status, message, code, param: param.map(str::to_owned) }
}

/// The message of what is no error of this dialect.
fn told(status: u16, error: &[u8]) -> String {
    let text = serde_json::from_slice(error).unwrap_or_else(|_| String::from_utf8_lossy(error).into_owned());
    match text.trim() {
        "" | "{}" => format!("the upstream answered with status {status}"),
        text => text.chars().take(TEXT_CHARS_MAX).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_its_kind_its_code_and_the_field() {
        let body = br#"[{"error":{"code":400,"message":"Invalid value","status":"INVALID_ARGUMENT","details":[
            {"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{"field":"contents[0].parts"}]}]}}]"#;
        let error = decode(400, body);
        assert_eq!((error.kind, error.status), (ErrorKind::InvalidRequest, 400));
        assert_eq!(error.code.as_deref(), Some("INVALID_ARGUMENT"));
        assert_eq!((&*error.message, error.param.as_deref()), ("Invalid value", Some("contents[0].parts")));
        let key = br#"{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT",
            "details":[{"reason":"API_KEY_INVALID"}]}}"#;
        assert_eq!(decode(400, key).kind, ErrorKind::Authentication);
        let account = br#"{"error":{"code":400,"message":"Enable billing.","status":"FAILED_PRECONDITION"}}"#;
        assert_eq!(decode(400, account).kind, ErrorKind::Billing);
    }

    #[test]
    fn what_is_no_error_body_is_one_nevertheless() {
        for (body, message) in [
            ("", "the upstream answered with status 502"),
            ("<html>bad gateway</html>\n", "<html>bad gateway</html>"),
            ("{\"error\":\"busy\"}", "busy"),
            ("{\"message\":\"no route\"}", "no route"),
            ("{\"error\":{}}", "the upstream answered with status 502"),
            ("{\"error\":{\"message\":7}}", "{\"message\":7}"),
            ("[]", "[]"),
        ] {
            let error = decode(502, body.as_bytes());
            assert_eq!((error.kind, error.status, &*error.message), (ErrorKind::Internal, 502, message));
        }
        assert!(decode(500, &[0xff; 5000]).message.chars().count() <= TEXT_CHARS_MAX);
    }

    #[test]
    fn in_a_stream_the_error_says_its_own_status() {
        let read = |json: &str| {
            let error = read(None, json.as_bytes());
            (error.kind, error.status)
        };
        assert_eq!(read(r#"{"code":503,"status":"UNAVAILABLE"}"#), (ErrorKind::Overloaded, 503));
        assert_eq!(read(r#"{"code":429,"status":"RESOURCE_EXHAUSTED"}"#), (ErrorKind::RateLimit, 429));
        assert_eq!(read(r#"{"code":200}"#), (ErrorKind::Internal, 500));
        assert_eq!(read("\"x\""), (ErrorKind::Internal, 500));
    }
}
