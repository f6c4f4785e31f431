//! `/api/v1` on the public listener, where `admin.public` says so: the admin service's router is
//! called in the process, with the caller's address and without an operator's rights.

use super::{
    Gateway, authenticate,
    client::{BodyError, Client},
    refusal::Refusal,
    reply,
    trace::Trace,
};
use aione_admin::{Listener, Peer};
use axum::body::{Body, HttpBody as _};
use bytes::Bytes;
use http::{Method, header};
use http_body_util::BodyExt;
use pingora_http::ResponseHeader;
use std::time::Duration;
use tower::ServiceExt;

/// Bytes of a management request's body; the admin service takes no more either.
const REQUEST_BYTES_MAX: usize = 64 * 1024;
/// How long a management request's body may take.
const BODY_MAX: Duration = Duration::from_secs(10);

pub(super) async fn serve(
    gateway: &Gateway,
    client: &mut Client<'_>,
    trace: &mut Trace,
) -> Result<(), Refusal> {
    let world = gateway.world();
    let mut room = gateway.bodies.room();
    let body =
        client.read_body(REQUEST_BYTES_MAX, BODY_MAX, &mut room).await.map_err(|error| match error {
            BodyError::TooLarge => Refusal::TooLarge { max_bytes: REQUEST_BYTES_MAX },
            BodyError::NoRoom => Refusal::Overloaded,
            BodyError::Late => Refusal::RequestTimeout,
            BodyError::Broken => Refusal::invalid("The request's body is broken off", None),
        })?;
    let head = client.head();
    let mut request = http::Request::new(Body::from(body));
    *request.method_mut() = head.method.clone();
    *request.version_mut() = head.version;
    *request.uri_mut() = head.uri.clone();
    *request.headers_mut() = head.headers.clone();
    request.extensions_mut().insert(Listener::Public);
    if let Some(address) = authenticate::address(client, &world.snapshot.server.trusted_proxies) {
        request.extensions_mut().insert(Peer(address));
    }
    let Ok(answer) = gateway.admin.clone().oneshot(request).await;
    let (parts, body) = answer.into_parts();
    trace.status = parts.status.as_u16();
    let length = body.size_hint().exact();
    // An answer to HEAD says what its body would be, in a header of its own.
    let is_head = client.head().method == Method::HEAD;
    let build = || -> Result<ResponseHeader, Box<pingora_core::Error>> {
        let mut head = ResponseHeader::build_no_case(parts.status, Some(parts.headers.len() + 2))?;
        for (name, value) in &parts.headers {
            head.append_header(name.clone(), value.clone())?;
        }
        match length {
            _ if is_head => {}
            Some(length) => head.insert_header(header::CONTENT_LENGTH, length)?,
            None if client.takes_chunks() => head.insert_header(header::TRANSFER_ENCODING, "chunked")?,
            None => {}
        }
        head.insert_header("x-request-id", trace.id.to_string())?;
        Ok(head)
    };
    let head = Box::new(build().map_err(|_| Refusal::Internal)?);
    match length {
        Some(_) => {
            let body = body.collect().await.map_err(|_| Refusal::Internal)?.to_bytes();
            reply::send(client, head, body).await;
        }
        None => stream(client, head, body).await,
    }
    Ok(())
}

/// An answer of unknown length goes on as it comes. What breaks off is not ended as if it were whole.
async fn stream(client: &mut Client<'_>, head: Box<ResponseHeader>, mut body: Body) {
    if client.write_head(head).await.is_err() {
        return;
    }
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return client.abort().await };
        if let Ok(data) = frame.into_data()
            && client.write_body(data, false).await.is_err()
        {
            return;
        }
    }
    let _ = client.write_body(Bytes::new(), true).await;
}
