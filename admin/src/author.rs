//! Who makes a write, and the row that it leaves in the trail.

use crate::{Admin, shape};
use aione_core::{
    domain::{
        audit::{Actor, AuditEntry, Object},
        clock::Timestamp,
        id::{AuditId, OrgId},
    },
    ports::Changed,
};
use serde_json::Value;
use std::net::IpAddr;

/// What a row of the trail says besides what was done.
pub(crate) struct Author {
    pub(crate) actor: Actor,
    /// `None`: on the gateway's own machine.
    pub(crate) address: Option<IpAddr>,
    /// Whose it is; `None`: of the gateway as a whole.
    pub(crate) org: Option<OrgId>,
    pub(crate) now: Timestamp,
    /// Of the row's id.
    pub(crate) entropy: [u8; 10],
}

/// What a row says was done to what.
pub(crate) struct Deed {
    /// Such as `key.create`.
    pub(crate) action: &'static str,
    pub(crate) object: Object,
    pub(crate) object_id: String,
    pub(crate) before: Option<Value>,
    pub(crate) after: Option<Value>,
}

impl Author {
    /// One who acts through the API, now.
    pub(crate) fn of(admin: &Admin, actor: Actor, address: Option<IpAddr>, org: Option<OrgId>) -> Self {
        let mut entropy = [0; 10];
        admin.surroundings.entropy(&mut entropy);
        Self { actor, address, org, now: admin.surroundings.now(), entropy }
    }

    pub(crate) fn row(self, deed: Deed) -> AuditEntry {
        let Deed { action, object, object_id, before, after } = deed;
        AuditEntry {
            id: AuditId::new(self.now, self.entropy),
            at: self.now,
            org: self.org,
            actor: self.actor,
            address: self.address,
            action: action.to_owned(),
            object,
            object_id,
            before,
            after,
        }
    }

    /// The row of a change to one of the store's own rows.
    pub(crate) fn row_of(self, action: &'static str, changed: &Changed) -> AuditEntry {
        let (before, after) = shape::difference(changed, self.now);
        let row = changed.row();
        self.row(Deed { action, object: row.object(), object_id: row.id(), before, after })
    }
}
