//! The text that a model wrote in an answer or an event, to be counted where no usage says it.

use crate::wire::{
    json::{JsonError, Scanner, Text, Token},
    tap::KeptText,
};
use memchr::memmem;

/// Members of a choice whose strings the model generated.
const WRITTEN: &[&str] =
    &["content", "refusal", "reasoning_content", "reasoning", "arguments", "name", "text", "transcript"];

/// Adds what one event of a stream brings: the strings of each choice's `delta`, or, in the
/// completions sibling, its `text`; of a transcription its `delta`. Stops without a word at what is not JSON.
pub fn collect_event(data: &[u8], into: &mut KeptText) {
    let mut deltas = 0;
    // No string can contain this: within one the quotes would be escaped.
    for at in memmem::find_iter(data, b"\"delta\"") {
        let Some(value) = after_colon(&data[at + b"\"delta\"".len()..]) else { continue };
        deltas += 1;
        // What cannot be read is only missing from an estimate.
        let _ = walk_written(&mut Scanner::lenient(value), value.starts_with(b"\""), into);
    }
    if deltas == 0 && memmem::find(data, b"\"text\"").is_some() {
        collect_answer(data, into);
    }
}

/// Adds the text of a whole answer, or of its beginning where it was cut: of its choices, or of a transcription.
pub fn collect_answer(json: &[u8], into: &mut KeptText) {
    // What cannot be read is only missing from an estimate.
    let _ = walk_choices(json, into);
}

/// What follows the colon at the beginning of `bytes`; `None` where there is none.
#[must_use]
pub fn after_colon(bytes: &[u8]) -> Option<&[u8]> {
    Some(bytes.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start())
}

fn walk_choices(json: &[u8], into: &mut KeptText) -> Result<(), JsonError> {
    let mut scanner = Scanner::lenient(json);
    if scanner.next()? != Some(Token::ObjectOpen) {
        return Ok(());
    }
    while let Some(Token::Key(key)) = scanner.next()? {
        if key.is("choices") {
            walk_written(&mut scanner, false, into)?;
        } else if key.is("text") {
            walk_written(&mut scanner, true, into)?;
        } else {
            scanner.walk(|_| {})?;
        }
    }
    Ok(())
}

/// Adds the strings of the next value that the model wrote; with `is_text` it is itself one.
fn walk_written(scanner: &mut Scanner<'_>, is_text: bool, into: &mut KeptText) -> Result<(), JsonError> {
    let mut written = is_text;
    scanner.walk(|token| match token {
        Token::Key(key) => written = is_written(key),
        Token::String(text) if written => into.push(text),
        _ => {}
    })?;
    Ok(())
}

fn is_written(key: &Text<'_>) -> bool {
    WRITTEN.iter().any(|name| key.is(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(data: &str) -> String {
        let mut text = KeptText::default();
        collect_event(data.as_bytes(), &mut text);
        assert_eq!(text.bytes(), text.kept().len() as u64);
        text.kept().to_owned()
    }

    #[test]
    fn the_text_of_an_event_is_what_its_deltas_say() {
        let check = |data, expect| assert_eq!(event(data), expect, "{data}");
        check(r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":"Hé\n\"x\""}}]}"#, "Hé\n\"x\"");
        check(r#"{"choices":[{"delta":{"content":"a"}},{"delta" : {"refusal":"b"}}]}"#, "ab");
        check(r#"{"choices":[{"delta":{"reasoning_content":"thi","content":null}}]}"#, "thi");
        check(
            r#"{"choices":[{"delta":{"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]}}]}"#,
            "f{\"a\":1}",
        );
        check(r#"{"object":"text_completion","choices":[{"text":" once","index":0}]}"#, " once");
        check(r#"{"choices":[{"delta":{}}],"note":"\"delta\":{\"content\":\"no\"}"}"#, "");
        check(r#"{"choices":[{"delta":{"content":"cut off"#, "");
        check(r#"{"type":"transcript.text.delta","delta":" and","logprobs":[{"token":"no"}]}"#, " and");
        check(r#"{"type":"transcript.text.done","text":"said before","logprobs":[]}"#, "said before");
        check("not json", "");
        check("{\"choices\":[],\"delta\":7}", "");
    }

    #[test]
    fn the_text_of_an_answer_is_in_its_choices_only() {
        let mut text = KeptText::default();
        collect_answer(
            br#"{"content":"no","choices":[{"message":{"role":"assistant","content":[{"type":"text","text":"one "}],"tool_calls":[{"function":{"name":"f","arguments":"{}"}}]},"logprobs":{"content":[{"token":"no"}]}}],"usage":{"text":"no"}}"#,
            &mut text,
        );
        assert_eq!(text.kept(), "one f{}");
        let mut text = KeptText::default();
        collect_answer(br#"{"task":"transcribe","text":"Heard.","segments":[{"text":"Heard."}]}"#, &mut text);
        assert_eq!(text.kept(), "Heard.");
    }
}
