//! What closed frames of earlier versions hold: the ten classes that there were.

use aione_core::domain::{
    id::RecordId,
    money::Pico,
    outlay::{FailedAttempt, Outlay},
    usage::{self, End, Provenance, Usage},
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// In the order of [`Usage`], of which they are the beginning.
type Classes = [u64; 10];

#[derive(Serialize, Deserialize)]
pub(super) struct Closed {
    id: RecordId,
    provider: Arc<str>,
    upstream_model: Arc<str>,
    end: End,
    status: u16,
    attempts: u8,
    usage: Classes,
    provenance: Provenance,
    flagged: bool,
    unpriced: bool,
    latency_ms: u32,
    first_byte_ms: u32,
    cost: Pico,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Failed {
    provider: Arc<str>,
    upstream_model: Arc<str>,
    fault: Arc<str>,
    usage: Classes,
    cost: Option<Pico>,
}

impl Closed {
    pub(super) fn into_closed(self, outlay: Outlay) -> usage::Closed {
        usage::Closed {
            id: self.id,
            provider: self.provider,
            upstream_model: self.upstream_model,
            end: self.end,
            status: self.status,
            attempts: self.attempts,
            usage: usage_of(self.usage),
            provenance: self.provenance,
            flagged: self.flagged,
            unpriced: self.unpriced,
            latency_ms: self.latency_ms,
            first_byte_ms: self.first_byte_ms,
            cost: self.cost,
            outlay,
        }
    }
}

impl Failed {
    pub(super) fn into_attempt(self) -> FailedAttempt {
        FailedAttempt {
            provider: self.provider,
            upstream_model: self.upstream_model,
            fault: self.fault,
            usage: usage_of(self.usage),
            cost: self.cost,
        }
    }
}

fn usage_of(classes: Classes) -> Usage {
    let [
        input,
        cache_read,
        cache_write_5m,
        cache_write_1h,
        audio_in,
        output,
        reasoning,
        audio_out,
        images,
        searches,
    ] = classes;
    Usage {
        input,
        cache_read,
        cache_write_5m,
        cache_write_1h,
        audio_in,
        output,
        reasoning,
        audio_out,
        images,
        searches,
        ..Usage::default()
    }
}

#[cfg(test)]
mod written {
    use super::{Classes, Closed, Failed};
    use aione_core::domain::{
        outlay::FailedAttempt,
        usage::{self, Usage},
    };

    fn classes_of(usage: &Usage) -> Classes {
        [
            usage.input,
            usage.cache_read,
            usage.cache_write_5m,
            usage.cache_write_1h,
            usage.audio_in,
            usage.output,
            usage.reasoning,
            usage.audio_out,
            usage.images,
            usage.searches,
        ]
    }

    impl Closed {
        pub(in crate::journal::frame) fn of(closed: &usage::Closed) -> Self {
            Self {
                id: closed.id,
                provider: closed.provider.clone(),
                upstream_model: closed.upstream_model.clone(),
                end: closed.end,
                status: closed.status,
                attempts: closed.attempts,
                usage: classes_of(&closed.usage),
                provenance: closed.provenance,
                flagged: closed.flagged,
                unpriced: closed.unpriced,
                latency_ms: closed.latency_ms,
                first_byte_ms: closed.first_byte_ms,
                cost: closed.cost,
            }
        }
    }

    impl Failed {
        pub(in crate::journal::frame) fn of(attempt: &FailedAttempt) -> Self {
            Self {
                provider: attempt.provider.clone(),
                upstream_model: attempt.upstream_model.clone(),
                fault: attempt.fault.clone(),
                usage: classes_of(&attempt.usage),
                cost: attempt.cost,
            }
        }
    }
}
