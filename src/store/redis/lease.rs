//! One exchange's reservation in Redis: the keys of its meters and purses, what is said of it, and what comes back.
//!
//! All keys of a request carry the organization's id as their hash tag.

use super::script::Text;
use crate::store::local::Ask;
use aione_core::domain::{
    budget::{CLAIMS_MAX, Claim, Claims, Owner},
    clock::Steady,
    id::{OrgId, RecordId},
    limit::{Quota, Refused, SEATS_MAX, Scope, View, Which},
    money::Pico,
    plan::RateLimits,
};
use redis::Cmd;
use std::{fmt::Write as _, sync::atomic::AtomicBool, time::Duration};

/// How long a reservation holds without being renewed: a killed node gives its places and the tokens that it
/// had not spent back after this.
pub(super) const LEASE: Duration = Duration::from_secs(30);
/// How much longer than a lease a meter or a purse is kept: a minute's window and a second on either side.
pub(super) const WINDOW: Duration = Duration::from_secs(62);
/// How long what the store has of a purse may be more than what was told, before it is believed: `BEHIND` of
/// `purse.lua`.
const BELIEVED: Duration = Duration::from_secs(5);
/// Redis counts in doubles: it is exact up to here, and larger limits are taken for this.
const MOST: u64 = (1 << 53) - 1;
/// The keys of one meter.
const KEYS: usize = 4;
const SUFFIXES: [&str; KEYS] = ["", ":days", ":order", ":leases"];
/// Numbers of one meter in an answer.
const NUMBERS: usize = 10;
/// The keys of one purse, and of whatever has leases those that a renewal names.
const LEASED: [&str; 2] = ["", ":leases"];
const PICO_PER_UNIT: i128 = 1_000_000_000_000;

/// What one exchange reserves of which meters and purses.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) id: RecordId,
    pub(super) org: OrgId,
    pub(super) began: Steady,
    /// Redis knows of it.
    pub(super) has_entered: AtomicBool,
    seats: Vec<Seat>,
    purses: Vec<Purse>,
    /// What it reserves of each purse.
    amount: Pico,
}

/// A purse that it is paid from.
#[derive(Debug)]
struct Purse {
    claim: Claim,
    name: String,
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
    Count { ago_s: u64, still_runs: bool },
    /// With its place in flight alone: the rest has run out, or was lost. Once.
    Place,
}

/// How it ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Exit {
    /// With the tokens that it used, and what it did cost. `None`: nobody knows yet, and what was reserved
    /// stays taken.
    Settle(u64, Option<Pico>),
    /// Without any.
    Release,
    /// As if it had never been.
    Unsent,
    /// Nobody knows how: what it reserved of limits stays counted. It has cost nothing: who may have to pay
    /// settles.
    Abandon,
}

impl Exit {
    /// The same, told after so long: the store tells the cost by then, and has been believed.
    pub(super) fn told_after(self, waited: Duration) -> Self {
        match self {
            Self::Settle(tokens, _) if waited >= BELIEVED => Self::Settle(tokens, Some(Pico::ZERO)),
            exit => exit,
        }
    }
}

/// Why it is not admitted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Turned {
    ByLimit(Refused),
    /// This one's purse has not enough left.
    ByPurse(Owner),
}

/// An answer that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("Redis answered something else than was asked")]
pub(super) struct Unreadable;

impl Lease {
    /// What `ask` needs of the limits that apply and of the purses; `None`: none does, and Redis need not be asked.
    pub(super) fn of(ask: &Ask<'_>, claims: &Claims, id: RecordId, now: Steady) -> Option<Self> {
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
        let purses: Vec<Purse> =
            claims.of.into_iter().flatten().map(|claim| Purse { claim, name: purse_name(&claim) }).collect();
        (!seats.is_empty() || !purses.is_empty()).then_some(Self {
            id,
            org,
            began: now,
            has_entered: AtomicBool::new(false),
            seats,
            purses,
            amount: claims.amount,
        })
    }

    /// The command that admits it.
    pub(super) fn enter(&self, script: &Text, entrance: Entrance) -> Cmd {
        let mut command = self.run(script);
        command.arg(millis(LEASE)).arg(self.id.0.as_bytes());
        match entrance {
            Entrance::Ask => command.arg("ask"),
            Entrance::Count { ago_s, still_runs: false } => command.arg(ago_s),
            Entrance::Count { ago_s, still_runs: true } => command.arg(format!("{ago_s}+")),
            Entrance::Place => command.arg("place"),
        };
        command.arg(self.seats.len());
        put_amount(&mut command, self.amount);
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
        for Purse { claim, .. } in &self.purses {
            put_amount(&mut command, claim.spent);
            match claim.stored {
                Some(stored) => put_amount(&mut command, stored),
                None => {
                    command.arg("-").arg("-");
                }
            }
            put_amount(&mut command, claim.allowed);
        }
        command
    }

    /// The command that ends it.
    pub(super) fn leave(&self, script: &Text, exit: Exit) -> Cmd {
        let (how, tokens, cost) = match exit {
            Exit::Settle(tokens, cost) => ("settle", tokens.min(MOST), cost.unwrap_or(self.amount)),
            Exit::Release => ("release", 0, Pico::ZERO),
            Exit::Unsent => ("unsent", 0, Pico::ZERO),
            Exit::Abandon => ("abandon", 0, Pico::ZERO),
        };
        let mut command = self.run(script);
        command.arg(self.id.0.as_bytes()).arg(how).arg(tokens).arg(millis(LEASE)).arg(self.seats.len());
        put_amount(&mut command, cost);
        command
    }

    /// How many keys a renewal names.
    pub(super) fn renewed_keys(&self) -> usize {
        (self.seats.len() + self.purses.len()) * LEASED.len()
    }

    /// Writes those keys.
    pub(super) fn name_renewed(&self, command: &mut Cmd) {
        let mut key = String::new();
        for name in self.names() {
            for suffix in LEASED {
                command.arg(named(&mut key, name, suffix));
            }
        }
    }

    /// Writes the id once for each meter and purse.
    pub(super) fn repeat_id(&self, command: &mut Cmd) {
        for _ in self.names() {
            command.arg(self.id.0.as_bytes());
        }
    }

    /// What Redis decided: what is left, or the refusal with the longest wait, or else the first purse that
    /// refuses.
    pub(super) fn read(&self, answer: &[i64]) -> Result<Result<View, Turned>, Unreadable> {
        let Some((admitted, numbers)) = answer.split_first() else { return Err(Unreadable) };
        let Some((seats, purses)) = numbers.split_at_checked(self.seats.len() * NUMBERS) else {
            return Err(Unreadable);
        };
        if purses.len() != self.purses.len() {
            return Err(Unreadable);
        }
        let (seats, _) = seats.as_chunks::<NUMBERS>();
        let mut view = View::default();
        for (seat, numbers) in self.seats.iter().zip(seats) {
            view.tighten(seat.view(numbers));
        }
        if *admitted == 1 {
            return Ok(Ok(view));
        }
        let refusals = self.seats.iter().zip(seats).map(|(seat, numbers)| seat.refusal(numbers));
        if let Some(refused) = Refused::longest(refusals) {
            return Ok(Err(Turned::ByLimit(Refused { view, ..refused })));
        }
        let empty = self.purses.iter().zip(purses).find(|(_, has_room)| **has_room == 0);
        empty.map(|(purse, _)| Err(Turned::ByPurse(purse.claim.owner))).ok_or(Unreadable)
    }

    fn run(&self, script: &Text) -> Cmd {
        let mut command = script.run(self.seats.len() * KEYS + self.purses.len() * LEASED.len());
        let mut key = String::new();
        for seat in &self.seats {
            for suffix in SUFFIXES {
                command.arg(named(&mut key, &seat.name, suffix));
            }
        }
        for purse in &self.purses {
            for suffix in LEASED {
                command.arg(named(&mut key, &purse.name, suffix));
            }
        }
        command
    }

    /// What has leases of it.
    fn names(&self) -> impl Iterator<Item = &str> {
        self.seats.iter().map(|seat| &*seat.name).chain(self.purses.iter().map(|purse| &*purse.name))
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

/// What a purse is called in a term: in the next one it is another.
fn purse_name(Claim { owner, term, .. }: &Claim) -> String {
    let (org, from) = (owner.org(), term.from.0);
    match owner {
        Owner::Account(_) => format!("aione:{{{org}}}:account"),
        Owner::Organization(_) => format!("aione:{{{org}}}:budget:{from}"),
        Owner::Team(_, team) => format!("aione:{{{org}}}:team:{team}:budget:{from}"),
        Owner::Key(_, key, period) => format!("aione:{{{org}}}:key:{key}:{}:{from}", period.as_str()),
    }
}

/// Writes an amount as whole units and parts of one; what Redis cannot count exactly is taken for the most
/// that it can.
fn put_amount(command: &mut Cmd, amount: Pico) {
    let units = amount.0.div_euclid(PICO_PER_UNIT).clamp(-i128::from(MOST), i128::from(MOST));
    let parts = amount.0.rem_euclid(PICO_PER_UNIT);
    // Both fit: the one is within 2⁵³, the other below 10¹².
    command.arg(units as i64).arg(parts as i64);
}

/// Writes the key of a meter or a purse into `key`.
fn named<'a>(key: &'a mut String, name: &str, suffix: &str) -> &'a str {
    key.clear();
    // Writing to a String cannot fail.
    let _ = write!(key, "{name}{suffix}");
    key
}

pub(super) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

const _: () = assert!(SEATS_MAX * KEYS + CLAIMS_MAX * LEASED.len() <= 24, "a request names few keys");
