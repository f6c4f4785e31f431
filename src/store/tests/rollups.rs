//! Rollups are what the records come to, whatever happened to either.

use super::{
    super::{engine::Turn, rollups::TURNS},
    *,
};
use aione_core::{
    domain::{clock::Timestamp, histogram::Histogram, rollup::Rollup},
    ports::{GroupBy, Overview, OverviewQuery, Page, UsageQuery, UsageStore as _, UsageSum},
};
use chrono::{NaiveDate, TimeZone as _};
use chrono_tz::{Asia, Australia, Europe, Tz};
use rand::{Rng as _, RngExt as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use std::collections::BTreeMap;

contract! {
    rollups_are_what_the_records_come_to,
    a_record_that_is_there_is_not_counted_again,
    two_processes_count_into_the_same_rollups,
    a_batch_that_nobody_waits_for_is_counted_with_its_records_or_not_at_all,
    a_batch_that_is_not_kept_is_not_counted,
    an_overview_is_of_one_organizations_range,
}

const ZONES: [Tz; 6] = [
    Asia::Shanghai,
    Asia::Kathmandu,
    Asia::Kolkata,
    Australia::Lord_Howe,
    Europe::Berlin,
    chrono_tz::America::St_Johns,
];

/// Records around both changes of summer time of 2026, many of them close to a local midnight, hour
/// or quarter.
fn any_records(rng: &mut StdRng, count: u128) -> Vec<UsageRecord> {
    let ends = [End::Complete, End::ClientClosed, End::UpstreamError, End::Interrupted];
    let weeks = ["2026-03-28", "2026-04-04", "2026-10-03", "2026-10-24", "2026-10-31"];
    (1..=count)
        .map(|number| {
            let day: NaiveDate = weeks.choose(rng).unwrap().parse().unwrap();
            let quarter =
                Timestamp::start_of(day, chrono_tz::UTC).plus_ms(900_000 * rng.random_range(-60..150));
            let off = *[-1, 0, 1, 450_000].choose(rng).unwrap();
            let mut one = record(number, quarter.plus_ms(off));
            one.opened.org = org_id(rng.random_range(1..3));
            one.opened.team = team_id(rng.random_range(1..4));
            one.opened.key = key_id(rng.random_range(1..6));
            one.opened.model = Arc::from(*["a", "b", "名"].choose(rng).unwrap());
            one.opened.sandbox = rng.random();
            one.closed.provider = Arc::from(*["", "p", "q"].choose(rng).unwrap());
            one.closed.end = *ends.choose(rng).unwrap();
            one.closed.status = *[200, 400, 502].choose(rng).unwrap();
            one.closed.unpriced = rng.random_ratio(1, 5);
            one.closed.latency_ms = rng.random::<u32>() >> rng.random_range(0..32);
            one.closed.usage.input = rng.next_u64() >> rng.random_range(0..64);
            one.closed.usage.output = u64::from(rng.random::<u16>());
            one.closed.cost = Pico(i128::from(rng.random::<i64>()) * i128::from(rng.random::<u32>()));
            one
        })
        .collect()
}

/// The same sums, made of single records by the calendar.
fn summed(records: &[UsageRecord], query: &UsageQuery) -> Vec<UsageSum> {
    let mut sums = BTreeMap::<Vec<String>, Rollup>::new();
    for UsageRecord { opened, closed } in records {
        let local = query.zone.from_utc_datetime(&opened.started_at.to_datetime().naive_utc());
        let day = local.date_naive();
        let is_asked_for = opened.org == query.org
            && (query.start..=query.end).contains(&day)
            && query.model.as_deref().is_none_or(|model| *model == *opened.model)
            && query.team.is_none_or(|team| team == opened.team)
            && query.key.is_none_or(|key| key == opened.key);
        if !is_asked_for {
            continue;
        }
        let label = |group: &GroupBy| match group {
            GroupBy::Day => day.to_string(),
            GroupBy::Hour => local.format("%Y-%m-%dT%H").to_string(),
            GroupBy::Model => opened.model.to_string(),
            GroupBy::Team => opened.team.to_string(),
            GroupBy::Key => opened.key.to_string(),
            GroupBy::Provider => closed.provider.to_string(),
        };
        sums.entry(query.group_by.iter().map(label).collect()).or_default().add(closed);
    }
    let sum = |(group, rollup): (Vec<String>, Rollup)| UsageSum {
        group,
        requests: rollup.requests,
        unpriced: rollup.unpriced,
        faults: rollup.faults,
        usage: rollup.usage,
        cost: rollup.cost,
        latency_ms: rollup.latency_ms,
    };
    sums.into_iter().map(sum).collect()
}

fn query(zone: Tz, start: &str, end: &str, group_by: Vec<GroupBy>) -> UsageQuery {
    UsageQuery {
        org: org_id(1),
        zone,
        start: start.parse().unwrap(),
        end: end.parse().unwrap(),
        group_by,
        model: None,
        team: None,
        key: None,
        page: Page { offset: 0, limit: 1_000_000 },
    }
}

fn any_query(rng: &mut StdRng) -> UsageQuery {
    use GroupBy as G;
    let mut groups = vec![G::Day, G::Hour, G::Model, G::Team, G::Key, G::Provider];
    groups.retain(|_| rng.random_ratio(1, 3));
    let days = ["2026-01-01", "2026-03-29", "2026-04-05", "2026-10-04", "2026-10-25", "2026-12-31"];
    let (mut start, mut end) = (*days.choose(rng).unwrap(), *days.choose(rng).unwrap());
    if start > end {
        (start, end) = (end, start);
    }
    let mut query = query(*ZONES.choose(rng).unwrap(), start, end, groups);
    query.model = rng.random_ratio(1, 4).then(|| "a".to_owned());
    query.team = rng.random_ratio(1, 4).then(|| team_id(2));
    query.key = rng.random_ratio(1, 4).then(|| key_id(3));
    query
}

async fn rollups_are_what_the_records_come_to(on: Engine) {
    let seed = rand::random();
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let store = TestStore::open(on).await;
    let records = any_records(&mut rng, 1_500);
    for batch in records.chunks(177) {
        store.insert_records(batch).await.unwrap();
    }
    for _ in 0..300 {
        let query = any_query(&mut rng);
        assert_eq!(store.sum_usage(&query).await.unwrap(), summed(&records, &query), "{query:?}");
    }
}

/// Every rollup, readable and in order.
async fn rows(store: &Store) -> Vec<String> {
    const NUMBERS: [&str; 19] = [
        "span_ms",
        "start_at",
        "requests",
        "unpriced",
        "faults",
        "input",
        "cache_read",
        "cache_write_5m",
        "cache_write_1h",
        "audio_in",
        "output",
        "reasoning",
        "audio_out",
        "images",
        "searches",
        "characters",
        "seconds",
        "cost_units",
        "cost_pico",
    ];
    let found = store.ask("SELECT * FROM usage_rollups").await;
    let mut rows: Vec<_> = found
        .iter()
        .map(|row| {
            let by_key: bool = row.get("by_key").unwrap();
            let key = by_key.then(|| row.uuid("key_id").unwrap());
            let names: [&str; 2] = ["model", "provider"].map(|name| row.get(name).unwrap());
            let ids = ["org_id", "team_id"].map(|id| row.uuid(id).unwrap());
            let numbers = NUMBERS.map(|number| row.get::<i64>(number).unwrap());
            let latencies: &[u8] = row.get("latencies").unwrap();
            format!(
                "{ids:?} {key:?} {names:?} {numbers:?} {} {latencies:?}",
                row.get::<i64>("latency_ms").unwrap()
            )
        })
        .collect();
    rows.sort_unstable();
    rows
}

async fn a_record_that_is_there_is_not_counted_again(on: Engine) {
    let mut rng = StdRng::seed_from_u64(7);
    let records = any_records(&mut rng, 400);
    let (once, again) = (TestStore::open(on).await, TestStore::open(on).await);
    once.insert_records(&records).await.unwrap();
    again.insert_records(&records[..150]).await.unwrap();
    let mut changed = records.clone();
    for record in &mut changed[..150] {
        record.closed.cost = Pico(9);
        record.closed.latency_ms = 5;
    }
    // Old ones, new ones, and one twice in a batch: the first counts.
    changed.extend_from_within(300..);
    changed.last_mut().unwrap().closed.cost = Pico(9);
    again.insert_records(&changed).await.unwrap();
    again.insert_records(&changed).await.unwrap();
    assert_eq!(rows(&again).await, rows(&once).await);
    assert!(rows(&once).await.len() > 400);
}

async fn two_processes_count_into_the_same_rollups(on: Engine) {
    let mut rng = StdRng::seed_from_u64(10);
    let records = any_records(&mut rng, 400);
    let (one, alone) = (TestStore::open(on).await, TestStore::open(on).await);
    let other = one.opened_again().await;
    for (nth, batch) in records.chunks(20).enumerate() {
        let turn = if nth % 3 == 0 { &other } else { &one.store };
        turn.insert_records(batch).await.unwrap();
    }
    alone.insert_records(&records).await.unwrap();
    assert_eq!(rows(&one).await, rows(&alone).await);
}

/// Waits for what was left under way: a commit goes on without whoever asked for it.
async fn settled(store: &Store) {
    let mut tx = store.pools.write().await.unwrap();
    for number in 0..TURNS {
        tx.take(Turn::Rollups(number)).await.unwrap();
    }
    tx.commit().await.unwrap();
}

async fn a_batch_that_nobody_waits_for_is_counted_with_its_records_or_not_at_all(on: Engine) {
    let mut rng = StdRng::seed_from_u64(11);
    let records = any_records(&mut rng, 2_000);
    let (store, alone) = (TestStore::open(on).await, TestStore::open(on).await);
    for batch in records.chunks(100) {
        let longest = std::time::Duration::from_micros(rng.random_range(1..20_000));
        let _ = tokio::time::timeout(longest, store.insert_records(batch)).await;
    }
    settled(&store).await;
    let kept = store.list_records(None, 10_000).await.unwrap();
    println!("{} of {} are kept", kept.len(), records.len());
    alone.insert_records(&kept).await.unwrap();
    assert_eq!(rows(&store).await, rows(&alone).await);
    store.insert_records(&records).await.unwrap();
    alone.insert_records(&records).await.unwrap();
    assert_eq!(rows(&store).await, rows(&alone).await);
}

async fn a_batch_that_is_not_kept_is_not_counted(on: Engine) {
    let store = TestStore::open(on).await;
    let mut records: Vec<_> = (1..=3).map(|number| record(number, NOW)).collect();
    // Each amount can be kept, and their sum cannot.
    for record in &mut records {
        record.closed.cost = Pico(i128::from(i64::MAX / 2) * 1_000_000_000_000);
    }
    let error = store.insert_records(&records).await.unwrap_err();
    assert!(matches!(error, aione_core::ports::StoreError::Corrupt(_)), "{error}");
    assert_eq!(rows(&store).await, Vec::<String>::new());
    assert_eq!(store.list_records(None, 10).await.unwrap(), []);
    store.insert_records(&records[..2]).await.unwrap();
}

#[tokio::test]
async fn a_store_without_rollups_gets_them_when_it_is_opened() {
    let mut rng = StdRng::seed_from_u64(8);
    let store = TestStore::open(Engine::Sqlite).await;
    let mut records = any_records(&mut rng, 6_000);
    for record in &mut records {
        // Nobody counted these then.
        (record.closed.usage.characters, record.closed.usage.seconds) = (0, 0);
    }
    store.insert_records(&records).await.unwrap();
    let before = rows(&store).await;
    const FIRST: &str = "
        DROP TABLE usage_rollups;
        DROP TABLE audit;
        DROP TABLE kept_answers;
        DROP TABLE ledger_entries;
        DROP TABLE ledger_totals;
        ALTER TABLE teams DROP COLUMN deleted_at;
        ALTER TABLE teams DROP COLUMN former_name;
        PRAGMA user_version = 1";
    store.sql(FIRST).await;
    for statement in NO_BUDGETS {
        store.sql(statement).await;
    }
    store.close().await;
    let again = store.opened_again().await;
    assert_eq!(rows(&again).await, before);
}

fn glance(zone: Tz, start: &str, end: &str, recent_since: Timestamp) -> OverviewQuery {
    OverviewQuery {
        org: org_id(1),
        zone,
        start: start.parse().unwrap(),
        end: end.parse().unwrap(),
        recent_since,
    }
}

async fn an_overview_is_of_one_organizations_range(on: Engine) {
    let mut rng = StdRng::seed_from_u64(9);
    let store = TestStore::open(on).await.with_org(1).await.with_org(2).await;
    let records = any_records(&mut rng, 900);
    store.insert_records(&records).await.unwrap();
    for zone in ZONES {
        let since = Timestamp(1_792_800_000_000); // 2026-10-24T00:00:00Z
        let found = store.overview(&glance(zone, "2026-04-05", "2026-10-25", since)).await.unwrap();
        let by = |group| summed(&records, &query(zone, "2026-04-05", "2026-10-25", vec![group]));
        assert_eq!(found.days, by(GroupBy::Day), "{zone}");
        assert_eq!(found.models, by(GroupBy::Model), "{zone}");
        assert_eq!(found.teams, by(GroupBy::Team), "{zone}");
        assert_eq!(found.team_names.len(), 1);
        assert_eq!(found.team_names[&team_id(1)], "default");

        let of_range = |record: &&UsageRecord| {
            let day = record.opened.started_at.date_in(zone).to_string();
            record.opened.org == org_id(1)
                && ("2026-04-05".to_owned()..="2026-10-25".to_owned()).contains(&day)
        };
        let mut latencies = Histogram::default();
        let ended = records.iter().filter(of_range).filter(|record| record.closed.end != End::Interrupted);
        ended.for_each(|record| latencies.record(record.closed.latency_ms));
        assert_eq!(found.latencies, latencies, "{zone}");

        let late = records.iter().filter(|record| record.opened.org == org_id(1));
        let late: Vec<_> = late.filter(|record| record.opened.started_at >= since).collect();
        let faults = late.iter().filter(|record| record.closed.is_fault()).count() as u64;
        assert_eq!(found.recent.iter().map(|part| part.requests).sum::<u64>(), late.len() as u64);
        assert_eq!(found.recent.iter().map(|part| part.faults).sum::<u64>(), faults);
    }
    let nothing = glance(Asia::Shanghai, "2027-01-01", "2027-01-31", NOW.plus_ms(i64::from(u32::MAX) * 10));
    let names = store.overview(&nothing).await.unwrap().team_names;
    let expect = Overview { team_names: names, ..Overview::default() };
    assert_eq!(store.overview(&nothing).await.unwrap(), expect);
}
