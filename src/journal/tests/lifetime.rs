//! Opening, writing, ending, opening again.

use super::*;
use crate::journal::{Durability, JournalError, JournalFull, inspect};

#[tokio::test]
async fn what_was_closed_comes_back_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, mut reader) = open(dir.path());
    for number in 0..100 {
        let slot = journal.open_exchange(opened(number)).unwrap();
        assert_eq!(slot.close(&closed(number)).wait().await, Durability::Synced);
    }
    journal.shutdown();
    let entries = rest(&mut reader).await;
    let expected: Vec<_> = (0..100).map(|number| Entry::Closed(Box::new(record(number)))).collect();
    assert_eq!(entries, expected);
    assert_eq!(journal.stats().unrecorded, 0);
    assert_eq!(journal.stats().open, 0);
}

#[tokio::test]
async fn a_second_process_is_refused_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _reader) = open(dir.path());
    assert!(matches!(Journal::open(options(dir.path())), Err(JournalError::Locked(_))));
    drop(journal);
    assert!(Journal::open(options(dir.path())).is_ok());
}

#[tokio::test]
async fn a_synced_end_survives_the_death_of_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _reader) = open(dir.path());
    for number in 0..50 {
        let slot = journal.open_exchange(opened(number)).unwrap();
        let _ = slot.close(&closed(number)).wait().await;
        let killed = copy_dir(dir.path());
        let (entries, stats) = reopened(killed.path()).await;
        assert_eq!(entries.len() as u64, number + 1);
        assert_eq!(stats.quarantined_frames, 0);
    }
}

#[tokio::test]
async fn an_open_exchange_becomes_interrupted_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _reader) = open(dir.path());
    let lost = journal.open_exchange(opened(1)).unwrap();
    let kept = journal.open_exchange(opened(2)).unwrap();
    let _ = kept.close(&closed(2)).wait().await;
    let killed = copy_dir(dir.path());
    let (entries, stats) = reopened(killed.path()).await;
    let expected = [Entry::Closed(Box::new(record(2))), Entry::Interrupted(Box::new(opened(1)))];
    assert_eq!(entries, expected);
    assert_eq!(stats.interrupted, 1);
    let _ = lost.close(&closed(1));
}

#[tokio::test]
async fn interrupted_exchanges_come_again_until_they_are_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _reader) = open(dir.path());
    let slots: Vec<_> = (0..20).map(|number| journal.open_exchange(opened(number)).unwrap()).collect();
    journal.shutdown();
    let killed = copy_dir(dir.path());
    for _ in 0..2 {
        let (journal, mut reader) = open(killed.path());
        let batch = reader.next_batch(100, Duration::ZERO).await.unwrap().unwrap();
        assert_eq!(batch.entries.len(), 20);
        drop((journal, reader));
    }
    let (entries, _) = reopened(killed.path()).await;
    assert_eq!(entries.len(), 20);
    let (entries, stats) = reopened(killed.path()).await;
    assert_eq!(entries, []);
    // The one that was begun and the one before it, which the reader had no cause to leave.
    assert!(stats.segments <= 2, "{stats:?}");
    drop(slots);
}

#[tokio::test]
async fn a_dropped_slot_becomes_interrupted_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, mut reader) = open(dir.path());
    drop(journal.open_exchange(opened(1)).unwrap());
    let batch = reader.next_batch(10, Duration::ZERO).await.unwrap().unwrap();
    assert_eq!(batch.entries, [Entry::Interrupted(Box::new(opened(1)))]);
    reader.ack(batch.position);
    journal.caught_up().await;
    assert_eq!(journal.stats().open, 0);
}

#[tokio::test]
async fn new_exchanges_are_refused_when_there_is_no_room_and_taken_when_there_is_again() {
    let dir = tempfile::tempdir().unwrap();
    let small = Options { max_bytes: 64 * 1024, segment_bytes: 8 * 1024, ..options(dir.path()) };
    let (journal, Recovery { mut reader, .. }) = Journal::open(small).unwrap();
    let mut slots = Vec::new();
    let mut number = 0;
    let refused = loop {
        match journal.open_exchange(opened(number)) {
            Ok(slot) => slots.push(slot),
            Err(refused) => break refused,
        }
        number += 1;
    };
    assert_eq!(refused, JournalFull::Room);
    // Those that were admitted end all the same, within the room that was reserved for them.
    let mut last = None;
    for (slot, number) in slots.into_iter().zip(0..) {
        last = Some(slot.close(&closed(number)));
    }
    assert_eq!(last.unwrap().wait().await, Durability::Synced);
    assert!(journal.stats().bytes <= 64 * 1024, "{:?}", journal.stats());
    let mut read = 0;
    while read < number {
        let batch = reader.next_batch(100, Duration::ZERO).await.unwrap().unwrap();
        read += batch.entries.len() as u64;
        reader.ack(batch.position);
    }
    // What is recorded makes room, but for the segment that is being written.
    let _ = journal.open_exchange(opened(number)).unwrap().close(&closed(number)).wait().await;
    journal.shutdown();
    assert_eq!(journal.open_exchange(opened(0)).unwrap_err(), JournalFull::Stopping);
}

#[tokio::test]
async fn a_running_journal_can_be_inspected() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _reader) = open(dir.path());
    let open = journal.open_exchange(opened(1)).unwrap();
    let _ = journal.open_exchange(opened(2)).unwrap().close(&closed(2)).wait().await;
    let found = inspect::inspect(dir.path()).unwrap();
    assert_eq!(found.segments.len(), 1);
    let summary = &found.segments[0];
    assert_eq!((summary.opened, summary.closed, summary.abandoned, summary.bad), (2, 1, 0, 0));
    assert_eq!(found.open, [opened(1)]);
    let printed = found.to_string();
    assert!(printed.contains(&opened(1).id.to_string()), "{printed}");
    let _ = open.close(&closed(1));
}
