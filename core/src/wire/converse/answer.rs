//! Whole answers.

use super::{
    media,
    types::{self, Answer, Block},
    usage,
};
use crate::wire::{
    Dialect,
    chat::{ChatAnswer, Choice, Citation, Finish, Part, Signature, Source, Thinking, ToolCall},
    codec::Malformed,
};

pub(super) fn decode(body: &[u8]) -> Result<ChatAnswer, Malformed> {
    let wire: Answer = serde_json::from_slice(body).map_err(|error| Malformed::new(error.to_string()))?;
    let message = wire.output.and_then(|output| output.message);
    let content = message.ok_or_else(|| Malformed::at("output.message", "is missing"))?.content;
    let choice = Choice {
        parts: content.into_iter().filter_map(part).collect(),
        finish: wire.stop_reason.map(finish),
        stop_sequence: wire.additional_model_response_fields.and_then(|fields| fields.stop_sequence),
        logprobs: None,
    };
    Ok(ChatAnswer {
        choices: vec![choice],
        usage: wire.usage.as_ref().and_then(|usage| usage::decode(usage.get().as_bytes())),
        service_tier: wire.service_tier.map(|tier| tier.kind),
        ..ChatAnswer::default()
    })
}

/// A signature of a model's of Anthropic's: they are the same wherever the model runs.
pub(super) fn signature(data: String) -> Signature {
    Signature { dialect: Dialect::AnthropicMessages, data }
}

fn part(block: Block) -> Option<Part> {
    let some = |data: Option<String>| data.filter(|data| !data.is_empty()).map(signature);
    if let Some(text) = block.text {
        return Some(Part::text(text));
    }
    if let Some(call) = block.tool_use {
        let arguments = call.input.map_or_else(|| "{}".to_owned(), |input| input.get().to_owned());
        let (id, name) = (call.tool_use_id, call.name);
        return Some(Part::ToolCall(ToolCall { id, name, arguments, ..ToolCall::default() }));
    }
    if let Some(reasoning) = block.reasoning_content {
        return Some(Part::Thinking(match reasoning.reasoning_text {
            Some(said) => {
                Thinking { text: said.text, signature: some(said.signature), ..Thinking::default() }
            }
            None => Thinking {
                signature: some(reasoning.redacted_content),
                redacted: true,
                ..Thinking::default()
            },
        }));
    }
    if let Some(cited) = block.citations_content {
        return Some(Part::Text {
            text: cited.content.into_iter().filter_map(|piece| piece.text).collect(),
            citations: cited.citations.into_iter().map(citation).collect(),
            signature: None,
            cache: None,
        });
    }
    let image = block.image?;
    let source = Source::Data { media_type: media::media_type(&image.format), base64: image.source.bytes? };
    Some(Part::Image { source, detail: None, cache: None })
}

pub(super) fn citation(wire: types::Citation) -> Citation {
    let quote: String = wire.source_content.into_iter().filter_map(|piece| piece.text).collect();
    Citation {
        url: wire.location.and_then(|location| location.web).and_then(|web| web.url),
        title: wire.title,
        quote: (!quote.is_empty()).then_some(quote),
        start: None,
        end: None,
    }
}

/// What a stop reason means.
pub(super) fn finish(reason: String) -> Finish {
    match &*reason {
        "end_turn" => Finish::Stop,
        "stop_sequence" => Finish::StopSequence,
        "max_tokens" => Finish::Length,
        "tool_use" => Finish::ToolCalls,
        "guardrail_intervened" | "content_filtered" => Finish::Filter,
        "refusal" => Finish::Refusal,
        "model_context_window_exceeded" => Finish::ContextFull,
        "malformed_model_output" | "malformed_tool_use" => Finish::Broken(reason),
        _ => Finish::Other(reason),
    }
}
