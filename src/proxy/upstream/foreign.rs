//! Answers of a dialect that is not the caller's: how they are metered and translated.

use super::{
    answer::{Answer, Fault, Tap},
    attempt,
    request::Translation,
};
use crate::proxy::bodies::Room;
use aione_core::wire::{
    chat::Dropped,
    tap::{KeptText, Reading, Written},
    translate::ANSWER_MAX,
};
use bytes::Bytes;
use http::header;
use pingora_http::ResponseHeader;

/// What could not be carried from one dialect to the other, by name.
const DROPPED_HEADER: &str = "x-aione-dropped";
/// Room for what is told of an answer of another dialect: its kind, how long to wait, and what is ours.
const HEADERS: usize = 16;

/// What an answer takes of the memory for bodies, in its own size: it is held as it came, in the neutral form, and in
/// the caller's words.
const HELD_TIMES: usize = 3;

/// A plain answer that is being read.
pub(crate) struct Collected {
    translation: Translation,
    held: Held,
}

/// The part of it that has come.
struct Held {
    body: Vec<u8>,
    /// It is larger than any may be, or than all bodies together leave room for.
    is_too_large: bool,
    room: Room,
}

impl Held {
    fn feed(&mut self, part: &[u8]) {
        let bytes = self.body.len() + part.len();
        self.is_too_large |= bytes > ANSWER_MAX || self.room.fit(HELD_TIMES * bytes).is_err();
        if !self.is_too_large {
            self.body.extend_from_slice(part);
        }
    }
}

impl Collected {
    pub(super) fn feed(&mut self, part: &Bytes) {
        self.held.feed(part);
    }

    /// What can be said of one that did not come to its end: nothing but its size.
    pub(super) fn unfinished(&self) -> Reading {
        let text = KeptText::unseen(self.held.body.len() as u64);
        Reading { flagged: true, written: Written::Text(text), ..Reading::default() }
    }
}

/// The head as the caller of another dialect may see it: what the vendor's own headers mean is said in no
/// other. The tap for its body beside it, which is held in `room`. `streams`: the caller asked for a stream.
pub(super) fn begin(
    upstream: &ResponseHeader,
    translation: &Translation,
    streams: bool,
    room: Room,
) -> Result<(ResponseHeader, Tap), Fault> {
    if attempt::is_encoded(upstream) {
        return Err(Fault::Broken);
    }
    let is_stream = upstream.status.is_success() && streams;
    let is_events = is_stream && !translation.setting.as_array;
    let kind = if is_events { "text/event-stream; charset=utf-8" } else { "application/json" };
    let mut head =
        ResponseHeader::build_no_case(upstream.status, Some(HEADERS)).map_err(|_| Fault::Broken)?;
    head.insert_header(header::CONTENT_TYPE, kind).map_err(|_| Fault::Broken)?;
    if let Some(wait) = attempt::retry_after(upstream)? {
        head.insert_header(header::RETRY_AFTER, wait).map_err(|_| Fault::Broken)?;
    }
    name_dropped(&mut head, &translation.dropped)?;
    let tap = if is_stream {
        Tap::Translated(Box::new(translation.pair.stream(&translation.setting)))
    } else {
        let translation = translation.clone();
        let held = Held { body: Vec::new(), is_too_large: false, room };
        Tap::Collected(Box::new(Collected { translation, held }))
    };
    Ok((head, tap))
}

/// Puts an answer that has been read in the caller's words.
pub(super) fn conclude(answer: &mut Answer) -> Result<(), Fault> {
    let is_error = answer.fault().is_some();
    let is_read = answer.is_read();
    let Tap::Collected(collected) = &answer.tap else { return Ok(()) };
    let Collected { translation, held: Held { body, is_too_large, .. } } = &**collected;
    if *is_too_large || !is_read {
        return Err(Fault::Broken);
    }
    let Translation { pair, dropped, setting } = translation;
    let (body, reading) = if is_error {
        let (status, body, reading) = pair.error(answer.head.status.as_u16(), body, &setting.id);
        // Some vendors say a thing under another status than the caller's would.
        answer.head.set_status(status).map_err(|_| Fault::Broken)?;
        (body, reading)
    } else {
        let mut dropped = dropped.clone();
        match pair.answer(body, setting, &mut dropped) {
            Ok(told) => {
                name_dropped(&mut answer.head, &dropped)?;
                told
            }
            // An error under a 2xx has a wording all the same.
            Err(_) => {
                let status = pair.error_within(body).ok_or(Fault::Broken)?;
                let (_, body, reading) = pair.error(status, body, &setting.id);
                (body, reading)
            }
        }
    };
    answer.pending = vec![body.into()];
    answer.tap = Tap::Read(reading);
    Ok(())
}

fn name_dropped(head: &mut ResponseHeader, dropped: &Dropped) -> Result<(), Fault> {
    if dropped.is_empty() {
        return Ok(());
    }
    head.insert_header(DROPPED_HEADER, dropped.header()).map_err(|_| Fault::Broken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::bodies::Bodies;

    #[test]
    fn answers_that_are_held_share_the_room_for_bodies() {
        const PART: &[u8] = &[b'x'; 1 << 20];
        let bodies = Bodies::of(8 << 20);
        let held = || Held { body: Vec::new(), is_too_large: false, room: bodies.room() };
        let (mut one, mut other) = (held(), held());
        one.feed(PART);
        one.feed(PART);
        assert!(!one.is_too_large);
        other.feed(PART);
        assert!(other.is_too_large, "six of eight are taken");
        assert!(other.body.is_empty());
        drop(one);
        other = held();
        other.feed(PART);
        assert!(!other.is_too_large);
    }
}
