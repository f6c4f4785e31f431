//! What one scope has in use: its windows of requests and tokens, and its requests in flight.

use super::{
    refusal::{Refused, Scope, View, Which},
    window::{Entry, Window},
};
use crate::domain::{clock::Steady, plan::RateLimits};

/// How long a caller who met the concurrency limit is told to wait: nobody knows when another
/// request will end.
pub const CONCURRENCY_RETRY_MS: u64 = 1000;

/// What a request asks to be counted before it is sent, in tokens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Demand {
    /// Input tokens, estimated from the size of the text.
    pub estimated_input: u64,
    /// The most output tokens the request allows.
    pub ceiling: u64,
    /// The most of `ceiling` that is reserved. `None`: strict, all of it.
    pub reserve_cap: Option<u64>,
}

impl Demand {
    /// The tokens to reserve under a limit of `tpm`; at least one.
    ///
    /// With a cap it is at most the limit itself, so that a request which asks for more than
    /// the limit waits for an empty window instead of being refused for ever. Strict
    /// reservations do not bend.
    #[must_use]
    pub fn tokens_under(&self, tpm: Option<u64>) -> u64 {
        let tokens = match self.reserve_cap {
            None => self.estimated_input.saturating_add(self.ceiling),
            Some(cap) => {
                let tokens = self.estimated_input.saturating_add(self.ceiling.min(cap));
                tokens.min(tpm.unwrap_or(u64::MAX))
            }
        };
        tokens.max(1)
    }
}

/// One scope's counters. Limits are not in it: they come with each question, so that a changed
/// limit finds what was used before.
#[derive(Debug)]
pub struct Meter {
    /// Requests in the last 60 seconds.
    requests: Window,
    /// Tokens in the last 60 seconds, reservations included.
    tokens: Window,
    /// Requests in the last 24 hours; counted only while there is a limit on them.
    day: Window,
    in_flight: u64,
}

/// What one request holds of one meter, until [`Meter::settle`], [`Meter::release`] or
/// [`Meter::abandon`]. Not `Clone`: it is closed once.
#[derive(Debug)]
#[must_use]
pub struct Share {
    request: Entry,
    tokens: Entry,
    day: Option<Entry>,
}

impl Default for Meter {
    fn default() -> Self {
        Self { requests: Window::minute(), tokens: Window::minute(), day: Window::day(), in_flight: 0 }
    }
}

impl Meter {
    /// Why one more request may not pass; `None`: it may. Where several limits are met, the one
    /// with the longest wait. Takes nothing, and leaves the view to [`super::admit`].
    pub fn refusal(
        &mut self,
        scope: Scope,
        limits: &RateLimits,
        demand: &Demand,
        now: Steady,
    ) -> Option<Refused> {
        let view = View::default();
        let refused = |limit, max, retry_after_ms| Refused { limit, scope, max, retry_after_ms, view };
        let over = |window: &mut Window, which, amount, limit: Option<u64>| {
            let max = limit?;
            if window.has_room(amount, max, now) {
                return None;
            }
            Some(refused(which, max, window.wait_ms(amount, max, now)))
        };
        let tokens = demand.tokens_under(limits.tpm);
        let full = limits.concurrency.filter(|max| self.in_flight >= *max);
        Refused::longest([
            over(&mut self.requests, Which::Rpm, 1, limits.rpm),
            over(&mut self.tokens, Which::Tpm, tokens, limits.tpm),
            over(&mut self.day, Which::Rpd, 1, limits.rpd),
            full.map(|max| refused(Which::Concurrency, max, CONCURRENCY_RETRY_MS)),
        ])
    }

    /// Counts one request as begun, whatever the limits.
    pub fn begin(&mut self, limits: &RateLimits, demand: &Demand, now: Steady) -> Share {
        self.in_flight += 1;
        Share {
            request: self.requests.add(1, now),
            tokens: self.tokens.add(demand.tokens_under(limits.tpm), now),
            day: limits.rpd.map(|_| self.day.add(1, now)),
        }
    }

    /// Ends a request that used `tokens`: gives back what it did not use, or counts what it used
    /// beyond its reservation in the present second, also beyond the limit: later requests wait
    /// for it.
    pub fn settle(&mut self, share: Share, tokens: u64, now: Steady) {
        let reserved = share.tokens.amount();
        if tokens < reserved {
            self.tokens.give_back(&share.tokens, reserved - tokens);
        } else {
            let _over_use = self.tokens.add(tokens - reserved, now);
        }
        self.abandon(share);
    }

    /// Ends a request that used no tokens. It stays counted as a request, unless it was
    /// `unsent`: nothing reached an upstream, by our own fault.
    pub fn release(&mut self, share: Share, unsent: bool) {
        self.tokens.give_back(&share.tokens, share.tokens.amount());
        if unsent {
            self.requests.give_back(&share.request, 1);
            if let Some(day) = &share.day {
                self.day.give_back(day, 1);
            }
        }
        self.abandon(share);
    }

    /// Ends a request of which nothing is known: what it reserved stays counted until it leaves
    /// the window.
    pub fn abandon(&mut self, _share: Share) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// What `limits` leave at `now`.
    pub fn view(&mut self, limits: &RateLimits, now: Steady) -> View {
        let left = |window: &mut Window, limit: Option<u64>| {
            let limit = limit?;
            let remaining = limit.saturating_sub(window.used(now));
            Some(super::Quota { limit, remaining, reset_ms: window.empty_in_ms(now) })
        };
        View::of(
            left(&mut self.requests, limits.rpm),
            left(&mut self.day, limits.rpd),
            left(&mut self.tokens, limits.tpm),
        )
    }

    /// Requests in the last 60 seconds.
    pub fn requests_used(&mut self, now: Steady) -> u64 {
        self.requests.used(now)
    }

    /// Tokens in the last 60 seconds, reservations included.
    pub fn tokens_used(&mut self, now: Steady) -> u64 {
        self.tokens.used(now)
    }

    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// Whether it says the same as a new one, so that it can be forgotten.
    pub fn is_idle(&mut self, now: Steady) -> bool {
        self.in_flight == 0
            && self.requests.used(now) == 0
            && self.tokens.used(now) == 0
            && self.day.used(now) == 0
    }
}
