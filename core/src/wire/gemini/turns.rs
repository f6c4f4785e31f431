//! The conversation of a request: `contents` become turns.
//!
//! Which call a result belongs to is told by `id` where callers have it, else by name and order:
//! <https://ai.google.dev/gemini-api/docs/function-calling>.

use super::{
    decode::note,
    part,
    signature::opened,
    types::{self, Content, FunctionResponse, List},
};
use crate::wire::{
    chat::{Dropped, Part, Role, ToolResult, Turn, call_id},
    codec::Malformed,
};
use std::collections::{HashMap, HashSet, VecDeque};

/// The turns so far, and the calls that have no result yet.
pub(super) struct Turns<'d> {
    turns: Vec<Turn>,
    calls: Calls,
    dropped: &'d mut Dropped,
}

/// The calls of the model's last turn.
#[derive(Default)]
struct Calls {
    /// Their ids, in order.
    by_name: HashMap<String, VecDeque<String>>,
    answered: HashSet<String>,
}

impl Calls {
    /// The first call of `name` that has no result yet.
    fn next(&mut self, name: &str) -> Option<String> {
        let ids = self.by_name.get_mut(name)?;
        std::iter::from_fn(|| ids.pop_front()).find(|id| !self.answered.contains(id))
    }
}

impl<'d> Turns<'d> {
    pub(super) fn new(dropped: &'d mut Dropped) -> Self {
        Self { turns: Vec::new(), calls: Calls::default(), dropped }
    }

    /// What goes in front.
    pub(super) fn system(&mut self, content: Content) -> Result<(), Malformed> {
        let mut said = Vec::new();
        for (at, part) in List::items(content.parts).into_iter().enumerate() {
            let here = format!("systemInstruction.parts[{at}]");
            let parts = self.part(part, &here, Role::System)?;
            if parts.iter().any(|part| !matches!(part, Part::Text { .. })) {
                return Err(Malformed::at(here, "is no text, as instructions are"));
            }
            said.extend(parts);
        }
        self.turn(Role::System, said);
        Ok(())
    }

    /// What somebody says.
    pub(super) fn content(&mut self, number: usize, content: Content) -> Result<(), Malformed> {
        let place = format!("contents[{number}]");
        note(&content.rest, self.dropped);
        let role = match content.role.as_deref().unwrap_or_default() {
            "" | "user" | "function" => Role::User,
            "model" => Role::Assistant,
            _ => return Err(Malformed::at(format!("{place}.role"), "is neither `user` nor `model`")),
        };
        if role == Role::Assistant && self.turns.last().is_none_or(|turn| turn.role != Role::Assistant) {
            self.calls = Calls::default();
        }
        let (mut said, mut results) = (Vec::new(), Vec::new());
        for (at, mut part) in List::items(content.parts).into_iter().enumerate() {
            let here = format!("{place}.parts[{at}]");
            match part.function_response.take() {
                Some(_) if role != Role::User => {
                    return Err(Malformed::at(here, "the model gives no function responses"));
                }
                Some(response) => results.push(Part::ToolResult(self.result(response, &here)?)),
                None => said.extend(self.part(part, &here, role)?),
            }
        }
        self.turn(Role::Tool, results);
        self.turn(role, said);
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Vec<Turn>, Malformed> {
        if self.turns.is_empty() {
            return Err(Malformed::at("contents", "say nothing"));
        }
        Ok(self.turns)
    }

    /// Adds a turn, to the last one where that is of the same side.
    fn turn(&mut self, role: Role, said: Vec<Part>) {
        if said.is_empty() {
            return;
        }
        if role == Role::User || self.turns.last().is_none_or(|turn| turn.role != role) {
            self.turns.push(Turn::new(role, Vec::with_capacity(said.len())));
        }
        let Some(turn) = self.turns.last_mut() else { return };
        said.into_iter().for_each(|part| add(&mut turn.parts, part));
    }

    /// What a part says that is no result.
    fn part(&mut self, mut wire: types::Part, here: &str, role: Role) -> Result<Vec<Part>, Malformed> {
        note(&wire.rest, self.dropped);
        if wire.function_call.is_some() && role != Role::Assistant {
            return Err(Malformed::at(here, "only the model calls functions"));
        }
        let is_drawn = wire.inline_data.is_some() || wire.file_data.is_some();
        self.dropped.note_if(wire.thought == Some(true) && is_drawn, "reasoning");
        let signature = wire.thought_signature.take().and_then(opened);
        let said = part::read(wire, signature, |_, _| call_id::made(&["request", here]))
            .map_err(|what| Malformed::at(here, format!("{what} cannot be carried")))?;
        for part in &said {
            if let Part::ToolCall(call) = part {
                self.calls.by_name.entry(call.name.clone()).or_default().push_back(call.id.clone());
            }
        }
        Ok(said)
    }

    fn result(&mut self, wire: FunctionResponse, here: &str) -> Result<ToolResult, Malformed> {
        note(&wire.rest, self.dropped);
        let name = wire.name.filter(|name| !name.is_empty());
        let call_id = wire.id.filter(|id| !id.is_empty()).unwrap_or_else(|| {
            let called = self.calls.next(name.as_deref().unwrap_or_default());
            called.unwrap_or_else(|| call_id::made(&["request", here]))
        });
        self.calls.answered.insert(call_id.clone());
        let (text, is_error) = part::response_text(wire.response.as_deref());
        let media = List::items(wire.parts);
        let is_told = !text.is_empty() && (text != "{}" || media.is_empty());
        let mut parts = if is_told { vec![Part::text(text)] } else { Vec::new() };
        for (at, part) in media.into_iter().enumerate() {
            let here = format!("{here}.functionResponse.parts[{at}]");
            let said = self.part(part, &here, Role::User)?;
            let is_fit =
                |part: &Part| matches!(part, Part::Text { .. } | Part::Image { .. } | Part::Document { .. });
            if !said.iter().all(is_fit) {
                return Err(Malformed::at(here, "a result is text, images and documents"));
            }
            parts.extend(said);
        }
        Ok(ToolResult { call_id, name, parts, is_error, cache: None })
    }
}

/// Adds a part. A thought that a stream had cut into parts is put together up to its signature.
fn add(parts: &mut Vec<Part>, part: Part) {
    if let (Some(Part::Thinking(before)), Part::Thinking(more)) = (parts.last_mut(), &part)
        && before.signature.is_none()
        && !more.redacted
    {
        before.text.push_str(&more.text);
        before.signature.clone_from(&more.signature);
        return;
    }
    parts.push(part);
}
