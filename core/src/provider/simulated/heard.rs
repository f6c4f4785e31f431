//! A request in the neutral form, made a chat request: whatever dialect it came in, the same conversation
//! has the same answer and the same count.

use super::{
    CHOICES_MAX,
    ask::{self, Body, Problem},
};
use crate::wire::{
    Dialect,
    chat::{ChatRequest, Dropped, Part, Role, Source, ToolChoice, Turn},
    codec::{Malformed, UpstreamCodec},
    openai_chat::OpenAiChat,
};
use serde::Deserialize;
use serde_json::value::RawValue;

/// The request whose tokens are to be counted, where it is a member of its own.
pub(super) fn within(body: &[u8]) -> Option<&RawValue> {
    #[derive(Deserialize)]
    struct Counted<'a> {
        #[serde(borrow, rename = "generateContentRequest", alias = "generate_content_request")]
        inner: Option<&'a RawValue>,
    }
    serde_json::from_slice::<Counted<'_>>(body).ok()?.inner
}

/// # Errors
/// What a provider of the dialect refuses although it can be read.
pub(super) fn expect_sound(request: &ChatRequest, dialect: Dialect) -> Result<(), Malformed> {
    let (turns, max, choices) = match dialect {
        Dialect::Gemini => {
            ("contents", "generationConfig.maxOutputTokens", "generationConfig.candidateCount")
        }
        Dialect::OpenAiResponses => ("input", "max_output_tokens", "n"),
        _ => ("messages", "max_tokens", "n"),
    };
    let expect = |is_sound: bool, param: &'static str, must: &str| {
        if is_sound { Ok(()) } else { Err(Malformed::from(Problem::of(param, must))) }
    };
    expect(!request.model.is_empty(), "model", "a string")?;
    expect(!request.turns.is_empty(), turns, "an array of at least one message")?;
    expect(request.max_tokens != Some(0), max, "at least 1")?;
    let is_few = request.sampling.choices.is_none_or(|choices| (1..=CHOICES_MAX).contains(&choices));
    expect(is_few, choices, &format!("from 1 to {CHOICES_MAX}"))
}

/// # Errors
/// It cannot be said in chat.
pub(super) fn as_chat(mut request: ChatRequest) -> Result<Body, Malformed> {
    request.tool_choice = Some(decided(&mut request));
    for turn in &mut request.turns {
        turn.parts.iter_mut().for_each(make_sayable);
    }
    let model = std::mem::take(&mut request.model);
    let body = OpenAiChat.encode_request(&request, &model, &mut Dropped::default())?;
    Ok(ask::parse(&body)?)
}

/// Whether a tool is called, and which.
fn decided(request: &mut ChatRequest) -> ToolChoice {
    let may = |calls: bool| if calls { ToolChoice::Any } else { ToolChoice::None };
    match request.tool_choice.take() {
        None | Some(ToolChoice::Auto) => may(is_question(&request.turns)),
        Some(ToolChoice::Allowed { names, required }) => {
            request.tools.retain(|tool| names.contains(&tool.name));
            may(required || is_question(&request.turns))
        }
        Some(choice) => choice,
    }
}

/// Whether the user has the last word. What stands beside a tool's result is no new question: in most
/// dialects both are one message.
fn is_question(turns: &[Turn]) -> bool {
    let roles = turns.iter().rev().map(|turn| turn.role);
    let mut said = roles.filter(|role| !matches!(role, Role::System | Role::Developer));
    said.next() == Some(Role::User) && said.find(|role| *role != Role::User) != Some(Role::Tool)
}

/// Media stay as something that is counted, whosever they are and wherever they lie.
fn make_sayable(part: &mut Part) {
    match part {
        Part::Document { source: Source::Text(text), .. } => *part = Part::text(std::mem::take(text)),
        Part::Image { .. } | Part::Document { .. } | Part::Audio { .. } => {
            let source = Source::Url { url: String::new(), media_type: None };
            *part = Part::Image { source, detail: None, cache: None };
        }
        Part::ToolResult(result) => {
            result.parts.iter_mut().for_each(make_sayable);
            // Chat has the media of results in a message of the user's, who would have asked again.
            result.parts.retain(|part| matches!(part, Part::Text { .. }));
        }
        _ => {}
    }
}
