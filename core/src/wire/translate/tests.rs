//! Streams, answers and errors through every pair of dialects.

use super::*;
use crate::wire::{
    chat::{ErrorKind, Fold},
    codec::CODECS,
    tests::{fixtures, setting},
};

fn pairs() -> impl Iterator<Item = Pair> {
    let all = CODECS.iter().flat_map(|caller| CODECS.iter().map(move |upstream| (*caller, *upstream)));
    all.filter(|(caller, upstream)| caller.dialect() != upstream.dialect())
        .map(|(caller, upstream)| Pair { caller, upstream })
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
    for pair in pairs() {
        for (name, bytes) in fixtures(pair.upstream.dialect(), "stream_") {
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
    for pair in pairs() {
        for (name, bytes) in fixtures(pair.upstream.dialect(), "answer_") {
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

#[test]
fn an_error_that_a_stream_begins_with_is_a_plain_one_under_its_status_and_our_id() {
    for pair in pairs() {
        let error = ChatError {
            kind: ErrorKind::Internal,
            status: 500,
            message: "Out of order".to_owned(),
            code: None,
            param: None,
        };
        let mut event = Vec::new();
        pair.upstream.writer(&setting()).write(&ChatEvent::Error(error), &mut event);
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
