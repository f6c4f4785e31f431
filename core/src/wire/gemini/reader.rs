//! An upstream's stream: every event is an answer with a piece of the whole. The stream has no end
//! of its own but that of its body, which counts where a reason to finish was given.

use super::{
    answer,
    citation::{self, CITATIONS_MAX, Cited},
    error, finish,
    frames::Objects,
    types, usage,
};
use crate::{
    domain::usage::Usage,
    wire::{
        chat::{ChatError, ChatEvent, Citation, Delta, ErrorKind, Finish, Part, Start, Thinking, pieces},
        codec::{SseData, SseEvents, StreamReader},
    },
};
use std::collections::BTreeSet;

/// Most candidates of one answer; others are passed over.
const CHOICES_MAX: u32 = 128;

#[derive(Default)]
pub(super) struct Reader {
    shape: Shape,
    sse: SseEvents,
    objects: Objects,
    heard: Heard,
}

/// How the stream is written.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Shape {
    /// Nothing has come that tells.
    #[default]
    Unknown,
    Events,
    Objects,
}

impl StreamReader for Reader {
    fn feed(&mut self, bytes: &[u8], events: &mut Vec<ChatEvent>) {
        let mut bytes = bytes;
        if self.shape == Shape::Unknown {
            // A byte order mark or empty lines say nothing in either.
            let tells = |byte: &u8| !b"\xef\xbb\xbf \t\r\n".contains(byte);
            let Some(at) = bytes.iter().position(tells) else { return };
            bytes = &bytes[at..];
            self.shape = if matches!(bytes[0], b'[' | b'{') { Shape::Objects } else { Shape::Events };
        }
        let heard = &mut self.heard;
        match self.shape {
            Shape::Objects => self.objects.feed(bytes, |data| heard.data(data, events)),
            _ => self.sse.feed(bytes, |data| heard.data(data, events)),
        }
    }

    fn end(&mut self, events: &mut Vec<ChatEvent>) {
        let heard = &mut self.heard;
        self.sse.end(|data| heard.data(data, events));
        if !self.objects.is_within() {
            heard.end(events);
        }
    }
}

/// What was heard so far.
#[derive(Default)]
struct Heard {
    id: Option<String>,
    choices: Vec<Choice>,
    /// Images and searches.
    beside: Usage,
    /// What was looked for in the web.
    searched: BTreeSet<String>,
    is_over: bool,
}

#[derive(Default)]
struct Choice {
    parts: u32,
    open: Option<Open>,
    calls: u32,
    text: Cited,
    cited: Vec<Citation>,
    /// The last reason to finish; older models give one with every event.
    finish: Option<Finish>,
}

/// The part that goes on.
struct Open {
    part: u32,
    is_thought: bool,
    /// It has its signature: what comes is another part.
    is_signed: bool,
}

impl Heard {
    fn data(&mut self, data: SseData<'_>, events: &mut Vec<ChatEvent>) {
        if self.is_over {
            return;
        }
        let Ok(data) = data else { return self.fail("an event of the upstream is too large", events) };
        // The end that other dialects have, as some who imitate this one write it.
        if data.trim_ascii() == b"[DONE]" {
            return;
        }
        match serde_json::from_slice::<types::Answer>(data) {
            Ok(types::Answer { error: Some(error), .. }) => {
                self.is_over = true;
                events.push(ChatEvent::Error(error::read(None, error.get().as_bytes())));
            }
            Ok(answer) => self.answer(answer, events),
            Err(_) => self.fail("an event of the upstream is no JSON of this dialect", events),
        }
    }

    fn fail(&mut self, message: &str, events: &mut Vec<ChatEvent>) {
        self.is_over = true;
        events.push(ChatEvent::Error(ChatError {
            kind: ErrorKind::Internal,
            status: 502,
            message: message.to_owned(),
            code: None,
            param: None,
        }));
    }

    fn answer(&mut self, wire: types::Answer, events: &mut Vec<ChatEvent>) {
        let is_blocked = answer::is_blocked(&wire);
        if self.id.is_none() {
            let id = wire.response_id.unwrap_or_default();
            self.id = Some(id.clone());
            let created = answer::seconds(wire.create_time.as_deref());
            events.push(ChatEvent::Start { id, model: wire.model_version.unwrap_or_default(), created });
        }
        let mut said = Vec::new();
        for (number, candidate) in (0..).zip(wire.candidates.unwrap_or_default()) {
            self.candidate(candidate.index.unwrap_or(number), candidate, &mut said);
        }
        if is_blocked && let Some(choice) = self.choice(0) {
            choice.finish = Some(Finish::Filter);
        }
        // In front, since some dialects tell the prompt's before anything is said.
        let usage = wire.usage_metadata.and_then(|usage| usage::decode(usage.get().as_bytes()));
        events.extend(usage.map(|usage| ChatEvent::Usage(usage.plus(&self.beside))));
        events.append(&mut said);
    }

    fn choice(&mut self, number: u32) -> Option<&mut Choice> {
        let at = usize::try_from(number).ok().filter(|_| number < CHOICES_MAX)?;
        if self.choices.len() <= at {
            self.choices.resize_with(at + 1, Choice::default);
        }
        self.choices.get_mut(at)
    }

    fn candidate(&mut self, number: u32, mut candidate: types::Candidate, events: &mut Vec<ChatEvent>) {
        let id = self.id.clone().unwrap_or_default();
        let Some(choice) = self.choice(number) else { return };
        let mut parts = Vec::new();
        for wire in answer::take_parts(&mut candidate) {
            parts.extend(answer::said(wire, &id, number, &mut choice.calls));
        }
        parts.iter().for_each(|part| choice.said(number, part, events));
        for citation in citation::read(&candidate, &choice.text, &[]) {
            choice.cited(number, citation, events);
        }
        if let Some(finish) = finish::read(candidate.finish_reason.as_deref(), choice.calls > 0) {
            choice.finish = Some(finish);
        }
        let beside = answer::beside(&candidate, &parts, &mut self.searched);
        self.beside = self.beside.plus(&beside);
    }

    fn end(&mut self, events: &mut Vec<ChatEvent>) {
        if self.is_over || self.choices.iter().all(|choice| choice.finish.is_none()) {
            return;
        }
        self.is_over = true;
        for (number, choice) in (0..).zip(&mut self.choices) {
            choice.close(number, events);
            let finish = choice.finish.take();
            let event =
                finish.map(|finish| ChatEvent::Finish { choice: number, finish, stop_sequence: None });
            events.extend(event);
        }
        events.push(ChatEvent::Done);
    }
}

impl Choice {
    /// A text or a thought goes on where one of its kind is open; everything else comes whole.
    fn said(&mut self, choice: u32, said: &Part, events: &mut Vec<ChatEvent>) {
        // `is_apart`: it is a part of its own whatever is open. A signature without a text was given apart.
        let (start, text, signature, is_apart) = match said {
            Part::Text { text, signature, .. } => {
                self.text.push(text);
                (Start::Text, text, signature, text.is_empty())
            }
            Part::Thinking(Thinking { redacted, text, signature, .. }) => {
                (Start::Thinking { id: None, redacted: *redacted, summary: true }, text, signature, *redacted)
            }
            whole => {
                self.close(choice, events);
                pieces(choice, self.parts, whole, events);
                self.parts += 1;
                return;
            }
        };
        let is_thought = matches!(said, Part::Thinking(_));
        let goes_on = |open: &&Open| open.is_thought == is_thought && !open.is_signed && !is_apart;
        let part = match self.open.as_ref().filter(goes_on) {
            Some(open) => open.part,
            None => self.begin(choice, start, events),
        };
        let text = (!text.is_empty()).then(|| Delta::Text(text.clone()));
        let deltas = text.into_iter().chain(signature.clone().map(Delta::Signature));
        events.extend(deltas.map(|delta| ChatEvent::Delta { choice, part, delta }));
        self.open = Some(Open { part, is_thought, is_signed: signature.is_some() });
    }

    /// A citation goes to the text that is open; where there is none, one begins for it. Events can tell
    /// again what those before them told.
    fn cited(&mut self, choice: u32, citation: Citation, events: &mut Vec<ChatEvent>) {
        if self.cited.len() == CITATIONS_MAX || self.cited.contains(&citation) {
            return;
        }
        self.cited.push(citation.clone());
        let part = match &self.open {
            Some(open) if !open.is_thought => open.part,
            _ => {
                let part = self.begin(choice, Start::Text, events);
                self.open = Some(Open { part, is_thought: false, is_signed: false });
                part
            }
        };
        events.push(ChatEvent::Delta { choice, part, delta: Delta::Citation(citation) });
    }

    fn begin(&mut self, choice: u32, start: Start, events: &mut Vec<ChatEvent>) -> u32 {
        self.close(choice, events);
        let part = self.parts;
        self.parts += 1;
        events.push(ChatEvent::Begin { choice, part, start });
        part
    }

    fn close(&mut self, choice: u32, events: &mut Vec<ChatEvent>) {
        let open = self.open.take();
        events.extend(open.map(|open| ChatEvent::End { choice, part: open.part }));
    }
}
