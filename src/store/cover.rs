//! Which rollups make up a range of local days: blocks where they fit, quarters around them.

use super::zone::Stretch;
use aione_core::domain::{clock::Timestamp, rollup::Span};

const DAY_MS: i64 = 86_400_000;

/// What a block must not lie across.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Grain {
    /// The ends of the range.
    Range,
    /// The end of a local day as well.
    Day,
    /// The end of a local hour: no block can.
    Hour,
}

/// Rollups of one span, from `start` until before `end`, where local time is UTC plus `shift_ms`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Piece {
    pub(super) span: Span,
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    pub(super) shift_ms: i64,
}

/// Pieces that together are the stretches, each part of them once.
pub(super) fn pieces(stretches: &[Stretch], grain: Grain) -> Vec<Piece> {
    let mut cover = Cover(Vec::new());
    for stretch in stretches {
        match grain {
            Grain::Hour => cover.push(Span::Quarter, stretch.start.0, stretch.end.0, stretch.shift_ms),
            Grain::Range => cover.part(stretch.start.0, stretch.end.0, stretch.shift_ms),
            Grain::Day => {
                let mut start = stretch.start.0;
                while start < stretch.end.0 {
                    let local = start + stretch.shift_ms;
                    let midnight = local - local.rem_euclid(DAY_MS) + DAY_MS - stretch.shift_ms;
                    let end = midnight.min(stretch.end.0);
                    cover.part(start, end, stretch.shift_ms);
                    start = end;
                }
            }
        }
    }
    cover.0
}

struct Cover(Vec<Piece>);

impl Cover {
    /// Whole blocks from `start` to `end`, and quarters before and after them.
    fn part(&mut self, start: i64, end: i64, shift_ms: i64) {
        let block = Span::Block.millis();
        let first = start + (-start).rem_euclid(block);
        let last = end - end.rem_euclid(block);
        if first >= last {
            return self.push(Span::Quarter, start, end, shift_ms);
        }
        self.push(Span::Quarter, start, first, shift_ms);
        self.push(Span::Block, first, last, shift_ms);
        self.push(Span::Quarter, last, end, shift_ms);
    }

    /// A piece that goes on where the one before it ends becomes a part of that one.
    fn push(&mut self, span: Span, start: i64, end: i64, shift_ms: i64) {
        if start >= end {
            return;
        }
        let (start, end) = (Timestamp(start), Timestamp(end));
        match self.0.last_mut() {
            Some(last) if (last.span, last.end, last.shift_ms) == (span, start, shift_ms) => last.end = end,
            _ => self.0.push(Piece { span, start, end, shift_ms }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::zone::stretches, *};
    use chrono_tz::{America, Asia, Australia, Europe, Tz};

    fn of(zone: Tz, first: &str, last: &str, grain: Grain) -> (Vec<Stretch>, Vec<Piece>) {
        let stretches = stretches(first.parse().unwrap(), last.parse().unwrap(), zone);
        let pieces = pieces(&stretches, grain);
        (stretches, pieces)
    }

    /// How many rollups of one place are read.
    fn rows(pieces: &[Piece]) -> i64 {
        pieces.iter().map(|piece| (piece.end.0 - piece.start.0) / piece.span.millis()).sum()
    }

    #[test]
    fn pieces_are_the_stretches_and_whole_rollups() {
        let zones = [
            Asia::Shanghai,
            Asia::Kathmandu,
            Asia::Kolkata,
            Australia::Lord_Howe,
            Europe::Berlin,
            America::St_Johns,
            America::Havana,
        ];
        for zone in zones {
            for grain in [Grain::Range, Grain::Day, Grain::Hour] {
                let (stretches, pieces) = of(zone, "2026-01-05", "2026-12-20", grain);
                let (mut at, mut shifts) = (stretches[0].start, stretches.iter().peekable());
                for piece in &pieces {
                    assert_eq!(piece.start, at, "{zone}");
                    assert_eq!(piece.span.start_of(piece.start), piece.start);
                    assert_eq!(piece.span.start_of(piece.end), piece.end);
                    while shifts.next_if(|stretch| stretch.end <= piece.start).is_some() {}
                    let stretch = shifts.peek().unwrap();
                    assert!(piece.end <= stretch.end && piece.shift_ms == stretch.shift_ms, "{zone}");
                    let day = |at: i64| (at + piece.shift_ms).div_euclid(DAY_MS);
                    if grain == Grain::Day && piece.span == Span::Block {
                        let blocks = (piece.start.0..piece.end.0).step_by(14_400_000);
                        assert!(blocks.into_iter().all(|at| day(at) == day(at + 14_399_999)), "{zone}");
                    }
                    at = piece.end;
                }
                assert_eq!(at, stretches.last().unwrap().end);
            }
        }
    }

    #[test]
    fn few_rollups_make_up_a_month() {
        for (zone, grain, expect) in [
            (Asia::Shanghai, Grain::Day, 30 * 6),
            (Asia::Kolkata, Grain::Day, 30 * 21),
            (Asia::Kathmandu, Grain::Day, 30 * 21),
            (Asia::Kathmandu, Grain::Range, 179 + 16),
            (Asia::Kathmandu, Grain::Hour, 30 * 96),
        ] {
            assert_eq!(rows(&of(zone, "2026-11-01", "2026-11-30", grain).1), expect, "{zone} {grain:?}");
        }
        assert_eq!(of(Asia::Shanghai, "2026-01-01", "2026-12-31", Grain::Day).1.len(), 1);
    }
}
