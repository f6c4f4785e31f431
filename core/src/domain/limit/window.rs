//! An exact sliding window: no interval of its span ever admits more than the limit.
//!
//! Amounts are kept by the second in which they came. An event at the end of second *s* and one
//! at the start of second *s* + 60 are less than 60 s apart, so a sub-window leaves only when it
//! is **wholly** older than the span: at the start of second *s* + 61.

use crate::domain::clock::Steady;
use std::collections::VecDeque;

const MINUTE_S: u64 = 60;
const DAY_S: u64 = 24 * 60 * 60;
/// Most sub-windows of a minute's window: the span and the present second.
pub const MINUTE_SLOTS_MAX: usize = 61;
/// Most sub-windows of a day's window. It grows as seconds are used, so a limit of N requests a
/// day never holds more than N of them.
pub const DAY_SLOTS_MAX: usize = 86_401;

const NS_PER_S: u64 = 1_000_000_000;
const NS_PER_MS: u64 = 1_000_000;

/// What came in the last `span_s` seconds, by the second.
#[derive(Debug)]
pub struct Window {
    span_s: u64,
    /// Rising seconds, at most `span_s + 1` of them; the last one's amount is never zero.
    slots: VecDeque<Slot>,
    /// The sum over `slots`.
    total: u64,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// Whole seconds on the steady clock.
    second: u64,
    amount: u64,
}

/// Where an amount was put, so that it can be given back. Not `Clone`: once.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct Entry {
    second: u64,
    amount: u64,
}

impl Entry {
    #[must_use]
    pub fn amount(&self) -> u64 {
        self.amount
    }
}

impl Window {
    /// 60 seconds. It grows to what it needs in its first busy minute and keeps that: most of a
    /// million keys are used now and then, and need next to nothing.
    #[must_use]
    pub fn minute() -> Self {
        Self { span_s: MINUTE_S, slots: VecDeque::new(), total: 0 }
    }

    /// 24 hours.
    #[must_use]
    pub fn day() -> Self {
        Self { span_s: DAY_S, slots: VecDeque::new(), total: 0 }
    }

    /// What is in the window at `now`.
    pub fn used(&mut self, now: Steady) -> u64 {
        self.expire(now);
        self.total
    }

    /// Whether `amount` more stays within `limit`.
    pub fn has_room(&mut self, amount: u64, limit: u64, now: Steady) -> bool {
        self.used(now).checked_add(amount).is_some_and(|sum| sum <= limit)
    }

    /// Counts `amount` in the present second, whatever the limit. The sum saturates; what did
    /// not fit in it is not in the entry either.
    ///
    /// A `now` that was read before another caller's counts in that caller's second: an amount
    /// may stay a moment longer than it must, never shorter.
    pub fn add(&mut self, amount: u64, now: Steady) -> Entry {
        self.expire(now);
        let amount = amount.min(u64::MAX - self.total);
        let second = now.0 / NS_PER_S;
        if amount == 0 {
            return Entry { second, amount };
        }
        self.total += amount;
        match self.slots.back_mut() {
            Some(last) if last.second >= second => {
                last.amount += amount;
                Entry { second: last.second, amount }
            }
            _ => {
                self.slots.push_back(Slot { second, amount });
                Entry { second, amount }
            }
        }
    }

    /// Gives back up to `amount` of what `entry` put here; nothing once it has left the window.
    pub fn give_back(&mut self, entry: &Entry, amount: u64) {
        let Ok(at) = self.slots.binary_search_by_key(&entry.second, |slot| slot.second) else {
            return;
        };
        let slot = &mut self.slots[at];
        let back = amount.min(entry.amount).min(slot.amount);
        slot.amount -= back;
        self.total -= back;
        while self.slots.back().is_some_and(|last| last.amount == 0) {
            self.slots.pop_back();
        }
    }

    /// Milliseconds until enough has left for `amount` to fit within `limit`, if nothing else
    /// comes; the whole span when it would not fit in an empty window.
    #[must_use]
    pub fn wait_ms(&self, amount: u64, limit: u64, now: Steady) -> u64 {
        let over = (u128::from(self.total) + u128::from(amount)).saturating_sub(u128::from(limit));
        if over == 0 {
            return 0;
        }
        let mut left = 0;
        for slot in &self.slots {
            left += u128::from(slot.amount);
            if left >= over {
                return self.leaves_in_ms(slot.second, now);
            }
        }
        self.span_s * 1000
    }

    /// Milliseconds until nothing is left in the window, if nothing else comes.
    #[must_use]
    pub fn empty_in_ms(&self, now: Steady) -> u64 {
        self.slots.back().map_or(0, |last| self.leaves_in_ms(last.second, now))
    }

    fn leaves_in_ms(&self, second: u64, now: Steady) -> u64 {
        let leaves_ns = (second + self.span_s + 1).saturating_mul(NS_PER_S);
        leaves_ns.saturating_sub(now.0).div_ceil(NS_PER_MS)
    }

    fn expire(&mut self, now: Steady) {
        let present = now.0 / NS_PER_S;
        while let Some(first) = self.slots.front() {
            if first.second + self.span_s >= present {
                return;
            }
            self.total -= first.amount;
            self.slots.pop_front();
        }
    }
}
