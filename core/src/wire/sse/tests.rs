//! Tests of the splitter: the pieces are the stream, and the events do not depend on the cuts.

use super::*;

/// The data of each event and the bytes outside of events, of `stream` cut by `chunks`.
fn split<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Option<String>>, String) {
    let mut splitter = Splitter::default();
    let (mut events, mut outside) = (Vec::new(), String::new());
    for chunk in chunks {
        let mut at = 0;
        while let Some(piece) = splitter.next(chunk, at) {
            assert_eq!(piece.range.start, at, "no byte is left out");
            assert!(piece.range.end > at, "each piece has bytes");
            at = piece.range.end;
            match piece.kind {
                PieceKind::Whole { .. } => {
                    let event = splitter.event(chunk, &piece).unwrap();
                    events.push(data(event).map(|data| String::from_utf8(data.into_owned()).unwrap()));
                }
                PieceKind::Outside => outside.push_str(std::str::from_utf8(&chunk[piece.range]).unwrap()),
                PieceKind::Part { .. } | PieceKind::Late => {}
            }
        }
        assert_eq!(at, chunk.len());
    }
    if let Some(event) = splitter.unfinished() {
        events.push(data(event.unwrap()).map(|data| String::from_utf8(data.into_owned()).unwrap()));
    }
    (events, outside)
}

#[track_caller]
fn check(stream: &str, expect: &[Option<&str>]) {
    for ending in ["\n", "\r", "\r\n"] {
        let stream = stream.replace('\n', ending);
        let expect: Vec<_> = expect.iter().map(|data| data.map(str::to_owned)).collect();
        for size in 1..=stream.len() {
            let (events, _) = split(stream.as_bytes().chunks(size));
            assert_eq!(events, expect, "{stream:?} cut at {size}");
        }
    }
}

#[test]
fn events_are_found_in_every_spelling() {
    check("data: a\n\ndata:b\n\ndata:  c\n\n", &[Some("a"), Some("b"), Some(" c")]);
    check("data: a\ndata: b\ndata\ndata:\n\n", &[Some("a\nb\n\n")]);
    check("event: x\nid: 1\nretry: 5\ndata: a\nunknown\n\n", &[Some("a")]);
    check(": comment\n\n:\n: x\ndata: a\n: inside\n\n\n\n", &[Some("a")]);
    check("\u{feff}data: a\n\ndata: b\n\n", &[Some("a"), Some("b")]);
    check("event: ping\n\ndatabase: x\n\n", &[None, None]);
    check("\n\n\ndata: a\n\n", &[Some("a")]);
    check("data: é🙂\n\n", &[Some("é🙂")]);
}

#[test]
fn a_last_event_needs_no_empty_line() {
    check("data: a\n\ndata: b\n", &[Some("a"), Some("b")]);
    check("data: a\n\ndata: b", &[Some("a"), Some("b")]);
    check("data: a\n\n: comment", &[Some("a")]);
}

#[test]
fn mixed_line_ends_are_taken_as_they_come() {
    let stream = b"data: a\r\n\rdata: b\r\rdata: c\n\r\ndata: d\r\ndata: e\n\n".as_slice();
    for size in 1..=stream.len() {
        let (events, _) = split(stream.chunks(size));
        let expect = ["a", "b", "c", "d\ne"].map(|data| Some(data.to_owned()));
        assert_eq!(events, expect, "cut at {size}");
    }
}

#[test]
fn keep_alives_do_not_wait_for_an_event() {
    let (events, outside) = split([b": keep".as_slice(), b"-alive\n", b"\n", b": x"]);
    assert_eq!((events.len(), outside.as_str()), (0, ": keep-alive\n\n: x"));
}

#[test]
fn an_event_in_one_chunk_is_not_copied() {
    let chunk = b"data: a\n\ndata: b\n\n";
    let mut splitter = Splitter::default();
    let first = splitter.next(chunk, 0).unwrap();
    let second = splitter.next(chunk, first.range.end).unwrap();
    let event = splitter.event(chunk, &second).unwrap();
    assert_eq!(event.as_ptr(), chunk[9..].as_ptr());
    assert_eq!(splitter.tail.capacity(), 0);
}

#[test]
fn an_event_past_the_bound_is_passed_over_and_the_next_one_is_read() {
    for size in [usize::MAX, 100_000, 4096] {
        let mut stream = b"data: ".to_vec();
        stream.resize(50 << 20, b'x');
        stream.extend_from_slice(b"\n\ndata: next\n\n");
        let mut splitter = Splitter::default();
        let mut read = Vec::new();
        for chunk in stream.chunks(size.min(stream.len())) {
            let mut at = 0;
            while let Some(piece) = splitter.next(chunk, at) {
                at = piece.range.end;
                if let PieceKind::Whole { .. } = piece.kind {
                    read.push(splitter.event(chunk, &piece).map(<[u8]>::to_vec));
                }
                assert!(splitter.tail.capacity() <= 2 * MAX_EVENT);
            }
        }
        assert_eq!(read, [None, Some(b"data: next\n\n".to_vec())]);
        assert!(splitter.tail.capacity() <= KEPT_CAPACITY, "the room is given back");
    }
}

#[test]
fn a_line_that_never_ends_takes_no_memory() {
    let mut splitter = Splitter::default();
    let chunk = [b'x'; 65_536];
    for _ in 0..100 {
        splitter.next(&chunk, 0).unwrap();
    }
    assert_eq!(splitter.tail.capacity(), 0);
    assert_eq!(splitter.unfinished(), Some(None));
    assert!(splitter.partial().is_empty());
}
