//! `aione serve`: starts everything, serves, and leaves when it is told to and nobody is left.

use super::stores;
use crate::{
    assemble::{self, Assembly},
    background,
    clock::System,
    config::Config,
    control::{self, Greeting},
    minting,
    proxy::{Door, Front, Gateway},
    telemetry::log,
    tls::Certificates,
};
use aione_core::{
    config::snapshot::{OperatorToken, Secret},
    ports::Surroundings,
};
use anyhow::Context;
use async_trait::async_trait;
use pingora_core::{
    apps::ServerApp,
    listeners::{L4BufferSettings, ListenerConfig, tls::TlsSettings},
    server::{RunArgs, Server, ShutdownSignal, ShutdownSignalWatch, configuration::ServerConf},
    services::listening::Service,
};
use sha2::{Digest, Sha256};
use std::{path::Path, process::ExitCode, sync::Arc, time::Duration};
use tokio::signal::unix::{SignalKind, signal};

/// How often the last requests are counted while the process waits to leave.
const DRAIN_POLL: Duration = Duration::from_millis(20);
/// How long cut answers may take to be accounted for and told.
const CUT_MAX: Duration = Duration::from_secs(2);
/// How long the recorder may take to bring the rest of the journal into the store.
const RECORD_REST_MAX: Duration = Duration::from_secs(5);

pub(super) fn serve(file: Option<&Path>) -> anyhow::Result<ExitCode> {
    let loaded = stores::load(file)?;
    let level = log::start(&loaded.snapshot.log);
    for warning in &loaded.warnings {
        tracing::warn!(%warning, "configuration");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("control")
        .on_thread_start(background::give_way)
        .enable_all()
        .build()?;
    let (origin, has_operator) = (stores::origin(file), !loaded.snapshot.admin.operator_tokens.is_empty());
    // The quick start greets whoever runs it, and makes it an operator where nobody is one.
    let (config, greeting) = match file {
        Some(_) => (Config::new(origin, loaded), None),
        None if has_operator => (Config::new(origin, loaded), Some(Greeting { operator: None })),
        None => {
            let (secret, token) = mint_operator();
            (Config::with_operator(origin, loaded, token), Some(Greeting { operator: Some(secret) }))
        }
    };
    config.on_publish(move |snapshot| level.set(&snapshot.log.level));
    let mut assembly = runtime.block_on(assemble::assemble(config))?;
    let running = runtime.block_on(control::start(&mut assembly, greeting))?;
    let gateway = assembly.gateway.clone();
    let server = front(&assembly)?;
    server.run(RunArgs { shutdown_signal: Box::new(Leaving(assembly.gateway.clone())) });
    // No request is served any more: what was written is made durable and recorded.
    tokio::task::block_in_place(|| gateway.journal.shutdown());
    runtime.block_on(running.finish(RECORD_REST_MAX));
    if let Some(background) = assembly.background.take() {
        background.finish();
    }
    runtime.block_on(assembly.store.close());
    gateway.access.flush();
    tracing::info!("left");
    Ok(ExitCode::SUCCESS)
}

/// An operator token for this run, and what is kept of it.
fn mint_operator() -> (Secret, OperatorToken) {
    let minted = aione_core::domain::key::mint(minting::OPERATOR_PREFIX, |bytes| System.entropy(bytes));
    let hash = Sha256::digest(minted.secret.expose().as_bytes());
    (minted.secret, OperatorToken(hash.into()))
}

/// Pingora's server with the data plane's one service.
fn front(assembly: &Assembly) -> anyhow::Result<Server> {
    let snapshot = assembly.config.snapshot();
    let settings = &snapshot.server;
    for address in &settings.listen {
        // Pingora panics on an address that is taken; say it in words first.
        std::net::TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))?;
    }
    let threads = if settings.threads == 0 {
        std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
    } else {
        settings.threads
    };
    let conf = ServerConf {
        threads,
        work_stealing: false,
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(0),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    let mut service =
        Service::new("proxy".to_owned(), Door::new(Front::new(assembly.gateway.clone(), settings.h2c)));
    service.threads = Some(threads);
    listen(&mut service, assembly)?;
    server.add_service(service);
    server.bootstrap();
    Ok(server)
}

fn listen<A: ServerApp + Send + Sync + 'static>(
    service: &mut Service<A>,
    assembly: &Assembly,
) -> anyhow::Result<()> {
    let settings = &assembly.config.snapshot().server;
    let certificates = settings.tls.as_ref().map(Certificates::load).transpose()?;
    if let Some(certificates) = certificates.clone() {
        assembly.config.before_publish(move |snapshot| {
            let prepared = certificates.prepare(&snapshot);
            async move { prepared }
        });
    }
    for address in &settings.listen {
        let address = address.to_string();
        // Heads and bodies have buffers of their own, into which plain bytes are read at once; only TLS reads its records
        // piece by piece.
        let Some(certificates) = certificates.clone() else {
            service.add_listener(ListenerConfig::tcp(address).l4_buffer(L4BufferSettings::default().read(0)));
            continue;
        };
        let mut tls = TlsSettings::intermediate("", "").context("TLS")?;
        tls.set_cert_resolver(certificates);
        tls.enable_h2();
        service.add_tls_with_settings(&address, None, tls);
    }
    Ok(())
}

async fn none_left(gateway: &Gateway) {
    while gateway.in_flight() > 0 {
        tokio::time::sleep(DRAIN_POLL).await;
    }
}

/// Tells Pingora to stop once the process was asked to leave and the last request has ended.
struct Leaving(Arc<Gateway>);

#[async_trait]
impl ShutdownSignalWatch for Leaving {
    async fn recv(&self) -> ShutdownSignal {
        let (Ok(mut terminate), Ok(mut interrupt)) =
            (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
        else {
            // Without signals the process runs until it is killed.
            return std::future::pending().await;
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        let gateway = &self.0;
        gateway.begin_draining();
        let longest = gateway.world().snapshot.server.drain_timeout;
        tracing::info!(in_flight = gateway.in_flight(), "asked to leave; waiting for the last requests");
        tokio::select! {
            () = none_left(gateway) => {}
            () = tokio::time::sleep(longest) => {
                tracing::warn!(in_flight = gateway.in_flight(), "the time is over; cutting the rest");
            }
            // Whoever asks twice means it.
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        if gateway.in_flight() > 0 {
            gateway.begin_cutting();
            let _ = tokio::time::timeout(CUT_MAX, none_left(gateway)).await;
        }
        // Not the fast way: the accept loops must be told, or they spin in a runtime that is gone.
        ShutdownSignal::GracefulTerminate
    }
}
