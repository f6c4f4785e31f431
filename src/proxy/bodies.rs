//! Room for request bodies: what the process holds of them at a time is bounded, however many
//! callers send how much, and before any limit of theirs can be looked at. Answers that are held to be
//! translated share it.

use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// All bodies that need leave, of requests and of answers that are translated whole, together.
const BODIES_MAX_BYTES: usize = 1 << 30;
/// A body up to this size needs none: `server.max_connections` bounds those.
const FREE_BYTES: usize = 64 * 1024;
/// Bodies that are decoded at a time; each may come to `server.max_body` before it is counted.
const DECODERS_MAX: usize = 8;
/// What room is counted in.
const UNIT_BYTES: usize = 64 * 1024;

/// The process's room; clones are the same one.
#[derive(Clone, Debug)]
pub(crate) struct Bodies {
    room: Arc<Semaphore>,
    decoders: Arc<Semaphore>,
}

/// What one body takes of it, until it is dropped.
#[derive(Debug)]
pub(crate) struct Room {
    bodies: Bodies,
    taken: Option<OwnedSemaphorePermit>,
}

/// There is no room at the moment.
#[derive(Debug)]
pub(crate) struct NoRoom;

impl Default for Bodies {
    fn default() -> Self {
        Self::of(BODIES_MAX_BYTES)
    }
}

impl Bodies {
    pub(crate) fn of(bytes: usize) -> Self {
        Self {
            room: Arc::new(Semaphore::new(bytes / UNIT_BYTES)),
            decoders: Arc::new(Semaphore::new(DECODERS_MAX)),
        }
    }

    pub(crate) fn room(&self) -> Room {
        Room { bodies: self.clone(), taken: None }
    }
}

impl Room {
    /// Takes what a body of `bytes` needs, if it is there.
    pub(crate) fn fit(&mut self, bytes: usize) -> Result<(), NoRoom> {
        let missing = self.missing(bytes);
        if missing == 0 {
            return Ok(());
        }
        let more = self.bodies.room.clone().try_acquire_many_owned(missing).map_err(|_| NoRoom)?;
        self.add(more);
        Ok(())
    }

    /// A turn at decoding, which is waited for: others take milliseconds.
    pub(crate) async fn decoding(&self, wait: Duration) -> Result<OwnedSemaphorePermit, NoRoom> {
        let turn = self.bodies.decoders.clone().acquire_owned();
        timeout(wait, turn).await.map_err(|_| NoRoom)?.map_err(|_| NoRoom)
    }

    /// Gives back what a body of `bytes` does not need.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        let needed = units(bytes) as usize;
        if let Some(taken) = &mut self.taken {
            let spare = taken.num_permits().saturating_sub(needed);
            drop(taken.split(spare));
        }
    }

    fn missing(&self, bytes: usize) -> u32 {
        let taken = self.taken.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        units(bytes).saturating_sub(u32::try_from(taken).unwrap_or(u32::MAX))
    }

    fn add(&mut self, more: OwnedSemaphorePermit) {
        match &mut self.taken {
            Some(taken) => taken.merge(more),
            None => self.taken = Some(more),
        }
    }
}

fn units(bytes: usize) -> u32 {
    if bytes <= FREE_BYTES {
        return 0;
    }
    u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[tokio::test]
    async fn few_are_decoded_at_a_time() {
        let room = Bodies::default().room();
        let mut turns = Vec::new();
        for _ in 0..DECODERS_MAX {
            turns.push(room.decoding(Duration::ZERO).await.unwrap());
        }
        assert!(room.decoding(Duration::ZERO).await.is_err());
        turns.pop();
        drop(room.decoding(Duration::ZERO).await.unwrap());
    }

    #[test]
    fn room_is_bounded_shrinks_and_comes_back() {
        let bodies = Bodies::of(4 * MIB);
        let (mut one, mut other) = (bodies.room(), bodies.room());
        one.fit(3 * MIB).unwrap();
        one.fit(2 * MIB).unwrap();
        assert!(other.fit(2 * MIB).is_err());
        other.fit(FREE_BYTES).expect("a small body needs no leave");
        one.shrink_to(2 * MIB);
        other.fit(2 * MIB).unwrap();
        assert!(other.fit(3 * MIB).is_err());
        drop(one);
        other.fit(3 * MIB).unwrap();
        drop(other);
        assert_eq!(bodies.room.available_permits(), 4 * MIB / UNIT_BYTES);
    }
}
