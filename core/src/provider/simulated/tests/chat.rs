//! Chat: texts, tool calls and JSON texts, plain and streamed.

use super::*;

#[test]
fn a_plain_chat_is_a_text_with_its_usage() {
    let script = ask(Endpoint::Chat, &hello(json!({})), "tokens=5");
    assert_eq!((script.status, script.wait_ms, script.abort), (200, 0, false));
    let headers = script.headers.clone();
    let body = bytes(script);
    assert_eq!(
        headers,
        [("content-type", "application/json".to_owned()), ("content-length", body.len().to_string())]
    );
    // 3 + "user" 1 + "Say hello." 3, and 3 for the answer's opening.
    assert_eq!(
        serde_json::from_slice::<Value>(&body).unwrap(),
        json!({
            "id": "chatcmpl-910a2dec89025cc1",
            "object": "chat.completion",
            "created": CREATED,
            "model": "m",
            "service_tier": "default",
            "system_fingerprint": "fp_simulated",
            "choices": [{
                "index": 0,
                "message": { "role": "assistant", "content": "Our all talk away.", "refusal": null },
                "logprobs": null,
                "finish_reason": "stop",
            }],
            "usage": {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "total_tokens": 15,
                "prompt_tokens_details": { "cached_tokens": 0, "audio_tokens": 0 },
                "completion_tokens_details": {
                    "reasoning_tokens": 0,
                    "audio_tokens": 0,
                    "accepted_prediction_tokens": 0,
                    "rejected_prediction_tokens": 0,
                },
            },
        })
    );
}

#[test]
fn a_stream_says_the_same_as_the_plain_answer_a_token_a_chunk() {
    let plain = json_of(chat(&hello(json!({}))));
    let script = chat(&hello(json!({ "stream": true })));
    assert_eq!(script.headers, [("content-type", "text/event-stream; charset=utf-8".to_owned())]);
    let events = events(script);
    assert_eq!(json!(joined(&events, "/choices/0/delta/content")), plain["choices"][0]["message"]["content"]);
    assert_eq!(events.len() as u64, plain["usage"]["completion_tokens"].as_u64().unwrap() + 3);
    let [first, .., finish, done] = &events[..] else { panic!("a short stream") };
    assert_eq!(
        first,
        &json!({
            "id": plain["id"],
            "object": "chat.completion.chunk",
            "created": CREATED,
            "model": "m",
            "service_tier": "default",
            "system_fingerprint": "fp_simulated",
            "choices": [{
                "index": 0,
                "delta": { "role": "assistant", "content": "", "refusal": null },
                "logprobs": null,
                "finish_reason": null,
            }],
        })
    );
    assert_eq!(
        finish["choices"],
        json!([{ "index": 0, "delta": {}, "logprobs": null, "finish_reason": "stop" }])
    );
    assert_eq!(done, "[DONE]");
}

#[test]
fn the_usage_chunk_comes_only_where_it_was_asked_for() {
    let with = |options: Value| events(chat(&hello(json!({ "stream": true, "stream_options": options }))));
    for options in [json!(null), json!({}), json!({ "include_usage": false })] {
        assert!(with(options).iter().all(|event| event.get("usage").is_none()));
    }
    let asked = with(json!({ "include_usage": true }));
    let [chunks @ .., last, done] = &asked[..] else { panic!("a short stream") };
    assert!(chunks.iter().all(|chunk| chunk.get("usage") == Some(&Value::Null)));
    assert_eq!((&last["choices"], done), (&json!([]), &json!("[DONE]")));
    assert_eq!(last["usage"], json_of(chat(&hello(json!({}))))["usage"]);
}

#[test]
fn the_same_messages_have_the_same_answer_and_a_seed_has_another() {
    let said = |body: &Value, directive| {
        json_of(ask(Endpoint::Chat, body, directive))["choices"][0]["message"]["content"].clone()
    };
    let body = hello(json!({}));
    assert_eq!(said(&body, ""), said(&body, ""));
    assert_ne!(said(&body, ""), said(&hello(json!({ "seed": 7 })), ""));
    assert_eq!(said(&hello(json!({ "seed": 7 })), ""), said(&body, "seed=7"));
    assert_ne!(said(&hello(json!({ "seed": -7 })), ""), said(&hello(json!({ "seed": 7 })), ""));
    let other = json!({ "model": "m", "messages": [{ "role": "user", "content": "Say goodbye." }] });
    assert_ne!(said(&body, ""), said(&other, ""));
    let again = answer(Endpoint::Chat, body.to_string().as_bytes(), None, 2, CREATED);
    assert_ne!(json_of(again)["id"], json_of(chat(&body))["id"]);
}

#[test]
fn max_tokens_cuts_the_answer_and_says_so() {
    for (limit, tokens, finish) in [
        (json!({ "max_tokens": 9 }), 9, "length"),
        (json!({ "max_completion_tokens": 9, "max_tokens": 30 }), 9, "length"),
        (json!({ "max_tokens": 40 }), 40, "stop"),
        (json!({ "max_tokens": 4_000_000 }), 40, "stop"),
    ] {
        let answer = json_of(ask(Endpoint::Chat, &hello(limit), "tokens=40"));
        let choice = &answer["choices"][0];
        assert_eq!(
            (&answer["usage"]["completion_tokens"], &choice["finish_reason"]),
            (&json!(tokens), &json!(finish))
        );
        assert_eq!(count(choice["message"]["content"].as_str().unwrap()), tokens);
    }
}

#[test]
fn n_answers_differ_are_counted_together_and_come_in_turn() {
    let answer = json_of(chat(&hello(json!({ "n": 3 }))));
    let texts: Vec<&str> = answer["choices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["message"]["content"].as_str().unwrap())
        .collect();
    assert_eq!(texts.len(), 3);
    assert!(texts[0] != texts[1] && texts[1] != texts[2]);
    let tokens: u64 = texts.iter().map(|text| count(text)).sum();
    assert_eq!(answer["usage"]["completion_tokens"], tokens);

    let events = events(chat(&hello(json!({ "n": 3, "stream": true }))));
    let indices: Vec<_> =
        events[..9].iter().map(|event| event["choices"][0]["index"].as_u64().unwrap()).collect();
    assert_eq!(indices, [0, 1, 2, 0, 1, 2, 0, 1, 2]);
    for (index, text) in texts.iter().enumerate() {
        let mine: Vec<Value> =
            events.iter().filter(|event| event["choices"][0]["index"] == index).cloned().collect();
        assert_eq!(joined(&mine, "/choices/0/delta/content"), *text);
        assert_eq!(mine.last().unwrap()["choices"][0]["finish_reason"], "stop");
    }
}

#[test]
fn a_user_with_tools_gets_a_call_and_a_tools_result_gets_a_text() {
    let body = hello(json!({ "tools": weather_tool() }));
    let answer = json_of(chat(&body));
    let choice = &answer["choices"][0];
    assert_eq!(
        (&choice["finish_reason"], &choice["message"]["content"]),
        (&json!("tool_calls"), &Value::Null)
    );
    let call = &choice["message"]["tool_calls"][0];
    assert_eq!((&call["type"], &call["function"]["name"]), (&json!("function"), &json!("weather")));
    let text = call["function"]["arguments"].as_str().unwrap();
    let arguments: Value = serde_json::from_str(text).unwrap();
    assert_eq!((arguments["city"].is_string(), &arguments["days"]), (true, &json!(3)));
    assert_eq!(answer["usage"]["completion_tokens"], count("weather") + count(text));
    let prompt = 10 + count(&body["tools"].to_string());
    assert_eq!(answer["usage"]["prompt_tokens"], prompt);

    let mut body = body;
    let messages = body["messages"].as_array_mut().unwrap();
    messages.push(choice["message"].clone());
    messages.push(json!({ "role": "tool", "tool_call_id": call["id"], "content": "rain" }));
    let answer = json_of(chat(&body));
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    // 3 + "assistant" 1 + the calls; 3 + "tool" 1 + "rain" 1.
    let calls = count(&choice["message"]["tool_calls"].to_string());
    assert_eq!(answer["usage"]["prompt_tokens"], prompt + 4 + calls + 5);
}

#[test]
fn tool_choice_is_heeded() {
    let with = |tool_choice: Value| {
        let answer = json_of(chat(&hello(json!({ "tools": weather_tool(), "tool_choice": tool_choice }))));
        answer["choices"][0]["message"].pointer("/tool_calls/0/function").cloned()
    };
    assert_eq!(with(json!("none")), None);
    assert_eq!(with(json!("auto")).unwrap()["name"], "weather");
    let clock = json!({ "type": "function", "function": { "name": "clock" } });
    assert_eq!(with(clock), Some(json!({ "name": "clock", "arguments": "{}" })));
    let unknown = json!({ "type": "function", "function": { "name": "x" } });
    let body = hello(json!({ "tools": weather_tool(), "tool_choice": unknown }));
    assert_eq!(
        refused(chat(&body)),
        ("'tool_choice' must be the name of one of the tools".to_owned(), json!("tool_choice"))
    );
}

#[test]
fn a_streamed_call_comes_in_several_deltas() {
    let body = |stream: bool| hello(json!({ "tools": weather_tool(), "stream": stream }));
    let plain = json_of(chat(&body(false)));
    let call = &plain["choices"][0]["message"]["tool_calls"][0];
    let events = events(chat(&body(true)));
    assert_eq!(
        events[0]["choices"][0]["delta"],
        json!({
            "role": "assistant",
            "content": null,
            "refusal": null,
            "tool_calls": [{
                "index": 0,
                "id": call["id"],
                "type": "function",
                "function": { "name": "weather", "arguments": "" },
            }],
        })
    );
    assert!(events.len() > 5);
    let pointer = "/choices/0/delta/tool_calls/0/function/arguments";
    assert_eq!(json!(joined(&events, pointer)), call["function"]["arguments"]);
    assert_eq!(events[events.len() - 2]["choices"][0]["finish_reason"], "tool_calls");
}

#[test]
fn a_call_that_max_tokens_cuts_is_counted_as_far_as_it_was_said() {
    let with = |max: u64| {
        let answer = json_of(chat(&hello(json!({ "tools": weather_tool(), "max_tokens": max }))));
        (answer["choices"][0].clone(), answer["usage"]["completion_tokens"].as_u64().unwrap())
    };
    let (choice, tokens) = with(4);
    let arguments = choice["message"]["tool_calls"][0]["function"]["arguments"].as_str().unwrap();
    assert_eq!((&choice["finish_reason"], tokens), (&json!("length"), 4));
    assert_eq!(count("weather") + count(arguments), 4);
}

#[test]
fn a_response_format_is_answered_with_json() {
    let content = |format: Value| -> Value {
        let answer = json_of(chat(&hello(json!({ "response_format": format }))));
        let text = answer["choices"][0]["message"]["content"].as_str().unwrap();
        assert_eq!(answer["usage"]["completion_tokens"], count(text));
        serde_json::from_str(text).unwrap()
    };
    assert!(content(json!({ "type": "json_object" }))["answer"].is_string());
    let schema = json!({ "type": "object", "properties": { "ok": { "const": true } }, "required": ["ok"] });
    let format = json!({ "type": "json_schema", "json_schema": { "name": "x", "schema": schema } });
    assert_eq!(content(format), json!({ "ok": true }));
}

#[test]
fn parts_of_a_message_are_counted_each() {
    let body = json!({ "model": "m", "messages": [
        { "role": "system", "content": "Say hello." },
        { "role": "user", "name": "user", "content": [
            { "type": "text", "text": "Say hello." },
            { "type": "image_url", "image_url": { "url": "data:image/png;base64,AA" } },
        ] },
    ] });
    // 3 + 1 + 3; 3 + 1 + 1 + 3 + 85; 3.
    assert_eq!(json_of(chat(&body))["usage"]["prompt_tokens"], 103);
}
