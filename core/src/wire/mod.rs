//! How it is said: the dialects, and the sans-I/O readers that meter them.

pub mod error;
pub mod json;
pub mod openai_chat;
pub mod peek;
pub mod splice;
pub mod sse;
pub mod tap;

/// A vendor's way of writing requests, answers, streams and errors.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Dialect {
    /// `/v1/chat/completions` and its siblings.
    OpenAiChat,
}

impl Dialect {
    /// The name in YAML, records and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenAiChat => "openai_chat",
        }
    }

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::OpenAiChat].into_iter().find(|dialect| dialect.as_str() == name)
    }
}
