//! What the walk over all codecs does not look at: signatures, marks, names of what is dropped, odd input,
//! and the vendor's sequence of events.

use super::*;
use crate::wire::chat::{
    CacheMark, ChatEvent, Choice, Delta, ErrorKind, Finish, Part, Reasoning, Role, Signature, Start,
    Thinking, ToolCall, ToolChoice,
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn decode(body: &Value) -> Result<(ChatRequest, String), Malformed> {
    let mut dropped = Dropped::default();
    let body = body.to_string();
    let request = OpenAiResponses.decode_request(body.as_bytes(), UrlSays::default(), &mut dropped)?;
    Ok((request, dropped.header()))
}

fn encode(request: &ChatRequest) -> (Value, String) {
    let mut dropped = Dropped::default();
    let body = OpenAiResponses.encode_request(request, "up", &mut dropped).unwrap();
    (serde_json::from_slice(&body).unwrap(), dropped.header())
}

fn setting() -> Setting {
    let freeform_tools = ["apply_patch".to_owned()].into();
    Setting { id: "x".to_owned(), freeform_tools, ..Setting::default() }
}

/// The data of what a writer makes of `events`, with each event's name.
fn written(events: &[ChatEvent]) -> Vec<(String, Value)> {
    let (mut writer, mut out) = (OpenAiResponses.writer(&setting()), Vec::new());
    events.iter().for_each(|event| writer.write(event, &mut out));
    let text = String::from_utf8(out).unwrap();
    let split = |event: &str| {
        let (name, data) = event.split_once('\n').unwrap();
        let data = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        (name.strip_prefix("event: ").unwrap().to_owned(), data)
    };
    text.split_terminator("\n\n").map(split).collect()
}

/// What a reader makes of `events`, each of which is the data of one.
fn read(events: &[Value]) -> Vec<ChatEvent> {
    let (mut reader, mut out) = (OpenAiResponses.reader(), Vec::new());
    for event in events {
        reader.feed(format!("data: {event}\n\n").as_bytes(), &mut out);
    }
    reader.end(&mut out);
    out
}

fn text(part: u32, text: &str) -> ChatEvent {
    ChatEvent::Delta { choice: 0, part, delta: Delta::Text(text.to_owned()) }
}

#[test]
fn what_leans_on_the_vendors_memory_is_refused_by_name() {
    for (name, value) in [
        ("previous_response_id", json!("resp_1")),
        ("conversation", json!({"id": "conv_1"})),
        ("prompt", json!({"id": "pmpt_1"})),
    ] {
        let mut body = json!({"model": "m", "input": "x"});
        body[name] = value;
        assert_eq!(decode(&body).unwrap_err().param.as_deref(), Some(name));
        body[name] = Value::Null;
        assert!(decode(&body).is_ok(), "{name} that is null is none");
    }
    for item in [json!({"type": "item_reference", "id": "msg_1"}), json!({"id": "msg_1"})] {
        let body = json!({"model": "m", "input": [{"role": "user", "content": "x"}, item]});
        let error = decode(&body).unwrap_err();
        assert_eq!(error.param.as_deref(), Some("input[1]"));
        assert!(error.message.contains("item_reference"));
    }
}

#[test]
fn what_is_wrong_is_told_by_its_path() {
    let item = |item: Value| json!({"model": "m", "input": [item]});
    let with = |name: &str, value: Value| {
        let mut body = json!({"model": "m", "input": "x"});
        body[name] = value;
        body
    };
    for (body, path) in [
        (json!({"model": "m"}), "input"),
        (json!({"model": "m", "input": 1}), "input"),
        (item(json!({"role": "boss", "content": "x"})), "input[0].role"),
        (item(json!({"type": "message", "content": "x"})), "input[0].role"),
        (item(json!({"role": "user"})), "input[0].content"),
        (item(json!({"role": "user", "content": 5})), "input[0]"),
        (item(json!({"role": "user", "content": [{"type": "input_text"}]})), "input[0].content[0].text"),
        (item(json!({"role": "user", "content": [{"type": "video"}]})), "input[0].content[0].type"),
        (item(json!({"role": "user", "content": [{"text": "x"}]})), "input[0].content[0].type"),
        (
            item(json!({"role": "user", "content": [{"type": "input_file", "file_data": "JVBE"}]})),
            "input[0].content[0].file_data",
        ),
        (item(json!({"type": "function_call", "name": "f"})), "input[0].call_id"),
        (item(json!({"type": "function_call_output", "output": "x"})), "input[0].call_id"),
        (item(json!({"type": "compaction", "encrypted_content": "x"})), "input[0]"),
        (with("tools", json!([{"type": "function"}])), "tools[0].name"),
        (with("tool_choice", json!("maybe")), "tool_choice"),
        (with("tool_choice", json!({"type": "function"})), "tool_choice.name"),
        (with("text", json!({"format": {"type": "xml"}})), "text.format.type"),
        (with("text", json!({"format": {"type": "json_schema"}})), "text.format.schema"),
        (with("reasoning", json!({"effort": "huge"})), "reasoning.effort"),
    ] {
        assert_eq!(decode(&body).unwrap_err().param.as_deref(), Some(path), "{body}");
    }
    let wrong = decode(&with("temperature", json!("hot"))).unwrap_err();
    assert!(wrong.message.contains("invalid type"), "{wrong}");
}

#[test]
fn null_is_as_good_as_nothing() {
    let names = [
        "instructions",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "max_output_tokens",
        "temperature",
        "top_p",
        "top_logprobs",
        "include",
        "reasoning",
        "text",
        "stream",
        "stream_options",
        "background",
        "truncation",
        "user",
        "metadata",
        "service_tier",
        "store",
        "a_field_of_tomorrow",
    ];
    let mut body = json!({"input": ""});
    names.iter().for_each(|name| body[*name] = Value::Null);
    let (request, dropped) = decode(&body).unwrap();
    let (bare, _) = decode(&json!({"input": ""})).unwrap();
    assert_eq!((request, &*dropped), (bare, ""));
}

#[test]
fn what_is_not_carried_is_named() {
    let (_, dropped) = decode(&json!({
        "model": "m", "input": [{"role": "assistant", "content": "x", "phase": "commentary"}],
        "background": true, "truncation": "auto", "text": {"verbosity": "low"}, "max_tool_calls": 1,
        "tools": [{"type": "web_search"}], "reasoning": {"mode": "pro"}, "include": ["file_search_call.results"],
    }))
    .unwrap();
    let names =
        "background,include,max_tool_calls,phase,reasoning.mode,tools.web_search,truncation,verbosity";
    assert_eq!(dropped, names);
}

#[test]
fn the_vendors_defaults_are_not_those_of_others() {
    let (request, _) = decode(&json!({
        "model": "m", "input": "x", "tools": [{"type": "function", "name": "f", "parameters": {}}],
    }))
    .unwrap();
    let (body, _) = encode(&request);
    assert_eq!((&body["store"], &body["tools"][0]["strict"]), (&json!(false), &json!(false)));
    assert_eq!(body.get("include"), None, "models that do not think refuse signed thoughts");
    let reasoning = Reasoning { budget: Some(5_000), shown: Some(true), ..Reasoning::default() };
    let (body, _) = encode(&ChatRequest { reasoning, ..request });
    assert_eq!(body["reasoning"], json!({"effort": "medium", "summary": "auto"}));
    assert_eq!(body["include"], json!(["reasoning.encrypted_content"]));
}

#[test]
fn a_bound_that_the_vendor_refuses_is_raised_and_named() {
    let asked = |max_tokens| ChatRequest {
        max_tokens: Some(max_tokens),
        tool_choice: Some(ToolChoice::Any),
        ..ChatRequest::default()
    };
    for (max_tokens, said, dropped) in [(1, 16, "max_tokens,tool_choice"), (16, 16, "tool_choice")] {
        let (body, unsaid) = encode(&asked(max_tokens));
        assert_eq!((&body["max_output_tokens"], &*unsaid), (&json!(said), dropped));
        assert_eq!(body.get("tool_choice"), None, "of no tools none can be chosen");
    }
}

#[test]
fn what_is_too_long_for_the_vendor_is_left_out_or_shortened() {
    let (just, long) = ("u".repeat(64), "u".repeat(65));
    for (name, user, dropped) in [("just", just.clone(), ""), ("long", long.clone(), "prompt_cache_key,user")]
    {
        let request =
            ChatRequest { user: Some(user.clone()), cache_key: Some(user), ..ChatRequest::default() };
        let (body, unsaid) = encode(&request);
        assert_eq!((body.get("user").is_some(), &*unsaid), (dropped.is_empty(), dropped), "{name}");
    }
    let items = |id: &str| {
        let call = json!({"type": "function_call", "call_id": id, "name": "f", "arguments": "{}"});
        let result = json!({"type": "function_call_output", "call_id": id, "output": "x"});
        let (request, _) = decode(&json!({"input": [call, result]})).unwrap();
        let (body, _) = encode(&request);
        let ids = [&body["input"][0]["call_id"], &body["input"][1]["call_id"]];
        assert_eq!(ids[0], ids[1]);
        ids[0].as_str().unwrap().to_owned()
    };
    assert_eq!(items(&just), just);
    assert!(items(&long).len() <= 64);
    assert_ne!(items(&long), items(&format!("{long}x")));
}

#[test]
fn a_signature_comes_back_over_two_turns_wherever_it_was() {
    let signed = |dialect, data: &str| Some(Signature { dialect, data: data.to_owned() });
    let claude = Dialect::AnthropicMessages;
    let call = |id: &str, signature| {
        let (id, name, arguments) = (id.to_owned(), "f".to_owned(), "{}".to_owned());
        Part::ToolCall(ToolCall { id, name, arguments, signature, cache: None })
    };
    let parts = vec![
        Part::Thinking(Thinking {
            text: "hm".to_owned(),
            signature: signed(claude, "E/+="),
            ..Thinking::default()
        }),
        Part::Thinking(Thinking { redacted: true, signature: signed(claude, "R"), ..Thinking::default() }),
        Part::Text {
            text: "a".to_owned(),
            citations: Vec::new(),
            signature: signed(Dialect::Gemini, "T"),
            cache: None,
        },
        Part::text("b"),
        call("c/1", signed(Dialect::Gemini, "C")),
        call("c2", None),
    ];
    let choice = Choice { parts: parts.clone(), finish: Some(Finish::ToolCalls), ..Choice::default() };
    let answer = ChatAnswer { choices: vec![choice], ..ChatAnswer::default() };
    let told = OpenAiResponses.encode_answer(&answer, &setting(), &mut Dropped::default());
    let told: Value = serde_json::from_slice(&told).unwrap();
    let events = written(&answer.events());
    for output in [&told["output"], &events.last().unwrap().1["response"]["output"]] {
        let (request, _) = decode(&json!({"model": "m", "input": output})).unwrap();
        assert_eq!(request.turns.len(), 1);
        assert_eq!((request.turns[0].role, &request.turns[0].parts), (Role::Assistant, &parts));
        let (_, dropped) = encode(&request);
        assert_eq!(dropped, "reasoning,signature", "an upstream is sent only its own");
    }
}

#[test]
fn the_vendors_own_thoughts_go_back_as_they_came() {
    let thought = json!({
        "type": "reasoning", "id": "rs_1", "encrypted_content": "gAAA+/==",
        "summary": [{"type": "summary_text", "text": "One."}, {"type": "summary_text", "text": "Two."}],
    });
    let hidden = json!({"type": "reasoning", "summary": [], "encrypted_content": "gAAB+/=="});
    let (request, dropped) = decode(&json!({"model": "m", "input": [thought, hidden]})).unwrap();
    let (body, unsaid) = encode(&request);
    assert_eq!((dropped, unsaid), (String::new(), String::new()));
    let joined = json!([{"type": "summary_text", "text": "One.\n\nTwo."}]);
    assert_eq!(
        body["input"][0],
        json!({
            "id": "rs_1", "type": "reasoning", "summary": joined, "encrypted_content": "gAAA+/==",
        })
    );
    assert_eq!(body["input"][1], hidden);
}

#[test]
fn a_cache_mark_is_read_and_its_loss_is_named() {
    let (request, _) = decode(&json!({"model": "m", "input": [{"role": "user", "content": [
        {"type": "input_text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}},
    ]}]}))
    .unwrap();
    let [Part::Text { cache, .. }] = &*request.turns[0].parts else { panic!("{request:?}") };
    assert_eq!(*cache, Some(CacheMark::OneHour));
    assert_eq!(encode(&request).1, "cache_control");
}

#[test]
fn allowed_tools_are_those_that_are_carried() {
    let (request, dropped) = decode(&json!({"model": "m", "input": "x", "tool_choice": {
        "type": "allowed_tools", "mode": "required",
        "tools": [{"type": "function", "name": "a"}, {"type": "web_search"}],
    }}))
    .unwrap();
    let allowed = ToolChoice::Allowed { names: vec!["a".to_owned()], required: true };
    assert_eq!((request.tool_choice, &*dropped), (Some(allowed), "tools.web_search"));
}

#[test]
fn an_answers_log_probabilities_are_those_of_the_chat_dialect() {
    let logprobs = r#"[{"token":"Hi","logprob":-0.5,"bytes":[72,105],"top_logprobs":[]}]"#;
    let body = format!(
        r#"{{"status":"completed","output":[{{"type":"message","content":[
            {{"type":"output_text","text":"Hi","logprobs":{logprobs}}}]}}]}}"#
    );
    let answer = OpenAiResponses.decode_answer(body.as_bytes()).unwrap();
    let told = answer.choices[0].logprobs.as_ref().unwrap().as_str();
    assert_eq!(told, format!(r#"{{"content":{logprobs},"refusal":null}}"#));
    let said = OpenAiResponses.encode_answer(&answer, &setting(), &mut Dropped::default());
    assert!(String::from_utf8(said).unwrap().contains(&format!(r#""logprobs":{logprobs}"#)));
}

#[test]
fn a_stream_has_the_vendors_sequence() {
    let thinking = Start::Thinking { id: None, redacted: false, summary: false };
    let call = Start::ToolCall { id: "c".to_owned(), name: "apply_patch".to_owned() };
    let arguments = Delta::Arguments(r#"{"input":"*** x"}"#.to_owned());
    let written = written(&[
        ChatEvent::Start { id: "msg_9".to_owned(), model: "m".to_owned(), created: None },
        ChatEvent::Begin { choice: 0, part: 0, start: thinking },
        text(0, "hm"),
        ChatEvent::End { choice: 0, part: 0 },
        ChatEvent::Begin { choice: 0, part: 1, start: Start::Text },
        text(1, "a"),
        // Open at once with the text.
        ChatEvent::Begin { choice: 0, part: 2, start: call },
        text(1, "b"),
        ChatEvent::Delta { choice: 0, part: 2, delta: arguments },
        ChatEvent::Done,
        text(1, "after the end"),
    ]);
    let names: Vec<_> = written.iter().map(|(name, _)| &**name).collect();
    assert_eq!(
        names,
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.reasoning_summary_part.added",
            "response.reasoning_summary_text.delta",
            "response.reasoning_summary_text.done",
            "response.reasoning_summary_part.done",
            "response.output_item.done",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_item.added",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.custom_tool_call_input.delta",
            "response.custom_tool_call_input.done",
            "response.output_item.done",
            "response.completed",
        ]
    );
    for (number, (name, data)) in written.iter().enumerate() {
        assert_eq!((&data["type"], &data["sequence_number"]), (&json!(name), &json!(number)));
    }
    let response = &written.last().unwrap().1["response"];
    assert_eq!((&response["id"], &response["status"]), (&json!("resp_msg_9"), &json!("completed")));
    assert_eq!(response["output"][0]["id"], "rs_x_0");
    assert_eq!(response["output"][1]["content"][0]["text"], "ab");
    assert_eq!(response["output"][2]["input"], "*** x");
}

#[test]
fn an_error_is_told_to_those_who_read_either_event() {
    let (message, code, param) = ("Slow down.".to_owned(), None, None);
    let error = ChatError { kind: ErrorKind::RateLimit, status: 429, message, code, param };
    let written = written(&[
        ChatEvent::Begin { choice: 0, part: 0, start: Start::Text },
        text(0, "half"),
        ChatEvent::Error(error),
        ChatEvent::Done,
    ]);
    let [.., (error, told), (failed, response)] = &*written else { panic!("{written:?}") };
    assert_eq!((&**error, &**failed), ("error", "response.failed"));
    assert_eq!((&told["message"], &told["sequence_number"]), (&json!("Slow down."), &json!(5)));
    let response = &response["response"];
    assert_eq!(response["error"], json!({"code": "rate_limit_exceeded", "message": "Slow down."}));
    assert_eq!((&response["status"], &response["output"]), (&json!("failed"), &json!([])));
}

#[test]
fn a_data_line_is_one_line_wherever_lines_end() {
    let (mut writer, mut out) = (OpenAiResponses.writer(&setting()), Vec::new());
    writer.write(&ChatEvent::Begin { choice: 0, part: 0, start: Start::Text }, &mut out);
    writer.write(&text(0, "a\r\n\u{2028}b\u{2029}"), &mut out);
    let text = String::from_utf8(out).unwrap();
    assert!(!text.contains(['\r', '\u{2028}', '\u{2029}']));
    assert!(text.contains(r"a\r\n\u2028b\u2029"));
}

#[test]
fn what_no_delta_told_is_told_by_the_whole() {
    let cited = json!({"type": "url_citation", "url": "https://a.example", "start_index": 0, "end_index": 2});
    let events = read(&[
        json!({"type": "response.created", "response": {"id": "resp_1", "model": "m"}}),
        json!({"type": "response.output_text.delta", "output_index": 0, "delta": "Hi"}),
        json!({"type": "response.content_part.done", "output_index": 0, "content_index": 0,
            "part": {"type": "output_text", "text": "Hi", "annotations": [cited]}}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": {"type": "message", "content": [
            {"type": "output_text", "text": "Hi", "annotations": [cited]},
            {"type": "output_text", "text": " there"},
        ]}}),
        json!({"type": "response.output_item.added", "output_index": 1, "item":
            {"type": "custom_tool_call", "call_id": "c", "name": "apply_patch"}}),
        json!({"type": "response.output_item.done", "output_index": 1, "item":
            {"type": "custom_tool_call", "call_id": "c", "name": "apply_patch", "input": "\"x\""}}),
        json!({"type": "response.reasoning_text.delta", "output_index": 2, "item_id": "rs_1", "delta": "Hm"}),
        json!({"type": "response.content_part.done", "output_index": 2, "content_index": 0,
            "part": {"type": "reasoning_text", "text": "Hm"}}),
        json!({"type": "response.output_item.done", "output_index": 2, "item": {"type": "reasoning", "id": "rs_1",
            "content": [{"type": "reasoning_text", "text": "Hm"}], "encrypted_content": "gAAA"}}),
        json!({"type": "response.completed", "response": {"status": "completed"}}),
    ]);
    let mut fold = crate::wire::chat::Fold::default();
    events.iter().for_each(|event| fold.feed(event));
    let choice = &fold.answer().choices[0];
    let [Part::Text { text, citations, .. }, Part::Text { text: second, .. }, Part::ToolCall(call), thought] =
        &*choice.parts
    else {
        panic!("{choice:?}")
    };
    assert_eq!((&**text, citations.len(), &**second), ("Hi", 1, " there"));
    assert_eq!((&*call.arguments, &choice.finish), (r#"{"input":"\"x\""}"#, &Some(Finish::ToolCalls)));
    let signature = Some(Signature { dialect: DIALECT, data: "gAAA".to_owned() });
    let (id, text) = (Some("rs_1".to_owned()), "Hm".to_owned());
    assert_eq!(*thought, Part::Thinking(Thinking { id, text, signature, ..Thinking::default() }));
    let begun = events.iter().filter(|event| matches!(event, ChatEvent::Begin { .. })).count();
    let ended = events.iter().filter(|event| matches!(event, ChatEvent::End { .. })).count();
    assert_eq!((begun, ended), (4, 4));
}

#[test]
fn a_stream_that_fails_says_why() {
    let created = json!({"type": "response.created", "response": {"id": "resp_1"}});
    for (last, status, message) in [
        (
            json!({"type": "response.failed", "response": {"error": {"code": "insufficient_quota", "message": "No."}}}),
            402,
            "No.",
        ),
        (json!({"type": "response.failed", "response": {"error": null}}), 502, "the upstream failed"),
        (json!({"type": "error", "code": "server_error", "message": "Oh."}), 500, "Oh."),
    ] {
        let events = read(&[created.clone(), last, json!({"type": "response.completed", "response": {}})]);
        let [ChatEvent::Start { .. }, ChatEvent::Error(error)] = &*events else { panic!("{events:?}") };
        assert_eq!((error.status, &*error.message), (status, message));
    }
    let events = read(&[created, json!({"type": "response.output_text.delta", "delta": 5})]);
    assert!(matches!(&events[..], [ChatEvent::Start { .. }, ChatEvent::Error(error)] if error.status == 502));
}

proptest! {
    #[test]
    fn no_bytes_at_all_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = OpenAiResponses.decode_request(&bytes, UrlSays::default(), &mut Dropped::default());
        let _ = OpenAiResponses.decode_answer(&bytes);
        let _ = OpenAiResponses.decode_error(500, &bytes);
        let (mut reader, mut events) = (OpenAiResponses.reader(), Vec::new());
        reader.feed(&bytes, &mut events);
        reader.end(&mut events);
    }

    /// Events in any order at all, so that a writer meets what no reader would send.
    #[test]
    fn no_order_of_events_makes_a_writer_panic(steps in prop::collection::vec((0_u8..9, 0_u32..4), 0..40)) {
        let event = |(step, part): (u8, u32)| match step {
            0 => ChatEvent::Begin { choice: 0, part, start: Start::Text },
            1 => ChatEvent::Begin { choice: 0, part, start: Start::Refusal },
            2 => ChatEvent::Begin {
                choice: 0,
                part,
                start: Start::ToolCall { id: "c".to_owned(), name: "apply_patch".to_owned() },
            },
            3 => ChatEvent::Begin {
                choice: 0,
                part,
                start: Start::Thinking { id: None, redacted: part == 0, summary: false },
            },
            4 => text(part, "x"),
            5 => ChatEvent::Delta { choice: 0, part, delta: Delta::Arguments("{".to_owned()) },
            6 => {
                let signature = Signature { dialect: Dialect::Gemini, data: "s".to_owned() };
                ChatEvent::Delta { choice: 0, part, delta: Delta::Signature(signature) }
            }
            _ => ChatEvent::End { choice: 0, part },
        };
        let mut events: Vec<_> = steps.into_iter().map(event).collect();
        events.push(ChatEvent::Done);
        let written = written(&events);
        let begun = written.iter().filter(|(name, _)| name == "response.output_item.added").count();
        let ended = written.iter().filter(|(name, _)| name == "response.output_item.done").count();
        prop_assert_eq!(begun, ended);
        prop_assert_eq!(&*written.last().unwrap().0, "response.completed");
    }
}
