//! Whole answers: <https://ai.google.dev/api/generate-content#GenerateContentResponse>.

use super::{
    citation::{self, Cited},
    error, finish, part, signature,
    types::{self, Candidate, Content, List, PLAIN},
    usage,
};
use crate::{
    domain::usage::Usage,
    wire::{
        chat::{ChatAnswer, Choice, Citation, Dropped, Finish, Part, call_id},
        codec::{Malformed, Setting},
    },
};
use std::collections::BTreeSet;

pub(super) fn decode(body: &[u8]) -> Result<ChatAnswer, Malformed> {
    let wire: types::Answer =
        serde_json::from_slice(body).map_err(|error| Malformed::new(error.to_string()))?;
    if let Some(error) = &wire.error {
        return Err(Malformed::new(error::read(None, error.get().as_bytes()).message));
    }
    // Paid for, and empty: it happens.
    let empty = match (is_blocked(&wire), &wire.usage_metadata) {
        (true, _) => Some(Finish::Filter),
        (false, usage) => usage.as_ref().map(|_| Finish::Broken(finish::OTHER.to_owned())),
    };
    let id = wire.response_id.unwrap_or_default();
    let mut usage = wire.usage_metadata.and_then(|usage| usage::decode(usage.get().as_bytes()));
    let mut candidates = wire.candidates.unwrap_or_default();
    // Without a number, in the order in which they come.
    candidates.sort_by_key(|candidate| candidate.index.unwrap_or(0));
    let mut choices = Vec::with_capacity(candidates.len());
    let mut searched = BTreeSet::new();
    for (number, candidate) in (0..).zip(candidates) {
        let (choice, beside) = choice(candidate, &id, number, &mut searched);
        usage = usage.map(|usage| usage.plus(&beside));
        choices.push(choice);
    }
    if choices.is_empty() {
        let finish = empty.ok_or_else(|| Malformed::at("candidates", "is missing"))?;
        choices.push(Choice { finish: Some(finish), ..Choice::default() });
    }
    Ok(ChatAnswer {
        id,
        model: wire.model_version.unwrap_or_default(),
        created: seconds(wire.create_time.as_deref()),
        choices,
        usage,
        service_tier: None,
    })
}

/// Whether the prompt was not let through.
pub(super) fn is_blocked(wire: &types::Answer) -> bool {
    let reason = wire.prompt_feedback.as_ref().and_then(|feedback| feedback.block_reason.as_ref());
    reason.is_some_and(|reason| !reason.is_empty())
}

/// Seconds since 1970.
pub(super) fn seconds(time: Option<&str>) -> Option<i64> {
    chrono::DateTime::parse_from_rfc3339(time?).ok().map(|time| time.timestamp())
}

/// What a candidate says, and what of it counts beside its tokens.
fn choice(
    mut candidate: Candidate,
    id: &str,
    number: u32,
    searched: &mut BTreeSet<String>,
) -> (Choice, Usage) {
    let (mut parts, mut calls, mut text) = (Vec::new(), 0, Cited::default());
    // Where each part of the dialect's begins in the text, and which parts here are text.
    let (mut begins, mut texts, mut chars) = (Vec::new(), Vec::new(), 0);
    for wire in take_parts(&mut candidate) {
        begins.push(text.bytes());
        for said in said(wire, id, number, &mut calls) {
            if let Part::Text { text: more, .. } = &said {
                texts.push((parts.len(), chars));
                chars += more.chars().count() as u64;
                text.push(more);
            }
            parts.push(said);
        }
    }
    for citation in citation::read(&candidate, &text, &begins) {
        attach(&mut parts, &texts, citation);
    }
    let beside = beside(&candidate, &parts, searched);
    let finish = finish::read(candidate.finish_reason.as_deref(), calls > 0);
    (Choice { parts, finish, stop_sequence: None, logprobs: None }, beside)
}

pub(super) fn take_parts(candidate: &mut Candidate) -> Vec<types::Part> {
    List::items(candidate.content.take().and_then(|content| content.parts))
}

/// What a part of an answer says; nothing where no message can hold it. `calls` counts those of the choice:
/// one without an id gets the same whether the answer comes at once or in pieces.
pub(super) fn said(mut wire: types::Part, id: &str, choice: u32, calls: &mut u32) -> Vec<Part> {
    let signature = wire.thought_signature.take().filter(|text| !text.is_empty()).map(signature::own);
    let id_of = |name: &str, arguments: &str| {
        call_id::made(&[id, &choice.to_string(), &calls.to_string(), name, arguments])
    };
    let said = part::read(wire, signature, id_of).unwrap_or_default();
    *calls += u32::from(said.iter().any(|part| matches!(part, Part::ToolCall(_))));
    said
}

/// Puts a citation on the text that it begins in.
fn attach(parts: &mut [Part], texts: &[(usize, u64)], citation: Citation) {
    let begin = citation.start.unwrap_or(0);
    let at = texts.partition_point(|(_, before)| *before <= begin).saturating_sub(1);
    if let Some((at, _)) = texts.get(at)
        && let Part::Text { citations, .. } = &mut parts[*at]
    {
        citations.push(citation);
    }
}

/// Images and searches, which are counted here because the vendor does not tell them. `searched`: what was
/// looked for so far; a stream can tell it again.
pub(super) fn beside(candidate: &Candidate, parts: &[Part], searched: &mut BTreeSet<String>) -> Usage {
    let queries = candidate.grounding_metadata.iter().flat_map(|wire| &wire.web_search_queries).flatten();
    Usage {
        images: parts.iter().filter(|part| matches!(part, Part::Image { .. })).count() as u64,
        searches: queries.filter(|query| searched.insert((*query).clone())).count() as u64,
        ..Usage::default()
    }
}

pub(super) fn encode(answer: &ChatAnswer, setting: &Setting, dropped: &mut Dropped) -> Vec<u8> {
    dropped.note_if(answer.service_tier.is_some(), "service_tier");
    let candidates = (0..).zip(&answer.choices).map(|(index, choice)| {
        dropped.note_if(choice.logprobs.is_some(), "logprobs");
        dropped.note_if(choice.stop_sequence.is_some(), "stop_sequence");
        candidate(index, choice)
    });
    let body = types::Answer {
        candidates: Some(candidates.collect()),
        usage_metadata: answer.usage.as_ref().map(usage::encode),
        model_version: Some(told(&answer.model, &setting.model)),
        response_id: Some(told(&answer.id, &setting.id)),
        ..types::Answer::default()
    };
    serde_json::to_vec(&body).expect(PLAIN)
}

/// What the upstream said, or what stands in for it.
pub(super) fn told(said: &str, otherwise: &str) -> String {
    if said.is_empty() { otherwise } else { said }.to_owned()
}

fn candidate(index: u32, choice: &Choice) -> Candidate {
    let (mut parts, mut said, mut cited) = (Vec::new(), Cited::default(), Vec::new());
    for part in &choice.parts {
        if let Part::Text { text, citations, .. } = part {
            said.push(text);
            cited.extend(citations);
        }
        written(part, &mut parts);
    }
    Candidate {
        content: Some(content(parts)),
        finish_reason: choice.finish.as_ref().map(|finish| finish::word(finish).to_owned()),
        index: Some(index),
        grounding_metadata: citation::write(cited, &said),
        citation_metadata: None,
    }
}

/// Adds a part as a caller reads it, with whosever signature it has.
pub(super) fn written(said: &Part, parts: &mut Vec<types::Part>) {
    if let Ok(Some(wire)) = part::write(said, |signature| Some(signature::sealed(signature))) {
        part::push(parts, wire);
    }
}

pub(super) fn content(parts: Vec<types::Part>) -> Content {
    Content { role: Some("model".to_owned()), parts: Some(List(parts)), ..Content::default() }
}
