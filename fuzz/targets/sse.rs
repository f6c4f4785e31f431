//! The reader of server-sent events, beside one that is written straight from the standard: the same events,
//! wherever the stream is cut, and pieces that are the stream.

#![no_main]

use aione_core::wire::{
    codec::SseEvents,
    sse::{PieceKind, Splitter},
};
use aione_fuzz::{Input, shown};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some(input) = Input::of(data) else { return };
    let expected = by_the_standard(input.bytes);
    for pieces in [vec![input.bytes], input.cut(input.bytes).collect(), input.bytes.chunks(1).collect()] {
        let mut events = SseEvents::default();
        let mut read: Vec<Vec<u8>> = Vec::new();
        for piece in &pieces {
            events.feed(piece, |data| read.extend(data.map(<[u8]>::to_vec)));
        }
        events.end(|data| read.extend(data.map(<[u8]>::to_vec)));
        assert_eq!(read, expected, "{}", shown(input.bytes));

        let mut splitter = Splitter::default();
        let (mut whole, mut events) = (Vec::new(), 0);
        for chunk in &pieces {
            let mut at = 0;
            while let Some(piece) = splitter.next(chunk, at) {
                assert_eq!(piece.range.start, at);
                assert!(piece.range.end > at);
                at = piece.range.end;
                events += usize::from(matches!(piece.kind, PieceKind::Whole { .. }));
                whole.extend_from_slice(&chunk[piece.range]);
            }
        }
        assert_eq!(whole, input.bytes);
        assert!(events >= expected.len().saturating_sub(1));
    }
});

/// The data of each event: blocks of lines that are parted by empty ones. A byte order mark is put up with
/// in front of any of them, and so is a last block without an empty line.
fn by_the_standard(stream: &[u8]) -> Vec<Vec<u8>> {
    let mut lines = vec![Vec::new()];
    let mut bytes = stream.iter().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\r' => {
                bytes.next_if(|next| **next == b'\n');
                lines.push(Vec::new());
            }
            b'\n' => lines.push(Vec::new()),
            other => lines.last_mut().expect("one is there from the start").push(*other),
        }
    }
    let mut events = Vec::new();
    for block in lines.split(Vec::is_empty) {
        let mut block = block.iter().skip_while(|line| line.starts_with(b":")).map(Vec::as_slice);
        let mut data: Vec<&[u8]> = Vec::new();
        let first = block.next().map(|line| line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line));
        for line in first.into_iter().chain(block) {
            let (name, value) = match line.iter().position(|byte| *byte == b':') {
                Some(colon) => (&line[..colon], &line[colon + 1..]),
                None => (line, &line[line.len()..]),
            };
            if name == b"data" {
                data.push(value.strip_prefix(b" ").unwrap_or(value));
            }
        }
        if !data.is_empty() {
            events.push(data.join(&b'\n'));
        }
    }
    events
}
