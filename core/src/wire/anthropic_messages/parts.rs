//! Blocks of content become parts: of callers' messages, and of upstreams' answers.

use super::{
    DIALECT,
    decode::{missing, note},
    turns,
    types::{Block, Citation, Citations, Content, Source},
};
use crate::wire::{
    chat::{
        self, CacheMark, Dropped, Part, Signature, Thinking, ToolCall, ToolResult, UNSIGNED, call_id,
        part::is_media_type,
    },
    codec::Malformed,
};

/// The parts of a caller's content. `here` is where it stands in the request.
///
/// # Errors
/// A block is of no known kind, or lacks what makes it one.
pub(super) fn of_content(
    content: Content,
    here: &str,
    dropped: &mut Dropped,
) -> Result<Vec<Part>, Malformed> {
    let blocks = match content {
        Content::Text(text) => return Ok(vec![Part::text(text)]),
        Content::Blocks(blocks) => blocks,
        Content::Source(_) => return Err(Malformed::at(here, "is neither a string nor an array of blocks")),
    };
    let mut parts = Vec::with_capacity(blocks.len());
    for (at, block) in blocks.into_iter().enumerate() {
        parts.extend(of_caller(block, &format!("{here}[{at}]"), dropped)?);
    }
    Ok(parts)
}

fn of_caller(block: Block, here: &str, dropped: &mut Dropped) -> Result<Option<Part>, Malformed> {
    note(&block.rest, dropped);
    dropped.note_if(block.caller.as_ref().is_some_and(|caller| caller.kind != "direct"), "caller");
    let cache = block.cache_control;
    Ok(Some(match &*block.kind {
        "text" if block.text.is_none() => return Err(missing(here, "text")),
        "text" | "thinking" | "redacted_thinking" | "tool_use" => {
            let block = Block { cache_control: cache, ..block };
            return of_assistant(block, here, |data| Signature::opened(DIALECT, data));
        }
        "image" => Part::Image {
            source: source(block.source, here, dropped)?,
            detail: None,
            cache: cache.map(CacheMark::from),
        },
        "document" => Part::Document {
            source: source(block.source, here, dropped)?,
            name: block.title,
            citations: is_enabled(block.citations.as_ref()),
            cache: cache.map(CacheMark::from),
        },
        "search_result" => {
            dropped.note("search_result");
            Part::Document {
                source: joined(block.content, here, dropped)?,
                name: block.title,
                citations: is_enabled(block.citations.as_ref()),
                cache: cache.map(CacheMark::from),
            }
        }
        "tool_result" => Part::ToolResult(ToolResult {
            call_id: call_id::unspelt(block.tool_use_id.ok_or_else(|| missing(here, "tool_use_id"))?),
            name: None,
            parts: result(block.content, &format!("{here}.content"), dropped)?,
            is_error: block.is_error.unwrap_or(false),
            cache: cache.map(CacheMark::from),
        }),
        // What an earlier, longer conversation came to.
        "compaction" => {
            dropped.note("compaction");
            match block.content {
                Some(Content::Text(summary)) => Part::text(summary),
                _ => return Ok(None),
            }
        }
        kind if is_of_vendor(kind) => {
            dropped.note(kind);
            return Ok(None);
        }
        "" => return Err(missing(here, "type")),
        kind => {
            let message = format!("a block of type `{kind}` cannot be translated");
            return Err(Malformed::at(format!("{here}.type"), message));
        }
    }))
}

/// Whether a block tells of what the vendor's own tools and switches did: nobody else has them.
fn is_of_vendor(kind: &str) -> bool {
    const OTHERS: [&str; 8] = [
        "server_tool_use",
        "mcp_tool_use",
        "mcp_tool_listing",
        "tool_reference",
        "tool_addition",
        "tool_removal",
        "browser_state",
        "fallback",
    ];
    kind.ends_with("_tool_result") || OTHERS.contains(&kind)
}

/// The part of a block that an assistant says; `None`: the neutral form has none for it. `signed` makes a
/// signature of its text.
///
/// # Errors
/// A call has no id or no name.
pub(super) fn of_assistant(
    block: Block,
    here: &str,
    signed: impl Fn(&str) -> Signature,
) -> Result<Option<Part>, Malformed> {
    let is_one = |data: &String| !data.is_empty() && data != UNSIGNED;
    let signature = |data: Option<String>| data.filter(is_one).map(|data| signed(&data));
    let cache = block.cache_control.map(CacheMark::from);
    Ok(Some(match &*block.kind {
        "text" => Part::Text {
            text: block.text.unwrap_or_default(),
            citations: match block.citations {
                Some(Citations::List(list)) => list.into_iter().map(citation).collect(),
                _ => Vec::new(),
            },
            signature: None,
            cache,
        },
        "thinking" => Part::Thinking(Thinking {
            text: block.thinking.unwrap_or_default(),
            signature: signature(block.signature),
            ..Thinking::default()
        }),
        "redacted_thinking" => match block.data.as_deref().and_then(turns::of_text) {
            Some(signature) => Part::Text {
                text: String::new(),
                citations: Vec::new(),
                signature: Some(signature),
                cache: None,
            },
            None => Part::Thinking(Thinking {
                signature: signature(block.data),
                redacted: true,
                ..Thinking::default()
            }),
        },
        "tool_use" => Part::ToolCall(ToolCall {
            id: call_id::unspelt(block.id.ok_or_else(|| missing(here, "id"))?),
            name: block.name.ok_or_else(|| missing(here, "name"))?,
            arguments: block.input.map_or_else(|| "{}".to_owned(), |input| input.get().to_owned()),
            signature: None,
            cache,
        }),
        _ => return Ok(None),
    }))
}

/// A citation is of its whole block: where in the answer, the dialect does not say.
pub(super) fn citation(wire: Citation) -> chat::Citation {
    chat::Citation {
        url: wire.url.or(wire.source),
        title: wire.title.or(wire.document_title),
        quote: wire.cited_text,
        start: None,
        end: None,
    }
}

fn is_enabled(citations: Option<&Citations>) -> bool {
    matches!(citations, Some(Citations::Switch { enabled: true }))
}

fn source(source: Option<Content>, here: &str, dropped: &mut Dropped) -> Result<chat::Source, Malformed> {
    let here = format!("{here}.source");
    let Some(Content::Source(source)) = source else {
        return Err(Malformed::at(here, "is no object"));
    };
    let Source { kind, media_type, data, url, file_id, content } = *source;
    Ok(match &*kind {
        "base64" => chat::Source::Data {
            media_type: checked(media_type.ok_or_else(|| missing(&here, "media_type"))?, &here)?,
            base64: data.ok_or_else(|| missing(&here, "data"))?,
        },
        "url" => {
            let url = url.filter(|url| !url.is_empty()).ok_or_else(|| missing(&here, "url"))?;
            chat::Source::Url { url, media_type }
        }
        "file" => {
            chat::Source::File { dialect: DIALECT, id: file_id.ok_or_else(|| missing(&here, "file_id"))? }
        }
        "text" => chat::Source::Text(data.ok_or_else(|| missing(&here, "data"))?),
        "content" => joined(content, &here, dropped)?,
        kind => {
            let message = format!("a source of type `{kind}` cannot be translated");
            return Err(Malformed::at(format!("{here}.type"), message));
        }
    })
}

fn checked(media_type: String, here: &str) -> Result<String, Malformed> {
    if is_media_type(&media_type) {
        return Ok(media_type);
    }
    Err(Malformed::at(format!("{here}.media_type"), "is no media type"))
}

/// The texts of content whose blocks are cited one by one.
fn joined(content: Option<Content>, here: &str, dropped: &mut Dropped) -> Result<chat::Source, Malformed> {
    let content = content.ok_or_else(|| missing(here, "content"))?;
    let here = format!("{here}.content");
    let mut texts = Vec::new();
    for part in of_content(content, &here, dropped)? {
        let Part::Text { text, cache, .. } = part else {
            return Err(Malformed::at(here, "nothing but text can be translated within a document"));
        };
        dropped.note_if(cache.is_some(), "cache_control");
        texts.push(text);
    }
    Ok(chat::Source::Text(texts.join("\n\n")))
}

fn result(content: Option<Content>, here: &str, dropped: &mut Dropped) -> Result<Vec<Part>, Malformed> {
    let Some(content) = content else { return Ok(Vec::new()) };
    let parts = of_content(content, here, dropped)?;
    let can_be = |part: &Part| matches!(part, Part::Text { .. } | Part::Image { .. } | Part::Document { .. });
    if !parts.iter().all(can_be) {
        return Err(Malformed::at(here, "a result is of text, images and documents"));
    }
    Ok(parts)
}

/// Where a part's cache mark is, if it can have one.
pub(super) fn cache_mut(part: &mut Part) -> Option<&mut Option<CacheMark>> {
    match part {
        Part::Text { cache, .. }
        | Part::Image { cache, .. }
        | Part::Document { cache, .. }
        | Part::Audio { cache, .. }
        | Part::ToolCall(ToolCall { cache, .. })
        | Part::ToolResult(ToolResult { cache, .. }) => Some(cache),
        Part::Refusal { .. } | Part::Thinking(_) => None,
    }
}
