//! Peppers: the server's own secrets, under which the secrets of keys are hashed.

use super::KeyHash;
use ring::hmac::{self, HMAC_SHA256};

/// Hashed to tell peppers apart without telling what they are. It has no form that a secret can
/// have, so that its hash is no key's.
const CHECK_TEXT: &[u8] = b"aione pepper check 1";
/// Stands before what any other key is derived from. No secret begins with it.
const SEAL_TEXT: &[u8] = b"aione seal 1 ";
/// The shortest pepper that is taken, in bytes.
pub const PEPPER_MIN: usize = 32;
/// The most peppers at once: each costs a hash and a look-up for a key that an older one made.
pub const PEPPERS_MAX: usize = 4;

/// What cannot be used as peppers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PepperError {
    #[error("there is no key pepper")]
    None,
    #[error("a key pepper has fewer than {PEPPER_MIN} characters")]
    TooShort,
    #[error("there are more than {PEPPERS_MAX} key peppers")]
    TooMany,
}

/// HMAC-SHA-256 under each pepper, with the key's part computed beforehand: a hash then costs
/// two or three blocks of SHA-256. Each request has one: they are `ring`'s, in assembler also for processors
/// without instructions for it.
///
/// A secret is found by its hash and by nothing else. There is no comparison whose time could
/// tell a right id with a wrong secret from an unknown one, because a secret names no id.
#[derive(Clone)]
pub struct Peppers {
    first: hmac::Key,
    others: Vec<hmac::Key>,
}

impl Peppers {
    /// The first mints, all verify.
    ///
    /// # Errors
    /// None, too many, or one that is too short to be safe.
    pub fn new<'a>(peppers: impl IntoIterator<Item = &'a str>) -> Result<Self, PepperError> {
        let mut states = peppers.into_iter().map(state);
        let first = states.next().ok_or(PepperError::None)??;
        let others = states.by_ref().take(PEPPERS_MAX - 1).collect::<Result<Vec<_>, _>>()?;
        match states.next() {
            None => Ok(Self { first, others }),
            Some(_) => Err(PepperError::TooMany),
        }
    }

    /// The hash to store for a secret that is minted now.
    #[must_use]
    pub fn hash(&self, secret: &str) -> KeyHash {
        finish(&self.first, secret.as_bytes())
    }

    /// The hashes under which `secret` may be stored, the most likely first.
    pub fn hashes<'a>(&'a self, secret: &'a str) -> impl Iterator<Item = KeyHash> + 'a {
        self.all().map(move |state| finish(state, secret.as_bytes()))
    }

    /// A value to keep in a store that other nodes use too: the same for the same first pepper,
    /// and nothing can be learnt from it.
    #[must_use]
    pub fn check_value(&self) -> [u8; 32] {
        finish(&self.first, CHECK_TEXT).0
    }

    /// The check values of every pepper, the first's first.
    pub fn check_values(&self) -> impl Iterator<Item = [u8; 32]> + '_ {
        self.all().map(|state| finish(state, CHECK_TEXT).0)
    }

    /// Keys for sealing and signing, derived from each pepper and `label`, the first's first.
    pub fn seal_keys<'a>(&'a self, label: &'a [u8]) -> impl Iterator<Item = [u8; 32]> + 'a {
        let text = [SEAL_TEXT, label].concat();
        self.all().map(move |state| finish(state, &text).0)
    }

    fn all(&self) -> impl Iterator<Item = &hmac::Key> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

impl std::fmt::Debug for Peppers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Peppers(..)")
    }
}

fn state(pepper: &str) -> Result<hmac::Key, PepperError> {
    if pepper.len() < PEPPER_MIN {
        return Err(PepperError::TooShort);
    }
    Ok(hmac::Key::new(HMAC_SHA256, pepper.as_bytes()))
}

fn finish(state: &hmac::Key, text: &[u8]) -> KeyHash {
    let tag = hmac::sign(state, text);
    KeyHash(tag.as_ref().try_into().expect("SHA-256 has 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "an old pepper of thirty-two characters or more";
    const NEW: &str = "a new pepper of thirty-two characters or more";

    #[test]
    fn hashes_are_hmac_sha_256() {
        // Computed with OpenSSL: printf sk-aione-x | openssl dgst -sha256 -hmac kkkk… (32 times k).
        let peppers = Peppers::new(["k".repeat(32).as_str()]).expect("a pepper");
        let hex: String = peppers.hash("sk-aione-x").0.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "811f58988872c227ca839f75ace1330ee2867590ee2e1882f85cc03d54a5dbf4");
    }

    #[test]
    fn the_first_mints_and_all_verify() {
        let before = Peppers::new([OLD]).expect("a pepper");
        let after = Peppers::new([NEW, OLD]).expect("peppers");
        let stored = before.hash("secret");
        assert_ne!(after.hash("secret"), stored);
        assert_eq!(after.hashes("secret").collect::<Vec<_>>(), [after.hash("secret"), stored]);
        assert_eq!(after.hashes("secret").next(), Some(after.hash("secret")));
    }

    #[test]
    fn a_check_value_tells_peppers_apart() {
        let old = Peppers::new([OLD]).expect("a pepper");
        let both = Peppers::new([NEW, OLD]).expect("peppers");
        assert_ne!(old.check_value(), both.check_value());
        assert!(both.check_values().any(|value| value == old.check_value()));
        assert_eq!(both.check_values().next(), Some(both.check_value()));
    }

    #[test]
    fn peppers_that_protect_nothing_are_refused() {
        assert_eq!(Peppers::new([]).err(), Some(PepperError::None));
        assert_eq!(Peppers::new(["short"]).err(), Some(PepperError::TooShort));
        assert_eq!(Peppers::new([NEW, "short"]).err(), Some(PepperError::TooShort));
        assert_eq!(Peppers::new([NEW; 5]).err(), Some(PepperError::TooMany));
        assert_eq!(format!("{:?}", Peppers::new([NEW]).expect("a pepper")), "Peppers(..)");
    }
}
