//! Whole answers: what an upstream says at once, and what a caller is told.

use super::{
    DIALECT, parts, turns,
    types::{self, Answer, Block, Citation, Citations},
    usage,
};
use crate::wire::{
    chat::{self, ChatAnswer, Choice, Dropped, Finish, Part, Signature, Thinking, UNSIGNED},
    codec::{Malformed, Setting},
    openai_chat,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

pub(super) fn decode(body: &[u8]) -> Result<ChatAnswer, Malformed> {
    let wire: Answer = serde_json::from_slice(body).map_err(|error| Malformed::new(error.to_string()))?;
    if let Some(error) = &wire.error {
        return Err(Malformed::new(openai_chat::error_of(None, error.get().as_bytes()).message));
    }
    let Some(content) = wire.content else { return Err(Malformed::at("content", "is missing")) };
    let mut parts = Vec::with_capacity(content.len());
    for (at, block) in content.into_iter().enumerate() {
        parts.extend(parts::of_assistant(block, &format!("content[{at}]"), own)?);
    }
    Ok(ChatAnswer {
        id: wire.id.unwrap_or_default(),
        model: wire.model.unwrap_or_default(),
        created: None,
        choices: vec![Choice {
            parts,
            finish: wire.stop_reason.map(finish),
            stop_sequence: wire.stop_sequence,
            logprobs: None,
        }],
        usage: wire.usage.as_ref().and_then(|usage| usage::decode(usage.get().as_bytes())),
        service_tier: wire.usage.as_deref().and_then(service_tier),
    })
}

/// An upstream's signature is its own.
pub(super) fn own(data: &str) -> Signature {
    Signature { dialect: DIALECT, data: data.to_owned() }
}

/// It stands within the usage.
pub(super) fn service_tier(usage: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    struct Tier {
        service_tier: Option<String>,
    }
    let tier = serde_json::from_str::<Tier>(usage.get()).ok()?.service_tier?;
    Some(if tier == "standard" { "default".to_owned() } else { tier })
}

/// What a stop reason means.
pub(super) fn finish(reason: String) -> Finish {
    match &*reason {
        "end_turn" => Finish::Stop,
        "stop_sequence" => Finish::StopSequence,
        "max_tokens" => Finish::Length,
        "tool_use" => Finish::ToolCalls,
        "refusal" => Finish::Refusal,
        "pause_turn" => Finish::Pause,
        "model_context_window_exceeded" => Finish::ContextFull,
        _ => Finish::Other(reason),
    }
}

/// What an answer holds besides its end, which the end must fit.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Holds {
    pub(super) refusal: bool,
    pub(super) tool_call: bool,
}

/// The stop reason of an end. Callers run tools only where that says so, and a refusal in words is one.
pub(super) fn stop_reason(finish: Option<&Finish>, holds: Holds) -> &'static str {
    match finish.unwrap_or(&Finish::Stop) {
        Finish::Stop if holds.tool_call => "tool_use",
        Finish::Stop if holds.refusal => "refusal",
        Finish::StopSequence => "stop_sequence",
        // The dialect has no word for what is broken: to callers it is cut.
        Finish::Length | Finish::Broken(_) => "max_tokens",
        Finish::ToolCalls => "tool_use",
        Finish::Filter | Finish::Refusal => "refusal",
        Finish::Pause => "pause_turn",
        Finish::ContextFull => "model_context_window_exceeded",
        Finish::Other(word) if word == "compaction" => "compaction",
        Finish::Stop | Finish::Other(_) => "end_turn",
    }
}

/// The answer as a caller reads it: its first choice.
pub(super) fn encode(answer: &ChatAnswer, setting: &Setting, dropped: &mut Dropped) -> Vec<u8> {
    dropped.note_if(answer.choices.len() > 1, "n");
    let choice = answer.choices.first();
    dropped.note_if(choice.is_some_and(|choice| choice.logprobs.is_some()), "logprobs");
    let (mut content, mut holds) = (Vec::new(), Holds::default());
    for part in choice.into_iter().flat_map(|choice| &choice.parts) {
        holds.refusal |= matches!(part, Part::Refusal { .. });
        holds.tool_call |= matches!(part, Part::ToolCall(_));
        push(part, &mut content, dropped);
    }
    let tier = answer.service_tier.as_deref();
    let written = types::Written {
        id: told(&answer.id, &setting.id),
        kind: "message",
        role: "assistant",
        model: told(&answer.model, &setting.model),
        content,
        stop_reason: Some(stop_reason(choice.and_then(|choice| choice.finish.as_ref()), holds)),
        stop_sequence: choice.and_then(|choice| choice.stop_sequence.as_deref()),
        usage: usage::Written::of(answer.usage.as_ref(), setting.estimated_input, tier),
    };
    serde_json::to_vec(&written).expect("these types have text keys and no failing serializer")
}

/// What the upstream said, or what stands in for it.
pub(super) fn told<'a>(said: &'a str, otherwise: &'a str) -> &'a str {
    if said.is_empty() { otherwise } else { said }
}

/// The blocks of one part.
fn push(part: &Part, content: &mut Vec<Block>, dropped: &mut Dropped) {
    match part {
        Part::Text { text, citations, signature, .. } => {
            if !text.is_empty() {
                content.push(Block { citations: cited(citations, dropped), ..Block::text(text) });
            }
            content.extend(signature.as_ref().map(turns::behind_text));
        }
        Part::Refusal { text } if text.is_empty() => {}
        Part::Refusal { text } => content.push(Block::text(text)),
        Part::Thinking(thinking) => content.extend(thought(thinking)),
        Part::ToolCall(call) => {
            content.extend(call.signature.as_ref().map(turns::before_call));
            content.push(turns::tool_use(call));
        }
        media => dropped.note(turns::medium(media)),
    }
}

/// A thought for a caller to see, and to give back. `None`: it is nothing.
fn thought(thinking: &Thinking) -> Option<Block> {
    let Some(signature) = &thinking.signature else {
        // Whatever has no signature can only be shown.
        let shown = Thinking { redacted: false, ..thinking.clone() };
        return (!shown.text.is_empty()).then(|| turns::thought(&shown, UNSIGNED.to_owned()));
    };
    let sealed = signature.sealed(DIALECT);
    // A block of empty thinking under a foreign signature would be taken for what carries one.
    let is_hidden = thinking.redacted || thinking.text.is_empty() && signature.dialect != DIALECT;
    Some(if is_hidden { turns::redacted(sealed) } else { turns::thought(thinking, sealed) })
}

fn cited(citations: &[chat::Citation], dropped: &mut Dropped) -> Option<Citations> {
    let list: Vec<_> = citations.iter().filter_map(citation).collect();
    dropped.note_if(list.len() < citations.len(), "citations");
    (!list.is_empty()).then_some(Citations::List(list))
}

/// A citation of a page. Others are of a document by its place in the request, which is not known.
pub(super) fn citation(citation: &chat::Citation) -> Option<Citation> {
    Some(Citation {
        kind: Cow::Borrowed("web_search_result_location"),
        url: Some(citation.url.clone()?),
        title: citation.title.clone(),
        cited_text: Some(citation.quote.clone().unwrap_or_default()),
        encrypted_index: Some(String::new()),
        ..Citation::default()
    })
}
