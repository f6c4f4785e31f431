//! Rate limits: exact sliding windows, and admission by all that apply or by none.
//!
//! A request is **reserved** before an upstream is asked and then settled, released or
//! abandoned. All pure: time is an argument, locks and the registry of meters are the caller's.

mod meter;
mod refusal;
#[cfg(test)]
mod tests;
mod window;

pub use meter::{CONCURRENCY_RETRY_MS, Demand, Meter, Share};
pub use refusal::{Quota, Refused, Scope, View, Which};
pub use window::{DAY_SLOTS_MAX, Entry, MINUTE_SLOTS_MAX, Window};

use crate::domain::{clock::Steady, plan::RateLimits};
use std::ops::DerefMut;

/// Most meters that one request goes through: key, team, organization, plan.
pub const SEATS_MAX: usize = 4;

/// A meter that a request must pass, held for as long as that takes.
#[derive(Debug)]
pub struct Seat<M> {
    pub scope: Scope,
    pub limits: RateLimits,
    /// `&mut Meter` or a lock's guard.
    pub meter: M,
}

/// Admits the request at every seat, or takes nothing anywhere and says why.
///
/// A share stands at the index of its seat. The view is what is left afterwards.
///
/// # Errors
/// The refusal with the longest wait.
pub fn admit<M: DerefMut<Target = Meter>>(
    seats: &mut [Option<Seat<M>>; SEATS_MAX],
    demand: &Demand,
    now: Steady,
) -> Result<([Option<Share>; SEATS_MAX], View), Refused> {
    let refusals =
        seats.iter_mut().flatten().map(|seat| seat.meter.refusal(seat.scope, &seat.limits, demand, now));
    if let Some(refused) = Refused::longest(refusals) {
        return Err(Refused { view: view(seats, now), ..refused });
    }
    let shares = begin_all(seats, demand, now);
    Ok((shares, view(seats, now)))
}

/// Counts at every seat a request that somebody else has admitted, whatever the limits.
pub fn begin_all<M: DerefMut<Target = Meter>>(
    seats: &mut [Option<Seat<M>>; SEATS_MAX],
    demand: &Demand,
    now: Steady,
) -> [Option<Share>; SEATS_MAX] {
    seats.each_mut().map(|seat| seat.as_mut().map(|seat| seat.meter.begin(&seat.limits, demand, now)))
}

fn view<M: DerefMut<Target = Meter>>(seats: &mut [Option<Seat<M>>; SEATS_MAX], now: Steady) -> View {
    let mut tightest = View::default();
    for seat in seats.iter_mut().flatten() {
        tightest.tighten(seat.meter.view(&seat.limits, now));
    }
    tightest
}
