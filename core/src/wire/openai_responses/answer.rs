//! What comes back at once.
//!
//! It is written as what comes piece by piece: the last event of a stream holds the whole response.

use super::{
    DIALECT,
    encode::PLAIN,
    error,
    turns::{call, shown},
    types::{Annotation, Content, Item, Kind, Response},
    usage,
    writer::Writer,
};
use crate::{
    domain::usage::Usage,
    wire::{
        chat::{ChatAnswer, Choice, Dropped, Finish, Part, Raw, Signature, Source, Thinking},
        codec::{Malformed, Setting, StreamWriter},
    },
};
use serde::Deserialize;
use serde_json::{Number, value::RawValue};

/// Items that say something to callers of other dialects.
const KINDS: [&str; 5] =
    ["message", "reasoning", "function_call", "custom_tool_call", "image_generation_call"];

pub(super) fn decode(body: &[u8]) -> Result<ChatAnswer, Malformed> {
    let wire: Response<'_> =
        serde_json::from_slice(body).map_err(|error| Malformed::new(error.to_string()))?;
    if let Some(failure) = wire.error {
        return Err(Malformed::new(error::within(failure.get().as_bytes()).message));
    }
    let output = wire.output.as_deref().ok_or_else(|| Malformed::at("output", "is missing"))?;
    let mut choice = Choice::default();
    let mut logprobs = Vec::new();
    let searches = searches(output);
    for raw in output {
        let item = item(raw).map_err(|error| Malformed::at("output", error.to_string()))?;
        let Some(mut item) = item else { continue };
        let texts = item.parts_mut().map_or(&mut [][..], Vec::as_mut_slice);
        logprobs.extend(texts.iter_mut().filter_map(|content| content.logprobs.take()));
        choice.parts.extend(parts(item));
    }
    let calls = choice.parts.iter().any(|part| matches!(part, Part::ToolCall(_)));
    let refuses = choice.parts.iter().any(|part| matches!(part, Part::Refusal { .. }));
    choice.finish = finish(&wire, calls, refuses);
    choice.logprobs = chat_logprobs(&logprobs);
    Ok(ChatAnswer {
        id: wire.id.unwrap_or_default(),
        model: wire.model.unwrap_or_default(),
        created: wire.created_at.as_ref().and_then(seconds),
        choices: vec![choice],
        usage: wire
            .usage
            .and_then(|usage| usage::decode(usage.get().as_bytes()))
            .map(|usage| usage.plus(&searches)),
        service_tier: wire.service_tier,
    })
}

/// Some upstreams write a fraction.
pub(super) fn seconds(number: &Number) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "a cast of a float saturates")]
    number.as_i64().or_else(|| number.as_f64().map(|seconds| seconds as i64))
}

/// The item, if it is one that says something.
pub(super) fn item(raw: &RawValue) -> Result<Option<Item>, serde_json::Error> {
    let Kind { kind } = serde_json::from_str(raw.get())?;
    if !KINDS.iter().any(|known| kind.as_deref() == Some(known)) {
        return Ok(None);
    }
    serde_json::from_str(raw.get()).map(Some)
}

/// The searches in an output, which its usage does not tell: each is paid for, while to open a page or to look through
/// it is not: <https://developers.openai.com/api/docs/guides/tools-web-search#output-and-citations>.
pub(super) fn searches(output: &[&RawValue]) -> Usage {
    let searches = output.iter().filter(|item| is_search(item)).count() as u64;
    Usage { searches, ..Usage::default() }
}

pub(super) fn is_search(item: &RawValue) -> bool {
    #[derive(Deserialize)]
    struct Searched {
        #[serde(rename = "type")]
        kind: String,
        action: Option<Kind>,
    }
    let searched: Option<Searched> = serde_json::from_str(item.get()).ok();
    let action = searched.filter(|item| item.kind == "web_search_call").map(|item| item.action);
    action.is_some_and(|action| action.and_then(|action| action.kind).is_none_or(|kind| kind == "search"))
}

/// The parts of an item.
pub(super) fn parts(item: Item) -> Vec<Part> {
    match item.kind.as_deref() {
        Some("message") => {
            let contents = item.content.map_or_else(Vec::new, |contents| contents.into_parts());
            contents.into_iter().map(part).collect()
        }
        Some("reasoning") => thinking(item).map(Part::Thinking).into_iter().collect(),
        Some("function_call" | "custom_tool_call") => vec![Part::ToolCall(call(item))],
        _ => image(item).into_iter().collect(),
    }
}

/// A part of a message.
pub(super) fn part(wire: Content) -> Part {
    if wire.kind.as_deref() == Some("refusal") {
        return Part::Refusal { text: wire.refusal.unwrap_or_default() };
    }
    let citations = wire.annotations.into_iter().flatten().filter_map(Annotation::citation).collect();
    Part::Text { text: wire.text.unwrap_or_default(), citations, signature: None, cache: None }
}

/// `None`: it is neither shown nor signed, and says nothing.
fn thinking(item: Item) -> Option<Thinking> {
    let (text, summary) = shown(item.content, item.summary);
    let signature = item.encrypted_content.map(|data| Signature { dialect: DIALECT, data });
    let redacted = text.is_empty();
    let says_something = !redacted || signature.is_some();
    says_something.then_some(Thinking { id: item.id, text, signature, redacted, summary })
}

/// An image that was generated; `None`: it has not come to one.
fn image(item: Item) -> Option<Part> {
    let base64 = item.result.filter(|base64| !base64.is_empty())?;
    let media_type = format!("image/{}", item.output_format.as_deref().unwrap_or("png"));
    Some(Part::Image { source: Source::Data { media_type, base64 }, detail: None, cache: None })
}

/// Why the response ended; `None`: it does not say that it has. `calls`, `refuses`: whether there are calls
/// and refusals among its parts.
pub(super) fn finish(response: &Response<'_>, calls: bool, refuses: bool) -> Option<Finish> {
    let reason = response.incomplete_details.as_ref().and_then(|details| details.reason.as_deref());
    match (response.status.as_deref(), reason) {
        (Some("in_progress" | "queued"), _) => None,
        (Some("incomplete"), Some("max_output_tokens")) => Some(Finish::Length),
        (Some("incomplete"), Some("content_filter")) => Some(Finish::Filter),
        (Some("incomplete"), reason) => Some(Finish::Broken(reason.unwrap_or("incomplete").to_owned())),
        (Some("cancelled"), _) => Some(Finish::Broken("cancelled".to_owned())),
        // Compatible upstreams may leave the status out of what is whole.
        _ if calls => Some(Finish::ToolCalls),
        _ if refuses => Some(Finish::Refusal),
        _ => Some(Finish::Stop),
    }
}

/// The response as a caller reads it. Of several choices only the first is in it.
pub(super) fn encode(answer: &ChatAnswer, setting: &Setting, dropped: &mut Dropped) -> Vec<u8> {
    let first = answer.choices.first();
    note_unsaid(answer, dropped);
    let mut writer = Writer::silent(setting);
    answer.events().iter().for_each(|event| writer.write(event, &mut Vec::new()));
    let mut response = writer.into_response();
    if let Some(logprobs) = first.and_then(|choice| choice.logprobs.as_ref()) {
        let is_said = response.output.iter_mut().find_map(|item| text_of(item, logprobs)).is_some();
        dropped.note_if(!is_said, "logprobs");
    }
    serde_json::to_vec(&response).expect(PLAIN)
}

fn note_unsaid(answer: &ChatAnswer, dropped: &mut Dropped) {
    dropped.note_if(answer.choices.len() > 1, "n");
    for part in answer.choices.first().map_or(&[][..], |choice| &choice.parts) {
        match part {
            Part::Text { citations, .. } => {
                dropped.note_if(citations.iter().any(|citation| citation.url.is_none()), "citations");
            }
            Part::Image { source: Source::Data { .. }, .. } => {}
            Part::Image { .. } => dropped.note("image"),
            Part::Document { .. } => dropped.note("document"),
            Part::Audio { .. } => dropped.note("audio"),
            _ => {}
        }
    }
}

/// Log probabilities as the neutral form has them, of those of each text.
fn chat_logprobs(texts: &[Box<RawValue>]) -> Option<Raw> {
    let inner = texts.iter().filter_map(|raw| Some(raw.get().strip_prefix('[')?.strip_suffix(']')?.trim()));
    let all: Vec<_> = inner.filter(|inner| !inner.is_empty()).collect();
    if all.is_empty() {
        return None;
    }
    Raw::from_text(&format!(r#"{{"content":[{}],"refusal":null}}"#, all.join(",")))
}

/// Writes them to the first text that `item` has. They are not parted where an answer has several texts.
fn text_of(item: &mut Item, logprobs: &Raw) -> Option<()> {
    #[derive(Deserialize)]
    struct Chat {
        content: Option<Box<RawValue>>,
    }
    let text = item.parts_mut()?.iter_mut().find(|content| content.text.is_some())?;
    let Chat { content } = serde_json::from_str(logprobs.as_str()).ok()?;
    text.logprobs = Some(content?);
    Some(())
}
