//! An honest upstream of the OpenAI dialect: its bytes are a function of the truth.

use super::{Seen, honest::text, script::Script, truth::Truth};
use serde_json::{Value, json};

/// The events of one streamed answer, each with its empty line.
#[derive(Clone, Debug)]
pub struct Events {
    pub content: Vec<Vec<u8>>,
    /// The chunk with empty `choices` that carries the usage.
    pub usage: Vec<u8>,
    pub done: Vec<u8>,
}

impl Events {
    /// `count` content events, the first with the role, the last with the finish reason.
    pub fn new(truth: &Truth, model: &str, count: usize) -> Self {
        let content = (0..count).map(|n| event(&Self::content_chunk(truth, model, n, count))).collect();
        let usage = json!({
            "id": truth.id, "object": "chat.completion.chunk", "created": 1_700_000_000, "model": model,
            "choices": [], "usage": truth.usage(),
        });
        Self { content, usage: event(&usage), done: b"data: [DONE]\n\n".to_vec() }
    }

    fn content_chunk(truth: &Truth, model: &str, n: usize, count: usize) -> Value {
        let mut delta = json!({ "content": text(n) });
        if n == 0 {
            delta["role"] = json!("assistant");
        }
        let finish = if n + 1 == count { json!("stop") } else { Value::Null };
        json!({
            "id": truth.id, "object": "chat.completion.chunk", "created": 1_700_000_000, "model": model,
            "choices": [{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish }],
            "usage": null,
        })
    }

    /// Everything in order, as it is sent.
    pub fn all(&self) -> Vec<Vec<u8>> {
        let mut all = self.content.clone();
        all.push(self.usage.clone());
        all.push(self.done.clone());
        all
    }

    /// The bytes a caller gets who did not ask for the usage.
    pub fn without_usage(&self) -> Vec<u8> {
        let mut bytes = self.content.concat();
        bytes.extend_from_slice(&self.done);
        bytes
    }

    /// The bytes a caller gets who asked for the usage.
    pub fn with_usage(&self) -> Vec<u8> {
        self.all().concat()
    }
}

/// One SSE event with `data` as JSON.
pub fn event(data: &Value) -> Vec<u8> {
    format!("data: {data}\n\n").into_bytes()
}

/// A plain chat completion.
pub fn completion(truth: &Truth, model: &str) -> Vec<u8> {
    let body = json!({
        "id": truth.id, "object": "chat.completion", "created": 1_700_000_000, "model": model,
        "choices": [{
            "index": 0,
            "message": { "role": "assistant", "content": "A whole answer, with ünïcode ✓", "refusal": null },
            "logprobs": null, "finish_reason": "stop",
        }],
        "usage": truth.usage(), "system_fingerprint": "fp_scripted",
    });
    serde_json::to_vec_pretty(&body).unwrap()
}

fn embedding(truth: &Truth, model: &str) -> Vec<u8> {
    let body = json!({
        "object": "list", "model": model,
        "data": [{ "object": "embedding", "index": 0, "embedding": [0.25, -0.5, 0.125] }],
        "usage": { "prompt_tokens": truth.prompt, "total_tokens": truth.prompt },
    });
    body.to_string().into_bytes()
}

/// How many content events an honest stream has.
pub const CONTENT_EVENTS: usize = 5;

/// What an honest upstream answers to `seen`, with the tokens of `truth`.
pub fn answer(seen: &Seen, truth: &Truth) -> Script {
    let ask = seen.json();
    let model = ask["model"].as_str().unwrap_or("?").to_owned();
    if seen.path().ends_with("/embeddings") {
        let truth = Truth { cached: 0, completion: 0, reasoning: 0, ..truth.clone() };
        return Script::json(200, embedding(&truth, &model)).truth(&truth);
    }
    if ask["stream"] != json!(true) {
        return Script::json(200, completion(truth, &model)).truth(truth);
    }
    let events = Events::new(truth, &model, CONTENT_EVENTS);
    let asked = ask["stream_options"]["include_usage"] == json!(true);
    let pieces = events.all().into_iter().filter(|piece| asked || *piece != events.usage);
    Script::stream(pieces).truth(truth)
}
