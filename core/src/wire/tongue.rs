//! What an upstream is asked in: a dialect that callers have as well, or one that only upstreams speak.

use super::{
    Dialect,
    codec::{UpstreamCodec, codec},
    converse::Converse,
    openai_responses,
};

/// What an upstream is asked in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Tongue {
    Dialect(Dialect),
    /// Bedrock's `Converse`, the same for every vendor's models: nobody calls in it.
    Converse,
}

impl Tongue {
    /// The name where it is shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dialect(dialect) => dialect.as_str(),
            Self::Converse => "converse",
        }
    }

    /// `None`: there is none.
    #[must_use]
    pub fn codec(self) -> Option<&'static dyn UpstreamCodec> {
        match self {
            Self::Dialect(dialect) => codec(dialect).map(|codec| codec as &dyn UpstreamCodec),
            Self::Converse => Some(&Converse),
        }
    }

    /// `None`: callers do not speak it.
    #[must_use]
    pub fn dialect(self) -> Option<Dialect> {
        match self {
            Self::Dialect(dialect) => Some(dialect),
            Self::Converse => None,
        }
    }

    /// The lowest bound on an answer's tokens that it can say; a lower one is raised to it.
    #[must_use]
    pub fn least_ceiling(self) -> u64 {
        match self {
            Self::Dialect(Dialect::OpenAiResponses) => openai_responses::MAX_OUTPUT_LEAST,
            _ => 1,
        }
    }

    /// Whether its answers tell what was written to a cache.
    #[must_use]
    pub fn tells_cache_writes(self) -> bool {
        matches!(self, Self::Dialect(Dialect::AnthropicMessages) | Self::Converse)
    }
}

impl From<Dialect> for Tongue {
    fn from(dialect: Dialect) -> Self {
        Self::Dialect(dialect)
    }
}
