//! Callers who do not stop while something happens to Redis.

use super::Pair;
use crate::support::{
    client::{self, Answer, Call, Version},
    wait,
};
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

const CALLERS: usize = 4;
/// How long a caller may wait at the most: a decision's 200 ms, and what a busy machine takes.
const ANSWER_MAX: Duration = Duration::from_millis(1_200);

#[derive(Default)]
struct Seen {
    answers: Mutex<Vec<(u16, String, Duration)>>,
    stop: AtomicBool,
}

/// A load on both nodes.
pub(super) struct Load {
    seen: Arc<Seen>,
    callers: JoinSet<()>,
}

impl Load {
    pub(super) async fn start(pair: &Pair, key: &str) -> Self {
        let (seen, mut callers) = (Arc::new(Seen::default()), JoinSet::new());
        for caller in 0..CALLERS {
            let public = pair.nodes[caller % 2].settings.public;
            callers.spawn(call(seen.clone(), public, Call::chat(key, "m")));
        }
        let load = Self { seen, callers };
        load.more(40).await;
        load
    }

    /// Waits for so many more answers.
    pub(super) async fn more(&self, count: usize) {
        let before = self.count();
        wait::until(format_args!("{count} more answers"), async || {
            (self.count() >= before + count).then_some(())
        })
        .await;
    }

    fn count(&self) -> usize {
        self.seen.answers.lock().unwrap().len()
    }

    /// Forgets the answers so far and gives them.
    pub(super) fn take(&self) -> Vec<(u16, String)> {
        let answers = std::mem::take(&mut *self.seen.answers.lock().unwrap());
        let longest = answers.iter().map(|(.., took)| *took).max().unwrap_or_default();
        println!("{} answers, the longest after {longest:?}", answers.len());
        assert!(longest < ANSWER_MAX, "{longest:?}");
        answers.into_iter().map(|(status, code, _)| (status, code)).collect()
    }

    /// Ends it; every answer was in time.
    pub(super) async fn end(mut self) {
        self.seen.stop.store(true, Ordering::SeqCst);
        while let Some(done) = wait::within("the callers", self.callers.join_next()).await {
            done.unwrap();
        }
        self.take();
    }
}

async fn call(seen: Arc<Seen>, public: SocketAddr, call: Call) {
    while !seen.stop.load(Ordering::SeqCst) {
        let began = Instant::now();
        let answer: Answer = client::send(Version::H1, public, &call).await;
        let code = if answer.status == 200 { String::new() } else { answer.code() };
        seen.answers.lock().unwrap().push((answer.status, code, began.elapsed()));
    }
}
