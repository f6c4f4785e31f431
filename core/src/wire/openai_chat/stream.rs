//! Reads an upstream's stream, and writes one for a caller.

use super::{
    decode, encode,
    types::{Answer, AnswerChoice, Call, Content, Function, Message},
    usage,
};
use crate::wire::{
    Dialect,
    chat::{ChatError, ChatEvent, Delta, ErrorKind, Finish, Part, Start, ToolCall},
    codec::{Setting, SseEvents, StreamReader, StreamWriter},
    error::{self, ErrorText},
};
use serde::Serialize;
use std::{borrow::Cow, collections::BTreeMap};

/// The data of the event that ends a stream.
const DONE: &[u8] = b"[DONE]";
/// Most choices, and most parts of one, that are read: events of others are passed over.
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
    choices: BTreeMap<u32, Open>,
}

/// The parts of one choice.
#[derive(Default)]
struct Open {
    /// How many have begun.
    parts: u32,
    /// The text, thought or refusal that goes on.
    prose: Option<(Prose, u32)>,
    /// By the upstream's number of the call.
    calls: BTreeMap<u32, u32>,
    finished: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Prose {
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
            out.push(ChatEvent::Start { id, model, created: chunk.created });
        }
        for choice in chunk.choices.into_iter().flatten() {
            let number = choice.index.unwrap_or(0);
            if number < CHOICES_MAX {
                self.choices.entry(number).or_default().choice(number, choice, out);
            }
        }
        out.extend(chunk.service_tier.map(ChatEvent::ServiceTier));
        let usage = chunk.usage.and_then(|usage| usage::decode(usage.get().as_bytes()).usage);
        out.extend(usage.map(ChatEvent::Usage));
    }
}

impl Open {
    fn choice(&mut self, choice: u32, wire: AnswerChoice, out: &mut Vec<ChatEvent>) {
        if let Some(delta) = wire.delta.or(wire.message) {
            self.delta(choice, delta, out);
        }
        if let Some(word) = wire.finish_reason.filter(|_| !self.finished) {
            self.close(choice, out);
            self.finished = true;
            out.push(ChatEvent::Finish { choice, finish: decode::finish(&word), stop_sequence: None });
        }
    }

    fn delta(&mut self, choice: u32, delta: Message, out: &mut Vec<ChatEvent>) {
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
            self.call(choice, call, out);
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

    fn call(&mut self, choice: u32, call: Call, out: &mut Vec<ChatEvent>) {
        let Function { name, arguments } = call.function.unwrap_or_default();
        // An upstream that numbers no calls sends each whole.
        let number = call.index.unwrap_or_else(|| u32::try_from(self.calls.len()).unwrap_or(u32::MAX));
        let part = match self.calls.get(&number) {
            Some(part) => *part,
            None => {
                if let Some((_, part)) = self.prose.take() {
                    out.push(ChatEvent::End { choice, part });
                }
                let start =
                    Start::ToolCall { id: call.id.unwrap_or_default(), name: name.unwrap_or_default() };
                let part = self.begin(choice, start, out);
                self.calls.insert(number, part);
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
        for part in prose.into_iter().chain(std::mem::take(&mut self.calls).into_values()) {
            out.push(ChatEvent::End { choice, part });
        }
    }
}

pub(super) struct Writer {
    setting: Setting,
    id: String,
    model: String,
    created: i64,
    service_tier: Option<String>,
    usage: Option<usage::Written>,
    choices: BTreeMap<u32, Written>,
    over: bool,
}

/// What has been written of one choice.
#[derive(Default)]
struct Written {
    begun: bool,
    finished: bool,
    /// What sort each part is, by its number; a call's is its own number among the calls.
    parts: BTreeMap<u32, Kind>,
    calls: u32,
    /// A call of this part that has begun and is not written: what signs it belongs to its first piece, where
    /// clients look for it.
    waiting: Option<(u32, Call)>,
}

#[derive(Clone, Copy)]
enum Kind {
    Prose(Prose),
    Call(u32),
    /// An answer of this dialect cannot hold it in a stream.
    Other,
}

#[derive(Serialize)]
struct Chunk<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    model: &'a str,
    choices: Vec<ChunkChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<&'a usage::Written>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'a str>,
}

#[derive(Serialize)]
struct ChunkChoice {
    index: u32,
    delta: Message,
    finish_reason: Option<&'static str>,
}

impl Writer {
    pub(super) fn new(setting: &Setting) -> Self {
        Self {
            id: setting.id.clone(),
            model: setting.model.clone(),
            created: setting.created,
            setting: setting.clone(),
            service_tier: None,
            usage: None,
            choices: BTreeMap::new(),
            over: false,
        }
    }

    fn chunk(&self, choices: Vec<ChunkChoice>, usage: Option<&usage::Written>, out: &mut Vec<u8>) {
        let chunk = Chunk {
            id: &self.id,
            object: "chat.completion.chunk",
            created: self.created,
            model: &self.model,
            choices,
            usage,
            service_tier: self.service_tier.as_deref(),
        };
        out.extend_from_slice(b"data: ");
        serde_json::to_writer(&mut *out, &chunk).expect("text keys, and a vector takes every byte");
        out.extend_from_slice(b"\n\n");
    }

    fn delta(&mut self, choice: u32, mut delta: Message, out: &mut Vec<u8>) {
        let written = self.choices.entry(choice).or_default();
        if !std::mem::replace(&mut written.begun, true) {
            delta.role = Some(Cow::Borrowed("assistant"));
        }
        self.chunk(vec![ChunkChoice { index: choice, delta, finish_reason: None }], None, out);
    }

    /// Writes the call that waits, if one does.
    fn write_waiting(&mut self, choice: u32, out: &mut Vec<u8>) {
        let waiting = self.choices.get_mut(&choice).and_then(|written| written.waiting.take());
        if let Some((_, call)) = waiting {
            self.delta(choice, Message { tool_calls: Some(vec![call]), ..Message::default() }, out);
        }
    }

    fn begin(&mut self, choice: u32, part: u32, start: &Start, out: &mut Vec<u8>) {
        self.write_waiting(choice, out);
        let written = self.choices.entry(choice).or_default();
        let kind = match start {
            Start::Text => Kind::Prose(Prose::Text),
            Start::Refusal => Kind::Prose(Prose::Refusal),
            Start::Thinking { .. } => Kind::Prose(Prose::Thinking),
            Start::ToolCall { .. } => {
                written.calls += 1;
                Kind::Call(written.calls - 1)
            }
            Start::Whole(Part::Text { .. }) => Kind::Prose(Prose::Text),
            Start::Whole(_) => Kind::Other,
        };
        written.parts.insert(part, kind);
        if let (Start::ToolCall { id, name }, Kind::Call(number)) = (start, kind) {
            let call = ToolCall { id: id.clone(), name: name.clone(), ..ToolCall::default() };
            written.waiting = Some((part, encode::wire_call(&call, Some(number), None)));
        }
        if let Start::Whole(Part::Text { text, .. }) = start {
            self.delta(choice, prose(Prose::Text, text), out);
        }
    }

    fn more(&mut self, choice: u32, part: u32, delta: &Delta, out: &mut Vec<u8>) {
        let waiting = self.choices.get_mut(&choice).and_then(|written| written.waiting.as_mut());
        if let (Delta::Signature(signature), Some((waiting, call))) = (delta, waiting)
            && *waiting == part
        {
            call.extra_content = Some(encode::extra(signature));
            return;
        }
        self.write_waiting(choice, out);
        let kind = self.choices.get(&choice).and_then(|written| written.parts.get(&part)).copied();
        let message = match (kind, delta) {
            (Some(Kind::Prose(kind)), Delta::Text(text)) => prose(kind, text),
            (Some(Kind::Prose(Prose::Text)), Delta::Citation(citation)) => match encode::annotation(citation)
            {
                Some(annotation) => Message { annotations: Some(vec![annotation]), ..Message::default() },
                None => return,
            },
            (Some(Kind::Call(number)), Delta::Arguments(more)) => {
                let function = Function { name: None, arguments: Some(more.clone()) };
                let call = Call { index: Some(number), function: Some(function), ..Call::default() };
                Message { tool_calls: Some(vec![call]), ..Message::default() }
            }
            (Some(Kind::Call(number)), Delta::Signature(signature)) => {
                // Some clients refuse a piece of a call that has no function.
                let function = Some(Function { name: None, arguments: Some(String::new()) });
                let extra_content = Some(encode::extra(signature));
                let call = Call { index: Some(number), function, extra_content, ..Call::default() };
                Message { tool_calls: Some(vec![call]), ..Message::default() }
            }
            _ => return,
        };
        self.delta(choice, message, out);
    }

    fn finish(&mut self, choice: u32, finish: &Finish, out: &mut Vec<u8>) {
        self.write_waiting(choice, out);
        let written = self.choices.entry(choice).or_default();
        if std::mem::replace(&mut written.finished, true) {
            return;
        }
        let role = (!std::mem::replace(&mut written.begun, true)).then_some(Cow::Borrowed("assistant"));
        let delta = Message { role, ..Message::default() };
        let finish_reason = Some(encode::finish(finish));
        self.chunk(vec![ChunkChoice { index: choice, delta, finish_reason }], None, out);
    }

    fn done(&mut self, out: &mut Vec<u8>) {
        let unfinished: Vec<u32> =
            self.choices.iter().filter(|(_, written)| !written.finished).map(|(choice, _)| *choice).collect();
        unfinished.into_iter().for_each(|choice| self.finish(choice, &Finish::Stop, out));
        if let Some(usage) = self.usage.take().filter(|_| self.setting.stream_usage) {
            self.chunk(Vec::new(), Some(&usage), out);
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
        self.over = true;
    }
}

impl StreamWriter for Writer {
    fn write(&mut self, event: &ChatEvent, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        match event {
            ChatEvent::Start { id, model, created } => {
                if !id.is_empty() {
                    self.id.clone_from(id);
                }
                if !model.is_empty() {
                    self.model.clone_from(model);
                }
                self.created = created.unwrap_or(self.created);
            }
            ChatEvent::Begin { choice, part, start } => self.begin(*choice, *part, start, out),
            ChatEvent::Delta { choice, part, delta } => self.more(*choice, *part, delta, out),
            ChatEvent::End { choice, .. } => self.write_waiting(*choice, out),
            ChatEvent::Finish { choice, finish, .. } => self.finish(*choice, finish, out),
            ChatEvent::Usage(usage) => self.usage = Some(usage::Written::of(usage)),
            ChatEvent::ServiceTier(tier) => self.service_tier = Some(tier.clone()),
            ChatEvent::Error(error) => {
                let text = ErrorText::of(error, &self.setting.id);
                out.extend_from_slice(&error::event(Dialect::OpenAiChat, text, 0));
                self.over = true;
            }
            ChatEvent::Done => self.done(out),
        }
    }
}

fn prose(kind: Prose, text: &str) -> Message {
    let text = text.to_owned();
    match kind {
        Prose::Thinking => Message { reasoning_content: Some(text), ..Message::default() },
        Prose::Text => Message { content: Some(Content::Text(text)), ..Message::default() },
        Prose::Refusal => Message { refusal: Some(text), ..Message::default() },
    }
}
