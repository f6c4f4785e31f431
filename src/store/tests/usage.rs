//! Sums of usage: exact, by local days and hours, of one organization alone.

use super::*;
use aione_core::ports::{GroupBy, Page, UsageQuery, UsageStore as _, UsageSum};
use chrono_tz::{Asia, Europe, Tz, UTC};

contract! {
    a_record_falls_into_its_local_day_when_summer_time_changes,
    the_hour_that_comes_twice_is_one_and_the_one_left_out_is_none,
    zones_with_parts_of_an_hour_have_their_own_days_and_hours,
    rows_come_in_the_order_asked_for_and_by_page,
    another_organizations_usage_is_not_seen,
    sums_are_exact_beyond_what_64_bits_of_the_smallest_unit_hold,
    any_range_is_answered,
}

fn at(text: &str) -> Timestamp {
    Timestamp(chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis())
}

fn query(zone: Tz, start: &str, end: &str, group_by: &[GroupBy]) -> UsageQuery {
    UsageQuery {
        org: org_id(1),
        zone,
        start: start.parse().unwrap(),
        end: end.parse().unwrap(),
        group_by: group_by.to_vec(),
        model: None,
        team: None,
        key: None,
        page: Page { offset: 0, limit: 1_000 },
    }
}

async fn check(store: &TestStore, query: &UsageQuery, expect: &[(&str, u64)]) {
    let sums = store.sum_usage(query).await.unwrap();
    let found: Vec<_> = sums.iter().map(|sum| (sum.group.join(" "), sum.requests)).collect();
    let expect: Vec<_> = expect.iter().map(|(group, requests)| ((*group).to_owned(), *requests)).collect();
    assert_eq!(found, expect, "{query:?}");
}

/// A store with one record at each time.
async fn store_with(on: Engine, times: &[&str]) -> TestStore {
    let store = TestStore::open(on).await;
    let records: Vec<_> = (1..).zip(times).map(|(number, time)| record(number, at(time))).collect();
    store.insert_records(&records).await.unwrap();
    store
}

async fn a_record_falls_into_its_local_day_when_summer_time_changes(on: Engine) {
    let store = store_with(
        on,
        &[
            "2026-03-28T22:59:59.999Z",
            "2026-03-28T23:00:00Z",
            "2026-03-29T21:59:59.999Z",
            "2026-03-29T22:00:00Z",
            "2026-10-24T21:59:59.999Z",
            "2026-10-24T22:00:00Z",
            "2026-10-25T22:59:59.999Z",
            "2026-10-25T23:00:00Z",
        ],
    )
    .await;
    let days = query(Europe::Berlin, "2026-01-01", "2026-12-31", &[GroupBy::Day]);
    let expect = [
        ("2026-03-28", 1),
        ("2026-03-29", 2),
        ("2026-03-30", 1),
        ("2026-10-24", 1),
        ("2026-10-25", 2),
        ("2026-10-26", 1),
    ];
    check(&store, &days, &expect).await;
    let one_day = query(Europe::Berlin, "2026-10-25", "2026-10-25", &[GroupBy::Day]);
    check(&store, &one_day, &[("2026-10-25", 2)]).await;
}

async fn the_hour_that_comes_twice_is_one_and_the_one_left_out_is_none(on: Engine) {
    let store = store_with(
        on,
        &[
            "2026-10-25T00:30:00Z",
            "2026-10-25T01:30:00Z",
            "2026-10-25T02:00:00Z",
            "2026-03-29T00:59:59Z",
            "2026-03-29T01:00:00Z",
        ],
    )
    .await;
    let hours = query(Europe::Berlin, "2026-01-01", "2026-12-31", &[GroupBy::Hour]);
    let expect = [("2026-03-29T01", 1), ("2026-03-29T03", 1), ("2026-10-25T02", 2), ("2026-10-25T03", 1)];
    check(&store, &hours, &expect).await;
}

async fn zones_with_parts_of_an_hour_have_their_own_days_and_hours(on: Engine) {
    let store =
        store_with(on, &["2026-11-22T18:29:59.999Z", "2026-11-22T18:30:00Z", "2026-11-22T19:29:00Z"]).await;
    let range = |zone, group_by| query(zone, "2026-11-22", "2026-11-23", group_by);
    check(&store, &range(Asia::Kolkata, &[GroupBy::Day]), &[("2026-11-22", 1), ("2026-11-23", 2)]).await;
    let hours = [("2026-11-22T23", 1), ("2026-11-23T00", 2)];
    check(&store, &range(Asia::Kolkata, &[GroupBy::Hour]), &hours).await;
    check(&store, &range(Asia::Kathmandu, &[GroupBy::Day]), &[("2026-11-23", 3)]).await;
    check(&store, &range(UTC, &[GroupBy::Day]), &[("2026-11-22", 3)]).await;
}

async fn rows_come_in_the_order_asked_for_and_by_page(on: Engine) {
    let store = TestStore::open(on).await;
    let mut records = Vec::new();
    for number in 0..12_u128 {
        let mut one =
            record(number, at("2026-11-23T00:00:00Z").plus_ms(86_400_000 * i64::from(number % 2 == 1)));
        one.opened.model = Arc::from(["b", "a", "c"][(number % 3) as usize]);
        one.closed.provider = Arc::from(["", "openai"][(number % 2) as usize]);
        one.opened.team = team_id(number % 2);
        one.opened.key = key_id(number % 4);
        records.push(one);
    }
    store.insert_records(&records).await.unwrap();
    let by = |group_by: &[GroupBy]| query(UTC, "2026-11-01", "2026-11-30", group_by);
    let models = [("a", 4), ("b", 4), ("c", 4)];
    check(&store, &by(&[GroupBy::Model]), &models).await;
    let mut page = by(&[GroupBy::Model]);
    page.page = Page { offset: 1, limit: 1 };
    check(&store, &page, &models[1..2]).await;
    let both = by(&[GroupBy::Model, GroupBy::Day]);
    let expect = [
        ("a 2026-11-23", 2),
        ("a 2026-11-24", 2),
        ("b 2026-11-23", 2),
        ("b 2026-11-24", 2),
        ("c 2026-11-23", 2),
        ("c 2026-11-24", 2),
    ];
    check(&store, &both, &expect).await;
    check(&store, &by(&[GroupBy::Provider]), &[("", 6), ("openai", 6)]).await;
    let team = "00000000-0000-0000-0000-00000000000";
    let (none, one) = (format!("{team}0"), format!("{team}1"));
    check(&store, &by(&[GroupBy::Team]), &[(&none, 6), (&one, 6)]).await;
    let mut filtered = by(&[GroupBy::Key]);
    (filtered.model, filtered.team) = (Some("a".to_owned()), Some(team_id(0)));
    check(&store, &filtered, &[(&none, 1), (&format!("{team}2"), 1)]).await;
    filtered.key = Some(key_id(2));
    filtered.group_by.clear();
    check(&store, &filtered, &[("", 1)]).await;
    filtered.model = Some("nothing".to_owned());
    check(&store, &filtered, &[]).await;
}

async fn another_organizations_usage_is_not_seen(on: Engine) {
    let store = store_with(on, &["2026-11-23T00:00:00Z"]).await;
    let mut theirs = query(UTC, "2026-11-23", "2026-11-23", &[GroupBy::Key]);
    theirs.org = org_id(2);
    theirs.key = Some(key_id(1));
    check(&store, &theirs, &[]).await;
}

async fn sums_are_exact_beyond_what_64_bits_of_the_smallest_unit_hold(on: Engine) {
    let store = TestStore::open(on).await;
    let mut records: Vec<_> = (0..1_000).map(|number| record(number, NOW)).collect();
    let cost = Pico(2 * 10_i128.pow(24) + 999_999_999_999);
    for record in &mut records {
        record.closed.cost = cost;
    }
    records[0].closed.cost = Pico(-1);
    records[3].closed.unpriced = true;
    records[1].closed.usage.input = u64::MAX - 500;
    records[2].closed.usage.output = u64::MAX;
    store.insert_records(&records).await.unwrap();
    let sums = store.sum_usage(&query(UTC, "2026-11-23", "2026-11-23", &[])).await.unwrap();
    let expect = UsageSum {
        group: Vec::new(),
        requests: 1_000,
        unpriced: 1,
        faults: 0,
        usage: Usage {
            input: u64::MAX,
            cache_read: 2_000,
            cache_write_5m: 3_000,
            cache_write_1h: 4_000,
            audio_in: 5_000,
            output: u64::MAX,
            reasoning: 7_000,
            audio_out: 8_000,
            images: 9_000,
            searches: 10_000,
            characters: 11_000,
            seconds: 12_000,
        },
        cost: Pico(cost.0 * 999 - 1),
        latency_ms: 1_000 * u64::from(u32::MAX),
    };
    assert!(expect.cost.0 > 10_i128.pow(15 + 12), "more than 10^15 units");
    assert_eq!(sums, [expect]);
}

async fn any_range_is_answered(on: Engine) {
    let store = store_with(on, &["2026-11-23T00:00:00Z"]).await;
    // Clocks that were wrong.
    store
        .insert_records(&[i64::MAX, i64::MIN].map(|at| record(at.unsigned_abs().into(), Timestamp(at))))
        .await
        .unwrap();
    let mut all = query(Europe::Berlin, "2026-01-01", "2026-01-01", &[GroupBy::Day]);
    (all.start, all.end) = (chrono::NaiveDate::MIN, chrono::NaiveDate::MAX);
    check(&store, &all, &[("2026-11-23", 1)]).await;
    check(&store, &query(UTC, "2026-11-24", "2026-11-23", &[]), &[]).await;
}
