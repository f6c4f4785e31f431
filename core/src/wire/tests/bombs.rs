//! Content that is to break whoever reads it: depth, cycles, size.

use super::*;
use crate::wire::{
    chat::{ChatRequest, Raw, Role, Tool, ToolCall, Turn},
    codec::codec,
    json::MAX_DEPTH,
};

fn deep(levels: usize) -> String {
    format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels))
}

fn call(arguments: String) -> ToolCall {
    ToolCall { id: "c".to_owned(), name: "f".to_owned(), arguments, ..ToolCall::default() }
}

/// How deep JSON is.
fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0_usize, 0, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => depth += 1,
            b'}' | b']' if !quoted => depth -= 1,
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

#[test]
fn arguments_of_bottomless_depth_stay_text_and_no_reader_is_sent_their_depth() {
    for levels in [MAX_DEPTH as usize + 1, 100_000] {
        let choice = Choice { parts: vec![Part::ToolCall(call(deep(levels)))], ..Choice::default() };
        let answer = ChatAnswer { choices: vec![choice], ..ChatAnswer::default() };
        let turns = vec![
            Turn::new(Role::User, vec![Part::text("x")]),
            Turn::new(Role::Assistant, vec![Part::ToolCall(call(deep(levels)))]),
            Turn::new(Role::User, vec![Part::text("y")]),
        ];
        let request = ChatRequest { turns, ..ChatRequest::default() };
        for codec in CODECS {
            let asked = codec.encode_request(&request, "m", &mut Dropped::default()).unwrap();
            let said = codec.encode_answer(&answer, &setting(), &mut Dropped::default());
            for body in [asked, said, write(codec, &answer.events())] {
                assert!(depth(&body) <= MAX_DEPTH as usize, "{}", codec.dialect().as_str());
            }
        }
    }
}

#[test]
fn a_schema_that_refers_to_itself_passes_as_it_is() {
    let schema = r##"{"type":"object","properties":{"next":{"$ref":"#/$defs/a"}},"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}}}"##;
    let tool = Tool {
        name: "f".to_owned(),
        description: None,
        parameters: Raw::from_text(schema),
        strict: None,
        cache: None,
    };
    let turns = vec![Turn::new(Role::User, vec![Part::text("x")])];
    let request = ChatRequest { turns, tools: vec![tool], ..ChatRequest::default() };
    for codec in CODECS {
        let asked = text(codec.encode_request(&request, "m", &mut Dropped::default()).unwrap());
        assert!(asked.contains(schema), "{asked}");
        let url = UrlSays { model: Some("m"), stream: None };
        let again = codec.decode_request(asked.as_bytes(), url, &mut Dropped::default()).unwrap();
        assert_eq!(again.tools[0].parameters.as_ref().unwrap().as_str(), schema);
    }
    // In Gemini's own form, which is made JSON Schema.
    let own = r##"{"contents":[{"parts":[{"text":"x"}]}],"tools":[{"functionDeclarations":[{"name":"f","parameters":{"type":"OBJECT","properties":{"next":{"ref":"#/a"}},"defs":{"a":{"ref":"#/a"}}}}]}]}"##;
    let url = UrlSays { model: Some("m"), stream: None };
    let read = CODECS[3].decode_request(own.as_bytes(), url, &mut Dropped::default()).unwrap();
    assert!(read.tools[0].parameters.as_ref().unwrap().as_str().len() < own.len());
}

#[test]
fn media_that_lead_nowhere_are_refused_where_they_are_read() {
    let chat = |part: &str| format!(r#"{{"model":"m","messages":[{{"role":"user","content":[{part}]}}]}}"#);
    let responses = |part: &str| format!(r#"{{"model":"m","input":[{{"role":"user","content":[{part}]}}]}}"#);
    let messages = |part: &str| {
        format!(r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":[{part}]}}]}}"#)
    };
    let gemini = |part: &str| format!(r#"{{"contents":[{{"role":"user","parts":[{part}]}}]}}"#);
    let sound = |kind: &str, format: &str| {
        format!(r#"{{"type":"{kind}","input_audio":{{"data":"AA==","format":"{format}"}}}}"#)
    };
    for (dialect, body) in [
        (Dialect::OpenAiChat, chat(r#"{"type":"image_url","image_url":{"uol":"https://x"}}"#)),
        (Dialect::OpenAiChat, chat(&sound("input_audio", "w,v"))),
        (Dialect::OpenAiResponses, responses(r#"{"type":"input_image","image_url":""}"#)),
        (Dialect::OpenAiResponses, responses(r#"{"type":"input_file","file_url":""}"#)),
        (Dialect::OpenAiResponses, responses(&sound("input_audio", "w,v"))),
        (Dialect::AnthropicMessages, messages(r#"{"type":"image","source":{"type":"url","url":""}}"#)),
        (
            Dialect::AnthropicMessages,
            messages(r#"{"type":"image","source":{"type":"base64","media_type":"a,b/c","data":"AA=="}}"#),
        ),
        (Dialect::Gemini, gemini(r#"{"inlineData":{"mimeType":"a,b/c","data":"AA=="}}"#)),
        (Dialect::Gemini, gemini(r#"{"fileData":{"fileUri":""}}"#)),
    ] {
        let codec = codec(dialect).unwrap();
        let url = UrlSays { model: Some("m"), stream: Some(false) };
        let read = codec.decode_request(body.as_bytes(), url, &mut Dropped::default());
        assert!(read.is_err(), "{body}");
    }
    let good = chat(&sound("input_audio", "wav"));
    let url = UrlSays::default();
    codec(Dialect::OpenAiChat)
        .unwrap()
        .decode_request(good.as_bytes(), url, &mut Dropped::default())
        .unwrap();
}
