//! Answers of a dialect that is not the caller's: how they are metered and translated.

use super::{
    answer::{Answer, Body, Fault, Tap},
    request::Translation,
};
use crate::{clock, proxy::ask::Ask};
use aione_core::{
    config::snapshot::Deployment,
    wire::{
        codec::Setting,
        tap::{KeptText, Reading, Written},
        translate::{ANSWER_MAX, Pair},
    },
};
use bytes::Bytes;
use http::{HeaderValue, header};
use pingora_http::ResponseHeader;

/// What could not be carried from one dialect to the other, by name.
const DROPPED_HEADER: &str = "x-aione-dropped";
/// Room for what is told of an answer of another dialect: its kind, how long to wait, and what is ours.
const HEADERS: usize = 16;

/// A plain answer that is being read.
pub(crate) struct Collected {
    translation: Translation,
    setting: Setting,
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
/// other. The tap for its body beside it.
pub(super) fn begin(
    upstream: &ResponseHeader,
    wait: Option<HeaderValue>,
    translation: &Translation,
    deployment: &Deployment,
    ask: &Ask,
) -> Result<(ResponseHeader, Tap), Fault> {
    let is_encoded = upstream
        .headers
        .get(header::CONTENT_ENCODING)
        .is_some_and(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"));
    if is_encoded {
        return Err(Fault::Broken);
    }
    let setting = Setting {
        id: translation.id.to_string(),
        created: clock::now().0 / 1000,
        model: deployment.model.to_string(),
        stream_usage: ask.peek.wants_usage(),
        estimated_input: ask.estimated_input,
        as_array: false,
        freeform_tools: match ask.neutral(&translation.pair) {
            Ok((request, _)) => request.freeform_tools.clone(),
            Err(_) => Default::default(),
        },
    };
    let is_stream = upstream.status.is_success() && ask.peek.stream;
    let kind = if is_stream { "text/event-stream; charset=utf-8" } else { "application/json" };
    let mut head =
        ResponseHeader::build_no_case(upstream.status, Some(HEADERS)).map_err(|_| Fault::Broken)?;
    let mut insert =
        |name: &'static str, value: HeaderValue| head.insert_header(name, value).map_err(|_| Fault::Broken);
    insert("content-type", HeaderValue::from_static(kind))?;
    if let Some(wait) = wait {
        insert("retry-after", wait)?;
    }
    let Translation { pair, dropped, .. } = translation;
    if !dropped.is_empty() {
        insert(DROPPED_HEADER, HeaderValue::try_from(dropped.header()).map_err(|_| Fault::Broken)?)?;
    }
    let tap = if is_stream {
        Tap::Translated(Box::new(pair.stream(&setting)))
    } else {
        let translation = translation.clone();
        Tap::Collected(Box::new(Collected { translation, setting, body: Vec::new(), is_too_large: false }))
    };
    Ok((head, tap))
}

/// Puts the whole answer in the caller's words.
pub(super) fn conclude(answer: &mut Answer) -> Result<(), Fault> {
    let (Body::Ended, Tap::Collected(collected)) = (&answer.body, &answer.tap) else { return Ok(()) };
    if collected.is_too_large {
        return Err(Fault::Broken);
    }
    let Collected { translation: Translation { pair, dropped, .. }, setting, body, .. } = &**collected;
    let (body, reading) = if answer.fault().is_some() {
        told(*pair, answer.head.status.as_u16(), body, setting, &mut answer.head)
    } else {
        let mut dropped = dropped.clone();
        let (body, reading) = pair.answer(body, setting, &mut dropped).map_err(|_| Fault::Broken)?;
        if !dropped.is_empty() {
            let names = HeaderValue::try_from(dropped.header()).map_err(|_| Fault::Broken)?;
            answer.head.insert_header(DROPPED_HEADER, names).map_err(|_| Fault::Broken)?;
        }
        (body, reading)
    };
    answer.pending = vec![body.into()];
    answer.tap = Tap::Read(reading);
    Ok(())
}

fn told(
    pair: Pair,
    status: u16,
    body: &[u8],
    setting: &Setting,
    head: &mut ResponseHeader,
) -> (Vec<u8>, Reading) {
    let (status, body, reading) = pair.error(status, body, &setting.id);
    // Some vendors say a thing under another status than the caller's would.
    let _ = head.set_status(status);
    (body, reading)
}
