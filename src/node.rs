//! What this node lets go of when something changes.

use crate::{budgets::Budgets, keyring::KeyRing};
use aione_core::{
    domain::id::{KeyId, OrgId},
    ports::Fleet,
};
use async_trait::async_trait;
use std::sync::Arc;

/// This node alone; other nodes follow when what they know grows old.
pub(crate) struct ThisNode {
    pub(crate) keyring: Arc<KeyRing>,
    pub(crate) budgets: Arc<Budgets>,
}

#[async_trait]
impl Fleet for ThisNode {
    async fn key_changed(&self, org: OrgId, id: KeyId) {
        self.keyring.key_changed(org, id).await;
    }

    async fn tenant_changed(&self, org: OrgId) {
        self.keyring.tenant_changed(org).await;
        self.budgets.outdate(org);
    }
}
