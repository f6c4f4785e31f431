//! Purses against a store that can be made to fail, to wait and to know more.

use super::*;
use aione_core::domain::{
    budget::{BillingMode, BudgetPeriod, Known, Terms},
    id::{KeyId, TeamId},
    key::Key,
    plan::RateLimits,
};
use std::{collections::HashMap, future::ready, sync::atomic::AtomicUsize};
use uuid::Uuid;

/// 2026-11-23T14:00:00Z.
const NOW: Timestamp = Timestamp(1_795_442_400_000);
const DAY_MS: i64 = 86_400_000;
const ORG: OrgId = OrgId(Uuid::from_u128(1));

#[derive(Default)]
struct Scripted {
    known: Mutex<HashMap<Owner, Known>>,
    is_away: AtomicBool,
    asked: AtomicUsize,
}

#[async_trait::async_trait]
impl BudgetStore for Scripted {
    async fn known(&self, owner: Owner, _: Term, _: Tz) -> Result<Known, StoreError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        if self.is_away.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("scripted".to_owned()));
        }
        Ok(self.known.lock().get(&owner).copied().unwrap_or_default())
    }
}

struct Test {
    store: Arc<Scripted>,
    budgets: Budgets,
}

impl Test {
    fn new() -> Self {
        let store = Arc::new(Scripted::default());
        Self { budgets: Budgets::new(store.clone()), store }
    }

    fn knows(&self, owner: Owner, funds: i128, spent: i128) {
        self.store.known.lock().insert(owner, Known { funds: Pico(funds), spent: Pico(spent) });
    }

    fn asked(&self) -> usize {
        self.store.asked.load(Ordering::SeqCst)
    }

    async fn reserve_at(&self, caller: &KeyInContext, amount: i128, at: Timestamp) -> Result<Spend, Owner> {
        self.budgets.of(caller, at, ready(())).await.expect("the store answers").reserve(Pico(amount))
    }

    async fn reserve(&self, caller: &KeyInContext, amount: i128) -> Result<Spend, Owner> {
        self.reserve_at(caller, amount, NOW).await
    }
}

/// Prepaid, without budgets.
fn caller() -> KeyInContext {
    KeyInContext {
        key: Key {
            id: KeyId(Uuid::from_u128(3)),
            org: ORG,
            team: TeamId(Uuid::from_u128(2)),
            name: String::new(),
            prefix: String::new(),
            models_allowed: Vec::new(),
            allowed_ips: Vec::new(),
            limits: RateLimits::default(),
            budget: None,
            budget_period: BudgetPeriod::Day,
            is_sandbox: false,
            expires_at: None,
            disabled: false,
            rotate_grace_until: None,
            created_at: NOW,
            last_used_at: None,
            metadata: serde_json::Map::new(),
        },
        secret_dies_at: None,
        org_plan: Arc::from("standard"),
        org_limits: RateLimits::default(),
        org_terms: Terms { mode: BillingMode::Prepaid, ..Terms::default() },
        org_zone: chrono_tz::Asia::Shanghai,
        team_limits: RateLimits::default(),
        team_budget: None,
    }
}

const ACCOUNT: Owner = Owner::Account(ORG);

#[tokio::test]
async fn what_the_store_knows_is_asked_once_and_counted_on_from() {
    let test = Test::new();
    test.knows(ACCOUNT, 100, 40);
    let first = test.reserve(&caller(), 50).await.ok().unwrap();
    assert_eq!(test.budgets.reserved(ACCOUNT), Pico(50));
    assert_eq!(test.reserve(&caller(), 11).await.err(), Some(ACCOUNT));
    first.settle(Pico(7));
    assert_eq!(test.budgets.reserved(ACCOUNT), Pico::ZERO);
    let all = test.reserve(&caller(), 53).await.ok().unwrap();
    drop(all);
    assert!(test.reserve(&caller(), 53).await.is_ok(), "dropped without an end, it gives everything back");
    assert_eq!(test.reserve(&caller(), 54).await.err(), Some(ACCOUNT));
    assert_eq!(test.asked(), 1);
}

#[tokio::test]
async fn callers_who_come_at_once_open_one_purse() {
    let test = Test::new();
    test.knows(ACCOUNT, 100, 0);
    let caller = caller();
    let all = futures_util::future::join_all((0..50).map(|_| test.reserve(&caller, 10))).await;
    assert_eq!(all.iter().filter(|one| one.is_ok()).count(), 10);
    assert_eq!(test.asked(), 1);
}

#[tokio::test]
async fn nothing_is_taken_from_one_purse_where_another_refuses() {
    let test = Test::new();
    let mut caller = caller();
    (caller.org_terms.monthly_budget, caller.team_budget) = (Some(Pico(50)), Some(Pico(40)));
    (caller.key.budget, caller.key.budget_period) = (Some(Pico(30)), BudgetPeriod::Day);
    let key = Owner::Key(ORG, caller.key.id, BudgetPeriod::Day);
    let owners = [ACCOUNT, Owner::Organization(ORG), Owner::Team(ORG, caller.key.team), key];
    test.knows(ACCOUNT, 100, 0);
    for (amount, refuses) in [(31, key), (41, owners[2]), (51, owners[1]), (101, ACCOUNT)] {
        assert_eq!(test.reserve(&caller, amount).await.err(), Some(refuses), "{amount}");
        assert_eq!(owners.map(|owner| test.budgets.reserved(owner)), [Pico::ZERO; 4]);
        // Only the one that refuses first is told: let the next one come to it.
        if refuses == key {
            caller.key.budget = None;
        } else if refuses == owners[2] {
            caller.team_budget = None;
        } else {
            caller.org_terms.monthly_budget = None;
        }
    }
}

#[tokio::test]
async fn who_is_bounded_by_nothing_or_is_never_charged_asks_nobody() {
    let test = Test::new();
    let mut unbounded = caller();
    unbounded.org_terms = Terms::default();
    let mut sandbox = caller();
    sandbox.key.is_sandbox = true;
    for caller in [unbounded, sandbox] {
        assert!(test.reserve(&caller, i128::MAX).await.is_ok());
    }
    assert_eq!(test.asked(), 0);
}

#[tokio::test]
async fn a_purse_that_is_not_open_needs_the_store_and_one_that_is_does_not() {
    let test = Test::new();
    test.knows(ACCOUNT, 100, 0);
    test.store.is_away.store(true, Ordering::SeqCst);
    assert!(test.budgets.of(&caller(), NOW, ready(())).await.is_err());
    test.store.is_away.store(false, Ordering::SeqCst);
    assert!(test.reserve(&caller(), 100).await.is_ok());
    test.store.is_away.store(true, Ordering::SeqCst);
    test.budgets.outdate(ORG);
    assert!(test.reserve(&caller(), 100).await.is_ok(), "what is known does");
    test.knows(ACCOUNT, 200, 0);
    test.store.is_away.store(false, Ordering::SeqCst);
    assert!(test.reserve(&caller(), 200).await.is_ok(), "it is asked again as soon as it answers");
}

#[tokio::test]
async fn what_was_paid_in_counts_as_soon_as_it_is_told() {
    let test = Test::new();
    assert_eq!(test.reserve(&caller(), 1).await.err(), Some(ACCOUNT));
    test.knows(ACCOUNT, 100, 0);
    assert_eq!(test.reserve(&caller(), 1).await.err(), Some(ACCOUNT));
    test.budgets.outdate(ORG);
    assert!(test.reserve(&caller(), 100).await.is_ok());
    assert_eq!(test.asked(), 2);
}

#[tokio::test]
async fn what_other_nodes_charged_is_taken_in_and_what_is_not_stored_yet_stays_counted() {
    let test = Test::new();
    test.knows(ACCOUNT, 100, 10);
    test.reserve(&caller(), 50).await.ok().unwrap().settle(Pico(30));
    test.budgets.refresh_some().await;
    assert_eq!(test.reserve(&caller(), 61).await.err(), Some(ACCOUNT), "30 are on their way to the store");
    test.knows(ACCOUNT, 100, 95);
    test.budgets.refresh_some().await;
    assert!(test.reserve(&caller(), 5).await.is_ok());
    assert_eq!(test.reserve(&caller(), 6).await.err(), Some(ACCOUNT));
}

#[tokio::test]
async fn a_new_period_begins_with_nothing_spent_and_what_was_begun_before_is_not_in_it() {
    let test = Test::new();
    let mut caller = caller();
    caller.org_terms = Terms::default();
    caller.key.budget = Some(Pico(10));
    let late = test.reserve(&caller, 10).await.ok().unwrap();
    let tomorrow = NOW.plus_ms(DAY_MS);
    let next = test.reserve_at(&caller, 10, tomorrow).await.ok().unwrap();
    late.settle(Pico(10));
    assert!(test.reserve_at(&caller, 1, tomorrow).await.is_err());
    drop(next);
    assert!(test.reserve_at(&caller, 10, tomorrow).await.is_ok());
}

#[tokio::test]
async fn a_purse_that_nobody_uses_is_let_go_once_the_store_knows_all_of_it() {
    let test = Test::new();
    test.knows(ACCOUNT, 100, 0);
    let spend = test.reserve(&caller(), 10).await.ok().unwrap();
    for _ in 0..3 {
        test.budgets.refresh_some().await;
        assert_eq!(test.budgets.purses.len(), 1, "something is reserved");
    }
    spend.settle(Pico(10));
    for _ in 0..3 {
        test.budgets.refresh_some().await;
        assert_eq!(test.budgets.purses.len(), 1, "the store does not know it yet");
    }
    test.knows(ACCOUNT, 100, 10);
    test.budgets.refresh_some().await;
    assert_eq!((test.budgets.purses.len(), test.budgets.order.lock().len()), (0, 0));
    assert!(test.reserve(&caller(), 90).await.is_ok());
}
