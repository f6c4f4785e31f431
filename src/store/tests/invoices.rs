//! Invoices: every charge in one, and in one alone; numbers without gaps; nothing changes that was issued.

use super::*;
use aione_core::{
    domain::{
        id::{CreditNoteId, InvoiceId},
        invoice::{Frame, Invoice, Status, What},
        ledger::{Account, Kind},
        plan::Plan,
        price::PriceBook,
    },
    ports::{InvoiceStore as _, LedgerStore as _, TenantChange, UsageStore as _},
};
use chrono_tz::{Asia::Shanghai, Europe::Berlin, Tz};
use std::collections::BTreeSet;

contract! {
    what_comes_late_is_in_the_next_invoice_and_nothing_is_in_two,
    a_void_draft_gives_back_what_it_held,
    a_month_is_closed_once_and_none_before_it,
    a_record_lies_in_the_month_of_its_zone_in_which_it_started,
    twenty_who_issue_at_once_leave_no_gap_in_the_numbers,
    an_issued_invoice_is_owed_and_its_payment_settles_it,
    what_was_issued_is_changed_by_nobody,
    a_failed_issue_takes_no_number,
    the_fees_of_a_month_that_was_left_out_are_in_the_next,
}

const TENTH: i128 = 100_000_000_000;

fn at(text: &str) -> Timestamp {
    Timestamp(chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis())
}

fn charged(number: u128, at: Timestamp, cost: i128) -> UsageRecord {
    let mut one = record(number, at);
    one.closed.cost = Pico(cost);
    one
}

fn frame(number: u128, month: &str, zone: Tz) -> Frame {
    Frame {
        id: InvoiceId(Uuid::from_u128(number)),
        org: org_id(1),
        customer: "Acme".to_owned(),
        mode: BillingMode::Postpaid,
        month: month.parse().unwrap(),
        zone,
        currency: "CNY".to_owned(),
        tax_rate: TaxRate::from_percent("6").unwrap(),
        created_at: NOW,
    }
}

async fn changed(store: &Store, change: Change) -> Result<Invoice, StoreError> {
    let changed = store.done(change).await?.expect("it is there");
    let Row::Invoice(invoice) = changed.row() else { panic!("{changed:?}") };
    Ok((**invoice).clone())
}

async fn close(store: &Store, number: u128, month: &str, zone: Tz) -> Result<Invoice, StoreError> {
    let frame = Box::new(frame(number, month, zone));
    changed(store, Change::CloseMonth { frame }).await
}

async fn issue(store: &Store, number: u128) -> Result<Invoice, StoreError> {
    let id = InvoiceId(Uuid::from_u128(number));
    changed(store, Change::IssueInvoice { org: org_id(1), id, at: NOW, due_at: NOW.plus_ms(1) }).await
}

/// Month and amount before rounding, summed over models and classes.
fn by_month(invoice: &Invoice) -> Vec<(String, i128)> {
    let mut sums: Vec<(String, i128)> = Vec::new();
    for line in &invoice.lines {
        let What::Usage { month, exact, .. } = &line.what else { continue };
        match sums.iter_mut().find(|(of, _)| of == month) {
            Some((_, sum)) => *sum += exact.0,
            None => sums.push((month.clone(), exact.0)),
        }
    }
    sums
}

async fn what_comes_late_is_in_the_next_invoice_and_nothing_is_in_two(on: Engine) {
    let store = TestStore::open(on).await.with_org(1).await;
    let (october, november) = (at("2026-10-20T00:00:00Z"), at("2026-11-20T00:00:00Z"));
    store.insert_records(&[charged(1, october, 7), charged(2, november, 20)]).await.unwrap();
    let first = close(&store, 101, "2026-10", Shanghai).await.unwrap();
    assert_eq!(by_month(&first), [("2026-10".to_owned(), 7)]);
    let late = [charged(3, october, 100), charged(1, october, 7), charged(4, november, 3)];
    store.insert_records(&late).await.unwrap();
    let second = close(&store, 102, "2026-11", Shanghai).await.unwrap();
    assert_eq!(by_month(&second), [("2026-10".to_owned(), 100), ("2026-11".to_owned(), 23)]);
    store.insert_records(&[charged(5, november, 1_000)]).await.unwrap();
    let charges = store.charged().await.unwrap();
    let of = |invoice: Option<u128>| {
        charges[&(org_id(1), invoice.map(|number| InvoiceId(Uuid::from_u128(number))))].0
    };
    assert_eq!((of(Some(101)), of(Some(102)), of(None), charges.len()), (7, 123, 1_000, 3));
    let used = store.totals(org_id(1)).await.unwrap().0[&Kind::Usage].amount;
    assert_eq!(charges.values().copied().sum::<Pico>(), used);
    let (listed, total) = store.list_invoices(org_id(1), Page { offset: 0, limit: 1 }).await.unwrap();
    assert_eq!((listed, total), (vec![second], 2));
    assert_eq!(store.list_invoices(org_id(2), Page { offset: 0, limit: 9 }).await.unwrap(), (vec![], 0));
    assert_eq!(store.find_invoice(org_id(2), first.frame.id).await.unwrap(), None);
    assert_eq!(store.find_invoice(org_id(1), first.frame.id).await.unwrap(), Some(first));
}

async fn a_void_draft_gives_back_what_it_held(on: Engine) {
    let store = TestStore::open(on).await.with_org(1).await;
    let october = at("2026-10-20T00:00:00Z");
    store.insert_records(&[charged(1, october, 7)]).await.unwrap();
    let draft = close(&store, 101, "2026-10", Shanghai).await.unwrap();
    // In the same quarter of an hour as what the draft holds.
    store.insert_records(&[charged(2, october, 5)]).await.unwrap();
    let void = Change::VoidInvoice { org: org_id(1), id: draft.frame.id, at: NOW };
    let void = changed(&store, void).await.unwrap();
    assert_eq!((void.status, void.number), (Status::Void, None));
    let again = close(&store, 102, "2026-10", Shanghai).await.unwrap();
    assert_eq!(by_month(&again), [("2026-10".to_owned(), 12)]);
    assert!(store.totals(org_id(1)).await.unwrap().0.keys().eq([&Kind::Usage]), "nothing was owed");
}

async fn a_month_is_closed_once_and_none_before_it(on: Engine) {
    let store = TestStore::open(on).await.with_org(1).await;
    close(&store, 101, "2026-10", Shanghai).await.unwrap();
    for (number, month) in [(102, "2026-10"), (103, "2026-09"), (104, "1999-12")] {
        let error = close(&store, number, month, Shanghai).await.unwrap_err();
        assert!(matches!(error, StoreError::Conflict(_)), "{month}: {error}");
    }
    close(&store, 105, "2026-11", Shanghai).await.unwrap();
}

async fn a_record_lies_in_the_month_of_its_zone_in_which_it_started(on: Engine) {
    for (zone, month, first, last, after) in [
        // The clocks of Berlin go back in October and forward in March, which then begin and end by other offsets.
        (
            Berlin,
            "2026-10",
            "2026-10-01T00:00:00+02:00",
            "2026-10-31T23:59:59.999+01:00",
            "2026-11-01T00:00:00+01:00",
        ),
        (
            Berlin,
            "2026-03",
            "2026-03-01T00:00:00+01:00",
            "2026-03-31T23:59:59.999+02:00",
            "2026-04-01T00:00:00+02:00",
        ),
        (Shanghai, "2026-10", "2026-09-30T16:00:00Z", "2026-10-31T15:59:59.999Z", "2026-10-31T16:00:00Z"),
    ] {
        let store = TestStore::open(on).await.with_org(1).await;
        let before = at(first).plus_ms(-1);
        // Whatever it took: a record that ended after midnight started before it.
        let records = [
            charged(1, before, 1),
            charged(2, at(first), 10),
            charged(3, at(last), 100),
            charged(4, at(after), 1_000),
        ];
        store.insert_records(&records).await.unwrap();
        let invoice = close(&store, 101, month, zone).await.unwrap();
        let sums = by_month(&invoice);
        assert_eq!(sums.last(), Some(&(month.to_owned(), 110)), "{zone} {month}");
        assert_eq!(sums[0].1, 1, "{zone} {month}: what was before is late");
        assert_eq!(store.charged().await.unwrap()[&(org_id(1), None)], Pico(1_000));
    }
}

async fn twenty_who_issue_at_once_leave_no_gap_in_the_numbers(on: Engine) {
    let store = TestStore::open(on).await.with_org(1).await;
    for number in 1..=20_u128 {
        let month = format!("{}-{:02}", 2020 + number / 12, 1 + number % 12);
        close(&store, number, &month, Shanghai).await.unwrap();
    }
    let all = futures_util::future::join_all((1..=20).map(|number| issue(&store, number))).await;
    let numbers: BTreeSet<u64> = all.into_iter().map(|issued| issued.unwrap().number.unwrap()).collect();
    assert!(numbers.into_iter().eq(1..=20));
}

async fn an_issued_invoice_is_owed_and_its_payment_settles_it(on: Engine) {
    let store = TestStore::open(on).await.with_org(1).await;
    store.insert_records(&[charged(1, at("2026-10-20T00:00:00Z"), 3 * TENTH + 1)]).await.unwrap();
    plan_at(&store, "p", 100 * TENTH, "2026-09-01T00:00:00Z").await;
    let frame = Box::new(frame(101, "2026-10", Shanghai));
    let draft = changed(&store, Change::CloseMonth { frame }).await.unwrap();
    let balance = async || store.totals(org_id(1)).await.unwrap().balance(Account::Customer).0;
    assert_eq!(balance().await, -3 * TENTH - 1, "a draft is not owed");
    let issued = issue(&store, 101).await.unwrap();
    assert_eq!((issued.subtotal, issued.tax), (Pico(103 * TENTH), Pico(62 * TENTH / 10)));
    assert_eq!(balance().await, -issued.amount().0);
    assert!(issue(&store, 101).await.is_err(), "once");
    let (org, id) = (org_id(1), draft.frame.id);
    let credit = |number: u128, amount| Change::CreditInvoice {
        org,
        id,
        credit: CreditNoteId(Uuid::from_u128(number)),
        amount: Pico(amount),
        note: "an outage".to_owned(),
        at: NOW,
    };
    let credited = changed(&store, credit(201, 2 * TENTH)).await.unwrap();
    assert_eq!((credited.credits[0].number, credited.left().0), (1, issued.amount().0 - 2 * TENTH));
    let too_much = changed(&store, credit(202, credited.left().0 + 1)).await;
    assert!(matches!(too_much, Err(StoreError::Conflict(_))), "{too_much:?}");
    let paid = changed(&store, Change::PayInvoice { org, id, at: NOW }).await.unwrap();
    assert_eq!((paid.status, balance().await), (Status::Paid, 0));
    assert_eq!(store.find_invoice(org, id).await.unwrap(), Some(paid));
    for again in [Change::PayInvoice { org, id, at: NOW }, Change::VoidInvoice { org, id, at: NOW }] {
        assert!(matches!(changed(&store, again).await, Err(StoreError::Conflict(_))));
    }
    assert_eq!(changed(&store, credit(203, TENTH)).await.unwrap().credits[1].number, 2, "none was left out");
}

fn plan(code: &str) -> Plan {
    Plan {
        code: code.into(),
        name: code.to_uppercase(),
        models: Vec::new(),
        rpm_limits: [].into(),
        tpm_limits: [].into(),
        rpd_limits: [].into(),
        concurrency_limits: [].into(),
        prices: Arc::new(PriceBook::new([].into())),
        own_prices: [].into(),
        monthly_fee: "0.00".to_owned(),
        sandbox_included: false,
        sla_tier: String::new(),
    }
}

/// From `at` on organization 1 has a plan of that fee.
async fn plan_at(store: &Store, code: &str, fee: i128, from: &str) {
    let plan = Plan { monthly_fee: Pico(fee).to_decimal(), ..plan(code) };
    store.keep_plans([&plan], &plan, at(from)).await.unwrap();
    let change = TenantChange { plan: Some(code.into()), ..TenantChange::default() };
    store.done(Change::UpdateOrg { id: org_id(1), at: at(from), change }).await.unwrap().unwrap();
}

async fn the_fees_of_a_month_that_was_left_out_are_in_the_next(on: Engine) {
    let store = TestStore::open(on).await.with_org(1).await;
    plan_at(&store, "p", 30 * TENTH, "2026-01-01T00:00:00Z").await;
    let months = |invoice: &Invoice| -> Vec<String> {
        let months = invoice.lines.iter().map(|line| match &line.what {
            What::Fee { month, .. } => month.clone(),
            What::Usage { .. } => panic!("nothing was used"),
        });
        months.collect()
    };
    assert_eq!(
        months(&close(&store, 101, "2026-05", Shanghai).await.unwrap()),
        ["2026-05"],
        "the first has its own"
    );
    let august = close(&store, 102, "2026-08", Shanghai).await.unwrap();
    assert_eq!(months(&august), ["2026-06", "2026-07", "2026-08"]);
    let september = close(&store, 103, "2026-09", Shanghai).await.unwrap();
    let void = |invoice: &Invoice| Change::VoidInvoice { org: org_id(1), id: invoice.frame.id, at: NOW };
    let early = changed(&store, void(&august)).await;
    assert!(matches!(early, Err(StoreError::Conflict(_))), "a later month is closed: {early:?}");
    changed(&store, void(&september)).await.unwrap();
    assert_eq!(months(&close(&store, 104, "2026-10", Shanghai).await.unwrap()), ["2026-09", "2026-10"]);
    // A plan that has left the configuration has the fee of the one that stands in for it.
    let instead = Plan { monthly_fee: "0.00".to_owned(), ..plan("default") };
    store.keep_plans([&instead], &instead, at("2026-11-16T00:00:00+08:00")).await.unwrap();
    let november = close(&store, 105, "2026-11", Shanghai).await.unwrap();
    let What::Fee { days, .. } = november.lines[0].what else { panic!("{november:?}") };
    assert_eq!((november.lines.len(), days), (1, 15));
}

async fn what_was_issued_is_changed_by_nobody(on: Engine) {
    let store = TestStore::open(on).await.with_org(1).await;
    store.insert_records(&[charged(1, at("2026-10-20T00:00:00Z"), TENTH)]).await.unwrap();
    close(&store, 101, "2026-10", Shanghai).await.unwrap();
    let before = issue(&store, 101).await.unwrap();
    for sql in [
        "UPDATE invoices SET lines = '[]'",
        "UPDATE invoices SET tax = '0'",
        "UPDATE invoices SET subtotal = '0'",
        "UPDATE invoices SET number = 9",
        "UPDATE invoices SET month = '2026-09'",
        "UPDATE invoices SET due_at = 0",
        "DELETE FROM invoices",
    ] {
        let mut tx = store.pools.write().await.unwrap();
        assert!(tx.script(sql).await.is_err(), "{sql}");
    }
    assert_eq!(store.find_invoice(org_id(1), before.frame.id).await.unwrap(), Some(before));
}

async fn a_failed_issue_takes_no_number(on: Engine) {
    let store = TestStore::open(on).await.with_org(1).await;
    for (number, month) in [(101, "2026-09"), (102, "2026-10")] {
        close(&store, number, month, Shanghai).await.unwrap();
    }
    let id = InvoiceId(Uuid::from_u128(101));
    let issue_it = || Change::IssueInvoice { org: org_id(1), id, at: NOW, due_at: NOW };
    // The answer is kept in a scope that is taken: all of it is undone.
    let kept = || aione_core::ports::KeptAnswer {
        scope: [7; 32],
        request: [0; 32],
        status: 200,
        sealed: Vec::new(),
        kept_until: Timestamp(i64::MAX),
    };
    let trail = |number| {
        move |changed: &Changed| Trail { audit: entry(number, changed.row().object()), answer: Some(kept()) }
    };
    store.note(&Trail { audit: entry(1, Object::Config), answer: Some(kept()) }).await.unwrap();
    let failed = store.make(issue_it(), Box::new(trail(2))).await;
    assert!(matches!(failed, Err(StoreError::Conflict(_))), "{failed:?}");
    assert_eq!(issue(&store, 102).await.unwrap().number, Some(1));
}
