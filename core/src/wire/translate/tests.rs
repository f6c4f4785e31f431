//! Streams, answers and errors through every pair of dialects.

use super::*;
use crate::{
    domain::usage::Usage,
    wire::{
        chat::{ErrorKind, Fold},
        tests::{fixtures, setting},
    },
};

/// Each pair of two, with the upstream's dialect.
fn pairs() -> impl Iterator<Item = (Pair, Dialect)> {
    let all = Dialect::ALL.into_iter().flat_map(|caller| Dialect::ALL.map(|upstream| (caller, upstream)));
    all.filter(|(caller, upstream)| caller != upstream)
        .map(|(caller, upstream)| (Pair::of(caller, upstream).expect("both have a codec"), upstream))
}

/// What goes to the caller while the stream is open, its end, and what was read.
fn run(pair: &Pair, pieces: &[&[u8]]) -> (Vec<u8>, Vec<u8>, StreamTranslator) {
    let (mut stream, mut out) = (pair.stream(&setting()), Vec::new());
    pieces.iter().for_each(|piece| stream.feed(piece, &mut out));
    stream.finish(&mut out);
    let terminal = stream.take_terminal().concat();
    (out.concat(), terminal, stream)
}

#[test]
fn a_stream_is_translated_the_same_wherever_it_is_cut_and_its_end_is_kept_back() {
    let mut walked = 0;
    for (pair, upstream) in pairs() {
        for (name, bytes) in fixtures(upstream, "stream_") {
            let (whole, end, mut stream) = run(&pair, &[&bytes]);
            let mut fold = Fold::default();
            let (mut reader, mut events) = (pair.upstream.reader(), Vec::new());
            reader.feed(&bytes, &mut events);
            reader.end(&mut events);
            events.iter().for_each(|event| fold.feed(event));

            let reading = stream.take_reading();
            assert_eq!(reading.usage, fold.answer().usage, "{pair:?} {name}");
            assert_eq!(reading.complete, !end.is_empty(), "{pair:?} {name}");
            assert!(reading.complete != reading.error, "{pair:?} {name}: an end or an error");
            assert!(fold.error().is_none() || reading.error, "{pair:?} {name}");
            assert_eq!(stream.keep_alive(), b"", "{pair:?} {name}: nothing comes after the end");
            // What the caller has before the end is no whole stream.
            let mut open = Vec::new();
            let mut reader = pair.caller.reader();
            reader.feed(&whole, &mut open);
            assert!(!open.contains(&ChatEvent::Done), "{pair:?} {name}");
            reader.feed(&end, &mut open);
            reader.end(&mut open);
            assert_eq!(open.contains(&ChatEvent::Done), reading.complete, "{pair:?} {name}");

            for cut in (0..bytes.len()).step_by(3) {
                let (cut_whole, cut_end, _) = run(&pair, &[&bytes[..cut], &bytes[cut..]]);
                assert!(cut_whole == whole && cut_end == end, "{pair:?} {name} cut at {cut}");
            }
            walked += 1;
        }
    }
    assert!(walked > 60, "{walked} streams were walked");
}

#[test]
fn an_answer_that_the_model_broke_off_is_whole_to_nobody() {
    let gemini = r#"{"candidates":[{"content":{},"finishReason":"MALFORMED_FUNCTION_CALL"}],"usageMetadata":{"promptTokenCount":3}}"#;
    let chat = r#"{"choices":[{"message":{"content":"x"},"finish_reason":"insufficient_system_resource"}]}"#;
    for (upstream, body, own) in [
        (Dialect::Gemini, gemini, "malformed_function_call"),
        (Dialect::OpenAiChat, chat, "insufficient_system_resource"),
    ] {
        for (caller, pointer, expect) in [
            (Dialect::OpenAiChat, "/choices/0/finish_reason", "length"),
            (Dialect::AnthropicMessages, "/stop_reason", "max_tokens"),
            (Dialect::OpenAiResponses, "/incomplete_details/reason", own),
            (Dialect::Gemini, "/candidates/0/finishReason", "OTHER"),
        ] {
            if caller == upstream {
                continue;
            }
            let pair = Pair::of(caller, upstream).unwrap();
            let (answer, _) = pair.answer(body.as_bytes(), &setting(), &mut Dropped::default()).unwrap();
            let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
            assert_eq!(answer.pointer(pointer).unwrap(), expect, "{answer}");
        }
    }
}

#[test]
fn an_event_that_is_too_large_to_be_told_is_counted_all_the_same() {
    let long = "A".repeat(2 * crate::wire::sse::MAX_EVENT);
    let usage = r#""usage":{"input_tokens":50,"output_tokens":9,"total_tokens":59}"#;
    let response = format!(
        "event: response.completed\ndata: {{\"type\":\"response.completed\",\"response\":{{\"output\":[{{\"type\":\"reasoning\",\"encrypted_content\":\"{long}\"}}],{usage}}}}}\n\n"
    );
    let image = format!(
        r#"{{"candidates":[{{"content":{{"parts":[{{"inlineData":{{"mimeType":"image/png","data":"{long}"}}}}]}},"finishReason":"STOP"}}],"usageMetadata":{{"promptTokenCount":50,"candidatesTokenCount":9,"totalTokenCount":59}}}}"#
    );
    for (upstream, stream, images) in [
        (Dialect::OpenAiResponses, response, 0),
        (Dialect::Gemini, format!("data: {image}\n\n"), 1),
        (Dialect::Gemini, format!("data: {image}"), 1),
    ] {
        let pair = Pair::of(Dialect::AnthropicMessages, upstream).unwrap();
        for size in [stream.len(), 64 * 1024, 5_000] {
            let pieces: Vec<_> = stream.as_bytes().chunks(size).collect();
            let (_, _, mut stream) = run(&pair, &pieces);
            let reading = stream.take_reading();
            let usage = Usage { input: 50, output: 9, images, ..Usage::default() };
            assert_eq!(
                (reading.usage, reading.error),
                (Some(usage), true),
                "{upstream:?} in pieces of {size}"
            );
        }
    }
}

#[test]
fn a_first_error_is_told_from_an_answer_and_what_only_begins_is_neither() {
    let pair = Pair::of(Dialect::OpenAiChat, Dialect::AnthropicMessages).unwrap();
    let mut stream = pair.stream(&setting());
    let start = b"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"c\",\"content\":[],\"usage\":{\"input_tokens\":7,\"output_tokens\":1}}}\n\n";
    let error = b"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
    stream.feed(start, &mut Vec::new());
    assert_eq!(stream.first(), First::Unknown);
    stream.feed(error, &mut Vec::new());
    assert_eq!((stream.first(), stream.blames_request()), (First::Error, false));

    let mut stream = pair.stream(&setting());
    stream.feed(start, &mut Vec::new());
    let text = b"event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n";
    stream.feed(text, &mut Vec::new());
    assert_eq!(stream.first(), First::Answer);
    assert_eq!(stream.keep_alive(), b": keep-alive\n\n".as_slice());
}

#[test]
fn a_stream_without_an_end_is_an_error_to_its_caller() {
    let pair = Pair::of(Dialect::AnthropicMessages, Dialect::OpenAiChat).unwrap();
    let chunk = |delta: &str, finish: &str| {
        format!(
            "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}]}}\n\n"
        )
    };
    let cut = chunk("{\"role\":\"assistant\",\"content\":\"Half\"}", "null");
    let (out, end, mut stream) = run(&pair, &[cut.as_bytes()]);
    let out = String::from_utf8(out).unwrap();
    assert!(out.contains("event: error") && end.is_empty(), "{out}");
    let reading = stream.take_reading();
    assert_eq!((reading.error, reading.complete, reading.text().kept()), (true, false, "Half"));

    // One that told why it ended is whole, though its last word is missing.
    let ended = cut + &chunk("{}", "\"stop\"");
    let (_, end, mut stream) = run(&pair, &[ended.as_bytes()]);
    assert!(String::from_utf8(end).unwrap().contains("message_stop"));
    assert!(stream.take_reading().complete);
}

#[test]
fn plain_answers_and_errors_come_in_the_callers_words() {
    for (pair, upstream) in pairs() {
        for (name, bytes) in fixtures(upstream, "answer_") {
            let (body, reading) = pair
                .answer(&bytes, &setting(), &mut Dropped::default())
                .unwrap_or_else(|error| panic!("{pair:?} {name}: {error}"));
            let read =
                pair.caller.decode_answer(&body).unwrap_or_else(|error| panic!("{pair:?} {name}: {error}"));
            let told = |usage: Option<Usage>| usage.map(|it| (it.prompt_tokens(), it.completion_tokens()));
            assert_eq!(told(read.usage), told(reading.usage), "{pair:?} {name}");
            assert!(reading.complete);
        }
        assert!(pair.answer(b"<html>", &setting(), &mut Dropped::default()).is_err());
        let (status, body, reading) = pair.error(429, b"{\"error\":{\"message\":\"Slow down\"}}", "gen-1");
        assert_eq!((status, reading.error, reading.blames_request), (429, true, false));
        assert!(String::from_utf8(body).unwrap().contains("Slow down"), "{pair:?}");
    }
}

/// In every dialect an answer, and the last event of a stream, with `usage` in it.
fn with_usage(upstream: Dialect, usage: &str) -> (String, String) {
    let finish = r#"{"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}]}"#;
    match upstream {
        Dialect::OpenAiChat => (
            format!(
                r#"{{"choices":[{{"index":0,"message":{{"content":"x"}},"finish_reason":"stop"}}],"usage":{usage}}}"#
            ),
            format!("data: {finish}\n\ndata: {{\"choices\":[],\"usage\":{usage}}}\n\ndata: [DONE]\n\n"),
        ),
        Dialect::OpenAiResponses => {
            let response = format!(r#"{{"id":"resp_1","status":"completed","output":[],"usage":{usage}}}"#);
            let event = format!(r#"{{"type":"response.completed","response":{response}}}"#);
            (response, format!("event: response.completed\ndata: {event}\n\n"))
        }
        Dialect::AnthropicMessages => {
            let end = r#"{"stop_reason":"end_turn"}"#;
            let delta = format!(r#"{{"type":"message_delta","delta":{end},"usage":{usage}}}"#);
            (
                format!(r#"{{"content":[],"stop_reason":"end_turn","usage":{usage}}}"#),
                format!("data: {delta}\n\ndata: {{\"type\":\"message_stop\"}}\n\n"),
            )
        }
        Dialect::Gemini => {
            let answer = format!(
                r#"{{"candidates":[{{"content":{{"parts":[]}},"finishReason":"STOP"}}],"usageMetadata":{usage}}}"#
            );
            let stream = format!("data: {answer}\n\n");
            (answer, stream)
        }
    }
}

#[test]
fn usage_that_cannot_be_believed_or_contradicts_itself_is_flagged_when_it_is_translated_too() {
    let names = |upstream| match upstream {
        Dialect::OpenAiChat => ("prompt_tokens", "completion_tokens"),
        Dialect::OpenAiResponses | Dialect::AnthropicMessages => ("input_tokens", "output_tokens"),
        Dialect::Gemini => ("promptTokenCount", "candidatesTokenCount"),
    };
    for (pair, upstream) in pairs() {
        let (prompt, completion) = names(upstream);
        for (count, is_believed) in
            [("7", true), ("-1", false), ("1e400", false), ("7.5", false), ("18446744073709551616", false)]
        {
            let usage = format!(r#"{{"{prompt}":3,"{completion}":{count}}}"#);
            let (answer, stream) = with_usage(upstream, &usage);
            let (_, plain) = pair.answer(answer.as_bytes(), &setting(), &mut Dropped::default()).unwrap();
            let (_, _, mut streamed) = run(&pair, &[stream.as_bytes()]);
            for reading in [plain, streamed.take_reading()] {
                assert_eq!(
                    (reading.flagged, reading.usage.is_some()),
                    (!is_believed, is_believed),
                    "{pair:?} {usage}"
                );
            }
        }
    }
    // Parts that are more than their whole count as far as it goes, and are told.
    let pair = Pair::of(Dialect::OpenAiChat, Dialect::AnthropicMessages).unwrap();
    let odd = r#"{"input_tokens":3,"output_tokens":2,"output_tokens_details":{"thinking_tokens":9}}"#;
    let (answer, stream) = with_usage(Dialect::AnthropicMessages, odd);
    let (_, plain) = pair.answer(answer.as_bytes(), &setting(), &mut Dropped::default()).unwrap();
    let (_, _, mut streamed) = run(&pair, &[stream.as_bytes()]);
    for reading in [plain, streamed.take_reading()] {
        assert!(reading.flagged && reading.usage.is_some_and(|usage| usage.reasoning == 2));
    }
}

#[test]
fn an_error_under_status_200_is_told_from_an_answer() {
    for (upstream, body, status) in [
        (Dialect::OpenAiChat, r#"{"error":{"message":"m","type":"overloaded_error"}}"#, Some(503)),
        (Dialect::OpenAiChat, r#"{"error":{"message":"m","code":429}}"#, Some(429)),
        (Dialect::OpenAiChat, r#"{"error":"m"}"#, Some(500)),
        (
            Dialect::AnthropicMessages,
            r#"{"type":"error","error":{"type":"rate_limit_error","message":"m"}}"#,
            Some(429),
        ),
        (
            Dialect::OpenAiResponses,
            r#"{"status":"failed","error":{"code":"server_error","message":"m"}}"#,
            Some(500),
        ),
        (Dialect::Gemini, r#"{"error":{"code":503,"message":"m","status":"UNAVAILABLE"}}"#, Some(503)),
        (Dialect::OpenAiChat, r#"{"error":null}"#, None),
        (Dialect::Gemini, "<html>", None),
    ] {
        let (pair, _) = pairs().find(|(_, dialect)| *dialect == upstream).unwrap();
        assert!(pair.answer(body.as_bytes(), &setting(), &mut Dropped::default()).is_err(), "{body}");
        assert_eq!(pair.error_within(body.as_bytes()), status, "{body}");
    }
}

#[test]
fn parallel_calls_wait_for_each_other_within_bounds_and_none_is_lost() {
    let pair = Pair::of(Dialect::AnthropicMessages, Dialect::OpenAiChat).unwrap();
    let chunk = |calls: &str, finish: &str| {
        format!(
            "data: {{\"id\":\"c\",\"choices\":[{{\"index\":0,\"delta\":{{{calls}}},\"finish_reason\":{finish}}}]}}\n\n"
        )
    };
    let piece = |index: usize, text: &str| {
        let named = format!(
            r#""tool_calls":[{{"index":{index},"id":"call_{index}","function":{{"name":"f","arguments":"{text}"}}}}]"#
        );
        chunk(&named, "null")
    };
    let end = chunk("", "\"tool_calls\"") + "data: [DONE]\n\n";
    // Begun one after the other and told in turns.
    let turns: String =
        ["{", "\\\"a\\\":1", "}"].iter().flat_map(|text| (0..3).map(|at| piece(at, text))).collect();
    let (out, terminal, mut stream) = run(&pair, &[turns.as_bytes(), end.as_bytes()]);
    let (mut reader, mut events, mut fold) = (pair.caller.reader(), Vec::new(), Fold::default());
    reader.feed(&[out, terminal].concat(), &mut events);
    events.iter().for_each(|event| fold.feed(event));
    let calls: Vec<_> = fold.answer().choices[0]
        .parts
        .iter()
        .map(|part| match part {
            crate::wire::chat::Part::ToolCall(call) => (call.id.clone(), call.arguments.clone()),
            other => panic!("{other:?}"),
        })
        .collect();
    let expect = |at: usize| (format!("call_{at}"), "{\"a\":1}".to_owned());
    assert_eq!(calls, [expect(0), expect(1), expect(2)]);
    assert!(stream.take_reading().complete);

    // What is too much is an error to the caller, and no whole answer to whoever accounts for it.
    let long = piece(0, "{") + &piece(1, &"x".repeat(700_000)) + &piece(1, &"x".repeat(700_000));
    let (out, terminal, mut stream) = run(&pair, &[long.as_bytes(), end.as_bytes()]);
    let out = String::from_utf8(out).unwrap();
    assert!(out.matches("event: error").count() == 1 && out.ends_with("}\n\n") && terminal.is_empty());
    let reading = stream.take_reading();
    assert_eq!((reading.error, reading.complete, reading.blames_request), (true, false, false));
}

#[test]
fn an_error_that_a_stream_begins_with_is_a_plain_one_under_its_status_and_our_id() {
    for (pair, upstream) in pairs() {
        let error = ChatError {
            kind: ErrorKind::Internal,
            status: 500,
            message: "Out of order".to_owned(),
            code: None,
            param: None,
        };
        let mut event = Vec::new();
        codec(upstream).unwrap().writer(&setting()).write(&ChatEvent::Error(error), &mut event);
        let (_, _, stream) = run(&pair, &[&event]);
        let body = stream.error(502).unwrap();
        assert_eq!(pair.caller.decode_error(502, &body).message, "Out of order", "{pair:?}");
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        match pair.caller.dialect() {
            Dialect::AnthropicMessages => assert_eq!(body["request_id"], *setting().id, "{pair:?}"),
            Dialect::Gemini => assert_eq!(body["error"]["code"], 502, "{pair:?}"),
            Dialect::OpenAiChat | Dialect::OpenAiResponses => {}
        }
    }
}
