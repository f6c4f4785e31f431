//! What a provider says when it will not answer.

/// An error of an upstream's, apart from how its dialect writes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChatError {
    pub kind: ErrorKind,
    /// The HTTP status that the provider gave, or that its kind has where it came in a stream.
    pub status: u16,
    /// The provider's wording; coding agents match on it.
    pub message: String,
    /// The provider's own code, where its dialect has one.
    pub code: Option<String>,
    /// The request's field at fault.
    pub param: Option<String>,
}

/// What sort of error: each dialect has a word for each.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ErrorKind {
    InvalidRequest,
    Authentication,
    Billing,
    Permission,
    NotFound,
    TooLarge,
    RateLimit,
    Timeout,
    Overloaded,
    Internal,
}

impl ErrorKind {
    pub const ALL: [Self; 10] = [
        Self::InvalidRequest,
        Self::Authentication,
        Self::Billing,
        Self::Permission,
        Self::NotFound,
        Self::TooLarge,
        Self::RateLimit,
        Self::Timeout,
        Self::Overloaded,
        Self::Internal,
    ];

    #[must_use]
    pub fn of_status(status: u16) -> Self {
        match status {
            401 => Self::Authentication,
            402 => Self::Billing,
            403 => Self::Permission,
            404 => Self::NotFound,
            408 | 504 => Self::Timeout,
            413 => Self::TooLarge,
            429 => Self::RateLimit,
            503 | 529 => Self::Overloaded,
            500.. => Self::Internal,
            _ => Self::InvalidRequest,
        }
    }

    /// Whether it says that the request is at fault: another deployment would say the same.
    #[must_use]
    pub fn blames_request(self) -> bool {
        matches!(self, Self::InvalidRequest | Self::NotFound | Self::TooLarge)
    }

    /// The word that OpenAI and Anthropic have for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::InvalidRequest | Self::TooLarge => "invalid_request_error",
            Self::Authentication => "authentication_error",
            Self::Billing => "billing_error",
            Self::Permission => "permission_error",
            Self::NotFound => "not_found_error",
            Self::RateLimit => "rate_limit_error",
            Self::Timeout => "timeout_error",
            Self::Overloaded => "overloaded_error",
            Self::Internal => "api_error",
        }
    }

    /// The status of an error that came without one, as within a stream.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::InvalidRequest => 400,
            Self::Authentication => 401,
            Self::Billing => 402,
            Self::Permission => 403,
            Self::NotFound => 404,
            Self::TooLarge => 413,
            Self::RateLimit => 429,
            Self::Internal => 500,
            Self::Overloaded => 503,
            Self::Timeout => 504,
        }
    }
}

/// OpenAI's code for a prompt that is too long for the model: Codex makes it shorter, and nothing else makes
/// it.
const CONTEXT_EXCEEDED: &str = "context_length_exceeded";

/// The code of what `message` says, where its vendor has no code for it.
pub(in crate::wire) fn code_of_words(message: &str) -> Option<String> {
    // Anthropic's words, and Google's.
    const WORDS: [&str; 3] =
        ["prompt is too long", "exceed context limit", "exceeds the maximum number of tokens allowed"];
    WORDS.iter().any(|words| message.contains(words)).then(|| CONTEXT_EXCEEDED.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::codec::CODECS;

    #[test]
    fn a_prompt_that_is_too_long_has_its_code_whoever_says_so() {
        let [chat, responses, anthropic, gemini] = CODECS;
        for (codec, body) in [
            (
                anthropic,
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 208310 tokens > 200000 maximum"}}"#,
            ),
            (
                anthropic,
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"input length and `max_tokens` exceed context limit: 190000 + 32000 > 200000"}}"#,
            ),
            (
                gemini,
                r#"{"error":{"code":400,"status":"INVALID_ARGUMENT","message":"The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."}}"#,
            ),
            (chat, r#"{"error":{"code":"context_length_exceeded","message":"Too long."}}"#),
        ] {
            let error = codec.decode_error(400, body.as_bytes());
            let told: serde_json::Value =
                serde_json::from_slice(&responses.encode_error(&error, "g")).unwrap();
            assert_eq!(told["error"]["code"], CONTEXT_EXCEEDED, "{body}");
        }
        let other = anthropic.decode_error(400, br#"{"error":{"message":"no"}}"#);
        assert_eq!(other.code, None);
    }

    #[test]
    fn a_kinds_status_is_of_that_kind() {
        for kind in ErrorKind::ALL {
            assert_eq!(ErrorKind::of_status(kind.status()), kind);
        }
        assert_eq!(ErrorKind::of_status(529), ErrorKind::Overloaded);
        assert_eq!(ErrorKind::of_status(422), ErrorKind::InvalidRequest);
        assert_eq!(ErrorKind::of_status(502), ErrorKind::Internal);
    }
}
