//! Lists that go on where a page ended: signed places, which nobody can make up or take to another
//! organization's list.

use crate::{Admin, validate::Fault};
use aione_core::domain::{
    clock::Timestamp,
    cursor::{self, KEY_LABEL},
    id::OrgId,
};
use serde_json::Value;
use uuid::Uuid;

/// The cursors of a list of one kind: an organization's, or everybody's.
pub(crate) struct Cursors {
    /// One for each pepper: the first signs, all open.
    keys: Vec<[u8; 32]>,
    list: Vec<u8>,
}

impl Cursors {
    pub(crate) fn new(admin: &Admin, kind: &str, org: Option<OrgId>) -> Self {
        // No organization has the id that is all zeros.
        let whose = org.map_or([0; 16], |org| org.0.into_bytes());
        Self { keys: admin.mint.seal_keys(KEY_LABEL), list: [&whose, kind.as_bytes()].concat() }
    }

    pub(crate) fn seal(&self, place: &[u8]) -> String {
        cursor::seal(self.keys.first().expect("there is a pepper"), &self.list, place)
    }

    /// What was sealed for this list.
    pub(crate) fn open(&self, value: &Value) -> Result<Vec<u8>, Fault> {
        let text = value.as_str().unwrap_or_default();
        cursor::open(&self.keys, &self.list, text).ok_or_else(fault)
    }

    /// Where something stands among others: by time, and of those of one time by id.
    pub(crate) fn seal_place(&self, at: Timestamp, id: Uuid) -> String {
        self.seal(&[at.0.to_be_bytes().as_slice(), id.as_bytes()].concat())
    }

    pub(crate) fn open_place(&self, value: &Value) -> Result<(Timestamp, Uuid), Fault> {
        let bytes = self.open(value)?;
        let parts = bytes.split_first_chunk::<8>();
        let parts = parts.and_then(|(time, id)| Some((time, Uuid::from_slice(id).ok()?)));
        let (time, id) = parts.ok_or_else(fault)?;
        Ok((Timestamp(i64::from_be_bytes(*time)), id))
    }
}

/// It is not from here: forged, cut, or another list's.
pub(crate) fn fault() -> Fault {
    Fault::value("the cursor is not one of this list")
}
