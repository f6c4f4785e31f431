//! What is metered in passing passes as it is: all bytes but the hidden usage chunks, which are the same
//! wherever the stream is cut, as is all that was read.

#![no_main]

use aione_core::wire::{
    Dialect,
    sse::{PieceKind, Splitter, data},
    tap::{First, HOLD_MAX, PlainTap, RawTap, Reading, StreamTap, TERMINAL_MAX},
};
use aione_fuzz::{Input, expect_equal, shown};
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// What came out of a tap.
#[derive(PartialEq, Debug)]
struct Passed {
    bytes: Vec<u8>,
    first: First,
    is_done: bool,
    reading: Reading,
}

fuzz_target!(|data: &[u8]| {
    let Some(input) = Input::of(data) else { return };
    let stream = input.stretched();
    let hides = input.flag && input.dialect == Dialect::OpenAiChat;
    let whole = pass(input.dialect, input.flag, [&*stream]);
    let cut = pass(input.dialect, input.flag, input.cut(&stream));
    let what = || format!("{:?}: {}", input.dialect, shown(input.bytes));
    expect_equal(&cut.bytes, &whole.bytes, what);
    // Who waits for a first event gives up after some bytes and the chunk in which they end.
    if stream.len() <= HOLD_MAX {
        assert_eq!(cut, whole, "{}", what());
    }
    let expected = if hides { without_usage(&stream) } else { stream.clone() };
    if expected.len() <= TERMINAL_MAX {
        expect_equal(&whole.bytes, &expected, what);
    } else {
        assert!(whole.reading.flagged || whole.bytes == expected, "{}", what());
    }

    let meter = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let mut tap = PlainTap::new(input.dialect);
        pieces.for_each(|piece| tap.feed(piece));
        tap.finish()
    };
    let whole = meter(&mut std::iter::once(&*stream));
    assert_eq!(meter(&mut input.cut(&stream)), whole, "{}", what());
    let _ = whole.text();

    let kind: &[u8] = if input.flag { b"text/event-stream" } else { b"application/json" };
    let raw = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let mut tap = RawTap::new(input.dialect, Some(kind), false);
        pieces.for_each(|piece| tap.feed(piece));
        tap.note_end();
        tap.finish()
    };
    let whole = raw(&mut std::iter::once(&*stream));
    assert!(!whole.error);
    if stream.len() <= HOLD_MAX {
        assert_eq!(raw(&mut input.cut(&stream)), whole, "{}", what());
    }
});

fn pass<'b>(dialect: Dialect, hide: bool, pieces: impl IntoIterator<Item = &'b [u8]>) -> Passed {
    let mut tap = StreamTap::new(dialect, hide);
    let mut out: Vec<Bytes> = Vec::new();
    for piece in pieces {
        tap.feed(&Bytes::copy_from_slice(piece), &mut out);
    }
    tap.finish(&mut out);
    let first = tap.first();
    if first == First::Error {
        let _ = tap.error_body(&out.concat());
    }
    let is_done = tap.is_done();
    out.extend(tap.take_terminal());
    Passed { bytes: out.concat(), first, is_done, reading: tap.take_reading() }
}

/// The stream without the events up to its end that hold a usage and no choice.
fn without_usage(stream: &[u8]) -> Vec<u8> {
    let mut splitter = Splitter::default();
    let (mut out, mut at, mut ended) = (Vec::new(), 0, false);
    let mut keep = |bytes: &[u8], event: Option<&[u8]>, out: &mut Vec<u8>| {
        let said = event.filter(|event| event.len() <= HOLD_MAX).and_then(data);
        ended |= said.as_ref().is_some_and(|said| is_end(said));
        let is_hidden = !ended && said.is_some_and(|said| is_only_usage(&said));
        if !is_hidden {
            out.extend_from_slice(bytes);
        }
    };
    while let Some(piece) = splitter.next(stream, at) {
        at = piece.range.end;
        let bytes = &stream[piece.range.clone()];
        match piece.kind {
            PieceKind::Whole { .. } => keep(bytes, splitter.event(stream, &piece), &mut out),
            PieceKind::Part { .. } => keep(bytes, splitter.unfinished().flatten(), &mut out),
            PieceKind::Outside | PieceKind::Late => keep(bytes, None, &mut out),
        }
    }
    out
}

/// Whether it is what ends a stream: a word, or the type of a transcription's last event at its beginning, which an
/// event with a reason to finish is not.
fn is_end(data: &[u8]) -> bool {
    let behind =
        |text: &[u8], token: &str| text.trim_ascii_start().strip_prefix(token.as_bytes()).map(<[u8]>::to_vec);
    let reason = b"\"finish_reason\"";
    let mut rests = (0..data.len()).filter_map(|at| data[at..].strip_prefix(reason));
    let has_reason = rests.any(|rest| behind(rest, ":").is_some());
    let tokens = ["{", "\"type\"", ":", "\"transcript.text.done\""];
    let is_transcribed = tokens.iter().try_fold(data.to_vec(), |rest, token| behind(&rest, token)).is_some();
    data.trim_ascii() == b"[DONE]" || (is_transcribed && !has_reason)
}

fn is_only_usage(data: &[u8]) -> bool {
    // The meter puts up with bytes that are no UTF-8.
    let Ok(Value::Object(members)) = serde_json::from_str(&shown(data)) else { return false };
    let is_error = members.get("error").is_some_and(|error| match error {
        Value::Null | Value::Bool(false) => false,
        _ => true,
    });
    members.get("usage").is_some_and(Value::is_object)
        && members.get("choices").and_then(Value::as_array).is_some_and(Vec::is_empty)
        && !is_error
}
