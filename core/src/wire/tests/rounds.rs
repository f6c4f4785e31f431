//! Two turns: what an upstream signed and named comes back to it as it was, whichever dialect its caller has,
//! or is named where it could not be carried.

use super::*;
use crate::wire::{
    chat::{ChatRequest, Role},
    codec::UpstreamCodec,
    openai_chat::{GivingBackThoughts, OpenAiChat},
    sealed::tests::echoed,
};
use serde_json::{Value, json};

/// What an upstream says: thoughts, one of them hidden, a text and a call, signed as its dialect signs.
fn answer_of(upstream: Dialect) -> Value {
    match upstream {
        Dialect::OpenAiChat => json!({ "id": "c", "choices": [{ "finish_reason": "tool_calls", "message": {
            "role": "assistant", "reasoning_content": "hm", "content": "Look.",
            "tool_calls": [{
                "id": "call.1:x", "type": "function", "function": { "name": "f", "arguments": "{\"b\": 1.50,\"a\":2}" },
                "extra_content": { "google": { "thought_signature": "CpG+/=" } },
            }],
        } }] }),
        Dialect::OpenAiResponses => json!({ "id": "resp_1", "status": "completed", "output": [
            {
                "type": "reasoning", "id": "rs_1", "encrypted_content": "gAAA+/=",
                "summary": [{ "type": "summary_text", "text": "hm" }],
            },
            { "type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "gHidden==" },
            { "type": "message", "role": "assistant", "content": [{ "type": "output_text", "text": "Look." }] },
            {
                "type": "function_call", "call_id": "call.1:x", "name": "f",
                "arguments": "{\"b\": 1.50,\"a\":2}",
            },
        ] }),
        Dialect::AnthropicMessages => json!({ "id": "msg_1", "stop_reason": "tool_use", "content": [
            { "type": "thinking", "thinking": "hm", "signature": "EqA+/=" },
            { "type": "redacted_thinking", "data": "EmHidden==" },
            { "type": "text", "text": "Look." },
            { "type": "tool_use", "id": "toolu_1", "name": "f", "input": { "b": 1.5, "a": 2 } },
        ] }),
        Dialect::Gemini => json!({ "responseId": "g", "candidates": [{ "finishReason": "STOP", "content": {
            "role": "model", "parts": [
                { "text": "hm", "thought": true },
                { "text": "Look.", "thoughtSignature": "CpT+/w==" },
                {
                    "functionCall": { "id": "fc 1/ü", "name": "f", "args": { "b": 1.5, "a": 2 } },
                    "thoughtSignature": "CpC+/w==",
                },
            ],
        } }] }),
    }
}

/// Which signatures come back: of thoughts, of texts, of calls.
fn carried(caller: Dialect, upstream: Dialect) -> &'static str {
    match (caller, upstream) {
        // No upstream of this dialect is sent any: only one of them would know what it is.
        (_, Dialect::OpenAiChat) => "",
        // It has a place for those of calls alone.
        (Dialect::OpenAiChat, Dialect::Gemini) => "c",
        (Dialect::OpenAiChat, _) => "",
        (_, Dialect::Gemini) => "xc",
        (_, Dialect::OpenAiResponses | Dialect::AnthropicMessages) => "tt",
    }
}

/// The result of the call that the caller was told of, as the caller gives it back.
fn with_result(caller: Dialect, mut body: Value) -> Value {
    let list = match caller {
        Dialect::OpenAiChat | Dialect::AnthropicMessages => "messages",
        Dialect::OpenAiResponses => "input",
        Dialect::Gemini => "contents",
    };
    let said = body[list].as_array_mut().unwrap();
    let result = match caller {
        Dialect::OpenAiChat => {
            let id = said[1]["tool_calls"][0]["id"].clone();
            json!({ "role": "tool", "tool_call_id": id, "content": "done" })
        }
        Dialect::AnthropicMessages => {
            let blocks = said[1]["content"].as_array().unwrap();
            let id = &blocks.iter().find(|block| block["type"] == "tool_use").unwrap()["id"];
            let is_plain = |each: char| each.is_ascii_alphanumeric() || "_-".contains(each);
            assert!(id.as_str().unwrap().chars().all(is_plain), "{id}");
            json!({ "role": "user", "content": [
                { "type": "tool_result", "tool_use_id": id, "content": "done" },
            ] })
        }
        Dialect::OpenAiResponses => {
            let id = said.iter().find_map(|item| item.get("call_id")).unwrap();
            json!({ "type": "function_call_output", "call_id": id, "output": "done" })
        }
        Dialect::Gemini => {
            let parts = said[1]["parts"].as_array().unwrap();
            let call = parts.iter().find_map(|part| part.get("functionCall")).unwrap();
            json!({ "role": "user", "parts": [{ "functionResponse": {
                "id": call["id"], "name": "f", "response": { "result": "done" },
            } }] })
        }
    };
    said.push(result);
    body
}

/// The signatures of an assistant's parts, with a letter for the kind of each.
fn signatures(parts: &[Part]) -> Vec<(char, String)> {
    let signed = parts.iter().filter_map(|part| match part {
        Part::Thinking(thinking) => Some(('t', thinking.signature.as_ref()?)),
        Part::Text { signature, .. } => Some(('x', signature.as_ref()?)),
        Part::ToolCall(call) => Some(('c', call.signature.as_ref()?)),
        _ => None,
    });
    signed.map(|(kind, signature)| (kind, signature.data.clone())).collect()
}

fn said_by_assistant(request: &ChatRequest) -> &[Part] {
    &request.turns.iter().find(|turn| turn.role == Role::Assistant).unwrap().parts
}

/// The ids of the calls and of the results, and the arguments.
fn ids(parts: &[Part]) -> Vec<(String, Value)> {
    let named = parts.iter().filter_map(|part| match part {
        Part::ToolCall(call) => Some((call.id.clone(), serde_json::from_str(&call.arguments).unwrap())),
        Part::ToolResult(result) => Some((result.call_id.clone(), Value::Null)),
        _ => None,
    });
    named.collect()
}

#[test]
fn what_was_signed_and_named_comes_back_as_it_was_or_is_named_where_it_is_lost() {
    let mut rounds = 0;
    for upstream in CODECS {
        let native = answer_of(upstream.dialect()).to_string();
        let answer = upstream.decode_answer(native.as_bytes()).unwrap();
        let told = &answer.choices[0].parts;
        for caller in CODECS {
            let pair = format!("{} to {}", caller.dialect().as_str(), upstream.dialect().as_str());
            let mut lost = Dropped::default();
            let plain = caller.encode_answer(&answer, &setting(), &mut lost);
            // What comes in pieces says the same once it is put together.
            let streamed = fold(&read(caller, &[&write(caller, &answer.events())]));
            let streamed = caller.encode_answer(streamed.answer(), &setting(), &mut Dropped::default());
            for said in [plain, streamed] {
                let said: Value = serde_json::from_slice(&said).unwrap();
                let body = with_result(caller.dialect(), echoed(caller.dialect(), &said)).to_string();
                let mut dropped = lost.clone();
                let url = UrlSays { model: Some("m"), stream: None };
                let request = caller.decode_request(body.as_bytes(), url, &mut dropped).unwrap();
                let asked = upstream.encode_request(&request, "m", &mut dropped).unwrap();
                let again = upstream.decode_request(&asked, url, &mut Dropped::default()).unwrap();
                let (parts, all) = (said_by_assistant(&again), signatures(told));
                let expect = carried(caller.dialect(), upstream.dialect());
                let back: Vec<_> = all.iter().filter(|(kind, _)| expect.contains(*kind)).cloned().collect();
                assert_eq!(expect.len(), back.len(), "{pair}");
                assert_eq!(signatures(parts), back, "{pair}");
                let is_named = dropped.names().any(|name| matches!(name, "signature" | "reasoning"));
                assert!(is_named || back.len() == all.len(), "{pair}: {}", dropped.header());
                assert_eq!(ids(parts), ids(told), "{pair}");
                let result = again.turns.iter().find(|turn| turn.role == Role::Tool).unwrap();
                assert_eq!(ids(&result.parts)[0].0, ids(told)[0].0, "{pair}");
                rounds += 1;
            }
        }
    }
    println!("{rounds} rounds of {} pairs", CODECS.len() * CODECS.len());
    assert_eq!(rounds, 2 * CODECS.len() * CODECS.len());
}

#[test]
fn what_was_thought_goes_back_to_who_wants_it_and_to_nobody_else() {
    let native = answer_of(Dialect::OpenAiChat).to_string();
    let answer = OpenAiChat.decode_answer(native.as_bytes()).unwrap();
    for caller in CODECS {
        let said = caller.encode_answer(&answer, &setting(), &mut Dropped::default());
        let said: Value = serde_json::from_slice(&said).unwrap();
        let body = with_result(caller.dialect(), echoed(caller.dialect(), &said)).to_string();
        let url = UrlSays { model: Some("m"), stream: None };
        let mut request = caller.decode_request(body.as_bytes(), url, &mut Dropped::default()).unwrap();
        let thought = |request: &ChatRequest, upstream: &dyn UpstreamCodec| {
            let mut dropped = Dropped::default();
            let body = upstream.encode_request(request, "m", &mut dropped).unwrap();
            let body: Value = serde_json::from_slice(&body).unwrap();
            let messages = body["messages"].as_array().unwrap();
            let thoughts: Vec<_> =
                messages.iter().map(|message| message.get("reasoning_content").cloned()).collect();
            (thoughts, dropped.names().any(|name| name == "reasoning"))
        };
        let name = caller.dialect().as_str();
        assert_eq!(
            thought(&request, &GivingBackThoughts),
            (vec![None, Some(json!("hm")), None], false),
            "{name}"
        );
        assert_eq!(thought(&request, &OpenAiChat), (vec![None; 3], true), "{name}");
        // Whose caller has lost it says so with nothing.
        for turn in &mut request.turns {
            turn.parts.retain(|part| !matches!(part, Part::Thinking(_)));
        }
        assert_eq!(thought(&request, &GivingBackThoughts).0, [None, Some(json!("")), None], "{name}");
    }
}

#[test]
fn a_cache_mark_reaches_who_has_marks_and_is_named_elsewhere() {
    for caller in CODECS {
        let mark = json!({ "type": "ephemeral", "ttl": "1h" });
        let body = match caller.dialect() {
            Dialect::OpenAiChat | Dialect::AnthropicMessages => json!({ "max_tokens": 99, "messages": [
                { "role": "user", "content": [{ "type": "text", "text": "x", "cache_control": mark }] },
            ] }),
            Dialect::OpenAiResponses => json!({ "input": [{ "role": "user", "content": [
                { "type": "input_text", "text": "x", "prompt_cache_breakpoint": { "ttl": "12h" } },
            ] }] }),
            // Callers of it have none.
            Dialect::Gemini => continue,
        };
        let mut unknown = Dropped::default();
        let request =
            caller.decode_request(body.to_string().as_bytes(), UrlSays::default(), &mut unknown).unwrap();
        for upstream in CODECS {
            let mut dropped = unknown.clone();
            let asked = text(upstream.encode_request(&request, "m", &mut dropped).unwrap());
            let is_carried = asked.contains(r#""cache_control":{"type":"ephemeral","ttl":"1h"}"#);
            let has_marks = upstream.dialect() == Dialect::AnthropicMessages;
            let header = if has_marks { "" } else { "cache_control" };
            assert_eq!(
                (is_carried, &*dropped.header()),
                (has_marks, header),
                "{upstream:?}",
                upstream = upstream.dialect()
            );
        }
    }
}
