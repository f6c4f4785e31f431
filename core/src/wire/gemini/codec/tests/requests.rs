//! Requests, both ways.

use super::*;
use crate::wire::{
    chat::{CacheMark, Format, Raw, Sampling, Source, Thinking, Tool, ToolCall, ToolChoice, ToolResult},
    openai_chat::OpenAiChat,
};
use proptest::prelude::*;

fn call(id: &str, name: &str, signature: Option<Signature>) -> Part {
    let arguments = "{}".to_owned();
    Part::ToolCall(ToolCall { id: id.to_owned(), name: name.to_owned(), arguments, signature, cache: None })
}

fn result(id: &str, text: &str) -> Part {
    let parts = vec![Part::text(text)];
    Part::ToolResult(ToolResult { call_id: id.to_owned(), parts, ..ToolResult::default() })
}

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
fn an_image_is_asked_for_as_a_caller_of_another_dialect_says() {
    let body = r#"{"messages":[{"role":"user","content":"A fox."}],"modalities":["text","image"],
        "aspect_ratio":"16:9","image_size":"2K","max_tokens":9}"#;
    let mut dropped = Dropped::default();
    let request = OpenAiChat.decode_request(body.as_bytes(), UrlSays::default(), &mut dropped).unwrap();
    let (body, dropped) = write_request(&request, "gemini-3-pro-image");
    let expect = serde_json::json!({
        "maxOutputTokens": 9,
        "responseModalities": ["TEXT", "IMAGE"],
        "imageConfig": {"aspectRatio": "16:9", "imageSize": "2K"},
    });
    assert_eq!((&body["generationConfig"], &*dropped), (&expect, ""));
}

#[test]
fn a_call_of_another_model_is_excused_where_the_vendor_asks_for_signatures() {
    let foreign = Some(Signature { dialect: Dialect::OpenAiResponses, data: "enc".to_owned() });
    let request = asked(vec![
        user("before"),
        Turn::new(Role::Assistant, vec![call("o1", "f", None)]),
        Turn::new(Role::Tool, vec![result("o1", "x")]),
        user("now"),
        Turn::new(Role::Assistant, vec![call("c1", "f", foreign), call("c2", "g", None)]),
        Turn::new(Role::Tool, vec![result("c1", "x"), result("c2", "y")]),
        Turn::new(Role::Assistant, vec![call("c3", "f", own(SIGNATURE))]),
        Turn::new(Role::Tool, vec![result("c3", "z")]),
    ]);
    let (body, dropped) = write_request(&request, "gemini-3-flash-preview");
    assert_eq!(dropped, "signature");
    let signature =
        |content: usize, part: usize| body["contents"][content]["parts"][part]["thoughtSignature"].clone();
    assert_eq!(signature(1, 0), Value::Null);
    assert_eq!(signature(4, 0), "skip_thought_signature_validator");
    assert_eq!(signature(4, 1), Value::Null);
    assert_eq!(signature(6, 0), SIGNATURE);
    for model in ["gemini-2.5-pro", "tuned-model"] {
        let (body, _) = write_request(&request, model);
        assert!(!body.to_string().contains("skip_thought"), "{model}");
    }
}

#[test]
fn thoughts_of_others_go_without_their_signature() {
    let thinking = |text: &str, dialect| {
        let signature = Some(Signature { dialect, data: "s".to_owned() });
        Part::Thinking(Thinking { text: text.to_owned(), signature, ..Thinking::default() })
    };
    let parts = vec![
        thinking("hm", Dialect::AnthropicMessages),
        thinking("", Dialect::AnthropicMessages),
        thinking("", Dialect::Gemini),
        Part::text("b"),
    ];
    let request = asked(vec![user("a"), Turn::new(Role::Assistant, parts), user("c")]);
    let (body, dropped) = write_request(&request, "m");
    assert_eq!(dropped, "reasoning,signature");
    let expect = serde_json::json!([
        {"text": "hm", "thought": true},
        {"text": "", "thought": true, "thoughtSignature": "s"},
        {"text": "b"},
    ]);
    assert_eq!(body["contents"][1]["parts"], expect);
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
fn instructions_go_in_front_and_alone_are_what_is_asked() {
    let system = |text: &str| Turn::new(Role::System, vec![Part::text(text)]);
    let (body, dropped) = write_request(&asked(vec![system("a"), user("b"), system("c")]), "m");
    assert_eq!(dropped, "system_position");
    assert_eq!(body["systemInstruction"]["parts"], serde_json::json!([{"text": "a"}, {"text": "c"}]));
    assert_eq!(body["contents"].as_array().unwrap().len(), 1);
    let (body, dropped) = write_request(&asked(vec![system("a"), system("b")]), "m");
    assert_eq!(dropped, "system_position");
    assert_eq!(body["systemInstruction"]["parts"], serde_json::json!([{"text": "a"}]));
    assert_eq!(body["contents"], serde_json::json!([{"role": "user", "parts": [{"text": "b"}]}]));
    assert!(Gemini.encode_request(&asked(vec![]), "m", &mut Dropped::default()).is_err());
    assert!(Gemini.encode_request(&asked(vec![user("")]), "m", &mut Dropped::default()).is_err());
}

#[test]
fn what_the_dialect_cannot_say_is_named() {
    let cache = Some(CacheMark::OneHour);
    let source = || Source::Data { media_type: "image/png".to_owned(), base64: "AA==".to_owned() };
    let request = ChatRequest {
        turns: vec![Turn {
            role: Role::User,
            parts: vec![
                Part::Image { source: source(), detail: Some("high".to_owned()), cache },
                Part::Document { source: source(), name: Some("n".to_owned()), citations: true, cache: None },
            ],
            name: Some("ann".to_owned()),
        }],
        tools: vec![Tool {
            name: "f".to_owned(),
            description: None,
            parameters: Raw::from_text(r##"{"$ref": "#/$defs/x"}"##),
            strict: Some(true),
            cache,
        }],
        tool_choice: Some(ToolChoice::Allowed { names: vec!["f".to_owned()], required: false }),
        parallel_tools: Some(false),
        sampling: Sampling {
            seed: Some(1 << 40),
            logprobs: Some(2),
            logit_bias: Raw::from_text("{}"),
            ..Sampling::default()
        },
        format: Some(Format::Schema {
            name: Some("n".to_owned()),
            description: Some("d".to_owned()),
            schema: Raw::from_text("{}").unwrap(),
            strict: Some(true),
        }),
        user: Some("u".to_owned()),
        metadata: [("k".to_owned(), "v".to_owned())].into(),
        service_tier: Some("scale".to_owned()),
        cache_key: Some("k".to_owned()),
        store: Some(false),
        modalities: vec!["text".to_owned(), "smell".to_owned()],
        ..ChatRequest::default()
    };
    let (body, dropped) = write_request(&request, "m");
    assert_eq!(
        dropped,
        "cache_control,citations,image_detail,logit_bias,logprobs,metadata,modalities,name,\
         parallel_tool_calls,prompt_cache_key,response_format.description,seed,service_tier,store,\
         strict,user"
    );
    assert_eq!(body["toolConfig"]["functionCallingConfig"]["mode"], "VALIDATED");
    assert_eq!(body["tools"][0]["functionDeclarations"][0]["parametersJsonSchema"]["$ref"], "#/$defs/x");
    assert_eq!(body["generationConfig"]["responseMimeType"], "application/json");
}

#[test]
fn what_would_change_the_question_is_refused() {
    for part in [
        Part::Image { source: stored(Dialect::OpenAiResponses), detail: None, cache: None },
        Part::Audio { source: stored(Dialect::OpenAiChat), cache: None },
        Part::Document {
            source: stored(Dialect::AnthropicMessages),
            name: None,
            citations: false,
            cache: None,
        },
        result("never-called", "x"),
    ] {
        let role = if matches!(part, Part::ToolResult(_)) { Role::Tool } else { Role::User };
        let request = asked(vec![user("a"), Turn::new(role, vec![part])]);
        assert!(Gemini.encode_request(&request, "m", &mut Dropped::default()).is_err(), "{request:?}");
    }
    let own = Part::Image { source: stored(Dialect::Gemini), detail: None, cache: None };
    let (body, _) = write_request(&asked(vec![Turn::new(Role::User, vec![own])]), "m");
    assert_eq!(body["contents"][0]["parts"][0]["fileData"]["fileUri"], "file-1");
}

fn stored(dialect: Dialect) -> Source {
    Source::File { dialect, id: "file-1".to_owned() }
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
