//! One small conversation in the words of every dialect, and what an answer to it says.

use super::{
    client::Call,
    gateway::{Gateway, TestGateway},
    upstream::{Truth, Upstream, gemini, honest::Pieces, messages, openai, responses},
};
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

/// A model for each dialect, named like it; its upstream speaks that alone and knows it as `up-…`.
pub async fn stage(upstream: &Upstream) -> (Gateway, String) {
    stage_with(upstream, |gateway| gateway).await
}

pub async fn stage_with(
    upstream: &Upstream,
    change: impl FnOnce(TestGateway) -> TestGateway,
) -> (Gateway, String) {
    let mut gateway = TestGateway::new();
    for dialect in Dialect::ALL {
        let name = dialect.as_str();
        gateway = gateway
            .upstream(name, upstream)
            .model(name, &[name])
            .set(
                &format!("/models/{name}/route/deployments"),
                json!([{ "provider": name, "model": format!("up-{name}") }]),
            )
            .set(&format!("/models/{name}/price/cache_write_5m"), "1.30")
            .set(&format!("/models/{name}/price/cache_write_1h"), "2.10");
    }
    let gateway = gateway
        .set("/providers/openai_responses/dialects", json!(["openai_responses"]))
        .set("/providers/anthropic_messages/kind", "anthropic")
        .set("/providers/gemini/kind", "gemini");
    let gateway = change(gateway).start().await;
    let key = gateway.key().await;
    (gateway, key)
}

/// What an honest upstream sends under its own name for the model.
pub struct Honest {
    pub plain: Vec<u8>,
    pub stream: Pieces,
    /// An error in odd words, under an odd status: 422.
    pub error: Vec<u8>,
}

pub fn honest_of(dialect: Dialect, truth: &Truth) -> Honest {
    let n = openai::CONTENT_EVENTS;
    let error = |value: Value| serde_json::to_vec_pretty(&value).unwrap();
    match dialect {
        Dialect::OpenAiChat => {
            let events = openai::Events::new(truth, "up-openai_chat", n);
            let stream = Pieces {
                opening: Vec::new(),
                content: events.content,
                closing: vec![events.usage, events.done],
            };
            let body = json!({ "error": { "message": "Odd  wording", "type": "x_error", "param": null, "code": 7 } });
            Honest { plain: openai::completion(truth, "up-openai_chat"), stream, error: error(body) }
        }
        Dialect::OpenAiResponses => {
            let truth = responses::renamed(truth);
            let body = json!({ "error": { "message": "Odd  wording", "type": "x_error", "param": null, "code": "c" } });
            let said = responses::completed(&truth, "up-openai_responses");
            Honest {
                plain: said,
                stream: responses::stream(&truth, "up-openai_responses", n),
                error: error(body),
            }
        }
        Dialect::AnthropicMessages => {
            let truth = messages::renamed(truth);
            let body = json!({ "type": "error", "error": { "type": "x_error", "message": "Odd  wording" }, "request_id": "req_theirs" });
            let said = messages::message(&truth, "up-anthropic_messages");
            Honest {
                plain: said,
                stream: messages::stream(&truth, "up-anthropic_messages", n),
                error: error(body),
            }
        }
        Dialect::Gemini => {
            let truth = gemini::renamed(truth);
            let body = json!({ "error": { "code": 422, "message": "Odd  wording", "status": "ODD", "details": [{}] } });
            let said = gemini::content(&truth, "up-gemini");
            Honest { plain: said, stream: gemini::stream(&truth, "up-gemini", n), error: error(body) }
        }
    }
}
