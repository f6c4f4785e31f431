//! The request as the upstream gets it: the caller's bytes with the model's name and
//! `stream_options` changed, everything else shared and untouched. In a form there is only the name.

#[cfg(test)]
mod tests;

use super::{
    Dialect,
    json::push_string,
    peek::{Peek, StreamOptions},
};
use bytes::Bytes;
use std::ops::Range;

/// A body in a few slices, to be sent one after the other.
#[derive(Clone, Debug, Default)]
pub struct Spliced {
    /// At most five, and two for each time that the body repeats the model of its URL; none is empty.
    pub parts: Vec<Bytes>,
    /// Bytes of all parts together.
    pub bytes: usize,
}

/// `body` with `upstream_model` as its model, where the dialect has it there. With `ask_usage`, a
/// stream of chat whose caller did not ask for usage asks for it; anything but a stream is left as
/// it is, and so are the dialects whose streams tell their usage anyway.
///
/// `peek` must be what [`super::peek::peek`] read from this very `body`. Where nothing is to be
/// changed the bytes are identical.
#[must_use]
pub fn splice(body: &Bytes, peek: &Peek, upstream_model: &str, ask_usage: bool) -> Spliced {
    let mut edits: Vec<(Range<usize>, Bytes)> = Vec::with_capacity(2);
    match &peek.model_span {
        _ if peek.model == upstream_model => {}
        Some(span) if peek.recording.is_some() => {
            edits.push((span.clone(), Bytes::copy_from_slice(upstream_model.as_bytes())));
        }
        Some(span) => edits.push((span.clone(), literal(upstream_model))),
        // It is in the URL.
        None if peek.dialect == Dialect::Gemini => {}
        // It went without saying; other members follow.
        None => {
            let member = [b"\"model\":", &*literal(upstream_model), b","].concat();
            edits.push((peek.body_open..peek.body_open, member.into()));
        }
    }
    if peek.model != upstream_model {
        let again = |span: &Range<usize>| (span.clone(), literal(&format!("models/{upstream_model}")));
        edits.extend(peek.repeated_spans.iter().map(again));
    }
    if ask_usage && peek.stream && !peek.wants_usage() && peek.recording.is_none() {
        edits.push(usage_edit(peek));
    }
    edits.sort_unstable_by_key(|(span, _)| span.start);

    let mut spliced = Spliced { parts: Vec::with_capacity(2 * edits.len() + 1), bytes: 0 };
    let mut at = 0;
    for (span, replacement) in edits {
        spliced.push(body.slice(at..span.start));
        spliced.push(replacement);
        at = span.end;
    }
    spliced.push(body.slice(at..));
    spliced
}

impl Spliced {
    fn push(&mut self, part: Bytes) {
        if !part.is_empty() {
            self.bytes += part.len();
            self.parts.push(part);
        }
    }
}

fn literal(text: &str) -> Bytes {
    let mut out = Vec::with_capacity(text.len() + 2);
    push_string(&mut out, text);
    out.into()
}

/// What to put where, so that the upstream reports usage.
fn usage_edit(peek: &Peek) -> (Range<usize>, Bytes) {
    let insert = |at: usize, member: &'static [u8]| (at..at, Bytes::from_static(member));
    match &peek.stream_options {
        // A body with a stream has a model, so that another member always follows.
        None => insert(peek.body_open, b"\"stream_options\":{\"include_usage\":true},"),
        Some(StreamOptions { include_usage_span: Some(span), .. }) => {
            (span.clone(), Bytes::from_static(b"true"))
        }
        Some(StreamOptions { open: None, span, .. }) => {
            (span.clone(), Bytes::from_static(b"{\"include_usage\":true}"))
        }
        Some(StreamOptions { open: Some(open), empty: true, .. }) => insert(*open, b"\"include_usage\":true"),
        Some(StreamOptions { open: Some(open), .. }) => insert(*open, b"\"include_usage\":true,"),
    }
}
