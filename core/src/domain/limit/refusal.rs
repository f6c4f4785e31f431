//! What a caller is told of the limits: which one refused, and how much is left.

/// A limit of a meter.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Which {
    Rpm,
    Tpm,
    Rpd,
    Concurrency,
}

/// Whose limit it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Scope {
    Key,
    Team,
    Organization,
    /// The plan's, over one organization and model.
    Plan,
}

/// We said no.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the {} limit of {max} of the {} is reached", limit.as_str(), scope.as_str())]
pub struct Refused {
    pub limit: Which,
    pub scope: Scope,
    /// The limit's value.
    pub max: u64,
    /// Until enough has left the window, if nothing else comes.
    pub retry_after_ms: u64,
    /// What is left of all limits that were asked, for the headers.
    pub view: View,
}

/// What is left of the tightest limits, for the rate-limit headers. `None`: not limited.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct View {
    /// Of requests per minute and per day, whichever leaves fewer.
    pub requests: Option<Quota>,
    pub tokens: Option<Quota>,
}

/// What is left of one limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quota {
    pub limit: u64,
    pub remaining: u64,
    /// Until the whole limit is there again, if nothing else comes.
    pub reset_ms: u64,
}

impl Which {
    /// The name in refusals and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rpm => "rpm",
            Self::Tpm => "tpm",
            Self::Rpd => "rpd",
            Self::Concurrency => "concurrency",
        }
    }
}

impl Scope {
    /// The name in refusals and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Team => "team",
            Self::Organization => "organization",
            Self::Plan => "plan",
        }
    }
}

impl Refused {
    /// The one that takes longest to go away, so that a caller who waits for it passes; the
    /// first of equals.
    #[must_use]
    pub fn longest(refusals: impl IntoIterator<Item = Option<Self>>) -> Option<Self> {
        refusals.into_iter().flatten().reduce(|longest, other| {
            if other.retry_after_ms > longest.retry_after_ms { other } else { longest }
        })
    }
}

impl View {
    /// Of one meter: what its limits on requests a minute, requests a day and tokens leave.
    #[must_use]
    pub fn of(minute: Option<Quota>, day: Option<Quota>, tokens: Option<Quota>) -> Self {
        Self { requests: Quota::tighter(minute, day), tokens }
    }

    /// Keeps the tighter of each.
    pub fn tighten(&mut self, other: Self) {
        self.requests = Quota::tighter(self.requests, other.requests);
        self.tokens = Quota::tighter(self.tokens, other.tokens);
    }
}

impl Quota {
    /// The one that leaves less; of equals the one that takes longer to come back.
    fn tighter(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        let (Some(a), Some(b)) = (one, other) else { return one.or(other) };
        let a_is_tighter = (a.remaining, u64::MAX - a.reset_ms) <= (b.remaining, u64::MAX - b.reset_ms);
        Some(if a_is_tighter { a } else { b })
    }
}
