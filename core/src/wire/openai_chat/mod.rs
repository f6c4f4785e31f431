//! OpenAI's chat dialect and its siblings (completions, embeddings): what their answers mean to the meter,
//! and the codec of chat completions.

mod answer;
mod codec;
mod decode;
mod encode;
pub mod event;
mod reader;
pub mod text;
mod types;
pub mod usage;
mod writer;

pub(super) use codec::GivingBackThoughts;
pub use codec::OpenAiChat;
pub(super) use decode::{data_uri, recording};

use super::{
    chat::{ChatError, ErrorKind, code_of_words},
    json::{Scanner, Token},
};
use serde_json::value::RawValue;

/// Longest text of an error that is no JSON of this dialect, in characters.
const ERROR_TEXT_MAX: usize = 2_000;

/// What an error says: the body of an answer with `status`, or the `error` of a stream's event.
pub(super) fn error_of(status: Option<u16>, body: &[u8]) -> ChatError {
    #[derive(serde::Deserialize)]
    struct Around<'a> {
        #[serde(borrow)]
        error: &'a RawValue,
    }
    // Google writes an array of one where a stream was asked for.
    let around = serde_json::from_slice::<[Around<'_>; 1]>(body).map(|[only]| only);
    let around = around.or_else(|_| serde_json::from_slice::<Around<'_>>(body));
    let inner = around.map_or(body, |around| around.error.get().as_bytes());
    let error: types::Error = serde_json::from_slice(inner).unwrap_or_default();
    let told = serde_json::from_slice::<String>(inner).ok();
    let message = error.message.or(told).unwrap_or_else(|| {
        let text = String::from_utf8_lossy(inner);
        text.trim().chars().take(ERROR_TEXT_MAX).collect()
    });
    let message = if message.is_empty() { "the upstream gave no reason".to_owned() } else { message };
    let code = error.code.as_deref().and_then(|raw| {
        serde_json::from_str::<String>(raw.get()).ok().or_else(|| Some(raw.get().to_owned()))
    });
    let code = code.filter(|code| code != "null").or_else(|| code_of_words(&message));
    let by_code = || code.as_deref()?.parse().ok().filter(|status| (400..600).contains(status));
    let by_word = || {
        let kind = ErrorKind::ALL.into_iter().find(|kind| error.kind.as_deref() == Some(kind.word()));
        kind.unwrap_or(ErrorKind::Internal).status()
    };
    let status = status.or_else(by_code).unwrap_or_else(by_word);
    ChatError { kind: ErrorKind::of_status(status), status, message, param: error.param, code }
}

/// How many images an answer has; `None`: it is none of images.
pub(super) fn images(answer: &[u8]) -> Option<u64> {
    #[derive(serde::Deserialize)]
    struct Images<'a> {
        #[serde(borrow)]
        data: Vec<&'a RawValue>,
    }
    let images: Images<'_> = serde_json::from_slice(answer).ok()?;
    Some(images.data.len() as u64)
}

/// Whether the value of an `error` member tells of an error. Clients test it for truth, and some
/// upstreams write `"error": null` into every answer.
#[must_use]
pub fn is_error(value: &[u8]) -> bool {
    let mut scanner = Scanner::lenient(value);
    match scanner.next() {
        Ok(Some(Token::Null | Token::Bool(false))) => false,
        Ok(Some(Token::String(text))) => text.decoded_bytes() > 0,
        Ok(Some(Token::Number(number))) => number.iter().any(|digit| matches!(digit, b'1'..=b'9')),
        Ok(Some(Token::ObjectOpen)) => scanner.next() != Ok(Some(Token::ObjectClose)),
        Ok(Some(Token::ArrayOpen)) => scanner.next() != Ok(Some(Token::ArrayClose)),
        _ => true,
    }
}

/// Whether the value of an `error` member says that the request is at fault: by its `type`, or by
/// a `code` or `status` from 400 to 499 that speaks neither of our credential nor of the moment.
#[must_use]
pub fn blames_request(value: &[u8]) -> bool {
    let mut scanner = Scanner::lenient(value);
    if !matches!(scanner.next(), Ok(Some(Token::ObjectOpen))) {
        return false;
    }
    while let Ok(Some(Token::Key(key))) = scanner.next() {
        let mut first = None;
        let walked = scanner.walk(|token| {
            first.get_or_insert(*token);
        });
        let says_so = match (&*key.decode(), first) {
            ("type", Some(Token::String(kind))) => kind.is("invalid_request_error"),
            ("code" | "status", Some(Token::Number(digits))) => is_callers_status(digits),
            ("code" | "status", Some(Token::String(text))) => is_callers_status(text.decode().as_bytes()),
            _ => false,
        };
        if says_so || walked.is_err() {
            return says_so;
        }
    }
    false
}

fn is_callers_status(digits: &[u8]) -> bool {
    let status = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<u16>().ok());
    status.is_some_and(|status| (400..500).contains(&status) && ![401, 403, 408, 429].contains(&status))
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_error_blames_the_request_by_type_or_status() {
        for value in [
            r#"{"message":"no","type":"invalid_request_error"}"#,
            r#"{"code":400}"#,
            r#"{"message":"x","code":"422"}"#,
            r#"{"status":404,"type":"other"}"#,
        ] {
            assert!(super::blames_request(value.as_bytes()), "{value}");
        }
        for value in [
            r#"{"message":"busy","type":"server_error"}"#,
            r#"{"code":429}"#,
            r#"{"code":401,"type":"authentication_error"}"#,
            r#"{"code":500}"#,
            r#"{"code":{"code":400}}"#,
            r#""invalid_request_error""#,
            "{\"type",
            "null",
        ] {
            assert!(!super::blames_request(value.as_bytes()), "{value}");
        }
    }

    #[test]
    fn only_a_true_error_is_an_error() {
        for value in ["null", "false", "0", "0.0", "\"\"", "{}", "{ }", "[]", " null "] {
            assert!(!super::is_error(value.as_bytes()), "{value}");
        }
        for value in ["{\"message\":\"no\"}", "\"no\"", "true", "1", "0.5", "[1]", "{\"a", "garbage"] {
            assert!(super::is_error(value.as_bytes()), "{value}");
        }
    }
}
