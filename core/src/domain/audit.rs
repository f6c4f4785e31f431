//! The trail of every write: who did what to which thing, what it was before and after.

use super::{
    clock::Timestamp,
    id::{AuditId, OrgId, TokenId},
};
use serde_json::Value;
use std::net::IpAddr;

/// Who acts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Actor {
    /// One of `admin.operator_tokens`, told from others by the first bytes of its hash.
    Operator { fingerprint: String },
    /// A management token.
    Token { id: TokenId, name: String },
    /// Whoever has the store itself at hand: the command line, the quick start.
    Local,
}

impl Actor {
    /// `operator`, `token` or `local`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Operator { .. } => "operator",
            Self::Token { .. } => "token",
            Self::Local => "local",
        }
    }

    /// Which of its kind, in a form that can be searched for.
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Self::Operator { fingerprint } => fingerprint.clone(),
            Self::Token { id, .. } => id.to_string(),
            Self::Local => String::new(),
        }
    }

    /// A name for people.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Token { name, .. } => name,
            Self::Operator { .. } | Self::Local => "",
        }
    }
}

/// What kind of thing is acted on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Object {
    Key,
    Token,
    Organization,
    Team,
    Deployment,
    LedgerEntry,
    Invoice,
    /// The configuration of this gateway.
    Config,
}

impl Object {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Token => "token",
            Self::Organization => "organization",
            Self::Team => "team",
            Self::Deployment => "deployment",
            Self::LedgerEntry => "ledger_entry",
            Self::Invoice => "invoice",
            Self::Config => "config",
        }
    }

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [
            Self::Key,
            Self::Token,
            Self::Organization,
            Self::Team,
            Self::Deployment,
            Self::LedgerEntry,
            Self::Invoice,
            Self::Config,
        ]
        .into_iter()
        .find(|object| object.as_str() == name)
    }
}

/// One row of the trail. It holds no secret, nor the hash of one.
#[derive(Clone, PartialEq, Debug)]
pub struct AuditEntry {
    pub id: AuditId,
    pub at: Timestamp,
    /// `None`: of the gateway as a whole.
    pub org: Option<OrgId>,
    pub actor: Actor,
    /// From where; `None`: from this machine's command line.
    pub address: Option<IpAddr>,
    /// Such as `key.create`.
    pub action: String,
    pub object: Object,
    pub object_id: String,
    /// As the API shows it; `None`: it was not there.
    pub before: Option<Value>,
    /// `None`: it is gone.
    pub after: Option<Value>,
}
