//! Ids: one type per thing, all UUIDs, so that no two are ever mixed up.

use crate::domain::clock::Timestamp;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use uuid::Uuid;

/// The length of an id as text.
pub const TEXT_BYTES: usize = 36;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A time-ordered id (UUID version 7) from a time and ten random bytes.
            #[must_use]
            pub fn new(now: Timestamp, entropy: [u8; 10]) -> Self {
                let millis = u64::try_from(now.0).unwrap_or(0);
                Self(uuid::Builder::from_unix_timestamp_millis(millis, &entropy).into_uuid())
            }

            /// The id as text, without an allocation.
            #[must_use]
            pub fn write(self, buffer: &mut [u8; TEXT_BYTES]) -> &str {
                self.0.as_hyphenated().encode_lower(buffer)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )+};
}

ids! {
    /// An organization: one plan, one account, many teams and keys.
    OrgId,
    /// A team of an organization.
    TeamId,
    /// A key: the record, which outlives every secret it has had.
    KeyId,
    /// A management token of the admin API.
    TokenId,
    /// One row of the trail of writes.
    AuditId,
    /// One exchange; also the caller's `x-request-id` and the usage record's primary key.
    RecordId,
    /// One entry of the ledger; of usage it is the record's.
    EntryId,
    /// An invoice, from its draft on.
    InvoiceId,
    CreditNoteId,
}
