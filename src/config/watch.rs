//! The configuration that runs: pinned by readers, replaced as a whole by one writer at a time.

use super::{
    load::{self, Loaded, Origin, Seen},
    trail::Trail,
};
use aione_core::{
    config::{
        check::{Checked, Problem},
        diff,
        problem::Place,
        snapshot::{OperatorToken, Snapshot},
    },
    ports::{ConfigControl, DryRun, Reloaded},
};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use futures_util::future::BoxFuture;
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _, event::EventKind};
use parking_lot::Mutex;
use std::{future::Future, sync::Arc, time::Duration};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

/// How long nothing more must happen before a change is read…
const QUIET: Duration = Duration::from_millis(200);
/// …and how long it is put off at the most while things go on happening.
const QUIET_MAX: Duration = Duration::from_secs(2);
/// Signals of the watcher that wait: one says as much as many.
const SIGNALS_MAX: usize = 1;
/// Readings in one go while the folders to watch change under them.
const SETTLE_MAX: usize = 5;

type Observer = Box<dyn Fn(&Arc<Snapshot>) + Send + Sync>;
type Preparation = Arc<dyn Fn(Arc<Snapshot>) -> BoxFuture<'static, Result<Commit, String>> + Send + Sync>;

/// Makes what was prepared for a snapshot take effect. It cannot fail and does not wait.
pub(crate) type Commit = Box<dyn FnOnce() + Send>;

/// How reloads have ended since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Outcomes {
    /// Sound, whether or not something had changed.
    pub accepted: u64,
    /// With problems, or not to be prepared: the old configuration went on.
    pub refused: u64,
}

/// A handle on the running configuration; clones are the same one.
#[derive(Clone)]
pub struct Config {
    shared: Arc<Shared>,
}

struct Shared {
    origin: Origin,
    current: ArcSwap<Snapshot>,
    /// Held from reading to publishing: what is read later is published later.
    writer: tokio::sync::Mutex<Seen>,
    preparations: Mutex<Vec<Preparation>>,
    observers: Mutex<Vec<Observer>>,
    /// An operator token that is in no file, and in every snapshot.
    minted: Option<OperatorToken>,
    last_problems: Mutex<Vec<Problem>>,
    outcomes: watch::Sender<Outcomes>,
}

impl Config {
    /// The configuration that was loaded from `origin`.
    #[must_use]
    pub fn new(origin: Origin, loaded: Loaded) -> Self {
        Self::start(origin, loaded, None)
    }

    /// As [`Config::new`], with an operator token that was made for this run. No file holds it,
    /// so it is carried into every configuration that follows.
    #[must_use]
    pub fn with_operator(origin: Origin, mut loaded: Loaded, minted: OperatorToken) -> Self {
        loaded.snapshot.admin.operator_tokens.push(minted.clone());
        Self::start(origin, loaded, Some(minted))
    }

    fn start(origin: Origin, loaded: Loaded, minted: Option<OperatorToken>) -> Self {
        let shared = Shared {
            origin,
            current: ArcSwap::from_pointee(loaded.snapshot),
            writer: tokio::sync::Mutex::new(loaded.seen),
            preparations: Mutex::default(),
            observers: Mutex::default(),
            minted,
            last_problems: Mutex::default(),
            outcomes: watch::Sender::new(Outcomes::default()),
        };
        Self { shared: Arc::new(shared) }
    }

    /// What runs now. Pin it once for each request.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.shared.current.load_full()
    }

    /// Has `prepare` do, before a snapshot is published, whatever can fail: where it does, the
    /// snapshot is not published, and the reload is refused with its reason. What it returns is
    /// called once all have succeeded and the snapshot is visible. It must not reload.
    pub(crate) fn before_publish<F>(&self, prepare: impl Fn(Arc<Snapshot>) -> F + Send + Sync + 'static)
    where
        F: Future<Output = Result<Commit, String>> + Send + 'static,
    {
        self.shared.preparations.lock().push(Arc::new(move |snapshot| Box::pin(prepare(snapshot))));
    }

    /// Calls `observer` with each snapshot that is published from now on, right after it is
    /// visible, one call after the other. It must not block and must not reload.
    pub fn on_publish(&self, observer: impl Fn(&Arc<Snapshot>) + Send + Sync + 'static) {
        self.shared.observers.lock().push(Box::new(observer));
    }

    /// What was wrong at the last reload; empty where it was sound.
    #[must_use]
    pub fn last_problems(&self) -> Vec<Problem> {
        self.shared.last_problems.lock().clone()
    }

    /// How reloads have ended; changes with each.
    #[must_use]
    pub fn outcomes(&self) -> watch::Receiver<Outcomes> {
        self.shared.outcomes.subscribe()
    }

    /// Reads, checks and publishes.
    ///
    /// # Errors
    /// Everything that is wrong; then nothing changes.
    pub async fn reload(&self) -> Result<Reloaded, Vec<Problem>> {
        let mut seen = self.shared.writer.lock().await;
        let read = self.read().await;
        self.conclude(&mut seen, read).await
    }

    /// Reads and checks as [`Config::reload`] does, and says what that would do.
    ///
    /// # Errors
    /// Everything that is wrong, but what only keeping the price book could show.
    pub async fn check(&self) -> Result<(Reloaded, Vec<Problem>), Vec<Problem>> {
        let (_, read) = self.read().await;
        let Checked { snapshot, warnings } = read?;
        let (_, would) = self.against_running(snapshot).map_err(|problem| vec![problem])?;
        Ok((would, warnings))
    }

    /// Reloads when a file changes or the process gets SIGHUP, until `shutdown` says true or
    /// its sender is gone.
    pub async fn watch(self, mut shutdown: watch::Receiver<bool>) {
        // A reload that is cut off here has changed nothing: from its first visible effect on
        // it does not wait.
        tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => {}
            () = self.keep_up() => {}
        }
    }

    async fn keep_up(&self) {
        let mut hangups = signal(SignalKind::hangup())
            .inspect_err(|error| tracing::warn!(%error, "SIGHUP cannot be heard"))
            .ok();
        let (signals, mut changes) = mpsc::channel(SIGNALS_MAX);
        let mut watched = Watched::new(signals);
        loop {
            self.settle(&mut watched).await;
            let hangup = async {
                match &mut hangups {
                    Some(hangups) => hangups.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = hangup => drop(self.reload().await),
                _ = changes.recv() => quiet(&mut changes).await,
            }
        }
    }

    /// Reads what has changed, and watches where the files are now. What changed between a
    /// reading and the watch that followed it is read again.
    async fn settle(&self, watched: &mut Watched) {
        for _ in 0..SETTLE_MAX {
            self.refresh().await;
            let trail = {
                let seen = self.shared.writer.lock().await;
                Trail::of(&seen.files, &seen.folders)
            };
            if !watched.follow(trail) {
                return;
            }
        }
    }

    /// Reloads if the content of a file is another one than at the last reading.
    async fn refresh(&self) {
        let mut seen = self.shared.writer.lock().await;
        let read = self.read().await;
        if read.0 == *seen {
            return;
        }
        // The log tells how it ended, and nobody else waits for it.
        drop(self.conclude(&mut seen, read).await);
    }

    async fn read(&self) -> (Seen, Result<Checked, Vec<Problem>>) {
        let origin = self.shared.origin.clone();
        let reading = tokio::task::spawn_blocking(move || load::read(&origin));
        reading.await.expect("reading a configuration does not panic, and its runtime outlives it")
    }

    async fn conclude(
        &self,
        seen: &mut Seen,
        (now, read): (Seen, Result<Checked, Vec<Problem>>),
    ) -> Result<Reloaded, Vec<Problem>> {
        *seen = now;
        let result = match read {
            Ok(checked) => self.publish(checked).await.map_err(|problem| {
                seen.forget();
                vec![problem]
            }),
            Err(problems) => Err(problems),
        };
        match &result {
            Ok(reloaded) => {
                self.shared.last_problems.lock().clear();
                let (changes, needs_restart) = (&reloaded.changes, &reloaded.needs_restart);
                tracing::info!(
                    version = reloaded.version,
                    ?changes,
                    ?needs_restart,
                    "configuration reloaded"
                );
            }
            Err(problems) => {
                self.shared.last_problems.lock().clone_from(problems);
                for problem in problems {
                    tracing::error!(%problem, "configuration refused: the running one goes on");
                }
            }
        }
        self.shared.outcomes.send_modify(|outcomes| match &result {
            Ok(_) => outcomes.accepted += 1,
            Err(_) => outcomes.refused += 1,
        });
        result
    }

    /// First all that can fail, then all that is visible.
    async fn publish(&self, checked: Checked) -> Result<Reloaded, Problem> {
        for warning in &checked.warnings {
            tracing::warn!(%warning, "configuration");
        }
        let (snapshot, reloaded) = self.against_running(checked.snapshot)?;
        if reloaded.changes.is_empty() {
            return Ok(reloaded);
        }
        let snapshot = Arc::new(snapshot);
        let preparations = self.shared.preparations.lock().clone();
        let mut commits = Vec::with_capacity(preparations.len());
        for prepare in preparations {
            commits.push(prepare(snapshot.clone()).await.map_err(|reason| self.problem("", reason))?);
        }
        self.shared.current.store(snapshot.clone());
        for commit in commits {
            commit();
        }
        for observer in self.shared.observers.lock().iter() {
            observer(&snapshot);
        }
        Ok(reloaded)
    }

    /// What would run after `candidate`, and what that changes.
    fn against_running(&self, mut candidate: Snapshot) -> Result<(Snapshot, Reloaded), Problem> {
        let running = self.snapshot();
        candidate.admin.operator_tokens.extend(self.shared.minted.clone());
        if let Some((key, reason)) = diff::forbids(&running, &candidate) {
            return Err(self.problem(key, reason));
        }
        Ok(diff::apply(&running, candidate))
    }

    /// What is wrong with the configuration as a whole.
    fn problem(&self, key: &str, message: String) -> Problem {
        let place = Place { file: self.shared.origin.name(), line: 1, column: 1 };
        Problem::new(place, key, message)
    }
}

#[async_trait]
impl ConfigControl for Config {
    fn snapshot(&self) -> Arc<Snapshot> {
        Self::snapshot(self)
    }

    fn last_problems(&self) -> Vec<String> {
        lines(&Self::last_problems(self))
    }

    async fn check(&self) -> Result<DryRun, Vec<String>> {
        let (would, warnings) = Self::check(self).await.map_err(|problems| lines(&problems))?;
        Ok(DryRun { would, warnings: lines(&warnings) })
    }

    async fn reload(&self) -> Result<Reloaded, Vec<String>> {
        Self::reload(self).await.map_err(|problems| lines(&problems))
    }
}

fn lines(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

/// Waits until nothing has happened for a while, but not for ever.
async fn quiet(changes: &mut mpsc::Receiver<()>) {
    let at_the_latest = Instant::now() + QUIET_MAX;
    loop {
        let pause = (Instant::now() + QUIET).min(at_the_latest);
        tokio::select! {
            () = sleep_until(pause) => return,
            _ = changes.recv() => {}
        }
    }
}

/// The file watcher, built anew when the folders to watch are others.
struct Watched {
    signals: mpsc::Sender<()>,
    trail: Trail,
    /// It works for as long as it is held. `None` where the system gives none.
    watcher: Option<RecommendedWatcher>,
}

impl Watched {
    fn new(signals: mpsc::Sender<()>) -> Self {
        Self { signals, trail: Trail::default(), watcher: None }
    }

    /// Whether another watcher is there now.
    fn follow(&mut self, trail: Trail) -> bool {
        if trail == self.trail {
            return false;
        }
        let watcher = self.start(&trail).inspect_err(|error| {
            tracing::warn!(%error, "files cannot be watched: reload by SIGHUP or through the API");
        });
        self.watcher = watcher.ok();
        self.trail = trail;
        true
    }

    fn start(&self, trail: &Trail) -> notify::Result<RecommendedWatcher> {
        let (signals, matters) = (self.signals.clone(), trail.clone());
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // What was lost may have been a change.
            let is_ours = event.as_ref().map_or(true, |event| {
                event.need_rescan()
                    || is_change(event) && event.paths.iter().any(|path| matters.matters(path))
            });
            if is_ours {
                // Full: a signal waits already, and it will be read after this event.
                signals.try_send(()).ok();
            }
        })?;
        for (folder, ..) in &trail.folders {
            watcher.watch(folder, RecursiveMode::NonRecursive)?;
        }
        Ok(watcher)
    }
}

/// Reading a file is an event too, and ours would never end.
fn is_change(event: &notify::Event) -> bool {
    use notify::event::{AccessKind, AccessMode};
    match event.kind {
        EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}
