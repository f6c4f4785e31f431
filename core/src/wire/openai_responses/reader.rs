//! Reads an upstream's stream.
//!
//! The vendor tells everything several times: in deltas, when a part is done, when its item is, and in
//! the response at the end. Here the deltas count; what is told later counts only where no delta came,
//! as with upstreams that send none.

use super::{
    answer,
    error::{broken, within},
    turns::PARAGRAPH,
    types::{Annotation, Content, Item, Response},
    usage,
};
use crate::{
    domain::usage::Usage,
    wire::{
        chat::{ChatError, ChatEvent, Citation, Delta, Finish, Part, Start, event::pieces, freeform},
        codec::{SseData, SseEvents, StreamReader},
    },
};
use serde::{Deserialize, de::Error as _};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Most parts that are remembered at once.
const OPEN_MAX: usize = 1024;

#[derive(Default)]
pub(super) struct Reader {
    sse: SseEvents,
    state: State,
}

impl StreamReader for Reader {
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<ChatEvent>) {
        let Self { sse, state } = self;
        sse.feed(bytes, |data| state.data(data, out));
    }

    fn end(&mut self, out: &mut Vec<ChatEvent>) {
        let Self { sse, state } = self;
        sse.end(|data| state.data(data, out));
    }
}

#[derive(Default)]
struct State {
    started: bool,
    /// Its end, or an error, has come.
    over: bool,
    /// How many parts have begun.
    parts: u32,
    calls: bool,
    refuses: bool,
    /// How often the web was searched.
    searches: u64,
    /// Parts that have begun of items that are not done, by their place.
    open: BTreeMap<Place, Open>,
}

/// An item's index in the output, and the part's in the item.
type Place = (u64, u64);

/// A part that has begun.
#[derive(Default)]
struct Open {
    part: u32,
    /// A call in plain text, which is put into JSON as it comes.
    freeform: bool,
    /// A delta of it has come.
    said: bool,
    cited: bool,
    ended: bool,
    /// Of a thought, whether the last paragraph is of a summary, and its index.
    paragraph: Option<(bool, u64)>,
}

/// An event. What only some types of events have is read by the type: of unknown ones nothing can be said.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
    #[serde(borrow)]
    item: Option<&'a RawValue>,
    #[serde(borrow)]
    part: Option<&'a RawValue>,
    #[serde(borrow)]
    annotation: Option<&'a RawValue>,
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    item_id: Option<String>,
    output_index: Option<u64>,
    content_index: Option<u64>,
    summary_index: Option<u64>,
}

/// What a member holds; nothing, where it is not there.
fn value<'a, T: Deserialize<'a> + Default>(raw: Option<&'a RawValue>) -> Result<T, serde_json::Error> {
    raw.map_or_else(|| Ok(T::default()), |raw| serde_json::from_str(raw.get()))
}

impl State {
    fn data(&mut self, data: SseData<'_>, out: &mut Vec<ChatEvent>) {
        if self.over {
            return;
        }
        let read = match data {
            Ok(data) if data.trim_ascii() == b"[DONE]" => Ok(()),
            Ok(data) => self.event(data, out).map_err(|error| error.to_string()),
            Err(too_large) => Err(too_large.to_string()),
        };
        if let Err(what) = read {
            self.fail(broken(format!("the upstream's stream cannot be read: {what}")), out);
        }
    }

    fn fail(&mut self, error: ChatError, out: &mut Vec<ChatEvent>) {
        self.over = true;
        out.push(ChatEvent::Error(error));
    }

    fn event(&mut self, data: &[u8], out: &mut Vec<ChatEvent>) -> Result<(), serde_json::Error> {
        let event: Event<'_> = serde_json::from_slice(data)?;
        let kind = event.kind.as_deref().unwrap_or_default();
        if kind == "error" {
            self.fail(within(data), out);
            return Ok(());
        }
        let Some(kind) = kind.strip_prefix("response.") else { return Ok(()) };
        if self.open.len() > OPEN_MAX {
            return Err(serde_json::Error::custom("too many parts are open at once"));
        }
        if !std::mem::replace(&mut self.started, true) {
            let Response { id, model, created_at, .. } = value(event.response)?;
            let (id, model) = (id.unwrap_or_default(), model.unwrap_or_default());
            let created = created_at.as_ref().and_then(answer::seconds);
            out.push(ChatEvent::Start { id, model, created });
        }
        let item = event.output_index.unwrap_or(0);
        let at = (item, event.content_index.unwrap_or(0));
        let thought = |summary| Start::Thinking { id: event.item_id.clone(), redacted: false, summary };
        match kind {
            "output_text.delta" => self.text(at, Start::Text, value(event.delta)?, out),
            "refusal.delta" => self.text(at, Start::Refusal, value(event.delta)?, out),
            "reasoning_summary_text.delta" => {
                let paragraph = (true, event.summary_index.unwrap_or(0));
                self.thought(item, thought(true), paragraph, value(event.delta)?, out);
            }
            "reasoning_text.delta" => {
                self.thought(item, thought(false), (false, at.1), value(event.delta)?, out);
            }
            "function_call_arguments.delta" | "custom_tool_call_input.delta" => {
                if let Some(open) = self.open.get_mut(&(item, 0)) {
                    open.arguments(value(event.delta)?, out);
                }
            }
            "output_text.annotation.added" => {
                let citation = value::<Annotation>(event.annotation)?.citation();
                self.begun(at, Start::Text, out).cite(citation, out);
            }
            "content_part.done" => {
                // That of a thought says nothing yet of its signature.
                let part: Content = value(event.part)?;
                let is_said = matches!(part.kind.as_deref(), Some("output_text" | "refusal"));
                if let Some(open) = self.open.get_mut(&at).filter(|_| is_said) {
                    open.end(Some(answer::part(part)), out);
                }
            }
            "output_item.added" => {
                if let Some(whole) = event.item.map_or(Ok(None), answer::item)? {
                    self.added(item, whole, out);
                }
            }
            "output_item.done" => {
                self.searches += u64::from(event.item.is_some_and(answer::is_search));
                if let Some(whole) = event.item.map_or(Ok(None), answer::item)? {
                    self.item_done(item, whole, out);
                }
            }
            "completed" | "incomplete" | "failed" => {
                self.end(value(event.response)?, kind == "failed", out)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// The part at `at`, which begins if it has not.
    fn begun(&mut self, at: Place, start: Start, out: &mut Vec<ChatEvent>) -> &mut Open {
        let Self { parts, calls, refuses, open, .. } = self;
        open.entry(at).or_insert_with(|| {
            *calls |= matches!(start, Start::ToolCall { .. });
            *refuses |= matches!(start, Start::Refusal);
            let part = *parts;
            *parts += 1;
            out.push(ChatEvent::Begin { choice: 0, part, start });
            Open { part, ..Open::default() }
        })
    }

    fn text(&mut self, at: Place, start: Start, delta: String, out: &mut Vec<ChatEvent>) {
        if !delta.is_empty() {
            self.begun(at, start, out).more(Delta::Text(delta), out);
        }
    }

    fn thought(
        &mut self,
        item: u64,
        start: Start,
        paragraph: (bool, u64),
        delta: String,
        out: &mut Vec<ChatEvent>,
    ) {
        if delta.is_empty() {
            return;
        }
        let open = self.begun((item, 0), start, out);
        if open.paragraph.replace(paragraph).is_some_and(|before| before != paragraph) {
            open.more(Delta::Text(PARAGRAPH.to_owned()), out);
        }
        open.more(Delta::Text(delta), out);
    }

    /// An item begins; only of a call is more known than that.
    fn added(&mut self, at: u64, item: Item, out: &mut Vec<ChatEvent>) {
        let freeform = item.kind.as_deref() == Some("custom_tool_call");
        for part in answer::parts(item) {
            if let Part::ToolCall(call) = part {
                self.begun((at, 0), Start::ToolCall { id: call.id, name: call.name }, out).freeform =
                    freeform;
            }
        }
    }

    /// An item is whole: what no event has told of it is told now.
    fn item_done(&mut self, at: u64, item: Item, out: &mut Vec<ChatEvent>) {
        for (index, part) in (0..).zip(answer::parts(item)) {
            match self.open.get_mut(&(at, index)) {
                Some(open) => open.end(Some(part), out),
                None => self.whole(&part, out),
            }
        }
        self.close(at, at, out);
    }

    /// A part that comes at once.
    fn whole(&mut self, part: &Part, out: &mut Vec<ChatEvent>) {
        self.calls |= matches!(part, Part::ToolCall(_));
        self.refuses |= matches!(part, Part::Refusal { .. });
        pieces(0, self.parts, part, out);
        self.parts += 1;
    }

    /// Ends what is open of items, which are not heard of again.
    fn close(&mut self, first: u64, last: u64, out: &mut Vec<ChatEvent>) {
        let places: Vec<_> = self.open.range((first, 0)..=(last, u64::MAX)).map(|(at, _)| *at).collect();
        for at in places {
            if let Some(mut open) = self.open.remove(&at) {
                open.end(None, out);
            }
        }
    }

    fn end(
        &mut self,
        response: Response<'_>,
        is_failed: bool,
        out: &mut Vec<ChatEvent>,
    ) -> Result<(), serde_json::Error> {
        self.close(0, u64::MAX, out);
        if self.parts == 0 && !is_failed {
            for raw in response.output.iter().flatten() {
                let parts = answer::item(raw)?.map_or_else(Vec::new, answer::parts);
                parts.iter().for_each(|part| self.whole(part, out));
            }
        }
        let usage = response.usage.and_then(|usage| usage::decode(usage.get().as_bytes()));
        let told = answer::searches(response.output.as_deref().unwrap_or_default()).searches;
        let searches = Usage { searches: self.searches.max(told), ..Usage::default() };
        out.extend(usage.map(|usage| ChatEvent::Usage(usage.plus(&searches))));
        if is_failed {
            let told = response.error.map(|error| within(error.get().as_bytes()));
            self.fail(told.unwrap_or_else(|| broken("the upstream failed".to_owned())), out);
            return Ok(());
        }
        let finish = answer::finish(&response, self.calls, self.refuses).unwrap_or(Finish::Stop);
        out.extend(response.service_tier.map(ChatEvent::ServiceTier));
        out.push(ChatEvent::Finish { choice: 0, finish, stop_sequence: None });
        out.push(ChatEvent::Done);
        self.over = true;
        Ok(())
    }
}

impl Open {
    fn more(&mut self, delta: Delta, out: &mut Vec<ChatEvent>) {
        if !self.ended {
            self.said = true;
            out.push(ChatEvent::Delta { choice: 0, part: self.part, delta });
        }
    }

    fn arguments(&mut self, delta: String, out: &mut Vec<ChatEvent>) {
        if delta.is_empty() {
            return;
        }
        let text = match (self.freeform, self.said) {
            (false, _) => delta,
            (true, true) => freeform::escaped(&delta),
            (true, false) => format!("{}{}", freeform::OPENING, freeform::escaped(&delta)),
        };
        self.more(Delta::Arguments(text), out);
    }

    fn cite(&mut self, citations: impl IntoIterator<Item = Citation>, out: &mut Vec<ChatEvent>) {
        for citation in citations {
            self.cited = true;
            out.push(ChatEvent::Delta { choice: 0, part: self.part, delta: Delta::Citation(citation) });
        }
    }

    /// Ends it, if it has not; `whole` is all of it, of which only that is news that no delta told.
    fn end(&mut self, whole: Option<Part>, out: &mut Vec<ChatEvent>) {
        if self.ended {
            return;
        }
        let is_news = !self.said;
        match whole {
            Some(Part::Text { text, citations, .. }) => {
                if is_news && !text.is_empty() {
                    self.more(Delta::Text(text), out);
                }
                if !self.cited {
                    self.cite(citations, out);
                }
            }
            Some(Part::Refusal { text }) if is_news && !text.is_empty() => self.more(Delta::Text(text), out),
            Some(Part::Thinking(thinking)) => {
                if let Some(signature) = thinking.signature {
                    self.more(Delta::Signature(signature), out);
                }
            }
            Some(Part::ToolCall(call)) if is_news && !call.arguments.is_empty() => {
                self.more(Delta::Arguments(call.arguments), out);
            }
            _ if self.freeform && self.said => {
                self.more(Delta::Arguments(freeform::CLOSING.to_owned()), out);
            }
            _ => {}
        }
        self.ended = true;
        out.push(ChatEvent::End { choice: 0, part: self.part });
    }
}
