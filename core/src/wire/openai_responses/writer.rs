//! Writes a stream for a caller: every event by its name, in the vendor's sequence.
//!
//! Items may be open at once: events say which item they are of, so nothing has to be held back. All that
//! was said is kept, since the last event repeats it.
//!
//! An error is told twice, as the vendor does: by an `error` event, which SDKs raise, and by
//! `response.failed`, the only one of the two that Codex reads.

mod end;

use super::{
    error::{broken, code_of},
    event::{Event, Failure, Response, Say},
    types::{Content, Contents, Incomplete, Item},
    usage,
};
use crate::wire::{
    chat::{ChatError, ChatEvent, Citation, Delta, Finish, Part, Signature, Source, Start, event::pieces},
    codec::{Setting, StreamWriter},
    error::{self, ErrorText},
};
use std::{borrow::Cow, collections::BTreeMap};

/// Most bytes that are kept of one answer to be repeated at its end.
const KEPT_BYTES_MAX: usize = 32 << 20;
/// What an item takes up besides its text, in bytes.
const ITEM_BYTES: usize = 256;

pub(super) struct Writer {
    setting: Setting,
    response: Response,
    say: Say,
    begun: bool,
    over: bool,
    /// Parts that have begun, by their numbers.
    open: BTreeMap<u32, Open>,
    kept: usize,
    finish: Option<Finish>,
    refuses: bool,
}

/// A part that has begun.
struct Open {
    kind: Kind,
    /// Its item's index in the output.
    item: usize,
    /// Its own index in the message.
    content: usize,
    citations: Vec<Citation>,
    signature: Option<Signature>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Refusal,
    Thought {
        redacted: bool,
    },
    /// In plain text, it is known when the arguments are whole.
    Call {
        freeform: bool,
    },
}

impl StreamWriter for Writer {
    fn write(&mut self, event: &ChatEvent, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        match event {
            ChatEvent::Start { id, model, created } => {
                if !id.is_empty() {
                    self.response.id = response_id(id);
                }
                if !model.is_empty() {
                    self.response.model.clone_from(model);
                }
                self.response.created_at = created.unwrap_or(self.response.created_at);
                self.start(out);
            }
            // The dialect has one answer.
            ChatEvent::Begin { choice: 1.., .. }
            | ChatEvent::Delta { choice: 1.., .. }
            | ChatEvent::End { choice: 1.., .. }
            | ChatEvent::Finish { choice: 1.., .. } => {}
            ChatEvent::Begin { part, start, .. } => self.begin(*part, start, out),
            ChatEvent::Delta { part, delta, .. } => self.delta(*part, delta, out),
            ChatEvent::End { part, .. } => self.end(*part, out),
            ChatEvent::Finish { finish, .. } => self.finish = Some(finish.clone()),
            ChatEvent::Usage(usage) => self.response.usage = Some(usage::encode(usage)),
            ChatEvent::ServiceTier(tier) => self.response.service_tier = Some(tier.clone()),
            ChatEvent::Error(error) => self.fail(error, out),
            ChatEvent::Done => self.done(out),
        }
        if self.kept > KEPT_BYTES_MAX && !self.over && !self.say.silent {
            self.fail(&broken(format!("the answer is larger than {KEPT_BYTES_MAX} bytes")), out);
        }
    }

    fn is_over(&self) -> bool {
        self.over
    }
}

impl Writer {
    pub(super) fn new(setting: &Setting) -> Self {
        Self {
            response: Response::begun(response_id(&setting.id), setting.model.clone(), setting.created),
            setting: setting.clone(),
            say: Say::default(),
            begun: false,
            over: false,
            open: BTreeMap::new(),
            kept: 0,
            finish: None,
            refuses: false,
        }
    }

    /// Of which only the response is wanted.
    pub(super) fn silent(setting: &Setting) -> Self {
        Self { say: Say { silent: true, ..Say::default() }, ..Self::new(setting) }
    }

    pub(super) fn into_response(self) -> Response {
        self.response
    }

    /// An event that holds the response so far.
    fn lifecycle(&mut self, kind: &'static str, out: &mut Vec<u8>) {
        self.say.say(Event { kind, response: Some(&self.response), ..Event::default() }, out);
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.begun, true) {
            self.lifecycle("response.created", out);
            self.lifecycle("response.in_progress", out);
        }
    }

    /// Adds an item, with an id if it has none, and gives its index.
    fn add(&mut self, mut item: Item, out: &mut Vec<u8>) -> usize {
        self.start(out);
        self.kept = self.kept.saturating_add(ITEM_BYTES);
        let at = self.response.output.len();
        // A message is whole when another item follows.
        self.close_message(at.checked_sub(1), "completed", out);
        let prefix = match item.kind.as_deref() {
            Some("message") => "msg",
            Some("reasoning") => "rs",
            Some("custom_tool_call") => "ctc",
            Some("image_generation_call") => "ig",
            _ => "fc",
        };
        item.id.get_or_insert_with(|| format!("{prefix}_{}_{at}", self.setting.id));
        self.response.output.push(item);
        self.item("response.output_item.added", at, out);
        at
    }

    /// An event that holds the item.
    fn item(&mut self, kind: &'static str, at: usize, out: &mut Vec<u8>) {
        let item = self.response.output.get(at);
        self.say.say(Event { kind, output_index: Some(at), item, ..Event::default() }, out);
    }

    /// The message is whole, unless one of its texts is open.
    fn close_message(&mut self, at: Option<usize>, status: &'static str, out: &mut Vec<u8>) {
        let Some((at, item)) = at.and_then(|at| Some((at, self.response.output.get_mut(at)?))) else {
            return;
        };
        let is_open = is_in_progress(item) && item.role.is_some();
        if is_open && self.open.values().all(|open| open.item != at) {
            item.status = Some(Cow::Borrowed(status));
            self.item("response.output_item.done", at, out);
        }
    }

    fn begin(&mut self, part: u32, start: &Start, out: &mut Vec<u8>) {
        self.end(part, out);
        let in_progress = Some(Cow::Borrowed("in_progress"));
        let (kind, item) = match start {
            Start::Text => (Kind::Text, None),
            Start::Refusal => (Kind::Refusal, None),
            Start::Thinking { id, redacted, .. } => {
                let id = id.clone().filter(|id| id.starts_with("rs_"));
                let item = Item { id, summary: Some(Vec::new()), ..Item::of("reasoning") };
                (Kind::Thought { redacted: *redacted }, Some(item))
            }
            Start::ToolCall { id, name } => {
                let freeform = self.setting.freeform_tools.contains(name);
                let (kind, arguments, input) = match freeform {
                    true => ("custom_tool_call", None, Some(String::new())),
                    false => ("function_call", Some(String::new()), None),
                };
                let (call_id, name) = (Some(id.clone()), Some(name.clone()));
                let item = Item { status: in_progress, call_id, name, arguments, input, ..Item::of(kind) };
                (Kind::Call { freeform }, Some(item))
            }
            Start::Whole(whole) => return self.whole(part, whole, out),
        };
        let (item, content) = match item {
            Some(item) => (self.add(item, out), 0),
            None => self.begin_text(kind, out),
        };
        self.open.insert(part, Open { kind, item, content, citations: Vec::new(), signature: None });
    }

    /// A part that comes at once. Of media, the dialect has only images in an answer, as the vendor's own
    /// tool for them would have made them.
    fn whole(&mut self, part: u32, whole: &Part, out: &mut Vec<u8>) {
        match whole {
            Part::Image { source: Source::Data { base64, .. }, .. } => {
                self.kept = self.kept.saturating_add(base64.len());
                let (status, result) = (Some(Cow::Borrowed("completed")), Some(base64.clone()));
                let at = self.add(Item { status, result, ..Item::of("image_generation_call") }, out);
                self.item("response.output_item.done", at, out);
            }
            Part::Text { .. } | Part::Refusal { .. } | Part::Thinking(_) | Part::ToolCall(_) => {
                let mut events = Vec::new();
                pieces(0, part, whole, &mut events);
                events.iter().for_each(|event| self.write(event, out));
            }
            Part::Image { .. } | Part::Document { .. } | Part::Audio { .. } | Part::ToolResult(_) => {}
        }
    }

    /// A text or a refusal: a part of the last message, if nothing came after that.
    fn begin_text(&mut self, kind: Kind, out: &mut Vec<u8>) -> (usize, usize) {
        self.refuses |= kind == Kind::Refusal;
        let at = match self.response.output.last() {
            Some(last) if last.role.is_some() => self.response.output.len() - 1,
            _ => {
                let status = Some(Cow::Borrowed("in_progress"));
                self.add(Item { status, ..Item::message("assistant", Contents::Parts(Vec::new())) }, out)
            }
        };
        let item = &mut self.response.output[at];
        let part = if kind == Kind::Refusal { Content::refusal("") } else { output_text() };
        let contents = item.parts_mut().map_or(0, |parts| {
            parts.push(part);
            parts.len()
        });
        let index = contents.saturating_sub(1);
        self.content("response.content_part.added", at, index, out);
        (at, index)
    }

    /// An event that holds a part of a message.
    fn content(&mut self, kind: &'static str, at: usize, index: usize, out: &mut Vec<u8>) {
        let item = &self.response.output[at];
        let part = content_of(item, index);
        self.say.say(Event { kind, content_index: Some(index), part, ..of_item(item, at) }, out);
    }

    fn delta(&mut self, part: u32, delta: &Delta, out: &mut Vec<u8>) {
        let Some(open) = self.open.get_mut(&part) else { return };
        let is_call = matches!(open.kind, Kind::Call { .. });
        match delta {
            Delta::Signature(signature) => open.signature = Some(signature.clone()),
            Delta::Citation(citation) => open.citations.push(citation.clone()),
            Delta::Text(more) | Delta::Arguments(more) => {
                if !more.is_empty() && is_call == matches!(delta, Delta::Arguments(_)) {
                    let (kind, place) = (open.kind, (open.item, open.content));
                    self.kept = self.kept.saturating_add(more.len());
                    self.more(kind, place, more, out);
                }
            }
        }
    }

    /// More of a text, a thought or a call's arguments.
    fn more(&mut self, kind: Kind, (at, index): (usize, usize), more: &str, out: &mut Vec<u8>) {
        let item = &mut self.response.output[at];
        if matches!(kind, Kind::Thought { .. }) && item.summary.as_ref().is_none_or(Vec::is_empty) {
            let part = Content::text("summary_text", "");
            let event = Event { summary_index: Some(0), part: Some(&part), ..of_item(item, at) };
            self.say.say(Event { kind: "response.reasoning_summary_part.added", ..event }, out);
            item.summary = Some(vec![part]);
        }
        if let Some(said) = said_mut(item, kind, index) {
            said.push_str(more);
        }
        let event = Event { delta: Some(more), ..of_item(item, at) };
        let event = match kind {
            Kind::Text => Event {
                kind: "response.output_text.delta",
                content_index: Some(index),
                logprobs: Some([]),
                ..event
            },
            Kind::Refusal => Event { kind: "response.refusal.delta", content_index: Some(index), ..event },
            Kind::Thought { .. } => {
                Event { kind: "response.reasoning_summary_text.delta", summary_index: Some(0), ..event }
            }
            Kind::Call { freeform: false } => {
                Event { kind: "response.function_call_arguments.delta", ..event }
            }
            Kind::Call { freeform: true } => return,
        };
        self.say.say(event, out);
    }

    fn done(&mut self, out: &mut Vec<u8>) {
        self.start(out);
        let open: Vec<_> = self.open.keys().copied().collect();
        open.into_iter().for_each(|part| self.end(part, out));
        let reason = self.finish.as_ref().and_then(|finish| reason(finish, self.refuses));
        let (kind, status) = match reason {
            Some(_) => ("response.incomplete", "incomplete"),
            None => ("response.completed", "completed"),
        };
        self.close_message(self.response.output.len().checked_sub(1), status, out);
        self.response.status = status;
        self.response.incomplete_details = reason.map(|reason| Incomplete { reason: Some(reason) });
        self.lifecycle(kind, out);
        self.over = true;
    }

    fn fail(&mut self, error: &ChatError, out: &mut Vec<u8>) {
        self.start(out);
        let code = code_of(error);
        let text = ErrorText { code: Some(code), ..ErrorText::of(error, &self.setting.id) };
        out.extend_from_slice(&error::responses_error(text, self.say.sequence));
        self.say.sequence += 1;
        // What was not said to its end is not repeated.
        let open: Vec<_> = self.open.values().map(|open| open.item).collect();
        let items = std::mem::take(&mut self.response.output).into_iter().enumerate();
        let whole = items.filter(|(at, item)| !open.contains(at) && !is_in_progress(item));
        self.response.output = whole.map(|(_, item)| item).collect();
        self.response.status = "failed";
        self.response.error = Some(Failure { code: code.to_owned(), message: error.message.clone() });
        self.lifecycle("response.failed", out);
        self.over = true;
    }
}

/// Why the response is not whole; `None`: it is. `refuses`: it says so in a part of its own.
fn reason(finish: &Finish, refuses: bool) -> Option<Cow<'static, str>> {
    match finish {
        Finish::Length | Finish::ContextFull => Some(Cow::Borrowed("max_output_tokens")),
        Finish::Filter => Some(Cow::Borrowed("content_filter")),
        Finish::Refusal => (!refuses).then_some(Cow::Borrowed("content_filter")),
        Finish::Broken(word) => Some(Cow::Owned(word.to_ascii_lowercase())),
        Finish::Stop | Finish::StopSequence | Finish::ToolCalls | Finish::Pause | Finish::Other(_) => None,
    }
}

/// An id in the vendor's manner.
fn response_id(id: &str) -> String {
    if id.starts_with("resp_") { id.to_owned() } else { format!("resp_{id}") }
}

fn is_in_progress(item: &Item) -> bool {
    item.status.as_deref() == Some("in_progress")
}

/// A text that begins, with all that SDKs read of it.
fn output_text() -> Content {
    let logprobs = serde_json::value::RawValue::from_string("[]".to_owned()).ok();
    Content { annotations: Some(Vec::new()), logprobs, ..Content::text("output_text", "") }
}

/// An event of the item that is the output's `at`-th.
fn of_item(item: &Item, at: usize) -> Event<'_> {
    Event { item_id: item.id.as_deref(), output_index: Some(at), ..Event::default() }
}

fn content_of(item: &Item, index: usize) -> Option<&Content> {
    match &item.content {
        Some(Contents::Parts(parts)) => parts.get(index),
        _ => None,
    }
}

/// Where a part's text is.
fn said_mut(item: &mut Item, kind: Kind, index: usize) -> Option<&mut String> {
    match kind {
        Kind::Text => item.parts_mut()?.get_mut(index)?.text.as_mut(),
        Kind::Refusal => item.parts_mut()?.get_mut(index)?.refusal.as_mut(),
        Kind::Thought { .. } => item.summary.as_mut()?.last_mut()?.text.as_mut(),
        Kind::Call { freeform: true } => item.input.as_mut(),
        Kind::Call { freeform: false } => item.arguments.as_mut(),
    }
}
