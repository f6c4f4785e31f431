//! Keys of tables that end in random bytes: those bytes are their hash.

use std::hash::{BuildHasherDefault, Hasher};

/// For record ids, which end in random bytes, and for keyed hashes, which nobody without the pepper can
/// choose.
pub(crate) type OwnHashes = BuildHasherDefault<OwnHash>;

#[derive(Default)]
pub(crate) struct OwnHash(u64);

impl Hasher for OwnHash {
    fn finish(&self) -> u64 {
        self.0
    }

    /// What is written last counts: the length of an array comes before its bytes.
    fn write(&mut self, bytes: &[u8]) {
        if let Some(tail) = bytes.last_chunk::<8>() {
            // The two bits of a UUID that are the same in all of them come to stand where they choose
            // no bucket.
            self.0 = u64::from_be_bytes(*tail);
        }
    }
}
