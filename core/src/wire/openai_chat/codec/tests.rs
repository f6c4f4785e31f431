//! What the walk over all codecs does not look at: signatures, marks, names of what is dropped, odd input, usage.

mod compatible;

use super::*;
use crate::wire::chat::{
    CacheMark, ChatEvent, Delta, Effort, ImageOutput, Part, Reasoning, Role, Signature, Start, ToolChoice,
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn decoded(body: &Value) -> (ChatRequest, String) {
    let mut dropped = Dropped::default();
    let request = OpenAiChat.decode_request(body.to_string().as_bytes(), UrlSays::default(), &mut dropped);
    (request.unwrap(), dropped.header())
}

fn encoded(request: &ChatRequest) -> (Value, String) {
    let mut dropped = Dropped::default();
    let body = OpenAiChat.encode_request(request, "upstream", &mut dropped).unwrap();
    (serde_json::from_slice(&body).unwrap(), dropped.header())
}

fn refused(body: &Value) -> (String, String) {
    let read =
        OpenAiChat.decode_request(body.to_string().as_bytes(), UrlSays::default(), &mut Dropped::default());
    let error = read.unwrap_err();
    (error.param.unwrap_or_default(), error.message)
}

#[test]
fn results_stand_together_and_an_assistants_messages_are_one_turn() {
    let (request, _) = decoded(&json!({ "model": "m", "messages": [
        { "role": "assistant", "content": "a" },
        { "role": "assistant", "tool_calls": [{ "id": "1", "function": { "name": "f", "arguments": "{}" } }] },
        { "role": "tool", "tool_call_id": "1", "content": "x" },
        { "role": "tool", "tool_call_id": "2", "content": "y" },
    ] }));
    let roles: Vec<_> = request.turns.iter().map(|turn| (turn.role, turn.parts.len())).collect();
    assert_eq!(roles, [(Role::Assistant, 2), (Role::Tool, 2)]);
}

#[test]
fn signatures_come_back_byte_for_byte_whosever_they_are() {
    for dialect in [Dialect::Gemini, Dialect::AnthropicMessages, Dialect::OpenAiResponses] {
        let signature = Signature { dialect, data: "Cs+/==.a".to_owned() };
        let call = crate::wire::chat::ToolCall {
            id: "c".to_owned(),
            name: "f".to_owned(),
            arguments: "{}".to_owned(),
            signature: Some(signature.clone()),
            cache: None,
        };
        let choice = crate::wire::chat::Choice { parts: vec![Part::ToolCall(call)], ..Default::default() };
        let answer = ChatAnswer { choices: vec![choice], ..ChatAnswer::default() };
        let said = OpenAiChat.encode_answer(&answer, &Setting::default(), &mut Dropped::default());
        let said: Value = serde_json::from_slice(&said).unwrap();
        // The caller sends the message back as it came.
        let (request, _) = decoded(&json!({ "messages": [said["choices"][0]["message"]] }));
        let Part::ToolCall(call) = &request.turns[0].parts[0] else { panic!("{request:?}") };
        assert_eq!(call.signature, Some(signature));
        let (body, dropped) = encoded(&request);
        assert_eq!(dropped, "signature");
        assert!(body["messages"][0]["tool_calls"][0].get("extra_content").is_none());
    }
}

#[test]
fn what_signs_a_call_is_in_its_first_piece_and_each_piece_has_a_function() {
    // The AI SDK, on which agents stand, takes it from no other piece, and no piece without a function.
    let signature = || Delta::Signature(Signature { dialect: Dialect::Gemini, data: "Cs+/==".to_owned() });
    let arguments = || Delta::Arguments("{}".to_owned());
    let call = |id: &str| json!({ "index": 0, "id": id, "type": "function", "function": { "name": "f", "arguments": "" } });
    let signed = |mut piece: Value| {
        piece["extra_content"] = json!({ "google": { "thought_signature": "Cs+/==" } });
        piece
    };
    let piece = |text: &str| json!({ "index": 0, "function": { "arguments": text } });
    for (deltas, expected) in [
        (vec![signature(), arguments()], vec![signed(call("c")), piece("{}")]),
        (vec![arguments()], vec![call("c"), piece("{}")]),
        (vec![arguments(), signature()], vec![call("c"), piece("{}"), signed(piece(""))]),
        (vec![signature()], vec![signed(call("c")), piece("{}")]),
        (Vec::new(), vec![call("c"), piece("{}")]),
    ] {
        let (choice, part, mut out) = (0, 0, Vec::new());
        let mut writer = OpenAiChat.writer(&Setting::default());
        let start = Start::ToolCall { id: "c".to_owned(), name: "f".to_owned() };
        writer.write(&ChatEvent::Begin { choice, part, start }, &mut out);
        for delta in deltas {
            writer.write(&ChatEvent::Delta { choice, part, delta }, &mut out);
        }
        writer.write(&ChatEvent::End { choice, part }, &mut out);
        let chunks = String::from_utf8(out).unwrap();
        let chunks = chunks.lines().filter_map(|line| line.strip_prefix("data: "));
        let pieces = chunks.map(|chunk| {
            serde_json::from_str::<Value>(chunk).unwrap()["choices"][0]["delta"]["tool_calls"][0].take()
        });
        assert_eq!(pieces.collect::<Vec<_>>(), expected);
    }
}

#[test]
fn cache_marks_are_read_of_callers_and_named_where_an_upstream_does_not_get_them() {
    let mark = json!({ "type": "ephemeral", "ttl": "1h" });
    let (request, _) = decoded(&json!({
        "messages": [{ "role": "user", "content": [{ "type": "text", "text": "x", "cache_control": mark }] }],
        "tools": [{ "type": "function", "function": { "name": "f" }, "cache_control": { "type": "ephemeral" } }],
    }));
    let Part::Text { cache, .. } = &request.turns[0].parts[0] else { panic!("{request:?}") };
    assert_eq!((*cache, request.tools[0].cache), (Some(CacheMark::OneHour), Some(CacheMark::FiveMinutes)));
    assert_eq!(encoded(&request).1, "cache_control");
}

#[test]
fn what_the_form_has_not_is_named() {
    let (request, dropped) = decoded(&json!({
        "model": "m", "messages": [], "verbosity": "low", "web_search_options": {},
        "tools": [{ "type": "web_search" }, { "type": "custom", "custom": { "name": "x" } }],
    }));
    assert_eq!(dropped, "tools.custom,tools.web_search,verbosity,web_search_options");
    assert!(request.tools.is_empty());
    let asked = ChatRequest {
        reasoning: Reasoning { budget: Some(5_000), shown: Some(true), ..Reasoning::default() },
        tool_choice: Some(ToolChoice::Any),
        ..request
    };
    let (body, dropped) = encoded(&asked);
    assert_eq!((&body["reasoning_effort"], body.get("tool_choice")), (&json!("medium"), None));
    assert_eq!(dropped, "reasoning,tool_choice");
}

#[test]
fn what_an_image_is_to_be_like_is_read_of_callers_and_no_upstreams_affair() {
    let (request, dropped) = decoded(&json!({ "messages": [], "aspect_ratio": "16:9", "image_size": "2K" }));
    assert_eq!(dropped, "");
    let expect = ImageOutput { aspect_ratio: Some("16:9".to_owned()), size: Some("2K".to_owned()) };
    assert_eq!(request.image_output, expect);
    assert_eq!(encoded(&request).1, "aspect_ratio,image_size");
}

#[test]
fn a_wrong_request_names_its_field() {
    for (body, param) in [
        (json!({ "messages": [{ "content": "x" }] }), "messages[0].role"),
        (json!({ "messages": [{ "role": "robot" }] }), "messages[0].role"),
        (
            json!({ "messages": [{ "role": "user", "content": [{ "type": "video" }] }] }),
            "messages[0].content[0].type",
        ),
        (
            json!({ "messages": [{ "role": "user", "content": [{ "type": "text" }] }] }),
            "messages[0].content[0].text",
        ),
        (json!({ "tools": [{ "type": "function", "function": {} }] }), "tools[0].function.name"),
        (json!({ "tool_choice": "maybe" }), "tool_choice"),
        (json!({ "reasoning_effort": "huge" }), "reasoning_effort"),
        (json!({ "response_format": { "type": "json_schema" } }), "response_format.json_schema.schema"),
    ] {
        assert_eq!(refused(&body).0, param, "{body}");
    }
    assert!(refused(&json!({ "max_tokens": "many" })).1.contains("invalid type"));
}

#[test]
fn null_is_as_good_as_nothing() {
    let names = [
        "messages",
        "tools",
        "tool_choice",
        "max_tokens",
        "temperature",
        "stop",
        "response_format",
        "stream",
        "stream_options",
        "metadata",
        "modalities",
        "reasoning_effort",
        "n",
        "logit_bias",
    ];
    let body: serde_json::Map<_, _> = names.iter().map(|name| ((*name).to_owned(), Value::Null)).collect();
    let (request, dropped) = decoded(&Value::Object(body));
    assert_eq!((request, dropped), (ChatRequest::default(), String::new()));
}

#[test]
fn an_effort_passes_by_its_word() {
    for effort in Effort::ALL {
        let (request, _) = decoded(&json!({ "reasoning_effort": effort.as_str() }));
        assert_eq!(encoded(&request).0["reasoning_effort"], effort.as_str());
    }
}

proptest! {
    #[test]
    fn usage_reads_back_with_its_totals(counts in prop::array::uniform8(0_u64..=400_000_000)) {
        let [input, cache_read, cache_write_5m, cache_write_1h, audio_in, output, reasoning, audio_out] = counts;
        let usage = Usage {
            input, cache_read, cache_write_5m, cache_write_1h, audio_in, output, reasoning, audio_out,
            ..Usage::default()
        };
        let said = serde_json::to_vec(&usage::Written::of(&usage)).unwrap();
        let back = OpenAiChat.decode_usage(&said).unwrap();
        // This dialect does not tell for how long what was written into a cache is kept.
        let cache_write_5m = cache_write_5m + cache_write_1h;
        prop_assert_eq!(back, Usage { cache_write_5m, cache_write_1h: 0, ..usage });
    }

    #[test]
    fn no_bytes_at_all_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = OpenAiChat.decode_request(&bytes, UrlSays::default(), &mut Dropped::default());
        let _ = OpenAiChat.decode_answer(&bytes);
        let _ = OpenAiChat.decode_error(500, &bytes);
        let (mut reader, mut events) = (OpenAiChat.reader(), Vec::new());
        reader.feed(&bytes, &mut events);
        reader.end(&mut events);
    }
}
