//! What a caller asks.

use super::{
    turns,
    types::{
        Choice, NamedChoice, Reasoning as WireReasoning, Request, Text, TextFormat, Tool as WireTool,
        note_rest,
    },
};
use crate::wire::{
    chat::{
        ChatRequest, Dropped, Effort, Format, Part, Reasoning, Role, Sampling, Tool, ToolChoice, Turn,
        freeform,
    },
    codec::Malformed,
};
use std::collections::BTreeSet;

pub(super) fn request(body: &[u8], dropped: &mut Dropped) -> Result<ChatRequest, Malformed> {
    let wire: Request<'_> =
        serde_json::from_slice(body).map_err(|error| Malformed::new(error.to_string()))?;
    refuse_memory(&wire)?;
    note_rest(&wire.rest, "", dropped);
    // What is asked for at once is given at once.
    dropped.note_if(wire.background == Some(true), "background");
    dropped.note_if(wire.truncation.as_deref().is_some_and(|how| how != "disabled"), "truncation");
    let both_users = wire.user.is_some() && wire.safety_identifier.is_some();
    dropped.note_if(both_users && wire.user != wire.safety_identifier, "user");
    let mut all = Vec::new();
    if let Some(text) = wire.instructions {
        all.push(Turn::new(Role::System, vec![Part::text(text)]));
    }
    let input = wire.input.ok_or_else(|| Malformed::at("input", "is missing"))?;
    turns::read(input, &mut all, dropped)?;
    let sampling = Sampling {
        temperature: wire.temperature,
        top_p: wire.top_p,
        logprobs: logprobs(wire.top_logprobs, &wire.include.unwrap_or_default(), dropped),
        ..Sampling::default()
    };
    let (tools, freeform_tools) = tools(wire.tools.unwrap_or_default(), dropped)?;
    let stream = wire.stream.unwrap_or(false);
    Ok(ChatRequest {
        model: wire.model.unwrap_or_default(),
        turns: all,
        tools,
        freeform_tools,
        tool_choice: wire.tool_choice.map_or(Ok(None), |choice| tool_choice(choice, dropped))?,
        parallel_tools: wire.parallel_tool_calls,
        max_tokens: wire.max_output_tokens,
        sampling,
        format: wire.text.map_or(Ok(None), |text| format(text, dropped))?,
        reasoning: wire.reasoning.map_or(Ok(Reasoning::default()), |wire| reasoning(wire, dropped))?,
        stream,
        // Here every stream ends with its usage.
        stream_usage: stream,
        user: wire.safety_identifier.or(wire.user),
        metadata: wire.metadata.unwrap_or_default(),
        service_tier: wire.service_tier,
        cache_key: wire.prompt_cache_key,
        store: wire.store,
        ..ChatRequest::default()
    })
}

/// Members that lean on what the vendor keeps cannot be said to another.
fn refuse_memory(wire: &Request<'_>) -> Result<(), Malformed> {
    for (is_there, name, instead) in [
        (wire.previous_response_id.is_some(), "previous_response_id", "send the earlier items in `input`"),
        (wire.conversation.is_some(), "conversation", "send its items in `input`"),
        (wire.prompt.is_some(), "prompt", "send its text in `instructions`"),
    ] {
        if is_there {
            let message = format!("names what is kept with another provider: {instead}");
            return Err(Malformed::at(name, message));
        }
    }
    Ok(())
}

fn logprobs(top: Option<u64>, include: &[String], dropped: &mut Dropped) -> Option<u64> {
    let mut wanted = top;
    for name in include {
        match &**name {
            // Signed thoughts are always given.
            "reasoning.encrypted_content" => {}
            "message.output_text.logprobs" => wanted = wanted.or(Some(0)),
            _ => dropped.note("include"),
        }
    }
    wanted
}

fn reasoning(wire: WireReasoning, dropped: &mut Dropped) -> Result<Reasoning, Malformed> {
    note_rest(&wire.rest, "reasoning.", dropped);
    let effort = wire.effort.map(|word| {
        Effort::from_name(&word)
            .ok_or_else(|| Malformed::at("reasoning.effort", format!("`{word}` is no effort")))
    });
    let summary = wire.summary.or(wire.generate_summary).map(String::from);
    let shown = summary.is_some().then_some(true);
    Ok(Reasoning { effort: effort.transpose()?, shown, summary, ..Reasoning::default() })
}

fn format(wire: Text, dropped: &mut Dropped) -> Result<Option<Format>, Malformed> {
    note_rest(&wire.rest, "text.", dropped);
    // The middle is what everybody does by itself.
    dropped.note_if(wire.verbosity.is_some_and(|verbosity| verbosity != "medium"), "verbosity");
    let Some(TextFormat { kind, name, description, schema, strict }) = wire.format else { return Ok(None) };
    match kind.as_deref() {
        Some("text") => Ok(Some(Format::Text)),
        Some("json_object") => Ok(Some(Format::Json)),
        Some("json_schema") => {
            let schema = schema.ok_or_else(|| Malformed::at("text.format.schema", "is missing"))?;
            Ok(Some(Format::Schema { name, description, schema: schema.into(), strict }))
        }
        Some(other) => Err(Malformed::at("text.format.type", format!("`{other}` cannot be translated"))),
        None => Err(Malformed::at("text.format.type", "is missing")),
    }
}

/// The tools, and the names of those that take plain text.
fn tools(wire: Vec<WireTool>, dropped: &mut Dropped) -> Result<(Vec<Tool>, BTreeSet<String>), Malformed> {
    let (mut tools, mut freeform_tools) = (Vec::new(), BTreeSet::new());
    for (at, tool) in wire.into_iter().enumerate() {
        let missing = |what: &str| Malformed::at(format!("tools[{at}].{what}"), "is missing");
        let kind = tool.kind.ok_or_else(|| missing("type"))?;
        if !matches!(&*kind, "function" | "custom") {
            dropped.note(&format!("tools.{kind}"));
            continue;
        }
        note_rest(&tool.rest, "", dropped);
        let name = tool.name.ok_or_else(|| missing("name"))?;
        if kind == "custom" {
            let format = tool.format.unwrap_or_default();
            let grammar = format.syntax.as_deref().zip(format.definition.as_deref());
            dropped.note_if(grammar.is_some(), "tools.grammar");
            freeform_tools.insert(name.clone());
            tools.push(freeform::tool(name, tool.description, grammar));
            continue;
        }
        let parameters = tool.parameters.map(Into::into);
        tools.push(Tool {
            name,
            description: tool.description,
            parameters,
            strict: tool.strict,
            cache: None,
        });
    }
    Ok((tools, freeform_tools))
}

/// `None`: what is chosen is a tool that is not carried.
fn tool_choice(wire: Choice, dropped: &mut Dropped) -> Result<Option<ToolChoice>, Malformed> {
    let choice = match wire {
        Choice::Named(choice) => choice,
        Choice::Word(word) => {
            return match &*word {
                "auto" => Ok(Some(ToolChoice::Auto)),
                "none" => Ok(Some(ToolChoice::None)),
                "required" => Ok(Some(ToolChoice::Any)),
                other => Err(Malformed::at("tool_choice", format!("`{other}` cannot be translated"))),
            };
        }
    };
    if choice.kind.as_deref() != Some("allowed_tools") {
        return Ok(named(choice, dropped)?.map(ToolChoice::Named));
    }
    let mut names = Vec::new();
    for tool in choice.tools.into_iter().flatten() {
        names.extend(named(tool, dropped)?);
    }
    let required = choice.mode.as_deref() == Some("required");
    Ok((!names.is_empty()).then_some(ToolChoice::Allowed { names, required }))
}

/// The name of a tool that is carried.
fn named(choice: NamedChoice, dropped: &mut Dropped) -> Result<Option<String>, Malformed> {
    match choice.kind.as_deref() {
        Some("function" | "custom") => {
            choice.name.map(Some).ok_or_else(|| Malformed::at("tool_choice.name", "is missing"))
        }
        other => {
            dropped.note(&format!("tools.{}", other.unwrap_or_default()));
            Ok(None)
        }
    }
}
