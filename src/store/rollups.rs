//! What records come to, added to what is there. The rollups of the present are kept in memory as
//! well, so that a batch reads none of them back.

use super::{
    engine::{Db, Turn},
    record_rows, rollup_rows,
};
use aione_core::{
    domain::{
        clock::Timestamp,
        id::{KeyId, OrgId, TeamId},
        money::Pico,
        rollup::{Rollup, Span},
        usage::UsageRecord,
    },
    ports::StoreError,
};
use sqlx::sqlite::SqlitePoolOptions;
use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::{Mutex, OwnedMutexGuard};

/// Rollups that are kept in memory at the most: about half a kilobyte each.
const KNOWN_MAX: usize = 16_384;
/// Records that are rolled up at a time where a store has records and no rollups.
const FILL_CHUNK: u32 = 5_000;
/// After so many more it is told how far that is.
const FILL_TOLD: usize = 500_000;

/// Organizations share so many turns.
pub(super) const TURNS: u8 = 64;

/// What a rollup is of. Ordered as the primary key is, so that rows are written one beside the
/// other.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Place {
    pub(super) org: OrgId,
    /// `None`: over all keys of the team.
    pub(super) key: Option<KeyId>,
    pub(super) span: Span,
    pub(super) start: Timestamp,
    pub(super) team: TeamId,
    pub(super) model: Arc<str>,
    pub(super) provider: Arc<str>,
}

/// The rollups that a store was last seen to hold. Whoever inserts records takes them for as long as
/// the transaction lasts, and gives them back when it is committed: what becomes of a transaction
/// that failed or was dropped nobody knows, and nothing is remembered of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Rollups {
    known: Arc<Mutex<Known>>,
    /// How many connections have been opened to write with.
    connections: Arc<AtomicU64>,
}

#[derive(Debug, Default)]
struct Known {
    version: Option<Version>,
    rollups: HashMap<Place, Rollup>,
}

/// The same as long as nobody else has written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Version {
    connection: u64,
    /// SQLite's number for what other connections have committed, which only this one can compare.
    others: i64,
}

/// Rollups within a transaction.
pub(super) struct Open {
    known: Known,
    home: OwnedMutexGuard<Known>,
    connections: Arc<AtomicU64>,
}

impl Rollups {
    /// Waits for whoever has them, before a transaction is begun.
    pub(super) async fn take(&self) -> Open {
        let mut home = self.known.clone().lock_owned().await;
        Open { known: std::mem::take(&mut home), home, connections: self.connections.clone() }
    }

    /// Learns of every connection of the pool that writes.
    pub(super) fn watch(&self, pool: SqlitePoolOptions) -> SqlitePoolOptions {
        let connections = self.connections.clone();
        pool.after_connect(move |_, _| {
            connections.fetch_add(1, Ordering::Relaxed);
            Box::pin(async { Ok(()) })
        })
    }
}

impl Open {
    /// Adds records that were inserted just now, in the same transaction. Records of one place are
    /// added up first, so that a batch costs by its places: two for each key, model and provider that
    /// occur in it, and two for each team's.
    ///
    /// # Errors
    /// `Corrupt`: an amount grows too large to be kept.
    pub(super) async fn add(
        &mut self,
        db: &mut Db,
        records: impl IntoIterator<Item = &UsageRecord>,
    ) -> Result<(), StoreError> {
        let mut news: HashMap<Place, Rollup> = HashMap::new();
        for record in records {
            for place in places(record) {
                news.entry(place).or_default().add(&record.closed);
            }
        }
        self.change(db, news, |rollup, news| rollup.merge(news)).await
    }

    /// Notes in the same way what records cost that are there and had no price.
    pub(super) async fn price(&mut self, db: &mut Db, records: &[&UsageRecord]) -> Result<(), StoreError> {
        let mut news: HashMap<Place, Vec<Pico>> = HashMap::new();
        for record in records {
            for place in places(record) {
                news.entry(place).or_default().push(record.closed.cost);
            }
        }
        self.change(db, news, |rollup, costs| costs.iter().for_each(|cost| rollup.price(*cost))).await
    }

    async fn change<N>(
        &mut self,
        db: &mut Db,
        news: HashMap<Place, N>,
        apply: impl Fn(&mut Rollup, &N),
    ) -> Result<(), StoreError> {
        let connection = self.connections.load(Ordering::Relaxed);
        let version = rollup_rows::data_version(db).await?.map(|others| Version { connection, others });
        if version.is_none() || self.known.version != version {
            // Another process may have written since.
            self.known = Known { version, rollups: HashMap::new() };
        }
        // From here to the commit nobody else changes what is read.
        for turn in turns(news.keys()) {
            db.take(turn).await?;
        }
        let rollups = &mut self.known.rollups;
        let unknown: Vec<_> = news.keys().filter(|place| !rollups.contains_key(*place)).cloned().collect();
        rollups.extend(rollup_rows::read(db, &unknown).await?);
        let mut changed: Vec<Place> = Vec::with_capacity(news.len());
        for (place, news) in news {
            apply(rollups.entry(place.clone()).or_default(), &news);
            changed.push(place);
        }
        changed.sort_unstable();
        let rows: Vec<_> = changed.iter().map(|place| (place, &rollups[place])).collect();
        rollup_rows::write(db, &rows).await
    }

    /// The transaction is committed.
    pub(super) fn keep(mut self) {
        self.known.trim(KNOWN_MAX);
        *self.home = self.known;
    }
}

impl Known {
    /// Where there are more than `max`, only those of the last spans are kept, and none where these
    /// are still more.
    fn trim(&mut self, max: usize) {
        if self.rollups.len() <= max {
            return;
        }
        let mut last: HashMap<Span, Timestamp> = HashMap::new();
        for place in self.rollups.keys() {
            let start = last.entry(place.span).or_insert(place.start);
            *start = place.start.max(*start);
        }
        self.rollups.retain(|place, _| last[&place.span] == place.start);
        if self.rollups.len() > max {
            self.rollups.clear();
        }
    }
}

/// Rolls up every record of a store that had no rollups until now: in id order, which is nearly
/// that of time, so that a chunk has few places.
pub(super) async fn fill(db: &mut Db) -> Result<(), StoreError> {
    let rollups = Rollups::default();
    let (mut after, mut filled) = (None, 0);
    loop {
        let records = record_rows::list(db, after, FILL_CHUNK).await?;
        let Some(last) = records.last() else { return Ok(()) };
        after = Some(last.opened.id);
        let mut open = rollups.take().await;
        open.add(db, &records).await?;
        open.keep();
        filled += records.len();
        if filled % FILL_TOLD == 0 {
            tracing::info!(records = filled, "usage records are being rolled up for reports");
        }
    }
}

/// In order, so that two that need several wait for each other and not crosswise.
fn turns<'p>(places: impl Iterator<Item = &'p Place>) -> BTreeSet<Turn> {
    places.map(|place| turn_of(place.org)).collect()
}

/// Whose turn it is to add to what an organization's records and entries come to.
pub(super) fn turn_of(org: OrgId) -> Turn {
    Turn::Rollups(org.0.as_bytes()[15] % TURNS)
}

fn places(record: &UsageRecord) -> impl Iterator<Item = Place> {
    let UsageRecord { opened, closed } = record;
    let keys = [None, Some(opened.key)];
    keys.into_iter().flat_map(move |key| {
        Span::ALL.into_iter().map(move |span| Place {
            org: opened.org,
            key,
            span,
            start: span.start_of(opened.started_at),
            team: opened.team,
            model: opened.model.clone(),
            provider: closed.provider.clone(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::record;

    #[test]
    fn what_is_kept_in_memory_is_bounded_and_of_the_present() {
        let mut known = Known::default();
        for quarter in 0..16 {
            let one = record(1, Timestamp(quarter * 900_000));
            known.rollups.extend(places(&one).map(|place| (place, Rollup::default())));
        }
        // Two of four hours, and two of each quarter of an hour.
        assert_eq!(known.rollups.len(), 34);
        known.trim(34);
        assert_eq!(known.rollups.len(), 34);
        known.trim(33);
        let mut starts: Vec<_> = known.rollups.keys().map(|place| place.start.0).collect();
        starts.sort_unstable();
        assert_eq!(starts, [0, 0, 13_500_000, 13_500_000]);
        known.trim(3);
        assert!(known.rollups.is_empty());
    }
}
