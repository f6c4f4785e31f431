//! Tests of the taps: golden answers cut at every byte, the hidden chunk, the terminal event,
//! errors, and what happens past each bound.

mod bounds;
mod dialects;
mod errors;
mod golden;
mod plain;
mod plain_dialects;
mod usage;

use super::*;
use bytes::Bytes;

/// What came of a stream that ended cleanly.
#[derive(Clone, PartialEq, Debug)]
struct Outcome {
    client: Vec<u8>,
    terminal: Vec<u8>,
    first: First,
    reading: Reading,
}

impl Outcome {
    /// In OpenAI's chat.
    fn of<'a>(chunks: impl IntoIterator<Item = &'a [u8]>, hide_usage: bool) -> Self {
        Self::through(StreamTap::new(Dialect::OpenAiChat, hide_usage), chunks)
    }

    fn in_dialect<'a>(dialect: Dialect, chunks: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Self::through(StreamTap::new(dialect, false), chunks)
    }

    fn through<'a>(mut tap: StreamTap, chunks: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut out = Vec::new();
        for chunk in chunks {
            tap.feed(&Bytes::copy_from_slice(chunk), &mut out);
        }
        tap.finish(&mut out);
        let first = tap.first();
        let terminal = tap.take_terminal().concat();
        Self { client: out.concat(), terminal, first, reading: tap.take_reading() }
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.client).unwrap()
    }
}

/// Xorshift: enough for cutting streams, and the same on every machine.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    /// `stream` in chunks of any size.
    fn cut<'a>(&mut self, stream: &'a [u8]) -> Vec<&'a [u8]> {
        let mut rest = stream;
        let mut chunks = Vec::new();
        let longest = 1 + self.below(600);
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at((1 + self.below(longest)).min(rest.len()));
            chunks.push(chunk);
            rest = after;
        }
        chunks
    }
}

/// The name and the bytes of each fixture of `dialect` that begins with `prefix`, by name.
fn fixtures(dialect: Dialect, prefix: &str) -> Vec<(String, Vec<u8>)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/chat");
    let folder = std::path::Path::new(folder).join(dialect.as_str());
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = paths
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), path))
        .filter(|(name, _)| name.starts_with(prefix))
        .map(|(name, path)| (name, std::fs::read(path).unwrap()))
        .collect();
    found.sort();
    assert!(!found.is_empty(), "{dialect:?} has fixtures");
    found
}

fn events(datas: &[&str]) -> String {
    datas.iter().map(|data| format!("data: {data}\n\n")).collect()
}

const CONTENT: &str = r#"{"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":null}]}"#;
const FINISH: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
const USAGE: &str = r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#;

#[track_caller]
fn check_usage(datas: &[&str], usage: Option<(u64, u64)>, flagged: bool) {
    let outcome = Outcome::of([events(datas).as_bytes()], true);
    let read = outcome.reading.usage.map(|usage| (usage.prompt_tokens(), usage.completion_tokens()));
    assert_eq!((read, outcome.reading.flagged), (usage, flagged), "{datas:?}");
}

#[test]
fn the_last_usage_wins_and_is_never_summed() {
    let usage = |prompt: &str, completion: &str| {
        format!(
            r#"{{"choices":[{{"delta":{{}}}}],"usage":{{"prompt_tokens":{prompt},"completion_tokens":{completion}}}}}"#
        )
    };
    check_usage(&[USAGE, USAGE], Some((3, 2)), false);
    check_usage(&[&usage("3", "1"), &usage("3", "4"), &usage("3", "9")], Some((3, 9)), false);
    check_usage(&[&usage("3", "9"), &usage("3", "4")], Some((3, 4)), true);
    check_usage(&[&usage("3", "1"), &usage("3", "-1")], None, true);
    check_usage(&[&usage("1e400", "1")], None, true);
    check_usage(&[&usage("9223372036854775808", "1"), &usage("3", "1")], Some((3, 1)), true);
    check_usage(&[USAGE, r#"{"choices":[],"usage":null}"#], Some((3, 2)), false);
    check_usage(&[CONTENT, FINISH], None, false);
}

#[test]
fn only_a_top_level_usage_counts_or_that_of_a_choice_or_vendor() {
    check_usage(
        &[r#"{"choices":[{"usage":{"prompt_tokens":9,"completion_tokens":9}}]}"#],
        Some((9, 9)),
        false,
    );
    check_usage(&[r#"{"x_groq":{"usage":{"prompt_tokens":9,"completion_tokens":9}}}"#], Some((9, 9)), false);
    check_usage(&[r#"{"x_groq":{"usage":null},"choices":[{"usage":7}]}"#], None, false);
    check_usage(
        &[r#"{"choices":[{"delta":{"usage":{"prompt_tokens":9}}}],"x":{"usage":{"prompt_tokens":9}}}"#],
        None,
        false,
    );
    check_usage(
        &[
            r#"{"choices":[{"usage":{"prompt_tokens":8}}],"usage":{"prompt_tokens":9},"x_groq":{"usage":{"prompt_tokens":7}}}"#,
        ],
        Some((9, 0)),
        false,
    );
    check_usage(
        &[r#"{"choices":[{"delta":{"content":"\"usage\":{\"prompt_tokens\":9}"}}],"usage":null}"#],
        None,
        false,
    );
    check_usage(&[r#"{"choices":[{"usage":null}],"usage":{"prompt_tokens":9}}"#], Some((9, 0)), false);
}

#[test]
fn broken_json_is_passed_on_and_later_events_are_read() {
    let stream = events(&[
        r#"{"choices":[],"usage":{"prompt_tokens":1"#,
        "\"usage\":{",
        "{]",
        CONTENT,
        USAGE,
        "[DONE]",
    ]);
    let outcome = Outcome::of([stream.as_bytes()], false);
    assert_eq!([&*outcome.client, &*outcome.terminal].concat(), stream.as_bytes());
    assert_eq!(outcome.reading.usage.unwrap().prompt_tokens(), 3);
    assert_eq!((outcome.reading.text().bytes(), outcome.reading.text().kept()), (2, "hi"));
}

#[test]
fn only_the_chunk_that_holds_nothing_but_usage_is_hidden() {
    for kept in [
        r#"{"choices":[],"usage":null}"#,
        r#"{"choices":[],"prompt_filter_results":[]}"#,
        r#"{"choices":[{"delta":{}}],"usage":{"prompt_tokens":1}}"#,
        r#"{"usage":{"prompt_tokens":1}}"#,
        r#"{"choices":null,"usage":{"prompt_tokens":1}}"#,
        r#"{"choices":{},"usage":{"prompt_tokens":1}}"#,
        r#"{"choices":[],"usage":[]}"#,
        r#"{"choices":[],"usage":{},"error":{"message":"no"}}"#,
    ] {
        let stream = events(&[CONTENT, kept, FINISH]);
        assert_eq!(Outcome::of([stream.as_bytes()], true).text(), stream);
    }
    let stream = events(&[CONTENT, USAGE, FINISH, USAGE]);
    assert_eq!(Outcome::of([stream.as_bytes()], true).text(), events(&[CONTENT, FINISH]));
    assert_eq!(Outcome::of([stream.as_bytes()], false).text(), stream);
}

#[test]
fn partial_events_are_passed_on_at_once_unless_they_may_be_kept_back() {
    let fed = |hide, chunk: &str| {
        let mut out = Vec::new();
        StreamTap::new(Dialect::OpenAiChat, hide).feed(&Bytes::copy_from_slice(chunk.as_bytes()), &mut out);
        String::from_utf8(out.concat()).unwrap()
    };
    assert_eq!(fed(false, "data: {\"choi"), "data: {\"choi");
    assert_eq!(fed(false, "data: x\n\ndata: [DOWN"), "data: x\n\ndata: [DOWN");
    assert_eq!(fed(true, "data: x\n\n: c\ndata: {\"choi"), "data: x\n\n: c\n");
    for may_be_terminal in ["d", "data", "data:", "data: [DON", "data: [DONE]", "id: 1\nda", "data: [DONE]\r"]
    {
        assert_eq!(fed(false, &format!("data: x\n\n{may_be_terminal}")), "data: x\n\n", "{may_be_terminal}");
    }
}

#[test]
fn the_terminal_event_and_all_after_it_are_kept_back() {
    for done in ["data: [DONE]\n\n", "data:[DONE]\r\n\r\n", "event: end\rdata: [DONE] \r\r", "data: [DONE]"] {
        let stream = events(&[CONTENT, FINISH]);
        let rest = if done.ends_with(']') { "" } else { ": bye\n\ndata: x\n\n" };
        let outcome = Outcome::of([stream.as_bytes(), done.as_bytes(), rest.as_bytes()], true);
        assert_eq!(outcome.text(), stream, "{done:?}");
        assert_eq!(outcome.terminal, [done, rest].concat().as_bytes());
        assert!(outcome.reading.complete);
    }
}

#[test]
fn a_transcription_ends_with_the_event_that_tells_all_of_it() {
    let delta = |text: &str| format!(r#"{{"type":"transcript.text.delta","delta":"{text}"}}"#);
    let usage = r#""usage":{"type":"tokens","input_tokens":14,"input_token_details":{"text_tokens":0,"audio_tokens":14},"output_tokens":45,"total_tokens":59}"#;
    let counted = Usage { audio_in: 14, output: 45, ..Usage::default() };
    for (done, told) in [
        (format!(r#"{{"type":"transcript.text.done","text":"So it is.",{usage}}}"#), Some(counted)),
        (format!(r#"{{ "type" : "transcript.text.done","text":"So it is.",{usage}}}"#), Some(counted)),
        (r#"{"type":"transcript.text.done","text":"So it is."}"#.to_owned(), None),
    ] {
        for behind in [&["[DONE]"][..], &[]] {
            let before = events(&[&delta("So it"), &delta(" is.")]);
            let end = events(&[&done]) + &events(behind);
            let stream = [&*before, &*end].concat();
            for size in [1, 7, 4_096] {
                for hide in [false, true] {
                    let outcome = Outcome::of(stream.as_bytes().chunks(size), hide);
                    assert_eq!(outcome.text(), before, "{done} in pieces of {size}");
                    assert_eq!(outcome.terminal, end.as_bytes());
                    let reading = outcome.reading;
                    assert_eq!((reading.usage, reading.flagged), (told, false));
                    assert!(reading.complete && reading.usage_is_final == told.is_some());
                    assert_eq!(reading.text().kept(), "So it is.");
                }
            }
        }
    }
    // Not all begin with their type: these pass like any other, and are the end all the same.
    let other = events(&[&format!(r#"{{"text":"So it is.","type":"transcript.text.done",{usage}}}"#)]);
    let mut cut = StreamTap::new(Dialect::OpenAiChat, true);
    cut.feed(&Bytes::from(other.clone()), &mut Vec::new());
    assert!(cut.take_reading().usage_is_final);
    let outcome = Outcome::of([other.as_bytes()], true);
    assert!(outcome.text() == other && outcome.reading.complete);
    // One that is not told on the way is told at its end, and what only mentions it is a chat's.
    let alone = events(&[r#"{"type":"transcript.text.done","text":"So it is."}"#]);
    assert_eq!(Outcome::of([alone.as_bytes()], true).reading.text().kept(), "So it is.");
    let chat = r#"{"choices":[{"delta":{"content":"transcript.text.done"},"finish_reason":null}],"type":"transcript.text.done"}"#;
    assert!(!Outcome::of([events(&[chat]).as_bytes()], true).reading.complete);
}

#[test]
fn an_answer_is_complete_with_its_terminal_event_or_a_finish_reason() {
    let check = |datas: &[&str], complete| {
        assert_eq!(Outcome::of([events(datas).as_bytes()], true).reading.complete, complete, "{datas:?}");
    };
    check(&[CONTENT, "[DONE]"], true);
    check(&[CONTENT, FINISH], true);
    check(&[CONTENT], false);
    check(&[], false);

    let mut broken_off = StreamTap::new(Dialect::OpenAiChat, true);
    broken_off.feed(&Bytes::from(events(&[CONTENT, FINISH])), &mut Vec::new());
    assert!(!broken_off.take_reading().complete, "without a clean end the finish reason does not do");
}

#[test]
fn an_error_is_told_from_an_answer() {
    let error = r#"{"error":{"message":"overloaded"}}"#;
    let check = |stream: String, first, error| {
        let outcome = Outcome::of(stream.as_bytes().chunks(7), false);
        assert_eq!((outcome.first, outcome.reading.error), (first, error), "{stream}");
        assert_eq!([outcome.client, outcome.terminal].concat(), stream.as_bytes());
    };
    check(events(&[error]), First::Error, true);
    check(": hello\n\nevent: ping\n\n".to_owned() + &events(&[error, "[DONE]"]), First::Error, true);
    check(events(&[CONTENT, error]), First::Answer, true);
    check(events(&[r#"{"error":null,"choices":[]}"#, CONTENT]), First::Answer, false);
    check(events(&[r#"{"choices":[{"delta":{"content":"\"error\":1"}}]}"#]), First::Answer, false);
    check(events(&[r#"{"choices":[{"error":{"x":1}}]}"#]), First::Answer, false);
    check(events(&["[DONE]"]), First::Answer, false);
    check("data: {\"error\":\"cut".to_owned(), First::Answer, false);
    check(String::new(), First::Answer, false);
}

#[test]
fn the_first_event_is_known_as_soon_as_it_is_whole() {
    let mut tap = StreamTap::new(Dialect::OpenAiChat, false);
    let mut out = Vec::new();
    tap.feed(&Bytes::from_static(b": hello\n\ndata: {\"error\":{\"message\":\"no\"}"), &mut out);
    assert_eq!((tap.first(), tap.has_error()), (First::Unknown, false));
    tap.feed(&Bytes::from_static(b"}\n\n"), &mut out);
    assert_eq!((tap.first(), tap.has_error()), (First::Error, true));
}
