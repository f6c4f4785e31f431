//! The other dialects: each one's codec reads back what chat says to the same conversation.

use super::{
    tongue::{More, Tongue, all, said, signature, thought, tongues},
    *,
};
use crate::{
    domain::usage::Usage,
    wire::chat::{Finish, Part as Said},
};
use base64::{Engine, prelude::BASE64_STANDARD};

#[test]
fn every_dialect_says_what_chat_says_at_once_and_in_pieces() {
    let chat = Tongue(Dialect::OpenAiChat);
    let mut read = 0;
    for more in all().into_iter().filter(|more| !more.thinks) {
        let expected = chat.read(More { stream: false, ..more }, "");
        let words = expected.choices[0].clone();
        for tongue in tongues() {
            let answer = tongue.read(more, "");
            assert_eq!(answer.model, "m");
            let [choice] = &answer.choices[..] else { panic!("{tongue:?}: {answer:?}") };
            let mut expected_words = said(&words);
            // Arguments that were cut are put in an object where a message can hold objects only.
            let is_wrapped = words.finish == Some(Finish::Length)
                && !more.stream
                && tongue.0 == Dialect::AnthropicMessages;
            for (_, arguments) in expected_words.1.iter_mut().filter(|_| is_wrapped) {
                *arguments = json!({ "arguments": arguments }).to_string();
            }
            assert_eq!(said(choice), expected_words, "{tongue:?} {more:?}");
            assert_eq!(choice.finish, words.finish, "{tongue:?} {more:?}");
            assert_eq!(answer.usage, expected.usage, "{tongue:?} {more:?}");
            assert_eq!(signature(choice), None);
            read += 1;
        }
    }
    assert_eq!(read, 16 * 3 * tongues().len());
}

#[test]
fn a_thought_comes_first_within_the_answers_bound_and_is_signed() {
    for tongue in tongues() {
        for more in all().into_iter().filter(|more| more.thinks) {
            let answer = tongue.read(more, "");
            let plain = tongue.read(More { stream: false, ..more }, "");
            let choice = &answer.choices[0];
            assert_eq!((choice, answer.usage), (&plain.choices[0], plain.usage), "{tongue:?} {more:?}");
            let usage = answer.usage.unwrap();
            assert!(usage.reasoning > 0 && more.max.is_none_or(|max| usage.completion_tokens() <= max));
            let untroubled = tongue.read(More { thinks: false, max: None, ..more }, "");
            if more.max.is_none() {
                assert_eq!(
                    said(choice),
                    said(&untroubled.choices[0]),
                    "a thought changes nothing that is said"
                );
                assert_eq!(usage, Usage { reasoning: usage.reasoning, ..untroubled.usage.unwrap() });
            }
            if more.max == Some(3) {
                assert_eq!((usage.reasoning, usage.output, &choice.finish), (3, 0, &Some(Finish::Length)));
            }
            let text = thought(choice).map_or("", |thinking| &thinking.text);
            assert_eq!(!text.is_empty(), more.shows, "{tongue:?} {more:?}");
            if more.shows {
                assert_eq!(count(text), usage.reasoning);
                assert!(matches!(choice.parts[0], Said::Thinking(_)));
            }
            // In Gemini's dialect it is on what comes of the thought.
            if tongue.0 != Dialect::Gemini || usage.output > 0 {
                let signature = signature(choice).unwrap();
                assert_eq!(signature.dialect, tongue.0);
                assert_eq!(BASE64_STANDARD.decode(&signature.data).unwrap().len(), 48);
            }
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_id_changes_the_ids_alone() {
    for tongue in tongues() {
        for more in all() {
            let whole = |directive: &str, id_seed: u64| {
                let body = tongue.body(more).to_string();
                let endpoint = tongue.endpoint(more.stream);
                bytes(answer(endpoint, body.as_bytes(), Some(directive), id_seed, CREATED))
            };
            let first = whole("seed=7", 1);
            assert_eq!(first, whole("seed=7", 1));
            // Three tokens of a call are the same whatever it is asked with.
            assert!(more.max == Some(3) || first != whole("seed=8", 1));
            let other = whole("seed=7", 2);
            assert_ne!(first, other, "{tongue:?}");
            let ids = |id_seed| {
                let id = format!("{:016x}", Rng::new(id_seed).next());
                (id, format!("{:016x}", Rng::nth(id_seed, 1).next()))
            };
            let ((id, call), (other_id, other_call)) = (ids(1), ids(2));
            let renamed =
                String::from_utf8(other).unwrap().replace(&other_id, &id).replace(&other_call, &call);
            assert_eq!(String::from_utf8(first).unwrap(), renamed);
        }
    }
}

#[test]
fn a_message_has_the_shape_that_its_sdk_expects() {
    let tongue = Tongue(Dialect::AnthropicMessages);
    let more = More { thinks: true, shows: true, ..More::default() };
    let message = json_of(tongue.ask(more, "tokens=4"));
    let text = tongue.read(more, "tokens=4").choices[0].clone();
    assert_eq!(
        message,
        json!({
            "id": "msg_910a2dec89025cc1",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": [
                {
                    "type": "thinking",
                    "thinking": thought(&text).unwrap().text,
                    "signature": signature(&text).unwrap().data,
                },
                { "type": "text", "text": said(&text).0 },
            ],
            "stop_reason": "end_turn",
            "stop_sequence": null,
            "usage": {
                "input_tokens": 10,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "output_tokens": message["usage"]["output_tokens"],
                "output_tokens_details": message["usage"]["output_tokens_details"],
                "service_tier": "standard",
            },
        })
    );
    let stream = String::from_utf8(bytes(tongue.ask(More { stream: true, ..more }, "tokens=4"))).unwrap();
    let names: Vec<_> = stream.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(names[..3], ["message_start", "content_block_start", "content_block_delta"]);
    assert_eq!(names[names.len() - 2..], ["message_delta", "message_stop"]);
    let begun: Value =
        serde_json::from_str(stream.lines().nth(1).unwrap().strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(begun["message"]["usage"]["input_tokens"], 10);
    assert_eq!(begun["message"]["usage"]["output_tokens"], 1);
}

#[test]
fn a_response_has_its_items_and_its_events_are_numbered() {
    let tongue = Tongue(Dialect::OpenAiResponses);
    let more = More { thinks: true, shows: true, ..More::default() };
    let response = json_of(tongue.ask(more, "tokens=4"));
    assert_eq!((&response["object"], &response["status"]), (&json!("response"), &json!("completed")));
    assert_eq!(
        (&response["id"], &response["created_at"]),
        (&json!("resp_910a2dec89025cc1"), &json!(CREATED))
    );
    let kinds: Vec<_> = response["output"].as_array().unwrap().iter().map(|item| &item["type"]).collect();
    assert_eq!(kinds, ["reasoning", "message"]);
    let events = String::from_utf8(bytes(tongue.ask(More { stream: true, ..more }, "tokens=4"))).unwrap();
    let data = events.lines().filter_map(|line| line.strip_prefix("data: "));
    for (number, event) in data.enumerate() {
        let event: Value = serde_json::from_str(event).unwrap();
        assert_eq!(event["sequence_number"], number);
    }
}

#[test]
fn gemini_streams_events_or_an_array_of_the_same_items() {
    let tongue = Tongue(Dialect::Gemini);
    let body = tongue.body(More::default());
    let streamed = |manner| ask(Endpoint::GenerateContent { model: "m", manner }, &body, "pace_ms=5");
    let array = streamed(Manner::Array);
    assert_eq!(array.headers, [("content-type", "application/json".to_owned())]);
    let array: Vec<Part> = array.parts.collect();
    let waits: Vec<u64> = array.iter().map(|part| part.wait_ms).collect();
    assert_eq!((waits[0], waits[1], waits.len() as u64), (0, 5, array.len() as u64));
    let array: Vec<u8> = array.iter().flat_map(|part| part.bytes.to_vec()).collect();
    let items: Vec<Value> = serde_json::from_slice(&array).unwrap();
    let events = events(streamed(Manner::Events));
    assert_eq!((items.len(), &items), (waits.len(), &events));
    assert_eq!(*tongue.fold(&array).answer(), tongue.read(More { stream: true, ..More::default() }, ""));
    assert_eq!(items[0]["responseId"], "910a2dec89025cc1");
    assert_eq!(items[0]["modelVersion"], "m");
}

#[test]
fn candidates_are_counted_together_and_differ() {
    let tongue = Tongue(Dialect::Gemini);
    for manner in [Manner::Plain, Manner::Events] {
        let mut body = tongue.body(More { thinks: true, shows: true, ..More::default() });
        body["generationConfig"]["candidateCount"] = json!(3);
        let bytes = bytes(ask(Endpoint::GenerateContent { model: "m", manner }, &body, ""));
        let answer = match manner {
            Manner::Plain => tongue.codec().decode_answer(&bytes).unwrap(),
            _ => tongue.fold(&bytes).answer().clone(),
        };
        let [first, second, third] = &answer.choices[..] else { panic!("{answer:?}") };
        assert!(said(first) != said(second) && said(second) != said(third));
        assert_ne!(thought(first), thought(second));
        let tokens: u64 = answer.choices.iter().map(|choice| count(&said(choice).0)).sum();
        let thoughts: u64 = answer.choices.iter().map(|choice| count(&thought(choice).unwrap().text)).sum();
        let usage = answer.usage.unwrap();
        assert_eq!((usage.output, usage.reasoning), (tokens, thoughts));
    }
}

#[test]
fn a_tools_result_gets_a_text_whatever_stands_beside_it() {
    let tools = More { tools: true, ..More::default() };
    let calls = |endpoint, body: &Value, tongue: Tongue| {
        let answer = tongue.codec().decode_answer(&bytes(ask(endpoint, body, ""))).unwrap();
        said(&answer.choices[0]).1.len()
    };
    for tongue in tongues() {
        let mut body = tongue.body(tools);
        assert_eq!(calls(tongue.endpoint(false), &body, tongue), 1);
        let image =
            json!({ "type": "image", "source": { "type": "url", "url": "https://example.org/a.png" } });
        let turns = match tongue.0 {
            Dialect::AnthropicMessages => json!([
                { "role": "user", "content": "Rain?" },
                { "role": "assistant", "content": [
                    { "type": "tool_use", "id": "toolu_1", "name": "weather", "input": {} },
                ] },
                { "role": "user", "content": [
                    { "type": "tool_result", "tool_use_id": "toolu_1", "content": [image] },
                    { "type": "text", "text": "By the way." },
                ] },
            ]),
            Dialect::OpenAiResponses => json!([
                { "role": "user", "content": "Rain?" },
                { "type": "function_call", "call_id": "call_1", "name": "weather", "arguments": "{}" },
                { "type": "function_call_output", "call_id": "call_1", "output": "rain" },
                { "role": "developer", "content": "By the way." },
            ]),
            _ => json!([
                { "role": "user", "parts": [{ "text": "Rain?" }] },
                { "role": "model", "parts": [{ "functionCall": { "name": "weather", "args": {} } }] },
                { "role": "user", "parts": [
                    { "functionResponse": { "name": "weather", "response": { "result": "rain" } } },
                    { "text": "By the way." },
                ] },
            ]),
        };
        let field = match tongue.0 {
            Dialect::AnthropicMessages => "messages",
            Dialect::OpenAiResponses => "input",
            _ => "contents",
        };
        body[field] = turns;
        assert_eq!(calls(tongue.endpoint(false), &body, tongue), 0, "{tongue:?}");
        let again = match tongue.0 {
            Dialect::AnthropicMessages => {
                json!([{ "role": "assistant", "content": "Yes." }, { "role": "user", "content": "And now?" }])
            }
            Dialect::OpenAiResponses => {
                json!([{ "role": "assistant", "content": "Yes." }, { "role": "user", "content": "And now?" }])
            }
            _ => json!([
                { "role": "model", "parts": [{ "text": "Yes." }] },
                { "role": "user", "parts": [{ "text": "And now?" }] },
            ]),
        };
        body[field].as_array_mut().unwrap().extend(again.as_array().unwrap().clone());
        assert_eq!(calls(tongue.endpoint(false), &body, tongue), 1, "{tongue:?}");
    }
}

#[test]
fn only_tools_that_are_allowed_are_called() {
    let tongue = Tongue(Dialect::Gemini);
    let mut body = tongue.body(More { tools: true, ..More::default() });
    let mut called = |mode: &str, names: &[&str]| {
        body["toolConfig"] =
            json!({ "functionCallingConfig": { "mode": mode, "allowedFunctionNames": names } });
        let answer = tongue.codec().decode_answer(&bytes(ask(tongue.endpoint(false), &body, ""))).unwrap();
        said(&answer.choices[0]).1.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert_eq!(called("AUTO", &["clock"]), ["clock"]);
    assert_eq!(called("ANY", &["clock"]), ["clock"]);
    assert_eq!(called("ANY", &["clock", "weather"]), ["weather"]);
    assert!(called("NONE", &[]).is_empty());
}

#[test]
fn a_tool_that_takes_plain_text_is_called_with_it() {
    let responses = Tongue(Dialect::OpenAiResponses);
    let mut body = responses.body(More::default());
    body["tools"] = json!([{ "type": "custom", "name": "note" }]);
    let response = json_of(ask(Endpoint::Responses, &body, ""));
    let call = &response["output"][0];
    assert_eq!((&call["type"], &call["name"]), (&json!("custom_tool_call"), &json!("note")));
    assert!(!call["input"].as_str().unwrap().is_empty());
}

#[test]
fn what_is_counted_is_what_the_usage_says() {
    let more = More { tools: true, thinks: true, ..More::default() };
    let messages = Tongue(Dialect::AnthropicMessages);
    let mut body = messages.body(more);
    let prompt = messages.read(more, "").usage.unwrap().prompt_tokens();
    body.as_object_mut().unwrap().remove("max_tokens");
    assert_eq!(json_of(ask(Endpoint::MessagesCountTokens, &body, "")), json!({ "input_tokens": prompt }));

    let gemini = Tongue(Dialect::Gemini);
    let body = gemini.body(more);
    let prompt = gemini.read(more, "").usage.unwrap().prompt_tokens();
    let mut inner = body.clone();
    inner["model"] = json!("models/m");
    for body in [body, json!({ "generateContentRequest": inner })] {
        let counted = json_of(ask(Endpoint::CountTokens { model: "m" }, &body, ""));
        let details = json!([{ "modality": "TEXT", "tokenCount": prompt }]);
        assert_eq!(counted, json!({ "totalTokens": prompt, "promptTokensDetails": details }));
    }
}
