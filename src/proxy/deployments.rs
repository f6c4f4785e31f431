//! The deployments of this node, for operators and for who asks where a request would go.

use super::world::Worlds;
use crate::clock;
use aione_core::{
    config::standing::Condition,
    ports::{Upstream, Upstreams},
};
use std::{collections::BTreeMap, sync::Arc};

impl Upstreams for Worlds {
    fn list(&self) -> Vec<Upstream> {
        let (world, now) = (self.present(), clock::steady());
        let mut upstreams: BTreeMap<Arc<str>, Upstream> = BTreeMap::new();
        for model in world.snapshot.each_sold() {
            for deployment in &model.route.deployments {
                let running = world.running(deployment);
                let upstream = upstreams.entry(deployment.id.clone()).or_insert_with(|| Upstream {
                    id: deployment.id.clone(),
                    provider: deployment.provider.name.clone(),
                    model: deployment.model.clone(),
                    serves: Vec::new(),
                    condition: running.condition(now),
                    in_flight: running.load.in_flight(),
                    first_byte_ms: running.load.first_byte_ms(),
                });
                upstream.serves.push(model.id.clone());
            }
        }
        upstreams.into_values().collect()
    }

    fn condition(&self, deployment: &str) -> Condition {
        let world = self.present();
        world.find(deployment).map_or_else(Condition::default, |running| running.condition(clock::steady()))
    }

    fn set_drained(&self, deployment: &str, drained: bool) -> Option<Upstream> {
        if self.present().find(deployment)?.load.set_drained(drained) {
            tracing::info!(deployment, drained, "an operator took a deployment out, or let it in again");
        }
        self.list().into_iter().find(|upstream| *upstream.id == *deployment)
    }
}
