//! From the items of a caller's `input` to turns.

use super::{
    DIALECT,
    seal::{self, Of},
    types::{Content, Contents, Item, Kind, note_rest},
};
use crate::wire::{
    chat::{
        CacheMark, Dropped, Part, Role, Signature, Source, Thinking, ToolCall, ToolResult, Turn, UNSIGNED,
        freeform,
    },
    codec::Malformed,
    openai_chat::{data_uri, recording},
};
use serde_json::value::RawValue;

/// Between the paragraphs of a summary, which come in parts of their own.
pub(super) const PARAGRAPH: &str = "\n\n";

/// Adds the whole of `input`: a text, or items.
pub(super) fn read(input: &RawValue, turns: &mut Vec<Turn>, dropped: &mut Dropped) -> Result<(), Malformed> {
    let wrong = |error: serde_json::Error| Malformed::at("input", error.to_string());
    if input.get().starts_with('"') {
        let text: String = serde_json::from_str(input.get()).map_err(wrong)?;
        turns.push(Turn::new(Role::User, vec![Part::text(text)]));
        return Ok(());
    }
    let items: Vec<&RawValue> = serde_json::from_str(input.get()).map_err(wrong)?;
    for (at, item) in items.into_iter().enumerate() {
        add(item, &format!("input[{at}]"), turns, dropped)?;
    }
    Ok(())
}

fn add(raw: &RawValue, here: &str, turns: &mut Vec<Turn>, dropped: &mut Dropped) -> Result<(), Malformed> {
    let wrong = |error: serde_json::Error| Malformed::at(here, error.to_string());
    let refused = |what: &str| Err(Malformed::at(here, what));
    let Kind { kind } = serde_json::from_str(raw.get()).map_err(wrong)?;
    match kind.as_deref() {
        None
        | Some("message" | "reasoning" | "function_call" | "custom_tool_call")
        | Some("function_call_output" | "custom_tool_call_output") => {}
        Some("item_reference") => {
            return refused("is an item_reference: send the item itself, none are kept");
        }
        Some("compaction" | "compaction_summary") => {
            return refused("is a compaction, which only the provider that made it can read");
        }
        // What the vendor's own tools did.
        Some(other) => {
            dropped.note(&format!("input.{other}"));
            return Ok(());
        }
    }
    let item: Item = serde_json::from_str(raw.get()).map_err(wrong)?;
    note_rest(&item.rest, "", dropped);
    match kind.as_deref() {
        Some("reasoning") => reasoning(item, turns),
        Some("function_call" | "custom_tool_call") => {
            if item.call_id.is_none() {
                return Err(Malformed::at(format!("{here}.call_id"), "is missing"));
            }
            say([Part::ToolCall(call(item))], turns);
        }
        Some("function_call_output" | "custom_tool_call_output") => result(item, here, turns, dropped)?,
        // Only messages may be without a type; a bare id is a reference.
        None if item.role.is_none() => {
            return refused("is an item_reference: send the item itself, none are kept");
        }
        _ => message(item, here, turns, dropped)?,
    }
    Ok(())
}

fn message(item: Item, here: &str, turns: &mut Vec<Turn>, dropped: &mut Dropped) -> Result<(), Malformed> {
    let role = match item.role.as_deref() {
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("system") => Role::System,
        Some("developer") => Role::Developer,
        Some(other) => return Err(Malformed::at(format!("{here}.role"), format!("`{other}` is no role"))),
        None => return Err(Malformed::at(format!("{here}.role"), "is missing")),
    };
    let here = format!("{here}.content");
    let content = item.content.ok_or_else(|| Malformed::at(&*here, "is missing"))?;
    let parts = parts(content, &here, dropped)?;
    match role {
        Role::Assistant => say(parts, turns),
        role => turns.push(Turn::new(role, parts)),
    }
    Ok(())
}

/// Adds to what the assistant says before somebody else does.
fn say(parts: impl IntoIterator<Item = Part>, turns: &mut Vec<Turn>) {
    of(Role::Assistant, turns).extend(parts);
}

/// The parts of the last turn, if it is `role`'s, or of a new one.
fn of(role: Role, turns: &mut Vec<Turn>) -> &mut Vec<Part> {
    if turns.last().is_none_or(|turn| turn.role != role) {
        turns.push(Turn::new(role, Vec::new()));
    }
    let last = turns.len() - 1;
    &mut turns[last].parts
}

fn reasoning(item: Item, turns: &mut Vec<Turn>) {
    let (text, is_summary) = shown(item.content, item.summary);
    let signed = item.encrypted_content.filter(|sealed| sealed != UNSIGNED);
    let opened = signed.map(|sealed| seal::open(&sealed, !text.is_empty()));
    let (signature, redacted) = match opened {
        Some((signature, Of::Before)) => {
            let turn = turns.last_mut().filter(|turn| turn.role == Role::Assistant);
            sign(turn.and_then(|turn| turn.parts.last_mut()), signature);
            return;
        }
        Some((signature, of)) => (Some(signature), of == Of::RedactedThought),
        // A thought that is neither shown nor signed says nothing.
        None if text.is_empty() => return,
        None => (None, false),
    };
    let is_own = signature.as_ref().is_none_or(|signature| signature.dialect == DIALECT);
    let id = item.id.filter(|_| is_own);
    say([Part::Thinking(Thinking { id, text, signature, redacted, summary: is_summary && is_own })], turns);
}

/// What is shown of a thought, and whether that is a summary of it.
pub(super) fn shown(content: Option<Contents>, summary: Option<Vec<Content>>) -> (String, bool) {
    let text = |parts: Vec<Content>| {
        let texts: Vec<_> = parts.into_iter().filter_map(|part| part.text).collect();
        texts.join(PARAGRAPH)
    };
    let whole = content.map_or_else(String::new, |content| text(content.into_parts()));
    if whole.is_empty() { (summary.map_or_else(String::new, text), true) } else { (whole, false) }
}

/// Gives the part its signature, if it is one that can have one.
fn sign(part: Option<&mut Part>, signed: Signature) {
    match part {
        Some(Part::Text { signature, .. }) => *signature = Some(signed),
        Some(Part::ToolCall(call)) => call.signature = Some(signed),
        _ => {}
    }
}

/// The call that an item is, of a caller or of an upstream.
pub(super) fn call(item: Item) -> ToolCall {
    let arguments = match item.input {
        Some(input) => freeform::arguments(&input),
        None => item.arguments.unwrap_or_default(),
    };
    let id = item.call_id.or(item.id).unwrap_or_default();
    ToolCall { id, name: item.name.unwrap_or_default(), arguments, ..ToolCall::default() }
}

fn result(item: Item, here: &str, turns: &mut Vec<Turn>, dropped: &mut Dropped) -> Result<(), Malformed> {
    let call_id = item.call_id.ok_or_else(|| Malformed::at(format!("{here}.call_id"), "is missing"))?;
    let here = format!("{here}.output");
    let parts = item.output.map_or_else(|| Ok(Vec::new()), |output| parts(output, &here, dropped))?;
    let result = ToolResult { call_id, name: item.name, parts, ..ToolResult::default() };
    of(Role::Tool, turns).push(Part::ToolResult(result));
    Ok(())
}

fn parts(contents: Contents, here: &str, dropped: &mut Dropped) -> Result<Vec<Part>, Malformed> {
    let parts = contents.into_parts().into_iter().enumerate();
    parts.map(|(at, content)| part(content, &format!("{here}[{at}]"), dropped)).collect()
}

fn part(wire: Content, here: &str, dropped: &mut Dropped) -> Result<Part, Malformed> {
    note_rest(&wire.rest, "", dropped);
    let missing = |name: &str| Malformed::at(format!("{here}.{name}"), "is missing");
    // The vendor keeps a prompt for half an hour or for twelve.
    let cache = wire.prompt_cache_breakpoint.map(|mark| match mark.ttl.as_deref() {
        Some("12h") => CacheMark::OneHour,
        _ => CacheMark::FiveMinutes,
    });
    let stored = |id| Source::File { dialect: DIALECT, id };
    let fetched = |url: String| data_uri(&url).unwrap_or(Source::Url { url, media_type: None });
    Ok(match wire.kind.as_deref() {
        Some("input_text" | "output_text" | "text") => {
            let annotations = wire.annotations.unwrap_or_default();
            let all = annotations.len();
            let citations: Vec<_> = annotations.into_iter().filter_map(|each| each.citation()).collect();
            dropped.note_if(citations.len() < all, "citations");
            Part::Text { text: wire.text.ok_or_else(|| missing("text"))?, citations, signature: None, cache }
        }
        Some("refusal") => Part::Refusal { text: wire.refusal.ok_or_else(|| missing("refusal"))? },
        Some("input_image") => {
            let url = wire.image_url.filter(|url| !url.is_empty());
            let source = url.map(fetched).or(wire.file_id.map(stored));
            Part::Image { source: source.ok_or_else(|| missing("image_url"))?, detail: wire.detail, cache }
        }
        Some("input_file") => {
            let source =
                match wire.file_data {
                    Some(data) => Some(data_uri(&data).ok_or_else(|| {
                        Malformed::at(format!("{here}.file_data"), "is no data URI in base64")
                    })?),
                    None => {
                        let url = wire.file_url.filter(|url| !url.is_empty());
                        url.map(fetched).or(wire.file_id.map(stored))
                    }
                };
            let source = source.ok_or_else(|| missing("file_data"))?;
            Part::Document { source, name: wire.filename, citations: false, cache }
        }
        Some("input_audio") => {
            let audio = wire.input_audio.ok_or_else(|| missing("input_audio"))?;
            let source = recording(audio.format, audio.data).ok_or_else(|| {
                Malformed::at(format!("{here}.input_audio.format"), "is no format of sound")
            })?;
            Part::Audio { source, cache }
        }
        Some(other) => {
            return Err(Malformed::at(format!("{here}.type"), format!("`{other}` is no kind of part")));
        }
        None => return Err(missing("type")),
    })
}
