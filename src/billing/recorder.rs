//! Brings ended exchanges from the journal to the usage store, and acknowledges what is stored.

use crate::journal::{Entry, Reader, reader::Batch};
use aione_core::{
    domain::{
        money::Pico,
        price::PriceBook,
        usage::{Opened, Usage, UsageRecord},
    },
    ports::{StoreError, UsageStore},
};
use std::{sync::Arc, time::Duration};

#[cfg(test)]
mod tests;

/// Most records in one transaction.
const BATCH_MAX: usize = 1_000;
/// How long the first record of a batch waits for others.
const LINGER: Duration = Duration::from_millis(100);
/// Pause after the first failure of store or journal; it doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Records refused one after the other at which the fault is taken to be the store's, not
/// theirs: nothing goes into quarantine then until it takes one again.
const REFUSED_MAX: usize = 16;

/// Runs until the journal is shut down and all of it is stored. Every step can be repeated, so
/// the future may be dropped at any time: what is not acknowledged comes again at the next start.
pub async fn run(reader: Reader, store: Arc<dyn UsageStore>) {
    let mut recorder = Recorder { reader, store, book: None, refused_in_row: 0 };
    let mut pause = Pause::default();
    loop {
        match recorder.reader.next_batch(BATCH_MAX, LINGER).await {
            Ok(Some(batch)) => {
                recorder.record(batch).await;
                pause = Pause::default();
            }
            Ok(None) => return,
            Err(error) => {
                tracing::error!(%error, "the recorder cannot read the journal and tries again");
                pause.wait().await;
            }
        }
    }
}

struct Recorder {
    reader: Reader,
    store: Arc<dyn UsageStore>,
    /// The book that was used last for an interrupted exchange.
    book: Option<PriceBook>,
    refused_in_row: usize,
}

impl Recorder {
    /// Stores a batch however often that has to be tried, and acknowledges it.
    async fn record(&mut self, batch: Batch) {
        let mut records = Vec::with_capacity(batch.entries.len());
        for entry in batch.entries {
            records.push(match entry {
                Entry::Closed(record) => *record,
                Entry::Interrupted(opened) => self.interrupted(*opened).await,
            });
        }
        self.store(&records).await;
        self.reader.ack(batch.position);
    }

    /// Stores every record, or puts it into quarantine: halves what the store refuses until
    /// single records are left.
    async fn store(&mut self, records: &[UsageRecord]) {
        let mut left = vec![records];
        let mut pause = Pause::default();
        while let Some(part) = left.pop() {
            let error = match self.store.insert_records(part).await {
                Ok(()) => {
                    self.refused_in_row = 0;
                    pause = Pause::default();
                    continue;
                }
                Err(error) => error,
            };
            match (&error, part) {
                (StoreError::Unavailable(_), _) => {
                    tracing::warn!(%error, records = part.len(), "usage cannot be stored yet; it is kept in the journal");
                    pause.wait().await;
                    left.push(part);
                }
                (_, [record]) => {
                    if !self.quarantine(record, &error) {
                        pause.wait().await;
                        left.push(part);
                        // Others first: one that is taken shows that the store works.
                        left.rotate_right(1);
                    }
                }
                _ => {
                    let (first, second) = part.split_at(part.len() / 2);
                    left.extend([second, first]);
                }
            }
        }
    }

    /// Whether the refused record is safe in quarantine.
    fn quarantine(&mut self, record: &UsageRecord, error: &StoreError) -> bool {
        let id = record.opened.id;
        if self.refused_in_row >= REFUSED_MAX {
            tracing::error!(%id, %error, "the store refuses every record; they are kept in the journal");
            return false;
        }
        match self.reader.quarantine(record) {
            Ok(()) => {
                self.refused_in_row += 1;
                tracing::error!(%id, %error, "the store refuses a record; it is in the journal's quarantine");
                true
            }
            Err(kept) => {
                tracing::error!(%id, %error, %kept, "the store refuses a record and it cannot be put into quarantine");
                false
            }
        }
    }

    /// The record of an exchange without an end: its estimated input, at the price of its time.
    async fn interrupted(&mut self, opened: Opened) -> UsageRecord {
        let cost = if opened.sandbox { Some(Pico::ZERO) } else { self.price(&opened).await };
        if cost.is_none() {
            let (id, version) = (opened.id, opened.price_version);
            tracing::error!(%id, version, "an interrupted exchange has no price; its record says so");
        }
        UsageRecord::interrupted(opened, cost)
    }

    async fn price(&mut self, opened: &Opened) -> Option<Pico> {
        let mut pause = Pause::default();
        while self.book.as_ref().is_none_or(|book| book.version != opened.price_version) {
            match self.store.find_price_book(opened.price_version).await {
                Ok(Some(book)) => self.book = Some(book),
                Ok(None) => return None,
                Err(StoreError::Unavailable(error)) => {
                    tracing::warn!(error, "a price book cannot be read yet");
                    pause.wait().await;
                }
                Err(error) => {
                    tracing::error!(%error, "a price book cannot be read");
                    return None;
                }
            }
        }
        let model = self.book.as_ref()?.models.get(&opened.model)?;
        let usage = Usage { input: opened.estimated_input, ..Usage::default() };
        model.price(&usage, opened.started_at).ok()
    }
}

/// Pauses that grow while something keeps failing.
struct Pause(Duration);

impl Default for Pause {
    fn default() -> Self {
        Self(PAUSE_MIN)
    }
}

impl Pause {
    async fn wait(&mut self) {
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(PAUSE_MAX);
    }
}
