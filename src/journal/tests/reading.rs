//! Rotation, deletion and carrying forward.

use super::*;

fn small(dir: &Path) -> (Journal, Reader) {
    let (journal, recovery) = Journal::open(Options { segment_bytes: 2 * 1024, ..options(dir) }).unwrap();
    (journal, recovery.reader)
}

async fn close_some(journal: &Journal, reader: &mut Reader, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let slot = journal.open_exchange(opened(number)).unwrap();
        let _ = slot.close(&closed(number)).wait().await;
        let batch = reader.next_batch(10, Duration::ZERO).await.unwrap().unwrap();
        assert_eq!(batch.entries, [Entry::Closed(Box::new(record(number)))]);
        reader.ack(batch.position);
    }
}

#[tokio::test]
async fn acknowledged_segments_are_deleted_behind_the_reader() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, mut reader) = small(dir.path());
    close_some(&journal, &mut reader, 0..200).await;
    let stats = journal.stats();
    assert!(stats.segments <= 3, "{stats:?}");
    assert!(stats.bytes <= 3 * 2 * 1024, "{stats:?}");
    let on_disk: u64 =
        fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum();
    assert_eq!(on_disk, stats.bytes);
}

#[tokio::test]
async fn what_is_not_acknowledged_stays_and_comes_again() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, mut reader) = small(dir.path());
    let mut tickets = Vec::new();
    for number in 0..100 {
        tickets.push(journal.open_exchange(opened(number)).unwrap().close(&closed(number)));
    }
    for ticket in tickets {
        let _ = ticket.wait().await;
    }
    let mut read = 0;
    let mut acked = 0;
    while read < 100 {
        let batch = reader.next_batch(10, Duration::ZERO).await.unwrap().unwrap();
        read += batch.entries.len();
        if read <= 50 {
            acked = read;
            reader.ack(batch.position);
        }
    }
    assert_eq!(journal.stats().unrecorded as usize, 100 - acked);
    assert!(journal.stats().oldest_unrecorded < LONG, "{:?}", journal.stats());
    let killed = copy_dir(dir.path());
    let (entries, _) = reopened(killed.path()).await;
    let again = ids(&entries);
    for number in acked as u64..100 {
        assert!(again.contains(&opened(number).id), "{number}");
    }
}

#[tokio::test]
async fn one_long_exchange_does_not_keep_everything_behind_it_and_is_not_lost() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, mut reader) = small(dir.path());
    let long = journal.open_exchange(opened(9_999)).unwrap();
    for round in 0..20 {
        close_some(&journal, &mut reader, round * 20..(round + 1) * 20).await;
        let stats = journal.stats();
        assert!(stats.segments <= 12, "{stats:?}");
        let killed = copy_dir(dir.path());
        let (entries, _) = reopened(killed.path()).await;
        assert!(entries.contains(&Entry::Interrupted(Box::new(opened(9_999)))), "round {round}");
    }
    let first = fs::read_dir(dir.path())
        .unwrap()
        .filter(|file| file.as_ref().unwrap().file_name().to_str().unwrap().starts_with("0000000000000001"));
    assert_eq!(first.count(), 0, "the first segment is gone");
    let _ = long.close(&closed(9_999)).wait().await;
    let batch = reader.next_batch(10, Duration::ZERO).await.unwrap().unwrap();
    assert_eq!(batch.entries, [Entry::Closed(Box::new(record(9_999)))]);
    reader.ack(batch.position);
    let killed = copy_dir(dir.path());
    let (entries, _) = reopened(killed.path()).await;
    assert!(entries.iter().all(|entry| matches!(entry, Entry::Closed(_))), "{entries:?}");
}

#[tokio::test]
async fn an_acknowledged_exchange_is_never_found_interrupted_later() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, mut reader) = small(dir.path());
    let mut slots: std::collections::VecDeque<_> = std::collections::VecDeque::new();
    for number in 0..300 {
        slots.push_back((number, journal.open_exchange(opened(number)).unwrap()));
        if slots.len() > 25 {
            let (number, slot) = slots.pop_front().unwrap();
            let _ = slot.close(&closed(number)).wait().await;
            let batch = reader.next_batch(10, Duration::ZERO).await.unwrap().unwrap();
            reader.ack(batch.position);
        }
        if number % 30 == 0 {
            let killed = copy_dir(dir.path());
            let (entries, _) = reopened(killed.path()).await;
            for entry in entries {
                if let Entry::Interrupted(left) = entry {
                    assert!(slots.iter().any(|(open, _)| opened(*open).id == left.id));
                }
            }
        }
    }
}

#[tokio::test]
async fn a_former_run_is_recorded_before_the_journal_has_caught_up() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = small(dir.path());
    for number in 0..30 {
        let _ = journal.open_exchange(opened(number)).unwrap().close(&closed(number));
    }
    drop(journal);
    let (journal, mut reader) = small(dir.path());
    let first = reader.next_batch(10, Duration::ZERO).await.unwrap().unwrap();
    let stats = journal.stats();
    assert_eq!(stats.unrecorded, 10, "as far as is read");
    assert!(stats.oldest_unrecorded < LONG, "{stats:?}");
    let mut caught_up = std::pin::pin!(journal.caught_up());
    assert!(futures_util::poll!(&mut caught_up).is_pending());
    reader.ack(first.position);
    for _ in 0..2 {
        assert!(futures_util::poll!(&mut caught_up).is_pending());
        let batch = reader.next_batch(10, Duration::ZERO).await.unwrap().unwrap();
        reader.ack(batch.position);
    }
    // It takes the end of the former segments to know that nothing more is in them.
    drop(journal.open_exchange(opened(99)).unwrap());
    let last = reader.next_batch(10, Duration::ZERO).await.unwrap().unwrap();
    reader.ack(last.position);
    journal.caught_up().await;
}
