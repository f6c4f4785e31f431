//! Threads that nobody waits for give way to those that serve callers.
//!
//! The system lets whoever runs go on for a while before another gets its turn: a batch on its way to the store would
//! keep an answer waiting that is ready to be sent.

use std::{panic, thread};

/// Steps of niceness. A thread that gives way by so many gets a quarter of a processor that another wants as well,
/// and the recorder keeps up with that; it would not with much less.
const STEPS: i32 = 5;

/// From now on this thread gives way, and so do those that it starts.
pub(crate) fn give_way() {
    if let Err(error) = rustix::process::nice(STEPS) {
        tracing::debug!(%error, "a thread of the background has the priority of those that serve");
    }
}

/// What `work` comes to on a thread that gives way.
pub(crate) fn beside<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let giving_way = || {
        give_way();
        work()
    };
    thread::scope(|scope| scope.spawn(giving_way).join()).unwrap_or_else(|panic| panic::resume_unwind(panic))
}
