//! The meter of a stream of which no byte is passed on, since its caller reads another dialect: what it
//! used is read as if it were passed on, so that an answer costs the same whoever reads it.

use super::{
    HOLD_MAX, Reading,
    framing::{self, Framing},
    long::Long,
    meter::Meter,
};
use crate::wire::{
    Dialect,
    sse::{Piece, PieceKind},
};

/// See the module.
#[derive(Debug)]
pub struct StreamMeter {
    dialect: Dialect,
    framing: Framing,
    meter: Meter,
    /// What is picked out of the event that is under way, where it may become too large to be kept.
    long: Option<Box<Long>>,
}

impl StreamMeter {
    #[must_use]
    pub fn new(dialect: Dialect) -> Self {
        Self { dialect, framing: Framing::new(dialect), meter: Meter::new(dialect, false), long: None }
    }

    /// Reads `chunk`. What follows the dialect's own end is not looked at.
    pub fn feed(&mut self, chunk: &[u8]) {
        let mut at = 0;
        while !self.meter.done
            && let Some(piece) = self.framing.next(chunk, at)
        {
            at = piece.range.end;
            match piece.kind {
                PieceKind::Whole { bytes } => self.judge(chunk, &piece, bytes),
                PieceKind::Part { bytes } => self.pick(chunk, &piece, bytes),
                PieceKind::Late | PieceKind::Outside => {}
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
            Some(None) => self.meter.note_long(self.long.as_deref()),
            None => {}
        }
    }

    /// What was read so far; the text is moved out.
    pub fn take_reading(&mut self) -> Reading {
        self.meter.take_reading()
    }

    /// Picks what matters out of a long event, of which `bytes` have come.
    fn pick(&mut self, chunk: &[u8], piece: &Piece, bytes: usize) {
        let part = &chunk[piece.range.clone()];
        if let Some(long) = &mut self.long {
            long.feed(part);
        } else if bytes > HOLD_MAX && bytes - part.len() <= HOLD_MAX {
            // All of it is kept still, or has come at once.
            let kept = self.framing.partial();
            let event = if kept.is_empty() { part } else { kept };
            let long =
                (event.len() >= bytes).then(|| Long::event(self.dialect, self.framing.is_objects(), event));
            self.long = long.flatten().map(Box::new);
        }
    }

    fn judge(&mut self, chunk: &[u8], piece: &Piece, bytes: usize) {
        let Some(event) = self.framing.event(chunk, piece) else {
            self.pick(chunk, piece, bytes);
            return self.meter.note_long(self.long.take().as_deref());
        };
        self.long = None;
        if event == framing::CLOSE && self.framing.is_objects() {
            self.meter.close();
        } else if let Some(data) = self.framing.data(event) {
            self.meter.judge(event, &data);
        }
    }
}
