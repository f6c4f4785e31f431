//! Fills a store with usage records as the recorder would, and times the reports over them.
//!
//! Records lie evenly over the last days, in the order of their time. Each key calls two of the models,
//! so that a quarter of an hour has rollups of as many keys and models as a busy organization has.

use std::path::PathBuf;
use std::time::Duration;

use aione_core::config::snapshot::{Database, Secret};
use aione_core::domain::clock::Timestamp;
use aione_core::domain::id::{KeyId, OrgId, RecordId, TeamId};
use aione_core::domain::money::{Pico, Rate};
use aione_core::domain::outlay::Outlay;
use aione_core::domain::price::{ModelPrice, PriceBook, PricePeriod, Rates};
use aione_core::domain::usage::{Closed, End, Opened, Provenance, Usage, UsageRecord};
use aione_core::ports::{GroupBy, KeyStore, OverviewQuery, Page, RecordQuery, UsageQuery, UsageStore};
use aione_gateway::clock::{now as wall_now, steady};
use aione_gateway::store::{DEFAULT_NAME, Store};
use anyhow::Context;
use chrono::Days;
use chrono_tz::Tz;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use uuid::Uuid;

/// Records of one transaction, as the recorder has at the most.
const BATCH: u64 = 1_000;
const DAY_MS: i64 = 86_400_000;
/// Records between two lines that tell how far it is.
const TOLD: u64 = 1_000_000;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// `sqlite://path` or `postgres://…`
    #[arg(long)]
    database: String,
    /// Records that are to be there
    #[arg(long, default_value_t = 1_000_000)]
    count: u64,
    #[arg(long, default_value_t = 30)]
    days: u32,
    #[arg(long, default_value_t = 200)]
    keys: u64,
    #[arg(long, default_value_t = 10)]
    teams: u64,
    #[arg(long, default_value_t = 20)]
    models: u64,
    /// How often each report is timed
    #[arg(long, default_value_t = 40)]
    repeat: usize,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only time the reports over what is there
    #[arg(long)]
    no_load: bool,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let store = Store::open(&database(&options.database)).await?;
        let zone: Tz = "Asia/Shanghai".parse().map_err(anyhow::Error::msg)?;
        store.bootstrap(wall_now(), rand::random(), &"standard".into(), zone).await?;
        let org = store.find_org(DEFAULT_NAME).await?.context("the first organization")?;
        if !options.no_load {
            let book = book(options)?;
            store.keep_price_book(&book, wall_now()).await?;
            load(&store, org.id, &book, options).await?;
        }
        for zone in [zone, "Asia/Kathmandu".parse().map_err(anyhow::Error::msg)?] {
            reports(&store, org.id, zone, options).await?;
        }
        store.close().await;
        Ok(())
    })
}

fn database(url: &str) -> Database {
    match url.strip_prefix("sqlite://") {
        Some(path) => Database::Sqlite(PathBuf::from(path)),
        None => Database::Postgres(Secret::new(url.to_owned())),
    }
}

/// What all models cost: three classes of tokens have a rate.
fn book(options: &Options) -> anyhow::Result<PriceBook> {
    let rate = |text| Rate::per_million(text).map(Some).map_err(anyhow::Error::msg);
    let rates =
        Rates { input: rate("1.05")?, cache_read: rate("0.1")?, output: rate("4.2")?, ..Rates::default() };
    let price = ModelPrice { periods: vec![PricePeriod { from: None, rates, tiers: Vec::new() }] };
    let models = (0..options.models).map(|model| (model_name(model).into(), price.clone()));
    Ok(PriceBook::new(models.collect()))
}

fn model_name(model: u64) -> String {
    format!("model-{model}")
}

async fn load(store: &Store, org: OrgId, book: &PriceBook, options: &Options) -> anyhow::Result<()> {
    let mut rng = StdRng::seed_from_u64(options.seed);
    let span = i64::from(options.days) * DAY_MS;
    let first = wall_now().plus_ms(-span);
    let began = steady();
    let mut done = 0;
    while done < options.count {
        let size = BATCH.min(options.count - done);
        let batch: Vec<_> = (done..done + size)
            .map(|number| {
                let after = i128::from(span) * i128::from(number) / i128::from(options.count);
                let at = first.plus_ms(i64::try_from(after).unwrap_or(span));
                record(&mut rng, org, at, book, options)
            })
            .collect();
        store.insert_records(&batch).await?;
        done += size;
        if done % TOLD == 0 || done == options.count {
            let micros = steady().since_ns(began) as f64 / 1_000.0;
            println!("{done} records, {:.1} us each", micros / done as f64);
        }
    }
    Ok(())
}

fn record(rng: &mut StdRng, org: OrgId, at: Timestamp, book: &PriceBook, options: &Options) -> UsageRecord {
    let id = RecordId::new(at, rng.random());
    let key = rng.random_range(0..options.keys);
    let model = (key * if rng.random() { 1 } else { 7 } + 1) % options.models;
    let opened = Opened {
        id,
        started_at: at,
        org,
        team: TeamId(Uuid::from_u128(u128::from(key % options.teams) + 1)),
        key: KeyId(Uuid::from_u128(u128::from(key) + 1)),
        model: model_name(model).into(),
        dialect: "openai_chat".into(),
        provider: "openai".into(),
        sandbox: false,
        streamed: rng.random(),
        price_version: book.version,
        estimated_input: 100,
    };
    let usage = Usage {
        input: rng.random_range(10..8_000),
        cache_read: rng.random_range(0..4_000),
        output: rng.random_range(1..2_000),
        ..Usage::default()
    };
    let mut closed = Closed {
        id,
        provider: "openai".into(),
        upstream_model: format!("model-{model}-2026").into(),
        end: End::Complete,
        status: 200,
        attempts: 1,
        usage,
        provenance: Provenance::Provider,
        flagged: false,
        unpriced: false,
        latency_ms: rng.random_range(100..20_000),
        first_byte_ms: rng.random_range(50..900),
        cost: Pico::ZERO,
        outlay: Outlay::default(),
    };
    closed.charge(&opened, book.models.get(&opened.model));
    UsageRecord { opened, closed }
}

async fn reports(store: &Store, org: OrgId, zone: Tz, options: &Options) -> anyhow::Result<()> {
    let now = wall_now();
    let end = now.date_in(zone);
    let start = end.checked_sub_days(Days::new(29)).context("a date")?;
    let glance = OverviewQuery { org, zone, start, end, recent_since: now.plus_ms(-DAY_MS) };
    time(options, &format!("{zone}: dashboard, 30 days"), async || {
        store.overview(&glance).await.map(|overview| overview.days.len())
    })
    .await?;
    for groups in [
        vec![GroupBy::Day],
        vec![GroupBy::Model],
        vec![GroupBy::Day, GroupBy::Model],
        vec![GroupBy::Team],
        vec![GroupBy::Key],
        vec![GroupBy::Hour],
    ] {
        let page = Page { offset: 0, limit: 10_001 };
        let name = format!("{zone}: usage by {groups:?}");
        let query =
            UsageQuery { org, zone, start, end, group_by: groups, model: None, team: None, key: None, page };
        time(options, &name, async || store.sum_usage(&query).await.map(|rows| rows.len())).await?;
    }
    let query = RecordQuery {
        org,
        zone,
        start: None,
        end: None,
        model: None,
        team: None,
        key: None,
        end_is: None,
        id: None,
        after: None,
        limit: 51,
    };
    time(options, &format!("{zone}: last 50 requests"), async || {
        store.find_records(&query).await.map(|rows| rows.len())
    })
    .await
}

async fn time<E: std::error::Error + Send + Sync + 'static>(
    options: &Options,
    name: &str,
    mut report: impl AsyncFnMut() -> Result<usize, E>,
) -> anyhow::Result<()> {
    let mut took = Vec::with_capacity(options.repeat);
    let mut rows = 0;
    for _ in 0..options.repeat {
        let began = steady();
        rows = report().await?;
        took.push(Duration::from_nanos(steady().since_ns(began)));
    }
    took.sort_unstable();
    let at = |percent: usize| took[(took.len() - 1) * percent / 100].as_millis();
    println!("{name}: {rows} rows, p50 {} ms, p95 {} ms", at(50), at(95));
    Ok(())
}
