//! What each model is asked of thinking, and signatures on their way.

use super::*;
use crate::wire::chat::{
    Effort, Raw, Reasoning, Sampling, Signature, Thinking, Tool, ToolCall, ToolChoice, ToolResult,
};
use serde_json::json;

fn with(reasoning: Reasoning) -> ChatRequest {
    ChatRequest { max_tokens: Some(32_000), reasoning, ..said(vec![user("x")]) }
}

fn effort(effort: Effort) -> Reasoning {
    Reasoning { effort: Some(effort), ..Reasoning::default() }
}

fn budget(budget: u64) -> Reasoning {
    Reasoning { budget: Some(budget), ..Reasoning::default() }
}

fn enabled(budget: u64) -> Value {
    json!({"type": "enabled", "budget_tokens": budget})
}

#[test]
fn each_model_is_asked_to_think_in_its_way() {
    let adaptive = json!({"type": "adaptive"});
    let disabled = json!({"type": "disabled"});
    let between_tools = json!({"type": "between_tools"});
    let none = Value::Null;
    let many = Reasoning { adaptive: true, ..effort(Effort::Max) };
    for (model, reasoning, thinking, word, dropped) in [
        ("claude-3-5-haiku-20241022", effort(Effort::High), &none, None, "reasoning"),
        ("claude-3-7-sonnet@20250219", effort(Effort::Medium), &enabled(8_192), None, ""),
        ("claude-opus-4-20250514", budget(4_096), &enabled(4_096), None, ""),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", effort(Effort::Low), &enabled(2_048), None, ""),
        ("claude-haiku-4-5", many.clone(), &enabled(24_000), None, ""),
        ("anthropic/claude-opus-4.6", effort(Effort::Low), &adaptive, Some("low"), ""),
        ("claude-sonnet-4-6", budget(5_000), &enabled(5_000), None, ""),
        ("claude-opus-4-7", budget(5_000), &adaptive, Some("medium"), ""),
        ("claude-opus-4-7", effort(Effort::ExtraHigh), &adaptive, Some("xhigh"), ""),
        ("claude-opus-4-6", effort(Effort::ExtraHigh), &adaptive, Some("high"), ""),
        ("claude-opus-5-5", effort(Effort::Minimal), &adaptive, Some("low"), ""),
        ("claude-fable-5", many, &adaptive, Some("max"), ""),
        ("claude-mythos-preview", effort(Effort::High), &adaptive, Some("high"), ""),
        ("claude-next", effort(Effort::High), &adaptive, Some("high"), ""),
        ("other-model", effort(Effort::High), &enabled(24_576), Some("high"), ""),
        ("other-model", Reasoning { adaptive: true, ..Reasoning::default() }, &adaptive, None, ""),
        ("claude-sonnet-4-5", effort(Effort::None), &disabled, None, ""),
        ("claude-opus-4-8", budget(0), &none, None, ""),
        ("claude-opus-5", Reasoning { effort: Some(Effort::Max), ..budget(0) }, &disabled, Some("high"), ""),
        ("claude-fable-5-2", effort(Effort::None), &none, Some("low"), "reasoning"),
        ("claude-opus-5-5", budget(0), &none, Some("low"), "reasoning"),
        ("claude-sonnet-5-5", effort(Effort::None), &between_tools, None, ""),
        ("claude-haiku-5-5", effort(Effort::None), &disabled, None, ""),
        ("claude-opus-5", Reasoning::default(), &none, None, ""),
    ] {
        let (body, told) = asked_of(model, &with(reasoning));
        assert_eq!(body.get("thinking").unwrap_or(&Value::Null), thinking, "{model}");
        assert_eq!(body.pointer("/output_config/effort").and_then(Value::as_str), word, "{model}");
        assert_eq!(told, dropped, "{model}");
    }
}

#[test]
fn a_budget_leaves_room_for_an_answer() {
    for (max_tokens, asked, expected, most) in [
        (Some(4_096), 1, Some(1_024), 4_096),
        (Some(4_096), 4_095, Some(4_095), 4_096),
        (Some(4_096), 4_096, Some(3_072), 4_096),
        (Some(1_025), 9_000, Some(1_024), 1_025),
        (Some(1_024), 9_000, None, 1_024),
        (Some(0), 9_000, None, 0),
        (None, 2_000, Some(2_000), 10_192),
        (None, u64::MAX, Some(24_000), 32_000),
    ] {
        let request = ChatRequest { max_tokens, ..with(budget(asked)) };
        let (body, dropped) = asked_of("claude-sonnet-4-5", &request);
        assert_eq!(body.pointer("/thinking/budget_tokens").and_then(Value::as_u64), expected);
        assert_eq!(body["max_tokens"].as_u64(), Some(most));
        assert_eq!(dropped.contains("reasoning"), expected.is_none());
    }
}

#[test]
fn a_model_that_thinks_by_itself_has_room_for_it() {
    for (model, max_tokens) in [
        ("claude-opus-5-5", 32_000),
        ("claude-haiku-5-5", 32_000),
        ("claude-opus-4-8", 8_192),
        ("other", 8_192),
    ] {
        let (body, _) = asked_of(model, &said(vec![user("x")]));
        assert_eq!(body["max_tokens"], max_tokens, "{model}");
    }
}

#[test]
fn thinking_is_shown_as_the_caller_says() {
    for (reasoning, display) in [
        (effort(Effort::High), None),
        (Reasoning { shown: Some(true), ..effort(Effort::High) }, Some("summarized")),
        (Reasoning { shown: Some(false), ..effort(Effort::High) }, Some("omitted")),
        (Reasoning { summary: Some("auto".to_owned()), ..effort(Effort::High) }, Some("summarized")),
        (Reasoning { shown: Some(true), ..budget(0) }, None),
    ] {
        let (body, dropped) = asked_of("claude-opus-5", &with(reasoning));
        assert_eq!(body.pointer("/thinking/display").and_then(Value::as_str), display);
        assert_eq!(dropped, "");
    }
}

#[test]
fn sampling_is_what_the_model_takes() {
    let number = |text: &str| Some(serde_json::from_str(text).unwrap());
    let sampling = |temperature, top_p| Sampling {
        temperature: number(temperature),
        top_p: number(top_p),
        top_k: Some(40),
        ..Sampling::default()
    };
    let thinks = effort(Effort::Low);
    for (model, sampling, reasoning, kept, dropped) in [
        ("other", sampling("0.20", "0.9"), None, (Some(0.2), Some(0.9), true), ""),
        ("claude-opus-4-0", sampling("0.2", "0.9"), None, (Some(0.2), Some(0.9), true), ""),
        ("claude-sonnet-4-5", sampling("0.2", "0.9"), None, (Some(0.2), None, true), "top_p"),
        ("claude-sonnet-4-5", sampling("1.5", "0.9"), None, (None, Some(0.9), true), "temperature"),
        (
            "claude-sonnet-4-5",
            sampling("0.2", "0.97"),
            Some(&thinks),
            (None, Some(0.97), false),
            "temperature,top_k",
        ),
        ("other", sampling("1", "0.5"), Some(&thinks), (None, None, false), "top_k,top_p"),
        ("claude-opus-4-7", sampling("0.2", "0.5"), None, (None, None, false), "temperature,top_k,top_p"),
        ("claude-opus-5-5", sampling("1.0", "1"), None, (None, None, false), "top_k"),
    ] {
        let request = ChatRequest { sampling, ..with(reasoning.cloned().unwrap_or_default()) };
        let (body, told) = asked_of(model, &request);
        let number = |name: &str| body.get(name).and_then(Value::as_f64);
        assert_eq!((number("temperature"), number("top_p"), body.get("top_k").is_some()), kept, "{model}");
        assert_eq!(told, dropped, "{model}");
    }
}

/// A request in the middle of a turn of calls, which began with these parts.
fn in_a_loop(begin: Vec<Part>, reasoning: Reasoning) -> ChatRequest {
    let call = |id: &str| {
        Part::ToolCall(ToolCall { id: id.to_owned(), name: "f".to_owned(), ..ToolCall::default() })
    };
    let result = |id: &str| {
        Turn::new(
            Role::Tool,
            vec![Part::ToolResult(ToolResult { call_id: id.to_owned(), ..ToolResult::default() })],
        )
    };
    let first = begin.into_iter().chain([call("a")]).collect();
    let turns = vec![user("x"), assistant(first), result("a"), assistant(vec![call("b")]), result("b")];
    ChatRequest { turns, ..with(reasoning) }
}

fn thought(text: &str, dialect: Dialect, data: &str) -> Part {
    let signature = Some(Signature { dialect, data: data.to_owned() });
    Part::Thinking(Thinking { text: text.to_owned(), signature, ..Thinking::default() })
}

#[test]
fn a_budget_needs_a_turn_that_began_with_thinking_and_no_forced_tool() {
    let own = || thought("t", Dialect::AnthropicMessages, "s");
    let tool = Tool { name: "f".to_owned(), description: None, parameters: None, strict: None, cache: None };
    let force = |mut request: ChatRequest| {
        request.tools = vec![tool.clone()];
        request.tool_choice = Some(ToolChoice::Any);
        request
    };
    let text = || Part::text("I'll look.");
    for (model, request, thinking, dropped) in [
        ("claude-sonnet-4-5", in_a_loop(vec![own(), text()], budget(2_000)), enabled(2_000), ""),
        ("claude-sonnet-4-5", in_a_loop(vec![text()], budget(2_000)), Value::Null, "reasoning"),
        ("claude-sonnet-4-6", in_a_loop(vec![text()], budget(2_000)), json!({"type": "adaptive"}), ""),
        ("claude-opus-5", in_a_loop(vec![text()], effort(Effort::Low)), json!({"type": "adaptive"}), ""),
        ("claude-sonnet-4-5", force(with(budget(2_000))), Value::Null, "reasoning"),
        ("claude-sonnet-4-6", force(with(budget(2_000))), json!({"type": "adaptive"}), ""),
        ("other", force(with(effort(Effort::Low))), Value::Null, "reasoning"),
    ] {
        let (body, told) = asked_of(model, &request);
        assert_eq!(body.get("thinking").cloned().unwrap_or_default(), thinking, "{model}");
        assert_eq!(told, dropped, "{model}");
    }
}

#[test]
fn own_signatures_go_back_byte_for_byte_over_two_turns() {
    let body =
        include_str!("../../../../../../tests/fixtures/chat/anthropic_messages/request_thinking_rounds.json");
    let (request, _) = decoded(body);
    let (written, dropped) = asked_of("claude-sonnet-4-5", &request);
    let before: Value = serde_json::from_str(body).unwrap();
    assert_eq!(dropped, "");
    assert_eq!(written["thinking"], before["thinking"]);
    for at in [1, 3] {
        assert_eq!(written["messages"][at]["content"], before["messages"][at]["content"]);
    }
}

#[test]
fn foreign_signatures_are_read_from_callers_and_kept_from_upstreams() {
    let body = include_str!(
        "../../../../../../tests/fixtures/chat/anthropic_messages/request_carried_signatures.json"
    );
    let (request, dropped) = decoded(body);
    assert_eq!(dropped, "");
    let gemini = |data: &str| Some(Signature { dialect: Dialect::Gemini, data: data.to_owned() });
    let parts = &request.turns[1].parts;
    assert_eq!(parts.len(), 5);
    assert_eq!(parts[0], thought("f it is.", Dialect::Gemini, "CpcBthought+/="));
    let Part::Text { signature, .. } = &parts[1] else { panic!("{parts:?}") };
    assert_eq!(*signature, gemini("CpcBtext+/="));
    let Part::ToolCall(call) = &parts[2] else { panic!("{parts:?}") };
    assert_eq!(call.signature, gemini("CpcBcall+/="));
    let Part::Thinking(hidden) = &parts[3] else { panic!("{parts:?}") };
    assert!(hidden.redacted);
    assert_eq!(
        hidden.signature,
        Some(Signature { dialect: Dialect::OpenAiResponses, data: "gAAAAhidden".to_owned() })
    );
    let Part::ToolCall(call) = &parts[4] else { panic!("{parts:?}") };
    assert_eq!(call.signature, None);

    let (written, dropped) = asked_of("claude-sonnet-4-5", &request);
    assert_eq!(dropped, "reasoning,signature");
    let kinds: Vec<_> =
        written["messages"][1]["content"].as_array().unwrap().iter().map(|block| &block["type"]).collect();
    assert_eq!(kinds, ["text", "tool_use", "tool_use"]);
    assert!(!written.to_string().contains("CpcB"));
}

#[test]
fn a_carrier_that_no_call_follows_stays_a_thought() {
    let (request, _) = decoded(
        r#"{"model":"m","messages":[{"role":"assistant","content":[
            {"type":"thinking","thinking":"","signature":"aione.gemini.a"},
            {"type":"thinking","thinking":"","signature":"aione.gemini.b"},
            {"type":"tool_use","id":"i","name":"f","input":{}},
            {"type":"thinking","thinking":"","signature":"own"},
            {"type":"redacted_thinking","data":"aione.text.aione.gemini.c"},
            {"type":"text","text":"y"},
            {"type":"thinking","thinking":"shown"}]}]}"#,
    );
    let parts = &request.turns[0].parts;
    assert_eq!(parts[0], thought("", Dialect::Gemini, "a"));
    assert!(
        matches!(&parts[1], Part::ToolCall(ToolCall { signature: Some(signature), .. }) if signature.data == "b")
    );
    assert_eq!(parts[2], thought("", Dialect::AnthropicMessages, "own"));
    assert!(
        matches!(&parts[3], Part::Text { text, signature: Some(signature), .. } if text.is_empty() && signature.data == "c")
    );
    assert_eq!(parts[4], Part::text("y"));
    assert_eq!(parts[5], Part::Thinking(Thinking { text: "shown".to_owned(), ..Thinking::default() }));
    assert_eq!(parts.len(), 6);
    // No message of the assistant's ends in a thought.
    let own_last = said(vec![
        user("x"),
        assistant(vec![Part::text("y"), thought("t", Dialect::AnthropicMessages, "s"), Part::text(" ")]),
    ]);
    let (body, dropped) = asked_of("m", &own_last);
    assert_eq!(body["messages"][1], json!({"role": "assistant", "content": "y"}));
    assert_eq!(dropped, "reasoning");
}

#[test]
fn schemas_keep_their_bytes() {
    let schema = r##"{ "type":"object","z":1.0e2,"a":{"$ref":"#/$defs/a"} }"##;
    let mut request = with(Reasoning::default());
    request.tools = vec![Tool {
        name: "f".to_owned(),
        description: None,
        parameters: Raw::from_text(schema),
        strict: Some(true),
        cache: None,
    }];
    let body = AnthropicMessages.encode_request(&request, "m", &mut Dropped::default()).unwrap();
    assert!(String::from_utf8(body).unwrap().contains(schema));
}
