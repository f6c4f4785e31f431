//! The end of an object or an array by its outline alone: strings, and how many brackets are open.

use fearless_simd::{Level, Simd, dispatch, mask8x16, prelude::*, u8x16};

/// The offset after the container that opens at `open`; `None` where the text ends before it does. What stands
/// between its brackets is not judged, nor which bracket closes which.
pub(super) fn end(bytes: &[u8], open: usize) -> Option<usize> {
    dispatch!(Level::baseline(), simd => end_with(simd, bytes, open))
}

#[inline(always)]
fn end_with<S: Simd>(simd: S, bytes: &[u8], open: usize) -> Option<usize> {
    let mut at = open;
    let mut depth = 0_usize;
    loop {
        at = next(simd, bytes, at, marks, is_mark)?;
        match bytes[at] {
            b'"' => at = string_end(simd, bytes, at + 1)?,
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
#[inline(always)]
fn string_end<S: Simd>(simd: S, bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at = next(simd, bytes, at, ends, is_end)?;
        if bytes[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// The offset of the next byte that is one of those sought: sixteen are looked at together by `all`, the last few
/// each by `one`.
#[inline(always)]
fn next<S: Simd>(
    simd: S,
    bytes: &[u8],
    mut at: usize,
    all: impl Fn(u8x16<S>) -> mask8x16<S>,
    one: impl Fn(u8) -> bool,
) -> Option<usize> {
    while let Some(block) = bytes.get(at..)?.first_chunk::<16>() {
        let found = all(u8x16::simd_from(simd, *block)).to_bitmask();
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize);
        }
        at += block.len();
    }
    bytes[at..].iter().position(|byte| one(*byte)).map(|found| at + found)
}

/// A bracket and the brace that differs from it in one bit are compared as one.
const CASE: u8 = 0x20;

#[inline(always)]
fn marks<S: Simd>(block: u8x16<S>) -> mask8x16<S> {
    let folded = block | CASE;
    block.simd_eq(b'"') | folded.simd_eq(b'{') | folded.simd_eq(b'}')
}

#[inline]
fn is_mark(byte: u8) -> bool {
    matches!(byte, b'"' | b'{' | b'[' | b'}' | b']')
}

#[inline(always)]
fn ends<S: Simd>(block: u8x16<S>) -> mask8x16<S> {
    block.simd_eq(b'"') | block.simd_eq(b'\\')
}

#[inline]
fn is_end(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\')
}
