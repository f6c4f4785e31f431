//! The other endpoints, and bodies that are wrong.

use super::*;
use base64::{Engine, prelude::BASE64_STANDARD};

#[test]
fn a_completion_has_16_tokens_and_one_text_for_each_prompt() {
    let body = json!({ "model": "m", "prompt": ["Say hello.", [1, 2, 3]], "n": 2 });
    let answer = json_of(ask(Endpoint::Completion, &body, "tokens=20"));
    assert_eq!(
        (&answer["object"], &answer["id"]),
        (&json!("text_completion"), &json!("cmpl-910a2dec89025cc1"))
    );
    let choices = answer["choices"].as_array().unwrap();
    for (index, choice) in choices.iter().enumerate() {
        assert_eq!((&choice["index"], &choice["finish_reason"]), (&json!(index), &json!("length")));
        assert_eq!(count(choice["text"].as_str().unwrap()), 16);
    }
    assert_eq!((choices.len(), &answer["usage"]["prompt_tokens"]), (4, &json!(6)));
    assert_eq!(answer["usage"]["completion_tokens"], 64);
}

#[test]
fn a_streamed_completion_ends_with_its_reason_and_its_usage() {
    let body = json!({
        "model": "m", "prompt": "x", "max_tokens": 3, "stream": true,
        "stream_options": { "include_usage": true },
    });
    let events = events(ask(Endpoint::Completion, &body, ""));
    assert_eq!(events.len(), 6);
    assert_eq!(count(&joined(&events, "/choices/0/text")), 3);
    assert_eq!(
        events[3]["choices"],
        json!([{ "text": "", "index": 0, "logprobs": null, "finish_reason": "length" }])
    );
    assert_eq!((&events[0]["usage"], &events[4]["choices"]), (&Value::Null, &json!([])));
    assert_eq!(events[4]["usage"]["total_tokens"], 4);
}

#[test]
fn an_embedding_is_the_same_unit_vector_in_every_batch_and_encoding() {
    let with = |more: Value| {
        let mut body = json!({ "model": "m", "input": ["Say hello.", "x"] });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json_of(ask(Endpoint::Embedding, &body, ""))
    };
    let vector = |answer: &Value, index: usize| -> Vec<f32> {
        let numbers = answer["data"][index]["embedding"].as_array().unwrap();
        numbers.iter().map(|number| number.as_f64().unwrap() as f32).collect()
    };
    let both = with(json!({}));
    assert_eq!((&both["object"], &both["data"][1]["index"]), (&json!("list"), &json!(1)));
    assert_eq!(both["usage"], json!({ "prompt_tokens": 4, "total_tokens": 4 }));
    assert_eq!(vector(&both, 0).len(), 8);
    assert_ne!(vector(&both, 0), vector(&both, 1));
    assert_eq!(vector(&with(json!({ "input": "x" })), 0), vector(&both, 1));

    let large = with(json!({ "dimensions": 1_536, "encoding_format": "float" }));
    for index in 0..2 {
        let squares: f32 = vector(&large, index).iter().map(|number| number * number).sum();
        assert!((squares - 1.0).abs() < 1e-4, "{squares}");
    }
    let encoded = with(json!({ "dimensions": 1_536, "encoding_format": "base64" }));
    let bytes = BASE64_STANDARD.decode(encoded["data"][1]["embedding"].as_str().unwrap()).unwrap();
    let decoded: Vec<f32> =
        bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect();
    assert_eq!(decoded, vector(&large, 1));
}

#[test]
fn a_wrong_body_is_refused_with_its_parameter() {
    let check = |endpoint, body: Value, param: Value| {
        assert_eq!(refused(ask(endpoint, &body, "")).1, param, "{body}");
    };
    for body in ["", "[]", "{", "null", "\u{feff}{}"] {
        let script = answer(Endpoint::Chat, body.as_bytes(), None, 1, CREATED);
        assert_eq!(refused(script).1, Value::Null);
    }
    check(Endpoint::Chat, json!({ "messages": [{ "role": "user" }] }), json!("model"));
    check(Endpoint::Chat, json!({ "model": "m" }), json!("messages"));
    check(Endpoint::Chat, json!({ "model": "m", "messages": [] }), json!("messages"));
    check(Endpoint::Chat, json!({ "model": "m", "messages": [{}] }), json!("messages"));
    for (name, value) in [
        ("stream", json!("yes")),
        ("max_tokens", json!(0)),
        ("max_tokens", json!(-1)),
        ("max_tokens", json!(1.5)),
        ("max_completion_tokens", json!("9")),
        ("n", json!(17)),
        ("tools", json!({})),
    ] {
        check(Endpoint::Chat, hello(json!({ name: value })), json!(name));
    }
    let many = json!({ "model": "m", "prompt": vec!["x"; 9], "n": 2 });
    check(Endpoint::Completion, many, json!("n"));
    check(Endpoint::Completion, json!({ "model": "m" }), json!("prompt"));
    for input in [json!([]), json!(7), json!([[]]), json!(["x", 7]), json!([1.5])] {
        check(Endpoint::Embedding, json!({ "model": "m", "input": input }), json!("input"));
    }
    let embed = |more: Value| {
        let mut body = json!({ "model": "m", "input": vec!["x"; 100] });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    check(Endpoint::Embedding, embed(json!({ "encoding_format": "hex" })), json!("encoding_format"));
    check(Endpoint::Embedding, embed(json!({ "dimensions": 4_097 })), json!("dimensions"));
    check(Endpoint::Embedding, embed(json!({ "dimensions": 4_096 })), json!("dimensions"));
    check(Endpoint::Embedding, embed(json!({ "input": vec!["x"; INPUTS_MAX + 1] })), json!("input"));
}
