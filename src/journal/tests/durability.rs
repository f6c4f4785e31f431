//! Groups, tickets and timeouts.

use super::*;
use crate::journal::Durability;
use futures_util::future::join_all;
use std::thread;

#[test]
fn a_thousand_tickets_on_four_runtimes_are_all_woken() {
    for sync in [JournalSync::Group, JournalSync::Interval] {
        let dir = tempfile::tempdir().unwrap();
        let (journal, mut recovery) = Journal::open(Options { sync, ..options(dir.path()) }).unwrap();
        let expected = if sync == JournalSync::Group { Durability::Synced } else { Durability::Written };
        thread::scope(|scope| {
            for worker in 0..4 {
                let journal = &journal;
                scope.spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    let exchanges = (0..250).map(|number| async move {
                        let number = worker * 250 + number;
                        let slot = journal.open_exchange(opened(number)).unwrap();
                        tokio::task::yield_now().await;
                        slot.close(&closed(number)).wait().await
                    });
                    for durability in runtime.block_on(join_all(exchanges)) {
                        assert_eq!(durability, expected);
                    }
                });
            }
        });
        journal.shutdown();
        let stats = journal.stats();
        assert!(stats.syncs < 1_000, "groups were shared: {stats:?}");
        assert_eq!((stats.alarms, stats.open, stats.unrecorded), (0, 0, 1_000));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let entries = runtime.block_on(rest(&mut recovery.reader));
        assert_eq!((entries.len(), ids(&entries).len()), (1_000, 1_000));
    }
}

#[tokio::test]
async fn exchanges_still_under_way_do_not_keep_an_answer_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _reader) = open(dir.path());
    let slots: Vec<_> = (1_000..1_100).map(|number| journal.open_exchange(opened(number)).unwrap()).collect();
    for number in 0..20 {
        let slot = journal.open_exchange(opened(number)).unwrap();
        assert_eq!(slot.close(&closed(number)).wait().await, Durability::Synced);
    }
    drop(slots);
}

#[tokio::test]
async fn a_ticket_of_a_journal_that_has_ended_comes_late_and_raises_the_alarm() {
    let dir = tempfile::tempdir().unwrap();
    let soon = Options { sync_timeout: Duration::from_millis(5), ..options(dir.path()) };
    let (journal, _recovery) = Journal::open(soon).unwrap();
    let slot = journal.open_exchange(opened(1)).unwrap();
    journal.shutdown();
    assert_eq!(slot.close(&closed(1)).wait().await, Durability::Late);
    assert_eq!((journal.stats().alarms, journal.stats().late_tickets), (1, 1));
}

#[tokio::test]
async fn opened_frames_reach_the_file_though_nobody_waits_for_them() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, mut reader) = open(dir.path());
    let slot = journal.open_exchange(opened(1)).unwrap();
    // The reader sees durable frames only, and is woken for this one by its sync.
    let shared = Arc::clone(&journal.shared);
    while shared.segments.lock().back().unwrap().durable <= 32 {
        shared.durable.notified().await;
    }
    let killed = copy_dir(dir.path());
    let (entries, _) = reopened(killed.path()).await;
    assert_eq!(entries, [Entry::Interrupted(Box::new(opened(1)))]);
    let _ = slot.close(&closed(1));
    assert_eq!(reader.next_batch(1, Duration::ZERO).await.unwrap().unwrap().entries.len(), 1);
}
