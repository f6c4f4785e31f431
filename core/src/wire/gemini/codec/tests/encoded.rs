//! What upstreams are asked.

use super::*;
use crate::wire::{
    chat::{CacheMark, Format, Raw, Sampling, Source, Thinking, Tool, ToolCall, ToolChoice, ToolResult},
    openai_chat::OpenAiChat,
};

fn call(id: &str, name: &str, signature: Option<Signature>) -> Part {
    let arguments = "{}".to_owned();
    Part::ToolCall(ToolCall { id: id.to_owned(), name: name.to_owned(), arguments, signature, cache: None })
}

fn result(id: &str, text: &str) -> Part {
    let parts = vec![Part::text(text)];
    Part::ToolResult(ToolResult { call_id: id.to_owned(), parts, ..ToolResult::default() })
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
        call("call-1", "", None),
    ] {
        let role = match part {
            Part::ToolResult(_) => Role::Tool,
            Part::ToolCall(_) => Role::Assistant,
            _ => Role::User,
        };
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
