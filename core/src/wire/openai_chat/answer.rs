//! Writes whole answers for callers, and what of them streams say as well.

use super::{
    encode::{PLAIN, content_part},
    types::{
        Annotation, Call, Content, ExtraContent, Function, Google, Message, Part as WirePart, UrlCitation,
    },
    usage,
};
use crate::wire::{
    Dialect,
    chat::{ChatAnswer, Choice, Citation, Dropped, Finish, Part, Signature, ToolCall},
    codec::Setting,
};
use serde::Serialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A call, with its number in a stream; `signature` only for callers.
pub(super) fn wire_call(call: &ToolCall, index: Option<u32>, signature: Option<&Signature>) -> Call {
    // Callers read it as JSON.
    let arguments = if call.arguments.trim().is_empty() { "{}" } else { &*call.arguments };
    Call {
        index,
        id: Some(call.id.clone()),
        kind: Some(Cow::Borrowed("function")),
        function: Some(Function { name: Some(call.name.clone()), arguments: Some(arguments.to_owned()) }),
        extra_content: signature.map(extra),
        ..Call::default()
    }
}

/// A signature in its place beside a call. Google's own stands as on its own endpoint of this dialect.
pub(super) fn extra(signature: &Signature) -> ExtraContent {
    let text = match signature.own(Dialect::Gemini) {
        Some(own) => own.to_owned(),
        None => signature.sealed(Dialect::OpenAiChat),
    };
    ExtraContent { google: Some(Google { thought_signature: Some(text) }) }
}

#[derive(Serialize)]
struct Completion<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    model: &'a str,
    choices: Vec<CompletionChoice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<usage::Written>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'a str>,
}

#[derive(Serialize)]
struct CompletionChoice<'a> {
    index: usize,
    message: Message,
    logprobs: Option<&'a RawValue>,
    finish_reason: &'a str,
}

pub(super) fn answer(answer: &ChatAnswer, setting: &Setting, dropped: &mut Dropped) -> Vec<u8> {
    let choices = answer.choices.iter().enumerate().map(|(index, choice)| CompletionChoice {
        index,
        message: message(choice, dropped),
        logprobs: choice.logprobs.as_ref().map(|raw| &*raw.0),
        finish_reason: choice.finish.as_ref().map_or("stop", finish),
    });
    let completion = Completion {
        choices: choices.collect(),
        id: told(&answer.id, &setting.id),
        object: "chat.completion",
        created: answer.created.unwrap_or(setting.created),
        model: told(&answer.model, &setting.model),
        usage: answer.usage.as_ref().map(usage::Written::of),
        service_tier: answer.service_tier.as_deref(),
    };
    serde_json::to_vec(&completion).expect(PLAIN)
}

/// What the upstream said, or what stands in for it.
fn told<'a>(said: &'a str, otherwise: &'a str) -> &'a str {
    if said.is_empty() { otherwise } else { said }
}

fn message(choice: &Choice, dropped: &mut Dropped) -> Message {
    let mut message = Message { role: Some(Cow::Borrowed("assistant")), ..Message::default() };
    let (mut parts, mut thought, mut cited) = (Vec::new(), String::new(), Vec::new());
    for part in &choice.parts {
        match part {
            Part::Thinking(thinking) => {
                thought.push_str(&thinking.text);
                dropped.note_if(thinking.signature.is_some(), "signature");
            }
            Part::ToolCall(call) => {
                let call = wire_call(call, None, call.signature.as_ref());
                message.tool_calls.get_or_insert_default().push(call);
            }
            Part::Refusal { text } => message.refusal.get_or_insert_default().push_str(text),
            Part::Text { text, citations, signature, .. } => {
                dropped.note_if(signature.is_some(), "signature");
                dropped.note_if(citations.iter().any(|citation| citation.url.is_none()), "citations");
                cited.extend(citations.iter().filter_map(annotation));
                // One that only carries a signature says nothing here.
                if !text.is_empty() || signature.is_none() {
                    parts.push(WirePart {
                        kind: Cow::Borrowed("text"),
                        text: Some(text.clone()),
                        ..WirePart::default()
                    });
                }
            }
            media => parts.extend(content_part(media, dropped).ok()),
        }
    }
    // An answer of texts alone is a string; with images it is an array of parts.
    message.content = if parts.iter().all(|part| part.text.is_some()) {
        let text: String = parts.into_iter().filter_map(|part| part.text).collect();
        (!text.is_empty() || (message.tool_calls.is_none() && message.refusal.is_none()))
            .then_some(Content::Text(text))
    } else {
        Some(Content::Parts(parts))
    };
    message.reasoning_content = (!thought.is_empty()).then_some(thought);
    message.annotations = (!cited.is_empty()).then_some(cited);
    message
}

/// A citation of a page; others this dialect has not.
pub(super) fn annotation(citation: &Citation) -> Option<Annotation> {
    let Citation { url: url @ Some(_), title, start, end, .. } = citation.clone() else { return None };
    Some(Annotation {
        kind: Cow::Borrowed("url_citation"),
        url_citation: Some(UrlCitation { url, title, start_index: start, end_index: end }),
    })
}

pub(super) fn finish(finish: &Finish) -> &'static str {
    match finish {
        // The dialect has no word for what is broken; SDKs refuse words that it has not, and agents take it for cut.
        Finish::Length | Finish::ContextFull | Finish::Broken(_) => "length",
        Finish::ToolCalls => "tool_calls",
        Finish::Filter | Finish::Refusal => "content_filter",
        Finish::Stop | Finish::StopSequence | Finish::Pause | Finish::Other(_) => "stop",
    }
}
