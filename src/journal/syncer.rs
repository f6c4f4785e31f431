//! A thread that syncs beside the writer, so that under `interval` no `write` waits for a sync.

use super::segment::Syncing;
use parking_lot::{Condvar, Mutex};
use std::{
    io,
    sync::Arc,
    thread::{self, JoinHandle, Thread},
};

/// Dropping it waits for the sync under way.
pub(super) struct Syncer {
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
}

/// Where the two threads hand each other one job at a time.
struct Desk {
    job: Mutex<Job>,
    changed: Condvar,
}

enum Job {
    None,
    Asked(Syncing),
    /// Taken, and not done yet.
    UnderWay,
    Done(io::Result<()>),
    Leave,
}

impl Syncer {
    /// Starts the thread. It unparks `writer` when a job is done.
    pub(super) fn start(writer: Thread) -> io::Result<Self> {
        let desk = Arc::new(Desk { job: Mutex::new(Job::None), changed: Condvar::new() });
        let thread = thread::Builder::new().name("journal-sync".to_owned()).spawn({
            let desk = Arc::clone(&desk);
            move || desk.work(&writer)
        })?;
        Ok(Self { desk, thread: Some(thread) })
    }

    /// Asks for a sync of what is written by now. The one before must be done and taken.
    pub(super) fn ask(&self, segment: Syncing) {
        *self.desk.job.lock() = Job::Asked(segment);
        self.desk.changed.notify_all();
    }

    /// The outcome of the sync that was asked for; `None` while it is under way.
    pub(super) fn outcome(&self) -> Option<io::Result<()>> {
        take_outcome(&mut self.desk.job.lock())
    }

    /// Waits for the outcome of the sync that was asked for.
    pub(super) fn wait(&self) -> io::Result<()> {
        let mut job = self.desk.job.lock();
        loop {
            if let Some(outcome) = take_outcome(&mut job) {
                return outcome;
            }
            self.desk.changed.wait(&mut job);
        }
    }
}

fn take_outcome(job: &mut Job) -> Option<io::Result<()>> {
    match std::mem::replace(job, Job::None) {
        Job::Done(outcome) => Some(outcome),
        other => {
            *job = other;
            None
        }
    }
}

impl Desk {
    fn work(&self, writer: &Thread) {
        let mut job = self.job.lock();
        loop {
            match std::mem::replace(&mut *job, Job::UnderWay) {
                Job::Leave => return,
                Job::Asked(segment) => {
                    drop(job);
                    let outcome = segment.sync();
                    job = self.job.lock();
                    if !matches!(*job, Job::Leave) {
                        *job = Job::Done(outcome);
                    }
                    self.changed.notify_all();
                    writer.unpark();
                }
                idle => {
                    *job = idle;
                    self.changed.wait(&mut job);
                }
            }
        }
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        *self.desk.job.lock() = Job::Leave;
        self.desk.changed.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the journal's syncer panicked");
        }
    }
}
