//! Writes a stream for a caller, one block at a time as the dialect wants it: a part that begins while
//! another is open is held back until that has ended.

mod event;

use self::event::{BlockDelta, Event, Told};
use super::{
    DIALECT,
    answer::{self, Holds},
    turns,
    types::{self, Block},
    usage::Written,
};
use crate::{
    domain::usage::Usage,
    wire::{
        chat::{
            ChatError, ChatEvent, Delta, ErrorKind, Finish, Signature, Start, Thinking, ToolCall, UNSIGNED,
        },
        codec::{Setting, StreamWriter},
        error::{self, ErrorText},
    },
};
use std::collections::VecDeque;

/// The most that is held back of parts that must wait for another's end, in bytes.
const HELD_BYTES_MAX: usize = 1 << 20;
/// What a part that waits takes up besides its text, in bytes.
const HELD_PART_BYTES: usize = 256;

pub(super) struct Writer {
    setting: Setting,
    id: String,
    model: String,
    usage: Option<Usage>,
    service_tier: Option<String>,
    state: State,
    /// The parts that have begun and are not yet written, in their order. The first is being written.
    parts: VecDeque<Held>,
    held_bytes: usize,
    /// The number of the next block.
    next_index: u64,
    holds: Holds,
    finish: Option<Finish>,
    stop_sequence: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// The message has not begun, so that its usage may still become known.
    Waiting,
    Begun,
    Over,
}

struct Held {
    part: u32,
    kind: Kind,
    /// What has come of it while it had to wait.
    waiting: Vec<Delta>,
    has_ended: bool,
    /// The number of its block, once that has begun.
    index: Option<u64>,
    signature: Option<Signature>,
}

enum Kind {
    Text,
    Thinking,
    Redacted,
    ToolCall(ToolCall),
    /// What an answer of this dialect cannot hold.
    LeftOut,
}

impl StreamWriter for Writer {
    fn write(&mut self, event: &ChatEvent, out: &mut Vec<u8>) {
        if self.state == State::Over {
            return;
        }
        match event {
            ChatEvent::Start { id, model, .. } => {
                self.id.clone_from(id);
                self.model.clone_from(model);
            }
            ChatEvent::Usage(usage) => self.usage = Some(*usage),
            ChatEvent::ServiceTier(tier) => self.service_tier = Some(tier.clone()),
            ChatEvent::Begin { choice: 0, part, start } => self.begin(*part, start, out),
            ChatEvent::Delta { choice: 0, part, delta } => self.delta(*part, delta, out),
            ChatEvent::End { choice: 0, part } => {
                if let Some(held) = self.parts.iter_mut().find(|held| held.part == *part) {
                    held.has_ended = true;
                }
                self.pump(out);
            }
            ChatEvent::Finish { choice: 0, finish, stop_sequence } => {
                self.finish = Some(finish.clone());
                self.stop_sequence.clone_from(stop_sequence);
            }
            // There is one choice in this dialect.
            ChatEvent::Begin { .. }
            | ChatEvent::Delta { .. }
            | ChatEvent::End { .. }
            | ChatEvent::Finish { .. } => {}
            ChatEvent::Error(error) => self.fail(error, out),
            ChatEvent::Done => self.done(out),
        }
    }

    fn is_over(&self) -> bool {
        self.state == State::Over
    }
}

impl Writer {
    pub(super) fn new(setting: &Setting) -> Self {
        Self {
            setting: setting.clone(),
            id: String::new(),
            model: String::new(),
            usage: None,
            service_tier: None,
            state: State::Waiting,
            parts: VecDeque::new(),
            held_bytes: 0,
            next_index: 0,
            holds: Holds::default(),
            finish: None,
            stop_sequence: None,
        }
    }

    fn usage(&self) -> Written {
        Written::of(self.usage.as_ref(), self.setting.estimated_input, self.service_tier.as_deref())
    }

    fn open_message(&mut self, out: &mut Vec<u8>) {
        if self.state != State::Waiting {
            return;
        }
        self.state = State::Begun;
        let message = types::Written {
            id: answer::told(&self.id, &self.setting.id),
            kind: "message",
            role: "assistant",
            model: answer::told(&self.model, &self.setting.model),
            content: Vec::new(),
            stop_reason: None,
            stop_sequence: None,
            usage: self.usage(),
        };
        Event { message: Some(message), ..Event::of("message_start") }.write(out);
    }

    fn begin(&mut self, part: u32, start: &Start, out: &mut Vec<u8>) {
        self.open_message(out);
        self.holds.refusal |= matches!(start, Start::Refusal);
        self.holds.tool_call |= matches!(start, Start::ToolCall { .. });
        let kind = match start {
            Start::Text | Start::Refusal => Kind::Text,
            Start::Thinking { redacted: true, .. } => Kind::Redacted,
            Start::Thinking { .. } => Kind::Thinking,
            Start::ToolCall { id, name } => {
                Kind::ToolCall(ToolCall { id: id.clone(), name: name.clone(), ..ToolCall::default() })
            }
            Start::Whole(_) => Kind::LeftOut,
        };
        let held = Held { part, kind, waiting: Vec::new(), has_ended: false, index: None, signature: None };
        if !self.parts.is_empty() {
            self.hold(held.bytes(), out);
        }
        self.parts.push_back(held);
    }

    fn delta(&mut self, part: u32, delta: &Delta, out: &mut Vec<u8>) {
        match self.parts.iter().position(|held| held.part == part) {
            Some(0) => self.parts[0].write(delta, &mut self.next_index, out),
            Some(at) => {
                self.parts[at].waiting.push(delta.clone());
                self.hold(bytes(delta), out);
            }
            None => {}
        }
    }

    /// Counts what is held back, and breaks off where it is too much.
    fn hold(&mut self, bytes: usize, out: &mut Vec<u8>) {
        self.held_bytes = self.held_bytes.saturating_add(bytes);
        if self.held_bytes > HELD_BYTES_MAX {
            let message = "parts of the answer that came at the same time are too large to be put in order";
            let (kind, message) = (ErrorKind::Internal, message.to_owned());
            self.fail(&ChatError { kind, status: 502, message, code: None, param: None }, out);
        }
    }

    /// Ends the first part where it has ended, and goes on with those that waited for it.
    fn pump(&mut self, out: &mut Vec<u8>) {
        while self.parts.front().is_some_and(|held| held.has_ended) {
            if let Some(held) = self.parts.pop_front() {
                held.close(&mut self.next_index, out);
            }
            let Some(next) = self.parts.front_mut() else { continue };
            let waiting = std::mem::take(&mut next.waiting);
            let freed = waiting.iter().map(bytes).fold(next.bytes(), usize::saturating_add);
            self.held_bytes = self.held_bytes.saturating_sub(freed);
            for delta in waiting {
                next.write(&delta, &mut self.next_index, out);
            }
        }
    }

    fn done(&mut self, out: &mut Vec<u8>) {
        self.open_message(out);
        self.parts.iter_mut().for_each(|held| held.has_ended = true);
        self.pump(out);
        let told = Told::Message {
            stop_reason: answer::stop_reason(self.finish.as_ref(), self.holds),
            stop_sequence: self.stop_sequence.as_deref(),
        };
        Event { delta: Some(told), usage: Some(self.usage()), ..Event::of("message_delta") }.write(out);
        Event::of("message_stop").write(out);
        self.state = State::Over;
    }

    fn fail(&mut self, error: &ChatError, out: &mut Vec<u8>) {
        out.extend_from_slice(&error::event(DIALECT, ErrorText::of(error, &self.setting.id), 0));
        self.state = State::Over;
        self.parts.clear();
    }
}

/// What a delta takes up while it is held back.
fn bytes(delta: &Delta) -> usize {
    let text = match delta {
        Delta::Text(text) | Delta::Arguments(text) => text.len(),
        Delta::Signature(signature) => signature.data.len(),
        Delta::Citation(citation) => {
            [&citation.url, &citation.title, &citation.quote].into_iter().flatten().map(String::len).sum()
        }
    };
    text.saturating_add(size_of::<Delta>())
}

impl Held {
    fn bytes(&self) -> usize {
        let text = match &self.kind {
            Kind::ToolCall(call) => call.id.len().saturating_add(call.name.len()),
            _ => 0,
        };
        HELD_PART_BYTES.saturating_add(text)
    }

    /// Writes more of the part whose turn it is. Its block begins with the first of it, so that a call's
    /// signature can stand in front.
    fn write(&mut self, delta: &Delta, next_index: &mut u64, out: &mut Vec<u8>) {
        let delta = match (delta, &self.kind) {
            (_, Kind::LeftOut) => return,
            (Delta::Signature(signature), _) => {
                self.signature = Some(signature.clone());
                return;
            }
            (Delta::Text(text) | Delta::Arguments(text), _) if text.is_empty() => return,
            (Delta::Text(text), Kind::Text) => BlockDelta::Text { text },
            (Delta::Text(text), Kind::Thinking) => BlockDelta::Thinking { thinking: text },
            (Delta::Arguments(text), Kind::ToolCall(_)) => BlockDelta::Arguments { partial_json: text },
            (Delta::Citation(citation), Kind::Text) => match answer::citation(citation) {
                Some(citation) => BlockDelta::Citation { citation: Box::new(citation) },
                None => return,
            },
            _ => return,
        };
        let index = self.open(next_index, out);
        event::delta(index, delta, out);
    }

    /// The number of the part's block, which begins if it has not.
    fn open(&mut self, next_index: &mut u64, out: &mut Vec<u8>) -> u64 {
        if let Some(index) = self.index {
            return index;
        }
        let block = match &self.kind {
            // Its own signature comes at its end.
            Kind::Thinking => turns::thought(&Thinking::default(), String::new()),
            Kind::ToolCall(call) => turns::tool_use(call),
            _ => Block::text(""),
        };
        if matches!(self.kind, Kind::ToolCall(_))
            && let Some(signature) = self.signature.take()
        {
            // Clients take a signature from a delta, and none from where a block begins.
            let index = event::start(next_index, turns::thought(&Thinking::default(), String::new()), out);
            event::delta(index, BlockDelta::Signature { signature: &signature.sealed(DIALECT) }, out);
            event::stop(index, out);
        }
        *self.index.insert(event::start(next_index, block, out))
    }

    /// Ends the part. A call without arguments begins only now, and so does a thought of which the upstream
    /// shows nothing but its signature; another's, which would look like a carrier, is redacted.
    fn close(mut self, next_index: &mut u64, out: &mut Vec<u8>) {
        let is_own = self.signature.as_ref().is_some_and(|signature| signature.dialect == DIALECT);
        if matches!(self.kind, Kind::ToolCall(_)) || matches!(self.kind, Kind::Thinking) && is_own {
            self.open(next_index, out);
        }
        let signature = self.signature.take();
        let sealed = signature.as_ref().map(|signature| signature.sealed(DIALECT));
        if let (Kind::Thinking, Some(index)) = (&self.kind, self.index) {
            let signature = sealed.as_deref().unwrap_or(UNSIGNED);
            event::delta(index, BlockDelta::Signature { signature }, out);
        }
        if let Some(index) = self.index {
            event::stop(index, out);
        }
        let behind = match (self.kind, self.index) {
            (Kind::Text, _) => signature.as_ref().map(turns::behind_text),
            (Kind::Thinking, None) | (Kind::Redacted, _) => sealed.map(turns::redacted),
            _ => None,
        };
        if let Some(block) = behind {
            event::whole(next_index, block, out);
        }
    }
}
