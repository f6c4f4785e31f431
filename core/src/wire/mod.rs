//! How it is said: the dialects, the neutral form in which they meet, and the sans-I/O readers that
//! meter them.

pub mod anthropic_messages;
pub mod chat;
pub mod codec;
pub mod converse;
pub mod error;
pub mod event_stream;
pub mod form;
pub mod gemini;
pub mod json;
pub mod members;
pub mod openai_chat;
pub mod openai_responses;
pub mod peek;
pub mod sealed;
pub mod splice;
pub mod sse;
pub mod tap;
#[cfg(test)]
mod tests;
mod tongue;
pub mod translate;

pub use tongue::Tongue;

use schemars::JsonSchema;
use serde::Deserialize;

/// A vendor's way of writing requests, answers, streams and errors.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Deserialize, JsonSchema)]
pub enum Dialect {
    /// `/v1/chat/completions` and its siblings.
    #[serde(rename = "openai_chat")]
    OpenAiChat,
    /// `/v1/responses`.
    #[serde(rename = "openai_responses")]
    OpenAiResponses,
    /// `/v1/messages`.
    #[serde(rename = "anthropic_messages")]
    AnthropicMessages,
    /// `…/models/{model}:generateContent` and its siblings.
    #[serde(rename = "gemini")]
    Gemini,
}

impl Dialect {
    pub const ALL: [Self; 4] =
        [Self::OpenAiChat, Self::OpenAiResponses, Self::AnthropicMessages, Self::Gemini];

    /// The name in YAML, records and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenAiChat => "openai_chat",
            Self::OpenAiResponses => "openai_responses",
            Self::AnthropicMessages => "anthropic_messages",
            Self::Gemini => "gemini",
        }
    }
}
