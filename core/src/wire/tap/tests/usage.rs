//! Usage in the streams of every dialect: each class, numbers that contradict each other or cannot be
//! believed, and ends that are larger than what is held.

use super::*;
use crate::wire::sse::MAX_EVENT;

const ANTHROPIC: Dialect = Dialect::AnthropicMessages;
const RESPONSES: Dialect = Dialect::OpenAiResponses;
const GEMINI: Dialect = Dialect::Gemini;

fn reading(dialect: Dialect, datas: &[&str]) -> Reading {
    let stream = events(datas);
    let outcome = Outcome::in_dialect(dialect, stream.as_bytes().chunks(11));
    assert_eq!([outcome.client, outcome.terminal].concat(), stream.as_bytes());
    outcome.reading
}

/// The usage, whether it is the whole answer's, and whether it is flagged.
#[track_caller]
fn check(dialect: Dialect, datas: &[&str], usage: Option<Usage>, is_final: bool, flagged: bool) {
    let reading = reading(dialect, datas);
    assert_eq!(
        (reading.usage, reading.usage_is_final, reading.flagged),
        (usage, is_final, flagged),
        "{datas:?}"
    );
}

fn start(usage: &str) -> String {
    let usage = usage.replace('\n', "");
    format!(r#"{{"type":"message_start","message":{{"id":"m","usage":{usage}}}}}"#)
}

fn delta(usage: &str) -> String {
    let usage = usage.replace('\n', "");
    format!(r#"{{"type":"message_delta","delta":{{"stop_reason":"end_turn"}},"usage":{usage}}}"#)
}

#[test]
fn anthropics_totals_supersede_each_other() {
    let begin = start(
        r#"{"input_tokens":10,"cache_creation_input_tokens":300,"cache_read_input_tokens":5,
            "cache_creation":{"ephemeral_5m_input_tokens":100,"ephemeral_1h_input_tokens":200},"output_tokens":1}"#,
    );
    let begun = Usage {
        input: 10,
        cache_read: 5,
        cache_write_5m: 100,
        cache_write_1h: 200,
        output: 1,
        ..Usage::default()
    };
    check(ANTHROPIC, &[&begin], Some(begun), false, false);
    let end = delta(
        r#"{"cache_creation_input_tokens":300,"output_tokens":40,"output_tokens_details":{"thinking_tokens":15},
            "server_tool_use":{"web_search_requests":2},"iterations":[{"output_tokens":1}]}"#,
    );
    let all = Usage { output: 25, reasoning: 15, searches: 2, ..begun };
    check(ANTHROPIC, &[&begin, &end], Some(all), true, false);
    check(ANTHROPIC, &[&begin, &end, &end], Some(all), true, false);
    // Without a beginning, and without an end.
    check(
        ANTHROPIC,
        &[&delta(r#"{"output_tokens":4}"#)],
        Some(Usage { output: 4, ..Usage::default() }),
        true,
        false,
    );
    check(ANTHROPIC, &[&start("null"), r#"{"type":"message_delta","delta":{}}"#], None, false, false);
}

#[test]
fn what_cannot_be_believed_is_flagged() {
    let begin = start(r#"{"input_tokens":10,"output_tokens":1}"#);
    let usage = |output| Some(Usage { input: 10, output, ..Usage::default() });
    for bad in ["-1", "1.5", "\"7\"", "1e400", "4294967296", "18446744073709551616", "{}"] {
        let bad = format!(r#"{{"output_tokens":{bad}}}"#);
        check(ANTHROPIC, &[&begin, &delta(&bad)], None, true, true);
        let good = delta(r#"{"output_tokens":9}"#);
        check(ANTHROPIC, &[&begin, &delta(&bad), &good], usage(9), true, true);
    }
    check(ANTHROPIC, &[&begin, &delta(r#"{"output_tokens":0}"#)], usage(0), true, true);
    let thought = delta(r#"{"output_tokens":2,"output_tokens_details":{"thinking_tokens":3}}"#);
    check(
        ANTHROPIC,
        &[&begin, &thought],
        Some(Usage { input: 10, reasoning: 2, ..Usage::default() }),
        true,
        true,
    );

    let gemini = |usage: &str| format!(r#"{{"candidates":[],"usageMetadata":{usage}}}"#);
    let plain = |input, output| Some(Usage { input, output, ..Usage::default() });
    for bad in ["-1", "1.5", "\"7\"", "1e400", "4294967296", "18446744073709551616"] {
        let bad = gemini(&format!(r#"{{"promptTokenCount":3,"candidatesTokenCount":{bad}}}"#));
        check(GEMINI, &[&bad], None, false, true);
        let good = gemini(r#"{"promptTokenCount":3,"candidatesTokenCount":4}"#);
        check(GEMINI, &[&bad, &good], plain(3, 4), false, true);
    }
    let counts = |candidates: u64, total: u64| {
        gemini(&format!(
            r#"{{"promptTokenCount":3,"candidatesTokenCount":{candidates},"totalTokenCount":{total}}}"#
        ))
    };
    check(GEMINI, &[&counts(4, 8)], plain(3, 4), false, true);
    check(GEMINI, &[&counts(4, 7), &counts(2, 5)], plain(3, 2), false, true);
    check(GEMINI, &[&counts(4, 7), &gemini(r#"{"trafficType":"ON_DEMAND"}"#)], plain(3, 4), false, false);
    check(GEMINI, &[&gemini("null"), &gemini("{}")], None, false, false);

    let responses =
        |usage: &str| format!(r#"{{"type":"response.completed","response":{{"usage":{usage}}}}}"#);
    check(RESPONSES, &[&responses(r#"{"input_tokens":3,"output_tokens":-1}"#)], None, true, true);
    check(
        RESPONSES,
        &[&responses(r#"{"input_tokens":3,"output_tokens":4,"total_tokens":9}"#)],
        plain(3, 4),
        true,
        true,
    );
    check(RESPONSES, &[&responses("null")], None, false, false);
}

#[test]
fn every_class_is_told() {
    let usage = r#"{"promptTokenCount":100,"cachedContentTokenCount":40,"candidatesTokenCount":30,
        "thoughtsTokenCount":12,"toolUsePromptTokenCount":7,"totalTokenCount":149,
        "promptTokensDetails":[{"modality":"TEXT","tokenCount":70},{"modality":"AUDIO","tokenCount":30}],
        "cacheTokensDetails":[{"modality":"AUDIO","tokenCount":10}],
        "candidatesTokensDetails":[{"modality":"AUDIO","tokenCount":5}]}"#
        .replace('\n', "");
    let image = r#"{"inlineData":{"mimeType":"image/png","data":"AA=="}}"#;
    let grounds = r#""groundingMetadata":{"webSearchQueries":["a","b"]}"#;
    let first = format!(
        r#"{{"candidates":[{{"content":{{"parts":[{image},{{"thought":true,{}}}]}},{grounds}}}]}}"#,
        &image[1..image.len() - 1]
    );
    let last = format!(
        r#"{{"candidates":[{{"content":{{"parts":[{image}]}},"finishReason":"STOP",{grounds}}}],"usageMetadata":{usage}}}"#
    );
    let all = Usage {
        input: 47,
        cache_read: 40,
        audio_in: 20,
        output: 25,
        reasoning: 12,
        audio_out: 5,
        images: 2,
        searches: 2,
        ..Usage::default()
    };
    check(GEMINI, &[&first, &last], Some(all), true, false);

    let usage = r#"{"input_tokens":5000,"input_tokens_details":{"cached_tokens":3000,"cache_write_tokens":900,"cache_write_tokens_details":{"ttl_30m_tokens":600,"ttl_12h_tokens":300}},"output_tokens":450,"output_tokens_details":{"reasoning_tokens":320},"total_tokens":5450}"#;
    let all = Usage {
        input: 1100,
        cache_read: 3000,
        cache_write_5m: 600,
        cache_write_1h: 300,
        output: 130,
        reasoning: 320,
        ..Usage::default()
    };
    for kind in ["completed", "incomplete"] {
        let end = format!(r#"{{"type":"response.{kind}","response":{{"status":"{kind}","usage":{usage}}}}}"#);
        check(RESPONSES, &[&end], Some(all), true, false);
    }
}

#[test]
fn geminis_end_is_a_reason_and_a_clean_end() {
    let finish = r#"{"candidates":[{"content":{"parts":[{"text":"x"}]},"finishReason":"STOP"}]}"#;
    let blocked = r#"{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":9}}"#;
    let going_on =
        r#"{"candidates":[{"content":{"parts":[{"text":"x"}]},"finishReason":"FINISH_REASON_UNSPECIFIED"}]}"#;
    for (stream, complete) in [
        (format!("data: {finish}\n\n"), true),
        (format!("data: {blocked}\n\n"), true),
        (format!("data: {going_on}\n\n"), false),
        (format!("[{finish}]"), true),
        (format!("[{finish}\n,{going_on}]\n"), true),
        (format!("[{finish}"), false),
        (format!("[{finish},{{\"candid"), false),
        (format!("[{going_on}]"), false),
        (finish.to_owned(), true),
        ("[]".to_owned(), false),
        (String::new(), false),
    ] {
        let reading = Outcome::in_dialect(GEMINI, stream.as_bytes().chunks(3)).reading;
        assert_eq!(reading.complete, complete, "{stream}");
    }
}

/// A stream of responses whose last event has `bytes` bytes; also where that event begins.
fn long_end(bytes: usize, ending: &str) -> (String, usize) {
    let created = "data: {\"type\":\"response.created\"}\n\n";
    let front = "data: {\"type\":\"response.completed\",\"response\":{\"instructions\":\"";
    let back = "\",\"usage\":{\"input_tokens\":3,\"output_tokens\":4}}}\n\n";
    let padding = "x".repeat(bytes - front.len() - back.len());
    let stream = format!("{created}{front}{padding}{back}").replace('\n', ending);
    (stream, created.replace('\n', ending).len())
}

#[test]
fn of_an_end_that_holds_the_whole_answer_again_the_last_bytes_are_held() {
    for ending in ["\n", "\r", "\r\n"] {
        for bytes in [LONG_END_HELD - 2, LONG_END_HELD, LONG_END_HELD + 1, HOLD_MAX, 3 * HOLD_MAX] {
            let (stream, at) = long_end(bytes, ending);
            let after = ": bye\n\n";
            let stream = stream + after;
            let whole = Outcome::in_dialect(RESPONSES, [stream.as_bytes()]);
            assert!([&*whole.client, &*whole.terminal].concat() == stream.as_bytes());
            let held = whole.terminal.len() - after.len();
            // The second half of the last line end does not count.
            let late = usize::from(ending == "\r\n");
            let event = stream.len() - after.len() - at;
            assert_eq!(held, (event - late).min(LONG_END_HELD) + late, "{bytes} bytes, {ending:?}");
            assert_eq!(whole.reading.usage, Some(Usage { input: 3, output: 4, ..Usage::default() }));
            assert!(whole.reading.complete && !whole.reading.flagged);
            for size in [1_000, 4_096, HOLD_MAX, HOLD_MAX + 7, stream.len() - after.len() - 1] {
                let outcome = Outcome::in_dialect(RESPONSES, stream.as_bytes().chunks(size));
                assert!(outcome == whole, "{bytes} bytes, {ending:?}, in chunks of {size}");
            }
        }
    }
}

#[test]
fn of_an_end_that_is_too_large_to_be_kept_the_usage_is_read() {
    let (stream, _) = long_end(3 * MAX_EVENT, "\n");
    let front = "data: {\"type\":\"response.completed\",\"response\":{";
    let failed = stream
        .replace(front, "data: {\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"x\"},");
    for (stream, error) in [(&*stream, false), (&*failed, true), (stream.trim_end(), false)] {
        for size in [stream.len(), 16 * 1024, 1_000] {
            let mut tap = StreamTap::new(RESPONSES, false);
            let (mut out, mut came) = (Vec::new(), 0);
            for chunk in stream.as_bytes().chunks(size) {
                tap.feed(&Bytes::copy_from_slice(chunk), &mut out);
                came += chunk.len();
                let held = came - out.iter().map(Bytes::len).sum::<usize>();
                assert!(size > LONG_END_HELD || held <= LONG_END_HELD, "no more is held");
            }
            tap.finish(&mut out);
            assert!(tap.is_done());
            let terminal = tap.take_terminal().concat();
            assert_eq!(terminal.len(), LONG_END_HELD);
            assert!([out.concat(), terminal].concat() == stream.as_bytes());
            let reading = tap.take_reading();
            let usage = Usage { input: 3, output: 4, ..Usage::default() };
            assert_eq!((reading.usage, reading.usage_is_final), (Some(usage), !error), "chunks of {size}");
            assert_eq!((reading.flagged, reading.error), (false, error));
        }
    }
}

#[test]
fn an_image_of_megabytes_is_counted_and_its_usage_read() {
    let object = |thought: &str, mime: &str| {
        format!(
            r#"{{"candidates":[{{"content":{{"parts":[{{"inlineData":{{"mimeType":"{mime}","data":"{}"}}{thought}}}]}},"finishReason":"STOP"}}],"usageMetadata":{{"promptTokenCount":6,"candidatesTokenCount":1290,"totalTokenCount":1296}}}}"#,
            "A".repeat(2 * MAX_EVENT)
        )
    };
    let image = object("", "image/png");
    let thought = object(",\"thought\":true", "image/png");
    let audio = object("", "audio/wav");
    for (stream, images) in [
        (format!("data: {image}\r\n\r\n"), 1),
        (format!("event: x\ndata:{thought}\n\ndata: {image}\n\ndata: {audio}\n\ndata: {image}"), 2),
        (format!("[{image}\n,\n{thought},{image}]\n"), 2),
    ] {
        for size in [stream.len(), 64 * 1024, 5_000] {
            let outcome = Outcome::in_dialect(GEMINI, stream.as_bytes().chunks(size));
            assert!([outcome.client, outcome.terminal].concat() == stream.as_bytes());
            let usage = Usage { input: 6, output: 1290, images, ..Usage::default() };
            assert_eq!(outcome.reading.usage, Some(usage), "in chunks of {size}");
            assert!(outcome.reading.complete && !outcome.reading.flagged);
        }
    }
    let error = format!(r#"{{"error":{{"code":500}},"x":"{}"}}"#, "A".repeat(2 * MAX_EVENT));
    let outcome = Outcome::in_dialect(GEMINI, format!("[{error}]").as_bytes().chunks(10_000));
    assert!(outcome.reading.error);
}

#[test]
fn searches_of_the_web_are_counted_beside_the_usage_of_responses() {
    let item = |kind: &str, action: &str| format!("{{\"id\":\"x\",\"action\":{action},\"type\":\"{kind}\"}}");
    let search = item("web_search_call", r#"{"query":"cups","type":"search"}"#);
    let bare = r#"{"type":"web_search_call","status":"completed"}"#;
    let page = item("web_search_call", r#"{"type":"open_page","url":"https://x"}"#);
    let other = item("file_search_call", r#"{"type":"search"}"#);
    let text = |bytes: usize| {
        let said = "web_search_call ".repeat(bytes / 16);
        format!("{{\"type\":\"message\",\"content\":[{{\"type\":\"output_text\",\"text\":\"{said}\"}}]}}")
    };
    let usage = r#""usage":{"input_tokens":3,"output_tokens":4,"total_tokens":7}"#;
    let expect = |searches| Some(Usage { input: 3, output: 4, searches, ..Usage::default() });
    for bytes in [16, 2 * MAX_KEPT_TEXT] {
        let output = [&*search, &page, bare, &other, &text(bytes)].join(",");
        let answer = format!("{{\"object\":\"response\",\"output\":[{output}],{usage}}}");
        for size in [answer.len(), 1_000] {
            let mut tap = PlainTap::new(RESPONSES);
            answer.as_bytes().chunks(size).for_each(|chunk| tap.feed(chunk));
            assert_eq!(tap.finish().usage, expect(2), "{bytes} bytes in chunks of {size}");
        }
    }
    let done = |item: &str| format!("data: {{\"type\":\"response.output_item.done\",\"item\":{item}}}\n\n");
    let end = |output: &str| {
        format!(
            "data: {{\"type\":\"response.completed\",\"response\":{{\"output\":[{output}],{usage}}}}}\n\n"
        )
    };
    let told = [&search, &page, &search].map(|item| done(item)).concat();
    for (stream, searches) in [
        (told.clone() + &end(&search), 2),
        (told.clone() + &end(""), 2),
        (end(&[&*search, &search, &search].join(",")), 3),
        (told + &end(&text(2 * MAX_EVENT)), 2),
        (done(&other) + &end(&other), 0),
    ] {
        for size in [stream.len(), 1_000] {
            let outcome = Outcome::in_dialect(RESPONSES, stream.as_bytes().chunks(size));
            assert_eq!(outcome.reading.usage, expect(searches), "{searches}");
        }
    }
}

#[test]
fn an_image_of_megabytes_in_openais_own_stream_tells_its_usage() {
    let image = "A".repeat(2 * MAX_EVENT);
    let told = r#""usage":{"input_tokens":7,"output_tokens":272,"total_tokens":279}"#;
    for members in [format!(r#""b64_json":"{image}",{told}"#), format!(r#"{told},"b64_json":"{image}""#)] {
        let partial =
            format!("event: image_generation.partial_image\ndata: {{\"b64_json\":\"{image}\"}}\n\n");
        let last = format!("data: {{\"type\":\"image_generation.completed\",{members}}}\n\n");
        let stream = partial + &last;
        for (hide, size) in [(true, 64 * 1024), (false, 5_000), (true, stream.len())] {
            let outcome = Outcome::of(stream.as_bytes().chunks(size), hide);
            assert!([outcome.client, outcome.terminal].concat() == stream.as_bytes());
            let usage = Usage { input: 7, output: 272, ..Usage::default() };
            assert_eq!(outcome.reading.usage, Some(usage), "in chunks of {size}");
        }
    }
}

#[test]
fn an_array_of_many_megabytes_is_read_in_little_memory() {
    let object = format!(
        r#"{{"candidates":[{{"content":{{"parts":[{{"text":"{}"}}]}}}}],"usageMetadata":{{"promptTokenCount":1,"candidatesTokenCount":2}}}},"#,
        "word ".repeat(1000)
    );
    let mut tap = StreamTap::new(GEMINI, false);
    let mut out = Vec::new();
    let mut came = 1;
    tap.feed(&Bytes::from_static(b"["), &mut out);
    for _ in 0..2_000 {
        tap.feed(&Bytes::from(object.clone()), &mut out);
        came += object.len();
        assert_eq!(out.drain(..).map(|part| part.len()).sum::<usize>(), std::mem::take(&mut came));
    }
    tap.feed(&Bytes::from_static(b"{\"candidates\":[{\"finishReason\":\"STOP\"}]}\n]"), &mut out);
    tap.finish(&mut out);
    let reading = tap.take_reading();
    assert!(reading.complete && !reading.flagged);
    assert_eq!(reading.usage.unwrap().completion_tokens(), 2);
    assert_eq!(reading.text().bytes(), 2_000 * 5_000);
    assert_eq!(reading.text().kept().len(), MAX_KEPT_TEXT);
}
