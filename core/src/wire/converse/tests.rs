//! What is asked of `Converse`, over the fixtures of every dialect, and what it says, from binary streams.

use super::*;
use crate::{
    domain::usage::Usage,
    provider::bedrock::Unframer,
    wire::{
        Dialect, Tongue,
        chat::{
            ChatEvent, ChatRequest, Dropped, ErrorKind, Finish, Fold, Format, Part, Reasoning, Role, Turn,
        },
        codec::{CODECS, Codec, UpstreamCodec, UrlSays},
        openai_chat::OpenAiChat,
        tests::fixtures,
    },
};
use serde_json::{Value, json};
use std::{fs, path::PathBuf};

const CLAUDE: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
const NOVA: &str = "amazon.nova-pro-v1:0";

fn asked(request: &ChatRequest, model: &str) -> (Value, String) {
    let mut dropped = Dropped::default();
    let body = Converse.encode_request(request, model, &mut dropped).unwrap();
    (serde_json::from_slice(&body).unwrap(), dropped.header())
}

fn chat(body: &Value) -> ChatRequest {
    let body = body.to_string();
    OpenAiChat.decode_request(body.as_bytes(), UrlSays::default(), &mut Dropped::default()).unwrap()
}

fn own(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/chat/converse").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_request_of_every_dialect_is_well_built_or_refused() {
    let (mut asked, mut refused) = (0, 0);
    for from in CODECS {
        for (name, body) in fixtures(from.dialect(), "request_") {
            let url = UrlSays { model: Some("a-model"), stream: Some(false) };
            let request = from.decode_request(&body, url, &mut Dropped::default()).unwrap();
            for model in [CLAUDE, NOVA, "openai.gpt-oss-120b-1:0", "meta.llama3-3-70b-instruct-v1:0"] {
                match Converse.encode_request(&request, model, &mut Dropped::default()) {
                    Ok(body) => {
                        expect_well_built(&serde_json::from_slice(&body).unwrap(), &name);
                        asked += 1;
                    }
                    Err(error) => {
                        let media = ["image", "document", "audio"];
                        assert!(media.contains(&error.param.as_deref().unwrap_or("")), "{name}: {error}");
                        refused += 1;
                    }
                }
            }
        }
    }
    assert!(asked > 100 && refused > 10, "{asked} asked, {refused} refused");
}

/// The service's own rules, as it tells them when they are broken.
fn expect_well_built(body: &Value, name: &str) {
    let messages = body["messages"].as_array().unwrap();
    let roles: Vec<_> = messages.iter().map(|message| message["role"].as_str().unwrap()).collect();
    assert_eq!(roles.first(), Some(&"user"), "{name}");
    assert!(roles.windows(2).all(|pair| pair[0] != pair[1]), "{name}: {roles:?}");
    let blocks: Vec<_> = messages.iter().flat_map(|message| message["content"].as_array().unwrap()).collect();
    for block in &blocks {
        assert_eq!(block.as_object().unwrap().len(), 1, "{name}: {block}");
        assert!(block["text"].as_str().is_none_or(|text| !text.trim().is_empty()), "{name}");
    }
    assert!(messages.iter().all(|message| message["content"] != json!([])), "{name}");
    let has_calls =
        blocks.iter().any(|block| block["toolUse"].is_object() || block["toolResult"].is_object());
    let tools = body["toolConfig"]["tools"].as_array();
    assert!(!has_calls || tools.is_some_and(|tools| !tools.is_empty()), "{name}: {body}");
    for tool in tools.into_iter().flatten().filter(|tool| tool["toolSpec"].is_object()) {
        assert_eq!(tool["toolSpec"]["inputSchema"]["json"]["type"], "object", "{name}");
    }
    assert!(body.get("model").is_none() && body.get("stream").is_none(), "{name}");
}

#[test]
fn a_conversation_is_asked_in_its_words() {
    let request = chat(&json!({
        "model": "m", "max_tokens": 300, "temperature": 0.5, "stop": ["END"], "service_tier": "flex", "user": "u-1",
        "messages": [
            { "role": "system", "content": "Be brief." },
            { "role": "user", "content": [
                { "type": "text", "text": "What is it?" },
                { "type": "image_url", "image_url": { "url": "data:image/png;base64,iVBORw0KGgo=" } },
                { "type": "file", "file": { "filename": "报告 Q3.pdf", "file_data": "data:application/pdf;base64,JVBERg==" } },
            ] },
            { "role": "assistant", "content": null, "tool_calls": [
                { "id": "c1", "type": "function", "function": { "name": "look", "arguments": "{\"at\": 1.0}" } } ] },
            { "role": "tool", "tool_call_id": "c1", "content": "a snake" },
        ],
        "tools": [{ "type": "function", "function": { "name": "look", "parameters": { "type": "object", "properties": {} } } }],
        "tool_choice": "required",
    }));
    let (body, dropped) = asked(&request, CLAUDE);
    assert_eq!(
        body,
        json!({
            "messages": [
                { "role": "user", "content": [
                    { "text": "What is it?" },
                    { "image": { "format": "png", "source": { "bytes": "iVBORw0KGgo=" } } },
                    { "document": { "format": "pdf", "name": "Q3 pdf", "source": { "bytes": "JVBERg==" } } },
                ] },
                { "role": "assistant", "content": [
                    { "toolUse": { "toolUseId": "c1", "name": "look", "input": { "at": 1.0 } } } ] },
                { "role": "user", "content": [
                    { "toolResult": { "toolUseId": "c1", "content": [{ "text": "a snake" }] } } ] },
            ],
            "system": [{ "text": "Be brief." }],
            "inferenceConfig": { "maxTokens": 300, "temperature": 0.5, "stopSequences": ["END"] },
            "toolConfig": {
                "tools": [{ "toolSpec": { "name": "look", "inputSchema": { "json": { "type": "object", "properties": {} } } } }],
                "toolChoice": { "any": {} },
            },
            "additionalModelResponseFieldPaths": ["/stop_sequence"],
            "serviceTier": { "type": "flex" },
        })
    );
    assert_eq!(dropped, "user");
}

#[test]
fn how_much_is_thought_is_said_in_each_vendors_words() {
    let mut request = chat(&json!({ "model": "m", "messages": [{ "role": "user", "content": "x" }] }));
    request.reasoning = Reasoning { budget: Some(2000), ..Reasoning::default() };
    request.max_tokens = Some(4000);
    request.sampling.top_k = Some(5);
    let (body, dropped) = asked(&request, CLAUDE);
    let thinking = json!({ "thinking": { "type": "enabled", "budget_tokens": 2000 } });
    assert_eq!((&body["additionalModelRequestFields"], &*dropped), (&thinking, "top_k"));
    let (body, dropped) = asked(&request, "openai.gpt-oss-120b-1:0");
    let effort = json!({ "reasoning_effort": "low" });
    assert_eq!((&body["additionalModelRequestFields"], &*dropped), (&effort, "top_k"));
    let (body, _) = asked(&request, NOVA);
    let config = json!({ "reasoningConfig": { "type": "enabled", "maxReasoningEffort": "low" } });
    assert_eq!(body["additionalModelRequestFields"], config);
    let (body, dropped) = asked(&request, "mistral.mistral-large-2407-v1:0");
    assert_eq!(body.get("additionalModelRequestFields"), None);
    assert_eq!(dropped, "reasoning,top_k");
    // Only of Claude is it known that it takes as many tokens as we would say.
    request.max_tokens = None;
    assert_eq!(asked(&request, NOVA).0["inferenceConfig"], json!({}));
    assert!(asked(&request, CLAUDE).0["inferenceConfig"]["maxTokens"].as_u64() > Some(2000));
}

#[test]
fn tools_that_were_called_are_declared_and_none_at_all_is_said_by_declaring_none() {
    let history = json!([
        { "role": "user", "content": "x" },
        { "role": "assistant", "tool_calls": [
            { "id": "c1", "type": "function", "function": { "name": "f", "arguments": "{}" } } ] },
        { "role": "tool", "tool_call_id": "c1", "content": "" },
    ]);
    let (body, _) = asked(&chat(&json!({ "model": "m", "messages": history })), CLAUDE);
    let spec = json!([{ "toolSpec": { "name": "f", "inputSchema": { "json": { "type": "object" } } } }]);
    assert_eq!(body["toolConfig"], json!({ "tools": spec }));
    // Also nothing is a result.
    assert_eq!(body["messages"][2]["content"][0]["toolResult"]["content"], json!([{ "text": " " }]));
    let tools = json!([{ "type": "function", "function": { "name": "f" } }]);
    let first = json!([{ "role": "user", "content": "x" }]);
    let none = json!({ "model": "m", "messages": first, "tools": tools, "tool_choice": "none" });
    let (body, dropped) = asked(&chat(&none), CLAUDE);
    assert_eq!((body.get("toolConfig"), &*dropped), (None, ""));
    let none = json!({ "model": "m", "messages": history, "tools": tools, "tool_choice": "none" });
    let (body, dropped) = asked(&chat(&none), CLAUDE);
    assert!(body["toolConfig"]["tools"].is_array() && body["toolConfig"].get("toolChoice").is_none());
    assert_eq!(dropped, "tool_choice");
}

#[test]
fn a_schema_is_text_and_marks_are_blocks_of_their_own() {
    let schema = r#"{"type":"object","properties":{"z":{},"a":{}}}"#;
    let mut request = chat(&json!({ "model": "m", "messages": [{ "role": "user", "content": "x" }] }));
    request.format = Some(Format::Schema {
        name: Some("snake".to_owned()),
        description: None,
        schema: crate::wire::chat::Raw::from_text(schema).unwrap(),
        strict: Some(true),
    });
    let mark = |cache| {
        vec![Part::Text {
            text: "long".to_owned(),
            citations: Vec::new(),
            signature: None,
            cache: Some(cache),
        }]
    };
    request.turns.insert(0, Turn::new(Role::System, mark(crate::wire::chat::CacheMark::OneHour)));
    request.turns.push(Turn::new(Role::User, mark(crate::wire::chat::CacheMark::FiveMinutes)));
    let (body, _) = asked(&request, CLAUDE);
    let told = &body["outputConfig"]["textFormat"];
    assert_eq!(told["type"], "json_schema");
    assert_eq!(told["structure"]["jsonSchema"], json!({ "schema": schema, "name": "snake" }));
    assert_eq!(body["system"][1], json!({ "cachePoint": { "type": "default", "ttl": "1h" } }));
    let content = body["messages"][0]["content"].as_array().unwrap();
    assert_eq!(content.last(), Some(&json!({ "cachePoint": { "type": "default" } })));
}

#[test]
fn what_lies_elsewhere_cannot_be_shown() {
    let body = json!({ "model": "m", "messages": [{ "role": "user", "content": [
        { "type": "image_url", "image_url": { "url": "https://example.org/a.png" } } ] }] });
    let error = Converse.encode_request(&chat(&body), CLAUDE, &mut Dropped::default()).unwrap_err();
    assert_eq!(error.param.as_deref(), Some("image"));
}

#[test]
fn an_answer_is_read_with_its_usage() {
    let answer = Converse.decode_answer(&own("answer_text.json")).unwrap();
    assert_eq!(answer.choices[0].parts, [Part::text("Because short waves are scattered more: 青い空 🌤️.")]);
    assert_eq!(answer.choices[0].finish, Some(Finish::Stop));
    assert_eq!(answer.usage, Some(Usage { input: 24, output: 19, ..Usage::default() }));

    let answer = Converse.decode_answer(&own("answer_stop_sequence.json")).unwrap();
    let choice = &answer.choices[0];
    assert_eq!((&choice.finish, choice.stop_sequence.as_deref()), (&Some(Finish::StopSequence), Some("END")));
    let Part::Text { citations, .. } = &choice.parts[0] else { panic!("a text") };
    assert_eq!(citations[0].url.as_deref(), Some("https://example.org/snakes"));
    let answer = Converse.decode_answer(&own("answer_guardrail.json")).unwrap();
    assert_eq!(answer.choices[0].finish, Some(Finish::Filter));
    for body in ["<html>", "{}", r#"{"message":"no"}"#] {
        assert!(Converse.decode_answer(body.as_bytes()).is_err(), "{body}");
    }
}

/// The binary stream of a fixture: `name<tab>payload` a line.
fn binary(name: &str) -> Vec<u8> {
    let text = String::from_utf8(own(name)).unwrap();
    let events = text.lines().map(|line| line.split_once('\t').unwrap());
    events.flat_map(|(name, payload)| message("event", ":event-type", name, payload)).collect()
}

fn message(kind: &str, named: &str, name: &str, payload: &str) -> Vec<u8> {
    let mut head = Vec::new();
    for (name, value) in [(named, name), (":content-type", "application/json"), (":message-type", kind)] {
        head.push(u8::try_from(name.len()).unwrap());
        head.extend_from_slice(name.as_bytes());
        head.push(7);
        head.extend_from_slice(&u16::try_from(value.len()).unwrap().to_be_bytes());
        head.extend_from_slice(value.as_bytes());
    }
    let all = u32::try_from(16 + head.len() + payload.len()).unwrap();
    let mut bytes = all.to_be_bytes().to_vec();
    bytes.extend_from_slice(&u32::try_from(head.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
    bytes.extend_from_slice(&head);
    bytes.extend_from_slice(payload.as_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
    bytes
}

fn read(pieces: &[&[u8]]) -> Vec<ChatEvent> {
    let mut unframer = Unframer::new(Tongue::Converse);
    let (mut reader, mut events) = (Converse.reader(), Vec::new());
    for piece in pieces {
        let mut plain = Vec::new();
        unframer.feed(piece, &mut plain).unwrap();
        reader.feed(&plain, &mut events);
    }
    unframer.end().unwrap();
    reader.end(&mut events);
    events
}

#[test]
fn a_stream_puts_itself_together_to_the_answer_wherever_it_is_cut() {
    let stream = binary("stream_thinking_tools.events");
    let events = read(&[&stream]);
    let mut fold = Fold::default();
    events.iter().for_each(|event| fold.feed(event));
    let whole = Converse.decode_answer(&own("answer_thinking_tools.json")).unwrap();
    assert!(fold.is_done());
    assert_eq!(fold.answer(), &whole);
    assert_eq!(
        whole.usage,
        Some(Usage {
            input: 372,
            cache_read: 1000,
            cache_write_5m: 300,
            cache_write_1h: 100,
            output: 89,
            ..Usage::default()
        })
    );
    for cut in 0..=stream.len() {
        let (front, back) = stream.split_at(cut);
        assert_eq!(read(&[front, back]), events, "cut at {cut}");
    }
}

#[test]
fn a_stream_without_its_last_event_has_no_end_of_its_own() {
    let stream = binary("stream_text.events");
    assert!(read(&[&stream]).contains(&ChatEvent::Done));
    let text = String::from_utf8(own("stream_text.events")).unwrap();
    let without: String = text.lines().take(5).map(|line| format!("{line}\n")).collect();
    let events: Vec<u8> = without
        .lines()
        .map(|line| line.split_once('\t').unwrap())
        .flat_map(|(name, payload)| message("event", ":event-type", name, payload))
        .collect();
    let read = read(&[&events]);
    assert!(!read.contains(&ChatEvent::Done));
    assert!(read.iter().any(|event| matches!(event, ChatEvent::Finish { finish: Finish::Stop, .. })));
}

#[test]
fn an_exception_in_mid_stream_is_an_error_of_its_kind() {
    for (name, kind, status) in [
        ("throttlingException", ErrorKind::RateLimit, 429),
        ("validationException", ErrorKind::InvalidRequest, 400),
        ("modelStreamErrorException", ErrorKind::Internal, 500),
        ("serviceUnavailableException", ErrorKind::Overloaded, 503),
        ("internalServerException", ErrorKind::Internal, 500),
    ] {
        let stream = message("exception", ":exception-type", name, r#"{"message":"so it is"}"#);
        let events = read(&[&stream]);
        let [ChatEvent::Error(error)] = &*events else { panic!("{events:?}") };
        assert_eq!((error.kind, error.status, &*error.message), (kind, status, "so it is"));
        assert_eq!(error.code.as_deref(), Some(name));
    }
    let error = message("error", ":error-code", "InternalFailure", "");
    assert!(matches!(&*read(&[&error]), [ChatEvent::Error(error)] if error.message == "InternalFailure"));
}

#[test]
fn an_invocations_events_are_those_of_its_dialect() {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let chunk = |json: &str| {
        let payload = json!({ "bytes": STANDARD.encode(json), "p": "abcd" }).to_string();
        message("event", ":event-type", "chunk", &payload)
    };
    let tongue = Tongue::from(Dialect::AnthropicMessages);
    let mut out = Vec::new();
    let stream = [
        chunk(r#"{"type":"message_start","message":{}}"#),
        chunk("{\"type\":\"message_stop\",\n\"amazon-bedrock-invocationMetrics\":{\"inputTokenCount\":9}}"),
        message("exception", ":exception-type", "throttlingException", r#"{"message":"slow \"down\""}"#),
    ]
    .concat();
    Unframer::new(tongue).feed(&stream, &mut out).unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        concat!(
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{}}\n\n",
            "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",",
            "\"message\":\"slow \\\"down\\\"\"},\"request_id\":\"\"}\n\n",
        )
    );
}

#[test]
fn an_event_of_an_invocation_that_cannot_be_read_is_an_error_and_an_unknown_one_nothing() {
    let feed = |name: &str, payload: &str| {
        let mut out = Vec::new();
        let stream = message("event", ":event-type", name, payload);
        Unframer::new(Dialect::AnthropicMessages.into()).feed(&stream, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    for payload in [r#"{"bytes":"*"}"#, r#"{"p":"abcd"}"#, "", "{"] {
        assert!(feed("chunk", payload).starts_with("event: error\n"), "{payload}");
        assert_eq!(feed("metrics", payload), "", "{payload}");
    }
}

#[test]
fn errors_are_read_in_both_ways_in_which_they_are_written() {
    let read = |status, body: &str| Converse.decode_error(status, body.as_bytes());
    let told = read(400, r#"{"message":"The provided model identifier is invalid."}"#);
    assert_eq!(
        (told.kind, &*told.message),
        (ErrorKind::InvalidRequest, "The provided model identifier is invalid.")
    );
    let told = read(403, r#"{"Message":"User: arn:aws:iam::1:user/x is not authorized"}"#);
    assert_eq!(
        (told.kind, &*told.message),
        (ErrorKind::Permission, "User: arn:aws:iam::1:user/x is not authorized")
    );
    assert_eq!(read(503, "").status, 503);
}
