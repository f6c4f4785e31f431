//! Answers of our own, and what we add to an upstream's: ids, limits, refusals in the caller's
//! dialect.

use super::{client::Client, endpoint, refusal::Refusal, trace::Trace};
use crate::clock;
use aione_core::{
    domain::{
        clock::Timestamp,
        id::{RecordId, TEXT_BYTES},
        limit::{Quota, View},
    },
    wire::{
        Dialect,
        error::{self, ErrorText},
    },
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, response::Parts};
use pingora_http::ResponseHeader;

const VALID: &str = "numbers and constants are valid header values";

/// A refusal as head and body.
pub(crate) fn render(refusal: &Refusal, dialect: Dialect, id: RecordId) -> (Box<ResponseHeader>, Bytes) {
    let face = refusal.face();
    let body: Bytes = error::body(
        dialect,
        ErrorText {
            status: face.status,
            kind: face.kind,
            code: Some(face.code),
            message: &face.message,
            param: face.param.as_deref(),
            limit: refusal.limit(),
            request_id: id.write(&mut [0; TEXT_BYTES]),
        },
    )
    .into();
    let mut head =
        ResponseHeader::build_no_case(face.status, Some(12)).expect("the table holds valid statuses");
    head.insert_header(header::CONTENT_TYPE, "application/json").expect(VALID);
    head.insert_header(header::CONTENT_LENGTH, body.len()).expect(VALID);
    edit(&mut head, |headers| show_id(headers, dialect, id));
    head.insert_header("x-aione-refused", face.code).expect(VALID);
    if let Some(wait_ms) = face.retry_after_ms {
        head.insert_header(header::RETRY_AFTER, wait_ms.div_ceil(1000).max(1)).expect(VALID);
        head.insert_header("retry-after-ms", wait_ms).expect(VALID);
    }
    if face.status == 402 {
        // Official clients try some statuses again by themselves; here it would be in vain.
        head.insert_header("x-should-retry", "false").expect(VALID);
    }
    if let Some(view) = refusal.view() {
        edit(&mut head, |headers| show_limits(headers, dialect, view));
    }
    if let Some(methods) = refusal.allowed() {
        head.insert_header(header::ALLOW, methods).expect(VALID);
    }
    (Box::new(head), body)
}

/// A head that stands where one was taken.
pub(crate) fn empty_head() -> ResponseHeader {
    let (parts, ()) = http::Response::new(()).into_parts();
    parts.into()
}

/// Sends a refusal that came before an upstream was asked.
pub(crate) async fn refuse(client: &mut Client<'_>, refusal: &Refusal, trace: &mut Trace) {
    let dialect = trace.dialect.unwrap_or_else(|| endpoint::dialect_of(client));
    let (head, body) = render(refusal, dialect, trace.id);
    trace.status = head.status.as_u16();
    trace.refused = Some(refusal.face().code);
    send(client, head, body).await;
}

/// Sends a small answer of ours. What is left of the request's body is read and dropped within
/// bounds, so that the connection lives on, or at least that the answer is not lost to a reset.
pub(crate) async fn send(client: &mut Client<'_>, head: Box<ResponseHeader>, body: Bytes) {
    client.drop_small_body().await;
    let body = if client.method() == Method::HEAD { Bytes::new() } else { body };
    if client.write_head(head).await.is_ok() && client.write_body(body, true).await.is_ok() {
        client.linger().await;
    }
}

/// A JSON answer of ours.
pub(crate) async fn json(client: &mut Client<'_>, status: StatusCode, body: Bytes, trace: &mut Trace) {
    trace.status = status.as_u16();
    let mut head = ResponseHeader::build_no_case(status, Some(6)).expect(VALID);
    head.insert_header(header::CONTENT_TYPE, "application/json").expect(VALID);
    head.insert_header(header::CONTENT_LENGTH, body.len()).expect(VALID);
    edit(&mut head, |headers| show_id(headers, endpoint::dialect_of(client), trace.id));
    send(client, Box::new(head), body).await;
}

/// An upstream's answer that has been read, for which no exchange is open.
pub(crate) async fn whole(
    client: &mut Client<'_>,
    mut head: Box<ResponseHeader>,
    body: Bytes,
    view: &View,
    trace: &mut Trace,
) {
    trace.status = head.status.as_u16();
    dress(&mut head, endpoint::dialect_of(client), trace.id, view);
    head.insert_header(header::CONTENT_LENGTH, body.len()).expect(VALID);
    send(client, head, body).await;
}

/// Adds to an upstream's head what is ours to say.
pub(crate) fn dress(head: &mut ResponseHeader, dialect: Dialect, id: RecordId, view: &View) {
    edit(head, |headers| {
        show_id(headers, dialect, id);
        show_limits(headers, dialect, view);
    });
}

/// Works on the headers themselves: Pingora's own way in reads each name anew.
fn edit(head: &mut ResponseHeader, work: impl FnOnce(&mut HeaderMap)) {
    let mut parts = Parts::from(std::mem::replace(head, empty_head()));
    work(&mut parts.headers);
    *head = parts.into();
}

fn id_value(id: RecordId) -> HeaderValue {
    HeaderValue::from_str(id.write(&mut [0; TEXT_BYTES])).expect(VALID)
}

fn show_id(headers: &mut HeaderMap, dialect: Dialect, id: RecordId) {
    let value = id_value(id);
    if dialect == Dialect::AnthropicMessages {
        headers.insert(ANTHROPIC_REQUEST_ID, value.clone());
    }
    headers.insert(REQUEST_ID, value);
}

fn show_limits(headers: &mut HeaderMap, dialect: Dialect, view: &View) {
    let View { requests, tokens } = view;
    let is_anthropic = dialect == Dialect::AnthropicMessages;
    let write_reset = if is_anthropic { push_time } else { push_go_duration };
    let [of_requests, of_tokens] =
        if is_anthropic { [ANTHROPIC_REQUESTS, ANTHROPIC_TOKENS] } else { [REQUESTS, TOKENS] };
    let mut text = String::with_capacity(24);
    if let Some(level) = requests {
        limits(headers, level, of_requests, write_reset, &mut text);
    }
    if let Some(level) = tokens {
        limits(headers, level, of_tokens, write_reset, &mut text);
    }
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const ANTHROPIC_REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const ANTHROPIC_REQUESTS: [HeaderName; 3] = [
    HeaderName::from_static("anthropic-ratelimit-requests-limit"),
    HeaderName::from_static("anthropic-ratelimit-requests-remaining"),
    HeaderName::from_static("anthropic-ratelimit-requests-reset"),
];
const ANTHROPIC_TOKENS: [HeaderName; 3] = [
    HeaderName::from_static("anthropic-ratelimit-tokens-limit"),
    HeaderName::from_static("anthropic-ratelimit-tokens-remaining"),
    HeaderName::from_static("anthropic-ratelimit-tokens-reset"),
];
const REQUESTS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
];
const TOKENS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-tokens"),
    HeaderName::from_static("x-ratelimit-remaining-tokens"),
    HeaderName::from_static("x-ratelimit-reset-tokens"),
];

/// `text` is where the values are written, one after the other.
fn limits(
    headers: &mut HeaderMap,
    level: &Quota,
    [limit, remaining, reset]: [HeaderName; 3],
    write_reset: fn(&mut String, u64),
    text: &mut String,
) {
    let mut digits = itoa::Buffer::new();
    headers.insert(limit, HeaderValue::from_str(digits.format(level.limit)).expect(VALID));
    headers.insert(remaining, HeaderValue::from_str(digits.format(level.remaining)).expect(VALID));
    text.clear();
    write_reset(text, level.reset_ms);
    headers.insert(reset, HeaderValue::from_str(text).expect(VALID));
}

/// When `millis` from now are over, as Anthropic writes it: RFC 3339.
fn push_time(text: &mut String, millis: u64) {
    let until = clock::now().0.saturating_add(i64::try_from(millis).unwrap_or(i64::MAX));
    text.push_str(&Timestamp(until).rfc3339());
}

/// A time as OpenAI writes it: `12ms`, `59.5s`, `6m0s`.
fn push_go_duration(text: &mut String, millis: u64) {
    let mut digits = itoa::Buffer::new();
    let (seconds, rest) = (millis / 1000, millis % 1000);
    if seconds == 0 {
        text.push_str(digits.format(rest));
        text.push_str("ms");
        return;
    }
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    if hours > 0 {
        text.push_str(digits.format(hours));
        text.push('h');
    }
    if seconds >= 60 {
        text.push_str(digits.format(minutes));
        text.push('m');
    }
    text.push_str(digits.format(seconds % 60));
    if rest > 0 {
        text.push('.');
        // A leading 1 keeps the zeros in front of the digits.
        text.push_str(digits.format(1000 + rest)[1..].trim_end_matches('0'));
    }
    text.push('s');
}

#[cfg(test)]
mod tests {
    #[test]
    fn times_are_written_as_go_writes_them() {
        for (millis, text) in [
            (12, "12ms"),
            (59_500, "59.5s"),
            (360_000, "6m0s"),
            (86_400_000, "24h0m0s"),
            (0, "0ms"),
            (61_007, "1m1.007s"),
        ] {
            let mut written = String::new();
            super::push_go_duration(&mut written, millis);
            assert_eq!(written, text);
        }
    }
}
