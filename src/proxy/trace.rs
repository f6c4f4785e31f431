//! What the access log tells of one request; filled in as the phases learn it.

use super::authenticate::Caller;
use crate::{clock, telemetry::access::append_text};
use aione_core::{
    domain::{
        clock::{Steady, Timestamp},
        id::{KeyId, OrgId, RecordId, TEXT_BYTES},
        usage::Closed,
    },
    wire::Dialect,
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
    /// In whose words a refusal is told; `None`: the path says.
    pub(crate) dialect: Option<Dialect>,
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
            dialect: None,
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
pub(crate) struct Line {
    pub(crate) trace: Trace,
    pub(crate) duration_us: u64,
    pub(crate) method: Box<str>,
    /// Without the query: it may hold a key.
    pub(crate) path: Box<str>,
    pub(crate) client: Option<std::net::IpAddr>,
    pub(crate) bytes_sent: u64,
    pub(crate) gone: bool,
}

impl Line {
    /// Appends the line as JSON.
    pub(crate) fn append_to(&self, line: &mut String) {
        let trace = &self.trace;
        let mut id_text = [0; TEXT_BYTES];
        line.push_str("{\"time\":\"");
        line.push_str(&trace.started_at.rfc3339());
        line.push_str("\",\"type\":\"access\"");
        plain(line, "request_id", trace.id.write(&mut id_text));
        text(line, "method", &self.method);
        text(line, "path", &self.path);
        number(line, "status", trace.status.into());
        number(line, "duration_us", self.duration_us);
        number(line, "bytes_sent", self.bytes_sent);
        if let Some(client) = self.client {
            // Writing to a String cannot fail.
            let _ = write!(line, ",\"client_ip\":\"{client}\"");
        }
        if let Some(org) = trace.org {
            plain(line, "org_id", org.write(&mut id_text));
        }
        if let Some(key) = trace.key {
            plain(line, "key_id", key.write(&mut id_text));
        }
        if let Some(model) = &trace.model {
            text(line, "model", model);
            line.push_str(if trace.streamed { ",\"stream\":true" } else { ",\"stream\":false" });
        }
        if let Some(code) = trace.refused {
            plain(line, "refused", code);
        }
        if self.gone {
            line.push_str(",\"client_gone\":true");
        }
        if let Some(closed) = &trace.closed {
            append_usage(line, closed);
        }
        line.push_str("}\n");
    }
}

fn append_usage(line: &mut String, closed: &Closed) {
    let usage = &closed.usage;
    text(line, "provider", &closed.provider);
    plain(line, "end", closed.end.as_str());
    plain(line, "provenance", closed.provenance.as_str());
    number(line, "attempts", closed.attempts.into());
    number(line, "prompt_tokens", usage.prompt_tokens());
    number(line, "cached_tokens", usage.cache_read);
    number(line, "completion_tokens", usage.completion_tokens());
    number(line, "first_byte_ms", closed.first_byte_ms.into());
}

fn name(line: &mut String, name: &str) {
    line.push_str(",\"");
    line.push_str(name);
    line.push_str("\":");
}

fn number(line: &mut String, field: &str, value: u64) {
    name(line, field);
    line.push_str(itoa::Buffer::new().format(value));
}

/// A value of our own, which holds nothing that JSON escapes.
fn plain(line: &mut String, field: &str, value: &str) {
    name(line, field);
    line.push('"');
    line.push_str(value);
    line.push('"');
}

fn text(line: &mut String, field: &str, value: &str) {
    name(line, field);
    append_text(line, value);
}
