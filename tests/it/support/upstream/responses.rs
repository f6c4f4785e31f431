//! An honest upstream of OpenAI's Responses dialect, `/v1/responses`: its bytes are a function of the truth.

use super::{
    Seen,
    honest::{Pieces, named, text, texts, thought},
    openai::CONTENT_EVENTS,
    script::Script,
    truth::Truth,
};
use serde_json::{Value, json};

/// What the thought is given back as.
pub const ENCRYPTED: &str = "gAAAAABo1+/scripted==";

/// The truth under an id of this dialect.
pub fn renamed(truth: &Truth) -> Truth {
    truth.with_id("resp_")
}

fn usage(truth: &Truth) -> Value {
    json!({
        "input_tokens": truth.prompt,
        "input_tokens_details": { "cached_tokens": truth.cached },
        "output_tokens": truth.completion,
        "output_tokens_details": { "reasoning_tokens": truth.reasoning },
        "total_tokens": truth.prompt + truth.completion,
    })
}

/// A response; without a usage as long as it is in progress.
fn response(truth: &Truth, model: &str, status: &str, output: &[Value]) -> Value {
    let usage = if status == "completed" { usage(truth) } else { Value::Null };
    json!({
        "id": truth.id, "object": "response", "created_at": 1_700_000_000, "status": status,
        "background": false, "error": null, "incomplete_details": null, "instructions": null,
        "max_output_tokens": null, "metadata": {}, "model": model, "output": output,
        "parallel_tool_calls": true, "previous_response_id": null,
        "reasoning": { "effort": "medium", "summary": null }, "service_tier": "default", "store": false,
        "temperature": 1.0, "text": { "format": { "type": "text" }, "verbosity": "medium" },
        "tool_choice": "auto", "tools": [], "top_p": 1.0, "truncation": "disabled", "usage": usage,
        "user": null,
    })
}

fn summary(text: &str) -> Value {
    json!({ "type": "summary_text", "text": text })
}

fn output_text(text: &str) -> Value {
    json!({ "type": "output_text", "text": text, "annotations": [], "logprobs": [] })
}

fn reasoning(truth: &Truth) -> Option<Value> {
    let text = thought(truth)?;
    let id = format!("rs_{}", truth.id);
    Some(json!({
        "id": id, "type": "reasoning", "summary": [summary(text)], "encrypted_content": ENCRYPTED,
    }))
}

fn message(truth: &Truth, status: &str, content: &[Value]) -> Value {
    let id = format!("msg_{}", truth.id);
    json!({ "id": id, "type": "message", "status": status, "role": "assistant", "content": content })
}

/// A whole response.
pub fn completed(truth: &Truth, model: &str) -> Vec<u8> {
    let said = message(truth, "completed", &[output_text(&texts(CONTENT_EVENTS))]);
    let output: Vec<Value> = reasoning(truth).into_iter().chain([said]).collect();
    serde_json::to_vec_pretty(&response(truth, model, "completed", &output)).unwrap()
}

/// A response in `count` pieces.
pub fn stream(truth: &Truth, model: &str, count: usize) -> Pieces {
    let begun = response(truth, model, "in_progress", &[]);
    let mut opening = vec![
        json!({ "type": "response.created", "response": begun }),
        json!({ "type": "response.in_progress", "response": begun }),
    ];
    let mut output = Vec::new();
    if let Some(item) = reasoning(truth) {
        opening.extend(thinking(&item));
        output.push(item);
    }
    let at = output.len();
    let id = format!("msg_{}", truth.id);
    let of_text = |kind: &str, mut more: Value| {
        let place = json!({ "type": kind, "item_id": id, "output_index": at, "content_index": 0 });
        more.as_object_mut().unwrap().extend(place.as_object().unwrap().clone());
        more
    };
    let item = |kind: &str, item: &Value| json!({ "type": kind, "output_index": at, "item": item });
    let whole = message(truth, "completed", &[output_text(&texts(count))]);
    output.push(whole.clone());
    opening.push(item("response.output_item.added", &message(truth, "in_progress", &[])));
    opening.push(of_text("response.content_part.added", json!({ "part": output_text("") })));
    let content = (0..count).map(|n| {
        let delta = json!({ "delta": text(n), "logprobs": [], "obfuscation": "x9" });
        of_text("response.output_text.delta", delta)
    });
    let closing = [
        of_text("response.output_text.done", json!({ "text": texts(count), "logprobs": [] })),
        of_text("response.content_part.done", json!({ "part": output_text(&texts(count)) })),
        item("response.output_item.done", &whole),
        json!({
            "type": "response.completed",
            "response": response(truth, model, "completed", &output),
        }),
    ];
    // Events are numbered through.
    let mut number = 0_u64;
    let mut numbered = |mut event: Value| {
        event["sequence_number"] = json!(number);
        number += 1;
        named(&event)
    };
    Pieces {
        opening: opening.into_iter().map(&mut numbered).collect(),
        content: content.map(&mut numbered).collect(),
        closing: closing.into_iter().map(&mut numbered).collect(),
    }
}

/// The events of a thought, which is the first item.
fn thinking(item: &Value) -> [Value; 6] {
    let (text, part) = (&item["summary"][0]["text"], &item["summary"][0]);
    let mut begun = item.clone();
    begun["summary"] = json!([]);
    let of_summary = |kind: &str, name: &str, value: &Value| {
        let kind = format!("response.reasoning_summary_{kind}");
        json!({ "type": kind, "item_id": item["id"], "output_index": 0, "summary_index": 0, name: value })
    };
    [
        json!({ "type": "response.output_item.added", "output_index": 0, "item": begun }),
        of_summary("part.added", "part", &summary("")),
        of_summary("text.delta", "delta", text),
        of_summary("text.done", "text", text),
        of_summary("part.done", "part", part),
        json!({ "type": "response.output_item.done", "output_index": 0, "item": item }),
    ]
}

/// The data of an error event with this number.
pub fn error(code: &str, message: &str, number: u64) -> Value {
    json!({
        "type": "error", "code": code, "message": message, "param": null, "sequence_number": number,
    })
}

pub fn answer(seen: &Seen, truth: &Truth) -> Script {
    let (ask, truth) = (seen.json(), renamed(truth));
    let model = ask["model"].as_str().unwrap_or("?");
    if ask["stream"] != json!(true) {
        return Script::json(200, completed(&truth, model)).truth(&truth);
    }
    Script::stream(stream(&truth, model, CONTENT_EVENTS).all()).truth(&truth)
}
