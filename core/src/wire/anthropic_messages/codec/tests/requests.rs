//! Requests: what is read, refused and dropped, and the order that messages must have.

use super::*;
use crate::wire::chat::{
    CacheMark, Citation, Format, Raw, Sampling, Signature, Source, Thinking, Tool, ToolCall, ToolChoice,
    ToolResult,
};
use serde_json::json;

fn call(id: &str, arguments: &str) -> ToolCall {
    ToolCall {
        id: id.to_owned(),
        name: "f".to_owned(),
        arguments: arguments.to_owned(),
        ..ToolCall::default()
    }
}

fn result(id: &str, text: &str) -> Part {
    Part::ToolResult(ToolResult {
        call_id: id.to_owned(),
        parts: vec![Part::text(text)],
        ..ToolResult::default()
    })
}

fn tool(name: &str, parameters: Option<&str>) -> Tool {
    Tool {
        name: name.to_owned(),
        description: None,
        parameters: parameters.map(|text| Raw::from_text(text).unwrap()),
        strict: None,
        cache: None,
    }
}

#[test]
fn a_wrong_request_names_its_field() {
    let content = |block: Value| json!({ "messages": [{ "role": "user", "content": [block] }] });
    let nested = json!({ "type": "tool_result", "tool_use_id": "b" });
    for (body, param) in [
        (json!({ "tools": [{ "input_schema": {} }] }), "tools[0].name"),
        (json!({ "tool_choice": { "type": "maybe" } }), "tool_choice.type"),
        (json!({ "tool_choice": { "type": "tool" } }), "tool_choice.name"),
        (json!({ "output_config": { "format": { "type": "json_schema" } } }), "output_config.format.schema"),
        (json!({ "messages": [{ "role": "robot", "content": "x" }] }), "messages[0].role"),
        (json!({ "messages": [{ "content": "x" }] }), "messages[0].role"),
        (json!({ "messages": [{ "role": "user" }] }), "messages[0].content"),
        (json!({ "messages": [{ "role": "user", "content": null }] }), "messages[0].content"),
        (json!({ "messages": [{ "role": "user", "content": { "type": "text" } }] }), "messages[0].content"),
        (content(json!({ "type": "text" })), "messages[0].content[0].text"),
        (content(json!({ "text": "x" })), "messages[0].content[0].type"),
        (content(json!({ "type": "container_upload", "file_id": "f" })), "messages[0].content[0].type"),
        (
            content(json!({ "type": "image", "source": { "type": "ftp" } })),
            "messages[0].content[0].source.type",
        ),
        (
            content(json!({ "type": "image", "source": "https://example.org" })),
            "messages[0].content[0].source",
        ),
        (content(json!({ "type": "tool_result", "content": "x" })), "messages[0].content[0].tool_use_id"),
        (
            content(json!({ "type": "tool_result", "tool_use_id": "a", "content": [nested.clone()] })),
            "messages[0].content[0].content",
        ),
        (content(json!({ "type": "tool_use", "id": "a", "name": "f", "input": {} })), "messages[0].content"),
        (content(json!({ "type": "thinking", "thinking": "", "signature": "s" })), "messages[0].content"),
        (
            json!({ "messages": [{ "role": "assistant", "content": [nested.clone()] }] }),
            "messages[0].content",
        ),
        (
            json!({ "messages": [{ "role": "system", "content": [
                { "type": "image", "source": { "type": "url", "url": "u" } },
            ] }] }),
            "messages[0].content",
        ),
    ] {
        let error = refused(&body.to_string());
        assert_eq!(error.param.as_deref(), Some(param), "{body}: {error}");
    }
    for body in [
        "",
        "null",
        "7",
        "{",
        "\"x\"",
        r#"{"model":7}"#,
        r#"{"max_tokens":-1}"#,
        r#"{"messages":{}}"#,
        r#"{"messages":[{"role":"user","content":7}]}"#,
        r#"{"stop_sequences":"END"}"#,
    ] {
        assert!(refused(body).message.contains(" at line "), "{body}");
    }
}

#[test]
fn what_is_too_deep_is_refused() {
    let deep = format!(r#"{{"messages":[{{"role":"user","content":{}"x""#, r#"[{"content":"#.repeat(1_000));
    assert!(refused(&deep).message.contains("recursion limit"));
}

#[test]
fn nulls_are_as_if_not_said() {
    let (request, dropped) = decoded(
        r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"x","cache_control":null,"citations":null}]}],
            "system":null,"max_tokens":null,"tools":null,"tool_choice":null,"thinking":null,"output_config":null,
            "output_format":null,"temperature":null,"top_p":null,"top_k":null,"stop_sequences":null,"stream":null,
            "metadata":null,"service_tier":null,"cache_control":null}"#,
    );
    assert_eq!(request, ChatRequest { model: "m".to_owned(), ..said(vec![user("x")]) });
    assert_eq!(dropped, "");
}

#[test]
fn what_the_neutral_form_has_not_is_named() {
    let (_, dropped) = decoded(
        r#"{"model":"m","speed":"fast","mcp_servers":[],"cache_control":{"type":"ephemeral"},
            "tools":[{"type":"web_search_20260318","name":"web_search"},{"type":"memory_20250818","name":"memory"},
                     {"type":"computer","name":"c"},{"name":"f","input_examples":[{}]}],
            "thinking":{"type":"new"},"output_config":{"effort":"huge","format":{"type":"grammar"}},
            "metadata":{"user_id":"u","team":"a"},
            "messages":[{"role":"user","name":"x","content":[{"type":"image","source":{"type":"url","url":"u"},"transformations":{}}]},
                        {"role":"assistant","content":[
                            {"type":"compaction","content":"so far"},{"type":"fallback"},
                            {"type":"tool_use","id":"a","name":"f","input":{},"caller":{"type":"code_execution_20250825","tool_id":"t"}}]},
                        {"role":"user","content":[]}]}"#,
    );
    assert_eq!(
        dropped,
        "caller,compaction,effort,fallback,input_examples,mcp_servers,metadata,name,response_format,speed,\
         thinking,tools.computer,tools.memory,tools.web_search,transformations"
    );
}

#[test]
fn results_come_apart_from_what_the_user_says() {
    let (request, _) = decoded(
        r#"{"model":"m","messages":[
            {"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","input":{}}]},
            {"role":"assistant","content":[{"type":"tool_use","id":"b","name":"f","input":{}}]},
            {"role":"user","content":[{"type":"text","text":"first"},{"type":"tool_result","tool_use_id":"a","content":"1"}]},
            {"role":"user","content":[{"type":"tool_result","tool_use_id":"b","content":"2"}]}]}"#,
    );
    let roles: Vec<_> = request.turns.iter().map(|turn| (turn.role, turn.parts.len())).collect();
    assert_eq!(roles, [(Role::Assistant, 2), (Role::Tool, 1), (Role::User, 1), (Role::Tool, 1)]);
    let (body, _) = asked_of("m", &request);
    let content = &body["messages"][1]["content"];
    assert_eq!(body["messages"].as_array().unwrap().len(), 2);
    let kinds: Vec<_> =
        content.as_array().unwrap().iter().map(|block| block["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["tool_result", "tool_result", "text"]);
}

#[test]
fn messages_alternate_and_say_something() {
    let request = said(vec![
        Turn::new(Role::Developer, vec![Part::text("one"), Part::text("")]),
        user("a"),
        user("b"),
        assistant(vec![Part::text("")]),
        user("c"),
        Turn::new(Role::System, vec![Part::text("two")]),
        assistant(vec![Part::text("d"), Part::text(" e \n")]),
    ]);
    let (body, dropped) = asked_of("m", &request);
    assert_eq!(body["system"], json!([{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]));
    assert_eq!(
        body["messages"],
        json!([
            {"role": "user", "content": [
                {"type": "text", "text": "a"}, {"type": "text", "text": "b"}, {"type": "text", "text": "c"}
            ]},
            {"role": "assistant", "content": [{"type": "text", "text": "d"}, {"type": "text", "text": " e"}]},
        ])
    );
    assert_eq!((body["max_tokens"].as_u64(), &*dropped), (Some(8192), "system_position"));
}

#[test]
fn instructions_alone_are_what_is_said() {
    let (body, dropped) = asked_of("m", &said(vec![Turn::new(Role::System, vec![Part::text("Say hi.")])]));
    assert_eq!(body["messages"], json!([{"role": "user", "content": "Say hi."}]));
    assert!(body.get("system").is_none());
    assert_eq!(dropped, "system_position");
}

#[test]
fn what_the_dialect_has_no_word_for_is_named() {
    let text = |text: &str| Some(text.to_owned());
    let citation = Citation { url: text("u"), title: None, quote: None, start: None, end: None };
    let foreign = Some(Signature { dialect: Dialect::Gemini, data: "s".to_owned() });
    let number = |text: &str| serde_json::from_str(text).unwrap();
    let mut request = said(vec![
        Turn { name: text("ada"), ..user("x") },
        assistant(vec![
            Part::Thinking(Thinking {
                text: "t".to_owned(),
                signature: foreign.clone(),
                ..Thinking::default()
            }),
            Part::Text { text: "y".to_owned(), citations: vec![citation], signature: foreign, cache: None },
            Part::Image {
                source: Source::Url { url: "u".to_owned(), media_type: None },
                detail: None,
                cache: None,
            },
        ]),
        Turn::new(
            Role::User,
            vec![Part::Image {
                source: Source::Url { url: "u".to_owned(), media_type: None },
                detail: text("high"),
                cache: None,
            }],
        ),
    ]);
    request.sampling = Sampling {
        temperature: Some(number("1.7")),
        presence_penalty: Some(number("1")),
        frequency_penalty: Some(number("1")),
        seed: Some(7),
        choices: Some(2),
        logprobs: Some(0),
        logit_bias: Raw::from_text("{}"),
        ..Sampling::default()
    };
    request.stop = vec![" \n".to_owned(), "END".to_owned()];
    request.format = Some(Format::Json);
    request.tool_choice = Some(ToolChoice::Any);
    request.metadata.insert("team".to_owned(), "a".to_owned());
    request.cache_key = text("k");
    request.store = Some(false);
    request.service_tier = text("flex");
    request.modalities = vec!["text".to_owned(), "audio".to_owned()];
    let (body, dropped) = asked_of("m", &request);
    assert_eq!(
        dropped,
        "citations,frequency_penalty,image,image_detail,logit_bias,logprobs,metadata,modalities,n,name,\
         presence_penalty,prompt_cache_key,reasoning,response_format,seed,service_tier,signature,stop,store,\
         temperature,tool_choice"
    );
    assert_eq!(body["stop_sequences"], json!(["END"]));
    assert_eq!(body["messages"][1], json!({"role": "assistant", "content": "y"}));
}

#[test]
fn what_cannot_be_carried_is_refused_by_its_name() {
    let of = |part: Part| said(vec![Turn::new(Role::User, vec![part])]);
    let data =
        |media_type: &str| Source::Data { media_type: media_type.to_owned(), base64: "/w==".to_owned() };
    let foreign = Source::File { dialect: Dialect::OpenAiResponses, id: "file_1".to_owned() };
    let document = |source| Part::Document { source, name: None, citations: false, cache: None };
    let image = |source| Part::Image { source, detail: None, cache: None };
    for (part, param, word) in [
        (Part::Audio { source: data("audio/wav"), cache: None }, "audio", "audio clip"),
        (document(foreign.clone()), "document", "another vendor"),
        (image(foreign), "image", "another vendor"),
        (document(data("text/plain")), "document", "UTF-8"),
        (image(Source::Text("x".to_owned())), "image", "text"),
    ] {
        let error = AnthropicMessages.encode_request(&of(part), "m", &mut Dropped::default()).unwrap_err();
        assert_eq!(error.param.as_deref(), Some(param));
        assert!(error.message.contains(word), "{error}");
    }
    let text = Source::Data { media_type: "text/markdown".to_owned(), base64: "IyBIaQ==".to_owned() };
    let (body, _) = asked_of("m", &of(document(text)));
    let source = &body["messages"][0]["content"][0]["source"];
    assert_eq!(*source, json!({"type": "text", "media_type": "text/plain", "data": "# Hi"}));
}

#[test]
fn arguments_are_an_object_or_nothing() {
    let with = |arguments: &str| {
        said(vec![
            user("x"),
            assistant(vec![Part::ToolCall(call("a", arguments))]),
            Turn::new(Role::Tool, vec![result("a", "1")]),
        ])
    };
    for (arguments, input) in
        [("", "{}"), (" \n", "{}"), (r#" {"b":1, "a":1.0e5} "#, r#"{"b":1, "a":1.0e5}"#)]
    {
        let body = AnthropicMessages.encode_request(&with(arguments), "m", &mut Dropped::default()).unwrap();
        let body = String::from_utf8(body).unwrap();
        assert!(body.contains(&format!(r#""name":"f","input":{input}}}"#)), "{body}");
    }
    for arguments in ["{", "[1]", "7", "null", "\"{}\"", "{} {}", "{'a':1}"] {
        let (body, dropped) = asked_of("m", &with(arguments));
        assert_eq!(body["messages"][1]["content"][0]["input"], json!({ "arguments": arguments }));
        assert_eq!(dropped, "arguments");
    }
}

#[test]
fn tools_are_chosen_as_the_dialect_can_say_it() {
    let mut request = said(vec![user("x")]);
    request.tools = vec![tool("a", None), tool("b", Some("{}")), tool("c", Some(r#"{ "properties":{}}"#))];
    let schemas: Vec<_> = {
        let (body, _) = asked_of("m", &request);
        let tools = body["tools"].as_array().unwrap().clone();
        tools.into_iter().map(|mut tool| tool["input_schema"].take()).collect()
    };
    assert!(schemas.iter().all(|schema| *schema == json!({"type": "object", "properties": {}})));
    let allowed = |required| ToolChoice::Allowed { names: vec!["b".to_owned(), "z".to_owned()], required };
    for (choice, parallel, expected, tools) in [
        (None, None, json!(null), 3),
        (None, Some(true), json!(null), 3),
        (None, Some(false), json!({"type": "auto", "disable_parallel_tool_use": true}), 3),
        (Some(ToolChoice::None), Some(false), json!({"type": "none"}), 3),
        (Some(ToolChoice::Any), Some(false), json!({"type": "any", "disable_parallel_tool_use": true}), 3),
        (Some(ToolChoice::Named("b".to_owned())), None, json!({"type": "tool", "name": "b"}), 3),
        (Some(allowed(true)), None, json!({"type": "any"}), 1),
        (Some(allowed(false)), None, json!({"type": "auto"}), 1),
    ] {
        (request.tool_choice, request.parallel_tools) = (choice, parallel);
        let (body, dropped) = asked_of("m", &request);
        assert_eq!(body.get("tool_choice").cloned().unwrap_or_default(), expected);
        assert_eq!(body["tools"].as_array().unwrap().len(), tools);
        assert_eq!(dropped, "");
    }
}

#[test]
fn a_model_that_cannot_be_made_to_call_a_tool_is_asked_to_choose() {
    let mut request = said(vec![user("x")]);
    (request.tools, request.tool_choice) = (vec![tool("a", None)], Some(ToolChoice::Any));
    for (model, choice) in [
        ("claude-opus-5", "any"),
        ("claude-opus-5-5", "auto"),
        ("claude-sonnet-5-5", "auto"),
        ("claude-haiku-5-5", "any"),
        ("claude-fable-5-1", "auto"),
        ("claude-fable-5", "any"),
        ("other-model", "any"),
    ] {
        let (body, dropped) = asked_of(model, &request);
        assert_eq!(body["tool_choice"]["type"], choice, "{model}");
        assert_eq!(dropped.contains("tool_choice"), choice == "auto", "{model}");
    }
}

#[test]
fn cache_marks_stay_where_they_are() {
    let body = include_str!("../../../../../../tests/fixtures/chat/anthropic_messages/request_cache.json");
    let (request, dropped) = decoded(body);
    assert_eq!(dropped, "");
    // The request's own mark is on its last block.
    let Some(Part::Text { cache, .. }) = request.turns.last().and_then(|turn| turn.parts.last()) else {
        panic!("{:?}", request.turns)
    };
    assert_eq!(*cache, Some(CacheMark::FiveMinutes));
    let (written, dropped) = asked_of("m", &request);
    assert_eq!(dropped, "");
    let count = |text: &str| written.to_string().matches(text).count();
    assert_eq!((count(r#""cache_control""#), count(r#""ttl":"1h""#)), (4, 2));
    let (again, _) = decoded(&written.to_string());
    assert_eq!(again.turns, request.turns);
    assert_eq!(again.tools[0].cache, Some(CacheMark::OneHour));
}
