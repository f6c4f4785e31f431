//! Upstreams that are let in otherwise than by a key, or asked elsewhere than the dialect's own vendor.

mod azure;
mod bedrock;
mod vertex;

use crate::support::client::{Answer, Call};
use serde_json::{Value, json};

/// A chat, which asks for usage where it streams.
fn chat(key: &str, stream: bool) -> Call {
    let mut body = json!({ "model": "m", "messages": [{ "role": "user", "content": "Say it." }] });
    if stream {
        body["stream"] = json!(true);
        body["stream_options"] = json!({ "include_usage": true });
    }
    Call::chat_with(key, &body)
}

/// A stream's events as JSON, and whether it came to its end.
fn events(answer: &Answer) -> (Vec<Value>, bool) {
    let text = answer.text();
    let data: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    let is_done = data.last() == Some(&"[DONE]");
    let data = data.iter().filter(|data| **data != "[DONE]");
    (data.map(|data| serde_json::from_str(data).unwrap()).collect(), is_done)
}

/// The text of a plain answer, or of a stream's events.
fn said(answer: &Answer, stream: bool) -> String {
    if !stream {
        return answer.json()["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
    }
    let (events, is_done) = events(answer);
    assert!(is_done, "{}", answer.text());
    events.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str()).collect()
}

/// The only deployment, under its name there.
fn only(model: &str) -> Value {
    json!([{ "provider": "up", "model": model, "priority": 0 }])
}
