//! Where a list goes on, as a text that a caller hands back and cannot make up: bytes under an
//! HMAC that also covers whose list it is.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The label of the keys that cursors are signed with. It holds a byte that no header can, so that
/// nobody's `Idempotency-Key` is that label.
pub const KEY_LABEL: &[u8] = b"\0cursor 1";
/// Bytes of the HMAC that a cursor carries.
const SIGN_BYTES: usize = 16;

/// `place` as a text, for the list that `list` names: what list it is, and whose.
#[must_use]
pub fn seal(key: &[u8; 32], list: &[u8], place: &[u8]) -> String {
    let sign = signer(key, list, place).finalize().into_bytes();
    BASE64.encode([place, &sign[..SIGN_BYTES]].concat())
}

/// What [`seal`] was given, under any of `keys`; `None` for a text that it did not make for this
/// list.
#[must_use]
pub fn open(keys: &[[u8; 32]], list: &[u8], text: &str) -> Option<Vec<u8>> {
    let mut bytes = BASE64.decode(text).ok()?;
    let sign = bytes.split_off(bytes.len().checked_sub(SIGN_BYTES)?);
    let is_ours = |key| signer(key, list, &bytes).verify_truncated_left(&sign).is_ok();
    keys.iter().any(is_ours).then_some(bytes)
}

/// The list's length goes first, so that no part of it can be taken for the place.
fn signer(key: &[u8; 32], list: &[u8], place: &[u8]) -> Hmac<Sha256> {
    let mut signer = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    signer.update(&(list.len() as u64).to_le_bytes());
    signer.update(list);
    signer.update(place);
    signer
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEYS: [[u8; 32]; 2] = [[1; 32], [2; 32]];

    proptest! {
        #[test]
        fn only_what_was_sealed_opens(place in prop::collection::vec(any::<u8>(), 0..40), flipped: prop::sample::Index) {
            let text = seal(&KEYS[1], b"list", &place);
            prop_assert_eq!(open(&KEYS, b"list", &text), Some(place.clone()));
            prop_assert_eq!(open(&KEYS[..1], b"list", &text), None);
            prop_assert_eq!(open(&KEYS, b"lists", &text), None);
            let mut bytes = BASE64.decode(&text).expect("a cursor");
            let at = flipped.index(bytes.len());
            bytes[at] ^= 1;
            prop_assert_eq!(open(&KEYS, b"list", &BASE64.encode(bytes)), None);
        }

        #[test]
        fn any_text_is_refused(text in any::<String>()) {
            prop_assert_eq!(open(&KEYS, b"list", &text), None);
        }
    }

    #[test]
    fn a_list_and_a_place_do_not_run_into_each_other() {
        let text = seal(&KEYS[0], b"list", b"place");
        assert_eq!(open(&KEYS, b"listp", &text), None);
        assert_eq!(open(&KEYS, b"list", ""), None);
        assert_eq!(open(&KEYS, b"list", &text[..text.len() - 1]), None);
    }
}
