//! What is past a bound is passed on all the same, and memory stays small.

use super::{super::stream::is_worth_a_look, *};
use crate::wire::sse::MAX_EVENT;

/// An event of exactly `bytes` bytes up to the first byte of its empty line's end.
fn padded(data: &str, bytes: usize) -> String {
    let frame = "data: \n\n".len();
    let padding = " ".repeat(bytes - frame - data.len());
    format!("data: {data}{padding}\n\n")
}

#[test]
fn a_usage_chunk_is_hidden_up_to_the_bound_however_it_is_cut() {
    for ending in ["\n", "\r", "\r\n"] {
        for (bytes, hidden) in [(HOLD_MAX - 1, true), (HOLD_MAX, true), (HOLD_MAX + 1, false)] {
            // Two line ends of two bytes: the second one's LF does not count.
            let bytes = if ending == "\r\n" { bytes - 1 } else { bytes };
            let stream = (events(&[CONTENT]) + &padded(USAGE, bytes)).replace('\n', ending);
            let expect = if hidden { events(&[CONTENT]).replace('\n', ending) } else { stream.clone() };
            let end = stream.len();
            for cuts in [vec![], vec![1], vec![end - 1], vec![end - 2, end - 1], vec![end / 2, end - 3]] {
                let mut chunks = Vec::new();
                let mut from = 0;
                for at in cuts.iter().copied().chain([end]) {
                    chunks.push(&stream.as_bytes()[from..at]);
                    from = at;
                }
                let outcome = Outcome::of(chunks, true);
                assert!(outcome.text() == expect, "{bytes} bytes, {ending:?}, cut at {cuts:?}");
                assert_eq!(outcome.reading.usage.unwrap().prompt_tokens(), 3, "it is read all the same");
            }
        }
    }
}

#[test]
fn an_event_of_fifty_megabytes_is_passed_on_unread() {
    let start = "data: {\"usage\":{\"x\":\"";
    for hide in [false, true] {
        let mut tap = StreamTap::new(Dialect::OpenAiChat, hide);
        let (mut came, mut passed) = (0, 0);
        let mut out = Vec::new();
        let mut feed = |tap: &mut StreamTap, chunk: &Bytes| {
            tap.feed(chunk, &mut out);
            came += chunk.len();
            passed += out.drain(..).map(|part| part.len()).sum::<usize>();
            assert!(came - passed <= HOLD_MAX, "no more is held");
            passed
        };
        feed(&mut tap, &Bytes::from_static(start.as_bytes()));
        let chunk = Bytes::from(vec![b'x'; 64 * 1024]);
        for _ in 0..800 {
            feed(&mut tap, &chunk);
        }
        assert_eq!(tap.first(), First::Answer, "the first event is not waited for for ever");
        let rest = events(&[CONTENT, USAGE]);
        let passed = feed(&mut tap, &Bytes::from("\"}}\n\n".to_owned() + &rest));
        let hidden = if hide { events(&[USAGE]).len() } else { 0 };
        assert_eq!(passed, start.len() + 800 * chunk.len() + 5 + rest.len() - hidden);
        let reading = tap.take_reading();
        assert!(reading.flagged, "what was not read might have been usage");
        assert_eq!(reading.usage.unwrap().prompt_tokens(), 3, "later events are read");
    }
}

#[test]
fn a_large_event_is_still_read() {
    let text = "x".repeat(MAX_EVENT - 1000);
    let large =
        format!(r#"{{"choices":[{{"delta":{{"content":"{text}"}}}}],"usage":{{"prompt_tokens":7}}}}"#);
    let stream = events(&[&large, "[DONE]"]);
    for size in [stream.len(), 16 * 1024] {
        let outcome = Outcome::of(stream.as_bytes().chunks(size), true);
        assert_eq!(outcome.reading.usage.unwrap().prompt_tokens(), 7);
        assert_eq!(outcome.reading.text().bytes(), text.len() as u64);
        assert_eq!(outcome.reading.text().kept().len(), MAX_KEPT_TEXT);
        assert!(!outcome.reading.flagged);
    }
}

#[test]
fn text_is_kept_up_to_the_bound_and_counted_beyond() {
    let text = "é".repeat(1000);
    let event = format!(r#"{{"choices":[{{"delta":{{"content":"{text}"}}}}]}}"#);
    let stream = events(&[&event]).repeat(100);
    let reading = Outcome::of([stream.as_bytes()], false).reading;
    assert_eq!(reading.text().bytes(), 200_000);
    assert!((MAX_KEPT_TEXT - 1..=MAX_KEPT_TEXT).contains(&reading.text().kept().len()));
    assert!(reading.text().kept().chars().all(|character| character == 'é'));
}

#[test]
fn an_upstream_that_goes_on_after_the_end_is_not_kept() {
    let mut tap = StreamTap::new(Dialect::OpenAiChat, false);
    let mut out = Vec::new();
    tap.feed(&Bytes::from(events(&[CONTENT, "[DONE]"])), &mut out);
    assert!(tap.is_done());
    for _ in 0..100 {
        tap.feed(&Bytes::from(vec![b'x'; 10_000]), &mut out);
    }
    assert_eq!(out.concat(), events(&[CONTENT]).as_bytes());
    assert_eq!(tap.take_terminal().iter().map(Bytes::len).sum::<usize>(), TERMINAL_MAX);
    assert!(tap.take_reading().flagged);
}

#[test]
fn comments_without_end_do_not_put_off_the_first_event_for_ever() {
    let mut tap = StreamTap::new(Dialect::OpenAiChat, true);
    let mut out = Vec::new();
    for _ in 0..=HOLD_MAX / 16 {
        tap.feed(&Bytes::from_static(b": keep-alive 00\n"), &mut out);
    }
    assert_eq!(tap.first(), First::Answer);
}

#[test]
fn nothing_is_copied_of_a_chunk_that_is_passed_on() {
    let chunk = Bytes::from(events(&[CONTENT, CONTENT, FINISH]) + ": ping\n\n");
    let mut out = Vec::new();
    StreamTap::new(Dialect::OpenAiChat, true).feed(&chunk, &mut out);
    assert_eq!(out.len(), 1);
    assert_eq!(out[0].as_ptr_range(), chunk.as_ptr_range());
}

#[test]
fn an_event_in_parts_of_a_byte_is_looked_at_no_longer_than_a_few_times_its_size() {
    let (mut looked_at, mut read) = (0, 0);
    for bytes in 1..=HOLD_MAX {
        if is_worth_a_look(bytes, looked_at) {
            looked_at = bytes;
            read += bytes;
        }
    }
    assert!(looked_at > HOLD_MAX / 2, "the last look was at {looked_at}");
    assert!(read < 10 * HOLD_MAX, "{read} bytes were looked at");
    assert!(is_worth_a_look(HOLD_MAX + 1, HOLD_MAX), "where it is let go, its beginning decides how");
}
