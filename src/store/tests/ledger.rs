//! The ledger: one entry for each charge, sums that agree with them, nothing twice.

use super::*;
use aione_core::{
    domain::{
        id::EntryId,
        ledger::{Account, Entry, Kind, Total, Totals},
        outlay::Margin,
    },
    ports::{EntryPlace, LedgerStore as _, MarginStore as _, UsageStore as _},
};
use std::collections::BTreeMap;

contract! {
    a_record_is_charged_once_and_what_costs_nothing_not_at_all,
    a_credit_is_entered_with_its_trail_or_not_at_all,
    entries_are_listed_by_page_the_newest_first_and_each_organization_sees_its_own,
    a_replay_of_a_record_that_was_let_go_of_charges_and_counts_nothing_twice,
    an_entry_cannot_be_changed,
    sums_are_exact_where_one_column_would_end,
    a_store_of_a_former_version_gets_what_it_lacks,
}

fn charged(number: u128, org: u128, cost: i128) -> UsageRecord {
    let mut one = record(number, NOW);
    one.opened.org = org_id(org);
    one.closed.cost = Pico(cost);
    one
}

fn top_up(number: u128, org: u128, amount: i128) -> Entry {
    Entry {
        id: EntryId(Uuid::from_u128(number)),
        org: org_id(org),
        at: NOW,
        recorded_at: NOW,
        kind: Kind::TopUp,
        amount: Pico(amount),
        model: None,
        note: Some("Überweisung".to_owned()),
    }
}

async fn of(store: &Store, org: u128) -> Totals {
    store.totals(org_id(org)).await.unwrap()
}

fn total(entries: u64, amount: i128) -> Total {
    Total { entries, amount: Pico(amount) }
}

async fn a_record_is_charged_once_and_what_costs_nothing_not_at_all(on: Engine) {
    let store = TestStore::open(on).await;
    let mut sandbox = charged(4, 1, 7);
    sandbox.opened.sandbox = true;
    let records = [charged(1, 1, 30), charged(2, 2, 5), charged(3, 1, 0), sandbox, charged(5, 1, 12)];
    store.insert_records(&records).await.unwrap();
    // Again, with one that is new, and with itself.
    let again = [charged(5, 1, 12), charged(6, 1, 1), charged(6, 1, 1), charged(1, 1, 30)];
    store.insert_records(&again).await.unwrap();
    assert_eq!(of(&store, 1).await.0, [(Kind::Usage, total(3, 43))].into());
    assert_eq!(of(&store, 2).await.balance(Account::Customer), Pico(-5));
    let entries = store.list_entries(None, 10).await.unwrap();
    let told: Vec<_> = entries.iter().map(|entry| (entry.id.0.as_u128(), entry.amount.0)).collect();
    assert_eq!(told, [(1, 30), (2, 5), (5, 12), (6, 1)]);
    let first = &entries[0];
    assert_eq!((first.at, first.model.as_deref(), first.org), (NOW, Some("gpt-5"), org_id(1)));
    assert_eq!(store.all_totals().await.unwrap().len(), 2);
}

async fn a_credit_is_entered_with_its_trail_or_not_at_all(on: Engine) {
    let store = TestStore::open(on).await.with_org(1).await;
    let credit = top_up(1, 1, 100);
    store.done(Change::Enter(credit.clone())).await.unwrap();
    let again = store.done(Change::Enter(credit.clone())).await;
    assert!(matches!(again, Err(StoreError::Conflict(_))), "{again:?}");
    assert_eq!(of(&store, 1).await.0, [(Kind::TopUp, total(1, 100))].into());
    assert_eq!(store.find_entries(org_id(1), None, 10).await.unwrap(), [credit]);
}

async fn entries_are_listed_by_page_the_newest_first_and_each_organization_sees_its_own(on: Engine) {
    let store = TestStore::open(on).await;
    let mut records: Vec<_> = (1..=7).map(|number| charged(number, 1 + number % 2, 1)).collect();
    for record in &mut records {
        // Three at one time.
        record.opened.started_at = NOW.plus_ms(i64::try_from(record.opened.id.0.as_u128() / 4).unwrap());
    }
    store.insert_records(&records).await.unwrap();
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let page = store.find_entries(org_id(2), after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(EntryPlace { at: last.at, id: last.id });
        seen.extend(page.iter().map(|entry| entry.id.0.as_u128()));
    }
    assert_eq!(seen, [7, 5, 3, 1]);
}

async fn a_replay_of_a_record_that_was_let_go_of_charges_and_counts_nothing_twice(on: Engine) {
    let store = TestStore::open(on).await;
    store.insert_records(&[charged(1, 1, 30)]).await.unwrap();
    let later = NOW.plus_ms(400 * 86_400_000);
    while store.forget_records(later).await.unwrap() {}
    assert_eq!(store.list_records(None, 10).await.unwrap(), []);
    store.insert_records(&[charged(1, 1, 30), charged(2, 1, 4)]).await.unwrap();
    assert_eq!(of(&store, 1).await.0, [(Kind::Usage, total(2, 34))].into());
    let query = UsageQuery {
        org: org_id(1),
        zone: chrono_tz::UTC,
        start: "2026-11-01".parse().unwrap(),
        end: "2026-11-30".parse().unwrap(),
        group_by: Vec::new(),
        model: None,
        team: None,
        key: None,
        page: Page { offset: 0, limit: 10 },
    };
    let sums = store.sum_usage(&query).await.unwrap();
    assert_eq!(sums.iter().map(|sum| (sum.requests, sum.cost)).collect::<Vec<_>>(), [(2, Pico(34))]);
}

async fn an_entry_cannot_be_changed(on: Engine) {
    let store = TestStore::open(on).await;
    store.insert_records(&[charged(1, 1, 30)]).await.unwrap();
    for statement in ["UPDATE ledger_entries SET amount_pico = 1", "DELETE FROM ledger_entries"] {
        let mut tx = store.pools.write().await.unwrap();
        let error = tx.execute(Statement::new(statement)).await.unwrap_err();
        assert!(error.to_string().contains("an entry of the ledger is never"), "{error}");
    }
    assert_eq!(store.list_entries(None, 10).await.unwrap().len(), 1);
}

async fn sums_are_exact_where_one_column_would_end(on: Engine) {
    let store = TestStore::open(on).await.with_org(1).await;
    let most = 10_i128.pow(24) - 1;
    for number in 0..1_000 {
        store.done(Change::Enter(top_up(number, 1, most))).await.unwrap();
    }
    store.insert_records(&[charged(5_000, 1, 1)]).await.unwrap();
    assert_eq!(of(&store, 1).await.balance(Account::Customer), Pico(1_000 * most - 1));
}

async fn a_store_of_a_former_version_gets_what_it_lacks(on: Engine) {
    let store = TestStore::open(on).await;
    let mut sandbox = charged(3, 1, 7);
    sandbox.opened.sandbox = true;
    let near = 10_i128.pow(12) - 1;
    let mut records = vec![charged(1, 1, -1), charged(2, 2, near), sandbox];
    records.extend((4..1_004).map(|number| charged(number, 1, near)));
    store.insert_records(&records).await.unwrap();
    let rollups = "SELECT COUNT(*), CAST(SUM(requests) AS BIGINT) FROM usage_rollups";
    let counted = async || -> (i64, i64) {
        let rows = store.ask(rollups).await;
        (rows[0].get(0).unwrap(), rows[0].get(1).unwrap())
    };
    let rolled_up = counted().await;
    let (kept, entries) = (store.all_totals().await.unwrap(), store.list_entries(None, 2_000).await.unwrap());
    let undone: &[&str] = match on {
        Engine::Sqlite => &[
            "DROP TABLE ledger_entries",
            "DROP TABLE ledger_totals",
            "ALTER TABLE usage_rollups DROP COLUMN characters",
            "ALTER TABLE usage_rollups DROP COLUMN seconds",
            "PRAGMA user_version = 3",
        ],
        Engine::Postgres => &[
            "DROP VIEW usage_readable",
            "DROP VIEW ledger_readable; DROP TABLE ledger_entries, ledger_totals",
            "DROP FUNCTION ledger_entries_stay",
            "DROP FUNCTION invoices_stay CASCADE",
            "DROP FUNCTION documents_remain CASCADE",
            "CREATE TABLE mixed AS TABLE usage_rollups; DROP TABLE usage_rollups",
            "ALTER TABLE mixed RENAME TO usage_rollups",
            "ALTER TABLE usage_rollups DROP COLUMN characters, DROP COLUMN seconds",
            "UPDATE meta SET value = '1'::bytea WHERE name = 'schema_version'",
        ],
    };
    for statement in undone.iter().chain(&NO_BUDGETS) {
        store.sql(statement).await;
    }
    let again = store.opened_again().await;
    assert_eq!(again.all_totals().await.unwrap(), kept);
    assert_eq!(counted().await, rolled_up);
    let mut margins: BTreeMap<OrgId, Margin> = BTreeMap::new();
    for record in again.list_records(None, 2_000).await.unwrap() {
        assert_eq!(record.closed.outlay, Outlay::default(), "nobody knows any more what it cost");
        let sum = margins.entry(record.opened.org).or_default();
        *sum = Margin::shares(&record).fold(*sum, |sum, (_, _, share)| sum.plus(&share));
    }
    assert_eq!(again.margin_totals(Timestamp(0)).await.unwrap(), margins);
    let filled = again.list_entries(None, 2_000).await.unwrap();
    let told = |entry: &Entry| (entry.id, entry.org, entry.at, entry.amount, entry.model.clone());
    assert_eq!(filled.iter().map(told).collect::<Vec<_>>(), entries.iter().map(told).collect::<Vec<_>>());
}
