//! The audit against an embedded store with right and wrong charges.

use super::*;
use crate::store::Store;
use aione_core::config::snapshot::Database;
use aione_core::domain::{
    clock::Timestamp,
    id::{KeyId, OrgId, TeamId},
    money::Rate,
    outlay::Outlay,
    price::{ModelPrice, PricePeriod, Rates},
    usage::{Closed, End, Opened, Provenance, Usage},
};
use std::collections::BTreeMap;
use uuid::Uuid;

const CHANGE: Timestamp = Timestamp(1_000_000);

/// `gpt-5` costs 3 a token of input, and 5 from [`CHANGE`] on.
fn book(version: u64) -> PriceBook {
    let period = |from, rate| PricePeriod {
        from,
        rates: Rates { input: Some(Rate(rate)), ..Rates::default() },
        tiers: Vec::new(),
    };
    let price = ModelPrice { periods: vec![period(None, 3), period(Some(CHANGE), 5)] };
    PriceBook { version, models: BTreeMap::from([(Arc::from("gpt-5"), price)]) }
}

/// Ten tokens of input at `at`.
fn record(number: u128, at: i64, cost: i128) -> UsageRecord {
    let id = RecordId(Uuid::from_u128(number));
    UsageRecord {
        opened: Opened {
            id,
            started_at: Timestamp(at),
            org: OrgId(Uuid::nil()),
            team: TeamId(Uuid::nil()),
            key: KeyId(Uuid::nil()),
            model: Arc::from("gpt-5"),
            dialect: Arc::from("openai_chat"),
            provider: Arc::from("openai"),
            sandbox: false,
            streamed: false,
            price_version: 1,
            estimated_input: 10,
        },
        closed: Closed {
            id,
            provider: Arc::from("openai"),
            upstream_model: Arc::from("gpt-5"),
            end: End::Complete,
            status: 200,
            attempts: 1,
            usage: Usage { input: 10, ..Usage::default() },
            provenance: Provenance::Provider,
            flagged: false,
            unpriced: false,
            latency_ms: 1,
            first_byte_ms: 1,
            cost: Pico(cost),
            outlay: Outlay::default(),
        },
    }
}

async fn audited(records: &[UsageRecord]) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&Database::Sqlite(folder.path().join("aione.db"))).await.unwrap();
    store.keep_price_book(&book(1), Timestamp(0)).await.unwrap();
    store.insert_records(records).await.unwrap();
    audit(&store).await.unwrap()
}

#[tokio::test]
async fn right_charges_agree() {
    let mut sandbox = record(3, 0, 0);
    sandbox.opened.sandbox = true;
    sandbox.opened.price_version = 404;
    let mut unpriced = record(4, 0, 0);
    unpriced.opened.model = Arc::from("unlisted");
    let mut no_rate = record(5, 0, 0);
    no_rate.closed.usage.output = 1;
    for waiting in [&mut unpriced, &mut no_rate] {
        waiting.closed.unpriced = true;
    }
    let report =
        audited(&[record(1, 999_999, 30), record(2, 1_000_000, 50), sandbox, unpriced, no_rate]).await;
    assert!(report.agrees(), "{report}");
    assert_eq!((report.records, report.sandbox, report.unpriced), (5, 1, 2));
    assert_eq!((report.stored_cost, report.derived_cost), (Pico(80), Pico(80)));
}

#[tokio::test]
async fn each_kind_of_wrong_charge_is_told() {
    let mut sandbox = record(2, 0, 1);
    sandbox.opened.sandbox = true;
    let mut unpriced = record(3, 0, 30);
    unpriced.opened.model = Arc::from("unlisted");
    let mut no_rate = record(4, 0, 30);
    no_rate.closed.usage.output = 1;
    let mut no_book = record(5, 0, 30);
    no_book.opened.price_version = 404;
    let mut silent = record(6, 0, 0);
    silent.opened.model = Arc::from("unlisted");
    let report = audited(&[record(1, 1_000_000, 30), sandbox, unpriced, no_rate, no_book, silent]).await;
    let found: Vec<_> = report.differences.iter().map(|difference| difference.found).collect();
    let expect = [
        Finding::Costs(Pico(50)),
        Finding::SandboxCharged,
        Finding::ChargedWithout(Unpriced::Model),
        Finding::ChargedWithout(Unpriced::Class(aione_core::domain::price::Class::Output)),
        Finding::NoBook { version: 404 },
        Finding::FreeWithout(Unpriced::Model),
    ];
    assert_eq!(found, expect);
    assert!(!report.agrees());
    let text = report.to_string();
    assert!(text.contains("differing 6\n"), "{text}");
    let line = "00000000-0000-0000-0000-000000000001: stored 0.00000000003, costs 0.00000000005\n";
    assert!(text.contains(line), "{text}");
    assert!(text.contains("price book 0000000000000194 is not kept"), "{text}");
}

#[tokio::test]
async fn the_ledger_is_compared_entry_by_entry_and_sum_by_sum() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("aione.db");
    let store = Store::open(&Database::Sqlite(path.clone())).await.unwrap();
    store.keep_price_book(&book(1), Timestamp(0)).await.unwrap();
    let records: Vec<_> = (1..=1_500).map(|number| record(number, 0, 30)).collect();
    store.insert_records(&records).await.unwrap();
    let report = audit(&store).await.unwrap();
    assert!(report.agrees(), "{report}");
    assert_eq!((report.entries, report.entered_cost, report.outlived), (1_500, Pico(45_000), 0));
    // Whoever can change the file can take the triggers away.
    let url = format!("sqlite://{}", path.display());
    let mut hand = <sqlx::SqliteConnection as sqlx::Connection>::connect(&url).await.unwrap();
    for guarded in ["UPDATE ledger_entries SET amount_pico = 1", "DELETE FROM ledger_entries"] {
        let refused = sqlx::raw_sql(guarded).execute(&mut hand).await.unwrap_err();
        assert!(refused.to_string().contains("an entry of the ledger is never"), "{refused}");
    }
    sqlx::raw_sql(
        "DROP TRIGGER ledger_entries_stay; DROP TRIGGER ledger_entries_remain;
         UPDATE ledger_entries SET amount_pico = 31 WHERE id = x'00000000000000000000000000000001';
         DELETE FROM ledger_entries WHERE id = x'00000000000000000000000000000002';
         UPDATE ledger_entries SET org_id = x'00000000000000000000000000000009'
          WHERE id = x'00000000000000000000000000000003';
         DELETE FROM usage_records WHERE id = x'000000000000000000000000000005DC'",
    )
    .execute(&mut hand)
    .await
    .unwrap();
    let report = audit(&store).await.unwrap();
    let found: Vec<_> = report.differences.iter().map(|difference| difference.found).collect();
    let other = OrgId(Uuid::from_u128(9));
    assert_eq!(found, [Finding::Entered(Pico(31)), Finding::NotEntered, Finding::EnteredFor(other)]);
    assert_eq!((report.outlived, report.entered_cost), (1, Pico(44_971)));
    let total = |entries, amount| Total { entries, amount: Pico(amount) };
    let nil = OrgId(Uuid::nil());
    let unbalanced = |org, kept, entered| Unbalanced { org, kind: Kind::Usage, kept, entered };
    assert_eq!(
        report.unbalanced,
        [
            unbalanced(nil, total(1_500, 45_000), total(1_498, 44_941)),
            unbalanced(other, total(0, 0), total(1, 30))
        ]
    );
    assert!(report.to_string().contains("which come to 0.000000044941 in 1498\n"), "{report}");
}

#[tokio::test]
async fn every_page_is_read_and_differences_are_bounded() {
    let records: Vec<_> = (0..2_500).map(|number| record(number, 0, 31)).collect();
    let report = audited(&records).await;
    assert_eq!((report.records, report.differing), (2_500, 2_500));
    assert_eq!(report.differences.len(), DIFFERENCES_MAX);
    assert!(report.to_string().ends_with("and 2400 more\n"));
    assert_eq!(audited(&[]).await, Report::default());
}

#[tokio::test]
async fn margins_are_compared_with_what_attempts_come_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("aione.db");
    let store = Store::open(&Database::Sqlite(path.clone())).await.unwrap();
    store.keep_price_book(&book(1), Timestamp(0)).await.unwrap();
    let mut records: Vec<_> = (1..=1_200).map(|number| record(number, 900_000, 30)).collect();
    records[0] = record(1, 0, 30);
    records[5].closed.outlay.cost = Some(Pico(4));
    store.insert_records(&records).await.unwrap();
    let report = audit(&store).await.unwrap();
    assert_eq!(report.misattributed, [], "{report}");

    let url = format!("sqlite://{}", path.display());
    let mut hand = <sqlx::SqliteConnection as sqlx::Connection>::connect(&url).await.unwrap();
    // Of the first record's quarter of an hour some may be kept no longer: nothing is said of it.
    for (quarter, is_told) in [(0, false), (900_000, true)] {
        let change = format!("UPDATE margins SET cost_pico = cost_pico + 1 WHERE start_at = {quarter}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(change)).execute(&mut hand).await.unwrap();
        let report = audit(&store).await.unwrap();
        assert_eq!(report.agrees(), !is_told, "{report}");
    }
    let report = audit(&store).await.unwrap();
    let [Misattributed { kept, derived, .. }] = report.misattributed[..] else { panic!("{report}") };
    assert_eq!((kept.attempts, derived.attempts), (1_199, 1_199));
    assert_eq!((kept.cost, derived.cost), (Pico(5), Pico(4)));
    assert!(report.to_string().contains("cost 0.000000000005, and its records come to"), "{report}");
}
