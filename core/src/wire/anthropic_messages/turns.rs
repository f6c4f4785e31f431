//! Turns become the system prompt and the messages that an upstream is sent.
//!
//! Messages alternate between `user` and `assistant`, results of tools come first in a user's, and no text
//! is empty. Thoughts are sent only under the signature of this dialect: an upstream takes no others.

use super::{
    DIALECT,
    types::{Block, Citations, Content, Message, Source},
};
use crate::wire::{
    chat::{self, CacheMark, Dropped, Part, Role, Signature, Thinking, ToolCall, ToolResult, Turn, call_id},
    codec::Malformed,
    json,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A conversation in the dialect's form.
pub(super) struct Said {
    pub(super) system: Vec<Block>,
    pub(super) messages: Vec<Message>,
    /// The last results answer calls that no thought stands before.
    pub(super) in_unthought_loop: bool,
}

/// One side's blocks.
type Draft = (&'static str, Vec<Block>);

/// # Errors
/// A part cannot be said in this dialect.
pub(super) fn encode(turns: &[Turn], dropped: &mut Dropped) -> Result<Said, Malformed> {
    let (mut system, mut drafts) = (Vec::new(), Vec::<Draft>::new());
    for turn in turns {
        dropped.note_if(turn.name.is_some(), "name");
        let mut blocks = Vec::with_capacity(turn.parts.len());
        for part in &turn.parts {
            blocks.extend(block(part, turn.role, dropped)?);
        }
        let role = match turn.role {
            Role::System | Role::Developer => {
                dropped.note_if(!drafts.is_empty(), "system_position");
                system.append(&mut blocks);
                continue;
            }
            Role::User | Role::Tool => "user",
            Role::Assistant => "assistant",
        };
        match drafts.last_mut() {
            Some((last, said)) if *last == role => said.append(&mut blocks),
            _ if blocks.is_empty() => {}
            _ => drafts.push((role, blocks)),
        }
    }
    for (role, blocks) in &mut drafts {
        match *role {
            "assistant" => trim_thoughts(blocks, dropped),
            _ => blocks.sort_by_key(|block| block.kind != "tool_result"),
        }
    }
    drafts.retain(|(_, blocks)| !blocks.is_empty());
    if let Some(("assistant", blocks)) = drafts.last_mut() {
        trim_end(blocks);
        trim_thoughts(blocks, dropped);
        if blocks.is_empty() {
            drafts.pop();
        }
    }
    if drafts.is_empty() && !system.is_empty() {
        // Something must be said: where there are nothing but instructions, it is those.
        dropped.note("system_position");
        drafts.push(("user", std::mem::take(&mut system)));
    }
    let in_unthought_loop = in_unthought_loop(&drafts);
    let messages = drafts.into_iter().map(|(role, blocks)| Message {
        role: Cow::Borrowed(role),
        content: Some(Content::short(blocks)),
        ..Message::default()
    });
    Ok(Said { system, in_unthought_loop, messages: messages.collect() })
}

fn is_thought(block: &Block) -> bool {
    matches!(&*block.kind, "thinking" | "redacted_thinking")
}

/// Whether the conversation stands within a turn of calls and results that did not begin with a thought.
fn in_unthought_loop(drafts: &[Draft]) -> bool {
    let first_is = |(_, blocks): &Draft, kind: fn(&Block) -> bool| blocks.first().is_some_and(kind);
    let has_results = |draft: &Draft| first_is(draft, |block| block.kind == "tool_result");
    if !drafts.last().is_some_and(has_results) {
        return false;
    }
    let begin = drafts.iter().rposition(|draft| draft.0 == "user" && !has_results(draft));
    let begun = drafts.get(begin.map_or(0, |at| at + 1));
    begun.is_some_and(|draft| draft.0 == "assistant" && !first_is(draft, is_thought))
}

/// A message of the assistant's must not end in a thought.
fn trim_thoughts(blocks: &mut Vec<Block>, dropped: &mut Dropped) {
    while blocks.pop_if(|last| is_thought(last)).is_some() {
        dropped.note("reasoning");
    }
}

/// An answer that is to be gone on with must not end in white space.
fn trim_end(blocks: &mut Vec<Block>) {
    let Some(Block { text: Some(text), .. }) = blocks.last_mut() else { return };
    text.truncate(text.trim_end().len());
    if text.is_empty() {
        blocks.pop();
    }
}

/// The block of a part; `None`: there is nothing to be said, or an upstream may not be told.
fn block(part: &Part, role: Role, dropped: &mut Dropped) -> Result<Option<Block>, Malformed> {
    let marked =
        |block: Block, cache: &Option<CacheMark>| Block { cache_control: cache.map(Into::into), ..block };
    if matches!(role, Role::System | Role::Developer) && !matches!(part, Part::Text { .. }) {
        return Err(Malformed::at("system", "nothing but text can be a system prompt"));
    }
    Ok(Some(match part {
        Part::Text { text, citations, signature, cache } => {
            dropped.note_if(!citations.is_empty(), "citations");
            dropped.note_if(signature.is_some(), "signature");
            if text.is_empty() {
                dropped.note_if(cache.is_some(), "cache_control");
                return Ok(None);
            }
            marked(Block::text(text), cache)
        }
        Part::Refusal { text } if text.is_empty() => return Ok(None),
        Part::Refusal { text } => Block::text(text),
        Part::Thinking(thinking) => return Ok(own_thought(thinking, dropped)),
        Part::Image { .. } | Part::Document { .. } | Part::Audio { .. } if role == Role::Assistant => {
            dropped.note(medium(part));
            return Ok(None);
        }
        Part::Image { source, detail, cache } => {
            dropped.note_if(detail.is_some(), "image_detail");
            marked(Block { source: Some(media(source, part)?), ..Block::of("image") }, cache)
        }
        Part::Document { source, name, citations, cache } => {
            let block = Block {
                source: Some(media(source, part)?),
                title: name.clone(),
                citations: citations.then_some(Citations::Switch { enabled: true }),
                ..Block::of("document")
            };
            marked(block, cache)
        }
        Part::Audio { .. } => return Err(refused(part, "An audio clip cannot be sent to this upstream")),
        Part::ToolCall(call) => {
            dropped.note_if(call.signature.is_some(), "signature");
            dropped.note_if(object(&call.arguments).is_none(), "arguments");
            marked(tool_use(call), &call.cache)
        }
        Part::ToolResult(result) => marked(tool_result(result, dropped)?, &result.cache),
    }))
}

fn own_thought(thinking: &Thinking, dropped: &mut Dropped) -> Option<Block> {
    let own = thinking.signature.as_ref().and_then(|signature| signature.own(DIALECT));
    if own.is_none() {
        dropped.note("reasoning");
        dropped.note_if(thinking.signature.is_some(), "signature");
    }
    own.map(|own| thought(thinking, own.to_owned()))
}

/// The block of a thought, under the signature as it is written.
pub(super) fn thought(thinking: &Thinking, signature: String) -> Block {
    if thinking.redacted {
        return redacted(signature);
    }
    Block { thinking: Some(thinking.text.clone()), signature: Some(signature), ..Block::of("thinking") }
}

/// A thought of which nothing is shown.
pub(super) fn redacted(data: String) -> Block {
    Block { data: Some(data), ..Block::of("redacted_thinking") }
}

/// How the data of a block begin that carries the signature of the text before it.
const OF_TEXT: &str = "aione.text.";

/// The block that carries the signature of the text before it.
pub(super) fn behind_text(signature: &Signature) -> Block {
    redacted(format!("{OF_TEXT}{}", signature.sealed(DIALECT)))
}

/// The signature of the text before it, where a block of these `data` carries one.
pub(super) fn of_text(data: &str) -> Option<Signature> {
    data.strip_prefix(OF_TEXT).map(|sealed| Signature::opened(DIALECT, sealed))
}

/// The block that carries the signature of the call after it.
pub(super) fn before_call(signature: &Signature) -> Block {
    thought(&Thinking::default(), signature.sealed(DIALECT))
}

/// Arguments that are no object are put in one.
pub(super) fn tool_use(call: &ToolCall) -> Block {
    let input = object(&call.arguments).unwrap_or_else(|| {
        let wrapped = serde_json::json!({ "arguments": call.arguments });
        serde_json::value::to_raw_value(&wrapped).expect("a value is JSON")
    });
    Block {
        id: Some(call_id::spelt(&call.id).into_owned()),
        name: Some(call.name.clone()),
        input: Some(input),
        ..Block::of("tool_use")
    }
}

/// What a model wrote as arguments, byte for byte; `None`: it is no object that every reader takes for the
/// same, or one of bottomless depth. Nothing at all is an empty one.
fn object(arguments: &str) -> Option<Box<RawValue>> {
    let text = if arguments.trim().is_empty() { "{}" } else { arguments };
    json::is_object(text).then(|| RawValue::from_string(text.to_owned()).ok()).flatten()
}

fn tool_result(result: &ToolResult, dropped: &mut Dropped) -> Result<Block, Malformed> {
    let mut blocks = Vec::with_capacity(result.parts.len());
    for part in &result.parts {
        blocks.extend(block(part, Role::Tool, dropped)?);
    }
    Ok(Block {
        tool_use_id: Some(call_id::spelt(&result.call_id).into_owned()),
        content: (!blocks.is_empty()).then(|| Content::short(blocks)),
        is_error: result.is_error.then_some(true),
        ..Block::of("tool_result")
    })
}

fn media(source: &chat::Source, part: &Part) -> Result<Content, Malformed> {
    let of = |kind| Source { kind: Cow::Borrowed(kind), ..Source::default() };
    let is_document = matches!(part, Part::Document { .. });
    let plain =
        |text: String| Source { media_type: Some("text/plain".to_owned()), data: Some(text), ..of("text") };
    let source = match source {
        chat::Source::Data { media_type, base64 } if is_document && media_type.starts_with("text/") => {
            let text = STANDARD.decode(base64).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            plain(text.ok_or_else(|| refused(part, "A document of text is no UTF-8 in base64"))?)
        }
        chat::Source::Data { media_type, base64 } => {
            Source { media_type: Some(media_type.clone()), data: Some(base64.clone()), ..of("base64") }
        }
        chat::Source::Url { url, .. } => Source { url: Some(url.clone()), ..of("url") },
        chat::Source::File { dialect: DIALECT, id } => Source { file_id: Some(id.clone()), ..of("file") },
        chat::Source::File { .. } => {
            return Err(refused(part, "A file that another vendor stores cannot be sent to this upstream"));
        }
        chat::Source::Text(text) if is_document => plain(text.clone()),
        chat::Source::Text(_) => return Err(refused(part, "An image cannot be given as text")),
    };
    Ok(Content::Source(Box::new(source)))
}

fn refused(part: &Part, message: &str) -> Malformed {
    Malformed::at(medium(part), message)
}

/// The name of what is neither text nor a call.
pub(super) fn medium(part: &Part) -> &'static str {
    match part {
        Part::Image { .. } => "image",
        Part::Document { .. } => "document",
        Part::Audio { .. } => "audio",
        Part::Text { .. } | Part::Refusal { .. } => "text",
        Part::Thinking(_) => "reasoning",
        Part::ToolCall(_) | Part::ToolResult(_) => "tools",
    }
}
