//! Plain answers: usage, errors under status 200, and answers that are none.

use super::*;

fn read(answer: &[u8], size: usize) -> Reading {
    let mut tap = PlainTap::new(Dialect::OpenAiChat);
    answer.chunks(size).for_each(|chunk| tap.feed(chunk));
    tap.finish()
}

/// The reading of an answer, which must not depend on how it was cut.
#[track_caller]
fn reading(answer: &str) -> Reading {
    let whole = read(answer.as_bytes(), answer.len().max(1));
    for size in 1..answer.len() {
        assert_eq!(read(answer.as_bytes(), size), whole, "cut at {size}");
    }
    whole
}

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../../../../tests/fixtures/wire/openai_chat/", $name))
    };
}

#[test]
fn a_chat_answer_is_read() {
    let reading = reading(fixture!("answer_chat.json"));
    let expect = Usage { input: 7, cache_read: 16, output: 7, reasoning: 4, ..Usage::default() };
    assert_eq!(reading.usage, Some(expect));
    assert!(reading.complete && !reading.error && !reading.flagged);
    assert_eq!(reading.text().kept(), "A \"usage\": {\"prompt_tokens\": 999} in text counts for nothing.");
    assert_eq!(reading.text().bytes(), reading.text().kept().len() as u64);
}

#[test]
fn embeddings_are_read() {
    let reading = reading(fixture!("answer_embeddings.json"));
    assert_eq!(reading.usage, Some(Usage { input: 8, ..Usage::default() }));
    assert!(reading.complete && !reading.flagged);
    assert_eq!(reading.text().bytes(), 0);
}

#[test]
fn an_error_under_status_200_is_told() {
    let error = reading(fixture!("answer_error.json"));
    assert!(error.error && error.complete && error.usage.is_none());
    assert!(!reading("{\"error\":null,\"choices\":[]}").error);
    assert!(!reading("{\"choices\":[{\"error\":{\"a\":1}}]}").error);
}

#[test]
fn what_is_no_whole_object_is_not_complete() {
    for answer in [
        "",
        " ",
        "null",
        "[]",
        "<html>busy</html>",
        "{\"usage\":",
        "{\"usage\":{\"prompt_tokens\":1}",
        "{} {}",
    ] {
        let reading = reading(answer);
        assert!(!reading.complete && reading.usage.is_none(), "{answer}");
    }
}

#[test]
fn usage_that_cannot_be_believed_is_flagged() {
    let check = |usage: &str, expect: Option<u64>, flagged| {
        let reading = reading(&format!("{{\"choices\":[],\"usage\":{usage}}}"));
        assert_eq!(reading.usage.map(|usage| usage.prompt_tokens()), expect, "{usage}");
        assert_eq!(reading.flagged, flagged, "{usage}");
    };
    check("null", None, false);
    check("{\"prompt_tokens\":-5,\"completion_tokens\":1}", None, true);
    check("{\"prompt_tokens\":5,\"completion_tokens\":1,\"total_tokens\":2}", Some(5), true);
    check("\"5\"", None, true);
}

#[test]
fn an_answer_of_many_megabytes_is_read_in_little_memory() {
    let mut tap = PlainTap::new(Dialect::OpenAiChat);
    let text = "word ".repeat(10_000);
    tap.feed(br#"{"choices":["#);
    for _ in 0..200 {
        tap.feed(format!(r#"{{"message":{{"content":"{text}"}}}},"#).as_bytes());
    }
    tap.feed(br#"{}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#);
    let reading = tap.finish();
    assert_eq!(reading.usage.unwrap().completion_tokens(), 2);
    assert!(reading.text().kept().len() <= MAX_KEPT_TEXT);
    let written = 200 * text.len() as u64;
    assert!(reading.text().bytes().abs_diff(written) < written / 4, "{}", reading.text().bytes());
}

#[test]
fn an_answer_without_usage_is_estimated_from_its_text() {
    let reading = reading(r#"{"choices":[{"message":{"role":"assistant","content":"hello world"}}]}"#);
    assert_eq!((reading.usage, reading.estimated_output()), (None, 2));
}
