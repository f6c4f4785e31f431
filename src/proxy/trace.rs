//! What the access log tells of one request; filled in as the phases learn it.

use super::authenticate::Caller;
use crate::{clock, telemetry::access::append_text};
use aione_core::domain::{
    clock::{Steady, Timestamp},
    id::{KeyId, OrgId, RecordId},
    usage::Closed,
};
use std::{fmt::Write as _, sync::Arc};

pub(crate) struct Trace {
    /// Also the answer's `x-request-id`.
    pub(crate) id: RecordId,
    pub(crate) started_at: Timestamp,
    pub(crate) began: Steady,
    pub(crate) org: Option<OrgId>,
    pub(crate) key: Option<KeyId>,
    pub(crate) model: Option<Arc<str>>,
    pub(crate) streamed: bool,
    pub(crate) closed: Option<Closed>,
    /// Our own refusal's code.
    pub(crate) refused: Option<&'static str>,
    pub(crate) status: u16,
}

impl Trace {
    pub(crate) fn begin() -> Self {
        let started_at = clock::now();
        Self {
            id: RecordId::new(started_at, rand::random()),
            started_at,
            began: clock::steady(),
            org: None,
            key: None,
            model: None,
            streamed: false,
            closed: None,
            refused: None,
            status: 0,
        }
    }

    pub(crate) fn caller(&mut self, caller: &Caller) {
        self.org = Some(caller.key.org);
        self.key = Some(caller.key.id);
    }

    pub(crate) fn admitted(&mut self, model: &Arc<str>, streamed: bool) {
        self.model = Some(model.clone());
        self.streamed = streamed;
    }

    pub(crate) fn closed(&mut self, closed: Closed) {
        self.status = closed.status;
        self.closed = Some(closed);
    }
}

/// One line of the access log.
pub(crate) struct Line<'a> {
    pub(crate) trace: &'a Trace,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) client: Option<std::net::IpAddr>,
    pub(crate) bytes_sent: u64,
    pub(crate) gone: bool,
}

impl Line<'_> {
    /// Appends the line as JSON. The query is not in it: it may hold a key.
    pub(crate) fn append_to(&self, lines: &mut Vec<u8>) {
        let mut line = String::with_capacity(512);
        let trace = self.trace;
        // Writing to a String cannot fail.
        let _ = write!(
            line,
            "{{\"time\":\"{}\",\"type\":\"access\",\"request_id\":\"{}\"",
            trace.started_at.rfc3339(),
            trace.id
        );
        text(&mut line, "method", self.method);
        text(&mut line, "path", self.path);
        let _ = write!(
            line,
            ",\"status\":{},\"duration_us\":{}",
            trace.status,
            clock::steady().since_ns(trace.began) / 1000
        );
        let _ = write!(line, ",\"bytes_sent\":{}", self.bytes_sent);
        if let Some(client) = self.client {
            let _ = write!(line, ",\"client_ip\":\"{client}\"");
        }
        if let Some(org) = trace.org {
            let _ = write!(line, ",\"org_id\":\"{org}\"");
        }
        if let Some(key) = trace.key {
            let _ = write!(line, ",\"key_id\":\"{key}\"");
        }
        if let Some(model) = &trace.model {
            text(&mut line, "model", model);
            let _ = write!(line, ",\"stream\":{}", trace.streamed);
        }
        if let Some(code) = trace.refused {
            let _ = write!(line, ",\"refused\":\"{code}\"");
        }
        if self.gone {
            line.push_str(",\"client_gone\":true");
        }
        if let Some(closed) = &trace.closed {
            self.append_usage(&mut line, closed);
        }
        line.push_str("}\n");
        lines.extend_from_slice(line.as_bytes());
    }

    fn append_usage(&self, line: &mut String, closed: &Closed) {
        text(line, "provider", &closed.provider);
        let usage = &closed.usage;
        let _ = write!(
            line,
            ",\"end\":\"{}\",\"provenance\":\"{}\",\"attempts\":{},\"prompt_tokens\":{},\"cached_tokens\":{},\"completion_tokens\":{},\"first_byte_ms\":{}",
            closed.end.as_str(),
            closed.provenance.as_str(),
            closed.attempts,
            usage.prompt_tokens(),
            usage.cache_read,
            usage.completion_tokens(),
            closed.first_byte_ms,
        );
    }
}

fn text(line: &mut String, name: &str, value: &str) {
    line.push_str(",\"");
    line.push_str(name);
    line.push_str("\":");
    append_text(line, value);
}
