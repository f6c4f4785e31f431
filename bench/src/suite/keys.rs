//! What a request costs when the gateway knows many keys: one that knows ten beside one that knows a million.
//!
//! "Knows" is: the key is in the database and in the key ring's memory. Each key is looked up once
//! to get it there, by the cheapest call that needs a key. The requests that are measured draw at
//! random from [`IN_USE`] keys, which have been used shortly before, so that none of them is read
//! from the store again meanwhile: that is a cost of its own, which depends on how often a key is
//! used and on `keys.cache_max_age`, not on how many there are. What is in use is far more than a
//! processor's caches hold; more of it would only take longer.

use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use super::Options;
use super::drive::{self, Cost, Load};
use super::figures::{Figures, Metric};
use super::seed::{self, Seeded};
use super::target::{GROUP, KEYS_AGE_MAX, Started, Target};
use crate::canned::Mode;
use crate::clock;
use crate::load::Order;
use crate::procfs::Resident;

const FEW: usize = 10;
/// As many as the key ring remembers.
const MANY: usize = 1_000_000;
/// Of the many, those that requests are made with.
const IN_USE: usize = 100_000;

const CONNECTIONS: usize = 64;
/// How long it may take to use each key once, in seconds.
const ONCE_MAX_S: f64 = 600.0;

/// A gateway with so many keys.
struct Side<'a> {
    target: &'a Target,
    up: Started,
    keys: Seeded,
    /// From when to when each key in use was read from the store, as far as known.
    read: Range<Instant>,
}

pub(super) async fn measure(
    options: &Options,
    (few, many): &(Target, Target),
    folder: &Path,
    upstream: SocketAddr,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let mut few = Side::start(few, &folder.join("few"), upstream, FEW, FEW).await?;
    let mut many = Side::start(many, &folder.join("many"), upstream, MANY, IN_USE).await?;
    for side in [&mut few, &mut many] {
        side.get_to_know(figures).await?;
    }
    for round in 1..=options.rounds {
        eprintln!("keys, round {round} of {}", options.rounds);
        let at_few = few.cost(options, figures).await?;
        let at_many = many.cost(options, figures).await?;
        let ratio = at_many.proxy_per_request() / at_few.proxy_per_request();
        figures.add(GROUP, Metric::KeysFew, at_few.proxy_per_request());
        figures.add(GROUP, Metric::KeysMany, at_many.proxy_per_request());
        figures.add(GROUP, Metric::KeysRatio, ratio);
        figures.add(GROUP, Metric::KeysFewBackground, at_few.background_per_request());
        figures.add(GROUP, Metric::KeysManyBackground, at_many.background_per_request());
        for (cost, workload) in [(&at_few, "10 keys"), (&at_many, "1 000 000 keys")] {
            for (thread, us) in cost.threads_per_request() {
                figures.add_thread(GROUP, workload, thread.to_owned(), us);
            }
        }
    }
    for side in [few, many] {
        side.up.running.stop().await?;
    }
    Ok(())
}

impl<'a> Side<'a> {
    async fn start(
        target: &'a Target,
        folder: &Path,
        upstream: SocketAddr,
        count: usize,
        in_use: usize,
    ) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        eprintln!("keys: making {count}");
        let keys = seed::seed(folder, count, in_use).await?;
        let up = target.start(folder, upstream).await?;
        let now = clock::now();
        Ok(Self { target, up, keys, read: now..now })
    }

    /// Has every key in memory, and notes what that takes. Those in use come first, so that they
    /// are the first to be due to be read again.
    async fn get_to_know(&mut self, figures: &mut Figures) -> anyhow::Result<()> {
        eprintln!("{}: using each once", self.target.name);
        let before_kib = Resident::of(self.up.running.pid())?.all_kib;
        let begun = clock::now();
        let mut requests = self.once(&self.keys.in_use, Mode::Models, figures).await?;
        self.read = begun..clock::now();
        if let Some(others) = &self.keys.others {
            requests += self.once(others, Mode::Models, figures).await?;
            let grown_kib = Resident::of(self.up.running.pid())?.all_kib - before_kib;
            figures.add(GROUP, Metric::KeyKib, grown_kib / requests.max(1) as f64);
        }
        Ok(())
    }

    /// Of a plain request with any of the keys in use.
    async fn cost(&mut self, options: &Options, figures: &mut Figures) -> anyhow::Result<Cost> {
        let run = Duration::from_secs_f64(options.seconds);
        if self.is_due_within(run) {
            self.read_again(figures).await?;
        }
        if self.is_due_within(run) {
            figures.note(format!("{}: keys are read again while they are measured", self.target.name));
        }
        let any =
            Load { keys: Some((&self.keys.in_use, Order::Random)), ..load(Mode::Plain, options.seconds) };
        drive::measure(options, self.target, &self.up, any, figures).await
    }

    /// Whether so many keys will be read from the store that it shows; ten do not.
    fn is_due_within(&self, run: Duration) -> bool {
        self.keys.others.is_some() && self.read.start.elapsed() + run > KEYS_AGE_MAX
    }

    /// Uses each key once after the gateway has ceased to believe it. One that it still believed
    /// would not be read now, but in the middle of what is measured.
    async fn read_again(&mut self, figures: &mut Figures) -> anyhow::Result<()> {
        tokio::time::sleep(KEYS_AGE_MAX.saturating_sub(self.read.end.elapsed())).await;
        let begun = clock::now();
        self.once(&self.keys.in_use, Mode::Plain, figures).await?;
        self.read = begun..clock::now();
        drive::rest(&self.up).await
    }

    async fn once(&self, keys: &Path, mode: Mode, figures: &mut Figures) -> anyhow::Result<u64> {
        let load = Load { keys: Some((keys, Order::Once)), ..load(mode, ONCE_MAX_S) };
        let report = load.run(&self.up).await?;
        drive::judge(self.target, &report, figures);
        Ok(report.requests)
    }
}

fn load(mode: Mode, seconds: f64) -> Load<'static> {
    Load::closed(mode, CONNECTIONS, seconds)
}
