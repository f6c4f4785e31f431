//! The journal's tests: what they share, and the files by subject.

mod damage;
mod durability;
pub(super) mod faults;
mod lifetime;
mod reading;

use super::{Entry, Journal, Options, Reader, Recovery, frame};
use aione_core::{
    config::snapshot::JournalSync,
    domain::{
        clock::Timestamp,
        id::{KeyId, OrgId, RecordId, TeamId},
        money::Pico,
        outlay::{FailedAttempt, Outlay},
        usage::{Closed, End, Opened, Provenance, Usage, UsageRecord},
    },
};
use std::{collections::BTreeSet, fs, path::Path, sync::Arc, time::Duration};

pub(crate) const LONG: Duration = Duration::from_secs(30);

pub(crate) fn options(dir: &Path) -> Options {
    Options::new(dir, JournalSync::Group, LONG)
}

pub(crate) fn open(dir: &Path) -> (Journal, Reader) {
    let (journal, recovery) = Journal::open(options(dir)).unwrap();
    (journal, recovery.reader)
}

pub(crate) fn opened(number: u64) -> Opened {
    let mut entropy = [0; 10];
    entropy[2..].copy_from_slice(&number.to_be_bytes());
    let started_at = Timestamp(1_790_000_000_000 + i64::try_from(number).unwrap());
    Opened {
        id: RecordId::new(started_at, entropy),
        started_at,
        org: OrgId(uuid::Uuid::from_u128(1)),
        team: TeamId(uuid::Uuid::from_u128(2)),
        key: KeyId(uuid::Uuid::from_u128(3)),
        model: Arc::from("gpt-4.1-mini"),
        dialect: Arc::from("openai_chat"),
        provider: Arc::from("openai"),
        sandbox: false,
        streamed: true,
        price_version: u64::MAX - 7,
        estimated_input: 100 + number,
    }
}

pub(crate) fn failed_attempt() -> FailedAttempt {
    FailedAttempt {
        provider: Arc::from("spare"),
        upstream_model: Arc::from("m-2"),
        fault: Arc::from("error_event"),
        usage: Usage { input: 3, ..Usage::default() },
        cost: None,
    }
}

pub(crate) fn closed(number: u64) -> Closed {
    Closed {
        id: opened(number).id,
        provider: Arc::from("openai"),
        upstream_model: Arc::from("gpt-4.1-mini-2025-04-14"),
        end: End::Complete,
        status: 200,
        attempts: 1,
        usage: Usage { input: 90 + number, output: number, ..Usage::default() },
        provenance: Provenance::Provider,
        flagged: false,
        unpriced: false,
        latency_ms: 1_200,
        first_byte_ms: 300,
        cost: Pico(123_456_789 * i128::from(number)),
        outlay: Outlay {
            cost: Some(Pico(i128::from(number))),
            failed: (0..number % 3).map(|_| failed_attempt()).collect(),
        },
    }
}

pub(crate) fn record(number: u64) -> UsageRecord {
    UsageRecord { opened: opened(number), closed: closed(number) }
}

/// Everything that the reader has up to the end of a journal that is shut down.
async fn rest(reader: &mut Reader) -> Vec<Entry> {
    let mut entries = Vec::new();
    while let Some(batch) = reader.next_batch(7, Duration::ZERO).await.unwrap() {
        assert!(batch.entries.len() <= 7, "a batch keeps to its bound");
        entries.extend(batch.entries);
        reader.ack(batch.position);
    }
    entries
}

/// Opens the journal, shuts it down and reads it.
async fn reopened(dir: &Path) -> (Vec<Entry>, super::Stats) {
    let (journal, Recovery { mut reader, .. }) = Journal::open(options(dir)).unwrap();
    journal.shutdown();
    let entries = rest(&mut reader).await;
    (entries, journal.stats())
}

fn ids(entries: &[Entry]) -> BTreeSet<RecordId> {
    entries.iter().map(id_of).collect()
}

fn id_of(entry: &Entry) -> RecordId {
    match entry {
        Entry::Closed(record) => record.opened.id,
        Entry::Interrupted(opened) => opened.id,
    }
}

/// The files of a running journal, as another process would find them after a `kill -9`.
fn copy_dir(from: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    copy
}

fn frames_of(count: u64) -> (Vec<u8>, Vec<usize>) {
    let (mut bytes, mut ends) = (Vec::new(), Vec::new());
    for number in 0..count {
        frame::put_opened(&opened(number), &mut bytes).unwrap();
        ends.push(bytes.len());
        frame::put_closed(&opened(number), &closed(number), &mut bytes).unwrap();
        ends.push(bytes.len());
    }
    (bytes, ends)
}
