//! What comes back at once.

use super::part::{Part, Raw};
use crate::domain::usage::Usage;

/// A whole answer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ChatAnswer {
    /// The provider's id of it; empty where it gives none.
    pub id: String,
    /// As the provider names it; never rewritten.
    pub model: String,
    /// In seconds since 1970, where the dialect says it.
    pub created: Option<i64>,
    /// In the order of their numbers; those without one are not there.
    pub choices: Vec<Choice>,
    pub usage: Option<Usage>,
    pub service_tier: Option<String>,
}

/// One of the answers to a request.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Choice {
    pub parts: Vec<Part>,
    pub finish: Option<Finish>,
    /// Which of the request's stop sequences ended it.
    pub stop_sequence: Option<String>,
    /// As OpenAI's dialect writes them; the others have none.
    pub logprobs: Option<Raw>,
}

/// Why an answer ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Finish {
    /// Its own end, or a stop sequence, in dialects that do not tell them apart.
    Stop,
    StopSequence,
    /// The most tokens that it may have.
    Length,
    ToolCalls,
    /// The provider's filter.
    Filter,
    /// The model would not.
    Refusal,
    /// The model waits to be asked to go on.
    Pause,
    /// The context window is full.
    ContextFull,
    /// It is not whole, for none of the reasons above: the model or its provider failed in the middle of it. In
    /// the provider's word.
    Broken(String),
    /// Another, in the provider's word.
    Other(String),
}
