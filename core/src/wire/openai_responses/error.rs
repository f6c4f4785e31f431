//! Errors within a stream or a response: no status is with them, so their words must tell.
//!
//! <https://developers.openai.com/api/docs/guides/error-codes>

use crate::wire::{
    chat::{ChatError, ErrorKind},
    openai_chat,
};

/// What an `error` event says, or the `error` of a response that failed.
pub(super) fn within(json: &[u8]) -> ChatError {
    let error = openai_chat::error_of(None, json);
    match error.code.as_deref().and_then(kind_of) {
        Some(kind) => ChatError { kind, status: kind.status(), ..error },
        None => error,
    }
}

/// What went wrong on the way from an upstream.
pub(super) fn broken(message: String) -> ChatError {
    ChatError { kind: ErrorKind::Internal, status: 502, message, code: None, param: None }
}

fn kind_of(code: &str) -> Option<ErrorKind> {
    Some(match code {
        "rate_limit_exceeded" => ErrorKind::RateLimit,
        "insufficient_quota" => ErrorKind::Billing,
        "server_is_overloaded" | "slow_down" => ErrorKind::Overloaded,
        "server_error" => ErrorKind::Internal,
        "vector_store_timeout" => ErrorKind::Timeout,
        "invalid_api_key" => ErrorKind::Authentication,
        "model_not_found" => ErrorKind::NotFound,
        "context_length_exceeded" | "invalid_prompt" | "bio_policy" => ErrorKind::InvalidRequest,
        code if code.contains("image") || code.ends_with("_policy_violation") => ErrorKind::InvalidRequest,
        _ => return None,
    })
}

/// The code of a response that failed, in the vendor's words: clients decide by it whether to try again.
pub(super) fn code_of(error: &ChatError) -> &str {
    // Others give a status, or a word in capitals, which is none of this vendor's.
    match error.code.as_deref().filter(|code| code.contains(|each: char| each.is_ascii_lowercase())) {
        Some(code) => code,
        None => word_of(error.kind),
    }
}

fn word_of(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest | ErrorKind::TooLarge => "invalid_prompt",
        ErrorKind::RateLimit => "rate_limit_exceeded",
        ErrorKind::Billing => "insufficient_quota",
        ErrorKind::Overloaded => "server_is_overloaded",
        _ => "server_error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_the_vendors_word_whoever_failed() {
        for (kind, code, expect) in [
            (ErrorKind::InvalidRequest, Some("context_length_exceeded"), "context_length_exceeded"),
            (ErrorKind::Overloaded, Some("UNAVAILABLE"), "server_is_overloaded"),
            (ErrorKind::Internal, Some("503"), "server_error"),
            (ErrorKind::RateLimit, None, "rate_limit_exceeded"),
        ] {
            let code = code.map(str::to_owned);
            let error = ChatError { kind, code, ..broken("No.".to_owned()) };
            assert_eq!(code_of(&error), expect);
        }
    }

    #[test]
    fn an_error_within_a_stream_has_the_status_of_its_words() {
        for (code, status) in [
            ("rate_limit_exceeded", 429),
            ("context_length_exceeded", 400),
            ("server_error", 500),
            ("server_is_overloaded", 503),
            ("insufficient_quota", 402),
            ("invalid_image_url", 400),
            ("something_new", 500),
            ("503", 503),
        ] {
            for json in [
                format!(
                    r#"{{"type":"error","code":"{code}","message":"No.","param":null,"sequence_number":3}}"#
                ),
                format!(r#"{{"type":"error","error":{{"code":"{code}","message":"No."}}}}"#),
                format!(r#"{{"code":"{code}","message":"No."}}"#),
            ] {
                let error = within(json.as_bytes());
                assert_eq!(
                    (error.status, &*error.message, error.code.as_deref()),
                    (status, "No.", Some(code))
                );
            }
        }
        let by_type = within(br#"{"error":{"type":"overloaded_error","code":null,"message":"Later."}}"#);
        assert_eq!((by_type.status, by_type.kind), (503, ErrorKind::Overloaded));
    }
}
