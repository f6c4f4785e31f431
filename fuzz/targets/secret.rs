//! The parser of keys, beside a checksum of its own: it takes exactly what could have been minted.

#![no_main]

use aione_core::domain::key::{mask, mint, parse};
use libfuzzer_sys::fuzz_target;

const PREFIX: &str = "sk-aione";

fuzz_target!(|data: &[u8]| {
    // What is minted is taken, and nothing that differs from it in one byte.
    let mut entropy = data.iter().copied().cycle();
    let mut drawn = 0_u32;
    let minted = mint(PREFIX, |bytes| {
        for byte in bytes {
            // The fuzzer may give nothing but bytes that are drawn again.
            let [count, ..] = drawn.to_le_bytes();
            let given = entropy.next().filter(|_| drawn < 1000).unwrap_or(0);
            *byte = given.wrapping_add(count);
            drawn += 1;
        }
    });
    let good = minted.secret.expose();
    assert_eq!(parse(good, PREFIX).map(|parsed| parsed.as_str()).ok(), Some(good));
    if let [at, other, ..] = *data {
        let mut bytes = good.as_bytes().to_vec();
        let at = usize::from(at) % bytes.len();
        let is_same = bytes[at] == other;
        bytes[at] = other;
        if let Ok(text) = String::from_utf8(bytes) {
            assert_eq!(parse(&text, PREFIX).is_ok(), is_same, "{text}");
        }
    }

    let Ok(text) = std::str::from_utf8(data) else { return };
    let (prefix, secret) = text.split_once('\n').unwrap_or((PREFIX, text));
    for (text, prefix) in [(text, PREFIX), (secret, prefix), (secret, PREFIX)] {
        assert_eq!(parse(text, prefix).is_ok(), could_be_minted(text, prefix), "{text:?} of {prefix:?}");
        assert!(mask(text).chars().count() <= 11);
    }
});

fn could_be_minted(text: &str, prefix: &str) -> bool {
    let Some(body) = text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-')) else { return false };
    body.len() == 38
        && body.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && text.ends_with(&checksum(&text.as_bytes()[..text.len() - 6]))
}

/// The CRC-32 of IEEE 802.3, bit by bit, in six digits to the base of 62.
fn checksum(bytes: &[u8]) -> String {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    let mut rest = !crc;
    let mut digits = Vec::new();
    for _ in 0..6 {
        let digit = u8::try_from(rest % 62).expect("below 62");
        digits.push(match digit {
            0..10 => b'0' + digit,
            10..36 => b'A' + digit - 10,
            _ => b'a' + digit - 36,
        });
        rest /= 62;
    }
    digits.reverse();
    String::from_utf8(digits).expect("ASCII")
}
