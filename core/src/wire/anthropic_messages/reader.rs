//! Reads an upstream's stream: <https://platform.claude.com/docs/en/build-with-claude/streaming>.
//!
//! Blocks come one after the other, each with a number; those of the vendor's own tools are passed over
//! and not counted. Usage comes at the beginning and, as totals so far, towards the end.

use super::{
    answer, parts,
    types::{Answer, Block, Citation},
    usage::Counts,
};
use crate::wire::{
    chat::{ChatError, ChatEvent, Delta, ErrorKind, event},
    codec::{Malformed, SseData, SseEvents, StreamReader},
    openai_chat,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Most blocks that are open at once. The dialect has one; beyond these the oldest is taken for whole.
const OPEN_MAX: usize = 64;

#[derive(Default)]
pub(super) struct Reader {
    events: SseEvents,
    state: State,
}

impl StreamReader for Reader {
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<ChatEvent>) {
        let Self { events, state } = self;
        events.feed(bytes, |data| state.data(data, out));
    }

    fn end(&mut self, out: &mut Vec<ChatEvent>) {
        let Self { events, state } = self;
        events.end(|data| state.data(data, out));
    }
}

/// The data of one event, its fields not yet read: only the type tells what they hold.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    index: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    content_block: Option<&'a RawValue>,
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// What one event adds to a block, or to the message.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Told {
    #[serde(rename = "type")]
    kind: Option<String>,
    text: Option<String>,
    thinking: Option<String>,
    partial_json: Option<String>,
    signature: Option<String>,
    citation: Option<Citation>,
    stop_reason: Option<String>,
    stop_sequence: Option<String>,
}

#[derive(Default)]
struct State {
    has_started: bool,
    has_finished: bool,
    /// Nothing comes after it.
    is_over: bool,
    counts: Counts,
    /// The part that the next block will be.
    next_part: u32,
    open: Vec<Open>,
}

/// A block that has begun.
struct Open {
    /// Its number in the stream.
    index: u64,
    part: u32,
    /// A call's arguments, where they came with its beginning: what comes later is believed before it.
    input: Option<String>,
}

impl State {
    fn data(&mut self, data: SseData<'_>, out: &mut Vec<ChatEvent>) {
        if self.is_over {
            return;
        }
        let read = match data {
            Ok(data) => self.event(data, out),
            Err(error) => Err(Malformed::new(error.to_string())),
        };
        if let Err(error) = read {
            let message = format!("the upstream's stream cannot be read: {error}");
            let kind = ErrorKind::Internal;
            self.fail(ChatError { kind, status: 502, message, code: None, param: None }, out);
        }
    }

    fn event(&mut self, data: &[u8], out: &mut Vec<ChatEvent>) -> Result<(), Malformed> {
        // Some compatible upstreams end as the others do.
        if data.trim_ascii().is_empty() || data.trim_ascii() == b"[DONE]" {
            return Ok(());
        }
        let event: Event<'_> =
            serde_json::from_slice(data).map_err(|error| Malformed::new(error.to_string()))?;
        let index = event.index.and_then(|index| index.get().parse::<u64>().ok());
        match event.kind.as_deref().unwrap_or("") {
            "error" | "" if event.error.is_some() => {
                let error = event.error.map_or("", RawValue::get);
                self.fail(openai_chat::error_of(None, error.as_bytes()), out);
            }
            "error" => self.fail(openai_chat::error_of(None, data), out),
            "message_start" => self.start(read(event.message)?, out),
            "content_block_start" => {
                if let (Some(index), Some(block)) = (index, read(event.content_block)?) {
                    self.begin(index, block, out)?;
                }
            }
            "content_block_delta" => {
                if let (Some(index), Some(delta)) = (index, read(event.delta)?) {
                    self.delta(index, delta, out);
                }
            }
            "content_block_stop" => {
                if let Some(at) = self.open.iter().position(|open| Some(open.index) == index) {
                    close(self.open.remove(at), out);
                }
            }
            "message_delta" => {
                self.start(None, out);
                self.usage(event.usage, out);
                let told: Told = read(event.delta)?.unwrap_or_default();
                if let Some(reason) = told.stop_reason {
                    self.finish(reason, told.stop_sequence, out);
                }
            }
            "message_stop" => {
                self.start(None, out);
                self.close_all(out);
                out.push(ChatEvent::Done);
                self.is_over = true;
            }
            // A ping, and whatever is to come.
            _ => {}
        }
        Ok(())
    }

    fn fail(&mut self, error: ChatError, out: &mut Vec<ChatEvent>) {
        out.push(ChatEvent::Error(error));
        self.is_over = true;
    }

    /// Also an upstream that leaves out the beginning is understood.
    fn start(&mut self, message: Option<Answer>, out: &mut Vec<ChatEvent>) {
        if self.has_started {
            return;
        }
        self.has_started = true;
        let message = message.unwrap_or_default();
        out.push(ChatEvent::Start {
            id: message.id.unwrap_or_default(),
            model: message.model.unwrap_or_default(),
            created: None,
        });
        let usage = message.usage.as_deref();
        out.extend(usage.and_then(answer::service_tier).map(ChatEvent::ServiceTier));
        self.usage(usage, out);
    }

    fn usage(&mut self, usage: Option<&RawValue>, out: &mut Vec<ChatEvent>) {
        let Some(usage) = usage else { return };
        if self.counts.add(usage.get().as_bytes()) {
            out.extend(self.counts.classes().map(ChatEvent::Usage));
        }
    }

    fn begin(&mut self, index: u64, block: Block, out: &mut Vec<ChatEvent>) -> Result<(), Malformed> {
        self.start(None, out);
        if let Some(at) = self.open.iter().position(|open| open.index == index) {
            close(self.open.remove(at), out);
        }
        let whole = parts::of_assistant(block, "content_block", answer::own)?;
        let Some(whole) = whole.filter(|_| !self.has_finished) else { return Ok(()) };
        let part = self.next_part;
        self.next_part = self.next_part.saturating_add(1);
        // What a block holds when it begins is as if it came next; nearly always it is empty.
        let mut held = Vec::new();
        event::pieces(0, part, &whole, &mut held);
        let mut input = None;
        for event in held {
            match event {
                ChatEvent::Delta { delta: Delta::Arguments(arguments), .. } => input = Some(arguments),
                ChatEvent::End { .. } => {}
                event => out.push(event),
            }
        }
        if self.open.len() >= OPEN_MAX {
            close(self.open.remove(0), out);
        }
        self.open.push(Open { index, part, input });
        Ok(())
    }

    fn delta(&mut self, index: u64, told: Told, out: &mut Vec<ChatEvent>) {
        let Some(open) = self.open.iter_mut().find(|open| open.index == index) else { return };
        let some = |text: Option<String>| text.filter(|text| !text.is_empty());
        let delta = match told.kind.as_deref().unwrap_or("") {
            "text_delta" => some(told.text).map(Delta::Text),
            "thinking_delta" => some(told.thinking).map(Delta::Text),
            "signature_delta" => some(told.signature).map(|data| Delta::Signature(answer::own(&data))),
            "input_json_delta" => some(told.partial_json).map(Delta::Arguments),
            "citations_delta" => told.citation.map(|citation| Delta::Citation(parts::citation(citation))),
            _ => None,
        };
        if matches!(delta, Some(Delta::Arguments(_))) {
            open.input = None;
        }
        let part = open.part;
        out.extend(delta.map(|delta| ChatEvent::Delta { choice: 0, part, delta }));
    }

    fn finish(&mut self, reason: String, stop_sequence: Option<String>, out: &mut Vec<ChatEvent>) {
        self.close_all(out);
        if !std::mem::replace(&mut self.has_finished, true) {
            out.push(ChatEvent::Finish { choice: 0, finish: answer::finish(reason), stop_sequence });
        }
    }

    fn close_all(&mut self, out: &mut Vec<ChatEvent>) {
        self.open.drain(..).for_each(|open| close(open, out));
    }
}

fn read<T: DeserializeOwned>(json: Option<&RawValue>) -> Result<Option<T>, Malformed> {
    let read = json.map(|json| serde_json::from_str(json.get())).transpose();
    read.map_err(|error| Malformed::new(error.to_string()))
}

fn close(open: Open, out: &mut Vec<ChatEvent>) {
    let Open { part, input, .. } = open;
    let input = input.map(Delta::Arguments);
    out.extend(input.map(|delta| ChatEvent::Delta { choice: 0, part, delta }));
    out.push(ChatEvent::End { choice: 0, part });
}
