//! A stream for callers: each event is an answer with a piece of the whole.
//!
//! Calls come whole in this dialect, and parts in their order, so that what has begun later waits.
//! Why it ended and what was used come with the last event, since nothing else tells the end. Lines of
//! comment are no keep-alive here: the vendor's SDK takes every line that is no `data:` for JSON. An
//! empty one says nothing in an event stream and nothing between two items of an array.

use super::{
    answer::{content, told, written},
    citation::{self, CITATIONS_MAX, Cited},
    finish,
    types::{self, Candidate, PLAIN},
    usage,
};
use crate::{
    domain::usage::Usage,
    wire::{
        Dialect,
        chat::{ChatError, ChatEvent, Citation, Delta, ErrorKind, Finish, Part, Signature, empty, extend},
        codec::{Setting, StreamWriter},
        error::{self, ErrorText},
    },
};
use std::collections::{BTreeMap, VecDeque};

/// Most text that waits for its turn, in bytes, of all parts together.
const HELD_BYTES_MAX: usize = 1 << 20;

pub(super) struct Writer {
    setting: Setting,
    id: String,
    model: String,
    usage: Option<Usage>,
    choices: BTreeMap<u32, Talk>,
    /// How much waits.
    held: usize,
    has_begun: bool,
    is_over: bool,
}

/// One of the answers.
#[derive(Default)]
struct Talk {
    /// Those that are not written to their end, in order.
    open: VecDeque<Open>,
    finish: Option<Finish>,
    text: Cited,
    citations: Vec<Citation>,
}

/// A part, with what of it waits.
struct Open {
    number: u32,
    part: Part,
    has_ended: bool,
}

impl Writer {
    pub(super) fn new(setting: &Setting) -> Self {
        Self {
            setting: setting.clone(),
            id: setting.id.clone(),
            model: setting.model.clone(),
            usage: None,
            choices: BTreeMap::new(),
            held: 0,
            has_begun: false,
            is_over: false,
        }
    }
}

impl StreamWriter for Writer {
    fn write(&mut self, event: &ChatEvent, out: &mut Vec<u8>) {
        if self.is_over {
            return;
        }
        match event {
            ChatEvent::Start { id, model, .. } => {
                self.id = told(id, &self.setting.id);
                self.model = told(model, &self.setting.model);
            }
            ChatEvent::Begin { choice, part, start } => {
                let open = Open { number: *part, part: empty(start), has_ended: false };
                self.held += size(&open.part);
                self.choices.entry(*choice).or_default().open.push_back(open);
            }
            ChatEvent::Delta { choice, part, delta } => {
                self.hold(*choice, *part, delta);
                self.release(*choice, out);
            }
            ChatEvent::End { choice, part } => {
                let open = &mut self.choices.entry(*choice).or_default().open;
                open.iter_mut().filter(|open| open.number == *part).for_each(|open| open.has_ended = true);
                self.release(*choice, out);
            }
            ChatEvent::Finish { choice, finish, .. } => {
                self.choices.entry(*choice).or_default().finish = Some(finish.clone());
            }
            ChatEvent::Usage(usage) => self.usage = Some(*usage),
            ChatEvent::ServiceTier(_) => {}
            ChatEvent::Error(error) => self.error(error, out),
            ChatEvent::Done => self.done(out),
        }
    }
}

impl Writer {
    /// Adds to a part that has begun. Citations stand apart: they are written at the end.
    fn hold(&mut self, choice: u32, part: u32, delta: &Delta) {
        let talk = self.choices.entry(choice).or_default();
        if let Delta::Citation(citation) = delta {
            if talk.citations.len() < CITATIONS_MAX {
                talk.citations.push(citation.clone());
            }
            return;
        }
        let Some(open) = talk.open.iter_mut().rfind(|open| open.number == part) else { return };
        let before = size(&open.part);
        extend(&mut open.part, delta);
        self.held += size(&open.part).saturating_sub(before);
    }

    /// Writes what need not wait: parts that have ended, and of the one after them what is there.
    fn release(&mut self, choice: u32, out: &mut Vec<u8>) {
        let talk = self.choices.entry(choice).or_default();
        let mut parts = Vec::new();
        while let Some(first) = talk.open.front_mut() {
            let is_prose = matches!(first.part, Part::Text { .. } | Part::Refusal { .. } | Part::Thinking(_));
            if !first.has_ended && !is_prose {
                break;
            }
            if let Part::Text { text, .. } = &first.part {
                talk.text.push(text);
            }
            self.held = self.held.saturating_sub(size(&first.part));
            written(&first.part, &mut parts);
            if !first.has_ended {
                clear(&mut first.part);
                break;
            }
            talk.open.pop_front();
        }
        if !parts.is_empty() {
            let content = Some(content(parts));
            self.chunk(vec![Candidate { content, index: Some(choice), ..Candidate::default() }], out);
        }
        if self.held > HELD_BYTES_MAX {
            let message = format!("more than {HELD_BYTES_MAX} bytes of the answer came out of their order");
            let error =
                ChatError { kind: ErrorKind::Internal, status: 502, message, code: None, param: None };
            self.error(&error, out);
        }
    }

    /// Writes one piece of the answer, with the usage if it is taken along.
    fn chunk(&mut self, candidates: Vec<Candidate>, out: &mut Vec<u8>) {
        let usage = self.usage.filter(|_| self.is_over);
        let body = types::Answer {
            candidates: Some(candidates),
            usage_metadata: usage.as_ref().map(usage::encode),
            model_version: Some(self.model.clone()),
            response_id: Some(self.id.clone()),
            ..types::Answer::default()
        };
        let mut json = serde_json::to_vec(&body).expect(PLAIN);
        // Arguments keep their bytes; a line's end among them would end the event's.
        json.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
        let is_first = !std::mem::replace(&mut self.has_begun, true);
        let (before, after): (&[u8], &[u8]) = match (self.setting.as_array, is_first) {
            (false, _) => (b"data: ", b"\n\n"),
            (true, true) => (b"[", b"\n"),
            (true, false) => (b",\n", b"\n"),
        };
        [before, &json, after].iter().for_each(|bytes| out.extend_from_slice(bytes));
    }

    fn error(&mut self, error: &ChatError, out: &mut Vec<u8>) {
        self.is_over = true;
        let text = ErrorText::of(error, &self.setting.id);
        if self.setting.as_array {
            out.extend_from_slice(if self.has_begun { b",\n" } else { b"[" });
            out.extend_from_slice(&error::body(Dialect::Gemini, text));
            out.extend_from_slice(b"\n]\n");
        } else {
            out.extend_from_slice(&error::event(Dialect::Gemini, text, 0));
        }
    }

    fn done(&mut self, out: &mut Vec<u8>) {
        self.choices.entry(0).or_default();
        let numbers: Vec<u32> = self.choices.keys().copied().collect();
        for choice in numbers {
            let open = self.choices.get_mut(&choice).map(|talk| &mut talk.open);
            open.into_iter().flatten().for_each(|open| open.has_ended = true);
            self.release(choice, out);
            if self.is_over {
                return;
            }
        }
        self.is_over = true;
        let choices = std::mem::take(&mut self.choices);
        let candidates = choices.iter().map(|(number, talk)| Candidate {
            // SDKs join the texts of all pieces, this one's too.
            content: Some(content(vec![types::Part::text("")])),
            finish_reason: Some(finish::word(talk.finish.as_ref().unwrap_or(&Finish::Stop)).to_owned()),
            index: Some(*number),
            grounding_metadata: citation::write(&talk.citations, &talk.text),
            citation_metadata: None,
        });
        self.chunk(candidates.collect(), out);
        if self.setting.as_array {
            out.extend_from_slice(b"]\n");
        }
    }
}

/// How many bytes of a part wait with it.
fn size(part: &Part) -> usize {
    let size = |text: &str, signature: &Option<Signature>| {
        text.len() + signature.as_ref().map_or(0, |signature| signature.data.len())
    };
    match part {
        Part::Text { text, signature, .. } => size(text, signature),
        Part::Refusal { text } => text.len(),
        Part::Thinking(thinking) => size(&thinking.text, &thinking.signature),
        Part::ToolCall(call) => call.id.len() + call.name.len() + size(&call.arguments, &call.signature),
        _ => 0,
    }
}

/// Leaves nothing in a part that goes on, since it was written.
fn clear(part: &mut Part) {
    match part {
        Part::Text { text, signature, .. } => (*text, *signature) = (String::new(), None),
        Part::Refusal { text } => text.clear(),
        Part::Thinking(thinking) => (thinking.text, thinking.signature) = (String::new(), None),
        _ => {}
    }
}
