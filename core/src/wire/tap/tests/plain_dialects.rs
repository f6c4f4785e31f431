//! Plain answers in every dialect: what is read is what the dialect's codec reads.

use super::*;
use crate::wire::{chat::Part, codec::codec};

const OTHERS: [Dialect; 3] = [Dialect::AnthropicMessages, Dialect::OpenAiResponses, Dialect::Gemini];

fn read(dialect: Dialect, answer: &[u8], size: usize) -> Reading {
    let mut tap = PlainTap::new(dialect);
    answer.chunks(size).for_each(|chunk| tap.feed(chunk));
    tap.finish()
}

fn without_blanks(text: &str) -> String {
    text.chars().filter(|each| !each.is_whitespace()).collect()
}

#[test]
fn an_answer_is_read_as_its_codec_reads_it() {
    for dialect in OTHERS {
        for (name, body) in fixtures(dialect, "answer_") {
            let reading = read(dialect, &body, body.len());
            let answer = codec(dialect).unwrap().decode_answer(&body).unwrap();
            assert_eq!(reading.usage, answer.usage, "{name}");
            assert!(reading.complete && !reading.error && !reading.flagged, "{name}");
            for size in [1, 2, 3, 7, 64, 1000] {
                assert_eq!(read(dialect, &body, size), reading, "{name}, in chunks of {size}");
            }
            let written = without_blanks(reading.text().kept());
            for part in answer.choices.iter().flat_map(|choice| &choice.parts) {
                let said = match part {
                    Part::Text { text, .. } | Part::Refusal { text } => text,
                    Part::Thinking(thinking) => &thinking.text,
                    // Plain text is put into JSON for callers of other dialects.
                    Part::ToolCall(call) if name.contains("custom") => &call.name,
                    Part::ToolCall(call) => {
                        let arguments = without_blanks(&call.arguments);
                        assert!(arguments == "{}" || written.contains(&arguments), "{name}: {arguments}");
                        &call.name
                    }
                    _ => continue,
                };
                assert!(written.contains(&without_blanks(said)), "{name}: {said:?} in {written:?}");
            }
        }
    }
}

#[test]
fn an_error_under_status_200_is_told() {
    for dialect in OTHERS {
        for (name, body) in fixtures(dialect, "error_") {
            let reading = read(dialect, &body, 16);
            let value: Option<serde_json::Value> = serde_json::from_slice(&body).ok();
            let error = value.as_ref().and_then(|value| value.get("error"));
            let has_error = error.is_some_and(|error| *error != serde_json::json!({}));
            assert_eq!((reading.error, reading.usage), (has_error, None), "{name}");
            let is_blamed =
                ["_400_invalid", "_400_context", "_404", "_413"].iter().any(|of| name.contains(of));
            assert_eq!(reading.blames_request, is_blamed && has_error, "{name}");
        }
    }
}

#[test]
fn usage_that_cannot_be_believed_is_flagged() {
    for (dialect, answer, usage, flagged) in [
        (Dialect::AnthropicMessages, r#"{"content":[],"usage":null}"#, None, false),
        (Dialect::AnthropicMessages, r#"{"usage":{"input_tokens":-1}}"#, None, true),
        (Dialect::AnthropicMessages, r#"{"usage":{"input_tokens":7,"output_tokens":1}}"#, Some(8), false),
        (Dialect::OpenAiResponses, r#"{"usage":null,"error":null}"#, None, false),
        (Dialect::OpenAiResponses, r#"{"usage":{"input_tokens":1e400}}"#, None, true),
        (
            Dialect::OpenAiResponses,
            r#"{"usage":{"input_tokens":7,"output_tokens":1,"total_tokens":9}}"#,
            Some(8),
            true,
        ),
        (Dialect::Gemini, r#"{"usageMetadata":{}}"#, None, false),
        (Dialect::Gemini, r#"{"usageMetadata":7}"#, None, true),
        (Dialect::Gemini, r#"{"usageMetadata":{"promptTokenCount":"7"}}"#, None, true),
        (
            Dialect::Gemini,
            r#"{"usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":1}}"#,
            Some(8),
            false,
        ),
    ] {
        let reading = read(dialect, answer.as_bytes(), 5);
        let total = reading.usage.map(|usage| usage.total_tokens());
        assert_eq!((total, reading.flagged), (usage, flagged), "{answer}");
    }
}

#[test]
fn a_large_answer_is_read_all_the_same() {
    let (text, parts) = ("word ".repeat(1_000), 40);
    let many = |part: String| vec![part; parts].join(",");
    let anthropic = many(format!(r#"{{"type":"text","text":"{text}"}}"#));
    let anthropic = format!(r#"{{"content":[{anthropic}],"usage":{{"input_tokens":1,"output_tokens":2}}}}"#);
    let responses = many(format!(r#"{{"type":"output_text","text":"{text}"}}"#));
    let responses = format!(
        r#"{{"output":[{{"type":"message","content":[{responses}]}}],"usage" : {{"input_tokens":1,"output_tokens":2}} }}"#
    );
    let gemini = many(format!(r#"{{"text":"{text}"}}"#));
    let gemini = format!(
        r#"{{"candidates":[{{"content":{{"parts":[{gemini}]}}}}],"usageMetadata":{{"promptTokenCount":1,"candidatesTokenCount":2}}}}"#
    );
    for (dialect, answer) in OTHERS.into_iter().zip([anthropic, responses, gemini]) {
        for size in [answer.len(), 1000] {
            let reading = read(dialect, answer.as_bytes(), size);
            assert_eq!(reading.usage.map(|usage| usage.completion_tokens()), Some(2));
            assert!(reading.complete && !reading.flagged);
            let written = (parts * text.len()) as u64;
            assert!(reading.text().bytes().abs_diff(written) < written / 8, "{}", reading.text().bytes());
            assert!(reading.text().kept().starts_with("word word"));
        }
    }
}

#[test]
fn images_are_counted_in_answers_of_any_size() {
    for bytes in [4, 100 * 1024, 3 * 1024 * 1024] {
        let data = "A".repeat(bytes);
        let image = format!(r#"{{"inlineData":{{"mimeType":"image/png","data":"{data}"}}}}"#);
        let thought =
            format!(r#"{{"thought":true,"inlineData":{{"mimeType":"image/png","data":"{data}"}}}}"#);
        let answer = format!(
            r#"{{"candidates":[{{"content":{{"parts":[{thought},{image},{{"text":"x"}},{image}]}},"groundingMetadata":{{"webSearchQueries":["a","b"]}}}}],"usageMetadata":{{"promptTokenCount":6,"candidatesTokenCount":1290}}}}"#
        );
        let usage = Usage { input: 6, output: 1290, images: 2, searches: 2, ..Usage::default() };
        for size in [answer.len(), 16 * 1024] {
            assert_eq!(read(Dialect::Gemini, answer.as_bytes(), size).usage, Some(usage), "{bytes} bytes");
        }
    }
}
