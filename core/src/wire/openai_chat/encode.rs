//! Writes requests for upstreams.

use super::{
    answer::wire_call,
    types::{
        AllowedTools, Call, Choice as WireChoice, Content, File, Function, FunctionTool, ImageUrl,
        InputAudio, JsonSchema, Message, NamedChoice, Part as WirePart, ResponseFormat, StreamOptions,
        Tool as WireTool,
    },
};
use crate::wire::{
    Dialect,
    chat::{
        ChatRequest, Dropped, Effort, Format, Part, Raw, Role, Source, Tool, ToolChoice, ToolResult, Turn,
        call_id,
    },
    codec::Malformed,
};
use serde::Serialize;
use serde_json::{Number, value::RawValue};
use std::{borrow::Cow, collections::BTreeMap};

/// Longest id of a call that the vendor takes, in characters; other vendors have longer ones.
const CALL_ID_MAX: usize = 40;
pub(super) const PLAIN: &str = "these types have text keys and no failing serializer";

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: Vec<Message>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<WireTool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<WireChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_logprobs: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logit_bias: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<ResponseFormat>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_cache_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<bool>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    modalities: &'a [String],
}

/// `thoughts`: the upstream wants back what its models thought.
pub(super) fn request(
    request: &ChatRequest,
    model: &str,
    thoughts: bool,
    dropped: &mut Dropped,
) -> Result<Vec<u8>, Malformed> {
    let mut messages = Vec::with_capacity(request.turns.len());
    for turn in &request.turns {
        push_turn(turn, thoughts, &mut messages, dropped)?;
    }
    let sampling = &request.sampling;
    dropped.note_if(sampling.top_k.is_some(), "top_k");
    dropped.note_if(request.image_output.aspect_ratio.is_some(), "aspect_ratio");
    dropped.note_if(request.image_output.size.is_some(), "image_size");
    dropped.note_if(request.tools.iter().any(|tool| tool.cache.is_some()), "cache_control");
    let reasoning = &request.reasoning;
    dropped.note_if(reasoning.shown.is_some() || reasoning.summary.is_some(), "reasoning");
    let effort = reasoning.effort.or_else(|| reasoning.budget.map(Effort::of_budget));
    let has_tools = !request.tools.is_empty();
    let wants_tool = !matches!(request.tool_choice, None | Some(ToolChoice::Auto | ToolChoice::None));
    dropped.note_if(wants_tool && !has_tools, "tool_choice");
    // No writer has them in a stream.
    let logprobs = sampling.logprobs.filter(|_| !request.stream);
    dropped.note_if(logprobs != sampling.logprobs, "logprobs");
    // The vendor takes it only together with what is stored.
    let is_stored = request.store == Some(true);
    dropped.note_if(!is_stored && !request.metadata.is_empty(), "metadata");
    let is_vendors = is_vendors(model);
    let body = Body {
        model,
        messages,
        tools: request.tools.iter().map(tool).collect(),
        // The vendor refuses both where there are no tools.
        tool_choice: request.tool_choice.as_ref().filter(|_| has_tools).map(tool_choice),
        parallel_tool_calls: request.parallel_tools.filter(|_| has_tools),
        max_completion_tokens: request.max_tokens.filter(|_| is_vendors),
        max_tokens: request.max_tokens.filter(|_| !is_vendors),
        temperature: sampling.temperature.as_ref(),
        top_p: sampling.top_p.as_ref(),
        presence_penalty: sampling.presence_penalty.as_ref(),
        frequency_penalty: sampling.frequency_penalty.as_ref(),
        seed: sampling.seed,
        n: sampling.choices,
        logprobs: logprobs.map(|_| true),
        top_logprobs: logprobs.filter(|count| *count > 0),
        logit_bias: sampling.logit_bias.as_ref().map(|raw| &*raw.0),
        stop: &request.stop,
        response_format: request.format.as_ref().map(format),
        reasoning_effort: effort.map(Effort::as_str),
        stream: request.stream.then_some(true),
        stream_options: request.stream.then_some(StreamOptions { include_usage: Some(true) }),
        user: request.user.as_deref(),
        metadata: Some(&request.metadata).filter(|metadata| is_stored && !metadata.is_empty()),
        service_tier: request.service_tier.as_deref(),
        prompt_cache_key: request.cache_key.as_deref(),
        store: request.store,
        modalities: &request.modalities,
    };
    Ok(serde_json::to_vec(&body).expect(PLAIN))
}

/// Whether a model is the vendor's own by its name. Its newer ones refuse `max_tokens`, while of those who
/// imitate the dialect some refuse `max_completion_tokens` (Mistral) and some pass it over and write on
/// (DeepSeek).
fn is_vendors(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model).to_ascii_lowercase();
    let is_o_series =
        name.strip_prefix('o').is_some_and(|rest| rest.starts_with(|each: char| each.is_ascii_digit()));
    is_o_series || ["gpt", "codex", "computer-use"].iter().any(|family| name.contains(family))
}

fn tool(tool: &Tool) -> WireTool {
    let function = FunctionTool {
        name: tool.name.clone(),
        description: tool.description.clone(),
        parameters: tool.parameters.as_ref().map(boxed),
        strict: tool.strict,
        ..FunctionTool::default()
    };
    WireTool { kind: Cow::Borrowed("function"), function: Some(function), ..WireTool::default() }
}

fn boxed(raw: &Raw) -> Box<RawValue> {
    (*raw.0).to_owned()
}

fn tool_choice(choice: &ToolChoice) -> WireChoice {
    let named = |name: &String| NamedChoice {
        kind: Cow::Borrowed("function"),
        function: Some(Function { name: Some(name.clone()), arguments: None }),
        allowed_tools: None,
    };
    match choice {
        ToolChoice::Auto => WireChoice::Word("auto".to_owned()),
        ToolChoice::None => WireChoice::Word("none".to_owned()),
        ToolChoice::Any => WireChoice::Word("required".to_owned()),
        ToolChoice::Named(name) => WireChoice::Named(named(name)),
        ToolChoice::Allowed { names, required } => WireChoice::Named(NamedChoice {
            kind: Cow::Borrowed("allowed_tools"),
            function: None,
            allowed_tools: Some(AllowedTools {
                mode: Cow::Borrowed(if *required { "required" } else { "auto" }),
                tools: names.iter().map(named).collect(),
            }),
        }),
    }
}

/// What a schema is called whose caller's dialect gives it no name; the dialect demands one.
const SCHEMA_NAME: &str = "answer";

fn format(format: &Format) -> ResponseFormat {
    let of = |kind| ResponseFormat { kind: Cow::Borrowed(kind), json_schema: None };
    match format {
        Format::Text => of("text"),
        Format::Json => of("json_object"),
        Format::Schema { name, description, schema, strict } => ResponseFormat {
            json_schema: Some(JsonSchema {
                name: Some(name.clone().unwrap_or_else(|| SCHEMA_NAME.to_owned())),
                description: description.clone(),
                schema: Some(boxed(schema)),
                strict: *strict,
            }),
            ..of("json_schema")
        },
    }
}

fn push_turn(
    turn: &Turn,
    thoughts: bool,
    messages: &mut Vec<Message>,
    dropped: &mut Dropped,
) -> Result<(), Malformed> {
    let role = match turn.role {
        // The vendor takes one for the other, and most who imitate the dialect know only the first.
        Role::System | Role::Developer => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => {
            let mut media = Vec::new();
            for part in &turn.parts {
                if let Part::ToolResult(result) = part {
                    push_result(result, &mut media, messages, dropped)?;
                }
            }
            if !media.is_empty() {
                // A result of this dialect is text: what else there is comes after the last, as the user's.
                let content = Some(Content::Parts(media));
                messages.push(Message { role: Some(Cow::Borrowed("user")), content, ..Message::default() });
            }
            return Ok(());
        }
    };
    let mut message =
        Message { role: Some(Cow::Borrowed(role)), name: turn.name.clone(), ..Message::default() };
    let mut parts = Vec::new();
    for part in &turn.parts {
        match part {
            Part::ToolCall(call) => {
                dropped.note_if(call.signature.is_some(), "signature");
                dropped.note_if(call.cache.is_some(), "cache_control");
                let id = Some(call_id::at_most(&call.id, CALL_ID_MAX).into_owned());
                let call = Call { id, ..wire_call(call, None, None) };
                message.tool_calls.get_or_insert_default().push(call);
            }
            // What the model made cannot be put into its mouth again.
            Part::Image { .. } | Part::Audio { .. } | Part::Document { .. }
                if turn.role == Role::Assistant =>
            {
                dropped.note(medium(part));
            }
            Part::Thinking(thinking) if thoughts && !thinking.text.is_empty() => {
                dropped.note_if(thinking.signature.is_some(), "signature");
                message.reasoning_content.get_or_insert_default().push_str(&thinking.text);
            }
            // In this dialect it is sent back to nobody else.
            Part::Thinking(_) => dropped.note("reasoning"),
            Part::Refusal { text } if turn.role == Role::Assistant => {
                message.refusal.get_or_insert_default().push_str(text);
            }
            Part::Text { text, signature: Some(_), .. } if text.is_empty() => dropped.note("signature"),
            part => parts.push(content_part(part, dropped)?),
        }
    }
    if thoughts && message.tool_calls.is_some() {
        // Also where the caller has lost it: without the member a conversation with calls is refused.
        message.reasoning_content.get_or_insert_default();
    }
    message.content = content(parts);
    if message.content.is_none() && message.tool_calls.is_none() && message.refusal.is_none() {
        message.content = Some(Content::Text(String::new()));
    }
    messages.push(message);
    Ok(())
}

fn medium(part: &Part) -> &'static str {
    match part {
        Part::Image { .. } => "image",
        Part::Audio { .. } => "audio",
        _ => "document",
    }
}

fn push_result(
    result: &ToolResult,
    media: &mut Vec<WirePart>,
    messages: &mut Vec<Message>,
    dropped: &mut Dropped,
) -> Result<(), Malformed> {
    dropped.note_if(result.cache.is_some(), "cache_control");
    dropped.note_if(result.is_error, "is_error");
    let mut texts = Vec::new();
    for part in &result.parts {
        let wire = content_part(part, dropped)?;
        if wire.text.is_some() { texts.push(wire) } else { media.push(wire) }
    }
    messages.push(Message {
        role: Some(Cow::Borrowed("tool")),
        content: Some(content(texts).unwrap_or(Content::Text(String::new()))),
        tool_call_id: Some(call_id::at_most(&result.call_id, CALL_ID_MAX).into_owned()),
        ..Message::default()
    });
    Ok(())
}

/// One text is a string, as most upstreams of this dialect want it.
fn content(mut parts: Vec<WirePart>) -> Option<Content> {
    if parts.is_empty() {
        return None;
    }
    if let [only] = &mut parts[..]
        && let Some(text) = &mut only.text
    {
        return Some(Content::Text(std::mem::take(text)));
    }
    Some(Content::Parts(parts))
}

pub(super) fn content_part(part: &Part, dropped: &mut Dropped) -> Result<WirePart, Malformed> {
    let of = |kind| WirePart { kind: Cow::Borrowed(kind), ..WirePart::default() };
    let refused = |what: &str| Malformed::new(format!("{what} cannot be sent to this upstream"));
    let mut mark = |cache: &Option<_>| dropped.note_if(cache.is_some(), "cache_control");
    Ok(match part {
        Part::Text { text, signature, cache, citations } => {
            mark(cache);
            dropped.note_if(signature.is_some(), "signature");
            dropped.note_if(!citations.is_empty(), "citations");
            WirePart { text: Some(text.clone()), ..of("text") }
        }
        Part::Refusal { text } => WirePart { text: Some(text.clone()), ..of("text") },
        Part::Image { source, detail, cache } => {
            mark(cache);
            let url = match source {
                Source::Data { media_type, base64 } => format!("data:{media_type};base64,{base64}"),
                Source::Url { url, .. } => url.clone(),
                Source::Text(_) | Source::File { .. } => return Err(refused("A stored image")),
            };
            WirePart { image_url: Some(ImageUrl { url, detail: detail.clone() }), ..of("image_url") }
        }
        Part::Audio { source, cache } => {
            mark(cache);
            let Source::Data { media_type, base64 } = source else {
                return Err(refused("Audio by its address"));
            };
            let format = media_type.rsplit('/').next().unwrap_or_default().to_owned();
            WirePart { input_audio: Some(InputAudio { data: base64.clone(), format }), ..of("input_audio") }
        }
        Part::Document { source, name, cache, citations } => {
            mark(cache);
            dropped.note_if(*citations, "citations");
            let file = |data, id| File { filename: name.clone(), file_data: data, file_id: id };
            let file = match source {
                Source::Text(text) => return Ok(WirePart { text: Some(text.clone()), ..of("text") }),
                Source::Data { media_type, base64 } => {
                    file(Some(format!("data:{media_type};base64,{base64}")), None)
                }
                Source::File { dialect: Dialect::OpenAiChat, id } => file(None, Some(id.clone())),
                Source::File { .. } => return Err(refused("A file that another vendor stores")),
                Source::Url { .. } => return Err(refused("A document by its address")),
            };
            WirePart { file: Some(file), ..of("file") }
        }
        Part::Thinking(_) | Part::ToolCall(_) | Part::ToolResult(_) => {
            return Err(Malformed::new("A message has a part that only another role can have"));
        }
    })
}
