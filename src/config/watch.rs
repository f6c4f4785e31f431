//! The configuration that runs: pinned by readers, replaced as a whole by one writer at a time.

use super::{
    load::{self, Loaded, Origin, Seen},
    trail::Trail,
};
use aione_core::{
    config::{
        check::{Checked, Problem},
        diff,
        snapshot::Snapshot,
    },
    ports::{ConfigControl, Reloaded},
};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _, event::EventKind};
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};
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

/// How reloads have ended since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Outcomes {
    /// Sound, whether or not something had changed.
    pub accepted: u64,
    /// With problems: the old configuration went on.
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
    observers: Mutex<Vec<Observer>>,
    last_problems: Mutex<Vec<Problem>>,
    outcomes: watch::Sender<Outcomes>,
}

impl Config {
    /// The configuration that was loaded from `origin`.
    #[must_use]
    pub fn new(origin: Origin, loaded: Loaded) -> Self {
        let shared = Shared {
            origin,
            current: ArcSwap::from_pointee(loaded.snapshot),
            writer: tokio::sync::Mutex::new(loaded.seen),
            observers: Mutex::default(),
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
        let (now, result) = self.read().await;
        *seen = now;
        self.conclude(result)
    }

    /// Reloads when a file changes or the process gets SIGHUP, until `shutdown` says true or
    /// its sender is gone.
    pub async fn watch(self, mut shutdown: watch::Receiver<bool>) {
        // A reading that is cut off here has changed nothing: publishing does not wait.
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
        let (now, result) = self.read().await;
        if now == *seen {
            return;
        }
        *seen = now;
        // The log tells how it ended, and nobody else waits for it.
        drop(self.conclude(result));
    }

    async fn read(&self) -> (Seen, Result<Checked, Vec<Problem>>) {
        let origin = self.shared.origin.clone();
        let reading = tokio::task::spawn_blocking(move || load::read(&origin));
        reading.await.expect("reading a configuration does not panic, and its runtime outlives it")
    }

    fn conclude(&self, result: Result<Checked, Vec<Problem>>) -> Result<Reloaded, Vec<Problem>> {
        let result = result.map(|checked| self.publish(checked));
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

    fn publish(&self, checked: Checked) -> Reloaded {
        for warning in &checked.warnings {
            tracing::warn!(%warning, "configuration");
        }
        let running = self.snapshot();
        let (snapshot, reloaded) = diff::apply(&running, checked.snapshot);
        if !reloaded.changes.is_empty() {
            let snapshot = Arc::new(snapshot);
            self.shared.current.store(snapshot.clone());
            for observer in self.shared.observers.lock().iter() {
                observer(&snapshot);
            }
        }
        reloaded
    }
}

#[async_trait]
impl ConfigControl for Config {
    fn snapshot(&self) -> Arc<Snapshot> {
        Self::snapshot(self)
    }

    async fn reload(&self) -> Result<Reloaded, Vec<String>> {
        let result = Self::reload(self).await;
        result.map_err(|problems| problems.iter().map(ToString::to_string).collect())
    }
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
