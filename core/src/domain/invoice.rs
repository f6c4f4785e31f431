//! Invoices: a pure fold over what was charged in a period, and what becomes of one.
//!
//! A line is what one model and class came to in one month, or a plan's fee. Each line is rounded once,
//! half away from zero, to the currency's minor unit; tax is rounded once, on the sum of the lines.

use crate::domain::{
    budget::BillingMode,
    clock::Timestamp,
    id::{CreditNoteId, EntryId, InvoiceId, OrgId},
    ledger::{Entry, Kind},
    money::{MoneyError, Pico, decimal},
    price::Class,
};
use chrono::{Datelike as _, Months, NaiveDate};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc};

const PICO_DIGITS: u32 = 12;

/// A calendar month.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Month(NaiveDate);

/// A share of an amount: 10⁻⁶, which is a percentage of four decimals.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct TaxRate(u32);

/// What becomes of an invoice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// It has no number yet, and nothing is owed by it.
    Draft,
    Issued,
    Paid,
    Void,
}

/// What one model and class was used within a quarter of an hour.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Charge {
    pub start: Timestamp,
    pub model: Arc<str>,
    pub class: Class,
    /// Tokens, images, searches, characters, seconds or requests.
    pub quantity: u64,
    pub amount: Pico,
}

/// A plan's fee for some days of a month.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fee {
    pub month: Month,
    pub plan: Arc<str>,
    pub name: String,
    pub monthly: Pico,
    pub days: u32,
    pub month_days: u32,
}

/// What a line is for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "for", rename_all = "snake_case")]
pub enum What {
    Usage {
        /// `2026-11`. One before the invoice's own: what came late.
        month: String,
        model: Arc<str>,
        class: Class,
        quantity: u64,
        /// Before it is rounded.
        #[serde(with = "decimal")]
        exact: Pico,
    },
    Fee {
        /// As of usage.
        month: String,
        plan: Arc<str>,
        name: String,
        #[serde(with = "decimal")]
        monthly: Pico,
        days: u32,
        month_days: u32,
    },
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Line {
    #[serde(flatten)]
    pub what: What,
    /// Rounded.
    #[serde(with = "decimal")]
    pub amount: Pico,
}

/// What takes back a part of an issued invoice.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CreditNote {
    pub id: CreditNoteId,
    pub number: u64,
    pub invoice: InvoiceId,
    /// With its tax.
    pub amount: Pico,
    pub tax: Pico,
    pub note: String,
    pub issued_at: Timestamp,
}

/// What an invoice is made under.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    pub id: InvoiceId,
    pub org: OrgId,
    /// The organization's name.
    pub customer: String,
    pub mode: BillingMode,
    pub month: Month,
    pub zone: Tz,
    pub currency: String,
    pub tax_rate: TaxRate,
    pub created_at: Timestamp,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Invoice {
    pub frame: Frame,
    pub status: Status,
    /// Of its series, from 1; `None`: a draft, or one that was never issued.
    pub number: Option<u64>,
    pub lines: Vec<Line>,
    /// The sum of the lines.
    pub subtotal: Pico,
    pub tax: Pico,
    pub issued_at: Option<Timestamp>,
    pub due_at: Option<Timestamp>,
    pub paid_at: Option<Timestamp>,
    /// What was paid for it; the rest was there already.
    pub paid: Option<Pico>,
    /// The oldest first.
    pub credits: Vec<CreditNote>,
}

impl Month {
    #[must_use]
    pub fn of(day: NaiveDate) -> Self {
        Self(day.with_day(1).expect("every month has a first day"))
    }

    /// The one after it.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.days()[1])
    }

    /// Its first day, and the first one after it.
    #[must_use]
    pub fn days(self) -> [NaiveDate; 2] {
        [self.0, self.0.checked_add_months(Months::new(1)).unwrap_or(NaiveDate::MAX)]
    }

    /// When it begins in `zone`, and when the next one does.
    #[must_use]
    pub fn term(self, zone: Tz) -> [Timestamp; 2] {
        self.days().map(|day| Timestamp::start_of(day, zone))
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.format("%Y-%m").fmt(f)
    }
}

impl FromStr for Month {
    type Err = chrono::ParseError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Four digits of a year and two of a month: a date may be written in more ways than that.
        let shape = text.bytes().map(|byte| if byte.is_ascii_digit() { b'0' } else { byte });
        let day = if shape.eq(*b"0000-00") { format!("{text}-01") } else { String::new() };
        day.parse().map(Self)
    }
}

impl TaxRate {
    pub const DECIMALS: usize = 4;

    /// Reads a percentage such as `6` or `7.125`, from 0 to 100.
    ///
    /// # Errors
    /// Not a decimal, negative, over 100, or finer than four decimals.
    pub fn from_percent(text: &str) -> Result<Self, MoneyError> {
        let Pico(percent) = text.parse()?;
        let unit = 10_i128.pow(PICO_DIGITS - 4);
        if percent < 0 {
            return Err(MoneyError::Negative(text.to_owned()));
        }
        if percent % unit != 0 {
            return Err(MoneyError::TooFine(text.to_owned(), Self::DECIMALS));
        }
        match u32::try_from(percent / unit) {
            Ok(rate @ ..=1_000_000) => Ok(Self(rate)),
            _ => Err(MoneyError::TooLarge(text.to_owned())),
        }
    }

    /// As a percentage, without trailing zeros.
    #[must_use]
    pub fn to_percent(self) -> String {
        let (whole, rest) = (self.0 / 10_000, self.0 % 10_000);
        let text = format!("{whole}.{rest:04}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }

    fn of(self, amount: Pico, unit: Pico) -> Pico {
        rounded(amount.0.saturating_mul(self.0.into()), 1_000_000, unit)
    }
}

impl Status {
    pub const ALL: [Self; 4] = [Self::Draft, Self::Issued, Self::Paid, Self::Void];

    /// The name in the API and the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Issued => "issued",
            Self::Paid => "paid",
            Self::Void => "void",
        }
    }

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }
}

/// Digits behind the point of the currency's smallest coin (ISO 4217).
#[must_use]
pub fn minor_digits(currency: &str) -> u32 {
    const NONE: [&str; 16] = [
        "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF",
        "XOF", "XPF",
    ];
    const THREE: [&str; 7] = ["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"];
    if NONE.contains(&currency) {
        return 0;
    }
    if THREE.contains(&currency) { 3 } else { 2 }
}

/// The currency's smallest coin.
#[must_use]
pub fn minor_unit(currency: &str) -> Pico {
    Pico(10_i128.pow(PICO_DIGITS - minor_digits(currency)))
}

/// `numerator ÷ denominator`, which is above zero, half away from zero to whole `unit`s.
fn rounded(numerator: i128, denominator: i128, Pico(unit): Pico) -> Pico {
    let step = denominator.saturating_mul(unit);
    let (whole, rest) = (numerator / step, numerator % step);
    let away = if rest.abs() >= step - rest.abs() { numerator.signum() } else { 0 };
    Pico((whole + away).saturating_mul(unit))
}

impl Invoice {
    /// The draft of a month: what was charged, by month, model and class, and the fees.
    #[must_use]
    pub fn draft(frame: Frame, charges: impl IntoIterator<Item = Charge>, fees: &[Fee]) -> Self {
        let unit = minor_unit(&frame.currency);
        let mut sums: BTreeMap<(Month, Arc<str>, Class), (u64, Pico)> = BTreeMap::new();
        for charge in charges {
            let month = Month::of(charge.start.date_in(frame.zone));
            let sum = sums.entry((month, charge.model, charge.class)).or_default();
            *sum = (sum.0.saturating_add(charge.quantity), sum.1 + charge.amount);
        }
        let usage = sums.into_iter().map(|((month, model, class), (quantity, exact))| Line {
            amount: rounded(exact.0, 1, unit),
            what: What::Usage { month: month.to_string(), model, class, quantity, exact },
        });
        let fees = fees.iter().map(|fee| Line {
            amount: rounded(
                fee.monthly.0.saturating_mul(fee.days.into()),
                fee.month_days.max(1).into(),
                unit,
            ),
            what: What::Fee {
                month: fee.month.to_string(),
                plan: fee.plan.clone(),
                name: fee.name.clone(),
                monthly: fee.monthly,
                days: fee.days,
                month_days: fee.month_days,
            },
        });
        let lines: Vec<Line> = usage.chain(fees).collect();
        let subtotal = lines.iter().map(|line| line.amount).sum();
        Self {
            tax: frame.tax_rate.of(subtotal, unit),
            frame,
            status: Status::Draft,
            number: None,
            lines,
            subtotal,
            issued_at: None,
            due_at: None,
            paid_at: None,
            paid: None,
            credits: Vec::new(),
        }
    }

    /// What is owed by it.
    #[must_use]
    pub fn amount(&self) -> Pico {
        self.subtotal + self.tax
    }

    /// What its credit notes took back.
    #[must_use]
    pub fn credited(&self) -> Pico {
        self.credits.iter().map(|credit| credit.amount).sum()
    }

    /// What is left of it to be paid.
    #[must_use]
    pub fn left(&self) -> Pico {
        Pico(self.amount().0.saturating_sub(self.credited().0))
    }

    /// What its usage comes to before it is rounded.
    #[must_use]
    pub fn exact_usage(&self) -> Pico {
        let exact = |line: &Line| match &line.what {
            What::Usage { exact, .. } => *exact,
            What::Fee { .. } => Pico::ZERO,
        };
        self.lines.iter().map(exact).sum()
    }

    /// What is entered when it is issued at `at`: usage was when it occurred, and what rounding made of it,
    /// the fees and the tax are now. From then on the customer owes what the invoice says.
    #[must_use]
    pub fn entries_of_issue(&self, at: Timestamp) -> Vec<Entry> {
        let fee = |line: &&Line| matches!(line.what, What::Fee { .. });
        let fees: Pico = self.lines.iter().filter(fee).map(|line| line.amount).sum();
        let usage = self.subtotal.0 - fees.0;
        let rounding = Pico(usage.saturating_sub(self.exact_usage().0));
        let all = [(Kind::Fee, fees), (Kind::Tax, self.tax), (Kind::Rounding, rounding)];
        let some = all.into_iter().filter(|(_, amount)| *amount != Pico::ZERO);
        some.map(|(kind, amount)| self.entry(kind, amount, at)).collect()
    }

    /// What there is to be paid of it where the customer's balance is this: no more than is owed.
    #[must_use]
    pub fn due(&self, balance: Pico) -> Pico {
        Pico(balance.0.saturating_neg()).min(self.left()).max(Pico::ZERO)
    }

    /// What is entered when it is paid; `None`: nothing was left to be paid.
    #[must_use]
    pub fn entry_of_payment(&self, at: Timestamp) -> Option<Entry> {
        self.paid.filter(|paid| *paid != Pico::ZERO).map(|paid| self.entry(Kind::Payment, paid, at))
    }

    /// What is entered when an issued one is void: all that is left of it is taken back.
    #[must_use]
    pub fn entry_of_void(&self, at: Timestamp) -> Option<Entry> {
        (self.left() != Pico::ZERO).then(|| self.entry(Kind::Void, self.left(), at))
    }

    /// A note that takes `amount` back, with its share of the tax. `None`: that is more than is left.
    #[must_use]
    pub fn credit(
        &self,
        id: CreditNoteId,
        amount: Pico,
        note: String,
        issued_at: Timestamp,
    ) -> Option<CreditNote> {
        if amount > self.left() {
            return None;
        }
        // Of 10¹² units it is 10⁴⁸, which no number holds: in minor units it fits.
        let Pico(unit) = minor_unit(&self.frame.currency);
        let (part, tax, whole) = (amount.0 / unit, self.tax.0 / unit, (self.amount().0 / unit).max(1));
        // All notes together have the share of what they take together: each has what the former ones have not.
        let part = part.saturating_add(self.credited().0 / unit);
        let doubled = part.saturating_mul(tax).saturating_mul(2);
        let former: Pico = self.credits.iter().map(|credit| credit.tax).sum();
        let tax = Pico((doubled + whole) / (2 * whole) * unit - former.0);
        // It is numbered by the store.
        Some(CreditNote { id, number: 0, invoice: self.frame.id, amount, tax, note, issued_at })
    }

    /// An entry of this invoice's. It has an id that follows from the invoice and its kind: entered twice it
    /// is there once.
    fn entry(&self, kind: Kind, amount: Pico, at: Timestamp) -> Entry {
        let number = self.number.map_or_else(|| self.frame.month.to_string(), number_of_invoice);
        Entry {
            id: entry_id(self.frame.id.0, kind),
            org: self.frame.org,
            at,
            recorded_at: at,
            kind,
            amount,
            model: None,
            note: Some(number),
        }
    }
}

impl CreditNote {
    /// What is entered for it.
    #[must_use]
    pub fn entry(&self, org: OrgId) -> Entry {
        Entry {
            id: entry_id(self.id.0, Kind::CreditNote),
            org,
            at: self.issued_at,
            recorded_at: self.issued_at,
            kind: Kind::CreditNote,
            amount: self.amount,
            model: None,
            note: Some(number_of_credit_note(self.number)),
        }
    }
}

/// As it stands on the invoice.
#[must_use]
pub fn number_of_invoice(number: u64) -> String {
    format!("INV-{number:06}")
}

#[must_use]
pub fn number_of_credit_note(number: u64) -> String {
    format!("CN-{number:06}")
}

/// Version 8 (RFC 9562 §5.8): the first bits of SHA-256 over the document's id and the kind.
fn entry_id(document: uuid::Uuid, kind: Kind) -> EntryId {
    let digest: [u8; 32] = Sha256::new()
        .chain_update(document.as_bytes())
        .chain_update(kind.as_str().as_bytes())
        .finalize()
        .into();
    let (first, _) = digest.split_first_chunk::<16>().expect("32 bytes are more than 16");
    EntryId(uuid::Builder::from_custom_bytes(*first).into_uuid())
}

#[cfg(test)]
mod tests;
