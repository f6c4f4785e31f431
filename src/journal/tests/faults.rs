//! A disk that fails on request, and what the journal makes of it.

use super::*;
use crate::journal::{Durability, JournalFull};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    io,
    path::PathBuf,
    sync::{
        LazyLock,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

/// A call that can be made to fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::journal) enum Call {
    Create,
    Append,
    Sync,
}

type Script = Arc<dyn Fn(&Path, Call) -> io::Result<()> + Send + Sync>;

/// By journal directory.
static SCRIPTS: LazyLock<Mutex<HashMap<PathBuf, Script>>> = LazyLock::new(Mutex::default);

/// Called before each call on a segment.
pub(in crate::journal) fn strike(segment: &Path, call: Call) -> io::Result<()> {
    let script = segment.parent().and_then(|dir| SCRIPTS.lock().get(dir).cloned());
    script.map_or(Ok(()), |script| script(segment, call))
}

fn on(dir: &Path, script: impl Fn(&Path, Call) -> io::Result<()> + Send + Sync + 'static) {
    SCRIPTS.lock().insert(dir.to_owned(), Arc::new(script));
}

fn no_space() -> io::Error {
    io::Error::from(io::ErrorKind::StorageFull)
}

/// A disk whose nth sync fails, and whose cache then holds nothing of what was not synced.
fn lose_pages_at_sync(dir: &Path, nth: u32) {
    let syncs = AtomicU32::new(0);
    let synced = Mutex::new(HashMap::<PathBuf, u64>::new());
    on(dir, move |path, call| {
        if call != Call::Sync {
            return Ok(());
        }
        let file = fs::OpenOptions::new().write(true).open(path)?;
        let len = file.metadata()?.len();
        if syncs.fetch_add(1, Ordering::Relaxed) + 1 != nth {
            synced.lock().insert(path.to_owned(), len);
            return Ok(());
        }
        let from = synced.lock().get(path).copied().unwrap_or(32);
        let zeros = vec![0; usize::try_from(len - from).unwrap()];
        std::os::unix::fs::FileExt::write_all_at(&file, &zeros, from)?;
        Err(io::Error::from_raw_os_error(5))
    });
}

#[tokio::test]
async fn a_failed_sync_loses_nothing_that_was_acknowledged() {
    for (sync, nth) in [(JournalSync::Group, 1), (JournalSync::Group, 4), (JournalSync::Interval, 1)] {
        let dir = tempfile::tempdir().unwrap();
        lose_pages_at_sync(dir.path(), nth);
        let (journal, Recovery { mut reader, .. }) =
            Journal::open(Options { sync, ..options(dir.path()) }).unwrap();
        let long = journal.open_exchange(opened(500)).unwrap();
        let mut taken = 0;
        for number in 0..60 {
            let Ok(slot) = journal.open_exchange(opened(number)) else { continue };
            taken += 1;
            assert_ne!(slot.close(&closed(number)).wait().await, Durability::Late);
        }
        while journal.stats().alarms == 0 || journal.stats().failing {
            tokio::task::yield_now().await;
        }
        let killed = copy_dir(dir.path());
        let _ = long.close(&closed(500)).wait().await;
        journal.shutdown();
        assert_eq!(journal.stats().alarms, 1);
        let live = rest(&mut reader).await;
        assert_eq!((live.len(), ids(&live).len()), (taken + 1, taken + 1), "each once in the same run");
        let (entries, stats) = reopened(killed.path()).await;
        assert_eq!(ids(&entries), ids(&live), "{sync:?} {nth}");
        assert!(entries.contains(&Entry::Interrupted(Box::new(opened(500)))));
        assert_eq!(stats.quarantined_frames, 0, "the failed segment was cut");
    }
}

#[tokio::test]
async fn a_full_disk_refuses_new_exchanges_keeps_ended_ones_and_recovers() {
    for sync in [JournalSync::Group, JournalSync::Interval] {
        let dir = tempfile::tempdir().unwrap();
        let soon = Options { sync, sync_timeout: Duration::from_millis(20), ..options(dir.path()) };
        let (journal, Recovery { mut reader, .. }) = Journal::open(soon).unwrap();
        let slots: Vec<_> = (0..20).map(|number| journal.open_exchange(opened(number)).unwrap()).collect();
        let full = Arc::new(AtomicBool::new(true));
        let is_full = Arc::clone(&full);
        on(dir.path(), move |_, call| match call {
            Call::Append if is_full.load(Ordering::Relaxed) => Err(no_space()),
            _ => Ok(()),
        });
        for (slot, number) in slots.into_iter().zip(0..) {
            let ticket = slot.close(&closed(number));
            if number == 19 {
                assert_eq!(ticket.wait().await, Durability::Late);
            }
        }
        assert_eq!(journal.open_exchange(opened(100)).unwrap_err(), JournalFull::Disk);
        assert!(journal.stats().failing && journal.stats().alarms >= 2);
        full.store(false, Ordering::Relaxed);
        while journal.stats().failing {
            tokio::task::yield_now().await;
        }
        let slot = journal.open_exchange(opened(20)).unwrap();
        assert_ne!(slot.close(&closed(20)).wait().await, Durability::Late);
        journal.shutdown();
        let expected: Vec<_> = (0..21).map(|number| Entry::Closed(Box::new(record(number)))).collect();
        assert_eq!(rest(&mut reader).await, expected);
    }
}

#[tokio::test]
async fn a_segment_that_cannot_be_begun_is_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let small = Options { segment_bytes: 1024, ..options(dir.path()) };
    let (journal, Recovery { mut reader, .. }) = Journal::open(small).unwrap();
    let tries = AtomicU32::new(0);
    on(dir.path(), move |_, call| match call {
        Call::Create if tries.fetch_add(1, Ordering::Relaxed) < 3 => Err(no_space()),
        _ => Ok(()),
    });
    let slots: Vec<_> = (0..30).map(|number| journal.open_exchange(opened(number)).unwrap()).collect();
    for (slot, number) in slots.into_iter().zip(0..) {
        assert_eq!(slot.close(&closed(number)).wait().await, Durability::Synced);
    }
    journal.shutdown();
    assert_eq!(rest(&mut reader).await.len(), 30);
    assert!(journal.stats().alarms >= 3);
}

#[tokio::test]
async fn a_disk_that_stays_broken_does_not_hold_up_the_shutdown() {
    let dir = tempfile::tempdir().unwrap();
    let soon = Options { sync_timeout: Duration::from_millis(20), ..options(dir.path()) };
    let (journal, Recovery { mut reader, .. }) = Journal::open(soon).unwrap();
    on(dir.path(), |_, call| if call == Call::Sync { Err(no_space()) } else { Ok(()) });
    let slot = journal.open_exchange(opened(1)).unwrap();
    assert_eq!(slot.close(&closed(1)).wait().await, Durability::Late);
    journal.shutdown();
    assert_eq!(rest(&mut reader).await, []);
}
