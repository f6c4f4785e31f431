//! Whether Redis is asked at all: after a few failures nobody waits for it any more, until it has
//! answered in time again.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// Failures in a row after which it is left alone.
const FAILURES_MAX: u32 = 3;

/// Open until Redis has answered for the first time.
#[derive(Debug)]
pub(super) struct Circuit {
    open: AtomicBool,
    failures: AtomicU32,
    openings: AtomicU64,
}

impl Default for Circuit {
    fn default() -> Self {
        Self { open: AtomicBool::new(true), failures: AtomicU32::new(0), openings: AtomicU64::new(0) }
    }
}

impl Circuit {
    pub(super) fn is_closed(&self) -> bool {
        !self.open.load(Ordering::Acquire)
    }

    pub(super) fn succeeded(&self) {
        // Nearly always it is zero: no line of memory goes from thread to thread.
        if self.failures.load(Ordering::Relaxed) > 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    /// Counts a failure; says whether it opened the circuit.
    pub(super) fn failed(&self) -> bool {
        self.failures.fetch_add(1, Ordering::Relaxed) + 1 >= FAILURES_MAX && self.open()
    }

    /// Opens at once, for what needs no second failure; says whether it was closed.
    pub(super) fn open(&self) -> bool {
        let opened = !self.open.swap(true, Ordering::AcqRel);
        if opened {
            self.openings.fetch_add(1, Ordering::Relaxed);
        }
        opened
    }

    pub(super) fn close(&self) {
        self.failures.store(0, Ordering::Relaxed);
        self.open.store(false, Ordering::Release);
    }

    /// How often it was opened.
    pub(super) fn openings(&self) -> u64 {
        self.openings.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_and_says_so_once() {
        let circuit = Circuit::default();
        assert!(!circuit.is_closed());
        circuit.close();
        for _ in 0..FAILURES_MAX - 1 {
            assert!(!circuit.failed());
        }
        circuit.succeeded();
        for _ in 0..FAILURES_MAX - 1 {
            assert!(!circuit.failed());
        }
        assert!(circuit.is_closed());
        assert!(circuit.failed());
        assert!(!circuit.is_closed() && !circuit.failed() && !circuit.open());
        assert_eq!(circuit.openings(), 1);
        circuit.close();
        assert!(circuit.is_closed());
    }
}
