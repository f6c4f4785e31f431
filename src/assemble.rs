//! From a checked configuration to a gateway that can serve: the only file that names the concrete
//! store and puts the parts together.

use crate::{
    budgets::Budgets,
    clock::{self, System},
    config::{Commit, Config},
    journal::{Journal, Options, Reader},
    keyring::{self, KeyRing},
    minting::Minting,
    node::ThisNode,
    proxy::{Connectors, Gateway, Parts, Targets, Worlds},
    store::{
        Store,
        limits::Limits,
        local::Limiter,
        redis::{Background, Broadcast, Shared},
    },
    telemetry::{access::AccessLog, metrics::Metrics},
};
use aione_admin::Admin;
use aione_core::{
    config::snapshot::{Secret, Snapshot},
    domain::key::Peppers,
    ports::{Fleet, StoreError, UsageStore},
};
use anyhow::Context;
use std::{collections::HashSet, sync::Arc};

/// Everything that runs, before anything has been started.
pub(crate) struct Assembly {
    pub(crate) config: Config,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) store: Arc<Store>,
    /// Taken by the recorder.
    pub(crate) reader: Option<Reader>,
    pub(crate) minting: Minting,
    pub(crate) admin: axum::Router,
    /// What speaks with Redis, where the configuration names one.
    pub(crate) background: Option<Background>,
}

/// What a node has in common with others, or has alone.
struct Sharing {
    limits: Limits,
    fleet: Arc<dyn Fleet>,
    background: Option<Background>,
}

/// Opens the store that the configuration names, with the peppers that belong to it.
pub(crate) async fn open_store(snapshot: &Snapshot) -> anyhow::Result<(Store, Peppers)> {
    let database = &snapshot.storage.database;
    let store = Store::open(database).await.with_context(|| format!("cannot open {database}"))?;
    let peppers = peppers(snapshot)?;
    store.check_pepper(&peppers).await.context("the store was made under another pepper")?;
    store.check_currency(&snapshot.billing.currency).await.context("the store is of another currency")?;
    store
        .bootstrap(clock::now(), rand::random(), &snapshot.default_plan, snapshot.billing.time_zone)
        .await
        .context("cannot prepare the store")?;
    Ok((store, peppers))
}

fn peppers(snapshot: &Snapshot) -> anyhow::Result<Peppers> {
    let made;
    let mut peppers: Vec<&str> = snapshot.peppers.iter().map(Secret::expose).collect();
    if let (true, Some(path)) = (peppers.is_empty(), &snapshot.pepper_file) {
        made =
            keyring::load_or_make_pepper(path).with_context(|| format!("no pepper in {}", path.display()))?;
        peppers.push(made.expose());
    }
    Ok(Peppers::new(peppers)?)
}

/// Puts a gateway together. Must run inside the control runtime, which the store's pool belongs to.
pub(crate) async fn assemble(config: Config) -> anyhow::Result<Assembly> {
    let snapshot = config.snapshot();
    let (store, peppers) = open_store(&snapshot).await?;
    let store = Arc::new(store);
    keep_price_books(&store, &snapshot).await?;
    keep_plans(&store, &snapshot).await?;
    warn_of_missing_plans(&store, &snapshot).await;
    let storage = &snapshot.storage;
    let options = Options::new(&storage.journal, storage.journal_sync, storage.journal_sync_timeout);
    let (journal, recovery) = Journal::open(options).context("cannot open the journal")?;
    let reader = recovery.reader;
    let minting = Minting::new(peppers.clone(), &snapshot.keys.prefix);
    let keyring = Arc::new(KeyRing::new(store.clone(), peppers.clone()));
    let budgets = Arc::new(Budgets::new(store.clone()));
    let here = Arc::new(ThisNode { keyring: keyring.clone(), budgets: budgets.clone() });
    let Sharing { limits, fleet, background } = share(&config, &snapshot, here).await?;
    let targets = Arc::new(Targets::default());
    let worlds = Arc::new(Worlds::new(snapshot.clone(), &targets));
    let admin = aione_admin::router(Admin {
        keys: store.clone(),
        changes: store.clone(),
        usage: store.clone(),
        ledger: store.clone(),
        margins: store.clone(),
        invoices: store.clone(),
        fleet,
        live: limits.own().clone(),
        spending: budgets.clone(),
        config: Arc::new(config.clone()),
        upstreams: worlds.clone(),
        surroundings: Arc::new(System),
        mint: Arc::new(Minting::new(peppers, &snapshot.keys.prefix)),
    });
    let gateway = Arc::new(Gateway::new(Parts {
        worlds,
        keyring,
        limits,
        budgets,
        journal,
        connectors: Connectors::new(),
        targets,
        metrics: Arc::new(Metrics::new()),
        access: AccessLog::start()?,
        admin: admin.clone(),
    }));
    config.before_publish({
        let (gateway, store) = (gateway.clone(), store.clone());
        move |snapshot| prepare(gateway.clone(), store.clone(), snapshot)
    });
    Ok(Assembly { config, gateway, store, reader: Some(reader), minting, admin, background })
}

/// Limits and news: through Redis, or within this process. A Redis that is away keeps nobody from starting.
async fn share(config: &Config, snapshot: &Snapshot, here: Arc<ThisNode>) -> anyhow::Result<Sharing> {
    let limiter = Arc::new(Limiter::new());
    let Some(url) = &snapshot.storage.redis else {
        return Ok(Sharing { limits: Limits::Own(limiter), fleet: here, background: None });
    };
    // The error may quote the address.
    let Ok((shared, upkeep)) = Shared::new(url, limiter, snapshot.limits.redis_timeout) else {
        anyhow::bail!("cannot read the address {url}");
    };
    config.on_publish({
        let shared = shared.clone();
        move |snapshot| shared.set_timeout(snapshot.limits.redis_timeout)
    });
    let broadcast = Broadcast::new(here, &shared);
    let background = Background::start(upkeep, broadcast.clone()).await.context("no thread for Redis")?;
    if shared.stats().is_away {
        tracing::warn!(redis = %url, "Redis is away: limits are as `limits.on_redis_loss` says until it is there");
    }
    Ok(Sharing { limits: Limits::Shared(shared), fleet: broadcast, background: Some(background) })
}

/// A reload takes effect for requests once its price books are kept: prices that nobody kept could
/// not be audited.
async fn prepare(
    gateway: Arc<Gateway>,
    store: Arc<Store>,
    snapshot: Arc<Snapshot>,
) -> Result<Commit, String> {
    keep_price_books(&store, &snapshot)
        .await
        .map_err(|error| format!("the price books could not be kept: {error}"))?;
    keep_plans(&store, &snapshot).await.map_err(|error| format!("the plans could not be kept: {error}"))?;
    warn_of_missing_plans(&store, &snapshot).await;
    Ok(Box::new(move || gateway.publish(&snapshot)))
}

/// A price book is kept before anything can be priced with it.
async fn keep_price_books(store: &Store, snapshot: &Snapshot) -> Result<(), StoreError> {
    let (now, mut kept) = (clock::now(), HashSet::new());
    for plan in snapshot.plans.values() {
        if kept.insert(plan.prices.version) {
            store.keep_price_book(&plan.prices, now).await?;
        }
    }
    Ok(())
}

/// What plans cost is kept before anybody is charged for them.
async fn keep_plans(store: &Store, snapshot: &Snapshot) -> Result<(), StoreError> {
    let Some(stands_in) = snapshot.plan(&snapshot.default_plan) else { return Ok(()) };
    store.keep_plans(snapshot.plans.values().map(AsRef::as_ref), stands_in, clock::now()).await
}

/// Tells of organizations whose plan the configuration has not: they get the default plan.
async fn warn_of_missing_plans(store: &Store, snapshot: &Snapshot) {
    match store.plans_in_use().await {
        Ok(plans) => {
            for (plan, organizations) in plans.iter().filter(|(plan, _)| snapshot.plan(plan).is_none()) {
                tracing::warn!(
                    %plan,
                    organizations,
                    default_plan = %snapshot.default_plan,
                    "organizations are on a plan that is not in the configuration and get the default plan"
                );
            }
        }
        Err(error) => tracing::warn!(%error, "the plans of the organizations could not be read"),
    }
}
