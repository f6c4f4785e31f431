//! An upstream's answer as the relay takes it: a head, what has been read of the body, the
//! rest of it, and the tap that reads its usage.

use super::{
    foreign::Collected, simulated::Simulated, transport::Exchange, unframed::Unframed, visit::Visit,
};
use crate::{
    clock,
    proxy::{drain::Departure, refusal::Refusal},
};
use aione_core::domain::{
    clock::Steady,
    id::{RecordId, TEXT_BYTES},
};
use aione_core::wire::{
    chat::{ChatError, ErrorKind},
    error::ErrorText,
    tap::{First, KeptText, PlainTap, RawTap, Reading, StreamTap, Written},
    translate::StreamTranslator,
};
use bytes::Bytes;
use http::HeaderValue;
use pingora_http::ResponseHeader;
use std::time::Duration;

/// Why an attempt brought nothing usable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// No connection.
    Connect,
    /// No byte in time.
    Timeout,
    /// The whole answer took longer than it may. A caller who reads slowly can do that, too.
    Overtime,
    /// The connection broke, or what came on it is not HTTP.
    Broken,
    /// Status 429 or 529.
    TooManyRequests,
    /// Status 500 or above.
    ServerError,
    /// Status 200, and then an error.
    ErrorEvent,
    /// Status 401: our credential is refused there. Another deployment may have a better one.
    Credential,
    /// Status 403: of the credential or of what was asked, nobody can tell. Another deployment may
    /// think otherwise, but it is held against none.
    Forbidden,
    /// The process is ending, and its time to do so is over.
    Cut,
    /// Another status of 400 or above: the request is at fault, not the upstream.
    Refused,
}

impl Fault {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Overtime => "overtime",
            Self::Broken => "broken",
            Self::TooManyRequests => "too_many_requests",
            Self::ServerError => "server_error",
            Self::ErrorEvent => "error_event",
            Self::Credential => "credential",
            Self::Forbidden => "forbidden",
            Self::Cut => "cut",
            Self::Refused => "refused",
        }
    }

    pub(crate) fn blames_upstream(self) -> bool {
        !matches!(self, Self::Refused | Self::Forbidden | Self::Cut | Self::Overtime)
    }
}

/// The rest of an answer's body.
pub(crate) enum Body {
    Wire(Box<Exchange>),
    /// A stream that comes in the vendor's own frames.
    Unframed(Box<Unframed>),
    Simulated(Simulated),
    /// There is no more.
    Ended,
}

impl Body {
    /// The next part; `None` at a clean end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        let part = match self {
            Self::Wire(exchange) => exchange.next().await,
            Self::Unframed(framed) => framed.next().await,
            Self::Simulated(script) => script.next().await,
            Self::Ended => return Ok(None),
        };
        if let Ok(None) = part {
            match std::mem::replace(self, Self::Ended) {
                Self::Wire(exchange) => exchange.release(),
                Self::Unframed(framed) => framed.into_exchange().release(),
                Self::Simulated(_) | Self::Ended => {}
            }
        }
        part
    }

    /// What it is read from, where that is a connection.
    pub(super) fn exchange(&mut self) -> Option<&mut Exchange> {
        match self {
            Self::Wire(exchange) => Some(exchange),
            Self::Unframed(framed) => Some(framed.exchange()),
            Self::Simulated(_) | Self::Ended => None,
        }
    }

    /// Bounds every further read.
    pub(crate) fn set_patience(&mut self, timeout: Duration) {
        if let Some(exchange) = self.exchange() {
            exchange.set_patience(timeout);
        }
    }
}

/// How the body is metered.
pub(crate) enum Tap {
    Plain(Box<PlainTap>),
    Stream(Box<StreamTap>),
    /// A stream of another dialect than the caller's.
    Translated(Box<StreamTranslator>),
    /// A plain answer of another dialect, which is translated when it is whole.
    Collected(Box<Collected>),
    /// The body is in an encoding that was not asked for: it passes, and usage is estimated from
    /// its size.
    Opaque {
        bytes: u64,
    },
    /// The body is a sound, say, which passes and tells nothing.
    Media,
    /// The body is a text that tells nothing else, and is counted.
    Text(KeptText),
    /// Nobody has said what it is.
    Raw(Box<RawTap>),
    /// The body has been read to its end.
    Read(Reading),
}

impl Tap {
    /// Takes a part of the body; appends what may go to the caller now.
    pub(crate) fn feed(&mut self, part: Bytes, out: &mut Vec<Bytes>) {
        match self {
            Self::Plain(tap) => {
                tap.feed(&part);
                out.push(part);
            }
            Self::Stream(tap) => tap.feed(&part, out),
            Self::Translated(tap) => tap.feed(&part, out),
            Self::Collected(tap) => tap.feed(&part),
            Self::Opaque { bytes } => {
                *bytes = bytes.saturating_add(part.len() as u64);
                out.push(part);
            }
            Self::Text(text) => {
                text.push_json(&part);
                out.push(part);
            }
            Self::Raw(tap) => {
                tap.feed(&part);
                out.push(part);
            }
            Self::Media | Self::Read(_) => out.push(part),
        }
    }

    /// What can be said of an error before anything is released.
    pub(crate) fn begins_with_error(&self) -> Option<bool> {
        match self {
            Self::Read(reading) => Some(reading.error),
            Self::Stream(tap) => begins_with_error(tap.first()),
            Self::Translated(tap) => begins_with_error(tap.first()),
            _ => Some(false),
        }
    }

    /// Whether the error that was read says that the request is at fault.
    pub(crate) fn blames_request(&self) -> bool {
        match self {
            Self::Stream(tap) => tap.blames_request(),
            Self::Translated(tap) => tap.blames_request(),
            Self::Read(reading) => reading.blames_request,
            _ => false,
        }
    }

    /// What may stand between what was sent and what comes, so that nobody takes a silent stream for dead;
    /// empty: nothing may.
    pub(crate) fn keep_alive(&self) -> &'static [u8] {
        match self {
            Self::Stream(tap) => tap.keep_alive(),
            Self::Translated(tap) => tap.keep_alive(),
            _ => b"",
        }
    }

    /// Whether the dialect's own end has come.
    pub(crate) fn is_done(&self) -> bool {
        match self {
            Self::Stream(tap) => tap.is_done(),
            Self::Translated(tap) => tap.is_done(),
            _ => false,
        }
    }

    /// Reads what a stream that has `ended` properly still holds, and takes its end, which goes out when
    /// the exchange is accounted for.
    pub(crate) fn end_stream(&mut self, ended: bool, out: &mut Vec<Bytes>) {
        match self {
            Self::Stream(tap) => {
                if ended {
                    tap.finish(out);
                }
                out.append(&mut tap.take_terminal());
            }
            Self::Translated(tap) => {
                if ended {
                    tap.finish(out);
                }
                out.append(&mut tap.take_terminal());
            }
            Self::Raw(tap) if ended => tap.note_end(),
            _ => {}
        }
    }

    /// The event that tells the caller that the stream breaks off here, in `message`'s words.
    pub(crate) fn break_off(&mut self, message: &str, id: RecordId) -> Vec<u8> {
        let error = ChatError {
            kind: ErrorKind::Internal,
            status: 502,
            message: message.to_owned(),
            code: Some("upstream_error".to_owned()),
            param: None,
        };
        match self {
            Self::Stream(tap) => tap.break_off(ErrorText::of(&error, id.write(&mut [0; TEXT_BYTES]))),
            Self::Translated(tap) => tap.break_off(error),
            _ => Vec::new(),
        }
    }

    pub(crate) fn is_stream(&self) -> bool {
        match self {
            Self::Stream(_) | Self::Translated(_) => true,
            Self::Raw(tap) => tap.is_stream(),
            _ => false,
        }
    }

    /// What was read, at the end; afterwards the tap is empty, and [`Tap::Read`] where it was no stream.
    pub(crate) fn take_reading(&mut self) -> Reading {
        match self {
            Self::Stream(tap) => return tap.take_reading(),
            Self::Translated(tap) => return tap.take_reading(),
            _ => {}
        }
        match std::mem::replace(self, Self::Read(Reading::default())) {
            Self::Plain(tap) => tap.finish(),
            Self::Raw(tap) => tap.finish(),
            Self::Collected(tap) => tap.unfinished(),
            Self::Opaque { bytes } => Reading {
                flagged: true,
                written: Written::Text(KeptText::unseen(bytes)),
                ..Reading::default()
            },
            Self::Text(text) => Reading { written: Written::Text(text), ..Reading::default() },
            Self::Read(reading) => reading,
            Self::Media | Self::Stream(_) | Self::Translated(_) => Reading::default(),
        }
    }
}

fn begins_with_error(first: First) -> Option<bool> {
    match first {
        First::Unknown => None,
        First::Answer => Some(false),
        First::Error => Some(true),
    }
}

pub(crate) struct Answer {
    /// Hop-by-hop headers and the vendor's own names taken out; `None`: a refusal of ours.
    pub(crate) head: Box<ResponseHeader>,
    /// Parts that have been read and may be released.
    pub(crate) pending: Vec<Bytes>,
    pub(crate) body: Body,
    pub(crate) tap: Tap,
    pub(crate) refusal: Option<Refusal>,
    /// Set when the caller left before the answer came and it is read for its usage alone.
    pub(crate) departure: Option<Departure>,
    /// Nothing but the connection's end tells where the body ends.
    pub(crate) ends_with_connection: bool,
    /// The caller left, and nobody waits for the answer.
    pub(crate) is_abandoned: bool,
    /// Some of the request had reached an upstream by then.
    pub(crate) was_sent: bool,
    /// What the upstream was given, and must not tell the caller.
    pub(super) secrets: Vec<HeaderValue>,
    fault: Option<Fault>,
    /// Of whose health the answer's end tells.
    visit: Option<Visit>,
}

impl Answer {
    pub(crate) fn new(head: Box<ResponseHeader>, body: Body, tap: Tap) -> Self {
        let fault = match head.status.as_u16() {
            401 => Some(Fault::Credential),
            403 => Some(Fault::Forbidden),
            429 | 529 => Some(Fault::TooManyRequests),
            408 | 500.. => Some(Fault::ServerError),
            400..500 => Some(Fault::Refused),
            _ => None,
        };
        Self {
            head,
            pending: Vec::new(),
            body,
            tap,
            refusal: None,
            departure: None,
            ends_with_connection: false,
            is_abandoned: false,
            was_sent: true,
            secrets: Vec::new(),
            fault,
            visit: None,
        }
    }

    /// An answer of ours in the place of an upstream's.
    pub(crate) fn refused(refusal: Refusal) -> Self {
        let status = refusal.face().status;
        let head = ResponseHeader::build_no_case(status, None).expect("the table holds valid statuses");
        Self {
            refusal: Some(refusal),
            ..Self::new(Box::new(head), Body::Ended, Tap::Read(Reading::default()))
        }
    }

    pub(crate) fn abandoned(was_sent: bool) -> Self {
        Self { is_abandoned: true, was_sent, ..Self::refused(Refusal::Internal) }
    }

    pub(crate) fn with_departure(mut self, departure: Departure) -> Self {
        self.departure = Some(departure);
        self
    }

    pub(super) fn by_deployment(mut self, visit: Visit) -> Self {
        self.visit = Some(visit);
        self
    }

    /// Tells the deployment that this is when its answer came.
    pub(crate) fn note_first_byte(&self, now: Steady) {
        if let Some(visit) = &self.visit {
            visit.answered(now);
        }
    }

    /// Tells the deployment's health how the answer ended.
    pub(crate) fn note_health(&self, well: bool) {
        match &self.visit {
            Some(visit) if well => visit.succeeded(),
            Some(visit) => visit.failed(clock::steady()),
            None => {}
        }
    }

    /// An error under status 200 is told as one, in the upstream's wording; of a stream only its
    /// first event, as a plain body.
    pub(crate) fn with_status_of(mut self, fault: Fault) -> Self {
        if fault == Fault::ErrorEvent {
            self = self.into_error();
        }
        self.without_secrets()
    }

    /// Without what the upstream was given, should it repeat that.
    pub(super) fn without_secrets(mut self) -> Self {
        for secret in std::mem::take(&mut self.secrets) {
            let secret = secret.as_bytes();
            self.hide(secret.strip_prefix(b"Bearer ").unwrap_or(secret));
        }
        self
    }

    fn into_error(mut self) -> Self {
        let status = if self.tap.blames_request() { 400 } else { 502 };
        self.head.set_status(status).expect("a constant is a valid status");
        let error = match &mut self.tap {
            Tap::Stream(tap) => {
                tap.finish(&mut self.pending);
                // An error may be the stream's end as well.
                self.pending.append(&mut tap.take_terminal());
                Some(tap.error_body(&self.pending.concat()))
            }
            Tap::Translated(tap) => tap.error(status),
            _ => None,
        };
        if let Some(error) = error {
            self.pending = vec![error.into()];
            self.tap = Tap::Read(self.tap.take_reading());
            self.body = Body::Ended;
            self.head
                .insert_header(http::header::CONTENT_TYPE, "application/json")
                .expect("a constant is a valid header value");
        }
        self
    }

    /// Takes our credential out of an answer that repeats it. The caller gets every other byte as the
    /// upstream sent it.
    fn hide(&mut self, secret: &[u8]) {
        const SHOWN: &[u8] = b"***";
        if secret.is_empty() {
            return;
        }
        let repeats = |value: &HeaderValue| memchr::memmem::find(value.as_bytes(), secret).is_some();
        let names =
            self.head.headers.iter().filter(|(_, value)| repeats(value)).map(|(name, _)| name.clone());
        for name in names.collect::<Vec<_>>() {
            self.head.remove_header(&name);
        }
        if !self.is_read() {
            return;
        }
        let body = self.pending.concat();
        let mut at = 0;
        let mut hidden = Vec::new();
        for found in memchr::memmem::find_iter(&body, secret) {
            hidden.extend_from_slice(&body[at..found]);
            hidden.extend_from_slice(SHOWN);
            at = found + secret.len();
        }
        if at > 0 {
            hidden.extend_from_slice(&body[at..]);
            self.pending = vec![hidden.into()];
        }
    }

    /// Whether the upstream says that a thought in the conversation is encrypted, and not by it: another of the
    /// route's accounts may have thought it.
    pub(crate) fn is_anothers_thought(&self) -> bool {
        const CODE: &[u8] = b"invalid_encrypted_content";
        self.head.status == 400
            && self.is_read()
            && self.pending.iter().any(|part| memchr::memmem::find(part, CODE).is_some())
    }

    pub(crate) fn fault(&self) -> Option<Fault> {
        self.fault
    }

    pub(crate) fn set_fault(&mut self, fault: Fault) {
        self.fault = Some(fault);
    }

    /// Whether all of the body has been read.
    pub(crate) fn is_read(&self) -> bool {
        matches!(self.body, Body::Ended)
    }

    pub(crate) fn is_stream(&self) -> bool {
        self.tap.is_stream()
    }
}
