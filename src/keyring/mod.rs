//! Who is calling: from the text of a secret to the key, its team and its organization.
//!
//! A secret with a wrong checksum is refused without a look-up. Any other is found by its hash
//! alone: no id is in it, so there is no "right id, wrong secret" whose time could differ from
//! "unknown id", and what a hash-table look-up tells about a hash tells nothing about a secret.
//!
//! Known keys are kept in memory for `max_age`, and read again before that where they are in use. A
//! change makes them outdated at once on this node: see [`KeyRing::forget`].

mod changes;
mod pause;
mod pepper_file;
mod refresh;
#[cfg(test)]
mod tests;

pub use pepper_file::{PepperFileError, load_or_make_pepper};

use crate::own_hash::OwnHashes;
use aione_core::{
    domain::{
        clock::{Steady, Timestamp},
        id::{KeyId, OrgId},
        key::{self, KeyHash, KeyStatus, Peppers},
    },
    ports::{KeyInContext, KeyStore, StoreError},
};
use changes::Changes;
use pause::Pause;
use quick_cache::{
    OptionsBuilder, UnitWeighter,
    sync::{self, DefaultLifecycle},
};
use refresh::Refreshes;
use std::{sync::Arc, time::Duration};
use tokio::sync::Mutex;

/// Keys in memory.
const KNOWN_MAX: u64 = 1_000_000;
/// Hashes in memory that the store did not know. They have a cache of their own, so that
/// guessing cannot push out a key.
const UNKNOWN_MAX: u64 = 100_000;
/// Entries that a cache has room for at first.
const CACHE_ROOM: usize = 1024;
/// How long a hash is taken as unknown without asking again.
const UNKNOWN_AGE_MAX: Duration = Duration::from_secs(1);
/// How old a known key may be while the store cannot be read. Nobody can change a key then, but through
/// a node that still reaches the store.
const STALE_AGE_MAX: Duration = Duration::from_secs(3_600);
/// How long a caller waits for its turn to ask the store, and then for what it says.
const ASK_MAX: Duration = Duration::from_millis(500);
/// Hashes of known keys that are read again at once.
const REFRESHES_MAX: usize = 1_024;
/// Other hashes that are looked up at once: what guessing can take of the store.
const LOOKUPS_MAX: usize = 64;
/// How often a key is read again because it changed while it was read.
const READS_MAX: usize = 4;

/// Why a secret is not taken. The caller is told no more than that it is not valid, or that it
/// cannot be said now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Denied {
    #[error("the secret is malformed")]
    Malformed,
    #[error("there is no such key")]
    Unknown,
    #[error("the key has expired")]
    Expired,
    #[error("the key is disabled")]
    Disabled,
    #[error("the secret was rotated and its grace is over")]
    GraceOver,
    /// The only one that is not the caller's doing: 503.
    #[error("the key store is unavailable")]
    StoreUnavailable,
}

/// The keys of one node.
pub struct KeyRing {
    store: Arc<dyn KeyStore>,
    peppers: Peppers,
    known: Cache<Known>,
    unknown: Cache<Unknown>,
    changes: Changes,
    pause: Pause,
    refreshes: Refreshes,
    refresh_turns: Box<[Mutex<()>]>,
    lookup_turns: Box<[Mutex<()>]>,
    ask_max: Duration,
}

/// By hash. A hit sets one bit: nothing is queued, and nothing is put in order while a request waits.
type Cache<T> = sync::Cache<KeyHash, T, UnitWeighter, OwnHashes>;

/// A key as it was read.
#[derive(Clone)]
struct Known {
    context: Arc<KeyInContext>,
    /// Before it was read.
    read_at: Steady,
    /// The last change before it was read.
    as_of: u64,
}

/// A hash that was not found.
#[derive(Clone, Copy)]
struct Unknown {
    read_at: Steady,
    as_of: u64,
}

impl KeyRing {
    #[must_use]
    pub fn new(store: Arc<dyn KeyStore>, peppers: Peppers) -> Self {
        let turns = |count| std::iter::repeat_with(Mutex::default).take(count).collect();
        Self {
            store,
            peppers,
            known: cache(KNOWN_MAX),
            unknown: cache(UNKNOWN_MAX),
            changes: Changes::default(),
            pause: Pause::default(),
            refreshes: Refreshes::default(),
            refresh_turns: turns(REFRESHES_MAX),
            lookup_turns: turns(LOOKUPS_MAX),
            ask_max: ASK_MAX,
        }
    }

    /// The key that `secret` belongs to, if it may be used at `now`. What is known of it is at
    /// most `max_age` old, or an hour while the store cannot be read.
    ///
    /// # Errors
    /// See [`Denied`].
    pub async fn authenticate(
        &self,
        secret: &str,
        prefix: &str,
        max_age: Duration,
        now: Timestamp,
        steady: Steady,
    ) -> Result<Arc<KeyInContext>, Denied> {
        let secret = key::parse(secret, prefix).map_err(|_| Denied::Malformed)?.as_str();
        let mut hashes = self.peppers.hashes(secret);
        let context = match hashes.find_map(|hash| self.fresh(&hash, max_age, steady)) {
            Some(context) => context,
            None => self.find(secret, max_age, steady).await?,
        };
        usable(&context, now)?;
        Ok(context)
    }

    /// Lets go of a key that was changed **in the store before this call**, and of all hashes that
    /// were not found, one of which may have become a new key's. On return nothing older than
    /// the change is taken for the key any more, not even what is being read at this moment.
    pub fn forget(&self, id: KeyId) {
        self.changes.note(id);
    }

    /// The same of what stands above an organization's keys.
    pub fn forget_org(&self, org: OrgId) {
        self.changes.note_org(org);
    }

    /// Takes all that is known for outdated: changes may have been missed. What is known still does while
    /// the store is away.
    pub fn doubt_all(&self) {
        self.changes.doubt();
    }

    /// What is known of a hash and may be used without asking.
    fn fresh(&self, hash: &KeyHash, max_age: Duration, steady: Steady) -> Option<Arc<KeyInContext>> {
        let known = self.known.get(hash)?;
        if !self.is_current(&known)
            || self.changes.is_doubted(known.as_of)
            || !is_younger(known.read_at, max_age, steady)
        {
            return None;
        }
        if refresh::is_due(steady.since_ns(known.read_at), max_age) {
            self.refreshes.want(hash, steady);
        }
        Some(known.context)
    }

    /// Asks the store for each hash that the secret may be kept under, one that was known first.
    #[cold]
    async fn find(
        &self,
        secret: &str,
        max_age: Duration,
        steady: Steady,
    ) -> Result<Arc<KeyInContext>, Denied> {
        let (known, others): (Vec<_>, Vec<_>) =
            self.peppers.hashes(secret).partition(|hash| self.known.contains_key(hash));
        for hash in known {
            // While the store is away nobody waits to find out that it is: that is done beside.
            if self.pause.is_on()
                && let Ok(context) = self.make_do(&hash, steady)
            {
                self.refreshes.want(&hash, steady);
                return Ok(context);
            }
            if let Some(context) = self.ask(&hash, &self.refresh_turns, max_age, steady).await? {
                return Ok(context);
            }
        }
        for hash in others {
            if self.is_unknown(&hash, max_age, steady) {
                continue;
            }
            if let Some(context) = self.ask(&hash, &self.lookup_turns, max_age, steady).await? {
                return Ok(context);
            }
        }
        Err(Denied::Unknown)
    }

    /// Reads one hash from the store, once for all who want it now. Where the store cannot be
    /// read, what was known before does for a while.
    async fn ask(
        &self,
        hash: &KeyHash,
        turns: &[Mutex<()>],
        max_age: Duration,
        steady: Steady,
    ) -> Result<Option<Arc<KeyInContext>>, Denied> {
        let turn = &turns[changes::place(&hash.0, turns.len())];
        // That many wait says nothing about the store.
        let Ok(_turn) = tokio::time::timeout(self.ask_max, turn.lock()).await else {
            return self.make_do(hash, steady).map(Some);
        };
        if let Some(context) = self.fresh(hash, max_age, steady) {
            return Ok(Some(context));
        }
        if self.is_unknown(hash, max_age, steady) {
            return Ok(None);
        }
        self.ask_store(hash, steady).await
    }

    /// Waits for what the store says of a hash, within bounds and not while it is left in peace.
    async fn ask_store(&self, hash: &KeyHash, steady: Steady) -> Result<Option<Arc<KeyInContext>>, Denied> {
        if !self.pause.may_ask(steady) {
            return self.make_do(hash, steady).map(Some);
        }
        let error = match tokio::time::timeout(self.ask_max, self.read(hash, steady)).await {
            Ok(Ok(found)) => {
                self.pause.end();
                return Ok(found);
            }
            Ok(Err(error)) => error,
            Err(_) => StoreError::Unavailable("it did not answer in time".to_owned()),
        };
        tracing::warn!(%error, "a key could not be read from the store");
        if matches!(error, StoreError::Unavailable(_)) {
            self.pause.begin(steady);
        }
        self.make_do(hash, steady).map(Some)
    }

    /// Reads a hash and keeps what was found, unless it changed while it was read.
    async fn read(&self, hash: &KeyHash, steady: Steady) -> Result<Option<Arc<KeyInContext>>, StoreError> {
        for _ in 0..READS_MAX {
            let as_of = self.changes.last();
            let Some(context) = self.store.find_by_hash(hash).await? else {
                self.known.remove(hash);
                self.unknown.insert(*hash, Unknown { read_at: steady, as_of });
                return Ok(None);
            };
            let known = Known { context: Arc::new(context), read_at: steady, as_of };
            if self.is_current(&known) {
                self.known.insert(*hash, known.clone());
                return Ok(Some(known.context));
            }
        }
        Err(StoreError::Conflict("the key changes faster than it can be read".to_owned()))
    }

    /// What was known, while the store cannot be read.
    fn make_do(&self, hash: &KeyHash, steady: Steady) -> Result<Arc<KeyInContext>, Denied> {
        let known = self
            .known
            .get(hash)
            .filter(|known| self.is_current(known) && is_younger(known.read_at, STALE_AGE_MAX, steady));
        known.map(|known| known.context).ok_or(Denied::StoreUnavailable)
    }

    fn is_unknown(&self, hash: &KeyHash, max_age: Duration, steady: Steady) -> bool {
        self.unknown.get(hash).is_some_and(|unknown| {
            unknown.as_of == self.changes.last()
                && is_younger(unknown.read_at, max_age.min(UNKNOWN_AGE_MAX), steady)
        })
    }

    /// Whether nothing has changed the key since it was read. It is asked at every use and not
    /// only when a read ends: so it does not matter when a read that was overtaken is kept.
    fn is_current(&self, known: &Known) -> bool {
        self.changes.none_since(known.context.key.org, known.context.key.id, known.as_of)
    }
}

/// Takes room as it fills.
fn cache<T: Clone>(most: u64) -> Cache<T> {
    let options = OptionsBuilder::new()
        .estimated_items_capacity(CACHE_ROOM)
        .weight_capacity(most)
        .build()
        .expect("both capacities are given");
    Cache::with_options(options, UnitWeighter, OwnHashes::default(), DefaultLifecycle::default())
}

fn usable(context: &KeyInContext, now: Timestamp) -> Result<(), Denied> {
    match context.key.status(now) {
        KeyStatus::Disabled => return Err(Denied::Disabled),
        KeyStatus::Expired => return Err(Denied::Expired),
        KeyStatus::Active => {}
    }
    match context.secret_dies_at {
        Some(end) if end <= now => Err(Denied::GraceOver),
        _ => Ok(()),
    }
}

fn is_younger(read_at: Steady, age: Duration, steady: Steady) -> bool {
    u128::from(steady.since_ns(read_at)) < age.as_nanos()
}
