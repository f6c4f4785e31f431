//! What may be spent: an organization's account, and the budgets of organization, team and key.
//!
//! A request is **reserved** at the most that it can cost before an upstream is asked, and settled with
//! what it did cost. All pure: time is an argument, locks and the registry of purses are the caller's.

use crate::domain::{
    clock::Timestamp,
    id::{KeyId, OrgId, TeamId},
    money::Pico,
};
use chrono::{Datelike as _, Months, NaiveDate};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

/// How an organization pays.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum BillingMode {
    /// Before: what is not there cannot be spent.
    Prepaid,
    /// Afterwards, by invoice.
    #[default]
    Postpaid,
}

/// What an organization may spend.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Terms {
    pub mode: BillingMode,
    /// How far the balance of one that pays afterwards may fall below zero. `None`: as far as it will.
    pub credit_limit: Option<Pico>,
    /// In a month of its own zone.
    pub monthly_budget: Option<Pico>,
}

/// How long a budget is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetPeriod {
    Day,
    #[default]
    Month,
}

/// Whose purse it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Owner {
    /// The balance of the organization's account.
    Account(OrgId),
    Organization(OrgId),
    Team(OrgId, TeamId),
    Key(OrgId, KeyId, BudgetPeriod),
}

/// From an instant on, and until another: when what is spent counts for a purse.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Term {
    pub from: Timestamp,
    pub until: Timestamp,
}

/// What is known of a purse outside of this process.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Known {
    /// What was paid in; of a budget nothing is.
    pub funds: Pico,
    /// What was charged within its term.
    pub spent: Pico,
}

/// What is left of a purse, and what stands against it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Purse {
    term: Term,
    known: Known,
    reserved: Pico,
    /// What the store said last of what was spent.
    stored: Pico,
    /// Since nodes decide apart.
    apart: Option<Apart>,
}

/// What a purse needs to know to spend no more than its part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Apart {
    /// What was spent when it began.
    before: Pico,
    /// What has been spent since, on this node.
    own: Pico,
}

/// Where it was decided about a request's limits, and so how far its purses are to be trusted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decided {
    /// On this node, which knows of the others what the store knows.
    Alone,
    /// For all nodes at once, purses included.
    Together,
    /// On this node, as one of so many that do not hear of each other now.
    Apart(u64),
}

/// What one purse has to say to a request, for whoever decides for all nodes together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Claim {
    pub owner: Owner,
    pub term: Term,
    /// As far as this node knows.
    pub spent: Pico,
    /// As far as the store did. `None`: it was not read lately.
    pub stored: Option<Pico>,
    /// The most that may be spent in the term.
    pub allowed: Pico,
}

/// Purses that one request is paid from: account, organization, team, key.
pub const CLAIMS_MAX: usize = 4;

/// What one request can cost at most, and the purses that it is to be paid from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Claims {
    pub amount: Pico,
    pub of: [Option<Claim>; CLAIMS_MAX],
}

impl BillingMode {
    pub const ALL: [Self; 2] = [Self::Prepaid, Self::Postpaid];

    /// The name in the API and the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prepaid => "prepaid",
            Self::Postpaid => "postpaid",
        }
    }

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == name)
    }
}

impl Terms {
    /// How far the balance may fall below zero. `None`: as far as it will.
    #[must_use]
    pub fn overdraft(&self) -> Option<Pico> {
        match self.mode {
            BillingMode::Prepaid => Some(Pico::ZERO),
            BillingMode::Postpaid => self.credit_limit,
        }
    }
}

impl BudgetPeriod {
    pub const ALL: [Self; 2] = [Self::Day, Self::Month];

    /// The name in the API and the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|period| period.as_str() == name)
    }

    /// The first day of the period that `at` lies in, in `zone`, and the first one after it.
    #[must_use]
    pub fn days(self, at: Timestamp, zone: Tz) -> [NaiveDate; 2] {
        let today = at.date_in(zone);
        match self {
            Self::Day => [today, today.succ_opt().unwrap_or(NaiveDate::MAX)],
            Self::Month => {
                let first = today.with_day(1).expect("every month has a first day");
                [first, first.checked_add_months(Months::new(1)).unwrap_or(NaiveDate::MAX)]
            }
        }
    }

    /// The period that `at` lies in, in `zone`.
    #[must_use]
    pub fn term(self, at: Timestamp, zone: Tz) -> Term {
        let [from, until] = self.days(at, zone).map(|day| Timestamp::start_of(day, zone));
        Term { from, until }
    }
}

impl Owner {
    #[must_use]
    pub fn org(&self) -> OrgId {
        match self {
            Self::Account(org) | Self::Organization(org) | Self::Team(org, _) | Self::Key(org, ..) => *org,
        }
    }

    /// How long what it spends counts. `None`: for ever.
    #[must_use]
    pub fn period(&self) -> Option<BudgetPeriod> {
        match self {
            Self::Account(_) => None,
            Self::Organization(_) | Self::Team(..) => Some(BudgetPeriod::Month),
            Self::Key(_, _, period) => Some(*period),
        }
    }

    /// When what is spent at `at` counts, in `zone`.
    #[must_use]
    pub fn term(&self, at: Timestamp, zone: Tz) -> Term {
        self.period().map_or(Term::EVER, |period| period.term(at, zone))
    }
}

impl Term {
    /// Of an account, which has no periods.
    pub const EVER: Self = Self { from: Timestamp(i64::MIN), until: Timestamp(i64::MAX) };
}

impl Purse {
    #[must_use]
    pub fn new(term: Term, known: Known) -> Self {
        Self { term, known, reserved: Pico::ZERO, stored: known.spent, apart: None }
    }

    #[must_use]
    pub fn term(&self) -> Term {
        self.term
    }

    #[must_use]
    pub fn reserved(&self) -> Pico {
        self.reserved
    }

    /// Whether nothing stands against it that `known` does not know.
    #[must_use]
    pub fn says_no_more_than(&self, known: &Known) -> bool {
        self.reserved == Pico::ZERO && self.known.spent <= known.spent
    }

    /// Takes in what is known elsewhere. Of what was spent each side may know something that the other
    /// does not yet, and nothing is ever unspent: the larger one holds.
    pub fn learn(&mut self, known: Known) {
        self.stored = known.spent;
        self.known = Known { funds: known.funds, spent: self.known.spent.max(known.spent) };
    }

    /// Whether `amount` can be spent where so much may be beyond the funds. What is free always can.
    #[must_use]
    pub fn allows(&self, amount: Pico, beyond: Pico) -> bool {
        let room = [self.known.spent, self.reserved, amount]
            .iter()
            .fold(self.allowed(beyond).0, |room, taken| room.saturating_sub(taken.0));
        amount <= Pico::ZERO || room >= 0
    }

    /// Whether `amount` can be spent of the one part in `parts` that this node may spend by itself, of what
    /// was left when nodes began to decide apart.
    #[must_use]
    pub fn allows_part(&self, amount: Pico, beyond: Pico, parts: u64) -> bool {
        let Apart { before, own } = self.apart.unwrap_or(Apart { before: self.known.spent, own: Pico::ZERO });
        let left = self.allowed(beyond).0.saturating_sub(before.0);
        let own = [self.reserved, amount].iter().fold(own.0, |own, taken| own.saturating_add(taken.0));
        amount <= Pico::ZERO || own.checked_mul(parts.into()).is_some_and(|all| all <= left)
    }

    /// What it says of itself where so much may be beyond the funds; `is_fresh`: what the store said was read lately.
    #[must_use]
    pub fn claim(&self, owner: Owner, beyond: Pico, is_fresh: bool) -> Claim {
        let stored = is_fresh.then_some(self.stored);
        Claim { owner, term: self.term, spent: self.known.spent, stored, allowed: self.allowed(beyond) }
    }

    /// Notes where a request is decided that is reserved for next.
    pub fn note(&mut self, decided: Decided) {
        match decided {
            Decided::Alone | Decided::Together => self.apart = None,
            Decided::Apart(_) => {
                self.apart.get_or_insert(Apart { before: self.known.spent, own: Pico::ZERO });
            }
        }
    }

    fn allowed(&self, beyond: Pico) -> Pico {
        Pico(self.known.funds.0.saturating_add(beyond.0))
    }

    pub fn reserve(&mut self, amount: Pico) {
        self.reserved = Pico(self.reserved.0.saturating_add(amount.0));
    }

    /// Gives back what was reserved in the term that began at `from`, and takes what it did cost. What
    /// was begun in a former term counts there.
    pub fn settle(&mut self, from: Timestamp, reserved: Pico, cost: Pico) {
        if from == self.term.from {
            // Never below nothing: what was reserved may have been forgotten with a clock that was set.
            self.reserved = Pico(self.reserved.0.saturating_sub(reserved.0).max(0));
            self.known.spent = Pico(self.known.spent.0.saturating_add(cost.0));
            if let Some(apart) = &mut self.apart {
                apart.own = Pico(apart.own.0.saturating_add(cost.0));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERM: Term = Term { from: Timestamp(0), until: Timestamp(10) };

    fn purse(funds: i128, spent: i128) -> Purse {
        Purse::new(TERM, Known { funds: Pico(funds), spent: Pico(spent) })
    }

    #[test]
    fn what_is_reserved_is_not_there_for_others() {
        let mut purse = purse(100, 40);
        assert!(purse.allows(Pico(60), Pico::ZERO) && !purse.allows(Pico(61), Pico::ZERO));
        purse.reserve(Pico(50));
        assert!(purse.allows(Pico(10), Pico::ZERO) && !purse.allows(Pico(11), Pico::ZERO));
        assert!(purse.allows(Pico(30), Pico(20)), "20 may be beyond the funds");
        purse.settle(TERM.from, Pico(50), Pico(5));
        assert_eq!(purse.reserved(), Pico::ZERO);
        assert!(purse.allows(Pico(55), Pico::ZERO) && !purse.allows(Pico(56), Pico::ZERO));
    }

    #[test]
    fn what_cost_more_than_was_reserved_is_spent_all_the_same_and_what_is_free_passes() {
        let mut purse = purse(10, 0);
        purse.reserve(Pico(10));
        purse.settle(TERM.from, Pico(10), Pico(12));
        assert!(!purse.allows(Pico(1), Pico::ZERO));
        assert!(purse.allows(Pico::ZERO, Pico::ZERO));
        assert!(purse.allows(Pico(1), Pico(3)) && !purse.allows(Pico(2), Pico(3)));
    }

    #[test]
    fn of_two_who_know_what_was_spent_the_larger_one_holds() {
        let mut purse = purse(10, 6);
        purse.learn(Known { funds: Pico(20), spent: Pico(4) });
        assert!(purse.allows(Pico(14), Pico::ZERO) && !purse.allows(Pico(15), Pico::ZERO));
        assert!(!purse.says_no_more_than(&Known { funds: Pico(20), spent: Pico(5) }));
        purse.learn(Known { funds: Pico(20), spent: Pico(9) });
        assert!(!purse.allows(Pico(12), Pico::ZERO));
        assert!(purse.says_no_more_than(&Known { funds: Pico(20), spent: Pico(9) }));
        purse.reserve(Pico(1));
        assert!(!purse.says_no_more_than(&Known { funds: Pico(20), spent: Pico(9) }));
    }

    #[test]
    fn a_node_by_itself_spends_its_part_of_what_was_left() {
        let mut purse = purse(100, 20);
        assert!(purse.allows_part(Pico(40), Pico::ZERO, 2) && !purse.allows_part(Pico(41), Pico::ZERO, 2));
        purse.note(Decided::Apart(2));
        purse.reserve(Pico(30));
        purse.settle(TERM.from, Pico(30), Pico(30));
        purse.note(Decided::Apart(2));
        assert!(purse.allows_part(Pico(10), Pico::ZERO, 2) && !purse.allows_part(Pico(11), Pico::ZERO, 2));
        assert!(purse.allows_part(Pico::ZERO, Pico::ZERO, 9), "what is free always can");
        // The other one has spent 25 of its own 40: that leaves this one's part as it is.
        purse.learn(Known { funds: Pico(100), spent: Pico(75) });
        assert!(purse.allows_part(Pico(10), Pico::ZERO, 2) && !purse.allows_part(Pico(11), Pico::ZERO, 2));
        purse.note(Decided::Together);
        assert!(purse.allows_part(Pico(12), Pico::ZERO, 2) && !purse.allows_part(Pico(13), Pico::ZERO, 2));
        assert!(purse.allows_part(Pico(15), Pico(5), 2));
        let over = Purse::new(TERM, Known { funds: Pico(i128::MAX), spent: Pico::ZERO });
        assert!(!over.allows_part(Pico(i128::MAX), Pico(i128::MAX), u64::MAX));
    }

    #[test]
    fn what_was_begun_in_a_former_term_does_not_count_in_the_next() {
        let mut purse = purse(0, 3);
        purse.reserve(Pico(5));
        purse = Purse::new(Term { from: Timestamp(10), until: Timestamp(20) }, Known::default());
        assert!(purse.allows(Pico(8), Pico(8)));
        purse.settle(TERM.from, Pico(5), Pico(5));
        assert!(purse.allows(Pico(8), Pico(8)) && !purse.allows(Pico(9), Pico(8)));
    }

    #[test]
    fn amounts_at_the_edge_of_what_a_number_holds_do_not_wrap() {
        let mut purse = purse(i128::MAX, i128::MAX);
        purse.reserve(Pico(i128::MAX));
        purse.reserve(Pico(i128::MAX));
        assert!(!purse.allows(Pico(i128::MAX), Pico(i128::MAX)));
    }

    #[test]
    fn a_period_is_of_the_organizations_zone_and_ends_where_the_next_begins() {
        let berlin: Tz = "Europe/Berlin".parse().expect("a zone");
        let at = |text: &str| {
            Timestamp(text.parse::<chrono::DateTime<chrono::Utc>>().expect("a time").timestamp_millis())
        };
        // The clocks went forward on the 29th, in a month that began in winter time.
        let march = BudgetPeriod::Month.term(at("2026-03-31T21:59:59Z"), berlin);
        assert_eq!(march, Term { from: at("2026-02-28T23:00:00Z"), until: at("2026-03-31T22:00:00Z") });
        let short = BudgetPeriod::Day.term(at("2026-03-29T12:00:00Z"), berlin);
        assert_eq!(short, Term { from: at("2026-03-28T23:00:00Z"), until: at("2026-03-29T22:00:00Z") });
        let december = BudgetPeriod::Month.term(at("2026-12-31T23:30:00Z"), chrono_tz::UTC);
        assert_eq!(december.until, at("2027-01-01T00:00:00Z"));
    }

    #[test]
    fn only_who_pays_afterwards_can_owe() {
        let credit_limit = Some(Pico(7));
        let terms = |mode| Terms { mode, credit_limit, monthly_budget: None };
        assert_eq!(terms(BillingMode::Prepaid).overdraft(), Some(Pico::ZERO));
        assert_eq!(terms(BillingMode::Postpaid).overdraft(), credit_limit);
        assert_eq!(Terms::default().overdraft(), None);
    }
}
