//! Threads that no exchange waits for, the management API's among them, give way to those that serve callers.
//!
//! The system lets whoever runs go on for a while before another gets its turn: a batch on its way to the store would
//! keep an answer waiting that is ready to be sent.

use rustix::process::{getpid, getpriority_process, setpriority_process};

/// Steps of niceness. A thread that gives way by so many gets a quarter of a processor that another wants as well,
/// and the recorder keeps up with that; it would not with much less.
const STEPS: i32 = 5;

/// From now on this thread gives way, and so do those that it starts.
pub(crate) fn give_way() {
    // Of the main thread, which starts those that serve.
    let serving = getpriority_process(Some(getpid()));
    if let Err(error) = serving.and_then(|serving| setpriority_process(None, serving + STEPS)) {
        tracing::debug!(%error, "a thread of the background has the priority of those that serve");
    }
}
