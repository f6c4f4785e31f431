//! The front: connections of HTTP/1 and /2, a deadline on every head, and which path is what.

use super::{
    Gateway, authenticate,
    client::Client,
    count,
    door::FirstByte,
    endpoint::Called,
    exchange, models, mount, pass,
    refusal::Refusal,
    reply,
    trace::{Line, Trace},
};
use crate::{
    clock,
    telemetry::access::{Entry, FIELD_MAX},
};
use async_trait::async_trait;
use http::{HeaderMap, Method, StatusCode, Version, header};
use pingora_core::{
    apps::{HttpPersistentSettings, HttpServerApp, HttpServerOptions, ReusedHttpStream},
    protocols::http::{ServerSession, v2::server::H2Options},
    server::ShutdownWatch,
};
use std::{
    future::poll_fn,
    pin::pin,
    sync::{Arc, atomic::Ordering},
    task::Poll,
    time::Duration,
};

/// How long a connection may lie idle between two requests, in seconds.
const KEEPALIVE_SECS: u64 = 60;
/// All request headers of one HTTP/2 stream together, in bytes.
const H2_HEADERS_MAX: u32 = 64 * 1024;
/// Streams that one HTTP/2 connection may have open.
const H2_STREAMS_MAX: u32 = 128;
/// What belongs to the admin service.
const MANAGEMENT: &str = "/api/v1/";
/// How long an HTTP/2 connection without a stream is kept.
const H2_IDLE_MAX: Duration = Duration::from_secs(60);

/// The data plane's application on Pingora's listeners.
pub(crate) struct Front {
    gateway: Arc<Gateway>,
    options: HttpServerOptions,
}

impl Front {
    pub(crate) fn new(gateway: Arc<Gateway>, h2c: bool) -> Self {
        let mut options = HttpServerOptions::default();
        options.h2c = h2c;
        options.h2_idle_timeout = Some(H2_IDLE_MAX);
        Self { gateway, options }
    }

    /// `server.max_connections`.
    pub(super) fn connections_max(&self) -> usize {
        self.gateway.world().snapshot.server.max_connections
    }

    /// `server.header_timeout`.
    pub(super) fn header_timeout(&self) -> Duration {
        self.gateway.world().snapshot.server.header_timeout
    }

    /// Reads a head within its deadline; `None`: there is nothing to answer.
    async fn read_head(&self, session: &mut ServerSession) -> Option<()> {
        let Some(first_byte) = FirstByte::of(session) else {
            return matches!(session.read_request().await, Ok(true)).then_some(());
        };
        first_byte.forget();
        let longest = self.header_timeout();
        let read = {
            let mut reading = pin!(session.read_request());
            let mut late = None;
            poll_fn(|context| {
                if let Poll::Ready(read) = reading.as_mut().poll(context) {
                    return Poll::Ready(Some(read));
                }
                // Pingora bounds the wait for a first byte; a head that has begun has a deadline. Nearly all come in one
                // piece, for which no timer is made.
                let Some(begun) = first_byte.at() else { return Poll::Pending };
                let late = late.get_or_insert_with(|| {
                    let taken = Duration::from_nanos(clock::steady().since_ns(begun));
                    Box::pin(tokio::time::sleep(longest.saturating_sub(taken)))
                });
                late.as_mut().poll(context).map(|()| None)
            })
            .await?
        };
        match read {
            Ok(true) => Some(()),
            Ok(false) => None,
            Err(_) => {
                // What came is not HTTP: no byte of it may be taken for another request.
                session.set_keepalive(None);
                let _ = session.respond_error(400).await;
                None
            }
        }
    }
}

#[async_trait]
impl HttpServerApp for Front {
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        _shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        self.read_head(&mut session).await?;
        let gateway = &self.gateway;
        let _serving = Serving::new(gateway);
        let keeps_alive = !gateway.is_draining() && wants_keepalive(&session);
        session.set_keepalive(keeps_alive.then_some(KEEPALIVE_SECS));
        let mut trace = Trace::begin();
        let mut client = Client::new(&mut session);
        serve(gateway, &mut client, &mut trace).await;
        log(gateway, &client, trace);
        if client.is_gone() {
            return None;
        }
        let settings = HttpPersistentSettings::for_session(&session);
        let reusable = session.finish().await.ok()??;
        Some(ReusedHttpStream::from_reusable_stream(reusable, settings))
    }

    fn h2_options(&self) -> Option<H2Options> {
        let mut options = H2Options::default();
        options.max_header_list_size(H2_HEADERS_MAX).max_concurrent_streams(H2_STREAMS_MAX);
        Some(options)
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.options)
    }
}

/// The whole of the data plane's paths. Whatever is not an exchange is boxed, so that no exchange has
/// to carry the state of it along.
async fn serve(gateway: &Arc<Gateway>, client: &mut Client<'_>, trace: &mut Trace) {
    if client.speaks_http1() && asks_for_websocket(client.headers()) {
        return Box::pin(refuse(gateway, client, Refusal::UpgradeRefused, trace)).await;
    }
    let called = match Called::at(client.path(), client.head().uri.query()) {
        Some(_) if client.method() != Method::POST => Err(Refusal::MethodNotAllowed),
        Some(called) => Ok(Some(called)),
        None => pass::called(gateway, client, trace),
    };
    let called = match called {
        Ok(Some(called)) => called,
        Ok(None) => return Box::pin(serve_other(gateway, client, trace)).await,
        Err(refusal) => return Box::pin(refuse(gateway, client, refusal, trace)).await,
    };
    let served = if called.endpoint.counts() {
        Box::pin(count::run(gateway, client, called, trace)).await
    } else {
        exchange::run(gateway, client, called, trace).await
    };
    if let Err(refusal) = served {
        Box::pin(refuse(gateway, client, refusal, trace)).await;
    }
}

async fn serve_other(gateway: &Arc<Gateway>, client: &mut Client<'_>, trace: &mut Trace) {
    let path = client.path().to_owned();
    let is_read = matches!(*client.method(), Method::GET | Method::HEAD);
    let listed = match path.as_str() {
        "/" | "/healthz" if is_read => return probe(client, true, trace).await,
        "/readyz" if is_read => return probe(client, !gateway.is_draining(), trace).await,
        path if path.starts_with(MANAGEMENT) && gateway.world().snapshot.admin.public => {
            if let Err(refusal) = mount::serve(gateway, client, trace).await {
                refuse(gateway, client, refusal, trace).await;
            }
            return;
        }
        path => path.strip_prefix("/v1beta/models").or_else(|| path.strip_prefix("/v1/models")),
    };
    let id = match listed {
        Some("") => None,
        Some(id) if id.len() > 1 && id.starts_with('/') => Some(&id[1..]),
        _ => return refuse(gateway, client, Refusal::NoSuchEndpoint, trace).await,
    };
    if !is_read {
        return refuse(gateway, client, Refusal::MethodNotAllowed, trace).await;
    }
    let id = id.map(|id| percent_encoding::percent_decode_str(id).decode_utf8_lossy());
    match models::list(gateway, client, id.as_deref(), trace).await {
        Ok(body) => reply::json(client, StatusCode::OK, body, trace).await,
        Err(refusal) => refuse(gateway, client, refusal, trace).await,
    }
}

async fn refuse(gateway: &Gateway, client: &mut Client<'_>, refusal: Refusal, trace: &mut Trace) {
    gateway.metrics.refused(refusal.face().code);
    reply::refuse(client, &refusal, trace).await;
}

async fn probe(client: &mut Client<'_>, well: bool, trace: &mut Trace) {
    let (status, body) = if well {
        (StatusCode::OK, &b"{\"status\":\"ok\"}"[..])
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, &b"{\"status\":\"draining\"}"[..])
    };
    reply::json(client, status, body.into(), trace).await;
}

/// Probes are not worth a line each.
fn log(gateway: &Gateway, client: &Client<'_>, trace: Trace) {
    if matches!(client.path(), "/healthz" | "/readyz") {
        return;
    }
    gateway.access.append(Entry::Request(Line {
        duration_us: clock::steady().since_ns(trace.began) / 1000,
        trace,
        method: beginning(client.method().as_str()),
        path: beginning(client.path()),
        client: authenticate::address(client, &gateway.world().snapshot.server.trusted_proxies),
        bytes_sent: client.bytes_sent(),
        gone: client.is_gone(),
    }));
}

/// As much as the log shows of what a stranger may have chosen: a line may have to wait.
fn beginning(text: &str) -> Box<str> {
    text[..text.floor_char_boundary(FIELD_MAX * 4)].into()
}

/// Any other protocol that is offered may be passed over, and the request answered as it is.
fn asks_for_websocket(headers: &HeaderMap) -> bool {
    headers.get_all(header::UPGRADE).into_iter().any(|offered| {
        offered
            .as_bytes()
            .split(|byte| *byte == b',')
            .any(|name| name.trim_ascii().eq_ignore_ascii_case(b"websocket"))
    })
}

fn wants_keepalive(session: &ServerSession) -> bool {
    let head = session.req_header();
    let named = |wanted: &str| {
        head.headers.get_all(header::CONNECTION).into_iter().any(|value| {
            value.to_str().is_ok_and(|list| list.split(',').any(|it| it.trim().eq_ignore_ascii_case(wanted)))
        })
    };
    if head.version == Version::HTTP_10 { named("keep-alive") } else { !named("close") }
}

/// Counts a request while it is served.
struct Serving<'g>(&'g Gateway);

impl<'g> Serving<'g> {
    fn new(gateway: &'g Gateway) -> Self {
        gateway.in_flight.fetch_add(1, Ordering::AcqRel);
        Self(gateway)
    }
}

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}
