//! Answers of a dialect that is not the caller's: how they are metered and translated.

use super::{
    answer::{Answer, Fault, Tap},
    attempt,
    request::Translation,
};
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

/// A plain answer that is being read.
pub(crate) struct Collected {
    translation: Translation,
    body: Vec<u8>,
    is_too_large: bool,
}

impl Collected {
    pub(super) fn feed(&mut self, part: &Bytes) {
        self.is_too_large |= self.body.len() + part.len() > ANSWER_MAX;
        if !self.is_too_large {
            self.body.extend_from_slice(part);
        }
    }

    /// What can be said of one that did not come to its end: nothing but its size.
    pub(super) fn unfinished(&self) -> Reading {
        let text = KeptText::unseen(self.body.len() as u64);
        Reading { flagged: true, written: Written::Text(text), ..Reading::default() }
    }
}

/// The head as the caller of another dialect may see it: what the vendor's own headers mean is said in no
/// other. The tap for its body beside it. `streams`: the caller asked for a stream.
pub(super) fn begin(
    upstream: &ResponseHeader,
    translation: &Translation,
    streams: bool,
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
        Tap::Collected(Box::new(Collected { translation, body: Vec::new(), is_too_large: false }))
    };
    Ok((head, tap))
}

/// Puts an answer that has been read in the caller's words.
pub(super) fn conclude(answer: &mut Answer) -> Result<(), Fault> {
    let is_error = answer.fault().is_some();
    let is_read = answer.is_read();
    let Tap::Collected(collected) = &answer.tap else { return Ok(()) };
    let Collected { translation, body, is_too_large } = &**collected;
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
