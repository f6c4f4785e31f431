//! One exchange's reservation in Redis: its meters' keys, what is said of it, and what comes back.
//!
//! All keys of a request carry the organization's id as their hash tag.

use super::script::Text;
use crate::store::local::Ask;
use aione_core::domain::{
    clock::Steady,
    id::{OrgId, RecordId},
    limit::{Quota, Refused, SEATS_MAX, Scope, View, Which},
    plan::RateLimits,
};
use redis::Cmd;
use std::{fmt::Write as _, sync::atomic::AtomicBool, time::Duration};

/// How long a reservation holds without being renewed: a killed node gives its places and the tokens that it
/// had not spent back after this.
pub(super) const LEASE: Duration = Duration::from_secs(30);
/// How much longer than a lease a meter is kept: a minute's window and a second on either side.
pub(super) const WINDOW: Duration = Duration::from_secs(62);
/// Redis counts in doubles: it is exact up to here, and larger limits are taken for this.
const MOST: u64 = (1 << 53) - 1;
/// The keys of one meter.
const KEYS: usize = 4;
const SUFFIXES: [&str; KEYS] = ["", ":days", ":order", ":leases"];
/// Numbers of one meter in an answer.
const NUMBERS: usize = 10;

/// What one exchange reserves of which meters.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) id: RecordId,
    pub(super) org: OrgId,
    pub(super) began: Steady,
    /// Redis knows of it.
    pub(super) has_entered: AtomicBool,
    seats: Vec<Seat>,
}

/// Its part at one limited meter.
#[derive(Debug)]
struct Seat {
    scope: Scope,
    limits: RateLimits,
    tokens: u64,
    name: String,
}

/// How an exchange enters its meters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Entrance {
    /// Where all limits admit it.
    Ask,
    /// Whatever they say: it was admitted so many seconds ago without Redis. Once.
    Count(u64),
    /// With its place in flight alone: the rest has run out, or was lost. Once.
    Place,
}

/// How it ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Exit {
    /// With the tokens that it used.
    Settle(u64),
    /// Without any.
    Release,
    /// As if it had never been.
    Unsent,
    /// Nobody knows how: what it reserved stays counted.
    Abandon,
}

/// An answer that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("Redis answered something else than was asked")]
pub(super) struct Unreadable;

impl Lease {
    /// What `ask` needs of the limits that apply; `None`: none does, and Redis need not be asked.
    pub(super) fn of(ask: &Ask<'_>, id: RecordId, now: Steady) -> Option<Self> {
        let demand = ask.demand();
        let org = ask.org;
        let seats: Vec<Seat> = ask
            .limits()
            .into_iter()
            .filter(|(_, limits)| !limits.is_unlimited())
            .map(|(scope, limits)| {
                let name = match scope {
                    Scope::Key => format!("aione:{{{org}}}:key:{}", ask.key),
                    Scope::Team => format!("aione:{{{org}}}:team:{}", ask.team),
                    Scope::Organization => format!("aione:{{{org}}}:org"),
                    Scope::Plan => format!("aione:{{{org}}}:model:{}", ask.model),
                };
                Seat { scope, limits, tokens: demand.tokens_under(limits.tpm).min(MOST), name }
            })
            .collect();
        (!seats.is_empty()).then_some(Self {
            id,
            org,
            began: now,
            has_entered: AtomicBool::new(false),
            seats,
        })
    }

    /// The command that admits it.
    pub(super) fn enter(&self, script: &Text, entrance: Entrance) -> Cmd {
        let mut command = self.run(script);
        command.arg(millis(LEASE)).arg(self.id.0.as_bytes());
        match entrance {
            Entrance::Ask => command.arg("ask"),
            Entrance::Count(seconds) => command.arg(seconds),
            Entrance::Place => command.arg("place"),
        };
        for seat in &self.seats {
            let RateLimits { rpm, tpm, rpd, concurrency } = seat.limits;
            for limit in [rpm, tpm, rpd, concurrency] {
                match limit {
                    Some(limit) => command.arg(limit.min(MOST)),
                    None => command.arg("-"),
                };
            }
            command.arg(seat.tokens);
        }
        command
    }

    /// The command that ends it.
    pub(super) fn leave(&self, script: &Text, exit: Exit) -> Cmd {
        let (how, tokens) = match exit {
            Exit::Settle(tokens) => ("settle", tokens.min(MOST)),
            Exit::Release => ("release", 0),
            Exit::Unsent => ("unsent", 0),
            Exit::Abandon => ("abandon", 0),
        };
        let mut command = self.run(script);
        command.arg(self.id.0.as_bytes()).arg(how).arg(tokens).arg(millis(LEASE));
        command
    }

    /// How many keys a renewal names.
    pub(super) fn renewed_keys(&self) -> usize {
        self.seats.len() * 2
    }

    /// Writes those keys.
    pub(super) fn name_renewed(&self, command: &mut Cmd) {
        let mut key = String::new();
        for seat in &self.seats {
            for suffix in ["", ":leases"] {
                command.arg(named(&mut key, &seat.name, suffix));
            }
        }
    }

    /// Writes the id once for each meter.
    pub(super) fn repeat_id(&self, command: &mut Cmd) {
        for _ in &self.seats {
            command.arg(self.id.0.as_bytes());
        }
    }

    /// What Redis decided: what is left, or the refusal with the longest wait.
    pub(super) fn read(&self, answer: &[i64]) -> Result<Result<View, Refused>, Unreadable> {
        let Some((admitted, numbers)) = answer.split_first() else { return Err(Unreadable) };
        let (seats, rest) = numbers.as_chunks::<NUMBERS>();
        if seats.len() != self.seats.len() || !rest.is_empty() {
            return Err(Unreadable);
        }
        let mut view = View::default();
        for (seat, numbers) in self.seats.iter().zip(seats) {
            view.tighten(seat.view(numbers));
        }
        if *admitted == 1 {
            return Ok(Ok(view));
        }
        let refusals = self.seats.iter().zip(seats).map(|(seat, numbers)| seat.refusal(numbers));
        Refused::longest(refusals).map(|refused| Err(Refused { view, ..refused })).ok_or(Unreadable)
    }

    fn run(&self, script: &Text) -> Cmd {
        let mut command = script.run(self.seats.len() * KEYS);
        let mut key = String::new();
        for seat in &self.seats {
            for suffix in SUFFIXES {
                command.arg(named(&mut key, &seat.name, suffix));
            }
        }
        command
    }
}

impl Seat {
    fn refusal(&self, numbers: &[i64; NUMBERS]) -> Option<Refused> {
        let RateLimits { rpm, tpm, rpd, concurrency } = self.limits;
        let limits =
            [(Which::Rpm, rpm), (Which::Tpm, tpm), (Which::Rpd, rpd), (Which::Concurrency, concurrency)];
        let refusals = limits.into_iter().zip(numbers).map(|((limit, max), wait)| {
            let retry_after_ms = u64::try_from(*wait).ok()?;
            Some(Refused { limit, scope: self.scope, max: max?, retry_after_ms, view: View::default() })
        });
        Refused::longest(refusals)
    }

    fn view(&self, numbers: &[i64; NUMBERS]) -> View {
        let [.., requests, requests_reset, tokens, tokens_reset, day, day_reset] = *numbers;
        let left = |limit: Option<u64>, used, reset| {
            let (used, reset_ms) = (u64::try_from(used).ok()?, u64::try_from(reset).ok()?);
            Some(Quota { limit: limit?, remaining: limit?.saturating_sub(used), reset_ms })
        };
        View::of(
            left(self.limits.rpm, requests, requests_reset),
            left(self.limits.rpd, day, day_reset),
            left(self.limits.tpm, tokens, tokens_reset),
        )
    }
}

/// Writes a meter's key into `key`.
fn named<'a>(key: &'a mut String, name: &str, suffix: &str) -> &'a str {
    key.clear();
    // Writing to a String cannot fail.
    let _ = write!(key, "{name}{suffix}");
    key
}

pub(super) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

const _: () = assert!(SEATS_MAX * KEYS <= 16, "a request names few keys");
