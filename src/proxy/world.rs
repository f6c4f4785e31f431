//! One configuration as requests pin it: the snapshot, and the running state of what it names.
//!
//! The state of a deployment outlives a reload that leaves the deployment in place.

use super::{
    health::Health,
    upstream::target::{Target, Targets},
};
use aione_core::config::snapshot::{Deployment, Provider, Snapshot};
use http::HeaderValue;
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// A snapshot with the running state beside it.
pub(crate) struct World {
    pub(crate) snapshot: Arc<Snapshot>,
    deployments: HashMap<Arc<str>, Arc<Running>>,
}

/// What one deployment needs at run time.
pub(crate) struct Running {
    pub(crate) health: Health,
    /// `None` for a provider that is built in.
    pub(crate) target: Option<Arc<Target>>,
    /// `authorization` values, one for each credential.
    credentials: Vec<HeaderValue>,
    turn: AtomicUsize,
}

impl World {
    /// The state for `snapshot`, taking over from `former` what is still named.
    pub(crate) fn new(snapshot: Arc<Snapshot>, targets: &Targets, former: Option<&Self>) -> Self {
        let mut deployments: HashMap<Arc<str>, Arc<Running>> = HashMap::new();
        for model in snapshot.models.values() {
            for deployment in &model.route.deployments {
                if deployments.contains_key(&deployment.id) {
                    continue;
                }
                let health = former
                    .and_then(|world| world.deployments.get(&deployment.id))
                    .map_or_else(Health::default, |running| running.health.clone());
                let running = Running::new(&deployment.provider, health, targets);
                deployments.insert(deployment.id.clone(), Arc::new(running));
            }
        }
        Self { snapshot, deployments }
    }

    pub(crate) fn running(&self, deployment: &Deployment) -> &Arc<Running> {
        self.deployments.get(&deployment.id).expect("a world is built over its own snapshot's deployments")
    }

    pub(crate) fn all_running(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<Running>)> {
        self.deployments.iter()
    }
}

impl Running {
    fn new(provider: &Provider, health: Health, targets: &Targets) -> Self {
        let credentials = provider
            .credentials
            .iter()
            .filter_map(|secret| {
                let mut value = HeaderValue::from_str(&format!("Bearer {}", secret.expose())).ok()?;
                value.set_sensitive(true);
                Some(value)
            })
            .collect();
        let target = provider.base.as_ref().map(|base| targets.get(base, provider));
        Self { health, target, credentials, turn: AtomicUsize::new(0) }
    }

    /// The next credential in turn; `None` where the upstream wants none.
    pub(crate) fn credential(&self) -> Option<&HeaderValue> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        self.credentials.get(turn % self.credentials.len().max(1))
    }
}
