//! What the quick start tells whoever runs it: where things are, and a first call that works.

use crate::{
    assemble::Assembly,
    clock::{self, System},
    proxy::Gateway,
    trail::signed,
};
use aione_admin::Mint;
use aione_core::{
    config::snapshot::Secret,
    domain::{budget::BudgetPeriod, id::KeyId, key::Key, plan::RateLimits},
    ports::{Change, ChangeStore, KeyFilter, KeyStore, Page, Surroundings},
};
use anyhow::Context;
use std::{io::Write, net::SocketAddr, sync::Arc, time::Duration};

/// How long a new process may take to open its front.
const OPENING_MAX: Duration = Duration::from_secs(10);
const OPENING_POLL: Duration = Duration::from_millis(2);
/// The key of the quick start, by name.
const QUICK_START: &str = "quick start";

pub(crate) struct Greeting {
    /// The operator token that was made for this run; `None` where the operator brought one,
    /// which is not repeated.
    pub(crate) operator: Option<Secret>,
}

impl Greeting {
    /// Makes the key; what comes back prints the words once the front is open.
    pub(super) async fn prepare(
        self,
        assembly: &Assembly,
    ) -> anyhow::Result<impl Future<Output = ()> + Send + use<>> {
        let secret = quick_start_key(assembly).await?;
        Ok(print(assembly.gateway.clone(), self.operator, secret))
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
        let (org, id) = (org.id, key.id);
        let (hash, prefix, grace_until) = (minted.hash, minted.prefix, clock::now());
        let rotate = Change::RotateKey { org, id, hash, prefix, grace_until };
        store.make(rotate, signed(org, "key.rotate")).await?;
        if key.disabled {
            store.make(Change::DisableKey { org, id, disabled: false }, signed(org, "key.enable")).await?;
        }
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
        budget: None,
        budget_period: BudgetPeriod::Month,
        is_sandbox: false,
        expires_at: None,
        disabled: false,
        rotate_grace_until: None,
        created_at: clock::now(),
        last_used_at: None,
        metadata: serde_json::Map::new(),
    };
    let change = Change::InsertKey { key: Box::new(key), hash: minted.hash };
    store.make(change, signed(org.id, "key.create")).await?;
    Ok(minted.secret.expose().to_owned())
}

/// Prints what a new user needs; the call is the last line on standard output, in one piece.
async fn print(gateway: Arc<Gateway>, operator: Option<Secret>, secret: String) {
    let world = gateway.world();
    let port = world.snapshot.server.listen.first().map_or(8080, SocketAddr::port);
    let opened = async {
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            tokio::time::sleep(OPENING_POLL).await;
        }
    };
    if tokio::time::timeout(OPENING_MAX, opened).await.is_err() {
        tracing::warn!(port, "the front did not open in time; no first call is printed");
        return;
    }
    let model = world.snapshot.models.values().map(|model| &*model.id).min().unwrap_or("simulated-chat");
    let operator = match &operator {
        Some(operator) => format!("Operator token of this run: {}", operator.expose()),
        None => "Operator token: the one that was configured.".to_owned(),
    };
    let text = format!(
        "AIone gateway serves on http://127.0.0.1:{port}, the management API on http://{admin}/api/v1, \
         metrics on http://{metrics}/metrics.\n\
         {operator}\n\
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
