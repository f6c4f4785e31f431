//! What attempts cost and brought is added up with the records, once, and summed by what is asked for.

use super::*;
use aione_core::{
    domain::{
        money::Rate,
        outlay::{FailedAttempt, Margin, Outlay},
        price::{ModelPrice, PriceBook, PricePeriod, Rates},
    },
    ports::{MarginGroup as By, MarginQuery, MarginStore as _, QuarantineStore as _, UsageStore as _},
};

contract! {
    margins_are_summed_by_what_is_asked_for,
    a_record_that_comes_again_adds_nothing,
    a_price_that_comes_later_adds_revenue_alone,
    amounts_add_up_beyond_a_unit,
}

const UNIT: i128 = 1_000_000_000_000;

/// A record of `org` that was charged 10, whose answer cost `cost`, after an attempt that failed and
/// cost 2.
fn tried_twice(number: u128, org: u128, at: Timestamp, cost: Option<i128>) -> UsageRecord {
    let mut record = record(number, at);
    record.opened.org = org_id(org);
    record.closed.cost = Pico(10);
    record.closed.attempts = 2;
    record.closed.outlay = Outlay {
        cost: cost.map(Pico),
        failed: vec![FailedAttempt {
            provider: Arc::from("spare"),
            upstream_model: Arc::from("m"),
            fault: Arc::from("error_event"),
            usage: Usage { input: 1, ..Usage::default() },
            cost: Some(Pico(2)),
        }],
    };
    record
}

fn query(group_by: &[By]) -> MarginQuery {
    let days = |days: i64| NOW.plus_ms(days * 86_400_000).date_in(chrono_tz::UTC);
    MarginQuery {
        org: None,
        zone: chrono_tz::UTC,
        start: days(0),
        end: days(1),
        group_by: group_by.to_vec(),
        page: Page { offset: 0, limit: 100 },
    }
}

async fn sums(store: &TestStore, query: &MarginQuery) -> Vec<(Vec<String>, Margin)> {
    let sums = store.sum_margins(query).await.unwrap();
    sums.into_iter().map(|sum| (sum.group, sum.margin)).collect()
}

fn failures(count: u64) -> Margin {
    Margin { attempts: count, failed: count, cost: Pico(2 * i128::from(count)), ..Margin::default() }
}

async fn margins_are_summed_by_what_is_asked_for(on: Engine) {
    let store = TestStore::open(on).await;
    let tomorrow = NOW.plus_ms(86_400_000);
    let records = [
        tried_twice(1, 1, NOW, Some(7)),
        tried_twice(2, 1, NOW, None),
        tried_twice(3, 2, tomorrow, Some(12)),
    ];
    store.insert_records(&records).await.unwrap();

    let answer = |cost| Margin { attempts: 1, revenue: Pico(10), cost: Pico(cost), ..Margin::default() };
    let unknown = Margin { attempts: 1, uncosted: 1, uncosted_revenue: Pico(10), ..Margin::default() };
    let [first, second] = [0, 86_400_000].map(|ms| NOW.plus_ms(ms).date_in(chrono_tz::UTC).to_string());
    let one = answer(7).plus(&unknown).plus(&failures(2));
    let two = answer(12).plus(&failures(1));
    assert_eq!(sums(&store, &query(&[By::Day])).await, [(vec![first], one), (vec![second.clone()], two)]);
    let orgs = [(vec![org_id(1).to_string()], one), (vec![org_id(2).to_string()], two)];
    assert_eq!(sums(&store, &query(&[By::Org])).await, orgs);
    let good = answer(7).plus(&unknown).plus(&answer(12));
    assert_eq!(
        sums(&store, &query(&[By::Deployment])).await,
        [(vec!["openai/gpt-5-2026-01-01".to_owned()], good), (vec!["spare/m".to_owned()], failures(3))]
    );
    let by_both = sums(&store, &query(&[By::Provider, By::Model])).await;
    let names: Vec<_> = by_both.iter().map(|(names, _)| names.join(" ")).collect();
    assert_eq!(names, ["openai gpt-5", "spare gpt-5"]);

    let second_org = MarginQuery { org: Some(org_id(2)), ..query(&[By::Day]) };
    assert_eq!(sums(&store, &second_org).await, [(vec![second], two)]);
    let page = MarginQuery { page: Page { offset: 1, limit: 1 }, ..query(&[By::Org]) };
    assert_eq!(sums(&store, &page).await, [orgs[1].clone()]);
    let before = NOW.plus_ms(-10 * 86_400_000).date_in(chrono_tz::UTC);
    let nothing = MarginQuery { start: before, end: before, ..query(&[By::Day]) };
    assert_eq!(sums(&store, &nothing).await, []);
    let backwards = MarginQuery { start: NOW.date_in(chrono_tz::UTC), end: before, ..query(&[By::Day]) };
    assert_eq!(sums(&store, &backwards).await, []);

    assert_eq!(store.margin_totals(Timestamp(0)).await.unwrap(), [(org_id(1), one), (org_id(2), two)].into());
    let later = aione_core::domain::rollup::Span::Quarter.start_of(tomorrow);
    assert_eq!(store.margin_totals(later).await.unwrap(), [(org_id(2), two)].into());
}

async fn a_record_that_comes_again_adds_nothing(on: Engine) {
    let store = TestStore::open(on).await;
    let records = [tried_twice(1, 1, NOW, Some(7)), tried_twice(2, 1, NOW, Some(7))];
    store.insert_records(&records[..1]).await.unwrap();
    store.insert_records(&records).await.unwrap();
    store.opened_again().await.insert_records(&records).await.unwrap();
    let totals = store.margin_totals(Timestamp(0)).await.unwrap();
    let Margin { attempts, failed, revenue, cost, .. } = totals[&org_id(1)];
    assert_eq!((attempts, failed, revenue, cost), (4, 2, Pico(20), Pico(18)));
    assert_eq!(store.list_records(None, 10).await.unwrap(), records, "attempts are kept with the record");
}

async fn a_price_that_comes_later_adds_revenue_alone(on: Engine) {
    let store = TestStore::open(on).await;
    let mut known = tried_twice(1, 1, NOW, Some(7));
    let mut unknown = tried_twice(2, 1, NOW, None);
    for record in [&mut known, &mut unknown] {
        record.closed.usage = Usage { input: 3, ..Usage::default() };
        (record.closed.unpriced, record.closed.cost) = (true, Pico(0));
    }
    store.insert_records(&[known.clone(), unknown.clone()]).await.unwrap();
    let before = store.margin_totals(Timestamp(0)).await.unwrap()[&org_id(1)];
    assert_eq!((before.revenue, before.uncosted_revenue, before.unpriced), (Pico(0), Pico(0), 2));

    let rates = Rates { input: Some(Rate::per_million("1").unwrap()), ..Rates::default() };
    let price = ModelPrice { periods: vec![PricePeriod { from: None, rates, tiers: Vec::new() }] };
    let book = PriceBook::new([(known.opened.model.clone(), price)].into());
    store.keep_price_book(&book, NOW).await.unwrap();
    for record in [&mut known, &mut unknown] {
        record.closed.unpriced = false;
        record.closed.charge(&record.opened, book.models.get(&record.opened.model));
        record.opened.price_version = book.version;
    }
    assert_eq!(store.price_records(&[known.clone(), unknown.clone()]).await.unwrap(), 2);
    assert_eq!(store.price_records(&[known, unknown]).await.unwrap(), 0);
    let after = store.margin_totals(Timestamp(0)).await.unwrap()[&org_id(1)];
    let expected =
        Margin { revenue: Pico(3_000_000), uncosted_revenue: Pico(3_000_000), unpriced: 0, ..before };
    assert_eq!(after, expected);
}

async fn amounts_add_up_beyond_a_unit(on: Engine) {
    let store = TestStore::open(on).await;
    for number in 1..=3 {
        let mut record = tried_twice(number, 1, NOW, Some(UNIT - 1));
        record.closed.cost = Pico(2 * UNIT - 1);
        store.insert_records(&[record]).await.unwrap();
    }
    let total = store.margin_totals(Timestamp(0)).await.unwrap()[&org_id(1)];
    assert_eq!((total.revenue, total.cost), (Pico(3 * (2 * UNIT - 1)), Pico(3 * (UNIT - 1) + 6)));
    assert_eq!(total.left(), Pico(3 * UNIT - 6));
}
