//! What an answer costs the operator: what upstreams are paid, attempt by attempt, and what is left of
//! what the organization was charged. Organizations never see it.

use crate::domain::{
    clock::Timestamp,
    money::Pico,
    price::ModelPrice,
    usage::{Closed, End, Provenance, Usage, UsageRecord},
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What upstreams are paid for one exchange.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Outlay {
    /// For the attempt whose answer the caller got. `None`: not known, because the deployment states no
    /// cost for what was used, or the process died.
    pub cost: Option<Pico>,
    /// The attempts before it, or all of them where none brought an answer; at most as many as a route
    /// may have attempts.
    pub failed: Vec<FailedAttempt>,
}

/// An attempt that brought nothing usable. The caller is not charged for it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FailedAttempt {
    pub provider: Arc<str>,
    /// The deployment's own model id.
    pub upstream_model: Arc<str>,
    /// Why, such as `server_error`: the name in metrics.
    pub fault: Arc<str>,
    /// What the upstream reported, nearly always nothing.
    pub usage: Usage,
    /// `None`: not known; it may have made tokens that nobody reported.
    pub cost: Option<Pico>,
}

/// What attempts at one deployment came to. Revenue is what organizations were charged for its answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Margin {
    pub attempts: u64,
    /// Of them, those that failed.
    pub failed: u64,
    /// Of them, those whose cost is not known.
    pub uncosted: u64,
    /// Of the answers whose cost is known.
    pub revenue: Pico,
    /// Answers that have no price yet, and so are in no revenue.
    pub unpriced: u64,
    /// Of the answers whose cost is not known: of this nobody can say what is left.
    pub uncosted_revenue: Pico,
    pub cost: Pico,
}

impl Outlay {
    /// What the exchange's own attempt costs under `price`, the cost that its deployment states: an error
    /// that burned tokens costs too, though the organization pays nothing. What was not heard to its end
    /// may have made more than anybody was told.
    #[must_use]
    pub fn of_answer(
        closed: &Closed,
        heard: bool,
        price: Option<&ModelPrice>,
        at: Timestamp,
    ) -> Option<Pico> {
        if closed.usage == Usage::default() {
            if closed.flagged {
                return None;
            }
            if closed.is_free() {
                return Some(Pico::ZERO);
            }
        }
        if !heard || closed.provenance == Provenance::Partial {
            return None;
        }
        price?.price(&closed.usage, at).ok()
    }

    /// What a failed attempt costs that reported `usage`. One that broke off `unseen` after it had been sent,
    /// or whose counts could not be believed, may have made tokens; one that was answered with an error and
    /// no usage has made none.
    #[must_use]
    pub fn of_failed(usage: &Usage, unseen: bool, price: Option<&ModelPrice>, at: Timestamp) -> Option<Pico> {
        if *usage == Usage::default() {
            return (!unseen).then_some(Pico::ZERO);
        }
        price?.price(usage, at).ok()
    }
}

impl Margin {
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            attempts: self.attempts.saturating_add(other.attempts),
            failed: self.failed.saturating_add(other.failed),
            uncosted: self.uncosted.saturating_add(other.uncosted),
            revenue: self.revenue + other.revenue,
            unpriced: self.unpriced.saturating_add(other.unpriced),
            uncosted_revenue: self.uncosted_revenue + other.uncosted_revenue,
            cost: self.cost + other.cost,
        }
    }

    /// What is left of the revenue, as far as the cost is known.
    #[must_use]
    pub fn left(&self) -> Pico {
        Pico(self.revenue.0.saturating_sub(self.cost.0))
    }

    /// What a record's answer brings when it is priced later: its attempts are counted already, and it is
    /// one fewer without a price.
    #[must_use]
    pub fn of_later_price(record: &UsageRecord) -> Self {
        let Closed { outlay, cost, .. } = &record.closed;
        match outlay.cost {
            Some(_) => Self { revenue: *cost, ..Self::default() },
            None => Self { uncosted_revenue: *cost, ..Self::default() },
        }
    }

    /// What each attempt of a record adds, with its provider and the deployment's own model id.
    pub fn shares(record: &UsageRecord) -> impl Iterator<Item = (&Arc<str>, &Arc<str>, Self)> {
        let closed = &record.closed;
        let failed = closed.outlay.failed.iter().map(|attempt| {
            let share = Self {
                attempts: 1,
                failed: 1,
                uncosted: attempt.cost.is_none().into(),
                cost: attempt.cost.unwrap_or_default(),
                ..Self::default()
            };
            (&attempt.provider, &attempt.upstream_model, share)
        });
        let failures = u8::try_from(closed.outlay.failed.len()).unwrap_or(u8::MAX);
        // Of an exchange whose process died nobody knows how often it was tried; what reached no provider
        // was tried at none.
        let reached = if closed.provider.is_empty() { 0 } else { closed.attempts };
        let answered = u64::from(reached.saturating_sub(failures));
        let share = Self {
            attempts: answered,
            failed: if closed.end == End::UpstreamError { answered } else { 0 },
            uncosted: if closed.outlay.cost.is_none() { answered } else { 0 },
            unpriced: closed.unpriced.into(),
            cost: closed.outlay.cost.unwrap_or_default(),
            ..Self::of_later_price(record)
        };
        let own = (share != Self::default()).then_some((&closed.provider, &closed.upstream_model, share));
        failed.chain(own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        id::{KeyId, OrgId, RecordId, TeamId},
        money::Rate,
        price::{PricePeriod, Rates},
        usage::Opened,
    };
    use uuid::Uuid;

    fn price() -> ModelPrice {
        let rate = |text| Some(Rate::per_million(text).unwrap());
        let rates = Rates { input: rate("1"), output: rate("2"), ..Rates::default() };
        ModelPrice { periods: vec![PricePeriod { from: None, rates, tiers: Vec::new() }] }
    }

    fn record(attempts: u8, cost: i128, outlay: Outlay) -> UsageRecord {
        let opened = Opened {
            id: RecordId(Uuid::nil()),
            started_at: Timestamp(0),
            org: OrgId(Uuid::nil()),
            team: TeamId(Uuid::nil()),
            key: KeyId(Uuid::nil()),
            model: "m".into(),
            dialect: "openai_chat".into(),
            provider: "first".into(),
            sandbox: false,
            streamed: false,
            price_version: 1,
            estimated_input: 1,
        };
        let closed = Closed {
            id: opened.id,
            provider: "own".into(),
            upstream_model: "u".into(),
            end: End::Complete,
            status: 200,
            attempts,
            usage: Usage { input: 5, ..Usage::default() },
            provenance: Provenance::Provider,
            flagged: false,
            unpriced: false,
            latency_ms: 1,
            first_byte_ms: 1,
            cost: Pico(cost),
            outlay,
        };
        UsageRecord { opened, closed }
    }

    fn failed(cost: Option<i128>) -> FailedAttempt {
        FailedAttempt {
            provider: "bad".into(),
            upstream_model: "b".into(),
            fault: "server_error".into(),
            usage: Usage::default(),
            cost: cost.map(Pico),
        }
    }

    #[test]
    fn an_attempt_costs_what_its_deployment_states_and_nothing_where_it_made_nothing() {
        let usage = Usage { input: 3, output: 4, ..Usage::default() };
        let at = Timestamp(0);
        assert_eq!(Outlay::of_failed(&usage, false, Some(&price()), at), Some(Pico(11_000_000)));
        assert_eq!(Outlay::of_failed(&usage, false, None, at), None);
        let audio = Usage { audio_in: 1, ..usage };
        assert_eq!(Outlay::of_failed(&audio, false, Some(&price()), at), None, "a class without a rate");
        assert_eq!(Outlay::of_failed(&Usage::default(), false, None, at), Some(Pico::ZERO));
        assert_eq!(Outlay::of_failed(&Usage::default(), true, Some(&price()), at), None);

        let mut closed = record(1, 0, Outlay::default()).closed;
        closed.usage = usage;
        let of_answer = |closed: &Closed, heard, price| Outlay::of_answer(closed, heard, price, at);
        let stated = price();
        assert_eq!(of_answer(&closed, true, Some(&stated)), Some(Pico(11_000_000)));
        assert_eq!(of_answer(&closed, true, None), None);
        assert_eq!(of_answer(&closed, false, Some(&stated)), None, "sent, and nothing was heard");
        let partial = Closed { provenance: Provenance::Partial, ..closed.clone() };
        assert_eq!(of_answer(&partial, true, Some(&stated)), None, "cut");
        closed.end = End::UpstreamError;
        assert!(closed.is_free());
        assert_eq!(of_answer(&closed, true, Some(&stated)), Some(Pico(11_000_000)), "it burned them");
        closed.usage = Usage::default();
        assert_eq!(of_answer(&closed, true, None), Some(Pico::ZERO), "it failed without a token");
        closed.flagged = true;
        assert_eq!(of_answer(&closed, true, Some(&stated)), None, "its counts could not be read");
    }

    #[test]
    fn each_attempt_has_its_share_and_the_answer_the_revenue() {
        let outlay = Outlay { cost: Some(Pico(7)), failed: vec![failed(Some(2)), failed(None)] };
        let record = record(3, 10, outlay);
        let shares: Vec<_> =
            Margin::shares(&record).map(|(provider, _, share)| (&**provider, share)).collect();
        let bad = |uncosted, cost| Margin {
            attempts: 1,
            failed: 1,
            uncosted,
            cost: Pico(cost),
            ..Margin::default()
        };
        let own = Margin { attempts: 1, revenue: Pico(10), cost: Pico(7), ..Margin::default() };
        assert_eq!(shares, [("bad", bad(0, 2)), ("bad", bad(1, 0)), ("own", own)]);
        let sum = shares.iter().fold(Margin::default(), |sum, (_, share)| sum.plus(share));
        assert_eq!((sum.attempts, sum.failed, sum.uncosted, sum.left()), (3, 2, 1, Pico(1)));
    }

    #[test]
    fn an_error_that_the_caller_got_is_a_failed_attempt() {
        let mut record = record(2, 0, Outlay { cost: Some(Pico(7)), failed: vec![failed(Some(2))] });
        record.closed.end = End::UpstreamError;
        let sum = Margin::shares(&record).fold(Margin::default(), |sum, (_, _, share)| sum.plus(&share));
        assert_eq!((sum.attempts, sum.failed, sum.cost, sum.left()), (2, 2, Pico(9), Pico(-9)));
    }

    #[test]
    fn what_brought_no_answer_has_no_share_of_its_own() {
        let all_failed = Outlay { cost: Some(Pico::ZERO), failed: vec![failed(Some(0)), failed(Some(0))] };
        assert_eq!(Margin::shares(&record(2, 0, all_failed)).count(), 2);
        let mut unsent = record(1, 0, Outlay { cost: Some(Pico::ZERO), failed: Vec::new() });
        unsent.closed.provider = "".into();
        assert_eq!(Margin::shares(&unsent).count(), 0);
    }

    #[test]
    fn revenue_whose_cost_is_not_known_stands_apart_also_when_it_comes_later() {
        let record = record(1, 10, Outlay::default());
        let (_, _, share) = Margin::shares(&record).next().unwrap();
        let expected = Margin { attempts: 1, uncosted: 1, uncosted_revenue: Pico(10), ..Margin::default() };
        assert_eq!(share, expected);
        let later = Margin::of_later_price(&record);
        assert_eq!(later, Margin { uncosted_revenue: Pico(10), ..Margin::default() });
    }
}
