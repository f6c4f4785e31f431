//! Changes to what a store keeps of tenants: each is made whole, with its trail and the answer that
//! a repetition of it will get, or not at all.

use super::{
    Organization, StoreError, Team,
    keys::{KeyChange, TenantChange},
};
use crate::domain::{
    audit::{AuditEntry, Object},
    clock::Timestamp,
    credential::ManagementToken,
    id::{AuditId, CreditNoteId, InvoiceId, KeyId, OrgId, TeamId, TokenId},
    invoice::{Frame, Invoice},
    key::{Key, KeyHash},
    ledger::Entry,
    money::Pico,
};
use async_trait::async_trait;

/// One change. Where it names an organization, it sees only that organization's rows.
#[derive(Clone, PartialEq, Debug)]
pub enum Change {
    InsertKey {
        key: Box<Key>,
        hash: KeyHash,
    },
    UpdateKey {
        org: OrgId,
        id: KeyId,
        change: KeyChange,
    },
    DisableKey {
        org: OrgId,
        id: KeyId,
        disabled: bool,
    },
    /// Puts `hash` in the place of the present secret, which is taken until `grace_until`.
    RotateKey {
        org: OrgId,
        id: KeyId,
        hash: KeyHash,
        prefix: String,
        grace_until: Timestamp,
    },
    /// Its usage stays.
    DeleteKey {
        org: OrgId,
        id: KeyId,
        at: Timestamp,
    },
    /// With the team of keys that name none.
    InsertOrg {
        org: Box<Organization>,
        team: Team,
    },
    UpdateOrg {
        id: OrgId,
        /// From when on a new plan holds.
        at: Timestamp,
        change: TenantChange,
    },
    InsertTeam(Team),
    UpdateTeam {
        org: OrgId,
        id: TeamId,
        change: TenantChange,
    },
    /// A conflict where it has keys.
    DeleteTeam {
        org: OrgId,
        id: TeamId,
        at: Timestamp,
    },
    InsertToken {
        token: ManagementToken,
        hash: KeyHash,
    },
    DeleteToken {
        org: OrgId,
        id: TokenId,
    },
    /// A top-up or an adjustment.
    Enter(Entry),
    /// Makes the draft of a month's invoice. A conflict where this month, or a later one, is closed.
    CloseMonth {
        frame: Box<Frame>,
    },
    /// Gives a draft its number; from then on it never changes. A conflict where it is no draft.
    IssueInvoice {
        org: OrgId,
        id: InvoiceId,
        at: Timestamp,
        due_at: Timestamp,
    },
    /// A conflict where it is not issued.
    PayInvoice {
        org: OrgId,
        id: InvoiceId,
        at: Timestamp,
    },
    /// A conflict where it is paid, or void already.
    VoidInvoice {
        org: OrgId,
        id: InvoiceId,
        at: Timestamp,
    },
    /// A conflict where it is neither issued nor paid, or that is more than is left of it.
    CreditInvoice {
        org: OrgId,
        id: InvoiceId,
        credit: CreditNoteId,
        amount: Pico,
        note: String,
        at: Timestamp,
    },
}

/// What a change is about.
#[derive(Clone, PartialEq, Debug)]
pub enum Row {
    Key(Box<Key>),
    Token(ManagementToken),
    Organization(Box<Organization>),
    Team(Team),
    Entry(Entry),
    Invoice(Box<Invoice>),
}

impl Row {
    #[must_use]
    pub fn object(&self) -> Object {
        match self {
            Self::Key(_) => Object::Key,
            Self::Token(_) => Object::Token,
            Self::Organization(_) => Object::Organization,
            Self::Team(_) => Object::Team,
            Self::Entry(_) => Object::LedgerEntry,
            Self::Invoice(_) => Object::Invoice,
        }
    }

    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Self::Key(key) => key.id.to_string(),
            Self::Token(token) => token.id.to_string(),
            Self::Organization(org) => org.id.to_string(),
            Self::Team(team) => team.id.to_string(),
            Self::Entry(entry) => entry.id.to_string(),
            Self::Invoice(invoice) => invoice.frame.id.to_string(),
        }
    }
}

/// What a change has done.
#[derive(Clone, PartialEq, Debug)]
pub enum Changed {
    Made(Row),
    Replaced { before: Row, after: Row },
    Deleted(Row),
}

impl Changed {
    #[must_use]
    pub fn before(&self) -> Option<&Row> {
        match self {
            Self::Made(_) => None,
            Self::Replaced { before, .. } | Self::Deleted(before) => Some(before),
        }
    }

    #[must_use]
    pub fn after(&self) -> Option<&Row> {
        match self {
            Self::Made(after) | Self::Replaced { after, .. } => Some(after),
            Self::Deleted(_) => None,
        }
    }

    /// As it is now, or was last.
    #[must_use]
    pub fn row(&self) -> &Row {
        match self {
            Self::Made(row) | Self::Replaced { after: row, .. } | Self::Deleted(row) => row,
        }
    }
}

/// What is kept together with a change.
#[derive(Clone, PartialEq, Debug)]
pub struct Trail {
    pub audit: AuditEntry,
    /// For a caller who gave an `Idempotency-Key`.
    pub answer: Option<KeptAnswer>,
}

/// An answer that is given again to the same request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeptAnswer {
    /// Hash of organization, actor, route and `Idempotency-Key`.
    pub scope: [u8; 32],
    /// Hash of the request's body.
    pub request: [u8; 32],
    pub status: u16,
    /// Sealed: it may hold a secret.
    pub sealed: Vec<u8>,
    pub kept_until: Timestamp,
}

/// Says what is to be kept of a change that is about to be committed.
pub type Sign = Box<dyn FnOnce(&Changed) -> Trail + Send>;

/// Which rows of the trail to list.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AuditFilter {
    /// `None`: everybody's, and what concerns the gateway as a whole.
    pub org: Option<OrgId>,
    /// An actor's id or kind.
    pub actor: Option<String>,
    /// An object's id or kind.
    pub object: Option<String>,
    /// Inclusive.
    pub from: Option<Timestamp>,
    /// Exclusive.
    pub until: Option<Timestamp>,
    /// Only rows that are older than this one.
    pub before: Option<AuditId>,
}

/// Changes with their trail.
#[async_trait]
pub trait ChangeStore: Send + Sync {
    /// Makes `change`, and keeps what `sign` says of it, in one transaction that is durable on
    /// return. `None`: what was to be changed is not there, and nothing is kept.
    ///
    /// # Errors
    /// `Conflict` also where an answer is kept already in the same scope: look it up.
    async fn make(&self, change: Change, sign: Sign) -> Result<Option<Changed>, StoreError>;
    /// An answer that was kept and has not run out.
    async fn find_answer(&self, scope: &[u8; 32], now: Timestamp) -> Result<Option<KeptAnswer>, StoreError>;
    /// A row for what changed something other than the store's own rows, and what it was answered.
    ///
    /// # Errors
    /// `Conflict` where an answer is kept already in the same scope; then nothing is kept.
    async fn note(&self, trail: &Trail) -> Result<(), StoreError>;
    /// Newest first.
    async fn list_audit(&self, filter: &AuditFilter, limit: u32) -> Result<Vec<AuditEntry>, StoreError>;
}
