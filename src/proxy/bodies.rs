//! Room for request bodies: what the process holds of them at a time is bounded, however many
//! callers send how much, and before any limit of theirs can be looked at.

use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// All bodies that need leave, together.
const BODIES_MAX_BYTES: usize = 1 << 30;
/// A body up to this size needs none: `server.max_connections` bounds those.
const FREE_BYTES: usize = 64 * 1024;
/// What room is counted in.
const UNIT_BYTES: usize = 64 * 1024;

/// The process's room; clones are the same one.
#[derive(Clone, Debug)]
pub(crate) struct Bodies(Arc<Semaphore>);

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
    fn of(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes / UNIT_BYTES)))
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
        let more = self.bodies.0.clone().try_acquire_many_owned(missing).map_err(|_| NoRoom)?;
        self.add(more);
        Ok(())
    }

    /// The same, but waits for it.
    pub(crate) async fn fit_within(&mut self, bytes: usize, wait: Duration) -> Result<(), NoRoom> {
        let missing = self.missing(bytes);
        if missing == 0 {
            return Ok(());
        }
        let asked = self.bodies.0.clone().acquire_many_owned(missing);
        let more = timeout(wait, asked).await.map_err(|_| NoRoom)?.map_err(|_| NoRoom)?;
        self.add(more);
        Ok(())
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
    async fn room_is_bounded_shrinks_and_comes_back() {
        let bodies = Bodies::of(4 * MIB);
        let (mut one, mut other) = (bodies.room(), bodies.room());
        one.fit(3 * MIB).unwrap();
        one.fit(2 * MIB).unwrap();
        assert!(other.fit(2 * MIB).is_err());
        other.fit(FREE_BYTES).expect("a small body needs no leave");
        one.shrink_to(2 * MIB);
        other.fit(2 * MIB).unwrap();
        let waits = Duration::from_secs(60);
        let (waited, ()) = tokio::join!(other.fit_within(3 * MIB, waits), async { drop(one) });
        waited.unwrap();
        assert!(bodies.room().fit_within(5 * MIB, Duration::ZERO).await.is_err(), "never that much");
        drop(other);
        assert_eq!(bodies.0.available_permits(), 4 * MIB / UNIT_BYTES);
    }
}
