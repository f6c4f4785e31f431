//! An honest upstream of every dialect: which one it is asked in, the path says.

use super::{Seen, gemini, messages, openai, responses, script::Script, truth::Truth};
use serde_json::Value;

/// The events of one streamed answer in their order, each with its empty line.
#[derive(Clone, Debug, Default)]
pub struct Pieces {
    /// What comes before the answer's text: the beginning, and what was thought.
    pub opening: Vec<Vec<u8>>,
    /// The text, a piece each.
    pub content: Vec<Vec<u8>>,
    /// What comes after it, the whole usage and the dialect's own end among it.
    pub closing: Vec<Vec<u8>>,
}

impl Pieces {
    /// What comes until `count` pieces of the text are there, and what comes then.
    pub fn after(&self, count: usize) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
        let all = self.all();
        let (before, after) = all.split_at(self.opening.len() + count);
        (before.to_vec(), after.to_vec())
    }

    /// Everything in order, as it is sent.
    pub fn all(&self) -> Vec<Vec<u8>> {
        [&self.opening[..], &self.content, &self.closing].concat()
    }
}

/// The text of the piece with this number.
pub fn text(n: usize) -> String {
    format!("piece {n} of an answer, with ünïcode ✓ ")
}

/// The text of `count` pieces.
pub fn texts(count: usize) -> String {
    (0..count).map(text).collect()
}

/// What was thought, where the truth has tokens for it.
pub fn thought(truth: &Truth) -> Option<&'static str> {
    (truth.reasoning > 0).then_some("What could be meant? ✓")
}

/// One SSE event with its type as its name.
pub fn named(data: &Value) -> Vec<u8> {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap()).into_bytes()
}

/// What an honest upstream answers to `seen`, with the tokens of `truth`.
pub fn answer(seen: &Seen, truth: &Truth) -> Script {
    let path = seen.path().split('?').next().unwrap_or_default();
    if path.ends_with("/messages") || path.ends_with("/messages/count_tokens") {
        return messages::answer(seen, truth);
    }
    if path.ends_with("/responses") {
        return responses::answer(seen, truth);
    }
    if path.contains("/models/") {
        return gemini::answer(seen, truth);
    }
    openai::answer(seen, truth)
}
