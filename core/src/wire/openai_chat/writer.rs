//! Writes a stream for a caller.

use super::{
    answer,
    reader::Prose,
    types::{Call, Content, Function, Message},
    usage,
};
use crate::wire::{
    Dialect,
    chat::{ChatEvent, Delta, Finish, Part, Start, ToolCall},
    codec::{Setting, StreamWriter},
    error::{self, ErrorText},
};
use serde::Serialize;
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

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
    /// The calls of which no arguments have come, by the numbers of their parts.
    silent: BTreeSet<u32>,
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
            let function = Some(Function { name: Some(call.name.clone()), arguments: Some(String::new()) });
            written.silent.insert(part);
            written.waiting = Some((part, Call { function, ..answer::wire_call(&call, Some(number), None) }));
        }
        if let Start::Whole(Part::Text { text, .. }) = start {
            self.delta(choice, prose(Prose::Text, text), out);
        }
    }

    fn more(&mut self, choice: u32, part: u32, delta: &Delta, out: &mut Vec<u8>) {
        let Some(written) = self.choices.get_mut(&choice) else { return };
        if let (Delta::Signature(signature), Some((waiting, call))) = (delta, &mut written.waiting)
            && *waiting == part
        {
            call.extra_content = Some(answer::extra(signature));
            return;
        }
        let kind = written.parts.get(&part).copied();
        if matches!(delta, Delta::Arguments(more) if !more.is_empty()) {
            written.silent.remove(&part);
        }
        self.write_waiting(choice, out);
        let message = match (kind, delta) {
            (Some(Kind::Prose(kind)), Delta::Text(text)) => prose(kind, text),
            (Some(Kind::Prose(Prose::Text)), Delta::Citation(citation)) => match answer::annotation(citation)
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
                // SDKs want every piece of a call to be one of its function.
                let function = Some(Function { name: None, arguments: Some(String::new()) });
                let extra_content = Some(answer::extra(signature));
                let call = Call { index: Some(number), function, extra_content, ..Call::default() };
                Message { tool_calls: Some(vec![call]), ..Message::default() }
            }
            _ => return,
        };
        self.delta(choice, message, out);
    }

    /// A call without arguments has an empty object of them: callers read them as JSON.
    fn end(&mut self, choice: u32, part: u32, out: &mut Vec<u8>) {
        if self.choices.get(&choice).is_some_and(|written| written.silent.contains(&part)) {
            self.more(choice, part, &Delta::Arguments("{}".to_owned()), out);
        }
    }

    fn finish(&mut self, choice: u32, finish: &Finish, out: &mut Vec<u8>) {
        self.write_waiting(choice, out);
        let written = self.choices.entry(choice).or_default();
        if std::mem::replace(&mut written.finished, true) {
            return;
        }
        let role = (!std::mem::replace(&mut written.begun, true)).then_some(Cow::Borrowed("assistant"));
        let delta = Message { role, ..Message::default() };
        let finish_reason = Some(answer::finish(finish));
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
            ChatEvent::End { choice, part } => self.end(*choice, *part, out),
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

    fn is_over(&self) -> bool {
        self.over
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
