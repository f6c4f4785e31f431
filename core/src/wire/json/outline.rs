//! The end of an object or an array by its outline alone: strings, and how many brackets are open.

use wide::u8x16;

/// The offset after the container that opens at `open`; `None` where the text ends before it does. What stands
/// between its brackets is not judged, nor which bracket closes which.
pub(super) fn end(bytes: &[u8], open: usize) -> Option<usize> {
    let mut at = open;
    let mut depth = 0_usize;
    loop {
        at = next(bytes, at, marks, is_mark)?;
        match bytes[at] {
            b'"' => at = string_end(bytes, at + 1)?,
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            _ => {
                depth -= 1;
                at += 1;
                if depth == 0 {
                    return Some(at);
                }
            }
        }
    }
}

/// The offset after the quote that ends the string in which `at` lies.
fn string_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at = next(bytes, at, ends, is_end)?;
        if bytes[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// The offset of the next byte that is one of those sought: sixteen are looked at together by `all`, the last few
/// each by `one`.
#[inline]
fn next(bytes: &[u8], mut at: usize, all: fn(u8x16) -> u8x16, one: fn(u8) -> bool) -> Option<usize> {
    while let Some(block) = bytes.get(at..)?.first_chunk() {
        let found = all(u8x16::new(*block)).to_bitmask();
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize);
        }
        at += block.len();
    }
    bytes[at..].iter().position(|byte| one(*byte)).map(|found| at + found)
}

/// A bracket and the brace that differs from it in one bit are compared as one.
const CASE: u8 = 0x20;

#[inline]
fn marks(block: u8x16) -> u8x16 {
    let folded = block | u8x16::splat(CASE);
    block.simd_eq(u8x16::splat(b'"'))
        | folded.simd_eq(u8x16::splat(b'{'))
        | folded.simd_eq(u8x16::splat(b'}'))
}

#[inline]
fn is_mark(byte: u8) -> bool {
    matches!(byte, b'"' | b'{' | b'[' | b'}' | b']')
}

#[inline]
fn ends(block: u8x16) -> u8x16 {
    block.simd_eq(u8x16::splat(b'"')) | block.simd_eq(u8x16::splat(b'\\'))
}

#[inline]
fn is_end(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\')
}
