//! Invoices: what is rounded, what is late, and that nothing is owed in the end.

use super::*;
use crate::domain::ledger::{Account, Totals};

const ONE: i128 = 1_000_000_000_000;
/// 2026-11-23T14:00:00Z.
const NOW: Timestamp = Timestamp(1_795_442_400_000);

fn frame(tax: &str) -> Frame {
    let nil = uuid::Uuid::nil();
    Frame {
        id: InvoiceId(nil),
        org: OrgId(nil),
        customer: "Acme".to_owned(),
        mode: BillingMode::Postpaid,
        month: "2026-11".parse().expect("a month"),
        zone: chrono_tz::Asia::Shanghai,
        currency: "CNY".to_owned(),
        tax_rate: TaxRate::from_percent(tax).expect("a rate"),
        created_at: NOW,
    }
}

fn charge(at: Timestamp, model: &str, class: Class, amount: i128) -> Charge {
    Charge { start: at, model: model.into(), class, quantity: 5, amount: Pico(amount) }
}

fn fee(monthly: i128, days: u32, month_days: u32) -> Fee {
    let month = "2026-11".parse().expect("a month");
    Fee {
        month,
        plan: "standard".into(),
        name: "Standard".to_owned(),
        monthly: Pico(monthly),
        days,
        month_days,
    }
}

#[test]
fn a_line_is_rounded_once_half_away_from_zero() {
    for (exact, digits, expected) in [
        (5_000_000_000, 2, 10_000_000_000),
        (4_999_999_999, 2, 0),
        (-5_000_000_000, 2, -10_000_000_000),
        (-4_999_999_999, 2, 0),
        (14_999_999_999, 2, 10_000_000_000),
        (ONE / 2, 0, ONE),
        (ONE / 2 - 1, 0, 0),
        (500_000_000, 3, 1_000_000_000),
        (10_i128.pow(27) + 5_000_000_000, 2, 10_i128.pow(27) + 10_000_000_000),
    ] {
        assert_eq!(
            rounded(exact, 1, Pico(10_i128.pow(PICO_DIGITS - digits))),
            Pico(expected),
            "{exact} to {digits}"
        );
    }
    // A third of a hundredth, and a half that only the fraction makes.
    let cent = minor_unit("CNY");
    assert_eq!(rounded(10_000_000_000, 3, cent), Pico(0));
    assert_eq!(rounded(ONE, 8, cent), Pico(130_000_000_000));
    assert_eq!(["JPY", "XPF", "CNY", "KWD"].map(minor_digits), [0, 0, 2, 3]);
}

#[test]
fn lines_are_by_month_model_and_class_and_late_ones_come_first() {
    // Shanghai's November began at 16:00 of the day before.
    let [november, _] = "2026-11".parse::<Month>().expect("a month").term(chrono_tz::Asia::Shanghai);
    let charges = [
        charge(NOW, "b", Class::Output, 4_000_000_000),
        charge(NOW, "b", Class::Output, 2_000_000_000),
        charge(NOW, "b", Class::Input, 1),
        charge(november.plus_ms(-1), "a", Class::Input, 6_000_000_000),
        charge(november, "a", Class::Input, 6_000_000_000),
    ];
    let draft = Invoice::draft(frame("6"), charges, &[fee(30 * ONE, 7, 30)]);
    let lines: Vec<String> = draft
        .lines
        .iter()
        .map(|line| match &line.what {
            What::Usage { month, model, class, quantity, .. } => {
                format!("{month} {model} {} {quantity} {}", class.as_str(), line.amount)
            }
            What::Fee { plan, days, month_days, .. } => format!("{plan} {days}/{month_days} {}", line.amount),
        })
        .collect();
    assert_eq!(
        lines,
        [
            "2026-10 a input 5 0.01",
            "2026-11 a input 5 0.01",
            "2026-11 b input 5 0.00",
            "2026-11 b output 10 0.01",
            "standard 7/30 7.00",
        ]
    );
    assert_eq!((draft.subtotal, draft.tax), (Pico(7_030_000_000_000), Pico(420_000_000_000)));
    assert_eq!(draft.exact_usage(), Pico(18_000_000_001));
}

#[test]
fn after_issue_and_payment_nothing_is_owed_whatever_was_rounded() {
    let charges = [
        charge(NOW, "a", Class::Input, 1_234_567_890_123),
        charge(NOW, "a", Class::Output, 7_777),
        charge(NOW, "b", Class::Output, 5_000_000_000),
    ];
    let used: Pico = charges.iter().map(|charge| charge.amount).sum();
    let mut invoice = Invoice::draft(frame("7.125"), charges, &[fee(99 * ONE, 11, 31)]);
    invoice.number = Some(7);
    let mut totals = Totals::default();
    totals.0.entry(Kind::Usage).or_default().amount = used;
    invoice.entries_of_issue(NOW).iter().for_each(|entry| totals.add(entry));
    assert_eq!(totals.balance(Account::Customer), Pico(-invoice.amount().0));
    let credit = invoice.credit(CreditNoteId(uuid::Uuid::nil()), Pico(ONE), "less".to_owned(), NOW);
    let credit = credit.expect("it is not more than is left");
    totals.add(&credit.entry(invoice.frame.org));
    invoice.credits.push(credit);
    invoice.paid = Some(invoice.due(totals.balance(Account::Customer)));
    totals.add(&invoice.entry_of_payment(NOW).expect("something is left"));
    assert_eq!(totals.balance(Account::Customer), Pico::ZERO);
    assert_eq!(invoice.entry_of_payment(NOW).expect("an entry").note.as_deref(), Some("INV-000007"));
}

#[test]
fn a_void_invoice_takes_back_all_that_is_left_and_no_more_is_paid_than_is_owed() {
    let charges = || [charge(NOW, "a", Class::Input, 3 * ONE)];
    let invoice = Invoice::draft(frame("0"), charges(), &[]);
    let void = invoice.entry_of_void(NOW).expect("something is left");
    assert_eq!((void.kind, void.amount), (Kind::Void, Pico(3 * ONE)));
    // What is there already is not to be paid again, and no more than is owed.
    let due = [-5, -3, -1, 0, 7].map(|balance| invoice.due(Pico(balance * ONE)).0 / ONE);
    assert_eq!(due, [3, 3, 1, 0, 0]);
    assert_eq!(invoice.entry_of_payment(NOW), None);
    let ids: std::collections::BTreeSet<_> =
        Kind::ALL.map(|kind| invoice.entry(kind, Pico(1), NOW).id).into();
    assert_eq!(ids.len(), Kind::ALL.len(), "each kind has an entry of its own");
}

#[test]
fn a_credit_note_takes_its_share_of_the_tax_and_no_more_than_is_left() {
    let mut invoice = Invoice::draft(frame("6"), [charge(NOW, "a", Class::Input, 100 * ONE)], &[]);
    let credit = |invoice: &Invoice, amount| {
        invoice.credit(CreditNoteId(uuid::Uuid::nil()), Pico(amount), String::new(), NOW)
    };
    let half = credit(&invoice, 53 * ONE).expect("half of 106");
    assert_eq!(half.tax, Pico(3 * ONE));
    invoice.credits.push(half);
    assert_eq!(credit(&invoice, 53 * ONE + 10_000_000_000), None);
    assert_eq!(credit(&invoice, 53 * ONE).map(|rest| rest.tax), Some(Pico(3 * ONE)));
    // Seventeen cents and one of tax: however many notes, no more tax than there was.
    let mut small = Invoice::draft(frame("6"), [charge(NOW, "a", Class::Input, 170_000_000_000)], &[]);
    for _ in 0..2 {
        let half = credit(&small, 90_000_000_000).expect("half of 0.18");
        small.credits.push(half);
    }
    assert_eq!(small.credits.iter().map(|credit| credit.tax).sum::<Pico>(), small.tax);
    let huge = Invoice::draft(frame("100"), [charge(NOW, "a", Class::Input, 10_i128.pow(27))], &[]);
    assert_eq!(credit(&huge, 10_i128.pow(27)).map(|half| half.tax), Some(Pico(10_i128.pow(27) / 2)));
}

#[test]
fn a_month_and_a_tax_rate_are_read_as_they_are_written() {
    for text in ["2026-11", "1999-01"] {
        assert_eq!(text.parse::<Month>().expect("a month").to_string(), text);
    }
    for wrong in ["2026-13", "2026", "2026-11-01", "11-2026", "26-10", "-020-01", "+2026-1", "2026- 1", ""] {
        assert!(wrong.parse::<Month>().is_err(), "{wrong}");
    }
    for (text, shown) in [("0", "0"), ("6", "6"), ("7.1250", "7.125"), ("100", "100"), ("0.0001", "0.0001")] {
        assert_eq!(TaxRate::from_percent(text).expect("a rate").to_percent(), shown);
    }
    for wrong in ["-1", "100.0001", "1e1", "0.00001", ""] {
        assert!(TaxRate::from_percent(wrong).is_err(), "{wrong}");
    }
}
