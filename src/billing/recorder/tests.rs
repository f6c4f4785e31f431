//! The recorder against a store that fails.

use super::*;
use crate::journal::{
    Journal,
    tests::{closed, open, opened, record},
};
use aione_core::{
    domain::{
        clock::Timestamp,
        id::RecordId,
        money::Rate,
        price::{ModelPrice, PricePeriod, Rates},
        usage::End,
    },
    ports::{Batches, Overview, OverviewQuery, RecordQuery, UsageQuery, UsageSum},
};
use async_trait::async_trait;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashSet, VecDeque};

/// A store in memory that does what its script says.
#[derive(Default)]
struct Scripted {
    rows: Mutex<BTreeMap<RecordId, UsageRecord>>,
    /// Taken one per call; then all goes well.
    faults: Mutex<VecDeque<Fault>>,
    /// Batches with one of these are refused.
    poison: HashSet<RecordId>,
    book: Option<PriceBook>,
}

enum Fault {
    /// Nothing is stored.
    Before,
    /// Everything is stored and the answer is lost.
    After,
    /// A fault of the store that looks like one of the records.
    Refused,
}

#[async_trait]
impl UsageStore for Scripted {
    async fn insert_records(&self, records: &[UsageRecord]) -> Result<(), StoreError> {
        let fault = self.faults.lock().pop_front();
        match fault {
            Some(Fault::Before) => return Err(StoreError::Unavailable("scripted".to_owned())),
            Some(Fault::Refused) => return Err(StoreError::Corrupt("scripted".to_owned())),
            Some(Fault::After) | None => {}
        }
        if records.iter().any(|record| self.poison.contains(&record.opened.id)) {
            return Err(StoreError::Corrupt("a poison record".to_owned()));
        }
        let mut rows = self.rows.lock();
        for record in records {
            rows.entry(record.opened.id).or_insert_with(|| record.clone());
        }
        match fault {
            None => Ok(()),
            Some(_) => Err(StoreError::Unavailable("the answer to COMMIT was lost".to_owned())),
        }
    }

    async fn pass_usage(&self, _: &UsageQuery, _: &mut dyn Batches<UsageSum>) -> Result<(), StoreError> {
        unreachable!("the recorder reports nothing")
    }

    async fn sum_usage(&self, _: &UsageQuery) -> Result<Vec<UsageSum>, StoreError> {
        Ok(Vec::new())
    }

    async fn overview(&self, _: &OverviewQuery) -> Result<Overview, StoreError> {
        Ok(Overview::default())
    }

    async fn find_records(&self, _: &RecordQuery) -> Result<Vec<UsageRecord>, StoreError> {
        Ok(Vec::new())
    }

    async fn list_records(&self, _: Option<RecordId>, _: u32) -> Result<Vec<UsageRecord>, StoreError> {
        Ok(self.rows.lock().values().cloned().collect())
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        unreachable!("the recorder asks for no time")
    }

    async fn forget_records(&self, _: Timestamp) -> Result<bool, StoreError> {
        unreachable!("the recorder forgets nothing")
    }

    async fn keep_price_book(&self, _: &PriceBook, _: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }

    async fn find_price_book(&self, version: u64) -> Result<Option<PriceBook>, StoreError> {
        Ok(self.book.clone().filter(|book| book.version == version))
    }
}

async fn close_all(journal: &Journal, numbers: std::ops::Range<u64>) {
    let mut tickets = Vec::new();
    for number in numbers {
        tickets.push(journal.open_exchange(opened(number)).unwrap().close(&closed(number)));
    }
    for ticket in tickets {
        let _ = ticket.wait().await;
    }
}

#[tokio::test]
async fn every_ended_exchange_is_stored_once() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, reader) = open(dir.path());
    let store = Arc::new(Scripted::default());
    let exchanges = async {
        close_all(&journal, 0..2_500).await;
        journal.caught_up().await;
        assert_eq!(store.rows.lock().len(), 2_500);
        assert_eq!(journal.stats().unrecorded, 0);
        close_all(&journal, 2_500..2_510).await;
        journal.shutdown();
    };
    tokio::join!(exchanges, run(reader, Arc::clone(&store) as Arc<dyn UsageStore>));
    let rows = store.rows.lock();
    assert!(rows.values().eq((0..2_510).map(record).collect::<Vec<_>>().iter()));
}

#[tokio::test]
async fn a_store_that_goes_away_and_loses_answers_costs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, reader) = open(dir.path());
    let faults = [Fault::Before, Fault::After, Fault::Before];
    let store = Arc::new(Scripted { faults: Mutex::new(faults.into()), ..Scripted::default() });
    close_all(&journal, 0..100).await;
    journal.shutdown();
    run(reader, Arc::clone(&store) as Arc<dyn UsageStore>).await;
    assert_eq!(store.rows.lock().len(), 100);
    assert_eq!((journal.stats().unrecorded, journal.stats().quarantined_records), (0, 0));
}

#[tokio::test]
async fn poison_records_are_set_aside_and_the_rest_is_stored() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, reader) = open(dir.path());
    let poison: HashSet<_> = [3, 500, 501, 999].map(|number| opened(number).id).into();
    let store = Arc::new(Scripted { poison: poison.clone(), ..Scripted::default() });
    close_all(&journal, 0..1_000).await;
    journal.shutdown();
    run(reader, Arc::clone(&store) as Arc<dyn UsageStore>).await;
    let rows = store.rows.lock();
    assert_eq!(rows.len(), 996);
    assert!(poison.iter().all(|id| !rows.contains_key(id)));
    let stats = journal.stats();
    assert_eq!((stats.unrecorded, stats.quarantined_records), (0, 4));
    let kept = std::fs::metadata(dir.path().join("quarantine/records.frames")).unwrap();
    assert!(kept.len() > 4 * 200, "{kept:?}");
}

#[tokio::test]
async fn a_store_that_refuses_everything_for_a_while_does_not_empty_the_journal_into_quarantine() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, reader) = open(dir.path());
    let faults = std::iter::repeat_with(|| Fault::Refused).take(200).collect();
    let store = Arc::new(Scripted { faults: Mutex::new(faults), ..Scripted::default() });
    close_all(&journal, 0..100).await;
    journal.shutdown();
    // Its pauses grow to seconds: it is enough to see that it has stopped setting aside.
    let recording = run(reader, Arc::clone(&store) as Arc<dyn UsageStore>);
    let looking = async {
        while store.faults.lock().len() > 200 - 40 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! { () = recording => {}, () = looking => {} }
    assert_eq!(journal.stats().quarantined_records, REFUSED_MAX as u64);
    assert_eq!(journal.stats().unrecorded, 100);
}

#[tokio::test]
async fn an_interrupted_exchange_is_priced_by_the_book_of_its_time_or_flagged() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, reader) = open(dir.path());
    let rates = Rates { input: Some(Rate(7)), ..Rates::default() };
    let periods = vec![PricePeriod { from: None, rates, tiers: Vec::new() }];
    let models = BTreeMap::from([(opened(0).model, ModelPrice { periods })]);
    let book = Some(PriceBook { version: opened(0).price_version, models });
    let store = Arc::new(Scripted { book, ..Scripted::default() });
    let unknown = Opened { price_version: 1, ..opened(2) };
    let sandbox = Opened { sandbox: true, ..unknown.clone() };
    for lost in [opened(1), unknown, Opened { id: opened(3).id, ..sandbox }] {
        drop(journal.open_exchange(lost).unwrap());
    }
    journal.shutdown();
    run(reader, Arc::clone(&store) as Arc<dyn UsageStore>).await;
    let rows = store.rows.lock();
    let outcome = |number| {
        let closed = &rows[&opened(number).id].closed;
        assert_eq!(closed.end, End::Interrupted);
        (closed.cost, closed.unpriced)
    };
    assert_eq!(outcome(1), (Pico(7 * 101), false));
    assert_eq!(outcome(2), (Pico(0), true));
    assert_eq!(outcome(3), (Pico(0), false));
}

#[test]
fn the_recorder_can_run_on_any_thread() {
    fn can_be_sent(_: &impl Send) {}
    let dir = tempfile::tempdir().unwrap();
    let (_journal, reader) = open(dir.path());
    can_be_sent(&run(reader, Arc::new(Scripted::default())));
}
