//! One try at one deployment: its answer up to the point where it can be told from a failure.

use super::{
    answer::{Answer, Body, Fault, Tap},
    foreign,
    request::Outgoing,
    simulated::Simulated,
    target::Target,
    transport::Exchange,
    unframed::Unframed,
};
use crate::{
    clock,
    proxy::{Gateway, ask::Ask, endpoint::Endpoint, world::Running},
};
use aione_core::{
    config::snapshot::{Deployment, Timeouts},
    domain::clock::Steady,
    wire::{
        codec::Manner,
        tap::{KeptText, PlainTap, RawTap, StreamTap},
        translate::ANSWER_MAX,
    },
};
use http::{HeaderName, HeaderValue, Version, header, response::Parts};
use pingora_http::ResponseHeader;
use std::{sync::Arc, time::Duration};

/// A plain answer of at most this size is read whole before its head is released, so that an
/// error under status 200 can still be failed over.
const READ_AHEAD_MAX: usize = 64 * 1024;

/// Headers of an answer that stay here: hop by hop, framing (ours to decide), our own names,
/// and those that tell of the vendor's account.
const KEPT_BACK: [&str; 22] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "date",
    "set-cookie",
    "alt-svc",
    "strict-transport-security",
    "location",
    "openai-organization",
    "openai-project",
    "anthropic-organization-id",
    "x-request-id",
    "request-id",
    "server",
    "via",
    "cf-ray",
];
const KEPT_BACK_PREFIXES: [&str; 8] = [
    "x-aione-",
    "x-ratelimit-",
    "anthropic-ratelimit-",
    "retry-after",
    "x-ms-",
    "apim-",
    "azureml-",
    "x-amzn-",
];
/// Room for what is added to an upstream's head on its way to the caller.
const HEADERS_OF_OURS: usize = 12;
/// The longest `retry-after` of an upstream that is passed on, in seconds.
const RETRY_AFTER_MAX_SECS: u64 = 3600;

pub(super) async fn attempt(
    gateway: &Arc<Gateway>,
    deployment: &Deployment,
    running: &Running,
    ask: &Ask,
    mut request: Outgoing<'_>,
    keep_alive_after: Option<Duration>,
    began: Steady,
) -> Result<Answer, Fault> {
    let Some(target) = &running.target else {
        request.note_sent();
        return Simulated::answer(deployment, ask, &request, gateway.bodies.room()).await;
    };
    let timeouts = &deployment.provider.timeouts;
    request.be_let_in(timeouts.first_byte).await?;
    let exchange = send(gateway, target, &request, timeouts, began).await?;
    let head = exchange.head().ok_or(Fault::Broken)?;
    // A redirect is not followed: it would take the credential to another host.
    if head.status.is_redirection() {
        return Err(Fault::Broken);
    }
    let ends_with_connection = head.version != Version::HTTP_2
        && !head.headers.contains_key(header::CONTENT_LENGTH)
        && !head.headers.contains_key(header::TRANSFER_ENCODING);
    if head.status == http::StatusCode::UNAUTHORIZED {
        request.note_refused(&gateway.targets.tokens);
    }
    let content_type = head.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let unframer = deployment.provider.account.unframer(content_type);
    let as_events = unframer.as_ref().map(|_| as_events(head)).transpose()?;
    let head = as_events.as_ref().unwrap_or(head);
    let (mut head, tap) = match request.translation_of(head.status) {
        None => (for_caller(head)?, tap_for(head, ask)),
        Some(translation) => foreign::begin(head, translation, ask.peek.stream, gateway.bodies.room())?,
    };
    let status = deployment.provider.account.status(head.status.as_u16());
    head.set_status(status).map_err(|_| Fault::Broken)?;
    let exchange = Box::new(exchange);
    let body = match unframer {
        None => Body::Wire(exchange),
        Some(unframer) => Body::Unframed(Box::new(Unframed::new(exchange, unframer))),
    };
    let mut answer = Answer::new(Box::new(head), body, tap);
    answer.ends_with_connection = ends_with_connection;
    // A stream's first event is awaited as its first byte is; a plain body that has begun is not.
    if !answer.is_stream() {
        bound(&mut answer, timeouts, began);
    }
    match keep_alive_after {
        // Nobody else can be asked: the status stands, and a caller who waits long for the first
        // event is told that the connection lives.
        Some(wait) if answer.is_stream() => {
            tokio::time::timeout(wait, read_ahead(&mut answer)).await.unwrap_or(Ok(()))?;
        }
        _ => read_ahead(&mut answer).await?,
    }
    // What is passed on may be an echo.
    if answer.fault().is_some() || ask.passed.is_some() {
        answer.secrets = request.secrets();
    }
    if answer.is_stream() {
        bound(&mut answer, timeouts, began);
    }
    Ok(answer)
}

/// From now on silence is bounded, and the answer as a whole. A stream whose first event has not
/// come yet may be silent for as long as before.
fn bound(answer: &mut Answer, timeouts: &Timeouts, began: Steady) {
    let has_begun = answer.tap.begins_with_error().is_some();
    let patience = if has_begun { timeouts.idle } else { timeouts.idle.max(timeouts.first_byte) };
    if let Some(exchange) = answer.body.exchange() {
        exchange.bound(patience, timeouts.idle, later(began, timeouts.total));
    }
}

/// Dead connections that one request may meet in the pool.
const STALE_MAX: usize = 2;

/// Sends, and again where a pooled connection had died: no byte of an answer was seen, and
/// a server closes an idle connection without having read what comes after.
async fn send(
    gateway: &Arc<Gateway>,
    target: &Arc<Target>,
    request: &Outgoing<'_>,
    timeouts: &Timeouts,
    began: Steady,
) -> Result<Exchange, Fault> {
    let until = later(began, timeouts.first_byte.min(timeouts.total));
    let mut now = began;
    for tried in 1..=STALE_MAX {
        // A dead connection has left the pool; a fresh one never counts as stale.
        let is_last = tried == STALE_MAX;
        if let Ok(exchange) = Exchange::send(gateway, target, request, now, until, is_last).await? {
            return Ok(exchange);
        }
        now = clock::steady();
    }
    Err(Fault::Broken)
}

/// Reads as far as it takes to tell an answer from an error under status 200.
pub(super) async fn read_ahead(answer: &mut Answer) -> Result<(), Fault> {
    let mut read = 0;
    loop {
        // An error is read whole, so that it can be searched for what must not be told.
        let is_plain = match &answer.tap {
            Tap::Plain(_) => true,
            Tap::Raw(tap) => !tap.is_stream(),
            _ => false,
        };
        let is_wanted_whole = is_plain || answer.fault().is_some();
        let undecided = is_wanted_whole || answer.tap.begins_with_error().is_none();
        let is_translated_whole = matches!(answer.tap, Tap::Collected(_)) && read <= ANSWER_MAX;
        if !is_translated_whole && (!undecided || read >= READ_AHEAD_MAX) {
            break;
        }
        match answer.body.next().await? {
            Some(part) => {
                read += part.len();
                answer.tap.feed(part, &mut answer.pending);
            }
            None => {
                answer.body = Body::Ended;
                break;
            }
        }
    }
    if matches!(answer.tap, Tap::Collected(_)) {
        foreign::conclude(answer)?;
    }
    if matches!((&answer.body, &answer.tap), (Body::Ended, Tap::Plain(_))) {
        let reading = answer.tap.take_reading();
        let is_success = answer.fault().is_none();
        let is_whole = reading.complete || reading.error;
        answer.tap = Tap::Read(reading);
        // Half an object, an HTML page, nothing at all: no answer, whatever its status says.
        if is_success && !is_whole {
            return Err(Fault::Broken);
        }
    }
    if answer.tap.begins_with_error() == Some(true) && answer.fault().is_none() {
        answer.set_fault(Fault::ErrorEvent);
    }
    Ok(())
}

/// The head of a stream in the vendor's own frames, as it is once they are server-sent events.
fn as_events(head: &ResponseHeader) -> Result<ResponseHeader, Fault> {
    let mut head = head.clone();
    head.insert_header(header::CONTENT_TYPE, "text/event-stream; charset=utf-8")
        .map_err(|_| Fault::Broken)?;
    Ok(head)
}

/// Whether the body is in an encoding, which was not asked for.
pub(super) fn is_encoded(head: &ResponseHeader) -> bool {
    let encoding = head.headers.get(header::CONTENT_ENCODING);
    encoding.is_some_and(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// Whether the body is of this `kind`, by its head.
fn is_of(head: &ResponseHeader, kind: &str) -> bool {
    let told = head.headers.get(header::CONTENT_TYPE).and_then(|told| told.as_bytes().get(..kind.len()));
    told.is_some_and(|told| told.eq_ignore_ascii_case(kind.as_bytes()))
}

/// Whether a recording is answered as its caller asked for it: as text, and not in JSON.
fn is_text(head: &ResponseHeader, ask: &Ask) -> bool {
    let wants_text = ask.peek.recording.as_ref().is_some_and(|recording| recording.wants_text);
    wants_text && !is_of(head, "application/json")
}

/// How an answer with this head is metered.
pub(super) fn tap_for(head: &ResponseHeader, ask: &Ask) -> Tap {
    if is_encoded(head) {
        return Tap::Opaque { bytes: 0 };
    }
    if ask.passed.is_some() {
        let kind = head.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
        let is_sized =
            head.headers.contains_key(header::CONTENT_LENGTH) || head.status == http::StatusCode::NO_CONTENT;
        return Tap::Raw(Box::new(RawTap::new(ask.endpoint().dialect(), kind, is_sized)));
    }
    let endpoint = ask.endpoint();
    let stream = || StreamTap::new(endpoint.dialect(), ask.hides_usage());
    if is_of(head, "text/event-stream") {
        Tap::Stream(Box::new(stream().said_to_be_events()))
    } else if endpoint == Endpoint::GenerateContent(Manner::Array) && head.status.is_success() {
        // This stream is plain JSON by its head.
        Tap::Stream(Box::new(stream()))
    } else if endpoint.makes_media() && head.status.is_success() {
        Tap::Media
    } else if is_text(head, ask) && head.status.is_success() {
        Tap::Text(KeptText::default())
    } else {
        Tap::Plain(Box::new(PlainTap::new(endpoint.dialect())))
    }
}

/// The head as the caller may see it.
fn for_caller(upstream: &ResponseHeader) -> Result<ResponseHeader, Fault> {
    let room = upstream.headers.len() + HEADERS_OF_OURS;
    let head = ResponseHeader::build_no_case(upstream.status, Some(room)).map_err(|_| Fault::Broken)?;
    let mut parts = Parts::from(head);
    let nominated: Vec<&str> = upstream
        .headers
        .get_all(header::CONNECTION)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(',').map(str::trim))
        .collect();
    for (name, value) in &upstream.headers {
        if passes(name) && !nominated.iter().any(|nominee| nominee.eq_ignore_ascii_case(name.as_str())) {
            parts.headers.append(name.clone(), value.clone());
        }
    }
    if let Some(wait) = retry_after(upstream)? {
        parts.headers.insert(header::RETRY_AFTER, wait);
    }
    Ok(parts.into())
}

/// How long the upstream asks to wait, as it is passed on.
pub(super) fn retry_after(upstream: &ResponseHeader) -> Result<Option<HeaderValue>, Fault> {
    let wait = upstream.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    let wait = wait.and_then(|wait| bounded_wait(wait.trim()));
    wait.map(HeaderValue::try_from).transpose().map_err(|_| Fault::Broken)
}

/// A `retry-after` as it is passed on: clients sleep for what it says. Seconds are clamped; a date
/// passes where it is not further away, and what is neither is dropped.
fn bounded_wait(text: &str) -> Option<String> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds = text.parse().unwrap_or(u64::MAX);
        return Some(seconds.min(RETRY_AFTER_MAX_SECS).to_string());
    }
    let until = chrono::DateTime::parse_from_rfc2822(text).ok()?.timestamp();
    let latest = clock::now().0 / 1000 + i64::try_from(RETRY_AFTER_MAX_SECS).unwrap_or(i64::MAX);
    (until <= latest).then(|| text.to_owned())
}

fn passes(name: &HeaderName) -> bool {
    let name = name.as_str();
    !KEPT_BACK.contains(&name) && !KEPT_BACK_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

fn later(from: Steady, by: Duration) -> Steady {
    Steady(from.0.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::bounded_wait;

    #[test]
    fn a_wait_is_passed_on_within_bounds() {
        for (told, passed) in [
            ("0", Some("0")),
            ("30", Some("30")),
            ("3601", Some("3600")),
            ("18446744073709551616", Some("3600")),
            ("-1", None),
            ("1.5", None),
            ("", None),
            ("Wed, 21 Oct 2015 07:28:00 GMT", Some("Wed, 21 Oct 2015 07:28:00 GMT")),
            ("Fri, 01 Jan 2100 00:00:00 GMT", None),
        ] {
            assert_eq!(bounded_wait(told).as_deref(), passed, "{told}");
        }
    }
}
