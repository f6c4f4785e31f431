//! What a caller asks.

use super::{
    DIALECT, parts,
    types::{
        CacheControl, Content, Message, OutputConfig, OutputFormat, Request, Rest, ThinkingConfig, Tool,
        ToolChoice,
    },
};
use crate::wire::{
    chat::{
        self, CacheMark, ChatRequest, Dropped, Effort, Format, Part, Reasoning, Role, Sampling, Thinking,
        Turn,
    },
    codec::{Malformed, UrlSays},
};

pub(super) fn request(
    body: &[u8],
    url: UrlSays<'_>,
    dropped: &mut Dropped,
) -> Result<ChatRequest, Malformed> {
    let wire: Request = serde_json::from_slice(body).map_err(|error| Malformed::new(error.to_string()))?;
    note(&wire.rest, dropped);
    let mut turns = Vec::new();
    if let Some(content) = wire.system {
        push_system(content, "system", &mut turns, dropped)?;
    }
    for (at, message) in wire.messages.unwrap_or_default().into_iter().enumerate() {
        push_message(message, &format!("messages[{at}]"), &mut turns, dropped)?;
    }
    // Only together is it known what a sealed signature belongs to.
    let assistants = turns.iter_mut().filter(|turn| turn.role == Role::Assistant);
    assistants.for_each(|turn| attach(&mut turn.parts));
    mark_last(wire.cache_control, &mut turns, dropped);

    let (tools, builtin) = tools(wire.tools.unwrap_or_default(), dropped)?;
    let parallel_tools = wire.tool_choice.as_ref().and_then(|choice| choice.disable_parallel_tool_use);
    let output = wire.output_config.unwrap_or_default();
    note(&output.rest, dropped);
    let metadata = wire.metadata.unwrap_or_default();
    dropped.note_if(metadata.rest.values().any(Option::is_some), "metadata");
    let stream = wire.stream.unwrap_or(false);
    Ok(ChatRequest {
        model: wire.model.or_else(|| url.model.map(str::to_owned)).unwrap_or_default(),
        turns,
        tools,
        tool_choice: tool_choice(wire.tool_choice, &builtin, dropped)?,
        parallel_tools: parallel_tools.map(|disabled| !disabled),
        max_tokens: wire.max_tokens,
        sampling: Sampling {
            temperature: wire.temperature,
            top_p: wire.top_p,
            top_k: wire.top_k,
            ..Sampling::default()
        },
        stop: wire.stop_sequences.unwrap_or_default(),
        reasoning: reasoning(wire.thinking, &output, dropped),
        format: output.format.or(wire.output_format).map_or(Ok(None), |wire| format(wire, dropped))?,
        stream,
        // Every stream of this dialect ends with it.
        stream_usage: stream,
        user: metadata.user_id,
        service_tier: wire.service_tier.map(|tier| {
            // Here and in answers a tier is called as most dialects call it.
            if tier == "standard_only" { "default".to_owned() } else { tier }
        }),
        ..ChatRequest::default()
    })
}

pub(super) fn note(rest: &Rest, dropped: &mut Dropped) {
    let said = rest.iter().filter(|(_, value)| value.is_some());
    said.for_each(|(name, _)| dropped.note(name));
}

pub(super) fn missing(here: &str, name: &str) -> Malformed {
    Malformed::at(format!("{here}.{name}"), "is missing")
}

fn push_system(
    content: Content,
    here: &str,
    turns: &mut Vec<Turn>,
    dropped: &mut Dropped,
) -> Result<(), Malformed> {
    let parts = parts::of_content(content, here, dropped)?;
    expect_all(&parts, here, |part| matches!(part, Part::Text { .. }))?;
    push(Role::System, parts, turns);
    Ok(())
}

fn push_message(
    message: Message,
    here: &str,
    turns: &mut Vec<Turn>,
    dropped: &mut Dropped,
) -> Result<(), Malformed> {
    note(&message.rest, dropped);
    let content = message.content.ok_or_else(|| missing(here, "content"))?;
    let place = format!("{here}.content");
    match &*message.role {
        "system" => push_system(content, &place, turns, dropped)?,
        "assistant" => {
            let parts = parts::of_content(content, &place, dropped)?;
            expect_all(&parts, &place, |part| !matches!(part, Part::ToolResult(_)))?;
            push(Role::Assistant, parts, turns);
        }
        "user" => {
            // A user's message is what tools came to, and what the user says.
            let parts = parts::of_content(content, &place, dropped)?;
            expect_all(&parts, &place, |part| !matches!(part, Part::ToolCall(_) | Part::Thinking(_)))?;
            let (results, said) = parts.into_iter().partition(|part| matches!(part, Part::ToolResult(_)));
            push(Role::Tool, results, turns);
            push(Role::User, said, turns);
        }
        "" => return Err(missing(here, "role")),
        role => return Err(Malformed::at(format!("{here}.role"), format!("`{role}` is no role"))),
    }
    Ok(())
}

fn expect_all(parts: &[Part], here: &str, can_be: fn(&Part) -> bool) -> Result<(), Malformed> {
    if parts.iter().all(can_be) {
        return Ok(());
    }
    Err(Malformed::at(here, "has a block that only another role can have"))
}

/// More of the last turn, where results or an assistant go on, or a turn of its own.
fn push(role: Role, parts: Vec<Part>, turns: &mut Vec<Turn>) {
    if parts.is_empty() {
        return;
    }
    match turns.last_mut() {
        Some(last) if last.role == role && matches!(role, Role::Tool | Role::Assistant) => {
            last.parts.extend(parts);
        }
        _ => turns.push(Turn::new(role, parts)),
    }
}

/// Gives each call the signature that is carried before it, and each text the one that is behind it.
fn attach(parts: &mut Vec<Part>) {
    let mut out: Vec<Part> = Vec::with_capacity(parts.len());
    for mut part in parts.drain(..) {
        match (&mut part, out.last_mut()) {
            (Part::ToolCall(call), Some(Part::Thinking(before))) if is_carrier(before) => {
                call.signature = before.signature.take();
                out.pop();
            }
            (
                Part::Text { text, signature: signature @ Some(_), .. },
                Some(Part::Text { signature: place @ None, .. }),
            ) if text.is_empty() => {
                *place = signature.take();
                continue;
            }
            _ => {}
        }
        out.push(part);
    }
    *parts = out;
}

/// Whether it is no thought, but carries another dialect's signature of the call that follows.
fn is_carrier(thinking: &Thinking) -> bool {
    let is_foreign = thinking.signature.as_ref().is_some_and(|signature| signature.dialect != DIALECT);
    thinking.text.is_empty() && !thinking.redacted && is_foreign
}

/// The request's own mark is one on its last block that can have one.
fn mark_last(mark: Option<CacheControl>, turns: &mut [Turn], dropped: &mut Dropped) {
    let Some(mark) = mark else { return };
    let place = turns.last_mut().and_then(|turn| turn.parts.last_mut()).and_then(parts::cache_mut);
    match place {
        Some(place) => *place = place.or(Some(CacheMark::from(mark))),
        None => dropped.note("cache_control"),
    }
}

/// The tools, and the names of those that are the vendor's own.
fn tools(wire: Vec<Tool>, dropped: &mut Dropped) -> Result<(Vec<chat::Tool>, Vec<String>), Malformed> {
    let (mut tools, mut builtin) = (Vec::with_capacity(wire.len()), Vec::new());
    for (at, tool) in wire.into_iter().enumerate() {
        if let Some(kind) = tool.kind.as_deref().filter(|kind| *kind != "custom") {
            dropped.note(&format!("tools.{}", undated(kind)));
            builtin.push(tool.name);
            continue;
        }
        note(&tool.rest, dropped);
        if tool.name.is_empty() {
            return Err(missing(&format!("tools[{at}]"), "name"));
        }
        tools.push(chat::Tool {
            name: tool.name,
            description: tool.description,
            parameters: tool.input_schema.map(Into::into),
            strict: tool.strict,
            cache: tool.cache_control.map(CacheMark::from),
        });
    }
    Ok((tools, builtin))
}

/// `web_search_20250305` without its date.
fn undated(kind: &str) -> &str {
    match kind.rsplit_once('_') {
        Some((name, date)) if date.len() == 8 && date.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => kind,
    }
}

fn tool_choice(
    wire: Option<ToolChoice>,
    builtin: &[String],
    dropped: &mut Dropped,
) -> Result<Option<chat::ToolChoice>, Malformed> {
    let Some(choice) = wire else { return Ok(None) };
    Ok(Some(match (&*choice.kind, choice.name) {
        ("auto", _) => chat::ToolChoice::Auto,
        ("any", _) => chat::ToolChoice::Any,
        ("none", _) => chat::ToolChoice::None,
        // A tool that is not there any more cannot be asked for.
        ("tool", Some(name)) if builtin.contains(&name) => {
            dropped.note("tool_choice");
            return Ok(None);
        }
        ("tool", Some(name)) => chat::ToolChoice::Named(name),
        ("tool", None) => return Err(missing("tool_choice", "name")),
        (kind, _) => {
            return Err(Malformed::at("tool_choice.type", format!("`{kind}` cannot be translated")));
        }
    }))
}

fn format(wire: OutputFormat, dropped: &mut Dropped) -> Result<Option<Format>, Malformed> {
    if wire.kind != "json_schema" {
        dropped.note_if(wire.kind != "text", "response_format");
        return Ok(None);
    }
    let schema = wire.schema.ok_or_else(|| missing("output_config.format", "schema"))?;
    // Here answers are always held to the schema.
    Ok(Some(Format::Schema { name: None, description: None, schema: schema.into(), strict: Some(true) }))
}

fn reasoning(wire: Option<ThinkingConfig>, output: &OutputConfig, dropped: &mut Dropped) -> Reasoning {
    let effort = output.effort.as_deref().and_then(Effort::from_name);
    dropped.note_if(output.effort.is_some() && effort.is_none(), "effort");
    let Some(config) = wire else { return Reasoning { effort, ..Reasoning::default() } };
    let shown = config.display.as_deref().map(|display| display != "omitted");
    let mut reasoning = Reasoning { effort, shown, ..Reasoning::default() };
    match &*config.kind {
        "enabled" => reasoning.budget = config.budget_tokens,
        "adaptive" => reasoning.adaptive = true,
        // Models that cannot be kept from all thinking have the second word for it.
        "disabled" | "between_tools" => reasoning.budget = Some(0),
        _ => dropped.note("thinking"),
    }
    reasoning
}
