//! What is done beside the requests: the ends of exchanges are told, leases renewed, the nodes counted;
//! and while Redis is away, it is tried again until it answers in time.

use super::{
    Shared,
    lease::{self, Entrance, Exit, LEASE, Lease, WINDOW},
    link::is_no_script,
};
use crate::clock;
use aione_core::domain::{clock::Steady, id::RecordId};
use redis::{Cmd, ErrorKind, RedisError, RedisResult, ServerErrorKind, Value};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Interval, MissedTickBehavior, interval, timeout},
};

/// How often everything that has a time is looked at, and how often Redis is tried while it is away.
const TURN: Duration = Duration::from_millis(250);
/// How often a node says that it lives, and for how long that is believed.
const BEAT: Duration = Duration::from_secs(1);
const LIVES: Duration = Duration::from_secs(5);
/// How old a lease is when it is renewed: three times before it runs out.
const RENEW: Duration = Duration::from_secs(10);
/// Most that is told in one round trip, and how long that may take.
const BATCH: usize = 128;
const BATCH_MAX: Duration = Duration::from_secs(1);
/// How often it is looked, before Redis decides again, for what came while the rest was told.
const ROUNDS: usize = 4;
/// A connection that has brought no answer for so long is replaced.
const SILENCE_MAX: Duration = Duration::from_secs(2);
/// How long the last ends may take when the process leaves.
const LAST_MAX: Duration = Duration::from_secs(1);
const NODES: &str = "aione:nodes";

/// What Redis is to be told. Either may be told twice.
#[derive(Debug)]
pub(super) enum Task {
    /// It was admitted without Redis.
    Enter(Arc<Lease>),
    /// It ended, when.
    Leave(Arc<Lease>, Exit, Steady),
    /// Something is to be found under this name for so many seconds.
    Keep(String, Arc<str>, u64),
}

/// The one who does it.
pub(crate) struct Upkeep {
    shared: Arc<Shared>,
    waiting: mpsc::Receiver<Task>,
    /// Taken out of `waiting`, oldest first; no more than that has room for.
    pending: VecDeque<Task>,
    /// When each lease that runs was renewed last.
    renewed: HashMap<RecordId, Steady>,
    node: String,
    beat_at: Steady,
    answered_at: Steady,
    /// Told once the first turn has ended.
    first: Option<oneshot::Sender<()>>,
}

impl Upkeep {
    pub(super) fn new(shared: Arc<Shared>, waiting: mpsc::Receiver<Task>) -> Self {
        Self {
            shared,
            waiting,
            pending: VecDeque::new(),
            renewed: HashMap::new(),
            node: format!("{:016x}", rand::random::<u64>()),
            beat_at: Steady::default(),
            answered_at: clock::steady(),
            first: None,
        }
    }

    /// Resolves when it has been tried once whether Redis is there.
    pub(crate) fn tried(&mut self) -> oneshot::Receiver<()> {
        let (first, tried) = oneshot::channel();
        self.first = Some(first);
        tried
    }

    /// Until it is told to leave; then what is left is told. `back` is called when Redis is back, before it is
    /// asked again.
    pub(crate) async fn run(mut self, mut leave: watch::Receiver<bool>, back: impl Fn()) {
        let mut turns: Interval = interval(TURN);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut some = Vec::with_capacity(BATCH);
        while !*leave.borrow() {
            tokio::select! {
                _ = leave.changed() => break,
                _ = turns.tick() => {
                    self.turn(&back).await;
                    // Whoever waited may have gone.
                    let _ = self.first.take().map(|first| first.send(()));
                }
                taken = self.waiting.recv_many(&mut some, BATCH) => {
                    if taken == 0 {
                        break;
                    }
                    self.take(&mut some);
                    if self.shared.circuit.is_closed() {
                        let told = self.tell().await;
                        self.note(told);
                    }
                }
            }
        }
        let _ = timeout(LAST_MAX, self.leave()).await;
    }

    /// Makes room by letting the oldest go: their leases run out first.
    fn take(&mut self, some: &mut Vec<Task>) {
        self.pending.extend(some.drain(..));
        while self.pending.len() > super::TASKS_MAX {
            self.pending.pop_front();
            self.shared.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes all that waits.
    fn collect(&mut self) {
        let mut some = Vec::new();
        while let Ok(task) = self.waiting.try_recv() {
            some.push(task);
        }
        self.take(&mut some);
    }

    async fn turn(&mut self, back: impl Fn()) {
        if self.shared.circuit.is_closed() {
            let kept = self.keep(&back).await;
            self.note(kept);
            return;
        }
        match self.come_back().await {
            Ok(()) => {
                back();
                self.shared.circuit.close();
                tracing::info!(nodes = self.shared.nodes.live(), "Redis decides the limits");
            }
            Err(error) => {
                tracing::debug!(%error, "Redis is still away");
                if error.is_unrecoverable_error() {
                    self.shared.link.lose();
                }
            }
        }
    }

    /// Connects where that is needed, and has an answer in the time that a caller would wait. What was
    /// admitted meanwhile is told before anybody is admitted there again.
    async fn come_back(&mut self) -> RedisResult<()> {
        let now = clock::steady();
        if now.since_ns(self.answered_at) > nanos(SILENCE_MAX) {
            self.shared.link.lose();
            self.answered_at = now;
        }
        if !self.shared.link.is_there() {
            self.shared.link.connect().await?;
            within(BATCH_MAX, self.shared.link.load()).await?;
        }
        self.beat().await?;
        for _ in 0..ROUNDS {
            self.collect();
            if self.pending.is_empty() {
                break;
            }
            self.tell().await?;
        }
        self.renew(true).await
    }

    /// What is to be done while all is well. Where Redis has lost what it had, all that runs here gets its
    /// place again.
    async fn keep(&mut self, back: impl Fn()) -> RedisResult<()> {
        self.tell().await?;
        if clock::steady().since_ns(self.beat_at) < nanos(BEAT) {
            return Ok(());
        }
        let is_lost = self.beat().await?;
        if is_lost {
            back();
        }
        self.renew(is_lost).await
    }

    fn note(&self, outcome: RedisResult<()>) {
        match outcome {
            Ok(()) => {}
            Err(error) => self.shared.note_failure(&error, error.is_unrecoverable_error()),
        }
    }

    /// Says that this node lives, and counts all that do. Says whether this one was forgotten.
    async fn beat(&mut self) -> RedisResult<bool> {
        let bound = Duration::from_millis(self.shared.timeout_ms.load(Ordering::Relaxed));
        let mut command = self.shared.link.scripts.beat.run(1);
        command.arg(NODES).arg(&self.node).arg(lease::millis(LIVES));
        let (live, is_new): (u64, bool) = within(bound, self.shared.link.ask(&command)).await?;
        self.shared.nodes.counted(live);
        self.answered_at = clock::steady();
        self.beat_at = self.answered_at;
        Ok(is_new)
    }

    /// Tells what waits, oldest first. What fails stays in front.
    async fn tell(&mut self) -> RedisResult<()> {
        while !self.pending.is_empty() {
            let now = clock::steady();
            let scripts = &self.shared.link.scripts;
            let some = self.pending.iter().take(BATCH);
            let commands: Vec<Cmd> = some
                .map(|task| match task {
                    Task::Enter(lease) => lease.enter(&scripts.admit, self.entrance(lease, now)),
                    Task::Leave(lease, exit, ended) => {
                        let waited = Duration::from_nanos(now.since_ns(*ended));
                        lease.leave(&scripts.close, exit.told_after(waited))
                    }
                    Task::Keep(name, value, seconds) => {
                        let mut command = redis::cmd("SET");
                        command.arg(name).arg(&**value).arg("EX").arg(seconds);
                        command
                    }
                })
                .collect();
            let count = commands.len();
            self.ask_all(commands).await?;
            for task in self.pending.drain(..count) {
                if let Task::Enter(lease) = task {
                    lease.has_entered.store(true, Ordering::Relaxed);
                }
            }
        }
        Ok(())
    }

    /// How an exchange that was admitted without Redis enters it now.
    fn entrance(&self, lease: &Lease, now: Steady) -> Entrance {
        let still_runs = self.shared.open.contains_key(&lease.id);
        Entrance::Count { ago_s: now.since_ms(lease.began) / 1000, still_runs }
    }

    /// Renews the leases that are due, or `all`; those that Redis has not any more get their place again.
    async fn renew(&mut self, all: bool) -> RedisResult<()> {
        let now = clock::steady();
        let mut due: Vec<Arc<Lease>> = Vec::new();
        let mut renewed = HashMap::new();
        for entry in &self.shared.open {
            let lease = entry.value();
            if !lease.has_entered.load(Ordering::Relaxed) {
                continue;
            }
            let last = self.renewed.get(&lease.id).copied();
            if all || now.since_ns(last.unwrap_or(lease.began)) >= nanos(RENEW) {
                due.push(lease.clone());
            }
            renewed.extend(last.map(|last| (lease.id, last)));
        }
        self.renewed = renewed;
        // A round trip is about one organization: its keys lie together.
        due.sort_unstable_by_key(|lease| lease.org);
        for of_one in due.chunk_by(|one, other| one.org == other.org) {
            for some in of_one.chunks(BATCH) {
                self.renew_some(some, now).await?;
            }
        }
        Ok(())
    }

    async fn renew_some(&mut self, some: &[Arc<Lease>], now: Steady) -> RedisResult<()> {
        let keys = some.iter().map(|lease| lease.renewed_keys()).sum();
        let mut command = self.shared.link.scripts.renew.run(keys);
        for lease in some {
            lease.name_renewed(&mut command);
        }
        command.arg(lease::millis(LEASE)).arg(lease::millis(WINDOW));
        for lease in some {
            lease.repeat_id(&mut command);
        }
        let lost: Vec<Vec<u8>> = within(BATCH_MAX, self.shared.link.ask(&command)).await?;
        self.renewed.extend(some.iter().map(|lease| (lease.id, now)));
        let is_lost = |lease: &&Arc<Lease>| lost.iter().any(|id| id.as_slice() == lease.id.0.as_bytes());
        // One that ends at this moment gets no place: its end may have been told already.
        let enter: Vec<Cmd> = some
            .iter()
            .filter(is_lost)
            .filter(|lease| self.shared.open.contains_key(&lease.id))
            .map(|lease| lease.enter(&self.shared.link.scripts.admit, Entrance::Place))
            .collect();
        if enter.is_empty() { Ok(()) } else { self.ask_all(enter).await }
    }

    /// Has every command done. One that Redis will never do is told of and let go.
    async fn ask_all(&mut self, commands: Vec<Cmd>) -> RedisResult<()> {
        let mut outcomes = within(BATCH_MAX, self.shared.link.ask_all(commands.clone())).await?;
        if outcomes.iter().any(|outcome| outcome.as_ref().is_err_and(is_no_script)) {
            within(BATCH_MAX, self.shared.link.load()).await?;
            outcomes = within(BATCH_MAX, self.shared.link.ask_all(commands)).await?;
        }
        self.answered_at = clock::steady();
        for error in outcomes.into_iter().filter_map(RedisResult::<Value>::err) {
            if is_loss(&error) {
                return Err(error);
            }
            tracing::warn!(%error, "Redis does not take an exchange's limits");
        }
        Ok(())
    }

    /// Tells what is left, and that this node lives no more.
    async fn leave(&mut self) -> RedisResult<()> {
        self.collect();
        if !self.shared.circuit.is_closed() {
            return Ok(());
        }
        self.tell().await?;
        let mut command = redis::cmd("ZREM");
        command.arg(NODES).arg(&self.node);
        self.shared.link.ask(&command).await
    }
}

/// An error for what takes longer than `bound`.
async fn within<T>(bound: Duration, asking: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    match timeout(bound, asking).await {
        Ok(outcome) => outcome,
        Err(_) => Err((ErrorKind::Io, "no answer in time").into()),
    }
}

/// Whether the server as a whole cannot, as opposed to this one command.
fn is_loss(error: &RedisError) -> bool {
    let codes = ["OOM", "MISCONF", "NOREPLICAS", "BUSY", "NOAUTH"];
    match error.kind() {
        ErrorKind::Server(ServerErrorKind::ResponseError) | ErrorKind::UnexpectedReturnType => false,
        ErrorKind::Extension => error.code().is_some_and(|code| codes.contains(&code)),
        _ => true,
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
