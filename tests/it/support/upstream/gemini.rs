//! An honest upstream of Google's dialect, `…/models/{model}:generateContent` and its siblings: its bytes are
//! a function of the truth.

use super::{
    Seen,
    honest::{Pieces, text, texts, thought},
    openai::{CONTENT_EVENTS, event},
    script::Script,
    truth::Truth,
};
use serde_json::{Value, json};

/// What the answer is signed with, where it was thought about.
pub const SIGNATURE: &str = "CpcBAVSoXO4rXQ2gT0p6ZQm1u8nVdEoHkqF2wYtJx7Rz+v4m/9SbLcK0UeAqPz3iGw==";

/// The truth under an id of this dialect.
pub fn renamed(truth: &Truth) -> Truth {
    truth.with_id("")
}

/// The prompt contains what was cached, the candidates nothing of what was thought. What is zero is left
/// out, as by the vendor. `said`: tokens of the answer so far.
fn usage(truth: &Truth, said: u64) -> Value {
    let mut usage = json!({
        "promptTokenCount": truth.prompt,
        "totalTokenCount": truth.prompt + truth.reasoning + said,
        "promptTokensDetails": [{ "modality": "TEXT", "tokenCount": truth.prompt }],
    });
    for (name, count) in [
        ("cachedContentTokenCount", truth.cached),
        ("candidatesTokenCount", said),
        ("thoughtsTokenCount", truth.reasoning),
    ] {
        if count > 0 {
            usage[name] = json!(count);
        }
    }
    usage
}

fn piece(truth: &Truth, model: &str, parts: &[Value], finish: Option<&str>, said: u64) -> Value {
    let mut candidate = json!({ "content": { "parts": parts, "role": "model" }, "index": 0 });
    if let Some(reason) = finish {
        candidate["finishReason"] = json!(reason);
    }
    json!({
        "candidates": [candidate], "usageMetadata": usage(truth, said), "modelVersion": model,
        "responseId": truth.id,
    })
}

fn thinking(truth: &Truth) -> Option<Value> {
    Some(json!({ "text": thought(truth)?, "thought": true }))
}

/// A text; the last one is signed where it was thought about.
fn said(truth: &Truth, text: &str, is_last: bool) -> Value {
    match is_last && thought(truth).is_some() {
        true => json!({ "text": text, "thoughtSignature": SIGNATURE }),
        false => json!({ "text": text }),
    }
}

/// A whole answer.
pub fn content(truth: &Truth, model: &str) -> Vec<u8> {
    let parts: Vec<Value> =
        thinking(truth).into_iter().chain([said(truth, &texts(CONTENT_EVENTS), true)]).collect();
    let body = piece(truth, model, &parts, Some("STOP"), truth.completion - truth.reasoning);
    serde_json::to_vec_pretty(&body).unwrap()
}

/// The items of a stream: what was thought, `count` pieces of the text, and the end.
fn items(truth: &Truth, model: &str, count: usize) -> (Vec<Value>, Vec<Value>, Vec<Value>) {
    let all = truth.completion - truth.reasoning;
    let opening = thinking(truth).map(|part| piece(truth, model, &[part], None, 0));
    // Counts grow with the text; the last ones hold.
    let so_far = |n: usize| all * (n as u64 + 1) / (count as u64 + 1);
    let content = (0..count).map(|n| piece(truth, model, &[said(truth, &text(n), false)], None, so_far(n)));
    let closing = piece(truth, model, &[said(truth, "", true)], Some("STOP"), all);
    (opening.into_iter().collect(), content.collect(), vec![closing])
}

/// An answer as server-sent events. It has no end of its own but a reason to finish.
pub fn stream(truth: &Truth, model: &str, count: usize) -> Pieces {
    let events = |items: Vec<Value>| items.iter().map(event).collect();
    let (opening, content, closing) = items(truth, model, count);
    Pieces { opening: events(opening), content: events(content), closing: events(closing) }
}

/// The same items as a JSON array, one after the other.
pub fn array(truth: &Truth, model: &str, count: usize) -> Vec<Vec<u8>> {
    let (opening, content, closing) = items(truth, model, count);
    let items = [opening, content, closing].concat();
    let mut pieces: Vec<Vec<u8>> = Vec::new();
    for (n, item) in items.iter().enumerate() {
        let before = if n == 0 { "[" } else { ",\r\n" };
        pieces.push(format!("{before}{}", serde_json::to_string_pretty(item).unwrap()).into_bytes());
    }
    pieces.push(b"\n]".to_vec());
    pieces
}

/// An error body, which is also the data of an error event.
pub fn error(code: u16, status: &str, message: &str) -> Value {
    json!({ "error": { "code": code, "message": message, "status": status } })
}

pub fn answer(seen: &Seen, truth: &Truth) -> Script {
    let truth = renamed(truth);
    let (path, query) = seen.path().split_once('?').unwrap_or((seen.path(), ""));
    let named = path.rsplit('/').next().unwrap_or_default();
    let (model, method) = named.split_once(':').unwrap_or((named, ""));
    match method {
        "generateContent" => Script::json(200, content(&truth, model)).truth(&truth),
        "streamGenerateContent" if query.split('&').any(|pair| pair == "alt=sse") => {
            Script::stream(stream(&truth, model, CONTENT_EVENTS).all()).truth(&truth)
        }
        "streamGenerateContent" => {
            let kind = [("content-type", "application/json; charset=UTF-8")];
            let pieces = array(&truth, model, CONTENT_EVENTS);
            Script::chunked(200, &kind).chunks(pieces).end().truth(&truth)
        }
        "countTokens" => {
            let details = json!([{ "modality": "TEXT", "tokenCount": truth.prompt }]);
            let body = json!({ "totalTokens": truth.prompt, "promptTokensDetails": details });
            Script::json(200, body.to_string())
        }
        _ => Script::json(404, error(404, "NOT_FOUND", "No such method").to_string()),
    }
}
