//! Reads an upstream's stream.

use super::{
    decode,
    types::{Answer, AnswerChoice, Call, Content, Function, Message},
    usage,
};
use crate::wire::{
    chat::{ChatError, ChatEvent, Delta, ErrorKind, Start},
    codec::{SseEvents, StreamReader},
};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The data of the event that ends a stream.
const DONE: &[u8] = b"[DONE]";
/// Most choices that are read: events of others are passed over.
const CHOICES_MAX: u32 = 128;

#[derive(Default)]
pub(super) struct Reader {
    events: SseEvents,
    state: State,
}

#[derive(Default)]
struct State {
    started: bool,
    over: bool,
    /// The answer's.
    id: String,
    choices: BTreeMap<u32, Open>,
}

/// The parts of one choice.
#[derive(Default)]
struct Open {
    /// How many have begun.
    parts: u32,
    /// The text, thought or refusal that goes on.
    prose: Option<(Prose, u32)>,
    /// Those that go on, by the upstream's number of the call.
    calls: BTreeMap<u32, Called>,
    /// How many calls have begun.
    called: u32,
    finished: bool,
}

/// A call that goes on.
struct Called {
    part: u32,
    /// As the upstream gave it; empty where it gave none.
    id: String,
}

/// What is said in words.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Prose {
    Thinking,
    Text,
    Refusal,
}

impl StreamReader for Reader {
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<ChatEvent>) {
        let Self { events, state } = self;
        events.feed(bytes, |data| state.event(data.ok(), out));
    }

    fn end(&mut self, out: &mut Vec<ChatEvent>) {
        let Self { events, state } = self;
        events.end(|data| state.event(data.ok(), out));
        // Some upstreams send no end of the dialect's own: a reason to finish is as good.
        let finished = !state.choices.is_empty() && state.choices.values().all(|open| open.finished);
        if !state.over && finished {
            out.push(ChatEvent::Done);
        }
        state.over = true;
    }
}

impl State {
    /// `None`: an event that is too large to be read.
    fn event(&mut self, data: Option<&[u8]>, out: &mut Vec<ChatEvent>) {
        if self.over {
            return;
        }
        let Some(data) = data else { return self.fail("an event of the upstream is too large", out) };
        if data.trim_ascii().is_empty() {
            return;
        }
        if data.trim_ascii() == DONE {
            self.choices.iter_mut().for_each(|(choice, open)| open.close(*choice, out));
            out.push(ChatEvent::Done);
            self.over = true;
            return;
        }
        let Ok(chunk) = serde_json::from_slice::<Answer>(data) else {
            return self.fail("an event of the upstream is no JSON of this dialect", out);
        };
        if let Some(error) = chunk.error.as_ref().filter(|error| super::is_error(error.get().as_bytes())) {
            out.push(ChatEvent::Error(super::error_of(None, error.get().as_bytes())));
            self.over = true;
            return;
        }
        self.chunk(chunk, out);
    }

    fn fail(&mut self, message: &str, out: &mut Vec<ChatEvent>) {
        self.over = true;
        out.push(ChatEvent::Error(ChatError {
            kind: ErrorKind::Internal,
            status: 502,
            message: message.to_owned(),
            code: None,
            param: None,
        }));
    }

    fn chunk(&mut self, chunk: Answer, out: &mut Vec<ChatEvent>) {
        // Some upstreams begin with a chunk of their own that says nothing of the answer.
        let says_something = chunk.choices.as_ref().is_some_and(|choices| !choices.is_empty());
        if says_something && !self.started {
            self.started = true;
            let (id, model) = (chunk.id.unwrap_or_default(), chunk.model.unwrap_or_default());
            self.id.clone_from(&id);
            out.push(ChatEvent::Start { id, model, created: chunk.created });
        }
        let mut elsewhere = chunk.x_groq.and_then(|vendor| usage_of(&vendor));
        for mut choice in chunk.choices.into_iter().flatten() {
            elsewhere = choice.usage.take().or(elsewhere);
            let number = choice.index.unwrap_or(0);
            if number < CHOICES_MAX {
                self.choices.entry(number).or_default().choice(&self.id, number, choice, out);
            }
        }
        out.extend(chunk.service_tier.map(ChatEvent::ServiceTier));
        let usage = chunk.usage.or(elsewhere).and_then(|usage| usage::decode(usage.get().as_bytes()).usage);
        out.extend(usage.map(ChatEvent::Usage));
    }
}

/// The `usage` within what a vendor adds of its own.
fn usage_of(vendor: &RawValue) -> Option<Box<RawValue>> {
    #[derive(Deserialize)]
    struct Vendor {
        usage: Option<Box<RawValue>>,
    }
    serde_json::from_str::<Vendor>(vendor.get()).ok()?.usage
}

impl Open {
    fn choice(&mut self, answer: &str, choice: u32, wire: AnswerChoice, out: &mut Vec<ChatEvent>) {
        if let Some(delta) = wire.delta.or(wire.message) {
            self.delta(answer, choice, delta, out);
        }
        if let Some(word) = wire.finish_reason.filter(|_| !self.finished) {
            self.close(choice, out);
            self.finished = true;
            out.push(ChatEvent::Finish { choice, finish: decode::finish(&word), stop_sequence: None });
        }
    }

    fn delta(&mut self, answer: &str, choice: u32, delta: Message, out: &mut Vec<ChatEvent>) {
        if self.finished {
            return;
        }
        if let Some(text) = delta.reasoning_content.or(delta.reasoning) {
            self.prose(choice, Prose::Thinking, text, out);
        }
        match delta.content {
            Some(Content::Text(text)) => self.prose(choice, Prose::Text, text, out),
            Some(Content::Parts(parts)) => {
                let texts = parts.into_iter().filter_map(|part| part.text);
                texts.for_each(|text| self.prose(choice, Prose::Text, text, out));
            }
            None => {}
        }
        if let Some(text) = delta.refusal {
            self.prose(choice, Prose::Refusal, text, out);
        }
        for annotation in delta.annotations.into_iter().flatten() {
            let (Some(citation), Some((Prose::Text, part))) = (decode::citation(annotation), self.prose)
            else {
                continue;
            };
            out.push(ChatEvent::Delta { choice, part, delta: Delta::Citation(citation) });
        }
        for call in delta.tool_calls.into_iter().flatten() {
            self.call(answer, choice, call, out);
        }
    }

    fn begin(&mut self, choice: u32, start: Start, out: &mut Vec<ChatEvent>) -> u32 {
        let part = self.parts;
        self.parts += 1;
        out.push(ChatEvent::Begin { choice, part, start });
        part
    }

    fn prose(&mut self, choice: u32, kind: Prose, text: String, out: &mut Vec<ChatEvent>) {
        if text.is_empty() {
            return;
        }
        let part = match self.prose {
            Some((open, part)) if open == kind => part,
            before => {
                if let Some((_, part)) = before {
                    out.push(ChatEvent::End { choice, part });
                }
                let start = match kind {
                    Prose::Thinking => Start::Thinking { id: None, redacted: false, summary: false },
                    Prose::Text => Start::Text,
                    Prose::Refusal => Start::Refusal,
                };
                let part = self.begin(choice, start, out);
                self.prose = Some((kind, part));
                part
            }
        };
        out.push(ChatEvent::Delta { choice, part, delta: Delta::Text(text) });
    }

    fn call(&mut self, answer: &str, choice: u32, call: Call, out: &mut Vec<ChatEvent>) {
        let Function { name, arguments } = call.function.unwrap_or_default();
        let (id, name) = (call.id.unwrap_or_default(), name.unwrap_or_default());
        // An upstream that numbers no calls sends each whole.
        let number = call.index.unwrap_or_else(|| u32::try_from(self.calls.len()).unwrap_or(u32::MAX));
        // Some give all their calls one number: another name under another id is another call.
        let goes_on = |open: &&Called| name.is_empty() || id.is_empty() || open.id == id;
        let part = match self.calls.get(&number).filter(goes_on) {
            Some(open) => open.part,
            None => {
                let before = self.prose.take().map(|(_, part)| part);
                let same = self.calls.remove(&number).map(|open| open.part);
                out.extend(before.into_iter().chain(same).map(|part| ChatEvent::End { choice, part }));
                let made = || decode::made_id(answer, choice, self.called, &name);
                let told = if id.is_empty() { made() } else { id.clone() };
                self.called += 1;
                let part = self.begin(choice, Start::ToolCall { id: told, name }, out);
                self.calls.insert(number, Called { part, id });
                part
            }
        };
        if let Some(signature) = decode::signature(call.extra_content) {
            out.push(ChatEvent::Delta { choice, part, delta: Delta::Signature(signature) });
        }
        if let Some(arguments) = arguments.filter(|arguments| !arguments.is_empty()) {
            out.push(ChatEvent::Delta { choice, part, delta: Delta::Arguments(arguments) });
        }
    }

    /// Ends what is open.
    fn close(&mut self, choice: u32, out: &mut Vec<ChatEvent>) {
        let prose = self.prose.take().map(|(_, part)| part);
        let calls = std::mem::take(&mut self.calls).into_values().map(|open| open.part);
        out.extend(prose.into_iter().chain(calls).map(|part| ChatEvent::End { choice, part }));
    }
}
