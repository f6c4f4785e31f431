//! The thread that speaks with Redis: neither a busy control plane nor a busy proxy keeps a decision waiting.

use super::{broadcast::Broadcast, upkeep::Upkeep};
use std::{io, sync::Arc, thread::JoinHandle, time::Duration};
use tokio::{sync::watch, time::timeout};

/// How long a start waits for the first try to reach Redis.
const FIRST_MAX: Duration = Duration::from_secs(2);

/// The running thread.
pub(crate) struct Background {
    thread: JoinHandle<()>,
    leave: watch::Sender<bool>,
}

impl Background {
    /// Starts it, and waits until Redis has been tried once: whether it is there or not.
    pub(crate) async fn start(mut upkeep: Upkeep, broadcast: Arc<Broadcast>) -> io::Result<Self> {
        let tried = upkeep.tried();
        let (leave, leaving) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let work = async move {
            tokio::join!(upkeep.run(leaving.clone(), || broadcast.doubt_purses()), broadcast.run(leaving));
        };
        let thread = std::thread::Builder::new().name("redis".to_owned());
        let thread = thread.spawn(move || runtime.block_on(work))?;
        if timeout(FIRST_MAX, tried).await.is_err() {
            tracing::warn!("Redis does not answer yet");
        }
        Ok(Self { thread, leave })
    }

    /// Has the last ends told, within the time that upkeep gives them.
    pub(crate) fn finish(self) {
        let _ = self.leave.send(true);
        // It panicked where this fails, and said so.
        let _ = self.thread.join();
    }
}
