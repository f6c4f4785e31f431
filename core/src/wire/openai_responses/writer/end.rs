//! The end of a part: everything of it again, and its item.

use super::{
    super::{
        event::Event,
        seal::{Of, seal},
        types::{Annotation, Item},
    },
    Kind, Open, Writer, content_of, of_item,
};
use crate::wire::chat::{UNSIGNED, freeform};
use std::borrow::Cow;

impl Writer {
    /// A part is whole.
    pub(super) fn end(&mut self, part: u32, out: &mut Vec<u8>) {
        let Some(mut open) = self.open.remove(&part) else { return };
        let at = open.item;
        match open.kind {
            Kind::Text | Kind::Refusal => self.end_text(&open, out),
            Kind::Thought { redacted } => {
                let of = if redacted { Of::RedactedThought } else { Of::Thought };
                let sealed = open.signature.take().map(|signature| seal(&signature, of));
                self.end_thought(at, sealed.unwrap_or_else(|| UNSIGNED.to_owned()), out);
            }
            Kind::Call { freeform } => self.end_call(at, freeform, out),
        }
        if let Some(signature) = open.signature {
            // The dialect has no place for one there: an item of its own carries it.
            let (summary, encrypted_content) = (Some(Vec::new()), Some(seal(&signature, Of::Before)));
            let at = self.add(Item { summary, encrypted_content, ..Item::of("reasoning") }, out);
            self.item("response.output_item.done", at, out);
        }
    }

    fn end_text(&mut self, open: &Open, out: &mut Vec<u8>) {
        let (at, index) = (open.item, open.content);
        let item = &mut self.response.output[at];
        if let Some(content) = item.parts_mut().and_then(|parts| parts.get_mut(index))
            && let Some(text) = &content.text
        {
            let cited = open.citations.iter().filter_map(|citation| Annotation::of(citation, text));
            content.annotations = Some(cited.collect());
        }
        let item = &self.response.output[at];
        let content = content_of(item, index);
        let annotations = content.and_then(|content| content.annotations.as_deref()).unwrap_or_default();
        for (number, annotation) in annotations.iter().enumerate() {
            let event = Event {
                kind: "response.output_text.annotation.added",
                content_index: Some(index),
                annotation_index: Some(number),
                annotation: Some(annotation),
                ..of_item(item, at)
            };
            self.say.say(event, out);
        }
        let event = Event { content_index: Some(index), ..of_item(item, at) };
        let said = content.and_then(|content| content.text.as_deref().or(content.refusal.as_deref()));
        let event = match open.kind {
            Kind::Refusal => Event { kind: "response.refusal.done", refusal: said, ..event },
            _ => Event { kind: "response.output_text.done", text: said, logprobs: Some([]), ..event },
        };
        self.say.say(event, out);
        self.content("response.content_part.done", at, index, out);
        if at + 1 < self.response.output.len() {
            self.close_message(Some(at), "completed", out);
        }
    }

    fn end_thought(&mut self, at: usize, sealed: String, out: &mut Vec<u8>) {
        let item = &mut self.response.output[at];
        item.encrypted_content = Some(sealed);
        if let Some([part]) = item.summary.as_deref() {
            let event = || Event { summary_index: Some(0), ..of_item(item, at) };
            let (kind, text) = ("response.reasoning_summary_text.done", part.text.as_deref());
            self.say.say(Event { kind, text, ..event() }, out);
            let kind = "response.reasoning_summary_part.done";
            self.say.say(Event { kind, part: Some(part), ..event() }, out);
        }
        self.item("response.output_item.done", at, out);
    }

    fn end_call(&mut self, at: usize, freeform: bool, out: &mut Vec<u8>) {
        let item = &mut self.response.output[at];
        item.status = Some(Cow::Borrowed("completed"));
        if freeform {
            let input = freeform::input(item.input.as_deref().unwrap_or_default()).into_owned();
            let event = || Event { ..of_item(item, at) };
            let kind = "response.custom_tool_call_input.delta";
            self.say.say(Event { kind, delta: Some(&input), ..event() }, out);
            let kind = "response.custom_tool_call_input.done";
            self.say.say(Event { kind, input: Some(&input), ..event() }, out);
            item.input = Some(input);
        } else {
            if item.arguments.as_ref().is_none_or(String::is_empty) {
                item.arguments = Some("{}".to_owned());
                let kind = "response.function_call_arguments.delta";
                self.say.say(Event { kind, delta: Some("{}"), ..of_item(item, at) }, out);
            }
            let (kind, arguments) = ("response.function_call_arguments.done", item.arguments.as_deref());
            self.say.say(Event { kind, arguments, ..of_item(item, at) }, out);
        }
        self.item("response.output_item.done", at, out);
    }
}
