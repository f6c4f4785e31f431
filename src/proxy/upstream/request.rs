//! The request as the upstream gets it: our credential, the caller's body with another model
//! name, and of the caller's headers only those on the list.

use super::target::Target;
use crate::proxy::{ask::Ask, authenticate, client::Client, world::Running};
use aione_core::{
    config::snapshot::Deployment,
    provider::simulated::DIRECTIVE_HEADER,
    wire::splice::{self, Spliced},
};
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;
use pingora_http::RequestHeader;
use std::sync::atomic::{AtomicBool, Ordering};

/// The caller's headers that reach an upstream; the rest stays here. A list of what passes,
/// not of what does not: an unknown header may hold a secret. Not `idempotency-key` either:
/// organizations share a vendor's account, and one would be given another's answer.
const PASSED: [&str; 6] =
    ["accept", "user-agent", "openai-beta", "traceparent", "tracestate", "x-client-request-id"];
const PASSED_PREFIX: &str = "x-stainless-";
/// Header bytes and a small body leave in one write up to this size.
const ONE_WRITE_MAX: usize = 64 * 1024;

/// A request that is ready to be sent, over whichever version of HTTP the connection speaks.
pub(super) struct Outgoing<'r> {
    headers: Vec<(HeaderName, HeaderValue)>,
    /// In order; nothing was copied out of the caller's body.
    pub(super) body: Vec<Bytes>,
    pub(super) body_len: usize,
    path: &'static str,
    pub(super) credential: Option<HeaderValue>,
    /// What the caller asks of the simulated provider.
    pub(super) directive: Option<String>,
    /// Set once anything may have reached the upstream.
    sent: &'r AtomicBool,
}

impl<'r> Outgoing<'r> {
    pub(super) fn new(
        deployment: &Deployment,
        running: &Running,
        ask: &Ask,
        client: &Client<'_>,
        trusted: &[IpNet],
        sent: &'r AtomicBool,
    ) -> Self {
        let ask_usage = ask.peek.stream && deployment.provider.stream_usage && ask.endpoint.generates();
        let Spliced { parts: body, bytes: body_len } =
            splice::splice(&ask.body, &ask.peek, &deployment.model, ask_usage);
        let mut headers = passed(client.headers());
        if deployment.provider.forward_client_ip
            && let Some(address) = authenticate::address(client, trusted)
            && let Ok(value) = HeaderValue::from_str(&address.to_string())
        {
            headers.push((HeaderName::from_static("x-forwarded-for"), value));
        }
        Self {
            headers,
            body_len,
            body,
            path: ask.endpoint.path(),
            credential: running.credential().cloned(),
            sent,
            directive: client
                .headers()
                .get(DIRECTIVE_HEADER)
                .and_then(|value| Some(value.to_str().ok()?.to_owned())),
        }
    }

    /// Notes that from now on something may reach the upstream.
    pub(super) fn note_sent(&self) {
        self.sent.store(true, Ordering::Relaxed);
    }

    /// The request's head as HTTP/1.1 bytes, followed by the body where both are small enough
    /// to leave in one write. The flag tells whether the body is in it.
    pub(super) fn http1(&self, target: &Target) -> (Bytes, bool) {
        let fits = self.body_len <= ONE_WRITE_MAX;
        let mut wire = BytesMut::with_capacity(1024 + if fits { self.body_len } else { 0 });
        let mut line = |parts: &[&[u8]]| parts.iter().for_each(|part| wire.put_slice(part));
        line(&[b"POST ", target.path().as_bytes(), self.path.as_bytes(), b" HTTP/1.1\r\nhost: "]);
        line(&[target.authority.as_bytes(), b"\r\ncontent-type: application/json\r\n"]);
        if let Some(credential) = &self.credential {
            line(&[b"authorization: ", credential.as_bytes(), b"\r\n"]);
        }
        for (name, value) in &self.headers {
            line(&[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"]);
        }
        let length = self.body_len.to_string();
        line(&[b"accept-encoding: identity\r\ncontent-length: ", length.as_bytes(), b"\r\n\r\n"]);
        if fits {
            self.body.iter().for_each(|part| wire.put_slice(part));
        }
        (wire.freeze(), fits)
    }

    /// The same head for HTTP/2.
    pub(super) fn http2(&self, target: &Target) -> Option<Box<RequestHeader>> {
        let path = format!("{}{}", target.path(), self.path);
        let mut head = RequestHeader::build_no_case("POST", path.as_bytes(), Some(16)).ok()?;
        head.set_version(http::Version::HTTP_2);
        let scheme = if target.is_tls() { "https" } else { "http" };
        let uri = format!("{scheme}://{}{path}", target.authority).parse().ok()?;
        head.set_uri(uri);
        head.insert_header(http::header::CONTENT_TYPE, "application/json").ok()?;
        head.insert_header(http::header::ACCEPT_ENCODING, "identity").ok()?;
        head.insert_header(http::header::CONTENT_LENGTH, self.body_len).ok()?;
        if let Some(credential) = &self.credential {
            head.insert_header(http::header::AUTHORIZATION, credential.clone()).ok()?;
        }
        for (name, value) in &self.headers {
            head.append_header(name.clone(), value.clone()).ok()?;
        }
        Some(Box::new(head))
    }
}

/// The caller's headers on the list, but for those that its `Connection` names.
fn passed(headers: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
    let nominated = |name: &HeaderName| {
        headers.get_all(http::header::CONNECTION).into_iter().any(|value| {
            value.to_str().is_ok_and(|list| {
                list.split(',').any(|nominee| nominee.trim().eq_ignore_ascii_case(name.as_str()))
            })
        })
    };
    headers
        .iter()
        .filter(|(name, _)| PASSED.contains(&name.as_str()) || name.as_str().starts_with(PASSED_PREFIX))
        .filter(|(name, _)| !nominated(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}
