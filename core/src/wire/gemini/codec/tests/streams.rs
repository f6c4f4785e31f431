//! Answers in pieces.

use super::*;
use crate::wire::chat::{
    ChatAnswer, ChatError, Choice, Delta, ErrorKind, Finish, Fold, Start, Thinking, ToolCall,
};
use proptest::prelude::*;

fn begin(part: u32, start: Start) -> ChatEvent {
    ChatEvent::Begin { choice: 0, part, start }
}

fn tool(part: u32, id: &str) -> ChatEvent {
    begin(part, Start::ToolCall { id: id.to_owned(), name: "f".to_owned() })
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

fn start() -> ChatEvent {
    ChatEvent::Start { id: "r".to_owned(), model: "m".to_owned(), created: None }
}

fn error() -> ChatEvent {
    let message = "busy".to_owned();
    ChatEvent::Error(ChatError { kind: ErrorKind::Overloaded, status: 503, message, code: None, param: None })
}

/// The parts of all events, in order.
fn parts(stream: &str) -> Vec<Value> {
    let chunks = stream.split("\n\n").filter_map(|event| event.strip_prefix("data: "));
    chunks
        .flat_map(|chunk| {
            let chunk: Value = serde_json::from_str(chunk).unwrap();
            chunk["candidates"][0]["content"]["parts"].as_array().unwrap().clone()
        })
        .collect()
}

fn folded(events: &[ChatEvent]) -> Fold {
    let mut fold = Fold::default();
    events.iter().for_each(|event| fold.feed(event));
    fold
}

#[test]
fn parts_that_are_open_at_once_come_in_their_order() {
    let stream = write_stream(
        &[
            start(),
            tool(0, "a"),
            tool(1, "b"),
            begin(2, Start::Text),
            arguments(1, "{\"x\":"),
            arguments(0, "{\n\"y\":"),
            text(2, "late"),
            arguments(1, "1}"),
            end(1),
            arguments(0, "\r\n2}"),
            end(0),
            text(2, "r"),
            end(2),
            ChatEvent::Finish { choice: 0, finish: Finish::ToolCalls, stop_sequence: None },
            ChatEvent::Done,
        ],
        false,
    );
    assert!(!stream.contains('\r') && stream.split("\n\n").all(|event| !event.contains('\n')));
    assert_eq!(
        parts(&stream),
        [
            serde_json::json!({"functionCall": {"id": "a", "name": "f", "args": {"y": 2}}}),
            serde_json::json!({"functionCall": {"id": "b", "name": "f", "args": {"x": 1}}}),
            serde_json::json!({"text": "late"}),
            serde_json::json!({"text": "r"}),
            serde_json::json!({"text": ""}),
        ]
    );
}

#[test]
fn what_is_held_back_is_bounded() {
    let mut events = vec![start(), tool(0, "a"), begin(1, Start::Text)];
    events.extend((0..17).map(|_| text(1, &"x".repeat(1 << 16))));
    events.extend([text(1, "more"), ChatEvent::Done]);
    let stream = write_stream(&events, false);
    let read = folded(&read_stream(&stream));
    assert!(read.error().is_some_and(|error| error.status == 502) && !read.is_done());
    assert_eq!(stream.matches("data: ").count(), 1);
    // What goes out at once is not held.
    let mut events = vec![start(), begin(0, Start::Text)];
    events.extend((0..40).map(|_| text(0, &"x".repeat(1 << 16))));
    events.push(ChatEvent::Done);
    assert!(folded(&read_stream(&write_stream(&events, false))).is_done());
}

#[test]
fn an_array_is_json_wherever_it_ends() {
    let said = [start(), begin(0, Start::Text), text(0, "a"), text(0, "b"), end(0)];
    let whole = write_stream(&[&said[..], &[ChatEvent::Done, ChatEvent::Done, error()]].concat(), true);
    let items: Vec<Value> = serde_json::from_str(&whole).unwrap();
    assert_eq!(items.len(), 3);
    assert_eq!(items[2]["candidates"][0]["finishReason"], "STOP");
    assert!(folded(&read_stream(&whole)).is_done());
    for events in [&[error(), ChatEvent::Done][..], &[&said[..], &[error(), ChatEvent::Done]].concat()] {
        let stream = write_stream(events, true);
        let items: Vec<Value> = serde_json::from_str(&stream).unwrap();
        let last = items.last().unwrap();
        assert_eq!((&last["error"]["code"], &last["error"]["message"]), (&503.into(), &"busy".into()));
        let read = folded(&read_stream(&stream));
        assert!(read.error().is_some() && !read.is_done());
    }
}

#[test]
fn a_keep_alive_changes_nothing() {
    let said = [start(), begin(0, Start::Text), text(0, "a"), text(0, "b"), end(0), ChatEvent::Done];
    for as_array in [false, true] {
        let mut writer = Gemini.writer(&Setting { as_array, ..setting() });
        let mut out = Vec::new();
        out.extend_from_slice(crate::wire::codec::keep_alive(Dialect::Gemini));
        for event in &said {
            writer.write(event, &mut out);
            out.extend_from_slice(crate::wire::codec::keep_alive(Dialect::Gemini));
        }
        let stream = String::from_utf8(out).unwrap();
        assert_eq!(read_stream(&stream), read_stream(&write_stream(&said, as_array)));
    }
}

#[test]
fn a_thought_in_pieces_comes_back_as_one_with_its_signature() {
    let signature = Signature { dialect: Dialect::AnthropicMessages, data: "sig".to_owned() };
    let thinking = Start::Thinking { id: None, redacted: false, summary: true };
    let stream = write_stream(
        &[
            start(),
            begin(0, thinking),
            text(0, "one "),
            text(0, "two"),
            delta(0, Delta::Signature(signature.clone())),
            end(0),
            begin(1, Start::Text),
            text(1, "b"),
            end(1),
            ChatEvent::Done,
        ],
        false,
    );
    // SDKs keep each piece as a content of its own.
    let pieces = parts(&stream).into_iter().map(|part| serde_json::json!({"role": "model", "parts": [part]}));
    let contents: Vec<Value> =
        [serde_json::json!({"role": "user", "parts": [{"text": "a"}]})].into_iter().chain(pieces).collect();
    let (request, _) = read_request(&serde_json::json!({"contents": contents}).to_string());
    let expect = Thinking {
        text: "one two".to_owned(),
        signature: Some(signature),
        summary: true,
        ..Thinking::default()
    };
    assert_eq!(request.turns.len(), 2);
    assert_eq!(request.turns[1].parts, [Part::Thinking(expect), Part::text("b")]);
}

#[test]
fn a_stream_without_a_reason_to_finish_has_no_end() {
    let event = r#"data: {"candidates":[{"content":{"parts":[{"text":"a"}]}}],"responseId":"r"}"#;
    let events = read_stream(&format!("{event}\n\n"));
    assert_eq!(events.len(), 3, "{events:?}");
    assert!(!folded(&events).is_done());
    assert_eq!(read_stream(""), []);
    assert_eq!(read_stream("\u{feff}\n\n"), []);
    assert_eq!(read_stream(": ping\n\n"), []);
    assert_eq!(read_stream("[]"), []);
}

#[test]
fn what_is_told_again_counts_once() {
    let event = |text: &str, more: &str| {
        format!(
            r#"data: {{"candidates":[{{"content":{{"parts":[{{"text":"{text}"}}]}},"finishReason":"STOP",
            "groundingMetadata":{{"webSearchQueries":["a"{more}],"groundingChunks":[{{"web":{{"uri":"https://a"}}}}],
            "groundingSupports":[{{"segment":{{"endIndex":1}},"groundingChunkIndices":[0]}}]}}}}],
            "usageMetadata":{{"promptTokenCount":1}}}}"#
        )
        .replace('\n', " ")
    };
    let fold = folded(&read_stream(&format!("{}\n\n{}\n\n", event("xy", ""), event("z", r#","b""#))));
    let answer = fold.answer();
    assert_eq!(answer.usage.map(|usage| usage.searches), Some(2));
    let [Part::Text { text, citations, .. }] = &answer.choices[0].parts[..] else { panic!("{answer:?}") };
    assert_eq!((&**text, citations.len()), ("xyz", 1));
}

#[test]
fn nothing_follows_an_error() {
    let good = r#"{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}]}"#;
    for bad in ["{\"candidates\":[{\"content\":7}]}", "nonsense", "{\"error\":{\"code\":500}}", "null"] {
        let events = read_stream(&format!("data: {good}\n\ndata: {bad}\n\ndata: {good}\n\n"));
        assert!(matches!(events.last(), Some(ChatEvent::Error(_))), "{bad}: {events:?}");
        assert_eq!(events.iter().filter(|event| matches!(event, ChatEvent::Error(_))).count(), 1);
    }
    let large = "x".repeat(crate::wire::sse::MAX_EVENT);
    for stream in [format!("data: {{\"a\":\"{large}\"}}\n\n"), format!("[{{\"a\":\"{large}\"}}]")] {
        let events = read_stream(&stream);
        let [ChatEvent::Error(error)] = &events[..] else { panic!("{} events", events.len()) };
        assert_eq!((error.kind, error.status), (ErrorKind::Internal, 502));
    }
}

#[test]
fn candidates_beyond_belief_are_passed_over() {
    let event = |index: u64| {
        format!(
            "data: {{\"candidates\":[{{\"index\":{index},\"content\":{{\"parts\":[{{\"text\":\"a\"}}]}}}}]}}\n\n"
        )
    };
    assert_eq!(read_stream(&event(4_000_000_000)).len(), 1);
    assert_eq!(read_stream(&event(127)).len(), 3);
}

fn any_part() -> impl Strategy<Value = Part> {
    let signature = prop_oneof![
        Just(None),
        "[a-z]{1,5}".prop_map(|data| Some(Signature { dialect: Dialect::OpenAiResponses, data })),
    ];
    let said = "[a-z你\n\"]{1,9}";
    prop_oneof![
        (said, signature.clone()).prop_map(|(text, signature)| signed(&text, signature)),
        (said, signature.clone()).prop_map(|(text, signature)| Part::Thinking(Thinking {
            text,
            signature,
            ..Thinking::default()
        })),
        ("[a-z]{1,4}", "[a-z{}\n\"]{1,9}", signature).prop_map(|(id, arguments, signature)| {
            let name = "f".to_owned();
            Part::ToolCall(ToolCall { id, name, arguments, signature, cache: None })
        }),
    ]
}

/// Arguments without the blanks between their tokens, which an event cannot hold all of.
fn meant(arguments: &str) -> String {
    match serde_json::from_str::<Value>(arguments) {
        Ok(value) if value.is_object() => value.to_string(),
        _ if arguments.trim().is_empty() => "{}".to_owned(),
        _ => arguments.to_owned(),
    }
}

/// What is said, whatever parts it is cut into.
fn essence(choice: &Choice) -> (String, String, Vec<(String, String)>) {
    let mut essence = (String::new(), String::new(), Vec::new());
    for part in &choice.parts {
        match part {
            Part::Text { text, .. } => essence.0.push_str(text),
            Part::Thinking(thinking) => essence.1.push_str(&thinking.text),
            Part::ToolCall(call) => essence.2.push((call.id.clone(), meant(&call.arguments))),
            _ => {}
        }
    }
    essence
}

/// Every part begins in its turn, ends once, and before its choice does.
fn expect_balanced(events: &[ChatEvent]) {
    let (mut next, mut open) = (std::collections::HashMap::new(), std::collections::HashSet::new());
    assert!(matches!(events[0], ChatEvent::Start { .. }));
    for event in events {
        match event {
            ChatEvent::Begin { choice, part, .. } => {
                let next = next.entry(*choice).or_insert(0);
                assert_eq!(part, next);
                *next += 1;
                assert!(open.insert((*choice, *part)));
            }
            ChatEvent::Delta { choice, part, .. } => assert!(open.contains(&(*choice, *part))),
            ChatEvent::End { choice, part } => assert!(open.remove(&(*choice, *part))),
            ChatEvent::Finish { choice, .. } => assert!(open.iter().all(|(of, _)| of != choice)),
            _ => {}
        }
    }
    assert!(open.is_empty());
}

proptest! {
    #[test]
    fn what_is_written_reads_back(
        parts in proptest::collection::vec(any_part(), 0..6), as_array: bool, cut in 0_usize..2_000
    ) {
        let choice = Choice { parts, finish: Some(Finish::Length), ..Choice::default() };
        let answer = ChatAnswer { choices: vec![choice], ..ChatAnswer::default() };
        let stream = write_stream(&answer.events(), as_array);
        let (mut reader, mut events) = (Gemini.reader(), Vec::new());
        let (front, back) = stream.as_bytes().split_at(cut.min(stream.len()));
        reader.feed(front, &mut events);
        reader.feed(back, &mut events);
        reader.end(&mut events);
        expect_balanced(&events);
        let read = folded(&events);
        prop_assert!(read.is_done());
        prop_assert_eq!(essence(&read.answer().choices[0]), essence(&answer.choices[0]));
        prop_assert_eq!(&read.answer().choices[0].finish, &Some(Finish::Length));
    }
}
