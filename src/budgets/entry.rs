//! One purse of the registry: whether it is open, for which term, and whether what is known of it may be old.

use aione_core::domain::{
    budget::{Decided, Known, Owner, Purse, Term},
    clock::{Steady, Timestamp},
    money::Pico,
};
use chrono_tz::Tz;
use parking_lot::Mutex;
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// How long a purse that nobody uses is kept.
const IDLE_MAX: Duration = Duration::from_secs(600);
/// How long nobody waits for a store that has not answered, where something is known.
const PAUSE: Duration = Duration::from_secs(1);
/// How old what the store said of a purse may be to be held against what nodes have told each other.
const FRESH_MAX: Duration = Duration::from_secs(300);
/// By how much a request can have begun before the term that it is admitted in: its body may have come slowly.
/// A clock that is set back is further away.
const LATE_MAX_MS: i64 = 600_000;

#[derive(Default)]
pub(super) struct Entry {
    pub(super) open: Mutex<Option<Open>>,
    /// Held by whoever asks the store.
    pub(super) asking: tokio::sync::Mutex<()>,
    /// Who asked for it last, while it is not open.
    wanted: Mutex<Option<(Timestamp, Tz)>>,
    /// How often what is known may have changed, and how many of those what is known comes after: ask before
    /// it is used again.
    changes: AtomicU64,
    as_of: AtomicU64,
    /// Until when what is known does although it is outdated: the store has just not answered.
    does_until: AtomicU64,
    /// On the process's monotonic clock.
    used_at: AtomicU64,
}

#[derive(Clone, Copy)]
pub(super) struct Open {
    pub(super) purse: Purse,
    /// Of its term; another one counts from the next.
    pub(super) zone: Tz,
    /// When the store was read for it. `None`: not in this term yet.
    read_at: Option<Steady>,
}

/// Whether a purse can be paid from.
pub(super) enum Ready {
    Now,
    /// Once the store has said what is in it.
    Ask,
    /// Not any more: its term is the next one already.
    Over,
}

impl Entry {
    /// Looks at it for a request that began at `at`. A term that has ended is followed by the next; what
    /// follows otherwise, another zone or a clock that was set, is asked for.
    pub(super) fn look(&self, owner: Owner, at: Timestamp, zone: Tz, now: Steady) -> Ready {
        let mut open = self.open.lock();
        if let Some(Open { purse, .. }) = &*open {
            let term = purse.term();
            if at >= term.until {
                let next = owner.term(at, zone);
                *open = (next.from == term.until).then(|| Open {
                    purse: Purse::new(next, Known::default()),
                    zone,
                    read_at: None,
                });
            } else if at < term.from {
                if term.from.0.saturating_sub(at.0) <= LATE_MAX_MS {
                    return Ready::Over;
                }
                *open = None;
            }
        }
        if open.is_none() {
            *self.wanted.lock() = Some((at, zone));
            return Ready::Ask;
        }
        let is_outdated = self.as_of.load(Ordering::Acquire) < self.changes()
            && self.does_until.load(Ordering::Relaxed) <= now.0;
        if is_outdated { Ready::Ask } else { Ready::Now }
    }

    /// Somebody uses it at `now`.
    pub(super) fn note_use(&self, now: Steady) {
        self.used_at.store(now.0, Ordering::Relaxed);
    }

    pub(super) fn is_open(&self) -> bool {
        self.open.lock().is_some()
    }

    /// The term that it is open for, in its zone.
    pub(super) fn term(&self) -> Option<(Term, Tz)> {
        self.open.lock().map(|open| (open.purse.term(), open.zone))
    }

    /// The term that it is wanted for, where it is not open.
    pub(super) fn wanted_term(&self, owner: Owner) -> Option<(Term, Tz)> {
        self.wanted.lock().map(|(at, zone)| (owner.term(at, zone), zone))
    }

    pub(super) fn outdate(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    /// The store has not answered: nobody waits for it again within [`PAUSE`].
    pub(super) fn make_do(&self, now: Steady) {
        let pause = u64::try_from(PAUSE.as_nanos()).unwrap_or(u64::MAX);
        self.does_until.store(now.0.saturating_add(pause), Ordering::Relaxed);
    }

    /// The changes up to now: what is read from here on comes after them.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Takes in what was read after the first `as_of` changes.
    pub(super) fn take_in(&self, term: Term, zone: Tz, known: Known, as_of: u64, now: Steady) {
        let read_at = Some(now);
        match &mut *self.open.lock() {
            // It has begun its next term meanwhile.
            Some(open) if open.purse.term() != term => {}
            Some(open) => {
                open.purse.learn(known);
                open.read_at = read_at;
            }
            none => *none = Some(Open { purse: Purse::new(term, known), zone, read_at }),
        }
        self.as_of.fetch_max(as_of, Ordering::AcqRel);
    }

    /// Whether nobody has used it for long, and it says no more than the store does.
    pub(super) fn can_go(&mut self, known: Option<Known>, now: Steady) -> bool {
        let idle = now.since_ns(Steady(*self.used_at.get_mut()));
        let says_no_more = match (self.open.get_mut(), known) {
            (Some(open), Some(known)) => open.purse.says_no_more_than(&known),
            (open, _) => open.is_none(),
        };
        says_no_more && u128::from(idle) >= IDLE_MAX.as_nanos()
    }
}

impl Open {
    /// Whether what the store said is so young that what came since is still remembered elsewhere.
    pub(super) fn is_fresh(&self, now: Steady) -> bool {
        self.read_at.is_some_and(|read_at| u128::from(now.since_ns(read_at)) < FRESH_MAX.as_nanos())
    }

    pub(super) fn allows(&self, amount: Pico, beyond: Pico, decided: Decided) -> bool {
        let has_room = self.purse.allows(amount, beyond);
        match decided {
            Decided::Alone | Decided::Together => has_room,
            Decided::Apart(parts) => has_room && self.purse.allows_part(amount, beyond, parts),
        }
    }
}
