//! Streams: blocks that wait, ends that fit, and nothing that breaks.

use super::*;
use crate::wire::chat::{
    ChatEvent, Choice, Delta, ErrorKind, Finish, Fold, Signature, Start, Thinking, ToolCall,
};
use proptest::prelude::*;
use serde_json::json;

fn written(events: &[ChatEvent]) -> String {
    let (mut writer, mut out) = (AnthropicMessages.writer(&setting()), Vec::new());
    events.iter().for_each(|event| writer.write(event, &mut out));
    String::from_utf8(out).unwrap()
}

/// The data of each event.
fn events(stream: &str) -> Vec<Value> {
    let events = stream.split_terminator("\n\n").map(|event| {
        let (name, data) = event.split_once('\n').unwrap();
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(name.strip_prefix("event: "), data["type"].as_str());
        data
    });
    events.collect()
}

fn read(stream: &[u8]) -> Vec<ChatEvent> {
    let (mut reader, mut events) = (AnthropicMessages.reader(), Vec::new());
    reader.feed(stream, &mut events);
    reader.end(&mut events);
    events
}

fn folded(stream: &str) -> Fold {
    let mut fold = Fold::default();
    read(stream.as_bytes()).iter().for_each(|event| fold.feed(event));
    fold
}

/// The content of the message as an SDK puts it together.
fn content(stream: &str) -> Vec<Value> {
    let mut content: Vec<Value> = Vec::new();
    let mut open = None;
    for event in events(stream) {
        let index = event["index"].as_u64();
        match event["type"].as_str().unwrap() {
            "content_block_start" => {
                assert_eq!((open, index), (None, Some(content.len() as u64)), "one block at a time");
                open = index;
                content.push(event["content_block"].clone());
            }
            "content_block_delta" => {
                assert_eq!(open, index);
                let last = content.last_mut().unwrap();
                let delta = event["delta"].as_object().unwrap();
                let (name, more) = delta.iter().find(|(name, _)| *name != "type").unwrap();
                let more = more.as_str().unwrap_or_default();
                let before = last.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
                last[name] = json!(before + more);
            }
            "content_block_stop" => {
                assert_eq!(open, index);
                open = None;
            }
            _ => assert_eq!(open, None),
        }
    }
    content
}

fn begin(part: u32, start: Start) -> ChatEvent {
    ChatEvent::Begin { choice: 0, part, start }
}

fn delta(part: u32, delta: Delta) -> ChatEvent {
    ChatEvent::Delta { choice: 0, part, delta }
}

fn text(part: u32, text: &str) -> ChatEvent {
    delta(part, Delta::Text(text.to_owned()))
}

fn arguments(part: u32, text: &str) -> ChatEvent {
    delta(part, Delta::Arguments(text.to_owned()))
}

fn end(part: u32) -> ChatEvent {
    ChatEvent::End { choice: 0, part }
}

fn finish(finish: Finish) -> ChatEvent {
    ChatEvent::Finish { choice: 0, finish, stop_sequence: None }
}

fn call(id: &str) -> Start {
    Start::ToolCall { id: id.to_owned(), name: "f".to_owned() }
}

fn start() -> ChatEvent {
    ChatEvent::Start { id: "chatcmpl-1".to_owned(), model: "gpt".to_owned(), created: Some(7) }
}

fn gemini(data: &str) -> Signature {
    Signature { dialect: Dialect::Gemini, data: data.to_owned() }
}

#[test]
fn parts_that_come_at_once_are_put_in_order() {
    let stream = written(&[
        start(),
        begin(0, Start::Text),
        text(0, "I'll"),
        begin(1, call("a")),
        begin(2, call("b")),
        arguments(2, "{\"x\""),
        arguments(1, "{\"y\":1"),
        end(2),
        text(0, " look."),
        end(0),
        arguments(1, "}"),
        begin(3, Start::Text),
        end(3),
        end(1),
        finish(Finish::ToolCalls),
        ChatEvent::Usage(Usage { input: 9, output: 4, reasoning: 2, ..Usage::default() }),
        ChatEvent::Done,
        text(0, "nothing comes after the end"),
    ]);
    let content = content(&stream);
    let kinds: Vec<_> = content.iter().map(|block| block["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["text", "tool_use", "tool_use"]);
    assert_eq!(content[0]["text"], "I'll look.");
    assert_eq!((&content[1]["id"], &content[1]["partial_json"]), (&json!("a"), &json!("{\"y\":1}")));
    assert_eq!((&content[2]["id"], &content[2]["partial_json"]), (&json!("b"), &json!("{\"x\"")));
    let events = events(&stream);
    assert_eq!(events[0]["message"]["id"], "chatcmpl-1");
    // Nobody had told the usage yet.
    assert_eq!(events[0]["message"]["usage"]["input_tokens"], 11);
    let [.., last, stop] = &*events else { panic!("{stream}") };
    assert_eq!(last["delta"], json!({"stop_reason": "tool_use", "stop_sequence": null}));
    assert_eq!((&last["usage"]["input_tokens"], &last["usage"]["output_tokens"]), (&json!(9), &json!(6)));
    assert_eq!(stop["type"], "message_stop");
}

#[test]
fn usage_that_is_known_comes_with_the_beginning() {
    let usage = Usage { input: 5, cache_write_1h: 7, ..Usage::default() };
    let stream = written(&[
        start(),
        ChatEvent::ServiceTier("default".to_owned()),
        ChatEvent::Usage(usage),
        begin(0, Start::Text),
    ]);
    let first = &events(&stream)[0]["message"]["usage"];
    assert_eq!(
        *first,
        json!({
            "input_tokens": 5, "cache_creation_input_tokens": 7, "cache_read_input_tokens": 0,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 7},
            "output_tokens": 0, "service_tier": "standard",
        })
    );
}

#[test]
fn what_waits_too_long_breaks_the_stream_off() {
    let piece = "x".repeat(1 << 16);
    let mut held = vec![start(), begin(0, Start::Text), text(0, "a"), begin(1, call("a"))];
    held.extend((0..15).map(|_| arguments(1, &piece)));
    let whole: Vec<_> = held.iter().cloned().chain([end(0), end(1), ChatEvent::Done]).collect();
    assert_eq!(content(&written(&whole))[1]["partial_json"].as_str().unwrap().len(), 15 << 16);
    held.extend([arguments(1, &piece), end(0), end(1), ChatEvent::Done]);
    let stream = written(&held);
    let events = events(&stream);
    assert_eq!(events.last().unwrap()["type"], "error");
    assert!(!stream.contains("message_stop"));
    // What is open without end is bounded as well, and room that was freed is free again.
    let many: Vec<_> = (0..100_000).map(|part| begin(part, call("a"))).collect();
    assert!(written(&many).ends_with("}\n\n") && written(&many).contains("event: error"));
    let rounds = (0..40).flat_map(|round| {
        let (first, second) = (round * 2, round * 2 + 1);
        [
            begin(first, Start::Text),
            begin(second, call("a")),
            arguments(second, &piece),
            end(first),
            end(second),
        ]
    });
    let rounds: Vec<_> = rounds.chain([ChatEvent::Done]).collect();
    assert!(written(&rounds).contains("message_stop"));
}

#[test]
fn an_end_is_always_written() {
    for (so_far, reason) in [
        (vec![], "end_turn"),
        (vec![start(), begin(0, Start::Text), text(0, "a")], "end_turn"),
        (vec![start(), begin(0, Start::Refusal), text(0, "no"), end(0), finish(Finish::Stop)], "refusal"),
        (vec![start(), begin(0, call("a")), end(0), finish(Finish::Stop)], "tool_use"),
        (vec![start(), finish(Finish::Filter)], "refusal"),
        (vec![start(), finish(Finish::Length)], "max_tokens"),
        (vec![start(), finish(Finish::Pause)], "pause_turn"),
        (vec![start(), finish(Finish::ContextFull)], "model_context_window_exceeded"),
        (vec![start(), finish(Finish::Other("RECITATION".to_owned()))], "end_turn"),
    ] {
        let all: Vec<_> = so_far.into_iter().chain([ChatEvent::Done]).collect();
        let stream = written(&all);
        let events = events(&stream);
        content(&stream);
        assert_eq!(events[0]["type"], "message_start");
        assert_eq!(events[events.len() - 2]["delta"]["stop_reason"], reason);
        assert!(folded(&stream).is_done());
    }
}

#[test]
fn an_error_ends_the_stream() {
    let error = ChatError {
        kind: ErrorKind::Overloaded,
        status: 529,
        message: "Overloaded".to_owned(),
        code: None,
        param: None,
    };
    let stream =
        written(&[start(), begin(0, Start::Text), text(0, "a"), ChatEvent::Error(error), ChatEvent::Done]);
    let last = events(&stream).pop().unwrap();
    assert_eq!(
        last,
        json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "gen-1"})
    );
    assert_eq!(folded(&stream).error().unwrap().kind, ErrorKind::Overloaded);
}

/// An answer with a signature of another dialect at every place.
fn signed() -> ChatAnswer {
    let signed = |text: &str, data: &str| Part::Text {
        text: text.to_owned(),
        citations: Vec::new(),
        signature: Some(gemini(data)),
        cache: None,
    };
    let thought = |text: &str, redacted, data: &str| {
        Part::Thinking(Thinking {
            text: text.to_owned(),
            redacted,
            signature: Some(gemini(data)),
            ..Thinking::default()
        })
    };
    let call = Part::ToolCall(ToolCall {
        id: "call_1".to_owned(),
        name: "f".to_owned(),
        arguments: r#"{"x":1}"#.to_owned(),
        signature: Some(gemini("call+/=")),
        cache: None,
    });
    let parts = vec![
        thought("hm", false, "thought+/="),
        signed("a", "text+/="),
        thought("", true, "hidden+/="),
        call,
    ];
    ChatAnswer {
        choices: vec![Choice { parts, finish: Some(Finish::ToolCalls), ..Choice::default() }],
        ..ChatAnswer::default()
    }
}

#[test]
fn a_caller_carries_foreign_signatures_there_and_back() {
    let answer = signed();
    let body = AnthropicMessages.encode_answer(&answer, &setting(), &mut Dropped::default());
    let at_once: Value = serde_json::from_slice(&body).unwrap();
    // In a stream, arguments come as text.
    let mut streamed = content(&written(&answer.events()));
    for block in &mut streamed {
        if let Some(arguments) = block.as_object_mut().unwrap().remove("partial_json") {
            block["input"] = serde_json::from_str(arguments.as_str().unwrap()).unwrap();
        }
    }
    assert_eq!(at_once["content"], json!(streamed));
    let returned = json!({"model": "m", "messages": [{"role": "assistant", "content": streamed}]});
    let (request, dropped) = decoded(&returned.to_string());
    assert_eq!(request.turns[0].parts, answer.choices[0].parts);
    assert_eq!(dropped, "");
}

#[test]
fn the_signature_of_a_text_stands_behind_it() {
    let stream = written(&[
        start(),
        begin(0, Start::Text),
        text(0, "a"),
        delta(0, Delta::Signature(gemini("late"))),
        end(0),
        begin(1, Start::Text),
        delta(1, Delta::Signature(gemini("alone"))),
        end(1),
        begin(2, call("b")),
        end(2),
        ChatEvent::Done,
    ]);
    let content = content(&stream);
    assert_eq!(content[1], json!({"type": "redacted_thinking", "data": "aione.text.aione.gemini.late"}));
    assert_eq!(content[2], json!({"type": "redacted_thinking", "data": "aione.text.aione.gemini.alone"}));
    assert_eq!(content[3]["type"], "tool_use");
}

#[test]
fn own_thoughts_are_written_as_they_were() {
    for name in ["stream_thinking.sse", "stream_thinking_omitted.sse"] {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/chat/anthropic_messages/");
        let stream = std::fs::read_to_string(format!("{folder}{name}")).unwrap();
        let before = folded(&stream);
        let again = written(&read(stream.as_bytes()));
        assert_eq!(folded(&again).answer().choices, before.answer().choices);
        assert_eq!(content(&again), content(&stream));
    }
}

#[test]
fn a_stream_that_cannot_be_read_ends_in_an_error() {
    let start = r#"data: {"type":"message_start","message":{}}"#;
    for broken in
        ["data: {\"type\":", "data: not json", "data: [1]", "data: {\"type\":\"message_delta\",\"delta\":7}"]
    {
        let seen = read(format!("{start}\n\n{broken}\n\ndata: {{\"type\":\"message_stop\"}}\n\n").as_bytes());
        let [ChatEvent::Start { .. }, ChatEvent::Error(error)] = &*seen else { panic!("{seen:?}") };
        assert_eq!((error.kind, error.status), (ErrorKind::Internal, 502));
    }
    let huge = format!("{start}\n\ndata: {}\n\n", "x".repeat(crate::wire::sse::MAX_EVENT));
    assert!(matches!(read(huge.as_bytes()).last(), Some(ChatEvent::Error(_))));
    // Where only something new is odd, it is passed over.
    let odd = format!(
        "{start}\n\ndata: {{\"type\":\"new\",\"index\":\"x\",\"delta\":7}}\n\ndata: {{\"type\":null}}\n\n"
    );
    assert_eq!(read(odd.as_bytes()).len(), 1);
}

#[test]
fn blocks_that_never_end_are_bounded() {
    let block = |index: usize| {
        format!(
            "data: {{\"type\":\"content_block_start\",\"index\":{index},\"content_block\":{{\"type\":\"text\",\"text\":\"\"}}}}\n\n"
        )
    };
    let stream: String = (0..200).map(block).collect();
    let ends =
        read(stream.as_bytes()).into_iter().filter(|event| matches!(event, ChatEvent::End { .. })).count();
    assert_eq!(ends, 200 - 64);
}

proptest! {
    #[test]
    fn no_bytes_break_anything(bytes in prop::collection::vec(any::<u8>(), 0..300), status in 400_u16..600) {
        read(&bytes);
        let _ = AnthropicMessages.decode_request(&bytes, UrlSays::default(), &mut Dropped::default());
        let _ = AnthropicMessages.decode_answer(&bytes);
        let _ = AnthropicMessages.decode_usage(&bytes);
        AnthropicMessages.decode_error(status, &bytes);
    }

    /// Any order of events makes a stream whose blocks are whole and come one at a time.
    #[test]
    fn any_events_make_a_stream(steps in prop::collection::vec((0_u32..4, 0_u8..9), 0..40)) {
        let all = steps.iter().map(|&(part, step)| match step {
            0 => begin(part, Start::Text),
            1 => begin(part, call("a")),
            2 => begin(part, Start::Thinking { id: None, redacted: part == 3, summary: false }),
            3 => text(part, "x\n\ny\u{2028}"),
            4 => arguments(part, "{}"),
            5 => delta(part, Delta::Signature(gemini("s"))),
            6 => begin(part, Start::Whole(Part::text("w"))),
            7 => finish(Finish::Length),
            _ => end(part),
        });
        let stream = written(&all.chain([ChatEvent::Done]).collect::<Vec<_>>());
        content(&stream);
        prop_assert!(folded(&stream).is_done());
    }
}
