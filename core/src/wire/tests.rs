//! Every codec against every codec, over all fixtures: what is said in one dialect is read by another's
//! callers, and every stream reads the same wherever it is cut.
//!
//! Fixtures lie in `tests/fixtures/chat/<dialect>/`: `request_*.json`, `answer_*.json`, `error_*.json`,
//! `stream_*.sse`, `stream_*.json`. A new one is walked without another line here. What each becomes in
//! each dialect is a snapshot in `snapshots/`; `INSTA_UPDATE=always` writes them anew.

mod bills;
mod bombs;
mod rounds;

use super::{
    Dialect,
    chat::{ChatAnswer, ChatEvent, Choice, Dropped, Fold, Part},
    codec::{CODECS, Codec, Setting, UrlSays},
};
use std::{fs, path::PathBuf};

/// Largest stream that a fixture may be: each is cut at every byte.
const CUT_BYTES_MAX: usize = 4096;

/// What writers are told in every test.
pub(super) fn setting() -> Setting {
    Setting {
        id: "gen-0001".to_owned(),
        created: 1_795_442_112,
        model: "upstream-model".to_owned(),
        stream_usage: true,
        estimated_input: 11,
        as_array: false,
        freeform_tools: ["apply_patch".to_owned()].into(),
    }
}

/// The name and the bytes of each fixture of `dialect` that begins with `prefix`, by name.
pub(super) fn fixtures(dialect: Dialect, prefix: &str) -> Vec<(String, Vec<u8>)> {
    let folder =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/chat").join(dialect.as_str());
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut found: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(prefix))
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().replace('.', "_");
            (name, fs::read(&path).unwrap())
        })
        .collect();
    found.sort();
    found
}

/// Compares `text` with what it was when it was last looked at.
fn golden(from: Dialect, to: Dialect, name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        insta::assert_snapshot!(format!("{}__{name}__{}", from.as_str(), to.as_str()), text);
    });
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("what a codec writes is UTF-8")
}

/// JSON with a member to a line, its bytes otherwise as they are, so that a difference can be read.
fn lines(json: &str) -> String {
    let value: &serde_json::value::RawValue =
        serde_json::from_str(json).expect("what a codec writes is JSON");
    let (mut out, mut quoted, mut escaped) = (String::new(), false, false);
    for each in value.get().chars() {
        out.push(each);
        match each {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ',' | '{' | '[' if !quoted => out.push('\n'),
            _ => {}
        }
    }
    out
}

fn read(codec: &dyn Codec, pieces: &[&[u8]]) -> Vec<ChatEvent> {
    let (mut reader, mut events) = (codec.reader(), Vec::new());
    pieces.iter().for_each(|piece| reader.feed(piece, &mut events));
    reader.end(&mut events);
    joined(events)
}

/// With deltas of one part that follow each other made one: where they are parted is the upstream's affair.
fn joined(events: Vec<ChatEvent>) -> Vec<ChatEvent> {
    use super::chat::Delta;
    let mut out: Vec<ChatEvent> = Vec::new();
    for event in events {
        if let ChatEvent::Delta { choice, part, delta } = &event
            && let Some(ChatEvent::Delta { choice: of, part: before, delta: last }) = out.last_mut()
            && (&*of, &*before) == (choice, part)
        {
            match (last, delta) {
                (Delta::Text(text), Delta::Text(more)) | (Delta::Arguments(text), Delta::Arguments(more)) => {
                    text.push_str(more);
                    continue;
                }
                _ => {}
            }
        }
        out.push(event);
    }
    out
}

fn fold(events: &[ChatEvent]) -> Fold {
    let mut fold = Fold::default();
    events.iter().for_each(|event| fold.feed(event));
    fold
}

fn write(codec: &dyn Codec, events: &[ChatEvent]) -> Vec<u8> {
    let (mut writer, mut out) = (codec.writer(&setting()), Vec::new());
    events.iter().for_each(|event| writer.write(event, &mut out));
    out
}

/// What every dialect can say of an answer: its text, its calls and why it ended, choice by choice.
#[derive(PartialEq, Eq, Debug)]
struct Essence {
    text: String,
    calls: Vec<(String, String, serde_json::Value)>,
    has_finish: bool,
}

fn essence(choice: &Choice) -> Essence {
    let mut essence = Essence { text: String::new(), calls: Vec::new(), has_finish: choice.finish.is_some() };
    for part in &choice.parts {
        match part {
            Part::Text { text, .. } | Part::Refusal { text } => essence.text.push_str(text),
            Part::ToolCall(call) => {
                let arguments = serde_json::from_str(&call.arguments)
                    .unwrap_or_else(|_| serde_json::Value::String(call.arguments.clone()));
                essence.calls.push((call.id.clone(), call.name.clone(), arguments));
            }
            _ => {}
        }
    }
    essence
}

/// The first choice survives every translation; of the others some dialects know nothing.
fn expect_same(what: &str, before: &ChatAnswer, after: &ChatAnswer) {
    let first = |answer: &ChatAnswer| answer.choices.first().map(essence);
    assert_eq!(first(after), first(before), "{what}");
    let tokens = |answer: &ChatAnswer| {
        answer.usage.map(|usage| (usage.prompt_tokens(), usage.completion_tokens(), usage.reasoning))
    };
    if before.usage.is_some() {
        let (prompt, completion, _) = tokens(before).unwrap();
        let (prompt_after, completion_after, _) = tokens(after).unwrap_or_else(|| panic!("{what}: no usage"));
        assert_eq!((prompt_after, completion_after), (prompt, completion), "{what}");
    }
}

#[test]
fn every_request_is_asked_in_every_dialect() {
    let mut asked = 0;
    for from in CODECS {
        for (name, body) in fixtures(from.dialect(), "request_") {
            let mut unknown = Dropped::default();
            let url = UrlSays { model: Some("a-model"), stream: Some(name.contains("stream")) };
            let request = from
                .decode_request(&body, url, &mut unknown)
                .unwrap_or_else(|error| panic!("{} {name}: {error}", from.dialect().as_str()));
            for to in CODECS {
                let mut dropped = unknown.clone();
                let said = match to.encode_request(&request, "upstream-model", &mut dropped) {
                    Ok(body) => {
                        let again = to.decode_request(&body, url, &mut Dropped::default());
                        assert!(again.is_ok(), "{name} as {}: {again:?}", to.dialect().as_str());
                        lines(&text(body))
                    }
                    Err(error) => format!("{error} ({:?})", error.param),
                };
                golden(
                    from.dialect(),
                    to.dialect(),
                    &name,
                    &format!("{said}\n\ndropped: {}", dropped.header()),
                );
                asked += 1;
            }
        }
    }
    println!("{asked} requests of {} pairs", CODECS.len() * CODECS.len());
}

#[test]
fn every_answer_reaches_every_dialect() {
    let mut told = 0;
    for from in CODECS {
        for (name, body) in fixtures(from.dialect(), "answer_") {
            let what = format!("{} {name}", from.dialect().as_str());
            let answer = from.decode_answer(&body).unwrap_or_else(|error| panic!("{what}: {error}"));
            for to in CODECS {
                let mut dropped = Dropped::default();
                let said = to.encode_answer(&answer, &setting(), &mut dropped);
                let again = to.decode_answer(&said).unwrap_or_else(|error| panic!("{what}: {error}"));
                expect_same(&format!("{what} as {}", to.dialect().as_str()), &answer, &again);
                let said = format!("{}\n\ndropped: {}", lines(&text(said)), dropped.header());
                golden(from.dialect(), to.dialect(), &name, &said);
                // What comes at once and what comes in pieces say the same.
                let streamed = fold(&read(to, &[&write(to, &answer.events())]));
                let what = format!("{what} streamed as {}", to.dialect().as_str());
                expect_same(&what, &answer, streamed.answer());
                told += 1;
            }
        }
    }
    println!("{told} answers of {} pairs", CODECS.len() * CODECS.len());
}

#[test]
fn every_stream_reaches_every_dialect_wherever_it_is_cut() {
    let (mut told, mut cuts) = (0, 0);
    for from in CODECS {
        for (name, stream) in fixtures(from.dialect(), "stream_") {
            let what = format!("{} {name}", from.dialect().as_str());
            let events = read(from, &[&stream]);
            assert!(stream.len() <= CUT_BYTES_MAX, "{what} is too long to be cut at every byte");
            for cut in 0..=stream.len() {
                let (front, back) = stream.split_at(cut);
                assert_eq!(read(from, &[front, back]), events, "{what} cut at {cut}");
                cuts += 1;
            }
            let one_by_one: Vec<&[u8]> = stream.chunks(1).collect();
            assert_eq!(read(from, &one_by_one), events, "{what} byte by byte");
            let before = fold(&events);
            for to in CODECS {
                let said = write(to, &events);
                let again = fold(&read(to, &[&said]));
                let what = format!("{what} as {}", to.dialect().as_str());
                assert_eq!(again.error().is_some(), before.error().is_some(), "{what}");
                if before.error().is_none() && before.is_done() {
                    assert!(again.is_done(), "{what} has an end");
                    expect_same(&what, before.answer(), again.answer());
                }
                golden(from.dialect(), to.dialect(), &name, &text(said));
                told += 1;
            }
        }
    }
    println!("{told} streams of {} pairs, {cuts} cuts", CODECS.len() * CODECS.len());
}

#[test]
fn every_error_is_told_in_every_dialect_with_its_wording() {
    for from in CODECS {
        for (name, body) in fixtures(from.dialect(), "error_") {
            // `error_429_….json`
            let status =
                name.split('_').nth(1).and_then(|status| status.parse().ok()).expect("a status in its name");
            let error = from.decode_error(status, &body);
            for to in CODECS {
                let said = to.encode_error(&error, "gen-0001");
                let again = to.decode_error(error.status, &said);
                assert_eq!((again.status, &again.message), (error.status, &error.message), "{name}");
                golden(from.dialect(), to.dialect(), &name, &lines(&text(said)));
            }
        }
    }
}
