//! What this node lets go of when something changes, here or on another node.

use crate::{budgets::Budgets, keyring::KeyRing};
use aione_core::{
    domain::id::{KeyId, OrgId},
    ports::Fleet,
};
use async_trait::async_trait;
use std::sync::Arc;

/// This node alone; other nodes follow when they are told, or when what they know grows old.
pub(crate) struct ThisNode {
    pub(crate) keyring: Arc<KeyRing>,
    pub(crate) budgets: Arc<Budgets>,
}

impl ThisNode {
    pub(crate) fn forget_key(&self, id: KeyId) {
        self.keyring.forget(id);
    }

    pub(crate) fn forget_org(&self, org: OrgId) {
        self.keyring.forget_org(org);
        self.budgets.outdate(org);
    }

    /// Changes may have been missed.
    pub(crate) fn doubt_all(&self) {
        self.keyring.doubt_all();
        self.budgets.outdate_all();
    }
}

#[async_trait]
impl Fleet for ThisNode {
    async fn key_changed(&self, _: OrgId, id: KeyId) {
        self.forget_key(id);
    }

    async fn tenant_changed(&self, org: OrgId) {
        self.forget_org(org);
    }

    async fn funds_changed(&self, org: OrgId) {
        self.budgets.outdate(org);
    }
}
