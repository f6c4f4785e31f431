//! Threads beside those that serve callers. None of them takes the processor away from one that serves, just because it
//! is woken: that one has sent what is to be sent before another has its turn. Those that no exchange waits for, the
//! management API's among them, have fewer turns besides.
//!
//! The system would let whoever was woken go first, and go on for a while: an admitted request would wait while its
//! admission is written, and an answer that is ready while a batch is on its way to the store. The price: where no
//! core is free and none of those that serve ever sleeps, the journal waits for one's slice to end, some milliseconds.

use rustix::process::{getpid, getpriority_process};
use thread_priority::{
    Error, NormalThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

/// Steps of niceness. A thread that gives way by so many gets a quarter of a processor that another wants as well,
/// and the recorder keeps up with that; it would not with much less.
const STEPS: i32 = 5;
/// Which does not interrupt.
const BATCH: ThreadSchedulePolicy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Batch);

/// From now on this thread waits for its turn, and so do those that it starts.
pub(crate) fn interrupt_nobody() {
    note(be_nicer_by(0));
}

/// The same, and its turns are fewer.
pub(crate) fn give_way() {
    note(be_nicer_by(STEPS));
}

fn be_nicer_by(steps: i32) -> Result<(), Error> {
    // Of the main thread, which starts those that serve.
    let serving = getpriority_process(Some(getpid())).map_err(|error| Error::OS(error.raw_os_error()))?;
    set_thread_priority_and_policy(thread_native_id(), priority_of(serving + steps), BATCH)
}

/// The library counts from the nicest, 0, to 99.
fn priority_of(niceness: i32) -> ThreadPriority {
    let is_it = |priority: &ThreadPriority| priority.to_posix(BATCH).is_ok_and(|it| it <= niceness);
    let all =
        (0..=ThreadPriorityValue::MAX.into()).filter_map(|value| ThreadPriorityValue::try_from(value).ok());
    all.map(ThreadPriority::Crossplatform).find(is_it).unwrap_or(ThreadPriority::Max)
}

fn note(done: Result<(), Error>) {
    if let Err(error) = done {
        tracing::debug!(?error, "a thread beside those that serve has their priority");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_niceness_is_a_priority_and_none_is_beyond_the_last() {
        for niceness in -20..=19 {
            assert_eq!(priority_of(niceness).to_posix(BATCH), Ok(niceness));
        }
        assert_eq!(priority_of(19 + STEPS).to_posix(BATCH), Ok(19));
    }
}
