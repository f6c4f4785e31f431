//! What goes, what stays, and what it costs where there is nothing.

use super::*;
use crate::wire::{
    chat::{Signature, UNSIGNED},
    codec::{CODECS, Setting},
    tests::{fixtures, setting},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

#[track_caller]
fn check(dialect: Dialect, body: &str, expect: Option<&str>) {
    check_for(dialect, "gemini-2.5-pro", body, expect);
}

#[track_caller]
fn check_for(dialect: Dialect, model: &str, body: &str, expect: Option<&str>) {
    let stripped = strip(dialect, body.as_bytes(), model).map(|body| String::from_utf8(body).unwrap());
    assert_eq!(stripped.as_deref(), expect);
}

#[test]
fn anthropics_blocks_of_others_go_and_all_else_stays_byte_for_byte() {
    let dialect = Dialect::AnthropicMessages;
    check(
        dialect,
        r#"{ "model":"c", "messages":[ {"role":"user","content":"say aione."},
            {"role":"assistant","content":[{"type":"thinking","thinking":"own","signature":"Eq+/="},
             {"type":"thinking","thinking":"x","signature":"aione.gemini.Cp"}, {"type":"text","text":"aione.gemini.x"},
             {"type":"redacted_thinking","data":"aione.text.aione.gemini.Cp"},
             {"type":"thinking","thinking":"","signature":"aione.gemini.Cp"},
             {"type":"tool_use","id":"1","name":"f","input":{"signature": "aione.x" , "a":1.50}}]},
            {"role":"assistant","content":[{"type":"thinking","thinking":"shown","signature":"aione.unsigned"}]},
            {"role":"user","content":[{"type":"text","text":"on"}]}] , "max_tokens":9}"#,
        Some(
            r#"{ "model":"c", "messages":[{"role":"user","content":"say aione."},{"role":"assistant","content":[{"type":"thinking","thinking":"own","signature":"Eq+/="},{"type":"text","text":"aione.gemini.x"},{"type":"tool_use","id":"1","name":"f","input":{"signature": "aione.x" , "a":1.50}}]},{"role":"user","content":[{"type":"text","text":"on"}]}] , "max_tokens":9}"#,
        ),
    );
    // Words are no signatures.
    check(dialect, r#"{"messages":[{"role":"user","content":[{"type":"text","text":"aione."}]}]}"#, None);
    check(dialect, r#"{"messages":"aione."}"#, None);
    check(dialect, "aione. is no JSON", None);
}

#[test]
fn a_budget_to_think_is_not_asked_for_within_calls_that_no_thought_stands_before() {
    let body = |thought: &str, thinking: &str| {
        format!(
            r#"{{"thinking":{thinking},"messages":[{{"role":"user","content":"go"}},{{"role":"assistant","content":[{thought},{{"type":"tool_use","id":"1","name":"f","input":{{}}}}]}},{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"1"}}]}}]}}"#
        )
    };
    let sealed = r#"{"type":"thinking","thinking":"x","signature":"aione.gemini.Cp"}"#;
    let own = r#"{"type":"thinking","thinking":"x","signature":"Eq"}"#;
    let read = |thought: &str, thinking: &str| {
        let stripped = strip(Dialect::AnthropicMessages, body(thought, thinking).as_bytes(), "c").unwrap();
        let value: Value = serde_json::from_slice(&stripped).unwrap();
        value["thinking"].clone()
    };
    let budget = r#"{"type":"enabled","budget_tokens":2000}"#;
    assert_eq!(read(sealed, budget), json!({ "type": "disabled" }));
    assert_eq!(read(&format!("{own},{sealed}"), budget)["type"], "enabled");
    assert_eq!(read(sealed, r#"{"type":"adaptive"}"#)["type"], "adaptive");
}

#[test]
fn responses_thoughts_of_others_go() {
    let dialect = Dialect::OpenAiResponses;
    check(
        dialect,
        r#"{"input":[{"role":"user","content":"x"},
            {"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"aione.before.aione.gemini.Cp"},
            {"type":"reasoning","id":"rs_2","summary":[],"encrypted_content":"gAAA"},
            {"type":"function_call_output","call_id":"1","output":"aione.gemini.Cp"}],"store":false}"#,
        Some(
            r#"{"input":[{"role":"user","content":"x"},{"type":"reasoning","id":"rs_2","summary":[],"encrypted_content":"gAAA"},{"type":"function_call_output","call_id":"1","output":"aione.gemini.Cp"}],"store":false}"#,
        ),
    );
    check(dialect, r#"{"input":"aione.gemini.x"}"#, None);
}

#[test]
fn chats_signatures_of_others_go_from_beside_their_calls() {
    let dialect = Dialect::OpenAiChat;
    let call = |signature: &str| {
        format!(
            r#"{{"id":"1", "type":"function","extra_content":{{"google":{{"thought_signature":"{signature}"}}}},"function":{{"name":"f","arguments":"{{}}"}}}}"#
        )
    };
    let body = |calls: &str| format!(r#"{{"messages":[{{"role":"assistant","tool_calls":[{calls}]}}]}}"#);
    let bare = r#"{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}"#;
    check(
        dialect,
        &body(&[call("aione.anthropic_messages.Eq"), call("CpGoogle")].join(" , ")),
        Some(&body(&[bare.to_owned(), call("CpGoogle")].join(","))),
    );
    check(dialect, &body(&call("Cp aione.")), None);
}

#[test]
fn geminis_signatures_of_others_go_and_what_says_nothing_else() {
    let dialect = Dialect::Gemini;
    let seal = BASE64_STANDARD.encode("aione.anthropic_messages.Eq+/=");
    assert!(seal.starts_with(SEAL_BASE64));
    let body = format!(
        r#"{{"contents":[{{"role":"model","parts":[{{"text":"hm","thought":true,"thoughtSignature":"{seal}"}},{{"thought":true,"thought_signature":"{seal}"}},{{"functionCall":{{"name":"f","args":{{"a":1.50}}}},"thoughtSignature":"{seal}"}},{{"text":"own","thoughtSignature":"CpOwn"}}]}},{{"role":"model","parts":{{"text":"","thoughtSignature":"{seal}"}}}},{{"role":"user","parts":[{{"text":"{seal}"}}]}}]}}"#
    );
    let rest = format!(
        r#"{{"text":"own","thoughtSignature":"CpOwn"}}]}},{{"role":"user","parts":[{{"text":"{seal}"}}]}}]}}"#
    );
    let front = r#"{"contents":[{"role":"model","parts":[{"text":"hm","thought":true},"#;
    let call = r#""functionCall":{"name":"f","args":{"a":1.50}}}"#;
    check_for(dialect, "gemini-2.5-pro", &body, Some(&format!("{front}{{{call},{rest}")));
    let none = r#""thoughtSignature":"skip_thought_signature_validator","#;
    check_for(dialect, "gemini-3-pro", &body, Some(&format!("{front}{{{none}{call},{rest}")));
    check(dialect, r#"{"contents":{"parts":{"text":"aione. YWlvbmUu"}}}"#, None);
    let counted = |parts: &str| {
        format!(r#"{{"generateContentRequest":{{"model":"models/m","contents":[{{"parts":[{parts}]}}]}}}}"#)
    };
    let sealed = format!(r#"{{"text":"x","thoughtSignature":"{seal}"}}"#);
    check(dialect, &counted(&sealed), Some(&counted(r#"{"text":"x"}"#)));
}

#[test]
fn what_any_writer_seals_is_found_and_nothing_of_it_is_left() {
    let mut sealed = 0;
    for upstream in CODECS {
        for (name, answer) in fixtures(upstream.dialect(), "answer_") {
            let answer = upstream.decode_answer(&answer).unwrap();
            for caller in CODECS {
                let (dialect, said) =
                    (caller.dialect(), caller.encode_answer(&answer, &setting(), &mut Default::default()));
                let body = echoed(dialect, &serde_json::from_slice(&said).unwrap()).to_string();
                sealed += usize::from(may_hold(dialect, body.as_bytes()));
                let left = strip(dialect, body.as_bytes(), "m").unwrap_or_else(|| body.clone().into_bytes());
                assert!(!may_hold(dialect, &left), "{name}: {}", String::from_utf8_lossy(&left));
                let _: Value = serde_json::from_slice(&left).unwrap();
            }
        }
    }
    assert!(sealed >= 20, "{sealed} answers held a seal");
}

/// The request of a caller who gives an answer back as it came, behind something that was said.
pub(in crate::wire) fn echoed(dialect: Dialect, answer: &Value) -> Value {
    let list = |said: &[Value]| [&[json!({ "role": "user", "content": "go" })], said].concat();
    match dialect {
        Dialect::OpenAiChat => json!({ "messages": list(&[answer["choices"][0]["message"].clone()]) }),
        Dialect::OpenAiResponses => json!({ "input": list(answer["output"].as_array().unwrap()) }),
        Dialect::AnthropicMessages => {
            json!({ "messages": list(&[json!({ "role": "assistant", "content": answer["content"] })]) })
        }
        Dialect::Gemini => {
            let user = json!({ "role": "user", "parts": [{ "text": "go" }] });
            json!({ "contents": [user, answer["candidates"][0]["content"]] })
        }
    }
}

#[test]
fn a_thought_that_nobody_signed_is_marked_and_comes_back_as_one() {
    let body = br#"{"content":[{"type":"thinking","thinking":"Hm."},{"type":"text","text":"Hi"}],"stop_reason":"end_turn"}"#;
    let upstream = CODECS[2];
    let answer = upstream.decode_answer(body).unwrap();
    for caller in [CODECS[1], CODECS[2]] {
        let said = caller.encode_answer(&answer, &Setting::default(), &mut Default::default());
        assert!(memmem::find(&said, UNSIGNED.as_bytes()).is_some());
        let body = echoed(caller.dialect(), &serde_json::from_slice(&said).unwrap()).to_string();
        let mut dropped = Default::default();
        let request = caller.decode_request(body.as_bytes(), Default::default(), &mut dropped).unwrap();
        let crate::wire::chat::Part::Thinking(thinking) = &request.turns[1].parts[0] else {
            panic!("{request:?}")
        };
        assert_eq!((&*thinking.text, &thinking.signature), ("Hm.", &None::<Signature>));
    }
}
