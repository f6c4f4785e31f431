//! The body that asks an upstream.

use super::{
    model::Model,
    schema,
    thinking::Plan,
    turns,
    types::{Content, Message, Metadata, OutputConfig, OutputFormat, ThinkingConfig, Tool, ToolChoice},
};
use crate::wire::{
    chat::{self, ChatRequest, Dropped, Format, Raw, Reasoning},
    codec::Malformed,
};
use serde::{Serialize, de::IgnoredAny};
use serde_json::{Number, value::RawValue};
use std::{borrow::Cow, collections::BTreeMap};

/// What an upstream is asked.
#[derive(Serialize)]
pub(in crate::wire) struct Body<'a> {
    model: &'a str,
    pub(in crate::wire) max_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::wire) system: Option<Content>,
    pub(in crate::wire) messages: Vec<Message>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::wire) tools: Vec<Tool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::wire) tool_choice: Option<ToolChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::wire) thinking: Option<ThinkingConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::wire) output_config: Option<OutputConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::wire) temperature: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::wire) top_p: Option<&'a Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::wire) top_k: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::wire) stop_sequences: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'static str>,
}

pub(super) fn request(
    request: &ChatRequest,
    model: &str,
    dropped: &mut Dropped,
) -> Result<Vec<u8>, Malformed> {
    let mut body = body(request, &request.reasoning, model, dropped)?;
    if let Some(format) = request.format.as_ref().and_then(|format| output_format(format, dropped)) {
        body.output_config.get_or_insert_default().format = Some(format);
    }
    body.metadata = request.user.clone().map(|user| Metadata { user_id: Some(user), ..Metadata::default() });
    body.service_tier = service_tier(request, dropped);
    Ok(serde_json::to_vec(&body).expect("these types have text keys and no failing serializer"))
}

/// Everything but the format, the user and the tier, which the same models are told otherwise elsewhere.
/// `reasoning`: what is said of it here.
pub(in crate::wire) fn body<'a>(
    request: &'a ChatRequest,
    reasoning: &Reasoning,
    model: &'a str,
    dropped: &mut Dropped,
) -> Result<Body<'a>, Malformed> {
    let said = turns::encode(&request.turns, dropped)?;
    let tools = tools(request, dropped);
    let known = Model::named(model);
    let tool_choice = tool_choice(request, tools.is_empty(), known, dropped);
    let is_forced = tool_choice.as_ref().is_some_and(|choice| is_forced(&choice.kind));
    let plan = Plan::of(request, reasoning, known, is_forced || said.in_unthought_loop, dropped);
    let effort = plan.effort.map(Cow::Borrowed);
    note_others(request, dropped);
    Ok(Body {
        model,
        max_tokens: plan.max_tokens,
        system: (!said.system.is_empty()).then(|| Content::short(said.system)),
        messages: said.messages,
        tools,
        tool_choice,
        thinking: plan.thinking,
        output_config: effort.map(|effort| OutputConfig { effort: Some(effort), ..OutputConfig::default() }),
        temperature: plan.temperature,
        top_p: plan.top_p,
        top_k: plan.top_k,
        stop_sequences: stop_sequences(request, dropped),
        stream: request.stream.then_some(true),
        metadata: None,
        service_tier: None,
    })
}

/// The tools that may be called: where a choice allows some of them, those.
fn tools(request: &ChatRequest, dropped: &mut Dropped) -> Vec<Tool> {
    let is_allowed = |tool: &&chat::Tool| match &request.tool_choice {
        Some(chat::ToolChoice::Allowed { names, .. }) => names.contains(&tool.name),
        _ => true,
    };
    let tools = request.tools.iter().filter(is_allowed).map(|tool| {
        dropped.note_if(tool.strict == Some(false), "strict");
        Tool {
            name: tool.name.clone(),
            description: tool.description.clone(),
            input_schema: Some(input_schema(tool)),
            strict: tool.strict.filter(|strict| *strict),
            cache_control: tool.cache.map(Into::into),
            ..Tool::default()
        }
    });
    tools.collect()
}

/// A schema that says, as this dialect demands, that it is of an object.
fn input_schema(tool: &chat::Tool) -> Box<RawValue> {
    let schema = tool.parameters.as_ref().map_or("{}", Raw::as_str);
    let members = serde_json::from_str::<BTreeMap<String, IgnoredAny>>(schema).ok();
    let typed = match (members, schema.trim_start().strip_prefix('{')) {
        (Some(members), _) if members.is_empty() => r#"{"type":"object","properties":{}}"#.to_owned(),
        (Some(members), Some(inside)) if !members.contains_key("type") => {
            format!("{{\"type\":\"object\",{inside}")
        }
        _ => schema.to_owned(),
    };
    RawValue::from_string(typed).expect("it was JSON, and has but one member more")
}

fn tool_choice(
    request: &ChatRequest,
    has_no_tools: bool,
    model: Model,
    dropped: &mut Dropped,
) -> Option<ToolChoice> {
    let choice = request.tool_choice.as_ref();
    if has_no_tools {
        let asks_for_some = !matches!(choice, None | Some(chat::ToolChoice::Auto | chat::ToolChoice::None));
        dropped.note_if(asks_for_some, "tool_choice");
        return None;
    }
    let single = request.parallel_tools == Some(false);
    let (kind, name) = match choice {
        // Only with a choice can it be said that they come one at a time.
        None if !single => return None,
        None | Some(chat::ToolChoice::Auto | chat::ToolChoice::Allowed { required: false, .. }) => {
            ("auto", None)
        }
        Some(chat::ToolChoice::Any | chat::ToolChoice::Allowed { required: true, .. }) => ("any", None),
        Some(chat::ToolChoice::None) => ("none", None),
        Some(chat::ToolChoice::Named(name)) => ("tool", Some(name.clone())),
    };
    let is_refused = is_forced(kind) && !model.takes_forced_tools;
    dropped.note_if(is_refused, "tool_choice");
    let (kind, name) = if is_refused { ("auto", None) } else { (kind, name) };
    let disable_parallel_tool_use = (single && kind != "none").then_some(true);
    Some(ToolChoice { kind: Cow::Borrowed(kind), name, disable_parallel_tool_use })
}

fn is_forced(kind: &str) -> bool {
    matches!(kind, "any" | "tool")
}

fn output_format(format: &Format, dropped: &mut Dropped) -> Option<OutputFormat> {
    match format {
        Format::Text => None,
        // There is no format of any JSON whatever.
        Format::Json => {
            dropped.note("response_format");
            None
        }
        Format::Schema { description, schema, strict, .. } => {
            dropped.note_if(description.is_some(), "response_format.description");
            dropped.note_if(*strict == Some(false), "strict");
            let schema = (*schema::for_vendor(schema, dropped).0).to_owned();
            Some(OutputFormat { kind: Cow::Borrowed("json_schema"), schema: Some(schema) })
        }
    }
}

/// A sequence of nothing but white space is refused there.
fn stop_sequences<'a>(request: &'a ChatRequest, dropped: &mut Dropped) -> Vec<&'a str> {
    let (kept, blank): (Vec<_>, Vec<_>) =
        request.stop.iter().map(String::as_str).partition(|stop| !stop.trim().is_empty());
    dropped.note_if(!blank.is_empty(), "stop");
    kept
}

fn service_tier(request: &ChatRequest, dropped: &mut Dropped) -> Option<&'static str> {
    match request.service_tier.as_deref()? {
        "auto" => Some("auto"),
        "default" => Some("standard_only"),
        _ => {
            dropped.note("service_tier");
            None
        }
    }
}

/// Names what the dialect has no word for.
fn note_others(request: &ChatRequest, dropped: &mut Dropped) {
    let sampling = &request.sampling;
    for (is_there, name) in [
        (sampling.presence_penalty.is_some(), "presence_penalty"),
        (sampling.frequency_penalty.is_some(), "frequency_penalty"),
        (sampling.seed.is_some(), "seed"),
        (sampling.choices.is_some_and(|choices| choices != 1), "n"),
        (sampling.logprobs.is_some(), "logprobs"),
        (sampling.logit_bias.is_some(), "logit_bias"),
        (!request.metadata.is_empty(), "metadata"),
        (request.cache_key.is_some(), "prompt_cache_key"),
        (request.store.is_some(), "store"),
        (request.modalities.iter().any(|modality| modality != "text"), "modalities"),
    ] {
        dropped.note_if(is_there, name);
    }
}
