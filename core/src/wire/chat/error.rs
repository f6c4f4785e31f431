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

#[cfg(test)]
mod tests {
    use super::*;

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
