//! The rest of a long string, or of one with escapes: sixty-four bytes at a time, in the widest vectors that the
//! processor has. What is asked of each byte becomes a bit of a word, so that many escapes cost no more than few.
//!
//! What is generic in `Simd` has to be inlined to be compiled for that processor rather than for any.

use super::literal::escape_lengths;
use fearless_simd::{Level, Simd, dispatch, prelude::*, u8x64};

/// What lies between a place within a string and its closing quote.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Rest {
    /// The offset of the closing quote.
    pub(super) end: usize,
    /// Bytes by which its escapes are longer than what they stand for.
    pub(super) saved: usize,
    /// Whether all of it is ASCII; it may be false for a byte that comes soon after.
    pub(super) ascii: bool,
}

/// Sweeps over a string from `at`, which is not within an escape, to its end. `None` where the string does not end,
/// or something in it is wrong: what that is, is not asked.
pub(super) fn rest(bytes: &[u8], at: usize, strict: bool) -> Option<Rest> {
    rest_with(Level::new(), bytes, at, strict)
}

pub(super) fn rest_with(level: Level, bytes: &[u8], at: usize, strict: bool) -> Option<Rest> {
    dispatch!(level, simd => sweep(simd, bytes, at, strict))
}

/// Bytes that are looked at together: one for each bit of a word.
const WIDTH: usize = u64::BITS as usize;

#[inline(always)]
fn sweep<S: Simd>(simd: S, bytes: &[u8], mut at: usize, strict: bool) -> Option<Rest> {
    let mut escapes = Escapes { bytes, strict, ..Escapes::default() };
    let mut high = u8x64::splat(simd, 0);
    loop {
        let block = u8x64::simd_from(simd, load(bytes, at)?);
        high |= block;
        let quotes = block.simd_eq(b'"').to_bitmask();
        let backslashes = block.simd_eq(b'\\').to_bitmask();
        let controls = block.simd_lt(b' ').to_bitmask();
        let escaped = escapes.escaped(backslashes);
        let stops = (quotes & !escaped) | controls;
        // Up to the first of them, it included.
        let near = stops ^ stops.wrapping_sub(1);
        let escaped = escaped & near;
        if escaped | escapes.digits_due != 0 {
            let letters = block.simd_eq(b'n')
                | block.simd_eq(b't')
                | block.simd_eq(b'r')
                | block.simd_eq(b'/')
                | block.simd_eq(b'b')
                | block.simd_eq(b'f');
            let codes = block.simd_eq(b'u').to_bitmask() & escaped;
            if escaped & !(quotes | backslashes | letters.to_bitmask() | codes) != 0 {
                return None;
            }
            escapes.saved += escaped.count_ones() as usize;
            if codes | escapes.digits_due != 0 {
                let folded = block | u8x64::splat(simd, b' ');
                let digits = (block - u8x64::splat(simd, b'0')).simd_lt(10)
                    | (folded - u8x64::splat(simd, b'a')).simd_lt(6);
                let odd = block.simd_eq(b'0') | folded.simd_eq(b'd');
                escapes.codes(at, codes, digits.to_bitmask() | !near, odd.to_bitmask())?;
            }
        }
        if stops != 0 {
            let stop = stops & stops.wrapping_neg();
            let end = at + stop.trailing_zeros() as usize;
            return (controls & stop == 0).then(|| Rest {
                end,
                saved: escapes.saved,
                ascii: high.simd_lt(0x80).all_true(),
            });
        }
        at += WIDTH;
    }
}

/// The bytes from `at` on, with zeros where there are no more, which are control characters; `None` where there is
/// none at all.
#[inline(always)]
fn load(bytes: &[u8], at: usize) -> Option<[u8; WIDTH]> {
    let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
    Some(rest.first_chunk().copied().unwrap_or_else(|| {
        let mut block = [0; WIDTH];
        block[..rest.len()].copy_from_slice(rest);
        block
    }))
}

/// What is known of escapes between one block and the next.
#[derive(Default)]
struct Escapes<'a> {
    bytes: &'a [u8],
    strict: bool,
    /// As in [`Rest`], so far.
    saved: usize,
    /// 1: the last block's last byte is a backslash that escapes this one's first.
    carried: u64,
    /// Which of the next block's first bytes have to be hexadecimal digits.
    digits_due: u64,
    /// Where the last code that was read by itself ends.
    read_to: usize,
}

impl Escapes<'_> {
    /// The bytes that the backslash before them escapes.
    #[inline(always)]
    fn escaped(&mut self, backslashes: u64) -> u64 {
        /// Every second bit from the first on.
        const EVEN: u64 = u64::MAX / 3;
        // Of a run of backslashes the first, third, … escape what follows. A sum carries from where a run begins to
        // what comes after it; whether that is an odd number of bytes on, depends on where it began.
        let backslashes = backslashes & !self.carried;
        let after = (backslashes << 1) | self.carried;
        let odd_begins = backslashes & !EVEN & !after;
        let (after_odd, carries) = odd_begins.overflowing_add(backslashes);
        self.carried = u64::from(carries);
        (EVEN ^ (after_odd << 1)) & after
    }

    /// Checks escapes by code, whose `u`s are at `codes` of the block at `at`: their digits, and the lengths of those
    /// that may stand for less than three bytes, or for four.
    #[inline(always)]
    fn codes(&mut self, at: usize, codes: u64, digits: u64, odd: u64) -> Option<()> {
        let due = (codes << 1) | (codes << 2) | (codes << 3) | (codes << 4) | self.digits_due;
        if due & !digits != 0 {
            return None;
        }
        self.digits_due = (codes >> 63) | (codes >> 62) | (codes >> 61) | (codes >> 60);
        // Of six bytes for three, one is counted with all escapes.
        self.saved += 2 * codes.count_ones() as usize;
        // The last's first digit is in the next block.
        let mut single = codes & ((odd >> 1) | (1 << 63));
        while single != 0 {
            self.single(at + single.trailing_zeros() as usize)?;
            single &= single - 1;
        }
        Some(())
    }

    /// Looks at the code whose `u` is at `at` by itself, and at that which makes a pair with it.
    #[inline(never)]
    fn single(&mut self, at: usize) -> Option<()> {
        /// Bytes of an escape by code.
        const CODE: usize = r"\u0000".len();
        if at < self.read_to {
            return Some(());
        }
        let begin = at - 1;
        let (length, decoded) = escape_lengths(&self.bytes[begin..], self.strict)?;
        self.read_to = begin + length;
        self.saved += length - decoded - 3 * (length / CODE);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Level, rest_with};
    use crate::wire::json::{JsonError, literal::read_slowly};
    use proptest::{collection::vec, prelude::*, sample::select};

    /// What may stand within a string, right and wrong.
    const PIECES: [&[u8]; 24] = [
        b"a",
        b"n",
        b"u",
        b"0",
        b"d",
        b"\xc3\xa9",
        b"\xff",
        b"\\",
        b"\\\\",
        b"\\\"",
        b"\\n",
        b"\\/",
        b"\\x",
        b"\\u0041",
        b"\\u00e9",
        b"\\u07FF",
        b"\\u4e2d",
        b"\\udead",
        b"\\ud83d\\ude00",
        b"\\uD83D",
        b"\\u12",
        b"\x1f",
        b"\"",
        b"more than sixty-four bytes, all of them plain: the quick brown fox jumps",
    ];

    /// Those that this processor has.
    fn levels() -> Vec<Level> {
        let mut levels = vec![Level::baseline(), Level::new()];
        #[cfg(target_arch = "x86_64")]
        levels.extend(
            [Level::new().as_sse4_2().map(Level::Sse4_2), Level::new().as_avx2().map(Level::Avx2)]
                .into_iter()
                .flatten(),
        );
        levels
    }

    fn agree(bytes: &[u8], begin: usize, strict: bool) -> Result<(), TestCaseError> {
        let slow = read_slowly(bytes, begin, strict);
        for level in levels() {
            let rest = rest_with(level, bytes, begin, strict);
            match (&slow, rest) {
                (Ok((text, after)), Some(rest)) => {
                    prop_assert_eq!(
                        (rest.end + 1, rest.end - begin - rest.saved),
                        (*after, text.decoded_bytes())
                    );
                    prop_assert!(!rest.ascii || bytes[begin..rest.end].is_ascii());
                }
                // Which is not asked of a sweep.
                (Err(JsonError::NotUtf8 { .. }), Some(rest)) => prop_assert!(!rest.ascii),
                (Err(JsonError::Syntax { .. }), None) => {}
                (slow, rest) => prop_assert!(false, "{level:?}: {rest:?} of {slow:?}"),
            }
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// With whatever vectors, and wherever a block ends.
        #[test]
        fn a_sweep_finds_what_a_look_at_each_byte_finds(
            begin in 0_usize..64,
            pieces in vec(select(&PIECES[..]), 0..24),
            blanks in 0_usize..80,
            strict: bool,
        ) {
            let bytes = [&b" ".repeat(begin)[..], &pieces.concat(), b"\"", &b" ".repeat(blanks)].concat();
            agree(&bytes, begin, strict)?;
        }
    }

    /// Every piece at every place of a block, before each other.
    #[test]
    fn a_sweep_agrees_wherever_two_pieces_meet() {
        for plain in 40..140 {
            for first in PIECES {
                for second in PIECES {
                    let bytes = [&b"x".repeat(plain)[..], first, second, b"0a\\n\"]"].concat();
                    for strict in [false, true] {
                        agree(&bytes, 0, strict).unwrap();
                    }
                }
            }
        }
    }
}
