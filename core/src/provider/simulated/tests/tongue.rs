//! A question in every dialect, and what its codec reads of the answer.

use super::*;
use crate::wire::{
    chat::{ChatAnswer, ChatEvent, Choice, Fold, Part as Said, Signature, Thinking},
    codec::{Codec, codec},
};

/// A question to each dialect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Tongue(pub(super) Dialect);

/// All but the provider's first.
pub(super) fn tongues() -> [Tongue; 3] {
    [Dialect::OpenAiResponses, Dialect::AnthropicMessages, Dialect::Gemini].map(Tongue)
}

/// What is asked for besides an answer to «Say hello.».
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct More {
    pub(super) stream: bool,
    pub(super) tools: bool,
    pub(super) json: bool,
    pub(super) max: Option<u64>,
    pub(super) thinks: bool,
    pub(super) shows: bool,
}

fn parameters() -> Value {
    weather_tool()[0]["function"]["parameters"].clone()
}

impl Tongue {
    pub(super) fn codec(self) -> &'static dyn Codec {
        codec(self.0).unwrap()
    }

    pub(super) fn endpoint(self, stream: bool) -> Endpoint<'static> {
        match self.0 {
            Dialect::OpenAiChat => Endpoint::Chat,
            Dialect::OpenAiResponses => Endpoint::Responses,
            Dialect::AnthropicMessages => Endpoint::Messages,
            Dialect::Gemini => Endpoint::GenerateContent {
                model: "m",
                manner: if stream { Manner::Events } else { Manner::Plain },
            },
        }
    }

    pub(super) fn body(self, more: More) -> Value {
        let (schema, max) = (parameters(), more.max);
        let mut body = match self.0 {
            Dialect::OpenAiChat => hello(json!({ "max_tokens": max })),
            Dialect::OpenAiResponses => {
                json!({ "model": "m", "input": "Say hello.", "max_output_tokens": max })
            }
            Dialect::AnthropicMessages => json!({
                "model": "m",
                "max_tokens": max.unwrap_or(4_096),
                "messages": [{ "role": "user", "content": "Say hello." }],
            }),
            Dialect::Gemini => json!({
                "contents": [{ "role": "user", "parts": [{ "text": "Say hello." }] }],
                "generationConfig": { "maxOutputTokens": max },
            }),
        };
        let mut set = |name: &str, value: Value| body[name] = value;
        let is_gemini = self.0 == Dialect::Gemini;
        if more.stream && !is_gemini {
            set("stream", json!(true));
        }
        if more.tools {
            let tools = match self.0 {
                Dialect::OpenAiChat => weather_tool(),
                Dialect::OpenAiResponses => json!([
                    { "type": "function", "name": "weather", "parameters": schema },
                    { "type": "function", "name": "clock" },
                ]),
                Dialect::AnthropicMessages => {
                    json!([{ "name": "weather", "input_schema": schema }, { "name": "clock" }])
                }
                Dialect::Gemini => json!([{ "functionDeclarations": [
                    { "name": "weather", "parametersJsonSchema": schema }, { "name": "clock" },
                ] }]),
            };
            set("tools", tools);
        }
        if more.json {
            match self.0 {
                Dialect::OpenAiChat => {
                    let schema = json!({ "name": "x", "schema": schema });
                    set("response_format", json!({ "type": "json_schema", "json_schema": schema }));
                }
                Dialect::OpenAiResponses => {
                    set(
                        "text",
                        json!({ "format": { "type": "json_schema", "name": "x", "schema": schema } }),
                    );
                }
                Dialect::AnthropicMessages => {
                    set("output_config", json!({ "format": { "type": "json_schema", "schema": schema } }));
                }
                Dialect::Gemini => {
                    body["generationConfig"]["responseMimeType"] = json!("application/json");
                    body["generationConfig"]["responseJsonSchema"] = schema;
                }
            }
        }
        if more.thinks {
            match self.0 {
                Dialect::OpenAiChat => {}
                Dialect::OpenAiResponses => {
                    body["reasoning"] = json!({ "effort": "low", "summary": more.shows.then_some("auto") });
                }
                Dialect::AnthropicMessages => {
                    let display = if more.shows { "summarized" } else { "omitted" };
                    body["thinking"] =
                        json!({ "type": "enabled", "budget_tokens": 2_048, "display": display });
                }
                Dialect::Gemini => {
                    body["generationConfig"]["thinkingConfig"] =
                        json!({ "thinkingBudget": 2_048, "includeThoughts": more.shows });
                }
            }
        }
        body
    }

    pub(super) fn ask(self, more: More, directive: &str) -> Script {
        ask(self.endpoint(more.stream), &self.body(more), directive)
    }

    pub(super) fn events(self, bytes: &[u8]) -> Vec<ChatEvent> {
        let (mut reader, mut events) = (self.codec().reader(), Vec::new());
        reader.feed(bytes, &mut events);
        reader.end(&mut events);
        events
    }

    pub(super) fn fold(self, bytes: &[u8]) -> Fold {
        let mut fold = Fold::default();
        self.events(bytes).iter().for_each(|event| fold.feed(event));
        fold
    }

    pub(super) fn read(self, more: More, directive: &str) -> ChatAnswer {
        let script = self.ask(more, directive);
        assert_eq!(script.status, 200, "{self:?} {more:?}");
        let bytes = bytes(script);
        if !more.stream {
            return self.codec().decode_answer(&bytes).unwrap();
        }
        let fold = self.fold(&bytes);
        assert!(fold.is_done() && fold.error().is_none(), "{self:?} {more:?}");
        fold.answer().clone()
    }
}

/// Every combination that asks for something.
pub(super) fn all() -> Vec<More> {
    let mut all = Vec::new();
    for bits in 0..32_u32 {
        let is = |bit: u32| bits & bit != 0;
        for max in [None, Some(3), Some(90)] {
            let (tools, json, thinks) = (is(2), is(4), is(8));
            all.push(More { stream: is(1), tools, json, max, thinks, shows: thinks && is(16) });
        }
    }
    all
}

/// What a choice says and calls, without ids.
pub(super) fn said(choice: &Choice) -> (String, Vec<(String, String)>) {
    let (mut text, mut calls) = (String::new(), Vec::new());
    for part in &choice.parts {
        match part {
            Said::Text { text: more, .. } => text.push_str(more),
            Said::ToolCall(call) => calls.push((call.name.clone(), call.arguments.clone())),
            Said::Thinking(_) => {}
            other => panic!("{other:?}"),
        }
    }
    (text, calls)
}

pub(super) fn thought(choice: &Choice) -> Option<&Thinking> {
    choice
        .parts
        .iter()
        .find_map(|part| if let Said::Thinking(thinking) = part { Some(thinking) } else { None })
}

pub(super) fn signature(choice: &Choice) -> Option<&Signature> {
    choice.parts.iter().find_map(|part| match part {
        Said::Thinking(thinking) => thinking.signature.as_ref(),
        Said::ToolCall(call) => call.signature.as_ref(),
        Said::Text { signature, .. } => signature.as_ref(),
        _ => None,
    })
}
