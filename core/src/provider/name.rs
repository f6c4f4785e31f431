//! The names of vendor kinds in YAML, those of later versions included.

use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KindName {
    Openai,
    OpenaiCompatible,
    /// Answered inside the process.
    Simulated,
    Anthropic,
    Gemini,
    Azure,
    Bedrock,
    Vertex,
}

impl KindName {
    /// The name in YAML.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::OpenaiCompatible => "openai_compatible",
            Self::Simulated => "simulated",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Azure => "azure",
            Self::Bedrock => "bedrock",
            Self::Vertex => "vertex",
        }
    }
}

/// How Bedrock's models are asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApiName {
    /// Models of every vendor, in one form.
    #[default]
    Converse,
    /// Claude, in Anthropic's dialect.
    Invoke,
}
