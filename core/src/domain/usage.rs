//! What an answer used, where the numbers come from, and the immutable record of one exchange.

use crate::domain::{
    clock::Timestamp,
    id::{KeyId, OrgId, RecordId, TeamId},
    money::Pico,
    outlay::Outlay,
    price::ModelPrice,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Counts in **disjoint** classes: a token is in exactly one of `input`, `cache_read`,
/// `cache_write_5m`, `cache_write_1h`, `audio_in`, `output`, `reasoning`, `audio_out`. What is sold by the
/// piece is counted in its pieces, and not in tokens as well.
///
/// Each dialect's codec turns its vendor's fields into these once; nobody re-derives them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Usage {
    pub input: u64,
    pub cache_read: u64,
    pub cache_write_5m: u64,
    pub cache_write_1h: u64,
    pub audio_in: u64,
    pub output: u64,
    /// Thinking tokens that are billed; not contained in `output`.
    pub reasoning: u64,
    pub audio_out: u64,
    pub images: u64,
    pub searches: u64,
    /// Of a text that was spoken.
    #[serde(default)]
    pub characters: u64,
    /// Of a recording that was heard; one that has begun is a whole one.
    #[serde(default)]
    pub seconds: u64,
}

impl Usage {
    /// Everything that was read: the prompt, cached or not.
    #[must_use]
    pub fn prompt_tokens(&self) -> u64 {
        [self.input, self.cache_read, self.cache_write_5m, self.cache_write_1h, self.audio_in]
            .into_iter()
            .fold(0, u64::saturating_add)
    }

    /// Everything that was written, thinking included.
    #[must_use]
    pub fn completion_tokens(&self) -> u64 {
        self.output.saturating_add(self.reasoning).saturating_add(self.audio_out)
    }

    #[must_use]
    pub fn total_tokens(&self) -> u64 {
        self.prompt_tokens().saturating_add(self.completion_tokens())
    }

    /// Both, class by class.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            input: self.input.saturating_add(other.input),
            cache_read: self.cache_read.saturating_add(other.cache_read),
            cache_write_5m: self.cache_write_5m.saturating_add(other.cache_write_5m),
            cache_write_1h: self.cache_write_1h.saturating_add(other.cache_write_1h),
            audio_in: self.audio_in.saturating_add(other.audio_in),
            output: self.output.saturating_add(other.output),
            reasoning: self.reasoning.saturating_add(other.reasoning),
            audio_out: self.audio_out.saturating_add(other.audio_out),
            images: self.images.saturating_add(other.images),
            searches: self.searches.saturating_add(other.searches),
            characters: self.characters.saturating_add(other.characters),
            seconds: self.seconds.saturating_add(other.seconds),
        }
    }
}

/// Where a record's numbers come from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provenance {
    /// The upstream's own final usage.
    Provider,
    /// Counted here, because the upstream gave none or was not heard to its end.
    Estimated,
    /// What was known when the exchange was cut.
    #[default]
    Partial,
}

/// How an exchange ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The caller was sent the whole answer.
    Complete,
    /// The caller left first.
    ClientClosed,
    /// The upstream failed after its answer had begun.
    UpstreamAborted,
    /// The upstream answered with an error, or no attempt brought an answer.
    UpstreamError,
    /// The gateway itself failed.
    InternalError,
    /// The process died; the record was made from the journal at the next start.
    #[default]
    Interrupted,
}

macro_rules! names {
    ($type:ident { $($variant:ident = $name:literal),+ $(,)? }) => {
        impl $type {
            /// The name in the API, the store and metrics.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// The value of a stored name; `None` for a name of a later version.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

names!(Provenance { Provider = "provider", Estimated = "estimated", Partial = "partial" });
names!(End {
    Complete = "complete",
    ClientClosed = "client_closed",
    UpstreamAborted = "upstream_aborted",
    UpstreamError = "upstream_error",
    InternalError = "internal_error",
    Interrupted = "interrupted",
});

/// What admission knows of an exchange, written to the journal before an upstream is asked.
///
/// With no matching [`Closed`], it becomes an `interrupted` record at the next start.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Opened {
    pub id: RecordId,
    pub started_at: Timestamp,
    pub org: OrgId,
    pub team: TeamId,
    pub key: KeyId,
    /// The resolved public model name.
    pub model: Arc<str>,
    /// The dialect the caller spoke, such as `openai_chat`; `raw`: the request was passed on as it was.
    pub dialect: Arc<str>,
    /// The provider that the first attempt goes to.
    pub provider: Arc<str>,
    pub sandbox: bool,
    pub streamed: bool,
    /// The price book in force at `started_at`; see `price::PriceBook::version`.
    pub price_version: u64,
    /// Input tokens estimated from the size of the text.
    pub estimated_input: u64,
}

/// Statuses with which an upstream says that the request itself is wrong. Credentials (401, 403),
/// time (408) and rates (429) are between the gateway and its upstream.
const ASKED_WRONGLY: [u16; 5] = [400, 404, 413, 415, 422];

/// How an exchange ended, written to the journal before the terminal bytes are released.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Closed {
    pub id: RecordId,
    /// The provider whose answer the caller got; empty where none answered.
    pub provider: Arc<str>,
    /// The deployment's own model id; empty where none answered.
    pub upstream_model: Arc<str>,
    pub end: End,
    /// The status sent to the caller.
    pub status: u16,
    pub attempts: u8,
    pub usage: Usage,
    pub provenance: Provenance,
    /// The upstream's numbers contradicted each other or were out of bounds; see the codec.
    pub flagged: bool,
    /// A class that occurred has no rate: what it costs is not known, which `cost` cannot say.
    pub unpriced: bool,
    /// From the last byte of the request to the last byte of the answer.
    pub latency_ms: u32,
    /// From the last byte of the request to the first byte of the answer's body.
    pub first_byte_ms: u32,
    /// What the organization is charged.
    pub cost: Pico,
    /// What the operator pays. The journal has it beside the rest, since it came later.
    #[serde(skip)]
    pub outlay: Outlay,
}

impl Closed {
    /// Sets the cost under `price`, which is the model's when the request started. Where there is none, or a
    /// class that occurred has no rate, the record says that its cost is not known.
    pub fn charge(&mut self, opened: &Opened, price: Option<&ModelPrice>) {
        if opened.sandbox || self.is_free() {
            return;
        }
        match price.map(|price| price.price(&self.usage, opened.started_at)) {
            Some(Ok(cost)) => self.cost = cost,
            Some(Err(_)) | None => self.unpriced = true,
        }
    }

    /// Whether nothing is due, not even a fee for the request: a customer pays for the answer they got,
    /// and an upstream's error is none, whatever it burned. What the gateway broke, and what reached
    /// nobody, is free as long as nothing was made.
    #[must_use]
    pub fn is_free(&self) -> bool {
        match self.end {
            End::UpstreamError => true,
            End::InternalError => self.usage == Usage::default(),
            End::ClientClosed => self.provider.is_empty() && self.usage == Usage::default(),
            End::Complete | End::UpstreamAborted | End::Interrupted => false,
        }
    }

    /// Whether the gateway or its upstream is to blame: error rates count these. Neither a caller
    /// who left is, nor an upstream that would not do what the caller had asked for.
    #[must_use]
    pub fn is_fault(&self) -> bool {
        match self.end {
            End::Complete | End::ClientClosed => false,
            End::UpstreamError => !ASKED_WRONGLY.contains(&self.status),
            End::UpstreamAborted | End::InternalError | End::Interrupted => true,
        }
    }
}

/// One exchange, once and for all: an [`Opened`] with its [`Closed`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UsageRecord {
    pub opened: Opened,
    pub closed: Closed,
}

impl UsageRecord {
    /// Whether it costs something: sandbox use never does, and what has no price does not yet.
    #[must_use]
    pub fn is_charged(&self) -> bool {
        !self.opened.sandbox && self.closed.cost != Pico::ZERO
    }

    /// The record of an exchange whose process died before it could be closed. `cost` is what
    /// the estimated input costs under the book that was in force; `None`: that book does not say.
    #[must_use]
    pub fn interrupted(opened: Opened, cost: Option<Pico>) -> Self {
        let closed = Closed {
            id: opened.id,
            provider: opened.provider.clone(),
            upstream_model: Arc::from(""),
            end: End::Interrupted,
            status: 0,
            attempts: 0,
            usage: Usage { input: opened.estimated_input, ..Usage::default() },
            provenance: Provenance::Partial,
            flagged: false,
            unpriced: cost.is_none(),
            latency_ms: 0,
            first_byte_ms: 0,
            cost: cost.unwrap_or(Pico::ZERO),
            outlay: Outlay::default(),
        };
        Self { opened, closed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_the_gateways_or_its_upstreams() {
        let record = |end, status| Closed {
            id: RecordId(uuid::Uuid::nil()),
            provider: Arc::from("p"),
            upstream_model: Arc::from("m"),
            end,
            status,
            attempts: 1,
            usage: Usage::default(),
            provenance: Provenance::Provider,
            flagged: false,
            unpriced: false,
            latency_ms: 1,
            first_byte_ms: 1,
            cost: Pico::ZERO,
            outlay: Outlay::default(),
        };
        for (end, status, is_fault) in [
            (End::Complete, 200, false),
            (End::ClientClosed, 200, false),
            (End::UpstreamError, 400, false),
            (End::UpstreamError, 404, false),
            (End::UpstreamError, 401, true),
            (End::UpstreamError, 429, true),
            (End::UpstreamError, 502, true),
            (End::UpstreamAborted, 200, true),
            (End::InternalError, 500, true),
            (End::Interrupted, 0, true),
        ] {
            assert_eq!(record(end, status).is_fault(), is_fault, "{end:?} {status}");
        }
    }
}
