//! Turns become `contents`.
//!
//! Instructions go in front; results of calls go behind all calls of their turn, in the calls' order,
//! as the vendor wants parallel ones: <https://ai.google.dev/gemini-api/docs/thought-signatures>.

use super::{
    part, signature, thinking,
    types::{self, Content, FunctionResponse, List},
};
use crate::wire::{
    Dialect,
    chat::{Dropped, Part, Role, ToolResult, Turn, call_id},
    codec::Malformed,
    json,
};
use std::collections::HashMap;

const USER: &str = "user";
const MODEL: &str = "model";

/// The conversation, turn by turn.
pub(super) struct Contents<'a, 'd> {
    system: Vec<types::Part>,
    contents: Vec<Content>,
    /// The calls so far, by id: the name, and which one of its turn.
    calls: HashMap<&'a str, (&'a str, usize)>,
    /// Something was said besides instructions.
    has_begun: bool,
    /// The upstream refuses calls without a signature, and results without an id, as all do from the third
    /// generation on.
    is_strict: bool,
    dropped: &'d mut Dropped,
}

impl<'a, 'd> Contents<'a, 'd> {
    pub(super) fn new(model: &str, dropped: &'d mut Dropped) -> Self {
        Self {
            system: Vec::new(),
            contents: Vec::new(),
            calls: HashMap::new(),
            has_begun: false,
            is_strict: thinking::is_third(model),
            dropped,
        }
    }

    /// Adds a turn. `is_asked`: instructions that are what is asked, for want of anything else.
    pub(super) fn turn(&mut self, turn: &'a Turn, is_asked: bool) -> Result<(), Malformed> {
        self.dropped.note_if(turn.name.is_some(), "name");
        let is_instruction = matches!(turn.role, Role::System | Role::Developer);
        if is_instruction {
            self.dropped.note_if(self.has_begun || is_asked, "system_position");
            if turn.parts.iter().any(|part| !matches!(part, Part::Text { .. })) {
                return Err(Malformed::new("instructions can only be text for this model"));
            }
        }
        self.has_begun |= !is_instruction;
        match turn.role {
            Role::System | Role::Developer => {
                let said = self.parts(turn)?;
                if is_asked { self.say(USER, said) } else { self.system.extend(said) }
            }
            Role::User => {
                let said = self.parts(turn)?;
                self.say(USER, said);
            }
            Role::Assistant => {
                let calls = turn.parts.iter().filter_map(|part| match part {
                    Part::ToolCall(call) => Some(call),
                    _ => None,
                });
                for (number, call) in calls.enumerate() {
                    if call.name.is_empty() {
                        return Err(Malformed::new("a call without a name cannot be told to this model"));
                    }
                    self.calls.insert(&call.id, (&call.name, number));
                }
                let said = self.parts(turn)?;
                self.say(MODEL, said);
            }
            Role::Tool => self.results(turn)?,
        }
        Ok(())
    }

    /// The instructions, if there are any, and the rest.
    pub(super) fn finish(mut self) -> Result<(Option<Content>, Vec<Content>), Malformed> {
        if self.contents.is_empty() {
            return Err(Malformed::new("there is no message that says anything"));
        }
        if self.is_strict {
            sign(&mut self.contents);
        }
        let system = List::of(self.system);
        Ok((system.map(|parts| Content { parts: Some(parts), ..Content::default() }), self.contents))
    }

    fn say(&mut self, role: &str, said: Vec<types::Part>) {
        let Some(said) = List::of(said) else { return };
        if let Some(Content { role: Some(last), parts: Some(parts), .. }) = self.contents.last_mut()
            && role == MODEL
            && last == MODEL
        {
            parts.0.extend(said.0);
            return;
        }
        let role = Some(role.to_owned());
        self.contents.push(Content { role, parts: Some(said), ..Content::default() });
    }

    fn parts(&mut self, turn: &Turn) -> Result<Vec<types::Part>, Malformed> {
        let mut parts = Vec::with_capacity(turn.parts.len());
        for said in &turn.parts {
            if let Some(said) = self.part(said)? {
                part::push(&mut parts, said);
            }
        }
        Ok(parts)
    }

    /// A part; `None`: it says nothing, or nothing that could be carried, which was noted.
    fn part(&mut self, said: &Part) -> Result<Option<types::Part>, Malformed> {
        note(said, self.dropped);
        let mut wire = part::write(said, |signature| {
            let own = signature.own(Dialect::Gemini);
            self.dropped.note_if(own.is_none(), "signature");
            own.map(str::to_owned)
        })?;
        // What was thought and is not shown says nothing without its signature.
        self.dropped.note_if(wire.is_none() && matches!(said, Part::Thinking(_)), "reasoning");
        if let Part::ToolCall(call) = said {
            let is_broken = !call.arguments.trim().is_empty() && !json::is_object(&call.arguments);
            self.dropped.note_if(is_broken, "arguments");
        }
        if let Some(call) = wire.as_mut().and_then(|wire| wire.function_call.as_mut()) {
            call.id = call.id.take().filter(|id| self.is_told(id));
        }
        Ok(wire)
    }

    /// Whether the upstream is told of an id; one that was made here only if it must have one.
    fn is_told(&self, id: &str) -> bool {
        !id.is_empty() && (self.is_strict || !call_id::is_made(id))
    }

    fn results(&mut self, turn: &Turn) -> Result<(), Malformed> {
        let mut results = Vec::with_capacity(turn.parts.len());
        for said in &turn.parts {
            let Part::ToolResult(result) = said else { continue };
            let number = self.calls.get(&*result.call_id).map_or(usize::MAX, |(_, number)| *number);
            results.push((number, self.result(result)?));
        }
        results.sort_by_key(|(number, _)| *number);
        self.say(USER, results.into_iter().map(|(_, result)| result).collect());
        Ok(())
    }

    fn result(&mut self, result: &ToolResult) -> Result<types::Part, Malformed> {
        self.dropped.note_if(result.cache.is_some(), "cache_control");
        let id = &result.call_id;
        let called = self.calls.get(&**id).map(|(name, _)| *name);
        let Some(name) = called.or(result.name.as_deref()) else {
            return Err(Malformed::new(format!("no tool call before it has the id of the result `{id}`")));
        };
        let name = Some(name.to_owned());
        let (mut texts, mut media) = (Vec::new(), Vec::new());
        for said in &result.parts {
            let Some(wire) = self.part(said)? else { continue };
            match wire.text {
                Some(text) => texts.push(text),
                None => media.push(wire),
            }
        }
        // With media alone there is nothing to say in words.
        let text = if texts.is_empty() && !media.is_empty() { "{}".to_owned() } else { texts.join("\n") };
        let response = FunctionResponse {
            id: self.is_told(id).then(|| id.clone()),
            name,
            response: Some(part::response(&text, result.is_error)),
            parts: List::of(media),
            ..FunctionResponse::default()
        };
        Ok(types::Part { function_response: Some(response), ..types::Part::default() })
    }
}

/// What of a part the dialect has no field for.
fn note(said: &Part, dropped: &mut Dropped) {
    let cache = match said {
        Part::Text { citations, cache, .. } => {
            dropped.note_if(!citations.is_empty(), "citations");
            cache
        }
        Part::Image { detail, cache, .. } => {
            dropped.note_if(detail.as_ref().is_some_and(|detail| detail != "auto"), "image_detail");
            cache
        }
        Part::Document { name, citations, cache, .. } => {
            dropped.note_if(name.is_some(), "name");
            dropped.note_if(*citations, "citations");
            cache
        }
        Part::Audio { cache, .. } => cache,
        Part::ToolCall(call) => &call.cache,
        Part::Refusal { .. } | Part::Thinking(_) | Part::ToolResult(_) => &None,
    };
    dropped.note_if(cache.is_some(), "cache_control");
}

/// Calls that other models made have no signature, and the vendor refuses the first call of each step
/// without one, back to the last thing that the user said: there stands what it takes in its place.
fn sign(contents: &mut [Content]) {
    let is_of = |content: &Content, role: &str| content.role.as_deref() == Some(role);
    let says = |content: &Content| {
        let mut parts = content.parts.iter().flat_map(|parts| &parts.0);
        is_of(content, USER) && parts.any(|part| part.function_response.is_none())
    };
    let begin = contents.iter().rposition(says).map_or(0, |last| last + 1);
    for content in contents[begin..].iter_mut().filter(|content| is_of(content, MODEL)) {
        let mut parts = content.parts.iter_mut().flat_map(|parts| &mut parts.0);
        if let Some(call) = parts.find(|part| part.function_call.is_some()) {
            call.thought_signature.get_or_insert_with(|| signature::NONE[0].to_owned());
        }
    }
}
