//! A count of the changes to keys, by which what was read before one is told from what was read
//! after it.

use aione_core::domain::id::{KeyId, OrgId};
use std::sync::atomic::{AtomicU64, Ordering};

/// Keys share this many places; keys that share one are read again together, which is harmless.
const PLACES: usize = 4_096;

/// The same of organizations.
const ORG_PLACES: usize = 512;

/// The number of the last change, and of the last one at each place.
pub(super) struct Changes {
    last: AtomicU64,
    /// The number of the last time when anything may have changed.
    doubt: AtomicU64,
    places: Box<[AtomicU64]>,
    org_places: Box<[AtomicU64]>,
}

impl Default for Changes {
    fn default() -> Self {
        let places = |count| std::iter::repeat_with(AtomicU64::default).take(count).collect();
        Self {
            last: AtomicU64::new(0),
            doubt: AtomicU64::new(0),
            places: places(PLACES),
            org_places: places(ORG_PLACES),
        }
    }
}

impl Changes {
    /// The number of the last change. What is read from now on has it in it.
    pub(super) fn last(&self) -> u64 {
        self.last.load(Ordering::SeqCst)
    }

    /// Notes a change that the store has made. Numbers are given out before they are put in
    /// their place, so a read that starts in between has the change and is rightly kept.
    pub(super) fn note(&self, id: KeyId) {
        let number = self.last.fetch_add(1, Ordering::SeqCst) + 1;
        self.at(id).fetch_max(number, Ordering::SeqCst);
    }

    /// The same of what stands above an organization's keys.
    pub(super) fn note_org(&self, org: OrgId) {
        let number = self.last.fetch_add(1, Ordering::SeqCst) + 1;
        self.of(org).fetch_max(number, Ordering::SeqCst);
    }

    /// Notes that anything may have changed.
    pub(super) fn doubt(&self) {
        let number = self.last.fetch_add(1, Ordering::SeqCst) + 1;
        self.doubt.fetch_max(number, Ordering::SeqCst);
    }

    /// Whether anything may have changed since `last` was `as_of`.
    pub(super) fn is_doubted(&self, as_of: u64) -> bool {
        self.doubt.load(Ordering::SeqCst) > as_of
    }

    /// Whether neither the key nor what stands above it has changed since `last` was `as_of`.
    pub(super) fn none_since(&self, org: OrgId, id: KeyId, as_of: u64) -> bool {
        self.at(id).load(Ordering::SeqCst) <= as_of && self.of(org).load(Ordering::SeqCst) <= as_of
    }

    fn at(&self, id: KeyId) -> &AtomicU64 {
        &self.places[place(id.0.as_bytes(), PLACES)]
    }

    fn of(&self, org: OrgId) -> &AtomicU64 {
        &self.org_places[place(org.0.as_bytes(), ORG_PLACES)]
    }
}

/// One of `places`, by the last bytes: those of an id or a hash are evenly spread.
pub(super) fn place(bytes: &[u8], places: usize) -> usize {
    let last = bytes.last_chunk::<2>().copied().unwrap_or_default();
    usize::from(u16::from_le_bytes(last)) % places
}
