//! One frame of the journal: its bytes, and finding the next good one among damaged bytes.
//!
//! Layout, little-endian: `u32` payload length, `u32` CRC-32 of length, kind and payload, `u8`
//! kind, payload (postcard).

mod former;

use aione_core::domain::{
    outlay::Outlay,
    usage::{Closed, Opened, UsageRecord},
};
use serde::Serialize;

/// Bytes before the payload.
pub(super) const HEADER_BYTES: usize = 9;
/// Longest payload that is written or believed. The names in a record are bounded by the
/// configuration to a small part of this.
pub(super) const PAYLOAD_MAX: usize = 16 * 1024;
/// Longest frame.
pub(super) const FRAME_MAX: usize = HEADER_BYTES + PAYLOAD_MAX;

/// A frame's meaning. The number is on disk: a changed payload gets a new one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Kind {
    /// An admitted exchange, also when it is carried forward from an older segment.
    Opened = 1,
    /// An ended exchange, with its `Opened` again, so that no other frame is needed to bill it, and with
    /// what it cost the operator.
    Closed = 6,
    /// The same before characters and seconds were counted; read, and no longer written.
    ClosedBefore = 5,
    /// The same before what it cost the operator was noted.
    ClosedFirst = 4,
    /// An exchange whose slot was dropped unclosed.
    Abandoned = 3,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Opened, Self::Closed, Self::ClosedBefore, Self::ClosedFirst, Self::Abandoned]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// A decoded frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Frame {
    Opened(Opened),
    Closed(Box<UsageRecord>),
    Abandoned(Opened),
}

/// What stands at the start of a window of bytes.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Step<'a> {
    /// A frame whose checksum is right, and its whole length.
    Good { kind: Kind, payload: &'a [u8], size: usize },
    /// This many bytes are no frame.
    Bad { skip: usize },
    /// Nothing is left, or more bytes are needed to tell.
    Short,
}

/// The frame does not fit into [`PAYLOAD_MAX`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TooLong;

/// Appends an `opened` frame to `out`.
pub(super) fn put_opened(opened: &Opened, out: &mut Vec<u8>) -> Result<(), TooLong> {
    put(Kind::Opened, opened, out)
}

/// Appends an `abandoned` frame to `out`.
pub(super) fn put_abandoned(opened: &Opened, out: &mut Vec<u8>) -> Result<(), TooLong> {
    put(Kind::Abandoned, opened, out)
}

/// Appends a `closed` frame to `out`.
pub(super) fn put_closed(opened: &Opened, closed: &Closed, out: &mut Vec<u8>) -> Result<(), TooLong> {
    let Outlay { cost, failed } = &closed.outlay;
    put(Kind::Closed, &(opened, closed, cost, failed), out)
}

/// Appends a `closed` frame as it was before pieces were counted.
#[cfg(test)]
pub(super) fn put_closed_before(opened: &Opened, closed: &Closed, out: &mut Vec<u8>) {
    let failed: Vec<_> = closed.outlay.failed.iter().map(former::Failed::of).collect();
    put(Kind::ClosedBefore, &(opened, former::Closed::of(closed), closed.outlay.cost, failed), out)
        .expect("it fits");
}

/// Appends a `closed` frame as it was before an outlay was noted.
#[cfg(test)]
pub(super) fn put_closed_first(opened: &Opened, closed: &Closed, out: &mut Vec<u8>) {
    put(Kind::ClosedFirst, &(opened, former::Closed::of(closed)), out).expect("it fits");
}

fn put(kind: Kind, value: &impl Serialize, out: &mut Vec<u8>) -> Result<(), TooLong> {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER_BYTES]);
    let written = postcard::to_extend(value, std::mem::take(out));
    *out = written.expect("a vector takes every byte, and these types have no failing serializer");
    let payload = out.len() - start - HEADER_BYTES;
    if payload > PAYLOAD_MAX {
        out.truncate(start);
        return Err(TooLong);
    }
    let length = u32::try_from(payload).expect("PAYLOAD_MAX fits 32 bits").to_le_bytes();
    out[start..start + 4].copy_from_slice(&length);
    out[start + 8] = kind as u8;
    let sum = checksum(length, &out[start + 8..]);
    out[start + 4..start + 8].copy_from_slice(&sum.to_le_bytes());
    Ok(())
}

/// Reads what stands at the start of `window`. With `last`, the window ends where the data
/// ends; otherwise more bytes follow it, and it must hold [`FRAME_MAX`] to be judged.
pub(super) fn step(window: &[u8], last: bool) -> Step<'_> {
    if window.is_empty() || (!last && window.len() < FRAME_MAX) {
        return Step::Short;
    }
    if let Some((kind, payload)) = good(window) {
        return Step::Good { kind, payload, size: HEADER_BYTES + payload.len() };
    }
    // Only an offset with a whole FRAME_MAX after it, or with all that is left, can be judged.
    let judged = if last { window.len() } else { window.len() - FRAME_MAX + 1 };
    let skip = (1..judged).find(|&at| good(&window[at..]).is_some()).unwrap_or(judged);
    Step::Bad { skip }
}

/// The frame at the start of `bytes`, if it is whole and its checksum is right.
fn good(bytes: &[u8]) -> Option<(Kind, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
    let [l0, l1, l2, l3, c0, c1, c2, c3, kind] = *head;
    let kind = Kind::from_byte(kind)?;
    let length = [l0, l1, l2, l3];
    let size = usize::try_from(u32::from_le_bytes(length)).ok()?;
    if size == 0 || size > PAYLOAD_MAX {
        return None;
    }
    let payload = rest.get(..size)?;
    let sum = checksum(length, &bytes[HEADER_BYTES - 1..HEADER_BYTES + size]);
    (sum == u32::from_le_bytes([c0, c1, c2, c3])).then_some((kind, payload))
}

fn checksum(length: [u8; 4], kind_and_payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length);
    hasher.update(kind_and_payload);
    hasher.finalize()
}

/// The meaning of a payload; `None` when this version cannot read it.
pub(super) fn decode(kind: Kind, payload: &[u8]) -> Option<Frame> {
    match kind {
        Kind::Opened => postcard::from_bytes(payload).ok().map(Frame::Opened),
        Kind::Abandoned => postcard::from_bytes(payload).ok().map(Frame::Abandoned),
        Kind::Closed => {
            let (opened, closed, cost, failed): (_, Closed, _, _) = postcard::from_bytes(payload).ok()?;
            let closed = Closed { outlay: Outlay { cost, failed }, ..closed };
            Some(Frame::Closed(Box::new(UsageRecord { opened, closed })))
        }
        Kind::ClosedBefore => {
            let (opened, closed, cost, failed): (_, former::Closed, _, Vec<former::Failed>) =
                postcard::from_bytes(payload).ok()?;
            let failed = failed.into_iter().map(former::Failed::into_attempt).collect();
            let closed = closed.into_closed(Outlay { cost, failed });
            Some(Frame::Closed(Box::new(UsageRecord { opened, closed })))
        }
        Kind::ClosedFirst => {
            let (opened, closed): (_, former::Closed) = postcard::from_bytes(payload).ok()?;
            let closed = closed.into_closed(Outlay::default());
            Some(Frame::Closed(Box::new(UsageRecord { opened, closed })))
        }
    }
}
