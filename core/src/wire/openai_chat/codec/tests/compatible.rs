//! What the vendor refuses and what those who imitate the dialect make of it: ids, bounds, roles, odd streams.

use super::*;
use crate::wire::chat::{CacheMark, Source, Tool, ToolCall, Turn, freeform};

fn call(id: &str, arguments: &str) -> ToolCall {
    ToolCall {
        id: id.to_owned(),
        name: "f".to_owned(),
        arguments: arguments.to_owned(),
        ..ToolCall::default()
    }
}

fn read(stream: &str) -> ChatAnswer {
    let (mut reader, mut events, mut fold) =
        (OpenAiChat.reader(), Vec::new(), crate::wire::chat::Fold::default());
    reader.feed(stream.as_bytes(), &mut events);
    reader.end(&mut events);
    events.iter().for_each(|event| fold.feed(event));
    assert!(fold.is_done(), "{events:?}");
    fold.answer().clone()
}

fn chunks(deltas: &[Value]) -> String {
    let chunk = |delta: &Value, finish: Value| {
        let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish });
        format!("data: {}\n\n", json!({ "id": "c", "choices": [choice] }))
    };
    let all: String = deltas.iter().map(|delta| chunk(delta, Value::Null)).collect();
    all + &chunk(&json!({}), json!("tool_calls")) + "data: \n\ndata: [DONE]\n\n"
}

fn calls(answer: &ChatAnswer) -> Vec<(String, String)> {
    let parts = answer.choices[0].parts.iter();
    let calls = parts.filter_map(|part| if let Part::ToolCall(call) = part { Some(call) } else { None });
    calls.map(|call| (call.id.clone(), call.arguments.clone())).collect()
}

#[test]
fn an_output_is_bounded_in_the_word_that_the_model_knows() {
    let request = ChatRequest { max_tokens: Some(7), ..ChatRequest::default() };
    for (model, word, other) in [
        ("gpt-5.6", "max_completion_tokens", "max_tokens"),
        ("o3-mini", "max_completion_tokens", "max_tokens"),
        ("openai/GPT-4o", "max_completion_tokens", "max_tokens"),
        ("deepseek-chat", "max_tokens", "max_completion_tokens"),
        ("mistral-large-latest", "max_tokens", "max_completion_tokens"),
        ("olmo-2", "max_tokens", "max_completion_tokens"),
    ] {
        let body = OpenAiChat.encode_request(&request, model, &mut Dropped::default()).unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((&body[word], body.get(other)), (&json!(7), None), "{model}");
    }
}

#[test]
fn what_the_vendor_refuses_is_not_sent() {
    let long = "x".repeat(41);
    let result = crate::wire::chat::ToolResult { call_id: long.clone(), ..Default::default() };
    let image = Part::Image {
        source: Source::Data { media_type: "image/png".to_owned(), base64: "AA==".to_owned() },
        detail: None,
        cache: None,
    };
    let request = ChatRequest {
        turns: vec![
            Turn::new(Role::Developer, vec![Part::text("be brief")]),
            Turn::new(Role::Assistant, vec![image, Part::ToolCall(call(&long, ""))]),
            Turn::new(Role::Tool, vec![Part::ToolResult(result)]),
        ],
        tool_choice: Some(ToolChoice::Any),
        parallel_tools: Some(false),
        metadata: [("a".to_owned(), "b".to_owned())].into(),
        ..ChatRequest::default()
    };
    let (body, dropped) = encoded(&request);
    assert_eq!(dropped, "image,metadata,tool_choice");
    for name in ["tool_choice", "parallel_tool_calls", "metadata"] {
        assert!(body.get(name).is_none(), "{name}");
    }
    let messages = &body["messages"];
    assert_eq!(messages[0]["role"], "system", "most who imitate the dialect know no developer");
    let call = &messages[1]["tool_calls"][0];
    assert!(call["id"].as_str().unwrap().len() <= 40);
    assert_eq!((&messages[2]["tool_call_id"], &call["function"]["arguments"]), (&call["id"], &json!("{}")));
    let tool = Tool { name: "f".to_owned(), description: None, parameters: None, strict: None, cache: None };
    let (body, dropped) = encoded(&ChatRequest { tools: vec![tool], store: Some(true), ..request });
    assert_eq!((&*dropped, &body["metadata"]["a"]), ("image", &json!("b")));
    assert_eq!((&body["tool_choice"], &body["parallel_tool_calls"]), (&json!("required"), &json!(false)));
}

#[test]
fn log_probabilities_are_not_asked_for_where_no_writer_has_them() {
    let asked = |stream| {
        let (request, _) = decoded(&json!({ "logprobs": true, "top_logprobs": 2, "stream": stream }));
        encoded(&request)
    };
    let (body, dropped) = asked(false);
    assert_eq!((&body["logprobs"], &body["top_logprobs"], &*dropped), (&json!(true), &json!(2), ""));
    let (body, dropped) = asked(true);
    assert_eq!((body.get("logprobs"), body.get("top_logprobs"), &*dropped), (None, None, "logprobs"));
}

#[test]
fn calls_of_an_upstream_that_names_or_numbers_none_are_told_apart() {
    let call = |index: Value, id: Value, name: &str, arguments: &str| {
        json!({ "tool_calls": [
            { "index": index, "id": id, "function": { "name": name, "arguments": arguments } }
        ] })
    };
    // All of them with one number, as Google's endpoint of this dialect has had them.
    let same =
        chunks(&[call(json!(0), json!("a"), "f", "{\"x\":1}"), call(json!(0), json!("b"), "f", "{\"y\":2}")]);
    let told = calls(&read(&same));
    assert_eq!(told, [("a".to_owned(), "{\"x\":1}".to_owned()), ("b".to_owned(), "{\"y\":2}".to_owned())]);
    // The id again with each piece, or never again: the same call.
    for id in [json!("a"), Value::Null, json!("")] {
        let pieces = chunks(&[call(json!(0), json!("a"), "f", "{\"x\""), call(json!(0), id, "", ":1}")]);
        assert_eq!(calls(&read(&pieces)), [("a".to_owned(), "{\"x\":1}".to_owned())]);
    }
    // Without ids, plain and streamed alike.
    let none = chunks(&[call(json!(0), Value::Null, "f", "{}"), call(json!(1), json!(""), "f", "{}")]);
    let streamed = read(&none);
    let functions = [
        json!({ "function": { "name": "f", "arguments": "{}" } }),
        json!({ "id": "", "function": { "name": "f", "arguments": "{}" } }),
    ];
    let plain = json!({ "id": "c", "choices": [{ "message": { "tool_calls": functions }, "finish_reason": "tool_calls" }] });
    let plain = OpenAiChat.decode_answer(plain.to_string().as_bytes()).unwrap();
    assert_eq!(calls(&plain), calls(&streamed));
    let ids: std::collections::BTreeSet<_> = calls(&plain).into_iter().map(|(id, _)| id).collect();
    assert!(ids.len() == 2 && ids.iter().all(|id| !id.is_empty() && id.len() <= 40), "{ids:?}");
}

#[test]
fn a_call_without_arguments_has_an_empty_object_of_them() {
    let choice =
        crate::wire::chat::Choice { parts: vec![Part::ToolCall(call("a", ""))], ..Default::default() };
    let answer = ChatAnswer { choices: vec![choice], ..ChatAnswer::default() };
    let plain = OpenAiChat.encode_answer(&answer, &Setting::default(), &mut Dropped::default());
    let plain: Value = serde_json::from_slice(&plain).unwrap();
    assert_eq!(plain["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"], "{}");
    let (mut writer, mut out) = (OpenAiChat.writer(&Setting::default()), Vec::new());
    answer.events().iter().for_each(|event| writer.write(event, &mut out));
    assert_eq!(calls(&read(std::str::from_utf8(&out).unwrap())), [("a".to_owned(), "{}".to_owned())]);
}

#[test]
fn every_piece_of_a_call_is_one_of_its_function() {
    let signature = Some(Signature { dialect: Dialect::Gemini, data: "Cp".to_owned() });
    let choice = crate::wire::chat::Choice {
        parts: vec![Part::ToolCall(ToolCall { signature, ..call("a", "{}") })],
        ..Default::default()
    };
    let answer = ChatAnswer { choices: vec![choice], ..ChatAnswer::default() };
    let (mut writer, mut out) = (OpenAiChat.writer(&Setting::default()), Vec::new());
    answer.events().iter().for_each(|event| writer.write(event, &mut out));
    let out = String::from_utf8(out).unwrap();
    let chunks =
        out.lines().filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok());
    let calls: Vec<_> = chunks
        .flat_map(|chunk| chunk["choices"][0]["delta"]["tool_calls"].as_array().cloned())
        .flatten()
        .collect();
    assert!(
        calls.len() == 2 && calls.iter().all(|call| call["function"]["arguments"].is_string()),
        "{calls:?}"
    );
}

#[test]
fn an_answer_that_is_an_error_says_so_in_its_words() {
    let answer = json!({ "error": { "message": "Model is loading", "code": 503 } }).to_string();
    assert_eq!(OpenAiChat.decode_answer(answer.as_bytes()).unwrap_err().message, "Model is loading");
}

#[test]
fn what_a_message_says_besides_is_named_unless_it_says_nothing() {
    let (request, dropped) = decoded(&json!({
        "messages": [
            { "role": "user", "content": [{ "type": "text", "text": "x", "video": 1, "extra": null }] },
            { "role": "assistant", "content": "y", "audio": null, "function_call": null, "reasoning_details": [] },
        ],
        "tools": [{ "type": "function", "defer": true, "function": { "name": "f", "examples": [], "note": null } }],
        "verbosity": null,
    }));
    assert_eq!(dropped, "defer,examples,reasoning_details,video");
    assert_eq!(request.turns.len(), 2);
    let unnamed = json!({ "messages": [{ "role": "tool", "content": "x" }] });
    assert_eq!(refused(&unnamed).0, "messages[0].tool_call_id");
    let calling = json!({ "messages": [{ "role": "user", "tool_calls": [{ "id": "call_1" }] }] });
    assert_eq!(refused(&calling).1, "messages[0].tool_calls: only the assistant calls tools");
    assert_eq!(refused(&unnamed).1, "messages[0].tool_call_id: is missing");
}

#[test]
fn a_call_in_plain_text_is_carried_as_one_of_a_function() {
    let custom = json!({ "id": "a", "type": "custom", "custom": { "name": "patch", "input": "*** \"x\"" } });
    let (request, _) = decoded(&json!({ "messages": [{ "role": "assistant", "tool_calls": [custom] }] }));
    let Part::ToolCall(call) = &request.turns[0].parts[0] else { panic!("{request:?}") };
    assert_eq!((&*call.name, &*freeform::input(&call.arguments)), ("patch", "*** \"x\""));
}

#[test]
fn marks_beside_nulls_are_marks() {
    let mark = json!({ "type": "ephemeral" });
    let (request, dropped) = decoded(&json!({ "messages": [
        { "role": "user", "name": null, "content": [{ "type": "text", "text": "x", "cache_control": mark }] },
    ] }));
    let Part::Text { cache, .. } = &request.turns[0].parts[0] else { panic!("{request:?}") };
    assert_eq!((*cache, &*dropped), (Some(CacheMark::FiveMinutes), ""));
}
