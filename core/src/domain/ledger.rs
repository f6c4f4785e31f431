//! The ledger: what an organization was charged and what it paid, entry by entry, never changed.
//!
//! Double entry: an entry moves an amount from one account to another, so that the accounts of an
//! organization always add up to nothing. Which two follows from the entry's [`Kind`] alone.

use crate::domain::{
    clock::Timestamp,
    id::{EntryId, OrgId, RecordId},
    money::Pico,
    usage::UsageRecord,
};
use std::{collections::BTreeMap, sync::Arc};

/// One account of an organization's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Account {
    /// What the organization has with us; below zero: what it owes.
    Customer,
    /// What it has used.
    Usage,
    /// What it has paid.
    Cash,
    /// What we gave it, or took back.
    Adjustments,
    /// What its plan's fees came to.
    Fees,
    Tax,
    /// What rounding the lines of its invoices made of them.
    Rounding,
}

/// What an entry is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// What one usage record costs; its id is the record's.
    Usage,
    TopUp,
    /// May be negative.
    Adjustment,
    /// A plan's fees, by invoice.
    Fee,
    /// The tax of an invoice.
    Tax,
    /// By which the lines of an invoice exceed what was used; may be negative.
    Rounding,
    /// Of an invoice.
    Payment,
    /// What a credit note takes back of an invoice.
    CreditNote,
    /// What was left of an invoice that became void.
    Void,
}

impl Kind {
    pub const ALL: [Self; 9] = [
        Self::Usage,
        Self::TopUp,
        Self::Adjustment,
        Self::Fee,
        Self::Tax,
        Self::Rounding,
        Self::Payment,
        Self::CreditNote,
        Self::Void,
    ];

    /// The account that the amount leaves, and the one that it goes to.
    #[must_use]
    pub fn sides(self) -> (Account, Account) {
        match self {
            Self::Usage => (Account::Customer, Account::Usage),
            Self::TopUp | Self::Payment => (Account::Cash, Account::Customer),
            Self::Adjustment | Self::CreditNote | Self::Void => (Account::Adjustments, Account::Customer),
            Self::Fee => (Account::Customer, Account::Fees),
            Self::Tax => (Account::Customer, Account::Tax),
            Self::Rounding => (Account::Customer, Account::Rounding),
        }
    }

    /// The name in the API and the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::TopUp => "top_up",
            Self::Adjustment => "adjustment",
            Self::Fee => "fee",
            Self::Tax => "tax",
            Self::Rounding => "rounding",
            Self::Payment => "payment",
            Self::CreditNote => "credit_note",
            Self::Void => "void",
        }
    }

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl Account {
    /// The name in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Usage => "usage",
            Self::Cash => "cash",
            Self::Adjustments => "adjustments",
            Self::Fees => "fees",
            Self::Tax => "tax",
            Self::Rounding => "rounding",
        }
    }
}

/// One entry. Nothing changes or deletes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    pub id: EntryId,
    pub org: OrgId,
    /// When it counts: of usage, when the request started.
    pub at: Timestamp,
    /// When it was entered.
    pub recorded_at: Timestamp,
    pub kind: Kind,
    pub amount: Pico,
    /// Of usage: the model's public name.
    pub model: Option<Arc<str>>,
    /// For people.
    pub note: Option<String>,
}

impl Entry {
    /// What `record` is charged with; `None`: nothing, or nothing yet.
    #[must_use]
    pub fn of_usage(record: &UsageRecord, recorded_at: Timestamp) -> Option<Self> {
        let UsageRecord { opened, closed } = record;
        record.is_charged().then(|| Self {
            id: EntryId(opened.id.0),
            org: opened.org,
            at: opened.started_at,
            recorded_at,
            kind: Kind::Usage,
            amount: closed.cost,
            model: Some(opened.model.clone()),
            note: None,
        })
    }

    /// The record that it charges.
    #[must_use]
    pub fn record(&self) -> Option<RecordId> {
        (self.kind == Kind::Usage).then_some(RecordId(self.id.0))
    }
}

/// What entries of one kind come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Total {
    pub entries: u64,
    pub amount: Pico,
}

/// What an organization's entries come to, by kind.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Totals(pub BTreeMap<Kind, Total>);

impl Totals {
    pub fn add(&mut self, entry: &Entry) {
        let total = self.0.entry(entry.kind).or_default();
        total.entries = total.entries.saturating_add(1);
        total.amount = total.amount + entry.amount;
    }

    /// What came to one account, and what left it.
    #[must_use]
    pub fn moved(&self, account: Account) -> [Pico; 2] {
        let sum = |side: fn((Account, Account)) -> Account| {
            self.0
                .iter()
                .filter(|(kind, _)| side(kind.sides()) == account)
                .map(|(_, total)| total.amount)
                .sum()
        };
        [sum(|(_, to)| to), sum(|(from, _)| from)]
    }

    /// What stands on one account.
    #[must_use]
    pub fn balance(&self, account: Account) -> Pico {
        let [came, left] = self.moved(account);
        Pico(came.0.saturating_sub(left.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: Kind, amount: i128) -> Entry {
        let nil = uuid::Uuid::nil();
        Entry {
            id: EntryId(nil),
            org: OrgId(nil),
            at: Timestamp(0),
            recorded_at: Timestamp(0),
            kind,
            amount: Pico(amount),
            model: None,
            note: None,
        }
    }

    #[test]
    fn the_accounts_add_up_to_nothing_whatever_is_entered() {
        let mut totals = Totals::default();
        for (kind, amount) in [
            (Kind::TopUp, 100),
            (Kind::Usage, 30),
            (Kind::Usage, 45),
            (Kind::Adjustment, -5),
            (Kind::Adjustment, 2),
        ] {
            totals.add(&entry(kind, amount));
        }
        use Account::{Adjustments, Cash, Customer, Usage};
        let balances = [Customer, Usage, Cash, Adjustments].map(|account| totals.balance(account).0);
        assert_eq!(balances, [22, 75, -100, 3]);
        assert_eq!(balances.iter().sum::<i128>(), 0);
        assert_eq!(totals.0[&Kind::Usage], Total { entries: 2, amount: Pico(75) });
    }

    #[test]
    fn every_kind_is_known_by_its_name() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_name(kind.as_str()), Some(kind));
            let (from, to) = kind.sides();
            assert_ne!(from, to);
        }
        assert_eq!(Kind::from_name("gift"), None);
    }
}
