//! Ids of tool calls, as the dialects want them. A call and its result have the same one in every turn,
//! so whatever is made of an id is made of it alone.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use std::borrow::Cow;

/// How an id begins that is made here, for a call that came without one.
const MADE: &str = "call_aione_";
/// Hexadecimal digits behind it: with them an id is well within the 40 characters that OpenAI's
/// dialect takes.
const MADE_DIGITS: usize = 20;
/// How an id begins that stands for one of other characters.
const SPELT: &str = "aione-";
/// Bytes of a hash that stand for an id that is too long: 32 characters.
const SHORT_BYTES: usize = 24;

/// The id of a call that has none: the same wherever the same `marks` are read.
pub(in crate::wire) fn made(marks: &[&str]) -> String {
    let mut hash = Sha256::new();
    for mark in marks {
        // With its length, so that no two lists of marks are one text.
        hash.update((mark.len() as u64).to_be_bytes());
        hash.update(mark.as_bytes());
    }
    let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{MADE}{}", &hex[..MADE_DIGITS])
}

/// Whether an id was made here.
pub(in crate::wire) fn is_made(id: &str) -> bool {
    id.strip_prefix(MADE)
        .is_some_and(|hex| hex.len() == MADE_DIGITS && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// `id` for a vendor that refuses one of more than `most` characters.
pub(in crate::wire) fn at_most(id: &str, most: usize) -> Cow<'_, str> {
    if id.chars().count() <= most {
        return Cow::Borrowed(id);
    }
    let hash = Sha256::digest(id);
    Cow::Owned(format!("call_{}", URL_SAFE_NO_PAD.encode(&hash[..SHORT_BYTES])))
}

/// `id` in letters, digits, `_` and `-`, which is all that Anthropic takes, and at least one of them.
pub(in crate::wire) fn spelt(id: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !id.is_empty() && id.bytes().all(is_plain) && !id.starts_with(SPELT) {
        return Cow::Borrowed(id);
    }
    Cow::Owned(format!("{SPELT}{}", URL_SAFE_NO_PAD.encode(id)))
}

/// The id that [`spelt`] made this one of.
pub(in crate::wire) fn unspelt(id: String) -> String {
    let bytes = id.strip_prefix(SPELT).and_then(|code| URL_SAFE_NO_PAD.decode(code).ok());
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).filter(|plain| spelt(plain) == id).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_ids_are_known_again_and_differ() {
        let id = made(&["a", "bc"]);
        assert_eq!(id, made(&["a", "bc"]));
        assert_ne!(id, made(&["ab", "c"]));
        assert!(is_made(&id) && id.len() <= 40);
        for other in ["call_aione_", "call_1", "call_aione_zzzzzzzzzzzzzzzzzzzz"] {
            assert!(!is_made(other));
        }
    }

    #[test]
    fn an_id_that_is_too_long_is_the_same_short_one_every_time() {
        let long = "x".repeat(41);
        assert_eq!(at_most(&long, 40), at_most(&long, 40));
        assert_ne!(at_most(&long, 40), at_most(&"y".repeat(41), 40));
        assert!(at_most(&long, 40).len() <= 40);
        assert_eq!(at_most(&long, 64), long);
        assert_eq!(at_most("你好", 2), "你好");
    }

    #[test]
    fn ids_of_any_characters_are_spelt_in_few_and_come_back() {
        for id in
            ["toolu_01", "call-1", "functions.get:0", "", "你 \"\n", "aione-", "aione-eA", "chatcmpl-tool/1"]
        {
            let spelt = spelt(id);
            let is_plain = |each: char| each.is_ascii_alphanumeric() || "_-".contains(each);
            assert!(!spelt.is_empty() && spelt.chars().all(is_plain), "{spelt}");
            assert_eq!(unspelt(spelt.into_owned()), id);
        }
        assert_eq!(spelt("toolu_01"), "toolu_01");
        // What only looks like one of ours stays as it is.
        for id in ["aione-!", "aione-eA=", "aione-x"] {
            assert_eq!(unspelt(id.to_owned()), id);
        }
    }
}
