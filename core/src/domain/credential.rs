//! Who may call the admin API: operator tokens from YAML, management tokens of one organization.

use crate::domain::{
    clock::Timestamp,
    id::{OrgId, TokenId},
};
use serde::{Deserialize, Serialize};

/// What a management token's secret begins with, before its dash: `mt-…`. It is minted, parsed,
/// hashed and masked as a key's secret is; see [`crate::domain::key`].
pub const MANAGEMENT_PREFIX: &str = "mt";

/// Bytes that an operator token has at the most, where it is configured and where it is shown.
pub const OPERATOR_TOKEN_BYTES_MAX: usize = 4096;

/// What a management token may do in its organization.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Owner,
    Admin,
    Viewer,
    Finance,
}

impl Role {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Viewer => "viewer",
            Self::Finance => "finance",
        }
    }

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Owner, Self::Admin, Self::Viewer, Self::Finance].into_iter().find(|role| role.as_str() == name)
    }
}

/// A management token's record. Its secret (`mt-…`) is not in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ManagementToken {
    pub id: TokenId,
    pub org: OrgId,
    pub name: String,
    pub role: Role,
    pub expires_at: Option<Timestamp>,
    pub created_at: Timestamp,
}
