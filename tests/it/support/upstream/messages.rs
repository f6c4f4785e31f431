//! An honest upstream of Anthropic's dialect, `/v1/messages`: its bytes are a function of the truth.

use super::{
    Seen,
    honest::{Pieces, named, text, texts, thought},
    openai::CONTENT_EVENTS,
    script::Script,
    truth::Truth,
};
use serde_json::{Value, json};

/// What the thought is signed with.
pub const SIGNATURE: &str = "EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl1pkiMOYds+/==";

/// The truth under an id of this dialect.
pub fn renamed(truth: &Truth) -> Truth {
    truth.with_id("msg_")
}

/// Classes that are disjoint but for what was thought, which is a part of the output.
fn usage(truth: &Truth, output: u64) -> Value {
    json!({
        "input_tokens": truth.prompt - truth.cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": truth.cached,
        "cache_creation": { "ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0 },
        "output_tokens": output,
        "service_tier": "standard",
    })
}

fn thinking(text: &str, signature: &str) -> Value {
    json!({ "type": "thinking", "thinking": text, "signature": signature })
}

/// A whole message.
pub fn message(truth: &Truth, model: &str) -> Vec<u8> {
    let mut content = Vec::new();
    content.extend(thought(truth).map(|text| thinking(text, SIGNATURE)));
    content.push(json!({ "type": "text", "text": texts(CONTENT_EVENTS) }));
    let mut usage = usage(truth, truth.completion);
    usage["output_tokens_details"] = json!({ "thinking_tokens": truth.reasoning });
    let body = json!({
        "id": truth.id, "type": "message", "role": "assistant", "model": model, "content": content,
        "stop_reason": "end_turn", "stop_sequence": null, "usage": usage,
    });
    serde_json::to_vec_pretty(&body).unwrap()
}

/// A message in `count` pieces. Its end tells only what has changed since its beginning.
pub fn stream(truth: &Truth, model: &str, count: usize) -> Pieces {
    let start = |index: u64, block: Value| json!({ "type": "content_block_start", "index": index, "content_block": block });
    let more =
        |index: u64, delta: Value| json!({ "type": "content_block_delta", "index": index, "delta": delta });
    let stop = |index: u64| json!({ "type": "content_block_stop", "index": index });
    let mut opening = vec![json!({ "type": "message_start", "message": {
        "id": truth.id, "type": "message", "role": "assistant", "model": model, "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": usage(truth, truth.completion.min(1)),
    } })];
    let mut index = 0;
    if let Some(text) = thought(truth) {
        opening.extend([
            start(index, thinking("", "")),
            more(index, json!({ "type": "thinking_delta", "thinking": text })),
            more(index, json!({ "type": "signature_delta", "signature": SIGNATURE })),
            stop(index),
        ]);
        index += 1;
    }
    opening.push(start(index, json!({ "type": "text", "text": "" })));
    opening.push(json!({ "type": "ping" }));
    let content = (0..count).map(|n| more(index, json!({ "type": "text_delta", "text": text(n) })));
    let details = json!({ "thinking_tokens": truth.reasoning });
    let closing = [
        stop(index),
        json!({
            "type": "message_delta",
            "delta": { "stop_reason": "end_turn", "stop_sequence": null },
            "usage": { "output_tokens": truth.completion, "output_tokens_details": details },
        }),
        json!({ "type": "message_stop" }),
    ];
    Pieces {
        opening: opening.iter().map(named).collect(),
        content: content.map(|event| named(&event)).collect(),
        closing: closing.iter().map(named).collect(),
    }
}

/// An error body, which is also the data of an error event.
pub fn error(kind: &str, message: &str) -> Value {
    json!({ "type": "error", "error": { "type": kind, "message": message }, "request_id": "req_scripted" })
}

pub fn answer(seen: &Seen, truth: &Truth) -> Script {
    let (ask, truth) = (seen.json(), renamed(truth));
    if seen.path().contains("/count_tokens") {
        return Script::json(200, json!({ "input_tokens": truth.prompt }).to_string());
    }
    let model = ask["model"].as_str().unwrap_or("?");
    if ask["stream"] != json!(true) {
        return Script::json(200, message(&truth, model)).truth(&truth);
    }
    Script::stream(stream(&truth, model, CONTENT_EVENTS).all()).truth(&truth)
}
