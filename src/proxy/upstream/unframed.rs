//! An answer whose stream comes in the vendor's own frames: read as server-sent events from here on.

use super::{answer::Fault, transport::Exchange};
use aione_core::provider::bedrock::Unframer;
use bytes::Bytes;

/// The rest of such an answer.
pub(crate) struct Unframed {
    exchange: Box<Exchange>,
    unframer: Unframer,
    /// It came to its end, or cannot be read on.
    ended: bool,
}

impl Unframed {
    pub(super) fn new(exchange: Box<Exchange>, unframer: Unframer) -> Self {
        Self { exchange, unframer, ended: false }
    }

    pub(super) fn exchange(&mut self) -> &mut Exchange {
        &mut self.exchange
    }

    pub(super) fn into_exchange(self) -> Exchange {
        *self.exchange
    }

    /// The next events; `None` at a clean end. One within a message is none. May be dropped and asked for
    /// again: nothing that was read is lost.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        while !self.ended {
            let Some(part) = self.exchange.next().await? else {
                self.ended = true;
                return self.unframer.end().map(|()| None).map_err(|_| Fault::Broken);
            };
            let mut events = Vec::new();
            let read = self.unframer.feed(&part, &mut events);
            self.ended = read.is_err();
            // What was whole before the break is the caller's.
            if !events.is_empty() {
                return Ok(Some(events.into()));
            }
            read.map_err(|_| Fault::Broken)?;
        }
        self.unframer.end().map(|()| None).map_err(|_| Fault::Broken)
    }
}
