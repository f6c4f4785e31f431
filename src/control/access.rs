//! The access line and the id of each call to the admin listener.

use crate::{
    clock,
    telemetry::access::{AccessLog, Entry, append_text},
};
use aione_core::domain::{
    clock::{Steady, Timestamp},
    id::RecordId,
};
use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderValue, StatusCode},
    middleware::Next,
    response::Response,
};
use std::{
    fmt::Write as _,
    net::{IpAddr, SocketAddr},
};

/// Gives the call an id and leaves one line of it, also where its caller does not wait.
pub(super) async fn note(
    State(log): State<AccessLog>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let mut call = Call::begin(log, peer.ip(), &request);
    let mut answer = next.run(request).await;
    if let Ok(id) = HeaderValue::try_from(call.id.to_string()) {
        answer.headers_mut().insert("x-request-id", id);
    }
    call.status = Some(answer.status());
    answer
}

/// A call under way; its line is written when it is dropped.
struct Call {
    log: AccessLog,
    id: RecordId,
    started_at: Timestamp,
    began: Steady,
    client: IpAddr,
    method: String,
    /// Without the query, which may hold anything.
    path: String,
    /// `None`: the caller left first.
    status: Option<StatusCode>,
}

impl Call {
    fn begin(log: AccessLog, client: IpAddr, request: &Request) -> Self {
        let started_at = clock::now();
        Self {
            log,
            id: RecordId::new(started_at, rand::random()),
            started_at,
            began: clock::steady(),
            client,
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            status: None,
        }
    }

    fn line(&self) -> String {
        let mut line = format!(
            r#"{{"time":"{}","type":"access","listener":"admin","request_id":"{}","method":"#,
            self.started_at.rfc3339(),
            self.id
        );
        append_text(&mut line, &self.method);
        line.push_str(r#","path":"#);
        append_text(&mut line, &self.path);
        let duration_us = clock::steady().since_ns(self.began) / 1000;
        // Writing to a String cannot fail.
        let _ = write!(line, r#","duration_us":{duration_us},"client_ip":"{}""#, self.client);
        let _ = match self.status {
            Some(status) => write!(line, r#","status":{}"#, status.as_u16()),
            None => write!(line, r#","status":0,"client_gone":true"#),
        };
        line.push_str("}\n");
        line
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.log.append(Entry::Text(self.line()));
    }
}
