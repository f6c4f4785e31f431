//! What an upstream is asked.
//!
//! Two of the vendor's defaults are not those of other dialects, so they are always said: nothing is to
//! be stored unless the caller wants it, and tools are not held to their schemas unless asked for
//! (<https://developers.openai.com/api/docs/guides/function-calling#strict-mode>).

use super::{
    items,
    types::{Choice, Item, NamedChoice, Reasoning as WireReasoning, Text, TextFormat, Tool as WireTool},
};
use crate::wire::{
    chat::{ChatRequest, Dropped, Effort, Format, Part, Raw, Reasoning, Role, Tool, ToolChoice, Turn},
    codec::Malformed,
};
use serde::Serialize;
use serde_json::{Number, value::RawValue};
use std::{borrow::Cow, collections::BTreeMap};

/// Asks for thoughts that are signed, so that the next turn can give them back. Models that do not think
/// refuse it, so it is asked for only where thinking is.
const SIGNED_THOUGHTS: &str = "reasoning.encrypted_content";
/// <https://developers.openai.com/api/reference/resources/responses/methods/create>
const SERVICE_TIERS: [&str; 7] = ["auto", "default", "flex", "scale", "priority", "fast", "ultrafast"];
/// The vendor refuses a bound on output that is lower, in tokens; other dialects have lower ones.
pub(crate) const MAX_OUTPUT_LEAST: u64 = 16;
/// Longest name of a user, and of what prompts have in common, that the vendor takes, in characters.
const NAME_MAX: usize = 64;
/// What a schema is called whose caller's dialect gives it no name; the dialect demands one.
const SCHEMA_NAME: &str = "answer";
pub(super) const PLAIN: &str = "these types have text keys and no failing serializer";

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions: Option<&'a str>,
    input: Vec<Item>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<WireTool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Choice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_logprobs: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<WireReasoning>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    include: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_cache_key: Option<&'a str>,
    store: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<bool>,
}

pub(super) fn request(
    request: &ChatRequest,
    model: &str,
    dropped: &mut Dropped,
) -> Result<Vec<u8>, Malformed> {
    note_unsaid(request, dropped);
    let (instructions, turns) = instructions(&request.turns, dropped);
    let input = items::of(turns, dropped)?;
    let reasoning = reasoning(&request.reasoning);
    let mut include = Vec::new();
    let thinks = reasoning.as_ref().is_some_and(|reasoning| reasoning.effort.as_deref() != Some("none"));
    if thinks || input.iter().any(|item| item.encrypted_content.is_some()) {
        include.push(SIGNED_THOUGHTS);
    }
    // No writer has them in a stream.
    let logprobs = request.sampling.logprobs.filter(|_| !request.stream);
    if logprobs.is_some() {
        include.push("message.output_text.logprobs");
    }
    let tier = request.service_tier.as_deref();
    let known_tier = tier.filter(|tier| SERVICE_TIERS.contains(tier));
    dropped.note_if(tier != known_tier, "service_tier");
    let body = Body {
        model,
        instructions,
        input,
        tools: request.tools.iter().map(tool).collect(),
        tool_choice: request.tool_choice.as_ref().filter(|_| !request.tools.is_empty()).map(choice),
        parallel_tool_calls: request.parallel_tools,
        max_output_tokens: request.max_tokens.map(|most| most.max(MAX_OUTPUT_LEAST)),
        temperature: request.sampling.temperature.as_ref(),
        top_p: request.sampling.top_p.as_ref(),
        top_logprobs: logprobs.filter(|count| *count > 0),
        text: request.format.as_ref().map(text),
        reasoning,
        include,
        user: short(request.user.as_deref(), "user", dropped),
        metadata: &request.metadata,
        service_tier: known_tier,
        prompt_cache_key: short(request.cache_key.as_deref(), "prompt_cache_key", dropped),
        store: request.store.unwrap_or(false),
        stream: request.stream.then_some(true),
    };
    Ok(serde_json::to_vec(&body).expect(PLAIN))
}

/// The value, unless the vendor refuses it for its length, as with coding agents' names of users.
fn short<'a>(value: Option<&'a str>, name: &str, dropped: &mut Dropped) -> Option<&'a str> {
    let short = value.filter(|value| value.chars().count() <= NAME_MAX);
    dropped.note_if(short != value, name);
    short
}

/// Names what the dialect has no member for.
fn note_unsaid(request: &ChatRequest, dropped: &mut Dropped) {
    let sampling = &request.sampling;
    let wants_tool = !matches!(request.tool_choice, None | Some(ToolChoice::Auto | ToolChoice::None));
    for (is_said, name) in [
        (request.max_tokens.is_some_and(|most| most < MAX_OUTPUT_LEAST), "max_tokens"),
        (request.tools.is_empty() && wants_tool, "tool_choice"),
        (sampling.top_k.is_some(), "top_k"),
        (sampling.presence_penalty.is_some(), "presence_penalty"),
        (sampling.frequency_penalty.is_some(), "frequency_penalty"),
        (sampling.seed.is_some(), "seed"),
        (sampling.choices.is_some_and(|choices| choices > 1), "n"),
        (sampling.logit_bias.is_some(), "logit_bias"),
        (request.stream && sampling.logprobs.is_some(), "logprobs"),
        (!request.stop.is_empty(), "stop"),
        (request.modalities.iter().any(|kind| kind != "text"), "modalities"),
        (request.turns.iter().any(|turn| turn.name.is_some()), "name"),
        (request.image_output.aspect_ratio.is_some(), "aspect_ratio"),
        (request.image_output.size.is_some(), "image_size"),
        (request.tools.iter().any(|tool| tool.cache.is_some()), "cache_control"),
    ] {
        dropped.note_if(is_said, name);
    }
}

/// The text that stands before everything, where the first turn is one, and the other turns.
fn instructions<'a>(turns: &'a [Turn], dropped: &mut Dropped) -> (Option<&'a str>, &'a [Turn]) {
    if let [Turn { role: Role::System, parts, .. }, rest @ ..] = turns
        && let [Part::Text { text, cache, .. }] = &**parts
    {
        dropped.note_if(cache.is_some(), "cache_control");
        return (Some(text), rest);
    }
    (None, turns)
}

/// Where a budget is asked for, the effort that stands for it; where the model may decide, the vendor's
/// middle, since some models do not think at all unless told to.
fn reasoning(asked: &Reasoning) -> Option<WireReasoning> {
    let effort = asked.effort.or(asked.budget.map(Effort::of_budget));
    let effort = effort.or(asked.adaptive.then_some(Effort::Medium));
    let summary = match (&asked.summary, asked.shown) {
        (_, Some(false)) | (None, None) => None,
        (Some(summary), _) => Some(Cow::Owned(summary.clone())),
        (None, Some(true)) => Some(Cow::Borrowed("auto")),
    };
    (effort.is_some() || summary.is_some()).then(|| WireReasoning {
        effort: effort.map(|effort| Cow::Borrowed(effort.as_str())),
        summary,
        ..WireReasoning::default()
    })
}

fn tool(tool: &Tool) -> WireTool {
    WireTool {
        kind: Some(Cow::Borrowed("function")),
        name: Some(tool.name.clone()),
        description: tool.description.clone(),
        parameters: tool.parameters.as_ref().map(boxed),
        strict: Some(tool.strict.unwrap_or(false)),
        ..WireTool::default()
    }
}

fn boxed(raw: &Raw) -> Box<RawValue> {
    (*raw.0).to_owned()
}

fn choice(choice: &ToolChoice) -> Choice {
    let of = |kind| NamedChoice { kind: Some(Cow::Borrowed(kind)), ..NamedChoice::default() };
    let named = |name: &String| NamedChoice { name: Some(name.clone()), ..of("function") };
    match choice {
        ToolChoice::Auto => Choice::Word(Cow::Borrowed("auto")),
        ToolChoice::None => Choice::Word(Cow::Borrowed("none")),
        ToolChoice::Any => Choice::Word(Cow::Borrowed("required")),
        ToolChoice::Named(name) => Choice::Named(named(name)),
        ToolChoice::Allowed { names, required } => Choice::Named(NamedChoice {
            mode: Some(Cow::Borrowed(if *required { "required" } else { "auto" })),
            tools: Some(names.iter().map(named).collect()),
            ..of("allowed_tools")
        }),
    }
}

fn text(format: &Format) -> Text {
    let of = |kind| TextFormat { kind: Some(Cow::Borrowed(kind)), ..TextFormat::default() };
    let format = match format {
        Format::Text => of("text"),
        Format::Json => of("json_object"),
        Format::Schema { name, description, schema, strict } => TextFormat {
            name: Some(name.clone().unwrap_or_else(|| SCHEMA_NAME.to_owned())),
            description: description.clone(),
            schema: Some(boxed(schema)),
            strict: *strict,
            ..of("json_schema")
        },
    };
    Text { format: Some(format), ..Text::default() }
}
