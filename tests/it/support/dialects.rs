//! One small conversation in the words of every dialect, and what an answer to it says.

use super::{client::Call, upstream::Truth};
use aione_core::{
    domain::usage::Usage,
    wire::{
        Dialect,
        chat::{ChatEvent, Fold},
        codec::{Codec, codec},
    },
};
use serde_json::{Value, json};

pub fn codec_of(dialect: Dialect) -> &'static dyn Codec {
    codec(dialect).expect("every dialect has one")
}

/// Asks for a short answer, or a stream of it. The key is to be added.
pub fn call(dialect: Dialect, model: &str, stream: bool) -> Call {
    let said = json!([{ "role": "user", "content": "Say it." }]);
    let (path, body) = match dialect {
        Dialect::OpenAiChat => (
            "/v1/chat/completions",
            json!({
                "model": model, "messages": said, "stream": stream,
                "stream_options": { "include_usage": true },
            }),
        ),
        Dialect::OpenAiResponses => {
            ("/v1/responses", json!({ "model": model, "input": "Say it.", "stream": stream }))
        }
        Dialect::AnthropicMessages => (
            "/v1/messages?beta=true",
            json!({ "model": model, "max_tokens": 4096, "messages": said, "stream": stream }),
        ),
        Dialect::Gemini => {
            let method = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
            return Call::post(&format!("/v1beta/models/{model}:{method}"), gemini_body());
        }
    };
    Call::post(path, body.to_string())
}

/// A stream of Gemini's as a JSON array.
pub fn array_call(model: &str) -> Call {
    Call::post(&format!("/v1beta/models/{model}:streamGenerateContent"), gemini_body())
}

fn gemini_body() -> String {
    json!({ "contents": [{ "role": "user", "parts": [{ "text": "Say it." }] }] }).to_string()
}

/// What a stream said, read in these pieces.
pub fn fold(codec: &dyn Codec, pieces: &[&[u8]]) -> (Fold, Vec<ChatEvent>) {
    let (mut reader, mut events, mut fold) = (codec.reader(), Vec::new(), Fold::default());
    pieces.iter().for_each(|piece| reader.feed(piece, &mut events));
    reader.end(&mut events);
    events.iter().for_each(|event| fold.feed(event));
    (fold, events)
}

/// The classes that the truth stands for.
pub fn classes(truth: &Truth) -> Usage {
    Usage {
        input: truth.prompt - truth.cached,
        cache_read: truth.cached,
        output: truth.completion - truth.reasoning,
        reasoning: truth.reasoning,
        ..Usage::default()
    }
}

/// The message of an error in the dialect's shape.
pub fn error_message(dialect: Dialect, body: &Value) -> String {
    let error = &body["error"];
    if dialect == Dialect::AnthropicMessages {
        assert_eq!(body["type"], "error", "{body}");
    }
    assert!(dialect != Dialect::Gemini || error["status"].is_string(), "{body}");
    error["message"].as_str().unwrap_or_else(|| panic!("no message: {body}")).to_owned()
}
