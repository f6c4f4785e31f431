//! What is known of a purse: the balance from the ledger, a budget's use from the rollups of its term.

use super::*;
use aione_core::{
    domain::{
        budget::{Known, Owner, Term},
        id::EntryId,
        ledger::{Entry, Kind},
    },
    ports::{BudgetStore as _, UsageStore as _},
};
use chrono_tz::Asia::Shanghai;

contract! {
    a_purse_has_what_was_paid_in_and_what_was_charged_in_its_term,
}

async fn a_purse_has_what_was_paid_in_and_what_was_charged_in_its_term(on: Engine) {
    let store = TestStore::open(on).await.with_org(1).await;
    let charged = |number: u128, key: u128, at: Timestamp, cost: i128| {
        let mut one = record(number, at);
        (one.opened.key, one.closed.cost) = (key_id(key), Pico(cost));
        one
    };
    let key = Owner::Key(org_id(1), key_id(1), BudgetPeriod::Day);
    let [account, org, team] =
        [Owner::Account(org_id(1)), Owner::Organization(org_id(1)), Owner::Team(org_id(1), team_id(1))];
    let known = async |owner: Owner| {
        let term = owner.term(NOW, Shanghai);
        store.known(owner, term, Shanghai).await.unwrap()
    };
    let spent = |spent| Known { funds: Pico::ZERO, spent: Pico(spent) };
    assert_eq!(known(org).await, spent(0), "there is nothing yet");
    let Term { from: month, .. } = org.term(NOW, Shanghai);
    let Term { from: day, until: tomorrow } = key.term(NOW, Shanghai);
    let mut other_team = charged(7, 2, NOW, 64);
    other_team.opened.team = team_id(2);
    let mut other_org = charged(8, 1, NOW, 128);
    other_org.opened.org = org_id(2);
    let records = [
        charged(1, 1, month.plus_ms(-1), 1),
        charged(2, 1, month, 2),
        charged(3, 1, day.plus_ms(-1), 4),
        charged(4, 1, day, 8),
        charged(5, 2, tomorrow.plus_ms(-1), 16),
        charged(6, 1, tomorrow, 32),
        other_team,
        other_org,
    ];
    store.insert_records(&records).await.unwrap();
    for (number, kind, amount) in [(101, Kind::TopUp, 1_000), (102, Kind::Adjustment, -300)] {
        let entry = Entry {
            id: EntryId(Uuid::from_u128(number)),
            org: org_id(1),
            at: NOW,
            recorded_at: NOW,
            kind,
            amount: Pico(amount),
            model: None,
            note: None,
        };
        store.done(Change::Enter(entry)).await.unwrap();
    }
    assert_eq!(known(account).await, Known { funds: Pico(700), spent: Pico(127) });
    assert_eq!(known(org).await, spent(2 + 4 + 8 + 16 + 32 + 64));
    assert_eq!(known(team).await, spent(2 + 4 + 8 + 16 + 32));
    assert_eq!(known(key).await, spent(8));
    assert_eq!(known(Owner::Key(org_id(1), key_id(1), BudgetPeriod::Month)).await, spent(2 + 4 + 8 + 32));
}
