//! The background of a running gateway: the admin and metrics services, the recorder, the
//! configuration's watch, and small chores. All on the control runtime, never on a proxy thread.

use crate::{
    assemble::Assembly,
    billing::recorder,
    clock::{self, System},
    config::Config,
    proxy::Gateway,
    telemetry::metrics::Readings,
};
use aione_admin::{Listener, Mint, Peer};
use aione_core::{
    domain::{id::KeyId, key::Key, plan::RateLimits},
    ports::{KeyFilter, KeyStore, Page, Surroundings},
};
use anyhow::Context;
use axum::{Router, extract::ConnectInfo, http::header, response::IntoResponse, routing::get};
use std::{io::Write, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

/// How often meters that nobody uses are let go.
const SWEEP_EVERY: Duration = Duration::from_secs(10);
/// How long a new process may take to open its front.
const OPENING_MAX: Duration = Duration::from_secs(10);
const OPENING_POLL: Duration = Duration::from_millis(2);
/// The key of the quick start, by name.
const QUICK_START: &str = "quick start";

/// The background's tasks, to be ended in order.
pub(crate) struct Running {
    tasks: JoinSet<()>,
    recorder: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Running {
    /// Lets the recorder come to the journal's end, at most `longest`; ends the rest.
    pub(crate) async fn finish(mut self, longest: Duration) {
        let _ = self.stop.send(true);
        if tokio::time::timeout(longest, self.recorder.join_next()).await.is_err() {
            // The journal keeps what is left, and the next start records it.
            tracing::warn!("the recorder did not come to the journal's end");
        }
        self.tasks.shutdown().await;
    }
}

/// Starts all of it. With `operator`, the quick start's words are printed once the front is open.
pub(crate) async fn start(assembly: &mut Assembly, operator: Option<String>) -> anyhow::Result<Running> {
    let snapshot = assembly.config.snapshot();
    let (stop, stopping) = watch::channel(false);
    let mut running = Running { tasks: JoinSet::new(), recorder: JoinSet::new(), stop };
    let admin = bind(snapshot.admin.listen, "admin").await?;
    let metrics = bind(snapshot.metrics_listen, "metrics").await?;
    running.tasks.spawn(serve_admin(admin, assembly.admin.clone()));
    running.tasks.spawn(serve_metrics(metrics, assembly.gateway.clone(), assembly.config.clone()));
    let reader = assembly.reader.take().context("the background is started once")?;
    running.recorder.spawn(recorder::run(reader, assembly.store.clone()));
    running.tasks.spawn(assembly.config.clone().watch(stopping.clone()));
    running.tasks.spawn(assembly.gateway.targets.clone().refresh());
    running.tasks.spawn(sweep(assembly.gateway.clone()));
    if let Some(operator) = operator {
        let secret = quick_start_key(assembly).await?;
        running.tasks.spawn(greet(assembly.gateway.clone(), operator, secret));
    }
    Ok(running)
}

async fn bind(address: SocketAddr, what: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address} for {what}"))
}

async fn serve_admin(listener: TcpListener, router: Router) {
    let router = router
        .layer(axum::middleware::map_request(
            |ConnectInfo(peer): ConnectInfo<SocketAddr>, mut request: axum::extract::Request| async move {
                request.extensions_mut().insert(Listener::Admin);
                request.extensions_mut().insert(Peer(peer.ip()));
                request
            },
        ))
        .into_make_service_with_connect_info::<SocketAddr>();
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!(%error, "the admin service ended");
    }
}

async fn serve_metrics(listener: TcpListener, gateway: Arc<Gateway>, config: Config) {
    let render = move || {
        let text = gateway.metrics.render(&readings(&gateway, &config));
        async move { ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response() }
    };
    let router = Router::new().route("/metrics", get(render));
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!(%error, "the metrics service ended");
    }
}

fn readings(gateway: &Gateway, config: &Config) -> Readings {
    let journal = gateway.journal.stats();
    Readings {
        in_flight: gateway.in_flight() as u64,
        reservations: journal.open,
        drains: gateway.drains() as u64,
        journal_bytes: journal.bytes,
        journal_unrecorded: journal.unrecorded,
        journal_oldest_ms: u64::try_from(journal.oldest_unrecorded.as_millis()).unwrap_or(u64::MAX),
        journal_alarms: journal.alarms,
        access_dropped: gateway.access.dropped(),
        resting: gateway.resting() as u64,
        config_problems: config.last_problems().len() as u64,
    }
}

async fn sweep(gateway: Arc<Gateway>) {
    let mut tick = tokio::time::interval(SWEEP_EVERY);
    loop {
        tick.tick().await;
        gateway.limiter.sweep(clock::steady());
    }
}

/// A working key for whoever just started the quick start: the same record with a new secret at
/// every start, since the former secret is nowhere.
async fn quick_start_key(assembly: &Assembly) -> anyhow::Result<String> {
    let snapshot = assembly.config.snapshot();
    let minting = &assembly.minting;
    let store = &assembly.store;
    let org = store.find_org("default").await?.context("the store has no default organization")?;
    let minted = minting.mint_key(&snapshot.keys.prefix);
    let filter = KeyFilter { q: Some(QUICK_START.to_owned()), ..KeyFilter::default() };
    let known = store.list_keys(org.id, &filter, Page { offset: 0, limit: 100 }, clock::now()).await?;
    if let Some(key) = known.iter().find(|key| key.name == QUICK_START) {
        store.rotate_key(org.id, key.id, &minted.hash, &minted.prefix, clock::now()).await?;
        store.set_disabled(org.id, key.id, false).await?;
        return Ok(minted.secret.expose().to_owned());
    }
    let team = store.find_team(org.id, "default").await?.context("the store has no default team")?;
    let mut entropy = [0; 10];
    System.entropy(&mut entropy);
    let key = Key {
        id: KeyId::new(clock::now(), entropy),
        org: org.id,
        team: team.id,
        name: QUICK_START.to_owned(),
        prefix: minted.prefix,
        models_allowed: Vec::new(),
        allowed_ips: Vec::new(),
        limits: RateLimits::default(),
        is_sandbox: false,
        expires_at: None,
        disabled: false,
        rotate_grace_until: None,
        created_at: clock::now(),
        last_used_at: None,
        metadata: serde_json::Map::new(),
    };
    store.insert_key(&key, &minted.hash).await?;
    Ok(minted.secret.expose().to_owned())
}

/// Prints what a new user needs; the call is the last line on standard output, in one piece.
async fn greet(gateway: Arc<Gateway>, operator: String, secret: String) {
    let world = gateway.world();
    let port = world.snapshot.server.listen.first().map_or(8080, SocketAddr::port);
    let opened = async {
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            tokio::time::sleep(OPENING_POLL).await;
        }
    };
    if tokio::time::timeout(OPENING_MAX, opened).await.is_err() {
        return;
    }
    let model = world.snapshot.models.values().map(|model| &*model.id).min().unwrap_or("simulated-chat");
    let text = format!(
        "AIone gateway serves on http://127.0.0.1:{port}, the management API on http://{admin}/api/v1, \
         metrics on http://{metrics}/metrics.\n\
         Operator token of this run: {operator}\n\
         A first call:\n\
         curl -N http://127.0.0.1:{port}/v1/chat/completions -H 'Authorization: Bearer {secret}' \
         -H 'Content-Type: application/json' \
         -d '{{\"model\":\"{model}\",\"stream\":true,\"messages\":[{{\"role\":\"user\",\"content\":\"Hello\"}}]}}'\n",
        admin = world.snapshot.admin.listen,
        metrics = world.snapshot.metrics_listen,
    );
    let mut out = std::io::stdout().lock();
    // One write: the line must not be torn by another.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
