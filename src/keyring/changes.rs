//! A count of the changes to keys, by which what was read before one is told from what was read
//! after it.

use aione_core::domain::id::KeyId;
use std::sync::atomic::{AtomicU64, Ordering};

/// Keys share this many places; keys that share one are read again together, which is harmless.
const PLACES: usize = 4_096;

/// The number of the last change, and of the last one at each place.
pub(super) struct Changes {
    last: AtomicU64,
    places: Box<[AtomicU64]>,
}

impl Default for Changes {
    fn default() -> Self {
        let places = std::iter::repeat_with(AtomicU64::default).take(PLACES).collect();
        Self { last: AtomicU64::new(0), places }
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

    /// Notes a change that may concern any key.
    pub(super) fn note_all(&self) {
        let number = self.last.fetch_add(1, Ordering::SeqCst) + 1;
        for place in &self.places {
            place.fetch_max(number, Ordering::SeqCst);
        }
    }

    /// Whether the key has not changed since `last` was `as_of`.
    pub(super) fn none_since(&self, id: KeyId, as_of: u64) -> bool {
        self.at(id).load(Ordering::SeqCst) <= as_of
    }

    fn at(&self, id: KeyId) -> &AtomicU64 {
        &self.places[place(id.0.as_bytes(), PLACES)]
    }
}

/// One of `places`, by the last bytes: those of an id or a hash are evenly spread.
pub(super) fn place(bytes: &[u8], places: usize) -> usize {
    let last = bytes.last_chunk::<2>().copied().unwrap_or_default();
    usize::from(u16::from_le_bytes(last)) % places
}
