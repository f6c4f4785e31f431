//! Phase 7: answer them. Bytes pass as they come; what would end the answer is held back until
//! the exchange is accounted for.

use super::{
    Gateway,
    admit::Hold,
    client::{Client, Gone},
    drain::Departure,
    reply,
    upstream::answer::{Answer, Body, Fault, Tap},
};
use crate::clock;
use aione_core::{
    domain::{id::RecordId, usage::End},
    wire::{Dialect, tap::Reading},
};
use bytes::{Bytes, BytesMut};
use http::{StatusCode, header};
use pingora_http::ResponseHeader;
use std::{pin::pin, sync::Arc, time::Duration};

/// How long an upstream that has said everything may take to end its answer, so that the
/// connection can be used again.
const DONE_GRACE: Duration = Duration::from_millis(100);

/// What is released once the exchange is accounted for.
pub(crate) struct Tail {
    /// Not written yet: the whole answer was read before any of it was released.
    pub(crate) head: Option<Box<ResponseHeader>>,
    pub(crate) parts: Vec<Bytes>,
    pub(crate) ending: Ending,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The answer is whole.
    Clean,
    /// It is not, and the caller must see that.
    Cut,
    /// Nobody is there.
    Nobody,
}

pub(crate) async fn pump(
    gateway: &Arc<Gateway>,
    mut answer: Answer,
    client: &mut Client<'_>,
    hold: &mut Hold,
) -> Tail {
    if answer.is_abandoned {
        hold.tally.end = if client.is_gone() { End::ClientClosed } else { End::InternalError };
        hold.tally.status = 499;
        hold.tally.reading = answer.was_sent.then(Reading::default);
        return Tail::nobody();
    }
    hold.tally.status = answer.head.status.as_u16();
    if let Some(refusal) = answer.refusal.take() {
        hold.tally.end = End::UpstreamError;
        let (head, body) = reply::render(&refusal, hold.dialect, hold.record_id());
        gateway.metrics.refused(refusal.face().code);
        return Tail { head: Some(head), parts: vec![body], ending: Ending::Clean };
    }
    let first_byte_at = clock::steady();
    hold.tally.first_byte_at = Some(first_byte_at);
    answer.note_first_byte(first_byte_at);
    reply::dress(&mut answer.head, hold.dialect, hold.record_id(), hold.view());
    if matches!(answer.body, Body::Ended) && !answer.is_stream() {
        return whole(answer, client, hold);
    }
    // Boxed: most answers are whole, and need not carry the state of a stream along.
    Box::pin(stream(gateway, answer, client, hold)).await
}

/// An answer that has been read to its end: it leaves in one piece, after the accounting.
fn whole(mut answer: Answer, client: &Client<'_>, hold: &mut Hold) -> Tail {
    let length: usize = answer.pending.iter().map(Bytes::len).sum();
    if answer.head.status != StatusCode::NO_CONTENT {
        answer.head.insert_header(header::CONTENT_LENGTH, length).expect("a number is a valid header value");
    }
    note_end(&mut answer, hold, if client.is_gone() { Left::Drained } else { Left::No }, None);
    Tail { head: Some(answer.head), parts: answer.pending, ending: Ending::Clean }
}

/// Whether the caller was there to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    No,
    /// The answer was read to its end without them.
    Drained,
    /// Reading stopped before its end.
    Stopped,
}

async fn stream(
    gateway: &Arc<Gateway>,
    mut answer: Answer,
    client: &mut Client<'_>,
    hold: &mut Hold,
) -> Tail {
    // Of a plain answer the last part is held back, so that there is an end to withhold.
    let is_stream = answer.is_stream();
    let keeps_last = !is_stream;
    let mut departure = answer.departure.take();
    let mut parts = std::mem::take(&mut answer.pending);
    let mut broke = None;
    let mut left = if departure.is_some() { Left::Drained } else { Left::No };
    if left == Left::No {
        if client.takes_chunks() {
            answer
                .head
                .insert_header(header::TRANSFER_ENCODING, "chunked")
                .expect("a constant is a valid header value");
        }
        hold.noted().await;
        let head = std::mem::replace(&mut answer.head, Box::new(reply::empty_head()));
        if client.write_head(head).await.is_err() {
            departure = depart(gateway, hold);
            left = if departure.is_some() { Left::Drained } else { Left::Stopped };
        }
    }
    let mut cut = pin!(gateway.cut());
    let mut quiet = pin!(tokio::time::sleep(hold.keep_alive_after));
    let mut heard_at = clock::steady();
    loop {
        if left == Left::No && send(client, &mut parts, keeps_last).await.is_err() {
            departure = depart(gateway, hold);
            left = if departure.is_some() { Left::Drained } else { Left::Stopped };
        }
        if left != Left::No {
            parts.clear();
        }
        if left == Left::Stopped {
            break;
        }
        let read = tokio::select! {
            biased;
            () = client.left() => {
                departure = depart(gateway, hold);
                left = if departure.is_some() { Left::Drained } else { Left::Stopped };
                continue;
            }
            () = &mut cut => Err(Fault::Cut),
            () = patience_ends(gateway, departure.as_ref()) => {
                left = Left::Stopped;
                break;
            }
            read = answer.body.next() => read,
            () = &mut quiet, if is_stream && left == Left::No => {
                let silent = Duration::from_nanos(clock::steady().since_ns(heard_at));
                if silent >= hold.keep_alive_after {
                    heard_at = clock::steady();
                    let told = answer.tap.keep_alive();
                    if !told.is_empty() {
                        parts.push(Bytes::from_static(told));
                    }
                }
                let rest = hold.keep_alive_after.saturating_sub(silent);
                let wait = if rest.is_zero() { hold.keep_alive_after } else { rest };
                quiet.set(tokio::time::sleep(wait));
                continue;
            }
        };
        heard_at = clock::steady();
        match read {
            Ok(Some(part)) => {
                answer.tap.feed(part, &mut parts);
                if answer.tap.is_done() {
                    answer.body.set_patience(DONE_GRACE);
                }
            }
            Ok(None) => break,
            // All has been said: what becomes of the connection is nobody's concern.
            Err(_) if answer.tap.is_done() => break,
            Err(fault) => {
                broke = Some(fault);
                break;
            }
        }
    }
    if left == Left::No {
        client.look().await;
        left = if client.is_gone() { Left::Drained } else { Left::No };
    }
    answer.tap.end_stream(broke.is_none() && left != Left::Stopped, &mut parts);
    let broke = note_end(&mut answer, hold, left, broke);
    finish(answer.tap, parts, left, broke, hold.record_id())
}

fn finish(mut tap: Tap, mut parts: Vec<Bytes>, left: Left, broke: Option<Fault>, id: RecordId) -> Tail {
    match (left, broke) {
        (Left::No, None) => Tail { head: None, parts, ending: Ending::Clean },
        (Left::No, Some(fault)) => {
            if tap.is_stream() {
                let message = match fault {
                    Fault::Timeout => "The upstream fell silent in mid-answer",
                    Fault::Cut => "The gateway is going away",
                    _ => "The upstream broke off in mid-answer",
                };
                parts.push(tap.break_off(message, id).into());
            } else {
                parts.clear();
            }
            Tail { head: None, parts, ending: Ending::Cut }
        }
        _ => Tail::nobody(),
    }
}

/// Writes what may go out; of a plain answer all but the last part.
async fn send(client: &mut Client<'_>, parts: &mut Vec<Bytes>, keeps_last: bool) -> Result<(), Gone> {
    let kept = if keeps_last { parts.pop() } else { None };
    let written = match parts.len() {
        0 => Ok(()),
        1 => client.write_body(parts.remove(0), false).await,
        // Few and small: slices around a hidden event. One write costs less than several.
        _ => client.write_body(join(parts), false).await,
    };
    parts.extend(kept);
    written
}

fn join(parts: &mut Vec<Bytes>) -> Bytes {
    let mut joined = BytesMut::with_capacity(parts.iter().map(Bytes::len).sum());
    parts.drain(..).for_each(|part| joined.extend_from_slice(&part));
    joined.freeze()
}

/// Resolves when an answer is no longer read on without its caller: its time is over, or the
/// process is on its way out.
async fn patience_ends(gateway: &Gateway, departure: Option<&Departure>) {
    let Some(departure) = departure else { return std::future::pending().await };
    tokio::select! {
        () = tokio::time::sleep(departure.remaining()) => {}
        () = gateway.leaving() => {}
    }
}

fn depart(gateway: &Arc<Gateway>, hold: &Hold) -> Option<Departure> {
    let policy = hold.tally.deployment.as_ref()?.provider.on_disconnect;
    Departure::new(gateway, &hold.drain, policy)
}

/// Writes into the tally what the tap has read and how it ended.
fn note_end(answer: &mut Answer, hold: &mut Hold, left: Left, broke: Option<Fault>) -> Option<Fault> {
    let is_metered = matches!(answer.tap, Tap::Plain(_) | Tap::Stream(_) | Tap::Translated(_));
    // An object that is not whole was cut, whatever its framing says, and so was a stream without its own end.
    // Only of chat there are streams that end without one: they were cut where nothing but the connection's end
    // tells theirs.
    let has_an_end = matches!(answer.tap, Tap::Stream(_)) && hold.dialect != Dialect::OpenAiChat;
    let may_be_cut = answer.ends_with_connection || has_an_end || matches!(answer.tap, Tap::Plain(_));
    let reading = answer.tap.take_reading();
    let is_torn = is_metered
        && may_be_cut
        && left != Left::Stopped
        && answer.fault().is_none()
        && !reading.complete
        && !reading.error;
    let broke = broke.or(is_torn.then_some(Fault::Broken));
    hold.tally.end = match (left, broke) {
        (_, Some(Fault::Cut)) => End::InternalError,
        (_, Some(_)) => End::UpstreamAborted,
        // Also when nobody waits for it any more: an upstream's refusal costs nothing.
        (_, None) if answer.fault().is_some() => End::UpstreamError,
        (Left::Drained | Left::Stopped, None) => End::ClientClosed,
        // What came before the error was produced, and is counted.
        (Left::No, None) if reading.error => End::UpstreamAborted,
        (Left::No, None) => End::Complete,
    };
    let tells = left != Left::Stopped && broke != Some(Fault::Overtime) && !reading.blames_request;
    if tells {
        answer.note_health(hold.tally.end != End::UpstreamAborted);
    }
    hold.tally.reading = Some(reading);
    broke
}

impl Tail {
    fn nobody() -> Self {
        Self { head: None, parts: Vec::new(), ending: Ending::Nobody }
    }
}
