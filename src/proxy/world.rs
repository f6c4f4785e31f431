//! One configuration as requests pin it: the snapshot, and the running state of what it names.
//!
//! The state of a deployment outlives a reload that leaves the deployment in place.

use super::{
    health::Health,
    load::Load,
    upstream::{
        target::{Target, Targets},
        tokens::Token,
    },
};
use aione_core::{
    config::{
        snapshot::{Deployment, Provider, Snapshot},
        standing::Condition,
    },
    domain::clock::Steady,
    provider::{Credential, Entry},
};
use arc_swap::ArcSwap;
use http::HeaderValue;
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// The world that is present, and the way to put another in its place.
pub(crate) struct Worlds(ArcSwap<World>);

/// A snapshot with the running state beside it.
pub(crate) struct World {
    pub(crate) snapshot: Arc<Snapshot>,
    deployments: HashMap<Arc<str>, Arc<Running>>,
}

/// What one deployment needs at run time.
pub(crate) struct Running {
    pub(crate) health: Health,
    pub(crate) load: Load,
    /// `None` for a provider that is built in.
    pub(crate) target: Option<Arc<Target>>,
    /// Values of the header that carries them, one for each credential.
    credentials: Vec<HeaderValue>,
    /// In their place, where each must be asked for.
    tokens: Vec<Arc<Token>>,
    turn: AtomicUsize,
}

impl Worlds {
    pub(crate) fn new(snapshot: Arc<Snapshot>, targets: &Targets) -> Self {
        Self(ArcSwap::from_pointee(World::new(snapshot, targets, None)))
    }

    pub(crate) fn present(&self) -> Arc<World> {
        self.0.load_full()
    }

    pub(crate) fn publish(&self, snapshot: &Arc<Snapshot>, targets: &Targets) {
        let former = self.present();
        self.0.store(Arc::new(World::new(snapshot.clone(), targets, Some(&former))));
    }
}

impl World {
    /// The state for `snapshot`, taking over from `former` what is still named.
    fn new(snapshot: Arc<Snapshot>, targets: &Targets, former: Option<&Self>) -> Self {
        let mut deployments: HashMap<Arc<str>, Arc<Running>> = HashMap::new();
        for model in snapshot.each_sold() {
            for deployment in &model.route.deployments {
                if deployments.contains_key(&deployment.id) {
                    continue;
                }
                let (health, load) = former
                    .and_then(|world| world.find(&deployment.id))
                    .map(|running| (running.health.clone(), running.load.clone()))
                    .unwrap_or_default();
                let running = Running::new(&deployment.provider, health, load, targets);
                deployments.insert(deployment.id.clone(), Arc::new(running));
            }
        }
        Self { snapshot, deployments }
    }

    pub(crate) fn running(&self, deployment: &Deployment) -> &Arc<Running> {
        self.deployments.get(&deployment.id).expect("a world is built over its own snapshot's deployments")
    }

    pub(crate) fn find(&self, deployment: &str) -> Option<&Arc<Running>> {
        self.deployments.get(deployment)
    }

    pub(crate) fn all_running(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<Running>)> {
        self.deployments.iter()
    }
}

impl Running {
    fn new(provider: &Provider, health: Health, load: Load, targets: &Targets) -> Self {
        let credentials = provider
            .credentials
            .iter()
            .filter_map(|secret| {
                let mut value = match provider.kind.credential {
                    Credential::Bearer => HeaderValue::from_str(&format!("Bearer {}", secret.expose())),
                    Credential::Header(_) => HeaderValue::from_str(secret.expose()),
                    Credential::KeyFile | Credential::None => return None,
                }
                .ok()?;
                value.set_sensitive(true);
                Some(value)
            })
            .collect();
        let target = provider.base.as_ref().map(|base| targets.get(base, provider));
        let tokens = match provider.account.entry() {
            Entry::Token(accounts) => accounts
                .iter()
                .map(|account| targets.tokens.get(account, &targets.get(&account.token_endpoint, provider)))
                .collect(),
            Entry::Credential | Entry::Signed { .. } => Vec::new(),
        };
        Self { health, load, target, credentials, tokens, turn: AtomicUsize::new(0) }
    }

    /// Whether it may be asked at `now`.
    pub(crate) fn condition(&self, now: Steady) -> Condition {
        Condition { drained: self.load.is_drained(), rests_for_ms: self.health.rests_for_ms(now) }
    }

    /// The next credential in turn; `None` where the upstream wants none.
    pub(crate) fn credential(&self) -> Option<&HeaderValue> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        self.credentials.get(turn % self.credentials.len().max(1))
    }

    /// The next token in turn; `None` where none is wanted.
    pub(crate) fn token(&self) -> Option<&Arc<Token>> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        self.tokens.get(turn % self.tokens.len().max(1))
    }
}
