//! OpenAI's chat dialect and its siblings (completions, embeddings): what their answers mean.

pub mod event;
pub mod text;
pub mod usage;

use super::json::{Scanner, Token};

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
