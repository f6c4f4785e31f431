//! The text of a secret: minting it, telling a mistyped one from a real one, and showing it safely.
//!
//! A secret is `<prefix>-`, then 32 random base62 characters (190 bits), then the CRC-32 of all
//! that comes before it in six base62 characters. The checksum lets a gateway refuse typing
//! errors, other vendors' keys and random guesses without asking a store; it is no defence
//! against someone who computes it, which is what the hash is for.

use crate::config::snapshot::Secret;

/// Digits, capitals, small letters: a character's value is its place.
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const RANDOM_LEN: usize = 32;
/// 62⁶ > 2³², so that six characters hold every CRC-32.
const CHECKSUM_LEN: usize = 6;
/// Bytes from here on are drawn again: below it, each character has as many bytes as any other.
const UNBIASED_BELOW: u8 = 248;
/// Random bytes asked for at once; more are asked for while some were drawn again.
const ENTROPY_LEN: usize = 48;

/// How much of a secret is kept beside its record, for people to recognise it by.
const SHOWN_HEAD: usize = 12;
const MASKED_HEAD: usize = 6;
const TAIL: usize = 4;
/// A shorter text is masked whole, because head and tail would be most of it.
const MASKED_MIN: usize = 20;
/// A longer text is masked whole, so that masking costs the same for any input.
const MASKED_MAX: usize = 512;

/// A new secret, to be shown once, and what is kept of it for people.
#[derive(Debug)]
pub struct Minted {
    pub secret: Secret,
    /// For [`super::Key::prefix`]: the first 12 characters, `…`, the last four.
    pub prefix: String,
}

/// A text that has the form of a secret. Whether there is such a key is not known yet.
#[derive(Clone, Copy)]
pub struct Parsed<'a>(&'a str);

/// A text that cannot be a secret, whatever is in the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Malformed {
    #[error("the secret does not start with the configured prefix")]
    Prefix,
    #[error("the secret has not the right length")]
    Length,
    #[error("the secret has a character that is no letter or digit")]
    Character,
    #[error("the secret's checksum is wrong")]
    Checksum,
}

impl<'a> Parsed<'a> {
    #[must_use]
    pub fn as_str(self) -> &'a str {
        self.0
    }
}

/// Mints `<prefix>-<random><checksum>`. `entropy` fills its argument from a secure random
/// source; every character is equally likely.
#[must_use]
pub fn mint(prefix: &str, mut entropy: impl FnMut(&mut [u8])) -> Minted {
    let mut text = String::with_capacity(prefix.len() + 1 + RANDOM_LEN + CHECKSUM_LEN);
    text.push_str(prefix);
    text.push('-');
    let full = text.len() + RANDOM_LEN;
    let mut bytes = zeroize::Zeroizing::new([0; ENTROPY_LEN]);
    while text.len() < full {
        entropy(bytes.as_mut_slice());
        let unbiased = bytes.iter().filter(|byte| **byte < UNBIASED_BELOW);
        text.extend(unbiased.take(full - text.len()).map(|byte| character(u32::from(*byte))));
    }
    let checksum = checksum(text.as_bytes());
    text.extend(checksum.map(char::from));
    Minted { prefix: shown(&text), secret: Secret::new(text) }
}

/// Checks length, prefix, characters and checksum. Reads at most the length of a real secret,
/// whatever `text` is.
///
/// # Errors
/// The text cannot have been minted with this prefix.
pub fn parse<'a>(text: &'a str, prefix: &str) -> Result<Parsed<'a>, Malformed> {
    if text.len() != prefix.len() + 1 + RANDOM_LEN + CHECKSUM_LEN {
        return Err(Malformed::Length);
    }
    let body = text.as_bytes().strip_prefix(prefix.as_bytes()).and_then(|rest| rest.strip_prefix(b"-"));
    let body = body.ok_or(Malformed::Prefix)?;
    if !body.iter().all(u8::is_ascii_alphanumeric) {
        return Err(Malformed::Character);
    }
    let (summed, sum) = text.as_bytes().split_at(text.len() - CHECKSUM_LEN);
    if checksum(summed) != *sum {
        return Err(Malformed::Checksum);
    }
    Ok(Parsed(text))
}

/// What may be said of a presented secret, right or wrong: `sk-aio…wxyz`, or `…` where that would
/// say too much or is no plain text.
#[must_use]
pub fn mask(text: &str) -> String {
    let plain = (MASKED_MIN..=MASKED_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    if !plain {
        return "…".to_owned();
    }
    format!("{}…{}", &text[..MASKED_HEAD], &text[text.len() - TAIL..])
}

fn shown(text: &str) -> String {
    let head: String = text.chars().take(SHOWN_HEAD).collect();
    format!("{head}…{}", &text[text.len() - TAIL..])
}

fn checksum(text: &[u8]) -> [u8; CHECKSUM_LEN] {
    let mut rest = crc32fast::hash(text);
    let mut sum = [0; CHECKSUM_LEN];
    for place in sum.iter_mut().rev() {
        *place = ALPHABET[(rest % 62) as usize];
        rest /= 62;
    }
    sum
}

fn character(value: u32) -> char {
    char::from(ALPHABET[(value % 62) as usize])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PREFIX: &str = "sk-aione";

    /// A repeatable stream of bytes that is random enough to be minted from.
    fn entropy(seed: u64) -> impl FnMut(&mut [u8]) {
        let mut state = seed.wrapping_mul(2).wrapping_add(0x9E37_79B9_7F4A_7C15);
        move |bytes| {
            for byte in bytes {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                *byte = state.to_le_bytes()[3];
            }
        }
    }

    fn minted(seed: u64) -> String {
        mint(PREFIX, entropy(seed)).secret.expose().to_owned()
    }

    fn check(text: &str, expect: Malformed) {
        assert_eq!(parse(text, PREFIX).err(), Some(expect), "{:?}", text.get(..80).unwrap_or(text));
    }

    #[test]
    fn what_is_minted_parses() {
        for seed in 0..200 {
            let minted = mint(PREFIX, entropy(seed));
            let text = minted.secret.expose();
            assert_eq!(text.len(), "sk-aione-".len() + 38);
            assert_eq!(parse(text, PREFIX).expect("well formed").as_str(), text);
            assert_eq!(minted.prefix, format!("{}…{}", &text[..12], &text[text.len() - 4..]));
        }
        let token = mint(crate::domain::credential::MANAGEMENT_PREFIX, entropy(7));
        assert!(token.secret.expose().starts_with("mt-"));
        assert!(parse(token.secret.expose(), "mt").is_ok());
        assert!(parse(token.secret.expose(), PREFIX).is_err());
    }

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        // CRC-32 (IEEE 802.3) of "123456789" is 0xCBF43926.
        let mut value: u64 = 0;
        for digit in checksum(b"123456789") {
            let place = ALPHABET.iter().position(|c| *c == digit).expect("a character of the alphabet");
            value = value * 62 + place as u64;
        }
        assert_eq!(value, 0xCBF4_3926);
    }

    #[test]
    fn every_character_is_equally_likely() {
        let mut counts = [0_u32; 62];
        for byte in 0..UNBIASED_BELOW {
            let place = ALPHABET.iter().position(|c| char::from(*c) == character(u32::from(byte)));
            counts[place.expect("a character of the alphabet")] += 1;
        }
        assert!(counts.iter().all(|count| *count == 4));
        let mut rounds = 0;
        let minted = mint(PREFIX, |bytes| {
            rounds += 1;
            bytes.fill(if rounds == 1 { 255 } else { 61 });
        });
        assert!(minted.secret.expose().starts_with(&format!("sk-aione-{}", "z".repeat(32))));
        assert_eq!(rounds, 2, "bytes that would favour some characters are drawn again");
    }

    #[test]
    fn wrong_formats_are_refused() {
        let good = minted(1);
        let body = &good["sk-aione-".len()..];
        check("", Malformed::Length);
        check("sk-aione-", Malformed::Length);
        check(&good[..good.len() - 1], Malformed::Length);
        check(&format!("{good} "), Malformed::Length);
        check(&"x".repeat(1 << 20), Malformed::Length);
        check(&good.repeat(20_000), Malformed::Length);
        check(&format!("sk-other-{body}"), Malformed::Prefix);
        check(&format!("SK-AIONE-{body}"), Malformed::Prefix);
        check(&format!("sk-aione_{body}"), Malformed::Prefix);
        check(&format!("sk-aione-\0{}", &body[1..]), Malformed::Character);
        // U+0661, an Arabic digit of two bytes, in the place of two characters.
        check(&format!("sk-aione-\u{661}{}", &body[2..]), Malformed::Character);
        let swapped = if body.ends_with('0') { "1" } else { "0" };
        check(&format!("{}{swapped}", &good[..good.len() - 1]), Malformed::Checksum);
    }

    #[test]
    fn one_wrong_character_is_always_noticed() {
        let good = minted(2);
        for place in "sk-aione-".len()..good.len() {
            for other in ALPHABET {
                let mut bytes = good.clone().into_bytes();
                if bytes[place] == *other {
                    continue;
                }
                bytes[place] = *other;
                check(&String::from_utf8(bytes).expect("ASCII"), Malformed::Checksum);
            }
        }
    }

    #[test]
    fn a_mask_shows_little() {
        assert_eq!(mask("sk-aione-0123456789abcdefwxyz"), "sk-aio…wxyz");
        for hidden in ["", "sk-aione", "0123456789012345678", "sk-aione-0123456789\u{e9}bcdefwxyz"] {
            assert_eq!(mask(hidden), "…");
        }
        assert_eq!(mask("sk-aione-0123456789\r\nabcdefwxyz"), "…");
        assert_eq!(mask("sk-aione-0123456789\0abcdefwxyz"), "…");
        assert_eq!(mask(&"a".repeat(1 << 20)), "…");
    }

    proptest! {
        #[test]
        fn any_text_is_judged_without_a_panic(text in any::<String>(), prefix in any::<String>()) {
            prop_assert!(parse(&text, &prefix).is_err());
            prop_assert!(mask(&text).chars().count() <= 11);
        }

        #[test]
        fn a_guess_of_the_right_form_has_a_wrong_checksum(body in "[0-9A-Za-z]{38}") {
            prop_assert_eq!(parse(&format!("sk-aione-{body}"), PREFIX).err(), Some(Malformed::Checksum));
        }
    }
}
