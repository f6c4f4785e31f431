//! The script as events: a thought where one is asked for, then what chat would say.

use super::{
    Setting,
    ask::{self, Body},
    chat::{self, Answer, Kind, Talk, interleave},
    heard,
    text::{self, Rng},
};
use crate::{
    domain::usage::Usage,
    wire::{
        Dialect,
        chat::{ChatEvent, ChatRequest, Delta, Effort, Finish, Reasoning, Signature, Start},
        codec::Malformed,
    },
};
use base64::{Engine, prelude::BASE64_STANDARD};

/// Where the numbers of thoughts begin among those that share a seed.
const THOUGHTS: u64 = 1 << 32;
/// 64-bit words of a signature.
const SIGNATURE_WORDS: usize = 6;

/// What an answer begins with.
pub(super) struct Head {
    pub(super) dialect: Dialect,
    pub(super) id: String,
    pub(super) model: String,
    service_tier: Option<&'static str>,
}

impl Head {
    /// `id` is made one of the dialect's.
    pub(super) fn new(dialect: Dialect, id: String, request: &ChatRequest) -> Self {
        let (prefix, tier) = match dialect {
            Dialect::OpenAiChat => ("chatcmpl-", Some("default")),
            Dialect::OpenAiResponses => ("resp_", Some("default")),
            Dialect::AnthropicMessages => ("msg_", Some("default")),
            Dialect::Gemini => ("", None),
        };
        Self { dialect, id: format!("{prefix}{id}"), model: request.model.clone(), service_tier: tier }
    }
}

/// # Errors
/// What is asked cannot be done, such as a call of a tool that is not there.
pub(super) fn events(
    setting: &Setting,
    mut request: ChatRequest,
    head: &Head,
) -> Result<Vec<ChatEvent>, Malformed> {
    let (reasoning, max) = (std::mem::take(&mut request.reasoning), request.max_tokens);
    let mut body = heard::as_chat(request)?;
    let seed = ask::seed(setting.directive.seed, &body, body.get("messages"));
    let choices = ask::choices(&body)?;
    let thought_tokens = thinks(&reasoning).then(|| length(seed, &reasoning, max));
    let talk = talk(setting, &mut body, max.map(|max| max - thought_tokens.unwrap_or(0)))?;

    let mut answers = talk.answers.into_iter();
    let mut used = Usage { input: talk.prompt_tokens, ..Usage::default() };
    let mut told = Vec::new();
    for index in 0..choices {
        let thought = thought_tokens.map(|tokens| Thought::new(seed, index, tokens, &reasoning, head));
        let answer = answers.next();
        used.output += answer.as_ref().map_or(0, |answer| answer.tokens);
        used.reasoning += thought_tokens.unwrap_or(0);
        told.push(choice(head.dialect, index, thought, answer));
    }
    let tells_usage = !setting.directive.no_usage;
    let (id, model) = (head.id.clone(), head.model.clone());
    let mut events = vec![ChatEvent::Start { id, model, created: Some(setting.created) }];
    events.extend(head.service_tier.map(|tier| ChatEvent::ServiceTier(tier.to_owned())));
    // Some dialects tell the prompt first, when one token is there.
    let first = Usage { output: 1, reasoning: 0, ..used };
    events.extend(tells_usage.then_some(ChatEvent::Usage(first)));
    events.extend(interleave(told).map(|(_, event)| event));
    events.extend(tells_usage.then_some(ChatEvent::Usage(used)));
    events.push(ChatEvent::Done);
    Ok(events)
}

/// What chat says within `max` tokens; nothing where there is no room for any.
fn talk(setting: &Setting, body: &mut Body, max: Option<u64>) -> Result<Talk, Malformed> {
    if max == Some(0) {
        return Ok(Talk { answers: Vec::new(), prompt_tokens: chat::count(body)? });
    }
    if let Some(max) = max {
        body.insert("max_completion_tokens".to_owned(), max.into());
    }
    Ok(chat::talk(setting, body)?)
}

fn thinks(reasoning: &Reasoning) -> bool {
    match reasoning.budget {
        Some(budget) => budget > 0,
        None => reasoning.adaptive || reasoning.effort.is_some_and(|effort| effort > Effort::None),
    }
}

/// The tokens of each choice's thought.
fn length(seed: u64, reasoning: &Reasoning, max: Option<u64>) -> u64 {
    let natural = text::sentences(&mut Rng::nth(seed, THOUGHTS), None).len() as u64;
    natural.min(reasoning.budget.unwrap_or(u64::MAX)).min(max.unwrap_or(u64::MAX))
}

struct Thought {
    /// Of its item, where the dialect has one.
    id: Option<String>,
    /// Empty where it is not shown.
    pieces: Vec<&'static str>,
    signature: Signature,
}

impl Thought {
    fn new(seed: u64, index: u64, tokens: u64, reasoning: &Reasoning, head: &Head) -> Self {
        let mut rng = Rng::nth(seed, THOUGHTS + index);
        let pieces = text::sentences(&mut rng, Some(tokens));
        let proof: Vec<u8> = (0..SIGNATURE_WORDS).flat_map(|_| rng.next().to_be_bytes()).collect();
        // Where a summary is shown, it must be asked for.
        let shown = reasoning.shown.unwrap_or(head.dialect == Dialect::AnthropicMessages);
        Self {
            id: (head.dialect == Dialect::OpenAiResponses).then(|| format!("rs_{}_{index}", head.id)),
            pieces: if shown { pieces } else { Vec::new() },
            signature: Signature { dialect: head.dialect, data: BASE64_STANDARD.encode(proof) },
        }
    }
}

/// Writes the parts of one choice.
struct Choice {
    number: u32,
    part: u32,
    events: Vec<ChatEvent>,
}

impl Choice {
    fn part(&mut self, start: Start, deltas: impl Iterator<Item = Delta>) {
        let (choice, part) = (self.number, self.part);
        self.events.push(ChatEvent::Begin { choice, part, start });
        self.events.extend(deltas.map(|delta| ChatEvent::Delta { choice, part, delta }));
        self.events.push(ChatEvent::End { choice, part });
        self.part += 1;
    }
}

/// `answer` is `None` where the thought took all the room.
fn choice(dialect: Dialect, index: u64, thought: Option<Thought>, answer: Option<Answer>) -> Vec<ChatEvent> {
    let number = u32::try_from(index).expect("fewer than CHOICES_MAX");
    let mut choice = Choice { number, part: 0, events: Vec::new() };
    let mut signature = None;
    if let Some(thought) = thought {
        let is_shown = !thought.pieces.is_empty();
        let texts = thought.pieces.into_iter().map(|piece| Delta::Text(piece.to_owned()));
        let (signs_thought, summary) = (dialect != Dialect::Gemini, dialect != Dialect::AnthropicMessages);
        let redacted = summary && !is_shown;
        let start = Start::Thinking { id: thought.id, redacted, summary };
        if signs_thought {
            choice.part(start, texts.chain([Delta::Signature(thought.signature)]));
        } else {
            // Here what comes of the thought is signed, and a thought that is not shown is not there.
            if is_shown {
                choice.part(start, texts);
            }
            signature = Some(Delta::Signature(thought.signature));
        }
    }
    let finish = match answer {
        None => Finish::Length,
        Some(answer) => {
            let finish = finish(answer.finish);
            match answer.kind {
                Kind::Text(pieces) => {
                    choice.part(Start::Text, pieces.into_iter().map(Delta::Text));
                    if signature.is_some() {
                        choice.part(Start::Text, signature.into_iter());
                    }
                }
                Kind::Call { id, name, arguments } => {
                    let start = Start::ToolCall { id: call_id(dialect, id), name };
                    let arguments = arguments.into_iter().map(Delta::Arguments);
                    choice.part(start, signature.into_iter().chain(arguments));
                }
            }
            finish
        }
    };
    choice.events.push(ChatEvent::Finish { choice: number, finish, stop_sequence: None });
    choice.events
}

fn finish(word: &str) -> Finish {
    match word {
        "length" => Finish::Length,
        "tool_calls" => Finish::ToolCalls,
        _ => Finish::Stop,
    }
}

/// A call's id in the dialect's manner.
fn call_id(dialect: Dialect, id: String) -> String {
    let bare = id.strip_prefix("call_").unwrap_or(&id);
    match dialect {
        Dialect::AnthropicMessages => format!("toolu_{bare}"),
        Dialect::Gemini => bare.to_owned(),
        Dialect::OpenAiChat | Dialect::OpenAiResponses => id,
    }
}
