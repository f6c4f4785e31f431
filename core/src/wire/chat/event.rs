//! What comes back piece by piece, and putting the pieces together.

use super::{
    answer::{ChatAnswer, Choice, Finish},
    error::ChatError,
    part::{Citation, Part, Signature, Thinking, ToolCall},
};
use crate::domain::usage::Usage;

/// One step of a stream.
///
/// Parts of a choice are numbered in the order in which they begin; several can be open at once,
/// as parallel tool calls are. A stream is whole when [`ChatEvent::Done`] has come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ChatEvent {
    /// Once, before everything but an error.
    Start {
        id: String,
        model: String,
        created: Option<i64>,
    },
    /// A part begins.
    Begin {
        choice: u32,
        part: u32,
        start: Start,
    },
    /// More of a part that has begun.
    Delta {
        choice: u32,
        part: u32,
        delta: Delta,
    },
    /// A part is whole.
    End {
        choice: u32,
        part: u32,
    },
    Finish {
        choice: u32,
        finish: Finish,
        stop_sequence: Option<String>,
    },
    /// What was used up to here; the last one counts.
    Usage(Usage),
    ServiceTier(String),
    /// Nothing comes after it.
    Error(ChatError),
    /// The dialect's own end.
    Done,
}

/// What sort of part begins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Start {
    Text,
    Refusal,
    Thinking {
        id: Option<String>,
        redacted: bool,
        summary: bool,
    },
    ToolCall {
        id: String,
        name: String,
    },
    /// A part that comes at once, such as an image. No deltas follow, its end does.
    Whole(Part),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Delta {
    /// More of a text, a refusal or a thought.
    Text(String),
    /// More of a call's arguments, as JSON text.
    Arguments(String),
    /// The whole signature of the part.
    Signature(Signature),
    Citation(Citation),
}

/// Puts a stream together. What contradicts itself (a delta of a part that never began) is passed over.
#[derive(Debug, Default)]
pub struct Fold {
    answer: ChatAnswer,
    error: Option<ChatError>,
    done: bool,
}

impl Fold {
    pub fn feed(&mut self, event: &ChatEvent) {
        match event {
            ChatEvent::Start { id, model, created } => {
                self.answer.id.clone_from(id);
                self.answer.model.clone_from(model);
                self.answer.created = *created;
            }
            ChatEvent::Begin { choice, part, start } => self.begin(*choice, *part, start),
            ChatEvent::Delta { choice, part, delta } => {
                if let Some(part) = self.part(*choice, *part) {
                    extend(part, delta);
                }
            }
            ChatEvent::End { .. } => {}
            ChatEvent::Finish { choice, finish, stop_sequence } => {
                if let Some(choice) = self.choice(*choice) {
                    choice.finish = Some(finish.clone());
                    choice.stop_sequence.clone_from(stop_sequence);
                }
            }
            ChatEvent::Usage(usage) => self.answer.usage = Some(*usage),
            ChatEvent::ServiceTier(tier) => self.answer.service_tier = Some(tier.clone()),
            ChatEvent::Error(error) => self.error = Some(error.clone()),
            ChatEvent::Done => self.done = true,
        }
    }

    /// What has come so far.
    #[must_use]
    pub fn answer(&self) -> &ChatAnswer {
        &self.answer
    }

    #[must_use]
    pub fn error(&self) -> Option<&ChatError> {
        self.error.as_ref()
    }

    /// Whether the stream came to its own end.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Most choices of one answer; events of others are passed over.
    const CHOICES_MAX: usize = 128;

    fn choice(&mut self, choice: u32) -> Option<&mut Choice> {
        let at = usize::try_from(choice).ok().filter(|at| *at < Self::CHOICES_MAX)?;
        if self.answer.choices.len() <= at {
            self.answer.choices.resize_with(at + 1, Choice::default);
        }
        self.answer.choices.get_mut(at)
    }

    fn begin(&mut self, choice: u32, part: u32, start: &Start) {
        let Some(choice) = self.choice(choice) else { return };
        // Parts begin in the order of their numbers.
        if choice.parts.len() == part as usize {
            choice.parts.push(empty(start));
        }
    }

    fn part(&mut self, choice: u32, part: u32) -> Option<&mut Part> {
        self.answer.choices.get_mut(choice as usize)?.parts.get_mut(part as usize)
    }
}

/// The part that begins, with nothing in it.
pub(in crate::wire) fn empty(start: &Start) -> Part {
    match start {
        Start::Text => Part::text(""),
        Start::Refusal => Part::Refusal { text: String::new() },
        Start::Thinking { id, redacted, summary } => Part::Thinking(Thinking {
            id: id.clone(),
            redacted: *redacted,
            summary: *summary,
            ..Thinking::default()
        }),
        Start::ToolCall { id, name } => {
            Part::ToolCall(ToolCall { id: id.clone(), name: name.clone(), ..ToolCall::default() })
        }
        Start::Whole(part) => part.clone(),
    }
}

/// Adds to a part; what it cannot have is passed over.
pub(in crate::wire) fn extend(part: &mut Part, delta: &Delta) {
    match (part, delta) {
        (Part::Text { text, .. } | Part::Refusal { text }, Delta::Text(more)) => text.push_str(more),
        (Part::Thinking(thinking), Delta::Text(more)) => thinking.text.push_str(more),
        (Part::ToolCall(call), Delta::Arguments(more)) => call.arguments.push_str(more),
        (Part::Text { signature, .. }, Delta::Signature(data)) => *signature = Some(data.clone()),
        (Part::Thinking(thinking), Delta::Signature(data)) => thinking.signature = Some(data.clone()),
        (Part::ToolCall(call), Delta::Signature(data)) => call.signature = Some(data.clone()),
        (Part::Text { citations, .. }, Delta::Citation(citation)) => citations.push(citation.clone()),
        _ => {}
    }
}

impl ChatAnswer {
    /// The stream that puts itself together to this answer. Log probabilities are not in it, and
    /// cache marks, which answers do not have.
    #[must_use]
    pub fn events(&self) -> Vec<ChatEvent> {
        let mut events =
            vec![ChatEvent::Start { id: self.id.clone(), model: self.model.clone(), created: self.created }];
        for (choice, said) in (0..).zip(&self.choices) {
            for (part, said) in (0..).zip(&said.parts) {
                pieces(choice, part, said, &mut events);
            }
            if let Some(finish) = said.finish.clone() {
                let stop_sequence = said.stop_sequence.clone();
                events.push(ChatEvent::Finish { choice, finish, stop_sequence });
            }
        }
        events.extend(self.service_tier.clone().map(ChatEvent::ServiceTier));
        events.extend(self.usage.map(ChatEvent::Usage));
        events.push(ChatEvent::Done);
        events
    }
}

/// The events of one whole part, its end among them.
pub(in crate::wire) fn pieces(choice: u32, part: u32, said: &Part, events: &mut Vec<ChatEvent>) {
    let mut deltas = Vec::new();
    let mut text = |text: &str| {
        if !text.is_empty() {
            deltas.push(Delta::Text(text.to_owned()));
        }
    };
    let start = match said {
        Part::Text { text: said, citations, signature, .. } => {
            text(said);
            deltas.extend(citations.iter().cloned().map(Delta::Citation));
            deltas.extend(signature.clone().map(Delta::Signature));
            Start::Text
        }
        Part::Refusal { text: said } => {
            text(said);
            Start::Refusal
        }
        Part::Thinking(thinking) => {
            text(&thinking.text);
            deltas.extend(thinking.signature.clone().map(Delta::Signature));
            let Thinking { id, redacted, summary, .. } = thinking;
            Start::Thinking { id: id.clone(), redacted: *redacted, summary: *summary }
        }
        Part::ToolCall(call) => {
            deltas.extend(call.signature.clone().map(Delta::Signature));
            if !call.arguments.is_empty() {
                deltas.push(Delta::Arguments(call.arguments.clone()));
            }
            Start::ToolCall { id: call.id.clone(), name: call.name.clone() }
        }
        whole => Start::Whole(whole.clone()),
    };
    events.push(ChatEvent::Begin { choice, part, start });
    events.extend(deltas.into_iter().map(|delta| ChatEvent::Delta { choice, part, delta }));
    events.push(ChatEvent::End { choice, part });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Dialect, chat::part::Source};

    fn folded(events: &[ChatEvent]) -> Fold {
        let mut fold = Fold::default();
        events.iter().for_each(|event| fold.feed(event));
        fold
    }

    #[test]
    fn an_answer_is_the_fold_of_its_events() {
        let signature = Some(Signature { dialect: Dialect::Gemini, data: "s+/=".to_owned() });
        let citation = Citation {
            url: Some("https://example.org".to_owned()),
            title: None,
            quote: None,
            start: Some(0),
            end: Some(3),
        };
        let answer = ChatAnswer {
            id: "msg_1".to_owned(),
            model: "m".to_owned(),
            created: Some(7),
            choices: vec![
                Choice {
                    parts: vec![
                        Part::Thinking(Thinking {
                            text: "hm".to_owned(),
                            signature: signature.clone(),
                            ..Thinking::default()
                        }),
                        Part::Text {
                            text: "你好".to_owned(),
                            citations: vec![citation],
                            signature: signature.clone(),
                            cache: None,
                        },
                        Part::ToolCall(ToolCall {
                            id: "call_1".to_owned(),
                            name: "f".to_owned(),
                            arguments: r#"{"b":1,"a":2}"#.to_owned(),
                            signature,
                            cache: None,
                        }),
                        Part::Image {
                            source: Source::Data {
                                media_type: "image/png".to_owned(),
                                base64: "AA==".to_owned(),
                            },
                            detail: None,
                            cache: None,
                        },
                    ],
                    finish: Some(Finish::ToolCalls),
                    stop_sequence: None,
                    logprobs: None,
                },
                Choice {
                    parts: vec![Part::Refusal { text: "no".to_owned() }],
                    finish: Some(Finish::StopSequence),
                    stop_sequence: Some("END".to_owned()),
                    logprobs: None,
                },
            ],
            usage: Some(Usage { input: 3, output: 4, ..Usage::default() }),
            service_tier: Some("default".to_owned()),
        };
        let fold = folded(&answer.events());
        assert_eq!(*fold.answer(), answer);
        assert!(fold.is_done() && fold.error().is_none());
    }

    #[test]
    fn what_contradicts_itself_is_passed_over() {
        let fold = folded(&[
            ChatEvent::Delta { choice: 0, part: 0, delta: Delta::Text("x".to_owned()) },
            ChatEvent::Begin { choice: 0, part: 1, start: Start::Text },
            ChatEvent::Begin { choice: u32::MAX, part: 0, start: Start::Text },
            ChatEvent::Begin { choice: 0, part: 0, start: Start::Text },
            ChatEvent::Delta { choice: 0, part: 0, delta: Delta::Arguments("{}".to_owned()) },
            ChatEvent::Delta { choice: 0, part: 0, delta: Delta::Text("y".to_owned()) },
        ]);
        assert_eq!(fold.answer().choices.len(), 1);
        assert_eq!(fold.answer().choices[0].parts, vec![Part::text("y")]);
        assert!(!fold.is_done());
    }
}
