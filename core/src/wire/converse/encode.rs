//! The body that asks an upstream.

use super::{
    media,
    types::{
        Block, CachePoint, InferenceConfig, InputSchema, JsonSchema, Message, OutputConfig, ReasoningContent,
        ReasoningText, Request, ServiceTier, Structure, TextFormat, Tool, ToolChoice, ToolConfig, ToolResult,
        ToolSpec, ToolUse,
    },
};
use crate::wire::{
    anthropic_messages::{
        encode::{self, Body},
        types as said,
    },
    chat::{CacheMark, ChatRequest, Dropped, Effort, Format, Reasoning},
    codec::Malformed,
};
use serde_json::{Value, json, value::RawValue};
use std::collections::{BTreeMap, BTreeSet};

/// # Errors
/// As [`crate::wire::codec::UpstreamCodec::encode_request`].
pub(super) fn request(
    request: &ChatRequest,
    model: &str,
    dropped: &mut Dropped,
) -> Result<Vec<u8>, Malformed> {
    let vendor = Vendor::of(model);
    // How much is thought is asked of Claude as that codec does, and of others in their own words.
    let none = Reasoning::default();
    let reasoning = if vendor == Vendor::Claude { &request.reasoning } else { &none };
    let mut body = encode::body(request, reasoning, model, dropped)?;
    dropped.note_if(request.user.is_some(), "user");
    let (max_tokens, fields) = vendor.fields(&body, request, dropped);
    let system = body.system.take().map(|system| blocks(system, dropped)).transpose()?.unwrap_or_default();
    let mut messages = Vec::with_capacity(body.messages.len());
    for said::Message { role, content, .. } in std::mem::take(&mut body.messages) {
        let content = content.map(|content| blocks(content, dropped)).transpose()?.unwrap_or_default();
        messages.push(Message { role: role.into_owned(), content });
    }
    let tool_config = tool_config(&mut body, &messages, dropped);
    let inference_config = InferenceConfig {
        max_tokens,
        temperature: body.temperature,
        top_p: body.top_p,
        stop_sequences: std::mem::take(&mut body.stop_sequences),
    };
    // Which of them ended the answer is told only where it is asked for.
    let has_stop = vendor == Vendor::Claude && !inference_config.stop_sequences.is_empty();
    let request = Request {
        messages,
        system,
        inference_config: Some(inference_config),
        tool_config,
        output_config: output_config(request.format.as_ref(), dropped),
        additional_model_request_fields: fields,
        additional_model_response_field_paths: if has_stop { vec!["/stop_sequence"] } else { Vec::new() },
        service_tier: service_tier(request, dropped),
    };
    Ok(serde_json::to_vec(&request).expect("these types have text keys and no failing serializer"))
}

/// Who made the model, as far as that changes how it is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Vendor {
    Claude,
    GptOss,
    Nova,
    Other,
}

impl Vendor {
    /// Reads names such as `us.anthropic.claude-sonnet-4-5-20250929-v1:0` and ARNs that contain one. Of a
    /// profile of the account's own, the name tells nothing.
    fn of(model: &str) -> Self {
        let has = |word: &str| model.contains(word);
        match () {
            () if has("claude") => Self::Claude,
            () if has("gpt-oss") => Self::GptOss,
            () if has("nova") => Self::Nova,
            () => Self::Other,
        }
    }

    /// The most tokens of the answer, and what is asked in the vendor's own fields.
    fn fields(
        self,
        body: &Body<'_>,
        request: &ChatRequest,
        dropped: &mut Dropped,
    ) -> (Option<u64>, BTreeMap<&'static str, Value>) {
        let mut fields = BTreeMap::new();
        let to_value = |value: &said::ThinkingConfig| serde_json::to_value(value).unwrap_or_default();
        let effort = body.output_config.as_ref().and_then(|config| config.effort.as_deref());
        if self == Self::Claude {
            fields.extend(body.thinking.as_ref().map(|thinking| ("thinking", to_value(thinking))));
            fields.extend(effort.map(|effort| ("output_config", json!({ "effort": effort }))));
            fields.extend(body.top_k.map(|top_k| ("top_k", json!(top_k))));
            return (Some(body.max_tokens), fields);
        }
        dropped.note_if(body.top_k.is_some(), "top_k");
        let reasoning = &request.reasoning;
        let wanted = reasoning.effort.or(reasoning.budget.map(Effort::of_budget));
        let wanted = wanted.or(reasoning.adaptive.then_some(Effort::High));
        // Both know three words.
        let word = match wanted {
            None | Some(Effort::None) => None,
            Some(Effort::Minimal | Effort::Low) => Some("low"),
            Some(Effort::Medium) => Some("medium"),
            Some(_) => Some("high"),
        };
        match (self, word) {
            (Self::GptOss, Some(word)) => {
                fields.insert("reasoning_effort", json!(word));
            }
            (Self::Nova, Some(word)) => {
                let config = json!({ "type": "enabled", "maxReasoningEffort": word });
                fields.insert("reasoningConfig", config);
            }
            _ => dropped.note_if(wanted.is_some(), "reasoning"),
        }
        (request.max_tokens, fields)
    }
}

fn blocks(content: said::Content, dropped: &mut Dropped) -> Result<Vec<Block>, Malformed> {
    let blocks = match content {
        said::Content::Text(text) => return Ok(vec![Block::text(text)]),
        said::Content::Blocks(blocks) => blocks,
        said::Content::Source(_) => return Ok(Vec::new()),
    };
    let mut out = Vec::with_capacity(blocks.len());
    for block in blocks {
        push(block, &mut out, dropped)?;
    }
    Ok(out)
}

fn push(block: said::Block, out: &mut Vec<Block>, dropped: &mut Dropped) -> Result<(), Malformed> {
    let cache = block.cache_control;
    let source = |source| match source {
        Some(said::Content::Source(source)) => *source,
        _ => said::Source::default(),
    };
    match &*block.kind {
        // Blank text is refused there.
        "text" => out.extend(block.text.filter(|text| !text.trim().is_empty()).map(Block::text)),
        "image" => {
            out.push(Block { image: Some(media::image(source(block.source))?), ..Block::default() });
        }
        "document" => {
            let is_cited = matches!(block.citations, Some(said::Citations::Switch { enabled: true }));
            let document = media::document(source(block.source), block.title.as_deref(), is_cited)?;
            out.push(Block { document: Some(document), ..Block::default() });
        }
        "thinking" => {
            let text = block.thinking.unwrap_or_default();
            let reasoning_text = Some(ReasoningText { text, signature: block.signature });
            out.push(reasoning(ReasoningContent { reasoning_text, ..ReasoningContent::default() }));
        }
        "redacted_thinking" => {
            let redacted_content = block.data;
            out.push(reasoning(ReasoningContent { redacted_content, ..ReasoningContent::default() }));
        }
        "tool_use" => {
            let tool_use = ToolUse {
                tool_use_id: block.id.unwrap_or_default(),
                name: block.name.unwrap_or_default(),
                input: block.input,
            };
            out.push(Block { tool_use: Some(tool_use), ..Block::default() });
        }
        "tool_result" => {
            let content = block.content.map(|content| blocks(content, dropped)).transpose()?;
            let mut content = content.unwrap_or_default();
            // Marks stand beside results, not within; and a result is never nothing.
            let marks = content.len();
            content.retain(|block| block.cache_point.is_none());
            dropped.note_if(content.len() < marks, "cache_control");
            if content.is_empty() {
                content.push(Block::text(" "));
            }
            let result = ToolResult {
                tool_use_id: block.tool_use_id.unwrap_or_default(),
                content,
                status: block.is_error.filter(|is_error| *is_error).map(|_| "error".to_owned()),
            };
            out.push(Block { tool_result: Some(result), ..Block::default() });
        }
        _ => {}
    }
    out.extend(cache.map(|cache| Block { cache_point: Some(cache_point(cache)), ..Block::default() }));
    Ok(())
}

fn reasoning(reasoning: ReasoningContent) -> Block {
    Block { reasoning_content: Some(reasoning), ..Block::default() }
}

/// Everything before it is kept.
fn cache_point(control: said::CacheControl) -> CachePoint {
    let ttl = (CacheMark::from(control) == CacheMark::OneHour).then(|| "1h".to_owned());
    CachePoint { kind: "default".to_owned(), ttl }
}

fn tool_config(body: &mut Body<'_>, messages: &[Message], dropped: &mut Dropped) -> Option<ToolConfig> {
    let called = called(messages);
    let choice = body.tool_choice.take();
    dropped.note_if(
        choice.as_ref().is_some_and(|choice| choice.disable_parallel_tool_use == Some(true)),
        "parallel_tool_calls",
    );
    let is_none = choice.as_ref().is_some_and(|choice| choice.kind == "none");
    if is_none && called.is_empty() {
        return None;
    }
    dropped.note_if(is_none, "tool_choice");
    let mut tools: Vec<Tool> = Vec::new();
    let mut declared = BTreeSet::new();
    for tool in std::mem::take(&mut body.tools) {
        declared.insert(tool.name.clone());
        let json = tool.input_schema.unwrap_or_else(any_object);
        tools.push(Tool::ToolSpec(Box::new(ToolSpec {
            name: tool.name,
            description: tool.description.filter(|text| !text.is_empty()),
            input_schema: InputSchema { json },
            strict: tool.strict,
        })));
        tools.extend(tool.cache_control.map(|cache| Tool::CachePoint(cache_point(cache))));
    }
    if tools.is_empty() {
        let bare = called.difference(&declared).map(|name| {
            let input_schema = InputSchema { json: any_object() };
            let spec = ToolSpec { name: name.clone(), description: None, input_schema, strict: None };
            Tool::ToolSpec(Box::new(spec))
        });
        tools.extend(bare);
    }
    if tools.is_empty() {
        return None;
    }
    let tool_choice = choice.and_then(|choice| match &*choice.kind {
        "any" => Some(ToolChoice::Any {}),
        "tool" => choice.name.map(|name| ToolChoice::Tool { name }),
        "auto" => Some(ToolChoice::Auto {}),
        _ => None,
    });
    Some(ToolConfig { tools, tool_choice })
}

/// The names of the tools that the conversation has calls of.
fn called(messages: &[Message]) -> BTreeSet<String> {
    let blocks = messages.iter().flat_map(|message| &message.content);
    blocks.filter_map(|block| block.tool_use.as_ref().map(|call| call.name.clone())).collect()
}

fn any_object() -> Box<RawValue> {
    RawValue::from_string(r#"{"type":"object"}"#.to_owned()).expect("a constant is JSON")
}

fn output_config<'a>(format: Option<&'a Format>, dropped: &mut Dropped) -> Option<OutputConfig<'a>> {
    let Format::Schema { name, description, schema, strict } = format? else {
        // There is no format of any JSON whatever.
        dropped.note_if(matches!(format, Some(Format::Json)), "response_format");
        return None;
    };
    dropped.note_if(*strict == Some(false), "strict");
    let json_schema =
        JsonSchema { schema: schema.as_str(), name: name.as_deref(), description: description.as_deref() };
    Some(OutputConfig {
        text_format: TextFormat { kind: "json_schema", structure: Structure { json_schema } },
    })
}

fn service_tier(request: &ChatRequest, dropped: &mut Dropped) -> Option<ServiceTier> {
    let kind = match request.service_tier.as_deref()? {
        "auto" => return None,
        kind @ ("default" | "flex" | "priority") => kind.to_owned(),
        _ => {
            dropped.note("service_tier");
            return None;
        }
    };
    Some(ServiceTier { kind })
}
