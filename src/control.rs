//! The background of a running gateway: the admin and metrics services, the recorder, the
//! configuration's watch, and small chores. All on the control runtime, never on a proxy thread.

mod access;
mod greeting;
mod listener;

pub(crate) use greeting::Greeting;

use crate::{
    assemble::Assembly,
    billing::{pricing, recorder, retention},
    clock,
    config::Config,
    proxy::{Gateway, address_behind},
    telemetry::{access::AccessLog, metrics::Readings},
};
use aione_admin::{Listener, Peer};
use anyhow::Context;
use axum::{
    Router,
    extract::{ConnectInfo, Request},
    http::header,
    middleware,
    response::IntoResponse,
    routing::get,
};
use listener::BOUNDS;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

/// How often meters that nobody uses are let go.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

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

/// Starts all of it. With a greeting, the quick start's words are printed once the front is open.
pub(crate) async fn start(assembly: &mut Assembly, greeting: Option<Greeting>) -> anyhow::Result<Running> {
    let snapshot = assembly.config.snapshot();
    let (stop, stopping) = watch::channel(false);
    let mut running = Running { tasks: JoinSet::new(), recorder: JoinSet::new(), stop };
    let admin = bind(snapshot.admin.listen, "admin").await?;
    let metrics = bind(snapshot.metrics_listen, "metrics").await?;
    let access = assembly.gateway.access.clone();
    running.tasks.spawn(serve_admin(admin, assembly.admin.clone(), access, assembly.config.clone()));
    running.tasks.spawn(serve_metrics(metrics, assembly.gateway.clone(), assembly.config.clone()));
    let reader = assembly.reader.take().context("the background is started once")?;
    running.recorder.spawn(recorder::run(reader, assembly.store.clone()));
    running.tasks.spawn(assembly.config.clone().watch(stopping.clone()));
    running.tasks.spawn(assembly.gateway.targets.clone().refresh());
    let targets = assembly.gateway.targets.clone();
    running.tasks.spawn(async move { targets.tokens.refresh().await });
    if let Some(keep) = snapshot.storage.keep_records {
        running.tasks.spawn(retention::run(assembly.store.clone(), assembly.gateway.clone(), keep));
    }
    running.tasks.spawn(pricing::run(assembly.store.clone(), assembly.config.clone()));
    running.tasks.spawn(assembly.gateway.keyring.clone().refresh());
    running.tasks.spawn(assembly.gateway.budgets.clone().refresh());
    running.tasks.spawn(sweep(assembly.gateway.clone()));
    if let Some(greeting) = greeting {
        running.tasks.spawn(greeting.prepare(assembly).await?);
    }
    Ok(running)
}

async fn bind(address: SocketAddr, what: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address} for {what}"))
}

async fn serve_admin(listener: TcpListener, router: Router, access: AccessLog, config: Config) {
    let router = router
        .layer(middleware::map_request(
            move |ConnectInfo(peer): ConnectInfo<SocketAddr>, mut request: Request| {
                let trusted = &config.snapshot().server.trusted_proxies;
                let address = address_behind(peer.ip().to_canonical(), request.headers(), trusted);
                request.extensions_mut().insert(Listener::Admin);
                if let Some(address) = address {
                    request.extensions_mut().insert(Peer(address));
                }
                async move { request }
            },
        ))
        .layer(middleware::from_fn_with_state(access, access::note));
    listener::serve(listener, router, BOUNDS).await;
}

async fn serve_metrics(listener: TcpListener, gateway: Arc<Gateway>, config: Config) {
    let render = move || {
        let text = gateway.metrics.render(&readings(&gateway, &config));
        async move { ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response() }
    };
    listener::serve(listener, Router::new().route("/metrics", get(render)), BOUNDS).await;
}

fn readings(gateway: &Gateway, config: &Config) -> Readings {
    let journal = gateway.journal.stats();
    let reloads = *config.outcomes().borrow();
    let problems = config.last_problems().len() as u64;
    let shared = gateway.limits.shared().map(|shared| shared.stats());
    Readings {
        in_flight: gateway.in_flight() as u64,
        reservations: journal.open,
        drains: gateway.drains() as u64,
        journal_bytes: journal.bytes,
        journal_unrecorded: journal.unrecorded,
        journal_oldest: journal.oldest_unrecorded,
        journal_alarms: journal.alarms,
        access_dropped: gateway.access.dropped(),
        resting: gateway.resting() as u64,
        reloads_accepted: reloads.accepted,
        reloads_refused: reloads.refused,
        config_problems: problems,
        shared,
    }
}

async fn sweep(gateway: Arc<Gateway>) {
    let mut tick = tokio::time::interval(SWEEP_EVERY);
    loop {
        tick.tick().await;
        gateway.limits.own().sweep(clock::steady());
    }
}
