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

#[cfg(test)]
mod tests {
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
