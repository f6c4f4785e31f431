//! From turns to the items of an upstream's `input`: each message, thought, call and result is one of its
//! own.

use super::{
    DIALECT,
    types::{Annotation, Content, Contents, Item},
};
use crate::wire::{
    chat::{Dropped, Part, Role, Source, Thinking, ToolResult, Turn, call_id},
    codec::Malformed,
};

/// Longest id of a call that the vendor takes, in characters; other vendors have longer ones.
const CALL_ID_MAX: usize = 64;

pub(super) fn of(turns: &[Turn], dropped: &mut Dropped) -> Result<Vec<Item>, Malformed> {
    let mut items = Vec::new();
    for turn in turns {
        match turn.role {
            Role::System => items.extend(message("system", turn, dropped)?),
            Role::Developer => items.extend(message("developer", turn, dropped)?),
            Role::User => items.extend(message("user", turn, dropped)?),
            Role::Assistant => said(turn, &mut items, dropped)?,
            Role::Tool => {
                for part in &turn.parts {
                    let Part::ToolResult(came) = part else { return Err(misplaced(part)) };
                    items.push(result(came, dropped)?);
                }
            }
        }
    }
    Ok(items)
}

/// A message of somebody who is not the model; `None`: it says nothing.
fn message(role: &'static str, turn: &Turn, dropped: &mut Dropped) -> Result<Option<Item>, Malformed> {
    let parts = turn.parts.iter().map(|part| input(part, dropped)).collect::<Result<Vec<_>, _>>()?;
    Ok((!parts.is_empty()).then(|| Item::message(role, contents(parts))))
}

/// One text is a string, which every upstream of this dialect can read.
fn contents(mut parts: Vec<Content>) -> Contents {
    match &mut parts[..] {
        [] => Contents::Text(String::new()),
        [Content { text: Some(text), annotations: None, .. }] => Contents::Text(std::mem::take(text)),
        _ => Contents::Parts(parts),
    }
}

/// What the model said: texts that follow each other are one message.
fn said(turn: &Turn, items: &mut Vec<Item>, dropped: &mut Dropped) -> Result<(), Malformed> {
    let mut texts = Vec::new();
    for part in &turn.parts {
        let item = match part {
            Part::Text { text, citations, signature, cache } => {
                dropped.note_if(signature.is_some(), "signature");
                dropped.note_if(cache.is_some(), "cache_control");
                let annotations: Vec<_> =
                    citations.iter().filter_map(|citation| Annotation::of(citation, text)).collect();
                dropped.note_if(annotations.len() < citations.len(), "citations");
                // One that only carries a signature says nothing here.
                if text.is_empty() && signature.is_some() {
                    continue;
                }
                let annotations = (!annotations.is_empty()).then_some(annotations);
                texts.push(Content { annotations, ..Content::text("output_text", text) });
                continue;
            }
            Part::Refusal { text } => {
                texts.push(Content::refusal(text));
                continue;
            }
            Part::Thinking(thinking) => thought(thinking, dropped),
            Part::ToolCall(call) => {
                dropped.note_if(call.signature.is_some(), "signature");
                dropped.note_if(call.cache.is_some(), "cache_control");
                let arguments = if call.arguments.trim().is_empty() { "{}" } else { &*call.arguments };
                Some(Item {
                    call_id: Some(call_id::at_most(&call.id, CALL_ID_MAX).into_owned()),
                    name: Some(call.name.clone()),
                    arguments: Some(arguments.to_owned()),
                    ..Item::of("function_call")
                })
            }
            // What the model made, such as an image, cannot be put into its mouth again.
            Part::Image { .. } | Part::Audio { .. } | Part::Document { .. } => {
                dropped.note(kind(part));
                None
            }
            Part::ToolResult(_) => return Err(misplaced(part)),
        };
        if item.is_some() && !texts.is_empty() {
            items.push(Item::message("assistant", contents(std::mem::take(&mut texts))));
        }
        items.extend(item);
    }
    if !texts.is_empty() {
        items.push(Item::message("assistant", contents(texts)));
    }
    Ok(())
}

/// A thought that the vendor signed; others it would not take.
fn thought(thinking: &Thinking, dropped: &mut Dropped) -> Option<Item> {
    let signature = thinking.signature.as_ref();
    let Some(own) = signature.and_then(|signature| signature.own(DIALECT)) else {
        dropped.note_if(signature.is_some(), "signature");
        dropped.note_if(!thinking.text.is_empty(), "reasoning");
        return None;
    };
    let shown = (!thinking.text.is_empty()).then(|| Content::text("summary_text", &thinking.text));
    Some(Item {
        id: thinking.id.clone(),
        summary: Some(shown.into_iter().collect()),
        encrypted_content: Some(own.to_owned()),
        ..Item::of("reasoning")
    })
}

fn result(result: &ToolResult, dropped: &mut Dropped) -> Result<Item, Malformed> {
    dropped.note_if(result.cache.is_some(), "cache_control");
    // The dialect tells failures in the text alone.
    dropped.note_if(result.is_error, "is_error");
    let parts = result.parts.iter().map(|part| input(part, dropped)).collect::<Result<Vec<_>, _>>()?;
    let output = contents(parts);
    Ok(Item {
        call_id: Some(call_id::at_most(&result.call_id, CALL_ID_MAX).into_owned()),
        output: Some(output),
        ..Item::of("function_call_output")
    })
}

/// A part of what is said to the model.
fn input(part: &Part, dropped: &mut Dropped) -> Result<Content, Malformed> {
    let mut mark = |cache: &Option<_>| dropped.note_if(cache.is_some(), "cache_control");
    match part {
        Part::Text { text, cache, .. } => {
            mark(cache);
            Ok(Content::text("input_text", text))
        }
        Part::Refusal { text } => Ok(Content::text("input_text", text)),
        Part::Image { source, detail, cache } => {
            mark(cache);
            let detail = detail.as_deref().unwrap_or("auto").to_owned();
            let image = Content { detail: Some(detail), ..Content::of("input_image") };
            Ok(match source {
                Source::Url { url, .. } => Content { image_url: Some(url.clone()), ..image },
                Source::Data { .. } => Content { image_url: data_uri(source), ..image },
                stored => Content { file_id: Some(own_file(stored)?), ..image },
            })
        }
        Part::Document { source, name, citations, cache } => {
            mark(cache);
            dropped.note_if(*citations, "citations");
            let file = Content::of("input_file");
            Ok(match source {
                Source::Text(text) => Content::text("input_text", text),
                // The vendor names what it fetches, and what it has.
                Source::Url { url, .. } => Content { file_url: Some(url.clone()), ..file },
                Source::Data { media_type, .. } => {
                    let name = name.clone().unwrap_or_else(|| file_name(media_type).to_owned());
                    Content { filename: Some(name), file_data: data_uri(source), ..file }
                }
                stored => Content { file_id: Some(own_file(stored)?), ..file },
            })
        }
        Part::Audio { .. } | Part::Thinking(_) | Part::ToolCall(_) | Part::ToolResult(_) => {
            Err(misplaced(part))
        }
    }
}

fn data_uri(source: &Source) -> Option<String> {
    let Source::Data { media_type, base64 } = source else { return None };
    Some(format!("data:{media_type};base64,{base64}"))
}

/// A name for a file that has none: the dialect wants one with data.
fn file_name(media_type: &str) -> &'static str {
    if media_type == "application/pdf" { "document.pdf" } else { "document.txt" }
}

fn own_file(source: &Source) -> Result<String, Malformed> {
    match source {
        Source::File { dialect: DIALECT, id } => Ok(id.clone()),
        _ => Err(Malformed::at("input", "A file that another vendor stores cannot be sent to this upstream")),
    }
}

/// The neutral name of a part.
fn kind(part: &Part) -> &'static str {
    match part {
        Part::Text { .. } => "text",
        Part::Refusal { .. } => "refusal",
        Part::Thinking(_) => "reasoning",
        Part::Image { .. } => "image",
        Part::Document { .. } => "document",
        Part::Audio { .. } => "audio",
        Part::ToolCall(_) => "tool_call",
        Part::ToolResult(_) => "tool_result",
    }
}

fn misplaced(part: &Part) -> Malformed {
    Malformed::at("input", format!("A part of kind `{}` cannot be sent to this upstream there", kind(part)))
}
