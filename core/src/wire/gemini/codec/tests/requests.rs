//! Requests as callers write them, and back.

use super::*;
use crate::wire::{
    chat::{Source, ToolChoice},
    openai_chat::OpenAiChat,
};
use proptest::prelude::*;

#[test]
fn what_was_given_back_is_sent_as_it_was_given() {
    let (request, dropped) = read_request(&format!(
        r#"{{"contents":[
        {{"role":"user","parts":[{{"text":"a"}}]}},
        {{"role":"model","parts":[
            {{"thought":true,"text":"hm"}},
            {{"text":"b","thoughtSignature":"x_-"}},
            {{"text":"","thoughtSignature":"{SIGNATURE}"}},
            {{"inlineData":{{"mimeType":"image/png","data":"AA=="}},"thoughtSignature":"img="}},
            {{"functionCall":{{"id":"c1","name":"f","args":{{"b":1, "a":2}}}},"thoughtSignature":"c/+="}}]}},
        {{"role":"user","parts":[{{"functionResponse":{{"id":"c1","name":"f","response":{{"r":[1, 2]}}}}}}]}}]}}"#
    ));
    assert_eq!(dropped, "");
    let mut again = Dropped::default();
    let body = Gemini.encode_request(&request, "gemini-3-pro", &mut again).unwrap();
    let body = String::from_utf8(body).unwrap();
    assert!(again.is_empty());
    for kept in [
        r#"{"text":"hm","thought":true}"#,
        r#"{"text":"b","thoughtSignature":"x_-"}"#,
        &format!(r#"{{"text":"","thoughtSignature":"{SIGNATURE}"}}"#),
        r#"{"inlineData":{"mimeType":"image/png","data":"AA=="},"thoughtSignature":"img="}"#,
        r#"{"functionCall":{"id":"c1","name":"f","args":{"b":1, "a":2}},"thoughtSignature":"c/+="}"#,
        r#"{"functionResponse":{"id":"c1","name":"f","response":{"r":[1, 2]}}}"#,
    ] {
        assert!(body.contains(kept), "{kept} in {body}");
    }
}

#[test]
fn a_call_comes_back_as_it_was_made_through_a_caller_of_another_dialect() {
    let answer = format!(
        r#"{{"candidates":[{{"content":{{"parts":[{{"functionCall":{{"id":"c-1","name":"f","args":{{"b": 9.90, "a":"é"}}}},
        "thoughtSignature":"{SIGNATURE}"}},{{"functionCall":{{"name":"g"}}}}]}},"finishReason":"STOP"}}]}}"#
    );
    let answer = Gemini.decode_answer(answer.as_bytes()).unwrap();
    let told = OpenAiChat.encode_answer(&answer, &setting(), &mut Dropped::default());
    let mut told: Value = serde_json::from_slice(&told).unwrap();
    let made = told["choices"][0]["message"]["tool_calls"][1]["id"].clone();
    let body = serde_json::json!({"messages": [
        {"role": "user", "content": "a"},
        told["choices"][0]["message"].take(),
        {"role": "tool", "tool_call_id": made, "content": "2"},
        {"role": "tool", "tool_call_id": "c-1", "content": "{\"x\": 1}"},
    ]});
    let (body, mut dropped) = (body.to_string(), Dropped::default());
    let request = OpenAiChat.decode_request(body.as_bytes(), UrlSays::default(), &mut dropped).unwrap();
    let asked = Gemini.encode_request(&request, "gemini-3-pro", &mut dropped).unwrap();
    assert!(dropped.is_empty());
    let expect = format!(
        r#"{{"role":"model","parts":[{{"functionCall":{{"id":"c-1","name":"f","args":{{"b": 9.90, "a":"é"}}}},"thoughtSignature":"{SIGNATURE}"}},{{"functionCall":{{"id":{made},"name":"g","args":{{}}}}}}]}},{{"role":"user","parts":[{{"functionResponse":{{"id":"c-1","name":"f","response":{{"x": 1}}}}}},{{"functionResponse":{{"id":{made},"name":"g","response":{{"result":"2"}}}}}}]}}"#
    );
    let asked = String::from_utf8(asked).unwrap();
    assert!(asked.contains(&expect), "{asked}");
}

#[test]
fn results_find_their_calls_by_id_then_by_name_and_order() {
    let (request, _) = read_request(
        r#"{"contents":[
        {"role":"user","parts":[{"text":"a"}]},
        {"role":"model","parts":[
            {"functionCall":{"name":"f"}}, {"functionCall":{"name":"f"}},
            {"functionCall":{"name":"g","id":"g1"}}, {"functionCall":{"name":"f","id":"f3"}}]},
        {"role":"user","parts":[
            {"functionResponse":{"name":"f","id":"f3","response":{"result":"3"}}},
            {"functionResponse":{"name":"g","response":{"result":"g"}}},
            {"functionResponse":{"name":"f","response":{"result":"1"}}},
            {"functionResponse":{"name":"f","response":{"result":"2"}}},
            {"functionResponse":{"name":"stray","response":{"result":"?"}}}]}]}"#,
    );
    let Part::ToolCall(first) = &request.turns[1].parts[0] else { panic!() };
    let Part::ToolCall(second) = &request.turns[1].parts[1] else { panic!() };
    assert_ne!(first.id, second.id);
    let ids: Vec<_> = request.turns[2]
        .parts
        .iter()
        .map(|part| match part {
            Part::ToolResult(result) => &*result.call_id,
            _ => panic!(),
        })
        .collect();
    assert_eq!(ids[..4], ["f3", "g1", &*first.id, &*second.id]);
    // An upstream is told of results in the order of their calls, and only of ids that were given.
    let (body, _) = write_request(&request, "m");
    let results = body["contents"][2]["parts"].as_array().unwrap();
    let told: Vec<_> = results.iter().map(|part| &part["functionResponse"]).collect();
    let ids: Vec<_> = told.iter().map(|told| told["id"].as_str()).collect();
    assert_eq!(ids, [None, None, Some("g1"), Some("f3"), None]);
    let texts: Vec<_> = told.iter().map(|told| told["response"]["result"].as_str().unwrap()).collect();
    assert_eq!(texts, ["1", "2", "g", "3", "?"]);
    // Newer models want all of them.
    let (body, _) = write_request(&request, "gemini-3.5-flash");
    assert_eq!(body["contents"][1]["parts"][0]["functionCall"]["id"], *first.id);
    assert_eq!(body["contents"][2]["parts"][0]["functionResponse"]["id"], *first.id);
}

#[test]
fn a_request_that_is_wrong_names_its_field() {
    let say = |part: &str| format!(r#"{{"contents":[{{"parts":[{{"text":"a"}},{part}]}}]}}"#);
    let with = |more: &str| format!(r#"{{"contents":[{{"parts":[{{"text":"a"}}]}}],{more}}}"#);
    for (body, param) in [
        ("{}".to_owned(), "contents"),
        (r#"{"contents":[]}"#.to_owned(), "contents"),
        (r#"{"contents":[{"role":"assistant","parts":[{"text":"a"}]}]}"#.to_owned(), "contents[0].role"),
        (say(r#"{"inlineData":{"mimeType":"video/mp4","data":"AA=="}}"#), "contents[0].parts[1]"),
        (say(r#"{"inlineData":{"data":"AA=="}}"#), "contents[0].parts[1]"),
        (say(r#"{"fileData":{"fileUri":"https://www.youtube.com/watch?v=x"}}"#), "contents[0].parts[1]"),
        (say(r#"{"functionCall":{"name":"f"}}"#), "contents[0].parts[1]"),
        (
            say(r#"{"functionResponse":{"name":"f","parts":[{"inlineData":{"mimeType":"audio/mp3"}}]}}"#),
            "contents[0].parts[1].functionResponse.parts[0]",
        ),
        (
            r#"{"contents":[{"role":"model","parts":[{"functionResponse":{"name":"f"}}]}]}"#.to_owned(),
            "contents[0].parts[0]",
        ),
        (
            r#"{"contents":[{"role":"model","parts":[{"functionCall":{}}]}]}"#.to_owned(),
            "contents[0].parts[0]",
        ),
        (
            with(r#""systemInstruction":{"parts":[{"inlineData":{"mimeType":"image/png","data":""}}]}"#),
            "systemInstruction.parts[0]",
        ),
        (with(r#""model":"models/other""#), "model"),
        (with(r#""cachedContent":"cachedContents/x""#), "cachedContent"),
        (with(r#""generationConfig":{"maxOutputTokens":-1}"#), "generationConfig.maxOutputTokens"),
        (
            with(r#""generationConfig":{"thinkingConfig":{"thinkingLevel":"vast"}}"#),
            "generationConfig.thinkingConfig.thinkingLevel",
        ),
        (
            with(r#""toolConfig":{"functionCallingConfig":{"mode":"SOME"}}"#),
            "toolConfig.functionCallingConfig.mode",
        ),
        (
            with(r#""tools":[{"functionDeclarations":[{"name":"f"},{}]}]"#),
            "tools[0].functionDeclarations[1].name",
        ),
    ] {
        assert_eq!(refused(&body).param.as_deref(), Some(param), "{body}");
    }
    for body in [
        "[]".to_owned(),
        r#"{"contents":"hi"}"#.to_owned(),
        say(r#"{"text":7}"#),
        with(r#""generationConfig":{"topK":1.5}"#),
        with(r#""generationConfig":{"seed":1e300}"#),
        with(r#""generationConfig":{"stopSequences":[1]}"#),
    ] {
        assert!(refused(&body).message.contains(" at line 1"), "{body}: {}", refused(&body));
    }
}

#[test]
fn every_mode_of_choice_passes_by_its_word() {
    for (mode, names, choice, written) in [
        ("AUTO", &[][..], ToolChoice::Auto, "AUTO"),
        ("none", &[], ToolChoice::None, "NONE"),
        ("ANY", &[], ToolChoice::Any, "ANY"),
        ("any", &["f"], ToolChoice::Named("f".to_owned()), "ANY"),
        ("ANY", &["f", "g"], allowed(true), "ANY"),
        ("VALIDATED", &["f", "g"], allowed(false), "VALIDATED"),
        ("AUTO", &["f", "g"], allowed(false), "VALIDATED"),
    ] {
        let config = serde_json::json!({"mode": mode, "allowedFunctionNames": names});
        let body = serde_json::json!({
            "contents": {"parts": {"text": "a"}},
            "tools": {"functionDeclarations": [{"name": "f"}, {"name": "g"}]},
            "toolConfig": {"functionCallingConfig": config},
        });
        let (request, _) = read_request(&body.to_string());
        assert_eq!(request.tool_choice, Some(choice));
        let (body, _) = write_request(&request, "m");
        let config = &body["toolConfig"]["functionCallingConfig"];
        assert_eq!(config["mode"], written);
        let told = config["allowedFunctionNames"].as_array().map_or(0, Vec::len);
        assert_eq!(told, names.len(), "{config}");
        // The vendor refuses a choice among no tools.
        let (body, _) = write_request(&ChatRequest { tools: Vec::new(), ..request }, "m");
        assert_eq!(body.get("toolConfig"), None);
    }
}

fn allowed(required: bool) -> ToolChoice {
    ToolChoice::Allowed { names: vec!["f".to_owned(), "g".to_owned()], required }
}

#[test]
fn null_is_as_good_as_nothing() {
    let names = [
        "systemInstruction",
        "tools",
        "toolConfig",
        "generationConfig",
        "cachedContent",
        "labels",
        "serviceTier",
        "store",
        "safetySettings",
    ];
    let mut body: serde_json::Map<_, _> =
        names.iter().map(|name| ((*name).to_owned(), Value::Null)).collect();
    let part = serde_json::json!({"text": "a", "thought": null, "functionCall": null, "videoMetadata": null});
    body.insert("contents".to_owned(), serde_json::json!([{"role": null, "parts": [part]}]));
    let (request, dropped) = read_request(&Value::Object(body).to_string());
    let expect = ChatRequest { model: "m".to_owned(), stream_usage: true, ..asked(vec![user("a")]) };
    assert_eq!((request, &*dropped), (expect, ""));
}

#[test]
fn the_url_names_the_model() {
    let body = br#"{"model":"models/m","contents":{"parts":{"text":"a"}}}"#;
    let mut dropped = Dropped::default();
    for (of_url, stream) in [(Some("m"), Some(true)), (Some("models/m"), None), (None, None)] {
        let url = UrlSays { model: of_url, stream };
        let request = Gemini.decode_request(body, url, &mut dropped).unwrap();
        assert_eq!((&*request.model, request.stream), (of_url.unwrap_or("m"), stream == Some(true)));
    }
    assert!(dropped.is_empty());
}

#[test]
fn bytes_in_the_urls_alphabet_are_made_standard() {
    let (request, _) = read_request(
        r#"{"contents":[{"parts":[{"inline_data":{"mime_type":"image/png","data":"_-8"}},
        {"inline_data":{"mime_type":"text/plain","data":"w6k"}}]}]}"#,
    );
    let Part::Image { source: Source::Data { base64, .. }, .. } = &request.turns[0].parts[0] else {
        panic!()
    };
    assert_eq!(base64, "/+8=");
    let Part::Document { source: Source::Text(text), .. } = &request.turns[0].parts[1] else { panic!() };
    assert_eq!(text, "é");
}

proptest! {
    #[test]
    fn no_body_makes_it_panic(body in ".{0,200}", json in "[\\[\\]{}\":,a0-9 ]{0,60}") {
        let url = UrlSays { model: Some("m"), stream: None };
        for body in [
            body.clone(),
            format!(r#"{{"contents":{body}}}"#),
            format!(r#"{{"contents":[{{"parts":{json}}}]}}"#),
            format!(r#"{{"contents":[{{"parts":[{{"functionResponse":{{"response":{json}}}}}]}}],"tools":{json}}}"#),
        ] {
            let _ = Gemini.decode_request(body.as_bytes(), url, &mut Dropped::default());
            let _ = Gemini.decode_answer(body.as_bytes());
            let _ = Gemini.decode_error(400, body.as_bytes());
            let _ = Gemini.decode_usage(body.as_bytes());
            let _ = read_stream(&body);
            let _ = read_stream(&format!("data: {body}\n\n"));
        }
    }
}
