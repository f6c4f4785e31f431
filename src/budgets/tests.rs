//! Purses against a store that can be made to fail, to wait and to know more.

use super::*;
use crate::clock;
use aione_core::domain::{
    budget::{BillingMode, BudgetPeriod, Known, Terms},
    clock::Steady,
    id::{KeyId, TeamId},
    key::Key,
    plan::RateLimits,
};
use std::{
    collections::HashMap,
    future::ready,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};
use uuid::Uuid;

/// 2026-11-23T14:00:00Z.
const NOW: Timestamp = Timestamp(1_795_442_400_000);
const DAY_MS: i64 = 86_400_000;
const ORG: OrgId = OrgId(Uuid::from_u128(1));

#[derive(Default)]
struct Scripted {
    known: Mutex<HashMap<Owner, Known>>,
    /// What it was asked for.
    terms: Mutex<Vec<(Term, Tz)>>,
    is_away: AtomicBool,
    hangs: AtomicBool,
    asked: AtomicUsize,
}

#[async_trait::async_trait]
impl BudgetStore for Scripted {
    async fn known(&self, owner: Owner, term: Term, zone: Tz) -> Result<Known, StoreError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.terms.lock().push((term, zone));
        tokio::task::yield_now().await;
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
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
        self.reserve_by(caller, amount, at, clock::steady()).await
    }

    async fn reserve_by(
        &self,
        caller: &KeyInContext,
        amount: i128,
        at: Timestamp,
        now: Steady,
    ) -> Result<Spend, Owner> {
        let purses = self.budgets.of(caller, at, now, ready(())).await.expect("the store answers");
        purses.bill(|| Some(Pico(amount)))?.reserve(Decided::Alone)
    }

    /// A second later: a store that has not answered is asked again.
    async fn reserve_later(&self, caller: &KeyInContext, amount: i128) -> Result<Spend, Owner> {
        let later = Steady(clock::steady().0 + 1_000_000_000);
        self.reserve_by(caller, amount, NOW, later).await
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
        org_next_plan: None,
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
    first.settle(Some(Pico(7)));
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
    assert!(test.budgets.of(&caller(), NOW, clock::steady(), ready(())).await.is_err());
    test.store.is_away.store(false, Ordering::SeqCst);
    assert!(test.reserve(&caller(), 100).await.is_ok());
    test.store.is_away.store(true, Ordering::SeqCst);
    test.budgets.outdate(ORG);
    assert!(test.reserve(&caller(), 100).await.is_ok(), "what is known does");
    test.knows(ACCOUNT, 200, 0);
    test.store.is_away.store(false, Ordering::SeqCst);
    assert!(test.reserve(&caller(), 200).await.is_err(), "nobody waits for it again at once");
    assert!(test.reserve_later(&caller(), 200).await.is_ok());
}

#[tokio::test]
async fn what_was_paid_in_counts_as_soon_as_it_is_told() {
    let test = Test::new();
    assert_eq!(test.reserve(&caller(), 1).await.err(), Some(ACCOUNT));
    test.knows(ACCOUNT, 100, 0);
    assert_eq!(test.reserve(&caller(), 1).await.err(), Some(ACCOUNT));
    test.budgets.outdate(ORG);
    // All of them, also who comes while it is read for the first.
    let caller = caller();
    let all = futures_util::future::join_all((0..10).map(|_| test.reserve(&caller, 10))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(test.asked(), 2);
}

#[tokio::test]
async fn what_other_nodes_charged_is_taken_in_and_what_is_not_stored_yet_stays_counted() {
    let test = Test::new();
    test.knows(ACCOUNT, 100, 10);
    test.reserve(&caller(), 50).await.ok().unwrap().settle(Some(Pico(30)));
    test.budgets.refresh_some(clock::steady()).await;
    assert_eq!(test.reserve(&caller(), 61).await.err(), Some(ACCOUNT), "30 are on their way to the store");
    test.knows(ACCOUNT, 100, 95);
    test.budgets.refresh_some(clock::steady()).await;
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
    late.settle(Some(Pico(10)));
    assert!(test.reserve_at(&caller, 1, tomorrow).await.is_err());
    drop(next);
    assert!(test.reserve_at(&caller, 10, tomorrow).await.is_ok());
}

#[tokio::test]
async fn a_purse_that_nobody_uses_is_let_go_once_the_store_knows_all_of_it() {
    let test = Test::new();
    test.knows(ACCOUNT, 100, 0);
    let spend = test.reserve(&caller(), 10).await.ok().unwrap();
    let later = || Steady(clock::steady().0 + 601_000_000_000);
    test.budgets.refresh_some(later()).await;
    assert_eq!(test.budgets.purses.len(), 1, "something is reserved");
    spend.settle(Some(Pico(10)));
    test.budgets.refresh_some(later()).await;
    assert_eq!(test.budgets.purses.len(), 1, "the store does not know it yet");
    test.knows(ACCOUNT, 100, 10);
    test.budgets.refresh_some(clock::steady()).await;
    assert_eq!(test.budgets.purses.len(), 1, "it was used just now");
    test.budgets.refresh_some(later()).await;
    assert_eq!((test.budgets.purses.len(), test.budgets.order.lock().len()), (0, 0));
    assert!(test.reserve(&caller(), 90).await.is_ok());
}

#[tokio::test]
async fn what_has_no_price_is_taken_at_what_was_reserved_and_what_can_have_none_is_paid_by_nobody() {
    let test = Test::new();
    test.knows(ACCOUNT, 100, 0);
    test.reserve(&caller(), 60).await.ok().unwrap().settle(None);
    assert_eq!(test.reserve(&caller(), 41).await.err(), Some(ACCOUNT));
    let purses = test.budgets.of(&caller(), NOW, clock::steady(), ready(())).await.ok().unwrap();
    assert_eq!(purses.bill(|| None).err(), Some(ACCOUNT));
    let mut unbounded = caller();
    unbounded.org_terms = Terms::default();
    assert!(
        test.budgets
            .of(&unbounded, NOW, clock::steady(), ready(()))
            .await
            .ok()
            .unwrap()
            .bill(|| None)
            .is_ok()
    );
}

/// Bounded by a key's budget for a day of Shanghai alone.
fn by_day() -> KeyInContext {
    let mut caller = caller();
    caller.org_terms = Terms::default();
    caller.key.budget = Some(Pico(10));
    caller
}

#[tokio::test]
async fn another_zone_is_asked_for_and_gives_no_second_budget() {
    let test = Test::new();
    let mut caller = by_day();
    let owner = Owner::Key(ORG, caller.key.id, BudgetPeriod::Day);
    test.reserve(&caller, 10).await.ok().unwrap().settle(Some(Pico(10)));
    caller.org_zone = chrono_tz::America::Los_Angeles;
    assert!(test.reserve(&caller, 1).await.is_err(), "until its day is over");
    test.knows(owner, 0, 10);
    // Shanghai's next day has begun, and in Los Angeles it is still the day before.
    assert!(test.reserve_at(&caller, 1, NOW.plus_ms(3 * 3_600_000)).await.is_err());
    let asked = test.store.terms.lock().clone();
    assert_eq!(
        asked.iter().map(|(_, zone)| *zone).collect::<Vec<_>>(),
        [chrono_tz::Asia::Shanghai, caller.org_zone]
    );
}

#[tokio::test]
async fn a_clock_that_jumps_gives_no_second_budget() {
    let test = Test::new();
    let caller = by_day();
    let owner = Owner::Key(ORG, caller.key.id, BudgetPeriod::Day);
    test.reserve(&caller, 10).await.ok().unwrap().settle(Some(Pico(10)));
    test.knows(owner, 0, 10);
    let ahead = NOW.plus_ms(2 * DAY_MS);
    assert!(test.reserve_at(&caller, 10, ahead).await.is_err(), "two days on it is asked for");
    assert!(test.reserve(&caller, 1).await.is_err(), "and again when the clock is back");
}

#[tokio::test]
async fn who_began_just_before_a_term_does_not_count_in_it() {
    let test = Test::new();
    let caller = by_day();
    // 23:59:59.999 and midnight in Shanghai.
    let midnight = caller.key.budget_period.term(NOW.plus_ms(DAY_MS), caller.org_zone).from;
    let today = test.reserve_at(&caller, 10, midnight).await.ok().unwrap();
    let late = test.reserve_at(&caller, 10, midnight.plus_ms(-1)).await.ok().unwrap();
    late.settle(Some(Pico(10)));
    assert!(test.reserve_at(&caller, 1, midnight).await.is_err());
    today.settle(Some(Pico(4)));
    assert!(test.reserve_at(&caller, 6, midnight).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_never_answers_is_given_up_and_asked_again() {
    let test = Test::new();
    test.knows(ACCOUNT, 100, 0);
    test.store.hangs.store(true, Ordering::SeqCst);
    assert!(test.budgets.of(&caller(), NOW, clock::steady(), ready(())).await.is_err());
    assert!(test.budgets.of(&caller(), NOW, clock::steady(), std::future::pending()).await.is_err());
    test.store.hangs.store(false, Ordering::SeqCst);
    // Beside the requests, with the time that it takes.
    test.budgets.refresh_some(clock::steady()).await;
    let asked = test.asked();
    assert!(test.reserve(&caller(), 100).await.is_ok());
    assert_eq!(test.asked(), asked);
    test.knows(ACCOUNT, 50, 0);
    test.budgets.outdate(ORG);
    test.store.hangs.store(true, Ordering::SeqCst);
    assert!(test.reserve(&caller(), 100).await.is_ok(), "what is known does");
    test.store.hangs.store(false, Ordering::SeqCst);
    assert!(
        test.reserve_later(&caller(), 51).await.is_err(),
        "that nobody was answered does not make it current"
    );
}
