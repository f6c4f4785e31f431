//! Reads an upstream's stream: events whose data is an object with the event's name as its only member,
//! which is what [`crate::provider::bedrock::Unframer`] makes of the binary one.
//!
//! A text block has no beginning of its own: its first delta is one. Usage comes after the reason why the
//! answer ended, as the stream's last event.

use super::{
    answer,
    types::{BlockDelta, BlockStart, Event, MessageStop, Metadata, More},
    usage,
};
use crate::wire::{
    chat::{ChatError, ChatEvent, Delta, ErrorKind, Start},
    codec::{SseData, SseEvents, StreamReader},
};

/// Most blocks that are open at once. The service has one; beyond these the oldest is taken for whole.
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

#[derive(Default)]
struct State {
    has_started: bool,
    has_finished: bool,
    /// Nothing comes after it.
    is_over: bool,
    next_part: u32,
    open: Vec<Open>,
}

/// A block that has begun.
struct Open {
    /// Its number in the stream.
    index: u64,
    part: u32,
    /// A call of which no argument came yet.
    is_bare_call: bool,
}

impl State {
    fn data(&mut self, data: SseData<'_>, out: &mut Vec<ChatEvent>) {
        if self.is_over {
            return;
        }
        let event = match data {
            Ok(data) => serde_json::from_slice::<Event>(data).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match event {
            Ok(event) => self.event(event, out),
            Err(error) => {
                let message = format!("the upstream's stream cannot be read: {error}");
                self.fail(ErrorKind::Internal, 502, None, message, out);
            }
        }
    }

    fn event(&mut self, event: Event, out: &mut Vec<ChatEvent>) {
        for (name, value) in &event.others {
            if let Some(status) = exception_status(name) {
                let said = value["message"].as_str().or_else(|| value["originalMessage"].as_str());
                let message = said.unwrap_or(name).to_owned();
                return self.fail(ErrorKind::of_status(status), status, Some(name.clone()), message, out);
            }
        }
        if event.message_start.is_some() {
            self.start(out);
        }
        if let Some(start) = event.content_block_start {
            self.begin(start, out);
        }
        if let Some(delta) = event.content_block_delta {
            self.delta(delta, out);
        }
        if let Some(stop) = event.content_block_stop {
            self.close(stop.content_block_index, out);
        }
        if let Some(stop) = event.message_stop {
            self.finish(stop, out);
        }
        if let Some(metadata) = event.metadata {
            self.metadata(metadata, out);
        }
    }

    fn fail(
        &mut self,
        kind: ErrorKind,
        status: u16,
        code: Option<String>,
        message: String,
        out: &mut Vec<ChatEvent>,
    ) {
        out.push(ChatEvent::Error(ChatError { kind, status, message, code, param: None }));
        self.is_over = true;
    }

    fn start(&mut self, out: &mut Vec<ChatEvent>) {
        if !std::mem::replace(&mut self.has_started, true) {
            out.push(ChatEvent::Start { id: String::new(), model: String::new(), created: None });
        }
    }

    fn begin(&mut self, start: BlockStart, out: &mut Vec<ChatEvent>) {
        let Some(tool) = start.start.tool_use else { return };
        let start_of = Start::ToolCall { id: tool.tool_use_id, name: tool.name };
        self.open(start.content_block_index, start_of, out);
    }

    /// Opens a part for the block of that number, in whose place an open one is whole.
    fn open(&mut self, index: u64, start: Start, out: &mut Vec<ChatEvent>) -> u32 {
        self.start(out);
        self.close(index, out);
        if self.open.len() >= OPEN_MAX {
            close(self.open.remove(0), out);
        }
        let part = self.next_part;
        self.next_part = self.next_part.saturating_add(1);
        self.open.push(Open { index, part, is_bare_call: matches!(start, Start::ToolCall { .. }) });
        out.push(ChatEvent::Begin { choice: 0, part, start });
        part
    }

    fn delta(&mut self, told: BlockDelta, out: &mut Vec<ChatEvent>) {
        if self.has_finished {
            return;
        }
        let index = told.content_block_index;
        let More { text, tool_use, reasoning_content, citation } = told.delta;
        let mut deltas = Vec::new();
        let start = match reasoning_content {
            Some(more) => {
                let redacted = more.redacted_content.is_some();
                deltas.extend(more.text.filter(|text| !text.is_empty()).map(Delta::Text));
                let signature = more.signature.or(more.redacted_content).filter(|data| !data.is_empty());
                deltas.extend(signature.map(answer::signature).map(Delta::Signature));
                Start::Thinking { id: None, redacted, summary: false }
            }
            None => Start::Text,
        };
        deltas.extend(text.filter(|text| !text.is_empty()).map(Delta::Text));
        deltas.extend(tool_use.map(|more| more.input).filter(|more| !more.is_empty()).map(Delta::Arguments));
        deltas.extend(citation.map(|citation| Delta::Citation(answer::citation(citation))));
        if deltas.is_empty() {
            return;
        }
        let has_arguments = deltas.iter().any(|delta| matches!(delta, Delta::Arguments(_)));
        let part = match self.open.iter_mut().find(|open| open.index == index) {
            Some(open) => {
                open.is_bare_call &= !has_arguments;
                open.part
            }
            // A call says its name first: arguments without one are of no use.
            None if has_arguments => return,
            None => self.open(index, start, out),
        };
        out.extend(deltas.into_iter().map(|delta| ChatEvent::Delta { choice: 0, part, delta }));
    }

    fn close(&mut self, index: u64, out: &mut Vec<ChatEvent>) {
        if let Some(at) = self.open.iter().position(|open| open.index == index) {
            close(self.open.remove(at), out);
        }
    }

    fn finish(&mut self, stop: MessageStop, out: &mut Vec<ChatEvent>) {
        self.start(out);
        self.open.drain(..).for_each(|open| close(open, out));
        let Some(reason) = stop.stop_reason else { return };
        if !std::mem::replace(&mut self.has_finished, true) {
            let stop_sequence = stop.additional_model_response_fields.and_then(|fields| fields.stop_sequence);
            out.push(ChatEvent::Finish { choice: 0, finish: answer::finish(reason), stop_sequence });
        }
    }

    fn metadata(&mut self, metadata: Metadata, out: &mut Vec<ChatEvent>) {
        self.start(out);
        out.extend(metadata.service_tier.map(|tier| ChatEvent::ServiceTier(tier.kind)));
        let usage = metadata.usage.and_then(|usage| usage::decode(usage.get().as_bytes()));
        out.extend(usage.map(ChatEvent::Usage));
        if self.has_finished {
            out.push(ChatEvent::Done);
            self.is_over = true;
        }
    }
}

/// A call that takes nothing has an empty object of arguments.
fn close(open: Open, out: &mut Vec<ChatEvent>) {
    let Open { part, is_bare_call, .. } = open;
    if is_bare_call {
        out.push(ChatEvent::Delta { choice: 0, part, delta: Delta::Arguments("{}".to_owned()) });
    }
    out.push(ChatEvent::End { choice: 0, part });
}

/// The status that an exception would have had before the stream began; `None`: it is none.
pub(crate) fn exception_status(name: &str) -> Option<u16> {
    Some(match name {
        "validationException" => 400,
        "accessDeniedException" => 403,
        "resourceNotFoundException" => 404,
        "modelTimeoutException" => 408,
        "throttlingException" | "serviceQuotaExceededException" | "modelNotReadyException" => 429,
        "serviceUnavailableException" => 503,
        name if name.ends_with("Exception") || name.ends_with("Error") => 500,
        _ => return None,
    })
}
