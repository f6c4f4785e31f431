//! Events on the wire: their frames, their pace, and how they are broken off.

use super::{Part, Parts, Script, directive::Directive, error_body};
use bytes::Bytes;
use serde_json::Value;

/// The type of server-sent events.
pub(super) const EVENTS: &str = "text/event-stream; charset=utf-8";
/// What an upstream says that fails after its answer has begun.
pub(super) const BROKEN: &str = "Simulated error in the answer";
const DONE: &[u8] = b"data: [DONE]\n\n";

/// A stream of `events` and `[DONE]`, as far as the directive lets it come.
pub(super) fn script(directive: &Directive, events: Box<dyn Iterator<Item = Value> + Send>) -> Script {
    let whole = events.map(|event| frame(&event)).chain([Bytes::from_static(DONE)]);
    let frames: Box<dyn Iterator<Item = Bytes> + Send> = match directive.error_event {
        Some(after) => Box::new(whole.take(chunks(after)).chain([frame(&error_event())])),
        None => Box::new(whole),
    };
    paced(directive, EVENTS, frames)
}

/// A stream of `frames` at the directive's pace, until it is cut.
pub(super) fn paced(
    directive: &Directive,
    content_type: &str,
    frames: Box<dyn Iterator<Item = Bytes> + Send>,
) -> Script {
    let end = directive.cut_after.map_or(usize::MAX, chunks);
    let pace_ms = directive.pace_ms;
    let parts = frames
        .take(end)
        .enumerate()
        .map(move |(index, bytes)| Part { wait_ms: if index == 0 { 0 } else { pace_ms }, bytes });

    let mut headers = vec![("content-type", content_type.to_owned())];
    headers.extend(directive.retry_after_header());
    Script {
        wait_ms: directive.delay_ms,
        status: 200,
        headers,
        parts: Parts(Box::new(parts)),
        abort: directive.cut_after.is_some(),
    }
}

/// [`BROKEN`] as the provider's first dialect writes it.
pub(super) fn error_event() -> Value {
    error_body(500, BROKEN, None)
}

fn frame(event: &Value) -> Bytes {
    Bytes::from(format!("data: {event}\n\n"))
}

fn chunks(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
