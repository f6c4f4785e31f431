//! What awaits a price is charged once, as if it had had it, with an entry of its own.

use super::*;
use aione_core::{
    domain::{
        budget::{Known, Owner, Term},
        ledger::{Kind, Total},
        money::Rate,
        price::{ModelPrice, PriceBook, PricePeriod, Rates},
    },
    ports::{BudgetStore as _, LedgerStore as _, QuarantineStore as _, UsageStore as _},
};

contract! {
    what_gets_a_price_is_charged_once_and_everywhere,
    only_what_awaits_a_price_is_listed_and_by_page,
}

fn awaiting(number: u128) -> UsageRecord {
    let mut record = record(number, NOW);
    record.opened.org = org_id(1);
    record.closed.usage = Usage { input: 3, output: 2, ..Usage::default() };
    (record.closed.unpriced, record.closed.cost) = (true, Pico(0));
    record
}

/// The same with a price of 10⁻⁶ a token.
fn priced(record: &UsageRecord, book: &PriceBook) -> UsageRecord {
    let mut priced = record.clone();
    priced.closed.unpriced = false;
    priced.closed.charge(&record.opened, book.models.get(&record.opened.model));
    priced.opened.price_version = book.version;
    priced
}

fn book(model: &Arc<str>) -> PriceBook {
    let rate = Some(Rate::per_million("1").unwrap());
    let rates = Rates { input: rate, output: rate, ..Rates::default() };
    let period = PricePeriod { from: None, rates, tiers: Vec::new() };
    PriceBook::new([(model.clone(), ModelPrice { periods: vec![period] })].into())
}

async fn what_gets_a_price_is_charged_once_and_everywhere(on: Engine) {
    let store = TestStore::open(on).await;
    let mut known = awaiting(3);
    (known.closed.unpriced, known.closed.cost) = (false, Pico(7));
    let records = [awaiting(1), awaiting(2), known];
    store.insert_records(&records).await.unwrap();
    let book = book(&records[0].opened.model);
    store.keep_price_book(&book, NOW).await.unwrap();
    let now: Vec<_> = records.iter().map(|record| priced(record, &book)).collect();
    // The last one has a price already.
    assert_eq!(store.price_records(&now).await.unwrap(), 2);
    assert_eq!(store.opened_again().await.price_records(&now).await.unwrap(), 0);
    assert_eq!(
        store.list_records(None, 10).await.unwrap(),
        [now[0].clone(), now[1].clone(), records[2].clone()]
    );

    let cost = now[0].closed.cost.0;
    assert_eq!(cost, 5_000_000);
    let total = 2 * cost + 7;
    let totals = store.totals(org_id(1)).await.unwrap();
    assert_eq!(totals.0, [(Kind::Usage, Total { entries: 3, amount: Pico(total) })].into());
    let notes: Vec<_> =
        store.list_entries(None, 10).await.unwrap().into_iter().map(|entry| entry.note).collect();
    assert_eq!(notes, [Some("priced later".to_owned()), Some("priced later".to_owned()), None]);
    let query = UsageQuery {
        org: org_id(1),
        zone: chrono_tz::UTC,
        start: NOW.date_in(chrono_tz::UTC),
        end: NOW.date_in(chrono_tz::UTC),
        group_by: vec![GroupBy::Day],
        model: None,
        team: None,
        key: None,
        page: Page { offset: 0, limit: 10 },
    };
    let sums = store.sum_usage(&query).await.unwrap();
    assert_eq!((sums[0].requests, sums[0].unpriced, sums[0].cost), (3, 0, Pico(total)));
    let spent = store.known(Owner::Account(org_id(1)), Term::EVER, chrono_tz::UTC).await.unwrap();
    assert_eq!(spent, Known { funds: Pico(0), spent: Pico(total) });
    let report = crate::audit::audit(&*store).await.unwrap();
    let classes = report.misinvoiced.is_empty() && report.unbalanced.is_empty();
    // The third one was given its cost by hand.
    assert!(classes && report.differing == 1 && report.unpriced == 0, "{report}");
}

async fn only_what_awaits_a_price_is_listed_and_by_page(on: Engine) {
    let store = TestStore::open(on).await;
    let mut records: Vec<_> = (1..=6).map(awaiting).collect();
    (records[1].closed.unpriced, records[1].closed.cost) = (false, Pico(7));
    records[3].opened.sandbox = true;
    store.insert_records(&records).await.unwrap();
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let page = store.list_unpriced(after, 3).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.opened.id);
        seen.extend(page.iter().map(|record| record.opened.id.0.as_u128()));
    }
    assert_eq!(seen, [1, 3, 5, 6]);
}
