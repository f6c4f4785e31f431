//! What is asked.

use super::part::{CacheMark, Part, Raw};
use serde_json::Number;
use std::collections::{BTreeMap, BTreeSet};

/// A whole conversation so far, and how it is to go on.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ChatRequest {
    /// As the caller named it; whoever encodes is given the upstream's name.
    pub model: String,
    pub turns: Vec<Turn>,
    pub tools: Vec<Tool>,
    pub tool_choice: Option<ToolChoice>,
    /// Whether several tools may be called at once.
    pub parallel_tools: Option<bool>,
    /// The most tokens of each answer, thinking included.
    pub max_tokens: Option<u64>,
    pub sampling: Sampling,
    pub stop: Vec<String>,
    pub format: Option<Format>,
    pub reasoning: Reasoning,
    pub stream: bool,
    /// A stream is to end with its usage, in dialects where that must be asked for.
    pub stream_usage: bool,
    /// Who the caller's own user is.
    pub user: Option<String>,
    pub metadata: BTreeMap<String, String>,
    pub service_tier: Option<String>,
    /// What prompts with the same beginning have in common.
    pub cache_key: Option<String>,
    /// Whether the provider may keep the answer.
    pub store: Option<bool>,
    /// Kinds of output besides text, such as `image` and `audio`.
    pub modalities: Vec<String>,
    /// Names of those tools that take plain text in the caller's dialect; see [`super::freeform`].
    pub freeform_tools: BTreeSet<String>,
    /// Of images that the answer is to hold.
    pub image_output: ImageOutput,
}

/// What an image of the answer's is to be like.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ImageOutput {
    /// Width to height, such as `16:9`.
    pub aspect_ratio: Option<String>,
    /// In the provider's word, such as `2K`.
    pub size: Option<String>,
}

/// Everything one side says before the other has its turn.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Turn {
    pub role: Role,
    pub parts: Vec<Part>,
    /// The speaker's name, among several of one role.
    pub name: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    System,
    /// As `System`, in dialects that tell them apart.
    Developer,
    User,
    Assistant,
    /// Holds nothing but [`Part::ToolResult`]s.
    Tool,
}

/// How the next token is drawn. Numbers keep their value, and are whole where they were.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Sampling {
    pub temperature: Option<Number>,
    pub top_p: Option<Number>,
    pub top_k: Option<u64>,
    pub presence_penalty: Option<Number>,
    pub frequency_penalty: Option<Number>,
    pub seed: Option<i64>,
    /// How many answers; `None`: one.
    pub choices: Option<u64>,
    /// Log probabilities of each token, and of so many that were nearly drawn.
    pub logprobs: Option<u64>,
    pub logit_bias: Option<Raw>,
}

/// A function that the model may call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tool {
    pub name: String,
    pub description: Option<String>,
    /// A JSON Schema of its arguments; `None`: it takes none.
    pub parameters: Option<Raw>,
    /// Whether arguments are held to the schema.
    pub strict: Option<bool>,
    pub cache: Option<CacheMark>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ToolChoice {
    Auto,
    None,
    /// Some tool must be called.
    Any,
    Named(String),
    /// One of these, or none where `required` is false.
    Allowed {
        names: Vec<String>,
        required: bool,
    },
}

/// What an answer's text must look like.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Format {
    Text,
    Json,
    Schema { name: Option<String>, description: Option<String>, schema: Raw, strict: Option<bool> },
}

/// How much is thought before the answer, and how much of that is shown.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Reasoning {
    pub effort: Option<Effort>,
    /// The most tokens of it; 0: none at all.
    pub budget: Option<u64>,
    /// The model decides how much.
    pub adaptive: bool,
    /// Whether it is shown; `None`: as the provider does by itself.
    pub shown: Option<bool>,
    /// How much of a summary, in the caller's word: `auto`, `concise`, `detailed`.
    pub summary: Option<String>,
}

/// Ascending.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Effort {
    None,
    Minimal,
    Low,
    Medium,
    High,
    ExtraHigh,
    Max,
}

impl Effort {
    pub const ALL: [Self; 7] =
        [Self::None, Self::Minimal, Self::Low, Self::Medium, Self::High, Self::ExtraHigh, Self::Max];

    /// The word that OpenAI and Anthropic have for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::ExtraHigh => "xhigh",
            Self::Max => "max",
        }
    }

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|effort| effort.as_str() == name)
    }

    /// Tokens of thinking that it stands for, where a provider wants a number.
    #[must_use]
    pub fn budget(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Minimal => 1_024,
            Self::Low => 2_048,
            Self::Medium => 8_192,
            Self::High => 24_576,
            Self::ExtraHigh => 32_768,
            Self::Max => 65_536,
        }
    }

    /// The least effort that stands for `budget` tokens, where a provider wants a word.
    #[must_use]
    pub fn of_budget(budget: u64) -> Self {
        Self::ALL.into_iter().find(|effort| budget <= effort.budget()).unwrap_or(Self::Max)
    }
}

impl Turn {
    #[must_use]
    pub fn new(role: Role, parts: Vec<Part>) -> Self {
        Self { role, parts, name: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_effort_is_a_budget_and_back() {
        for effort in Effort::ALL {
            assert_eq!(Effort::from_name(effort.as_str()), Some(effort));
            assert_eq!(Effort::of_budget(effort.budget()), effort);
        }
        assert_eq!(Effort::of_budget(5_000), Effort::Medium);
        assert_eq!(Effort::of_budget(u64::MAX), Effort::Max);
    }
}
