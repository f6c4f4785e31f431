//! Chat completions: texts, JSON texts and tool calls, plain and streamed.

use super::{
    Reply, Setting,
    ask::{self, Body, Problem},
    schema,
    text::{self, Rng, Said},
};
use serde_json::{Map, Value, json};
use std::collections::VecDeque;

/// What a message and the answer's opening cost beside their words.
const FRAME_TOKENS: u64 = 3;
/// What an image costs, whatever its size.
const IMAGE_TOKENS: u64 = 85;

/// What is said, before it is written.
pub(super) struct Talk {
    /// One for each of `n`.
    pub(super) answers: Vec<Answer>,
    pub(super) prompt_tokens: u64,
}

pub(super) fn talk(setting: &Setting, body: &Body) -> Result<Talk, Problem> {
    let messages = messages(body)?;
    let choices = ask::choices(body)?;
    let max = match ask::count(body, "max_completion_tokens", u64::MAX)? {
        Some(max) => Some(max),
        None => ask::count(body, "max_tokens", u64::MAX)?,
    };
    let seed = ask::seed(setting.directive.seed, body, body.get("messages"));
    let tool = tool(body, messages)?;
    let answers: Vec<Answer> = (0..choices)
        .map(|index| {
            let mut rng = Rng::nth(seed, index);
            let call = tool.and_then(|tool| Answer::call(setting, tool, index, &mut rng, max));
            call.unwrap_or_else(|| Answer::text(setting, body.get("response_format"), &mut rng, max))
        })
        .collect();
    Ok(Talk { answers, prompt_tokens: prompt_tokens(body, messages) })
}

/// The tokens of what is to be read.
pub(super) fn count(body: &Body) -> Result<u64, Problem> {
    Ok(prompt_tokens(body, messages(body)?))
}

pub(super) fn reply(setting: &Setting, body: &Body) -> Result<Reply, Problem> {
    let model = ask::model(body)?.to_owned();
    let Talk { answers, prompt_tokens } = talk(setting, body)?;
    let said = answers.iter().map(|answer| answer.tokens).sum();
    let usage = usage(prompt_tokens, said);
    let head = Head::new(setting, model);
    if !ask::streamed(body)? {
        let choices = answers.iter().zip(0..).map(|(answer, index)| answer.choice(index)).collect();
        let mut answer = head.object("chat.completion", choices);
        if !setting.directive.no_usage {
            answer["usage"] = usage;
        }
        return Ok(Reply::Plain(answer));
    }

    let shows_usage = ask::wants_usage(body) && !setting.directive.no_usage;
    let events = interleave(answers.into_iter().map(Answer::deltas).collect()).map(|(index, delta)| {
        let Delta { delta, finish } = delta;
        let choice = json!({ "index": index, "delta": delta, "logprobs": null, "finish_reason": finish });
        (json!([choice]), Value::Null)
    });
    let last = shows_usage.then(|| (json!([]), usage));
    Ok(Reply::Stream(Box::new(events.chain(last).map(move |(choices, usage)| {
        let mut event = head.object("chat.completion.chunk", choices);
        if shows_usage {
            event["usage"] = usage;
        }
        event
    }))))
}

/// The usage object of both completion endpoints.
pub(super) fn usage(prompt: u64, completion: u64) -> Value {
    json!({
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": { "cached_tokens": 0, "audio_tokens": 0 },
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}

/// The steps of several answers, one of each in turn, with the answer's index.
pub(super) fn interleave<T>(answers: Vec<Vec<T>>) -> impl Iterator<Item = (u64, T)> {
    let mut waiting: VecDeque<_> = (0..).zip(answers.into_iter().map(Vec::into_iter)).collect();
    std::iter::from_fn(move || {
        while let Some((index, mut steps)) = waiting.pop_front() {
            if let Some(step) = steps.next() {
                waiting.push_back((index, steps));
                return Some((index, step));
            }
        }
        None
    })
}

/// One of the `n` answers.
pub(super) struct Answer {
    pub(super) kind: Kind,
    pub(super) tokens: u64,
    /// In the dialect's word.
    pub(super) finish: &'static str,
}

/// In pieces of about one token.
pub(super) enum Kind {
    Text(Vec<String>),
    Call { id: String, name: String, arguments: Vec<String> },
}

/// One choice of one chunk.
struct Delta {
    delta: Value,
    finish: Option<&'static str>,
}

impl Answer {
    fn text(setting: &Setting, format: Option<&Value>, rng: &mut Rng, max: Option<u64>) -> Self {
        let words = text::sentences(rng, setting.directive.tokens);
        let kind = format.and_then(|format| format.get("type")).and_then(Value::as_str);
        let said = match kind {
            Some("json_object") => text::say(&json!({ "answer": words.concat() }).to_string(), max),
            Some("json_schema") => {
                let schema = format.and_then(|format| format.pointer("/json_schema/schema"));
                let value = schema::example(schema.unwrap_or(&Value::Null), rng);
                text::say(&value.to_string(), max)
            }
            _ => words_up_to(&words, max),
        };
        let finish = if said.cut { "length" } else { "stop" };
        Self { kind: Kind::Text(said.pieces), tokens: said.tokens, finish }
    }

    /// `None` where `max` leaves no room for the tool's name.
    fn call(setting: &Setting, tool: Tool<'_>, index: u64, rng: &mut Rng, max: Option<u64>) -> Option<Self> {
        let name_tokens = text::count(tool.name);
        let room = match max {
            Some(max) => Some(max.checked_sub(name_tokens)?),
            None => None,
        };
        let arguments = match schema::example(tool.parameters, rng) {
            Value::Object(arguments) => arguments,
            _ => Map::new(),
        };
        let said = text::say(&Value::Object(arguments).to_string(), room);
        let id = format!("call_{:016x}", Rng::nth(setting.id_seed, index + 1).next());
        Some(Self {
            kind: Kind::Call { id, name: tool.name.to_owned(), arguments: said.pieces },
            tokens: name_tokens + said.tokens,
            finish: if said.cut { "length" } else { "tool_calls" },
        })
    }

    fn choice(&self, index: u64) -> Value {
        let mut message = json!({ "role": "assistant", "content": null, "refusal": null });
        match &self.kind {
            Kind::Text(pieces) => message["content"] = json!(pieces.concat()),
            Kind::Call { id, name, arguments } => {
                let function = json!({ "name": name, "arguments": arguments.concat() });
                message["tool_calls"] = json!([{ "id": id, "type": "function", "function": function }]);
            }
        }
        json!({ "index": index, "message": message, "logprobs": null, "finish_reason": self.finish })
    }

    fn deltas(self) -> Vec<Delta> {
        let mut deltas = Vec::new();
        let mut push = |delta, finish| deltas.push(Delta { delta, finish });
        match self.kind {
            Kind::Text(pieces) => {
                push(json!({ "role": "assistant", "content": "", "refusal": null }), None);
                for piece in pieces {
                    push(json!({ "content": piece }), None);
                }
            }
            Kind::Call { id, name, arguments } => {
                let function = json!({ "name": name, "arguments": "" });
                let call = json!([{ "index": 0, "id": id, "type": "function", "function": function }]);
                push(
                    json!({ "role": "assistant", "content": null, "refusal": null, "tool_calls": call }),
                    None,
                );
                for piece in arguments {
                    push(json!({ "tool_calls": [{ "index": 0, "function": { "arguments": piece } }] }), None);
                }
            }
        }
        push(json!({}), Some(self.finish));
        deltas
    }
}

fn words_up_to(words: &[&'static str], max: Option<u64>) -> Said {
    let room = max.and_then(|max| usize::try_from(max).ok()).unwrap_or(usize::MAX);
    let pieces: Vec<String> = words.iter().take(room).map(|word| (*word).to_owned()).collect();
    Said { tokens: pieces.len() as u64, cut: pieces.len() < words.len(), pieces }
}

/// What every object of one answer begins with.
struct Head {
    id: String,
    created: i64,
    model: String,
}

impl Head {
    fn new(setting: &Setting, model: String) -> Self {
        let id = format!("chatcmpl-{:016x}", Rng::new(setting.id_seed).next());
        Self { id, created: setting.created, model }
    }

    fn object(&self, object: &str, choices: Value) -> Value {
        json!({
            "id": self.id,
            "object": object,
            "created": self.created,
            "model": self.model,
            "service_tier": "default",
            "system_fingerprint": "fp_simulated",
            "choices": choices,
        })
    }
}

#[derive(Clone, Copy)]
struct Tool<'a> {
    name: &'a str,
    parameters: &'a Value,
}

/// The tool to call; `None`: say something instead.
fn tool<'a>(body: &'a Body, messages: &[Value]) -> Result<Option<Tool<'a>>, Problem> {
    let tools = match body.get("tools") {
        None | Some(Value::Null) => return Ok(None),
        Some(tools) => tools.as_array().ok_or_else(|| Problem::of("tools", "an array"))?,
    };
    let choice = body.get("tool_choice").unwrap_or(&Value::Null);
    let wanted = choice.pointer("/function/name").and_then(Value::as_str);
    let from_user = messages.last().and_then(role) == Some("user");
    let calls = match choice.as_str() {
        Some("none") => false,
        Some("required") => true,
        _ => wanted.is_some() || from_user,
    };
    if !calls {
        return Ok(None);
    }
    let functions = tools.iter().filter_map(|tool| tool.get("function"));
    let named = functions.filter_map(|function| {
        let name = function.get("name")?.as_str()?;
        Some(Tool { name, parameters: function.get("parameters").unwrap_or(&Value::Null) })
    });
    let found = named.into_iter().find(|tool| wanted.is_none_or(|wanted| wanted == tool.name));
    match (found, wanted) {
        (None, Some(_)) => Err(Problem::of("tool_choice", "the name of one of the tools")),
        (found, _) => Ok(found),
    }
}

fn messages(body: &Body) -> Result<&[Value], Problem> {
    let messages = body.get("messages").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if messages.is_empty() || messages.iter().any(|message| role(message).is_none()) {
        return Err(Problem::of("messages", "an array of at least one message, each with a role"));
    }
    Ok(messages)
}

fn role(message: &Value) -> Option<&str> {
    message.get("role")?.as_str()
}

fn prompt_tokens(body: &Body, messages: &[Value]) -> u64 {
    let tools = body.get("tools").filter(|tools| !tools.is_null());
    let of_tools = tools.map_or(0, |tools| text::count(&tools.to_string()));
    let of_messages: u64 = messages.iter().map(message_tokens).sum();
    FRAME_TOKENS + of_tools + of_messages
}

fn message_tokens(message: &Value) -> u64 {
    let of_field = |field| message.get(field).and_then(Value::as_str).map_or(0, text::count);
    let of_calls = message.get("tool_calls").filter(|calls| !calls.is_null());
    let of_parts = |parts: &Vec<Value>| parts.iter().map(part_tokens).sum();
    FRAME_TOKENS
        + of_field("role")
        + of_field("name")
        + of_field("content")
        + message.get("content").and_then(Value::as_array).map_or(0, of_parts)
        + of_calls.map_or(0, |calls| text::count(&calls.to_string()))
}

fn part_tokens(part: &Value) -> u64 {
    match part.get("type").and_then(Value::as_str) {
        Some("image_url") => IMAGE_TOKENS,
        _ => part.get("text").and_then(Value::as_str).map_or(0, text::count),
    }
}
