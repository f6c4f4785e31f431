//! JSON's strings and numbers: finding their ends, decoding and writing them.

use super::{JsonError, sweep};
use fearless_simd::{Level, Simd, dispatch, prelude::*, u8x16};
use std::borrow::Cow;

/// A string literal, its escapes checked but not yet decoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Text<'a> {
    /// What stands between the quotes.
    raw: &'a [u8],
    /// Bytes of UTF-8 after decoding.
    decoded_bytes: usize,
}

impl<'a> Text<'a> {
    /// Bytes of UTF-8 that the decoded text has.
    #[must_use]
    pub fn decoded_bytes(&self) -> usize {
        self.decoded_bytes
    }

    /// The text; borrowed where nothing is escaped. What is not UTF-8, and a lone surrogate,
    /// becomes U+FFFD.
    #[must_use]
    pub fn decode(&self) -> Cow<'a, str> {
        match self.decode_bytes() {
            // Nearly always it is UTF-8, which is sooner checked than repaired.
            Cow::Borrowed(bytes) => {
                std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
            }
            Cow::Owned(bytes) => Cow::Owned(
                String::from_utf8(bytes)
                    .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
            ),
        }
    }

    /// Whether the decoded text is `plain`.
    #[must_use]
    #[inline]
    pub fn is(&self, plain: &str) -> bool {
        self.decoded_bytes == plain.len() && *self.decode_bytes() == *plain.as_bytes()
    }

    /// As [`Self::decode`], but that what is not UTF-8 stays as it is.
    #[must_use]
    #[inline]
    pub fn decode_bytes(&self) -> Cow<'a, [u8]> {
        // Every escape is longer than what it stands for.
        if self.raw.len() == self.decoded_bytes {
            return Cow::Borrowed(self.raw);
        }
        Cow::Owned(self.unescape())
    }

    #[cold]
    fn unescape(&self) -> Vec<u8> {
        let first = memchr::memchr(b'\\', self.raw).unwrap_or(self.raw.len());
        let mut decoded = Vec::with_capacity(self.decoded_bytes);
        let (plain, mut rest) = self.raw.split_at(first);
        decoded.extend_from_slice(plain);
        while !rest.is_empty() {
            let escape = Escape::read(rest).expect("escapes were checked when the string was read");
            let mut utf8 = [0; 4];
            decoded.extend_from_slice(escape.character.encode_utf8(&mut utf8).as_bytes());
            rest = &rest[escape.length..];
            let next = memchr::memchr(b'\\', rest).unwrap_or(rest.len());
            decoded.extend_from_slice(&rest[..next]);
            rest = &rest[next..];
        }
        decoded
    }
}

/// Appends `text` as a string literal. U+2028 and U+2029 are escaped as well: they end a line
/// in some readers of event streams and in old JavaScript.
pub fn push_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for character in text.chars() {
        match character {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{2028}' | '\u{2029}' => {
                out.extend_from_slice(format!("\\u{:04x}", u32::from(character)).as_bytes());
            }
            _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

/// Reads the literal whose opening quote is at `open`; also the offset after its closing one.
/// A lone surrogate, and what is not UTF-8, is an error when `strict`.
#[inline]
pub(super) fn read(bytes: &[u8], open: usize, strict: bool) -> Result<(Text<'_>, usize), JsonError> {
    let begin = open + 1;
    let (at, ascii) = skip_plain(bytes, begin);
    // Nearly all strings end here.
    if bytes.get(at) == Some(&b'"') && (ascii || !strict) {
        let raw = &bytes[begin..at];
        return Ok((Text { raw, decoded_bytes: raw.len() }, at + 1));
    }
    read_on(bytes, begin, at, strict, ascii)
}

/// Goes on with a literal that begins at `begin` and is plain up to `at`.
#[inline(never)]
fn read_on(
    bytes: &[u8],
    begin: usize,
    at: usize,
    strict: bool,
    ascii: bool,
) -> Result<(Text<'_>, usize), JsonError> {
    let Some(rest) = sweep::rest(bytes, at, strict) else { return read_slowly(bytes, begin, strict) };
    let raw = &bytes[begin..rest.end];
    if strict && !(ascii && rest.ascii) {
        check_utf8(raw, begin)?;
    }
    Ok((Text { raw, decoded_bytes: raw.len() - rest.saved }, rest.end + 1))
}

/// As [`read`], a byte at a time: where something is wrong, to say what and where it is.
#[cold]
pub(super) fn read_slowly(bytes: &[u8], begin: usize, strict: bool) -> Result<(Text<'_>, usize), JsonError> {
    let mut at = begin;
    let mut saved = 0;
    loop {
        match bytes.get(at) {
            Some(b'"') => break,
            Some(b'\\') => {
                let (length, decoded) = escape_lengths(&bytes[at..], strict)
                    .ok_or(JsonError::Syntax { what: "an invalid escape", at })?;
                saved += length - decoded;
                at += length;
            }
            Some(..0x20) => return Err(JsonError::Syntax { what: "a control character in a string", at }),
            Some(_) => at += 1,
            None => return Err(JsonError::Syntax { what: "unexpected end in a string", at }),
        }
    }
    let raw = &bytes[begin..at];
    if strict {
        check_utf8(raw, begin)?;
    }
    Ok((Text { raw, decoded_bytes: raw.len() - saved }, at + 1))
}

fn check_utf8(raw: &[u8], begin: usize) -> Result<(), JsonError> {
    match simdutf8::compat::from_utf8(raw) {
        Ok(_) => Ok(()),
        Err(error) => Err(JsonError::NotUtf8 { at: begin + error.valid_up_to() }),
    }
}

/// Bytes of the escape that `bytes` begins with, as written and decoded; what it stands for does
/// not matter yet.
pub(super) fn escape_lengths(bytes: &[u8], strict: bool) -> Option<(usize, usize)> {
    match bytes.get(1)? {
        b'n' | b'"' | b'\\' | b't' | b'r' | b'/' | b'b' | b'f' => Some((2, 1)),
        b'u' => match hex4(bytes.get(2..6)?)? {
            0..0x80 => Some((6, 1)),
            0x80..0x800 => Some((6, 2)),
            0xd800..0xe000 => {
                let escape = Escape::read(bytes).filter(|escape| !(strict && escape.lone))?;
                Some((escape.length, escape.character.len_utf8()))
            }
            _ => Some((6, 3)),
        },
        _ => None,
    }
}

/// The length of the number that `bytes` begins with; `None` where it is malformed.
pub(super) fn number_length(bytes: &[u8]) -> Option<usize> {
    let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut at = usize::from(bytes.first() == Some(&b'-'));
    let whole = digits(at);
    if whole == 0 || (whole > 1 && bytes[at] == b'0') {
        return None;
    }
    at += whole;
    if bytes.get(at) == Some(&b'.') {
        let fraction = digits(at + 1);
        if fraction == 0 {
            return None;
        }
        at += 1 + fraction;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1;
        at += usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
        let exponent = digits(at);
        if exponent == 0 {
            return None;
        }
        at += exponent;
    }
    Some(at)
}

/// One escape sequence.
struct Escape {
    character: char,
    /// Bytes of the sequence as written.
    length: usize,
    /// Half of a surrogate pair without the other.
    lone: bool,
}

impl Escape {
    /// Reads the escape that `bytes` begins with.
    fn read(bytes: &[u8]) -> Option<Self> {
        let simple = |character| Some(Self { character, length: 2, lone: false });
        match bytes.get(1)? {
            b'"' => simple('"'),
            b'\\' => simple('\\'),
            b'/' => simple('/'),
            b'b' => simple('\x08'),
            b'f' => simple('\x0c'),
            b'n' => simple('\n'),
            b'r' => simple('\r'),
            b't' => simple('\t'),
            b'u' => Self::read_unicode(bytes),
            _ => None,
        }
    }

    fn read_unicode(bytes: &[u8]) -> Option<Self> {
        let first = hex4(bytes.get(2..6)?)?;
        if let Some(character) = char::from_u32(first) {
            return Some(Self { character, length: 6, lone: false });
        }
        let lone = Self { character: char::REPLACEMENT_CHARACTER, length: 6, lone: true };
        if first >= 0xdc00 || bytes.get(6..8) != Some(b"\\u") {
            return Some(lone);
        }
        let second = hex4(bytes.get(8..12)?)?;
        if !(0xdc00..0xe000).contains(&second) {
            return Some(lone);
        }
        let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        Some(Self { character: char::from_u32(code)?, length: 12, lone: false })
    }
}

/// The value of each hexadecimal digit; above 15 for what is none.
const HEX: [u8; 256] = {
    let mut values = [0xff; 256];
    let mut digit = 0;
    while digit < 16 {
        let value = digit as u8;
        values[b"0123456789abcdef"[digit] as usize] = value;
        values[b"0123456789ABCDEF"[digit] as usize] = value;
        digit += 1;
    }
    values
};

fn hex4(digits: &[u8]) -> Option<u32> {
    let &[a, b, c, d] = digits else { return None };
    let [a, b, c, d] = [a, b, c, d].map(|digit| u32::from(HEX[usize::from(digit)]));
    // One that is no digit has bits that no digit has.
    (a | b | c | d <= 0xf).then_some(a << 12 | b << 8 | c << 4 | d)
}

/// How far a string is looked at before [`sweep`] takes over; most end before.
const NEAR: usize = 128;

/// The offset of the next quote, backslash or control character; of a plain byte where there is none nearby, or of
/// the end of `bytes`. Also whether all up to there is ASCII; it may be false for a byte that comes soon after.
#[inline]
fn skip_plain(bytes: &[u8], at: usize) -> (usize, bool) {
    dispatch!(Level::baseline(), simd => skip_plain_with(simd, bytes, at))
}

#[inline(always)]
fn skip_plain_with<S: Simd>(simd: S, bytes: &[u8], mut at: usize) -> (usize, bool) {
    let mut high = u8x16::splat(simd, 0);
    let far = at + NEAR;
    while let Some(block) = bytes.get(at..).and_then(|rest| rest.first_chunk::<16>()) {
        let block = u8x16::simd_from(simd, *block);
        high |= block;
        let specials = block.simd_eq(b'"') | block.simd_eq(b'\\') | block.simd_lt(b' ');
        let specials = specials.to_bitmask();
        if specials != 0 {
            return (at + specials.trailing_zeros() as usize, is_ascii(high));
        }
        at += 16;
        if at >= far {
            return (at, is_ascii(high));
        }
    }
    let rest = bytes.get(at..).unwrap_or_default();
    let plain = rest.iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | ..0x20)).count();
    (at + plain, is_ascii(high) && rest.is_ascii())
}

#[inline(always)]
fn is_ascii<S: Simd>(all: u8x16<S>) -> bool {
    all.simd_lt(0x80).all_true()
}
