//! The deployments of a node that a test sets as it likes.

use aione_core::{
    config::{snapshot::Snapshot, standing::Condition},
    ports::{Upstream, Upstreams},
};
use std::sync::Mutex;

pub(crate) struct Node(Mutex<Vec<Upstream>>);

impl Node {
    /// Where every deployment of `snapshot` is new.
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        let mut upstreams: Vec<Upstream> = Vec::new();
        for model in snapshot.each_model().into_values() {
            upstreams.extend(model.route.deployments.iter().map(|deployment| Upstream {
                id: deployment.id.clone(),
                provider: deployment.provider.name.clone(),
                model: deployment.model.clone(),
                serves: vec![model.id.clone()],
                condition: Condition::default(),
                in_flight: 0,
                first_byte_ms: None,
            }));
        }
        Self(Mutex::new(upstreams))
    }

    pub(crate) fn change(&self, id: &str, change: impl FnOnce(&mut Upstream)) {
        change(self.0.lock().unwrap().iter_mut().find(|it| &*it.id == id).unwrap());
    }

    pub(crate) fn rest(&self, id: &str, rests_for_ms: Option<u64>) {
        self.change(id, |upstream| upstream.condition.rests_for_ms = rests_for_ms);
    }
}

impl Upstreams for Node {
    fn list(&self) -> Vec<Upstream> {
        self.0.lock().unwrap().clone()
    }

    fn condition(&self, deployment: &str) -> Condition {
        let upstreams = self.list();
        upstreams.iter().find(|it| &*it.id == deployment).map(|it| it.condition).unwrap_or_default()
    }

    fn set_drained(&self, deployment: &str, drained: bool) -> Option<Upstream> {
        let mut upstreams = self.0.lock().unwrap();
        let upstream = upstreams.iter_mut().find(|it| &*it.id == deployment)?;
        upstream.condition.drained = drained;
        Some(upstream.clone())
    }
}
