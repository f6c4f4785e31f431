//! Reads what a caller asks.

use super::{
    openapi::to_json_schema,
    turns::Turns,
    types::{self, FunctionCallingConfig, GenerationConfig, List, Request, Rest, ThinkingConfig, Whole},
};
use crate::wire::{
    chat::{ChatRequest, Dropped, Effort, Format, ImageOutput, Raw, Reasoning, Sampling, Tool, ToolChoice},
    codec::{Malformed, UrlSays},
};
use serde_json::value::RawValue;

pub(super) fn request(
    body: &[u8],
    url: UrlSays<'_>,
    dropped: &mut Dropped,
) -> Result<ChatRequest, Malformed> {
    let wire: Request = serde_json::from_slice(body).map_err(|error| Malformed::new(error.to_string()))?;
    note(&wire.rest, dropped);
    if wire.cached_content.is_some_and(|name| !name.is_empty()) {
        let message = "what is stored with the vendor cannot be carried to another model";
        return Err(Malformed::at("cachedContent", message));
    }
    let mut request = ChatRequest {
        model: model(url.model, wire.model)?,
        stream: url.stream.unwrap_or(false),
        // Every stream of this dialect tells it.
        stream_usage: true,
        metadata: wire.labels.unwrap_or_default(),
        service_tier: wire.service_tier.and_then(|tier| service_tier(&tier)),
        store: wire.store,
        ..ChatRequest::default()
    };
    let mut turns = Turns::new(dropped);
    if let Some(system) = wire.system_instruction {
        turns.system(system)?;
    }
    for (number, content) in List::items(wire.contents).into_iter().enumerate() {
        turns.content(number, content)?;
    }
    request.turns = turns.finish()?;
    for (number, tool) in List::items(wire.tools).into_iter().enumerate() {
        functions(number, tool, &mut request.tools, dropped)?;
    }
    if let Some(config) = wire.tool_config {
        note(&config.rest, dropped);
        let choice = config.function_calling_config.map(|config| tool_choice(config, dropped));
        request.tool_choice = choice.transpose()?.flatten();
    }
    generation(wire.generation_config.unwrap_or_default(), &mut request, dropped)?;
    Ok(request)
}

pub(super) fn note(rest: &Rest, dropped: &mut Dropped) {
    types::unknown(rest).for_each(|name| dropped.note(&name));
}

/// The URL's model is what counts; a body may repeat it, nothing else.
fn model(of_url: Option<&str>, of_body: Option<String>) -> Result<String, Malformed> {
    let bare = |name: &str| name.strip_prefix("models/").unwrap_or(name).to_owned();
    match (of_url, of_body) {
        (Some(url), Some(body)) if bare(url) != bare(&body) => {
            Err(Malformed::at("model", "the URL names another one"))
        }
        (Some(url), _) => Ok(url.to_owned()),
        (None, Some(body)) => Ok(bare(&body)),
        (None, None) => Err(Malformed::at("model", "no model is named")),
    }
}

/// In the words of the other dialects.
fn service_tier(tier: &str) -> Option<String> {
    match tier.to_ascii_lowercase().as_str() {
        "" | "unspecified" | "service_tier_unspecified" => None,
        "standard" => Some("default".to_owned()),
        tier => Some(tier.to_owned()),
    }
}

fn functions(
    number: usize,
    wire: types::Tool,
    tools: &mut Vec<Tool>,
    dropped: &mut Dropped,
) -> Result<(), Malformed> {
    types::unknown(&wire.rest).for_each(|name| dropped.note(&format!("tools.{name}")));
    for (at, function) in List::items(wire.function_declarations).into_iter().enumerate() {
        note(&function.rest, dropped);
        let Some(name) = function.name.filter(|name| !name.is_empty()) else {
            let here = format!("tools[{number}].functionDeclarations[{at}].name");
            return Err(Malformed::at(here, "is missing"));
        };
        tools.push(Tool {
            name,
            description: function.description,
            parameters: schema(function.parameters_json_schema, function.parameters),
            strict: None,
            cache: None,
        });
    }
    Ok(())
}

/// A schema that is JSON's own passes byte for byte, one in the dialect's form becomes such a one.
fn schema(json: Option<Box<RawValue>>, own: Option<Box<RawValue>>) -> Option<Raw> {
    json.map(Into::into).or_else(|| own.map(to_json_schema))
}

fn tool_choice(wire: FunctionCallingConfig, dropped: &mut Dropped) -> Result<Option<ToolChoice>, Malformed> {
    note(&wire.rest, dropped);
    let names = List::items(wire.allowed_function_names);
    let mode = wire.mode.unwrap_or_default().to_ascii_uppercase();
    // That arguments are held to their schemas is said tool by tool elsewhere.
    dropped.note_if(mode == "VALIDATED", "strict");
    Ok(match (&*mode, names.len()) {
        ("" | "MODE_UNSPECIFIED", 0) => None,
        ("AUTO" | "VALIDATED", 0) => Some(ToolChoice::Auto),
        ("" | "MODE_UNSPECIFIED" | "AUTO" | "VALIDATED", _) => {
            Some(ToolChoice::Allowed { names, required: false })
        }
        ("ANY", 0) => Some(ToolChoice::Any),
        ("ANY", 1) => names.into_iter().next().map(ToolChoice::Named),
        ("ANY", _) => Some(ToolChoice::Allowed { names, required: true }),
        ("NONE", _) => Some(ToolChoice::None),
        _ => {
            let here = "toolConfig.functionCallingConfig.mode";
            return Err(Malformed::at(here, "is none of AUTO, ANY, NONE, VALIDATED"));
        }
    })
}

fn generation(
    wire: GenerationConfig,
    request: &mut ChatRequest,
    dropped: &mut Dropped,
) -> Result<(), Malformed> {
    for name in types::unknown(&wire.rest) {
        // How speech sounds is `audio` in all dialects that have it.
        dropped.note(if name == "speech_config" { "audio" } else { &name });
    }
    request.max_tokens = count(wire.max_output_tokens, "maxOutputTokens")?;
    let logprobs = count(wire.logprobs, "logprobs")?;
    request.sampling = Sampling {
        temperature: wire.temperature,
        top_p: wire.top_p,
        top_k: count(wire.top_k, "topK")?,
        presence_penalty: wire.presence_penalty,
        frequency_penalty: wire.frequency_penalty,
        seed: wire.seed.map(|seed| seed.0),
        choices: count(wire.candidate_count, "candidateCount")?,
        logprobs: logprobs.or((wire.response_logprobs == Some(true)).then_some(0)),
        logit_bias: None,
    };
    request.stop = List::items(wire.stop_sequences);
    let kind = wire.response_mime_type.unwrap_or_default();
    request.format = match (schema(wire.response_json_schema, wire.response_schema), &*kind) {
        (Some(schema), "application/json" | "") => {
            Some(Format::Schema { name: None, description: None, schema, strict: None })
        }
        (None, "application/json") => Some(Format::Json),
        (None, "text/plain") => Some(Format::Text),
        (None, "") => None,
        // One word of a list, as plain text: no other dialect has it.
        _ => {
            dropped.note("response_format");
            None
        }
    };
    request.reasoning = reasoning(wire.thinking_config.unwrap_or_default(), dropped)?;
    let kinds = List::items(wire.response_modalities);
    let kinds = kinds.iter().map(|kind| kind.to_ascii_lowercase());
    request.modalities = kinds.filter(|kind| kind != "text" && kind != "modality_unspecified").collect();
    let image = wire.image_config.unwrap_or_default();
    note(&image.rest, dropped);
    request.image_output = ImageOutput { aspect_ratio: image.aspect_ratio, size: image.image_size };
    Ok(())
}

fn count(wire: Option<Whole>, name: &str) -> Result<Option<u64>, Malformed> {
    let count = wire.map(|whole| u64::try_from(whole.0)).transpose();
    count.map_err(|_| Malformed::at(format!("generationConfig.{name}"), "is below zero"))
}

/// <https://ai.google.dev/gemini-api/docs/thinking>
fn reasoning(wire: ThinkingConfig, dropped: &mut Dropped) -> Result<Reasoning, Malformed> {
    note(&wire.rest, dropped);
    let effort = match &*wire.thinking_level.unwrap_or_default().to_ascii_lowercase() {
        "" | "thinking_level_unspecified" => None,
        level => Some(Effort::from_name(level).ok_or_else(|| {
            Malformed::at("generationConfig.thinkingConfig.thinkingLevel", "is no such level")
        })?),
    };
    let budget = wire.thinking_budget.map(|budget| budget.0);
    Ok(Reasoning {
        effort,
        budget: budget.and_then(|budget| u64::try_from(budget).ok()),
        adaptive: budget.is_some_and(|budget| budget < 0),
        shown: wire.include_thoughts,
        summary: None,
    })
}
