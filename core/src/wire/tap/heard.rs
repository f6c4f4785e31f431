//! The meter of a stream of which no byte is passed on, since its caller reads another dialect: what it
//! used is read as if it were passed on, so that an answer costs the same whoever reads it.

use super::{
    Reading,
    framing::{self, Framing},
    meter::Meter,
};
use crate::wire::{
    Dialect,
    sse::{Piece, PieceKind},
};

/// See the module.
#[derive(Debug)]
pub struct StreamMeter {
    framing: Framing,
    meter: Meter,
}

impl StreamMeter {
    #[must_use]
    pub fn new(dialect: Dialect) -> Self {
        Self { framing: Framing::new(dialect), meter: Meter::new(dialect, false) }
    }

    /// Reads `chunk`. What follows the dialect's own end is not looked at.
    pub fn feed(&mut self, chunk: &[u8]) {
        let mut at = 0;
        while !self.meter.done
            && let Some(piece) = self.framing.next(chunk, at)
        {
            at = piece.range.end;
            if matches!(piece.kind, PieceKind::Whole { .. }) {
                self.judge(chunk, &piece);
            }
        }
    }

    /// The body has come to its proper end.
    pub fn finish(&mut self) {
        self.meter.clean_end = !self.framing.is_torn();
        match self.framing.unfinished().filter(|_| !self.meter.done) {
            Some(Some(event)) => {
                if let Some(data) = self.framing.data(event) {
                    self.meter.judge(event, &data);
                }
            }
            Some(None) => self.meter.note_long(None),
            None => {}
        }
    }

    /// What was read so far; the text is moved out.
    pub fn take_reading(&mut self) -> Reading {
        self.meter.take_reading()
    }

    fn judge(&mut self, chunk: &[u8], piece: &Piece) {
        let Some(event) = self.framing.event(chunk, piece) else { return self.meter.note_long(None) };
        if event == framing::CLOSE && self.framing.is_objects() {
            self.meter.close();
        } else if let Some(data) = self.framing.data(event) {
            self.meter.judge(event, &data);
        }
    }
}
