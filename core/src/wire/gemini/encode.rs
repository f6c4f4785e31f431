//! Writes what an upstream is asked.

use super::{
    contents::Contents,
    thinking,
    types::{
        self, FunctionCallingConfig, FunctionDeclaration, GenerationConfig, ImageConfig, List, PLAIN,
        ToolConfig, Whole,
    },
};
use crate::wire::{
    chat::{ChatRequest, Dropped, Format, Raw, Role, Tool, ToolChoice},
    codec::Malformed,
};
use serde_json::value::RawValue;

/// Kinds of output that the dialect has.
const MODALITIES: [&str; 3] = ["text", "image", "audio"];

pub(super) fn request(
    request: &ChatRequest,
    model: &str,
    dropped: &mut Dropped,
) -> Result<Vec<u8>, Malformed> {
    note(request, dropped);
    let mut contents = Contents::new(model, dropped);
    // Where there are only instructions, the last of them is what is asked.
    let is_asked = request.turns.iter().any(|turn| !matches!(turn.role, Role::System | Role::Developer));
    let asked = if is_asked { None } else { request.turns.len().checked_sub(1) };
    for (number, turn) in request.turns.iter().enumerate() {
        contents.turn(turn, asked == Some(number))?;
    }
    let (system_instruction, contents) = contents.finish()?;
    let config = generation(request, model, dropped);
    let body = types::Request {
        system_instruction,
        contents: List::of(contents),
        tools: tools(&request.tools, dropped),
        // The vendor refuses a choice among no tools.
        tool_config: request.tool_choice.as_ref().filter(|_| !request.tools.is_empty()).map(tool_config),
        generation_config: (!is_empty(&config)).then_some(config),
        service_tier: service_tier(request, dropped).map(str::to_owned),
        ..types::Request::default()
    };
    Ok(serde_json::to_vec(&body).expect(PLAIN))
}

/// What the dialect has no field for.
fn note(request: &ChatRequest, dropped: &mut Dropped) {
    dropped.note_if(request.parallel_tools == Some(false), "parallel_tool_calls");
    dropped.note_if(request.user.is_some(), "user");
    dropped.note_if(!request.metadata.is_empty(), "metadata");
    dropped.note_if(request.cache_key.is_some(), "prompt_cache_key");
    dropped.note_if(request.store.is_some(), "store");
    dropped.note_if(request.sampling.logit_bias.is_some(), "logit_bias");
    // Most models refuse to tell them, and the answer's have another shape.
    dropped.note_if(request.sampling.logprobs.is_some(), "logprobs");
}

fn boxed(raw: &Raw) -> Box<RawValue> {
    (*raw.0).to_owned()
}

fn tools(tools: &[Tool], dropped: &mut Dropped) -> Option<List<types::Tool>> {
    let declaration = |tool: &Tool| {
        dropped.note_if(tool.strict == Some(true), "strict");
        dropped.note_if(tool.cache.is_some(), "cache_control");
        FunctionDeclaration {
            name: Some(tool.name.clone()),
            description: tool.description.clone(),
            parameters_json_schema: tool.parameters.as_ref().map(boxed),
            ..FunctionDeclaration::default()
        }
    };
    let declarations = List::of(tools.iter().map(declaration).collect())?;
    List::of(vec![types::Tool { function_declarations: Some(declarations), ..types::Tool::default() }])
}

/// <https://ai.google.dev/gemini-api/docs/function-calling#function_calling_modes>
fn tool_config(choice: &ToolChoice) -> ToolConfig {
    let (mode, names): (_, &[String]) = match choice {
        ToolChoice::Auto => ("AUTO", &[]),
        ToolChoice::None => ("NONE", &[]),
        ToolChoice::Any => ("ANY", &[]),
        ToolChoice::Named(name) => ("ANY", std::slice::from_ref(name)),
        ToolChoice::Allowed { names, required: true } => ("ANY", names),
        // The one mode in which some tools may be called, or none.
        ToolChoice::Allowed { names, required: false } => ("VALIDATED", names),
    };
    let config = FunctionCallingConfig {
        mode: Some(mode.to_owned()),
        allowed_function_names: List::of(names.to_vec()),
        ..FunctionCallingConfig::default()
    };
    ToolConfig { function_calling_config: Some(config), ..ToolConfig::default() }
}

fn generation(request: &ChatRequest, model: &str, dropped: &mut Dropped) -> GenerationConfig {
    let sampling = &request.sampling;
    let seed = sampling.seed.filter(|seed| i32::try_from(*seed).is_ok());
    dropped.note_if(seed.is_none() && sampling.seed.is_some(), "seed");
    let (mime_type, schema) = match &request.format {
        None | Some(Format::Text) => (None, None),
        Some(Format::Json) => (Some("application/json"), None),
        Some(Format::Schema { schema, description, .. }) => {
            dropped.note_if(description.is_some(), "response_format.description");
            (Some("application/json"), Some(boxed(schema)))
        }
    };
    let image = &request.image_output;
    let image_config = (image.aspect_ratio.is_some() || image.size.is_some()).then(|| ImageConfig {
        aspect_ratio: image.aspect_ratio.clone(),
        image_size: image.size.clone(),
        ..ImageConfig::default()
    });
    GenerationConfig {
        temperature: sampling.temperature.clone(),
        top_p: sampling.top_p.clone(),
        top_k: whole(sampling.top_k),
        max_output_tokens: whole(request.max_tokens),
        stop_sequences: List::of(request.stop.clone()),
        // Newer models refuse the field, and one is what they give.
        candidate_count: whole(sampling.choices.filter(|count| *count != 1)),
        seed: seed.map(Whole),
        presence_penalty: sampling.presence_penalty.clone(),
        frequency_penalty: sampling.frequency_penalty.clone(),
        response_mime_type: mime_type.map(str::to_owned),
        response_json_schema: schema,
        thinking_config: thinking::config(&request.reasoning, model, dropped),
        response_modalities: modalities(&request.modalities, dropped),
        image_config,
        ..GenerationConfig::default()
    }
}

/// What is beyond the vendor's numbers is as much as they can say.
fn whole(count: Option<u64>) -> Option<Whole> {
    count.map(|count| Whole(i64::try_from(count).unwrap_or(i64::MAX)))
}

fn is_empty(config: &GenerationConfig) -> bool {
    serde_json::to_string(config).is_ok_and(|json| json == "{}")
}

/// Images come beside text, speech comes alone.
fn modalities(wanted: &[String], dropped: &mut Dropped) -> Option<List<String>> {
    dropped.note_if(wanted.iter().any(|kind| !MODALITIES.contains(&&**kind)), "modalities");
    let wants = |kind: &str| wanted.iter().any(|wanted| wanted == kind);
    let kinds: &[&str] = match (wants("image"), wants("audio")) {
        (false, false) => &[],
        (false, true) => &["AUDIO"],
        (true, false) => &["TEXT", "IMAGE"],
        (true, true) => &["TEXT", "IMAGE", "AUDIO"],
    };
    List::of(kinds.iter().map(|kind| (*kind).to_owned()).collect())
}

fn service_tier(request: &ChatRequest, dropped: &mut Dropped) -> Option<&'static str> {
    match request.service_tier.as_deref()? {
        "flex" => Some("flex"),
        "priority" => Some("priority"),
        "default" | "standard" | "standard_only" => Some("standard"),
        "auto" => None,
        _ => {
            dropped.note("service_tier");
            None
        }
    }
}
