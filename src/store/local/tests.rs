//! Races for the last place, every mix of endings, and what the sweep may forget.

use super::*;
use aione_core::domain::limit::Which;
use proptest::prelude::*;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Barrier,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};
use uuid::Uuid;

const S: u64 = 1_000_000_000;
const RACERS: u64 = 500;

fn at(seconds: u64) -> Steady {
    Steady(seconds * S)
}

fn limits(rpm: Option<u64>, tpm: Option<u64>) -> RateLimits {
    RateLimits { rpm, tpm, ..RateLimits::default() }
}

/// A request of key, team and organization `n`, without limits, strict, of one token.
fn ask(n: u128, model: &Arc<str>) -> Ask<'_> {
    Ask {
        key: KeyId(Uuid::from_u128(n)),
        key_limits: RateLimits::default(),
        team: TeamId(Uuid::from_u128(n)),
        team_limits: RateLimits::default(),
        org: OrgId(Uuid::from_u128(n)),
        org_limits: RateLimits::default(),
        model,
        plan_limits: RateLimits::default(),
        estimated_input: 1,
        ceiling: 0,
        reserve_cap: None,
    }
}

fn model() -> Arc<str> {
    Arc::from("m")
}

/// Has 500 threads reserve at once, thread `n` what `asks` makes of `n`, and keeps all grants
/// until every thread has tried.
fn race(limiter: &Limiter, now: Steady, asks: impl Fn(u64) -> Ask<'static> + Sync) -> u64 {
    let (start, end) = (Barrier::new(RACERS as usize), Barrier::new(RACERS as usize));
    let admitted = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for n in 0..RACERS {
            let (start, end, admitted, asks) = (&start, &end, &admitted, &asks);
            scope.spawn(move || {
                start.wait();
                let grant = limiter.reserve(&asks(n), now);
                admitted.fetch_add(u64::from(grant.is_ok()), SeqCst);
                end.wait();
                if let Ok(grant) = grant {
                    grant.settle(1, now);
                }
            });
        }
    });
    admitted.into_inner()
}

fn leaked_model() -> &'static Arc<str> {
    static MODEL: std::sync::LazyLock<Arc<str>> = std::sync::LazyLock::new(model);
    &MODEL
}

#[test]
fn of_500_that_race_for_the_last_token_one_is_admitted() {
    let limiter = Limiter::new();
    let all_tokens = |tokens| Ask {
        org_limits: limits(None, Some(100)),
        estimated_input: tokens,
        ..ask(1, leaked_model())
    };
    limiter.reserve(&all_tokens(99), at(0)).unwrap().settle(99, at(0));
    assert_eq!(race(&limiter, at(30), |_| all_tokens(1)), 1);
    assert_eq!(race(&limiter, at(61), |_| all_tokens(1)), 99);
    assert_eq!(limiter.key_use_at(KeyId(Uuid::from_u128(1)), at(61)).in_flight, 0);
}

#[test]
fn of_500_that_race_for_the_last_request_one_is_admitted() {
    let limiter = Limiter::new();
    let one = || Ask { plan_limits: limits(Some(8), None), ..ask(1, leaked_model()) };
    for _ in 0..7 {
        limiter.reserve(&one(), at(0)).unwrap().settle(1, at(0));
    }
    assert_eq!(race(&limiter, at(60), |_| one()), 1);
}

#[test]
fn of_500_that_race_for_the_places_in_flight_exactly_so_many_are_admitted() {
    let limiter = Limiter::new();
    let of_team = RateLimits { concurrency: Some(37), ..RateLimits::default() };
    let admitted = race(&limiter, at(0), |_| Ask { team_limits: of_team, ..ask(1, leaked_model()) });
    assert_eq!(admitted, 37);
}

#[test]
fn racers_of_many_keys_share_their_organizations_limit_and_keep_their_own() {
    let limiter = Limiter::new();
    let asks = |n: u64| Ask {
        key: KeyId(Uuid::from_u128(u128::from(n % 50))),
        key_limits: limits(Some(9), None),
        team: TeamId(Uuid::from_u128(u128::from(n % 5))),
        team_limits: limits(None, Some(70)),
        org_limits: limits(Some(300), Some(1_000)),
        plan_limits: limits(Some(400), None),
        ..ask(1, leaked_model())
    };
    // 50 keys × 9 = 450, 5 teams × 70 = 350, the organization 300.
    assert_eq!(race(&limiter, at(0), asks), 300);
    for n in 0..50 {
        assert!(limiter.key_use_at(KeyId(Uuid::from_u128(n)), at(0)).requests <= 9);
    }
}

#[test]
fn a_refusal_takes_nothing_of_any_meter() {
    let (limiter, model) = (Limiter::new(), model());
    let tight =
        Ask { key_limits: limits(Some(5), None), plan_limits: limits(None, Some(3)), ..ask(1, &model) };
    let large = Ask { estimated_input: 4, ..tight.clone() };
    let refused = limiter.reserve(&large, at(0)).unwrap_err();
    assert_eq!((refused.limit, refused.scope, refused.max), (Which::Tpm, Scope::Plan, 3));
    assert_eq!(limiter.key_use_at(tight.key, at(0)), KeyUse::default());

    let grant = limiter.reserve(&tight, at(0)).unwrap();
    assert_eq!(grant.view().requests.unwrap().remaining, 4);
    assert_eq!(grant.view().tokens.unwrap().remaining, 2);
    assert_eq!(limiter.key_use_at(tight.key, at(0)), KeyUse { requests: 1, tokens: 1, in_flight: 1 });
    grant.release(true);
    assert_eq!(limiter.key_use_at(tight.key, at(0)), KeyUse::default());
}

#[test]
fn each_model_of_a_plan_has_a_bucket_of_its_own() {
    let (limiter, other) = (Limiter::new(), Arc::from("other"));
    let model = model();
    let of = |model| Ask { plan_limits: limits(Some(1), None), ..ask(1, model) };
    limiter.reserve(&of(&model), at(0)).unwrap().settle(1, at(0));
    assert!(limiter.reserve(&of(&model), at(0)).is_err());
    assert!(limiter.reserve(&of(&other), at(0)).is_ok());
}

#[test]
fn a_scope_without_limits_has_no_meter_but_the_key_has_one() {
    let (limiter, model) = (Limiter::new(), model());
    let grant = limiter.reserve(&ask(1, &model), at(0)).unwrap();
    assert_eq!(limiter.len(), 1);
    assert_eq!(grant.view(), View::default());
    grant.settle(70, at(1));
    let used = limiter.key_use_at(KeyId(Uuid::from_u128(1)), at(1));
    assert_eq!(used, KeyUse { requests: 1, tokens: 70, in_flight: 0 });
}

#[test]
fn a_dropped_grant_keeps_its_reservation_and_frees_its_place() {
    let (limiter, model) = (Limiter::new(), model());
    let one = Ask { estimated_input: 10, ceiling: 20, ..ask(1, &model) };
    drop(limiter.reserve(&one, at(0)).unwrap());
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _grant = limiter.reserve(&one, at(0)).unwrap();
        panic!("on purpose");
    }));
    assert!(panicked.is_err());
    let used = limiter.key_use_at(one.key, at(0));
    assert_eq!(used, KeyUse { requests: 2, tokens: 60, in_flight: 0 });
    assert_eq!(limiter.key_use_at(one.key, at(61)), KeyUse::default());
}

#[test]
fn the_sweep_forgets_idle_meters_only_and_looks_at_a_bounded_number() {
    let (limiter, model) = (Limiter::new(), model());
    let many = 2 * SWEEP_METERS_MAX as u128 + 10;
    let held = limiter.reserve(&ask(0, &model), at(0)).unwrap();
    for n in 1..many {
        limiter.reserve(&ask(n, &model), at(0)).unwrap().settle(1, at(0));
    }
    assert_eq!(limiter.sweep(at(60)), 0, "the windows are not empty yet");
    assert_eq!(limiter.sweep(at(61)), SWEEP_METERS_MAX, "the sweep goes on where it was");
    assert_eq!(limiter.sweep(at(61)) + limiter.sweep(at(61)), many as usize - 1 - SWEEP_METERS_MAX);
    assert_eq!(limiter.len(), 1);
    assert_eq!(limiter.key_use_at(KeyId(Uuid::from_u128(0)), at(61)).in_flight, 1);
    held.settle(2, at(61));
    assert_eq!((limiter.sweep(at(61)), limiter.sweep(at(122))), (0, 1));
    assert!(limiter.is_empty() && limiter.sweep_order.lock().is_empty());
}

#[test]
fn a_day_limit_keeps_its_meter_for_a_day() {
    let (limiter, model) = (Limiter::new(), model());
    let rpd = RateLimits { rpd: Some(1), ..RateLimits::default() };
    let one = Ask { key_limits: rpd, ..ask(1, &model) };
    limiter.reserve(&one, at(0)).unwrap().settle(1, at(0));
    assert_eq!(limiter.sweep(at(86_400)), 0);
    assert_eq!(limiter.reserve(&one, at(86_400)).unwrap_err().retry_after_ms, 1_000);
    assert_eq!(limiter.sweep(at(86_401)), 1);
}

#[test]
fn sweeping_during_a_race_loses_no_count() {
    let limiter = Limiter::new();
    let one = || Ask { key_limits: limits(Some(100), None), ..ask(1, leaked_model()) };
    let running = AtomicU64::new(8);
    let admitted = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..2_000 {
                    if let Ok(grant) = limiter.reserve(&one(), at(0)) {
                        admitted.fetch_add(1, SeqCst);
                        grant.settle(1, at(0));
                    }
                }
                running.fetch_sub(1, SeqCst);
            });
        }
        while running.load(SeqCst) > 0 {
            limiter.sweep(at(0));
        }
    });
    assert_eq!(admitted.into_inner(), 100);
    assert_eq!(limiter.sweep_order.lock().len(), 1);
}

#[derive(Clone, Copy, Debug)]
enum Ending {
    Settle(u64),
    Release(bool),
    Drop,
    Panic,
}

fn ending() -> impl Strategy<Value = Ending> {
    prop_oneof![
        (0..500_u64).prop_map(Ending::Settle),
        any::<bool>().prop_map(Ending::Release),
        Just(Ending::Drop),
        Just(Ending::Panic),
    ]
}

/// Which of the four scopes are limited, as bits.
fn some_limits(bits: u8, model: &Arc<str>) -> Ask<'_> {
    let of = |bit: u8| {
        let wide = RateLimits { rpm: Some(1 << 40), tpm: Some(1 << 50), rpd: None, concurrency: Some(40) };
        if bits & (1 << bit) == 0 { RateLimits::default() } else { wide }
    };
    Ask {
        key_limits: of(0),
        team_limits: of(1),
        org_limits: of(2),
        plan_limits: of(3),
        estimated_input: 100,
        ..ask(1, model)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn after_any_mix_of_endings_nothing_is_held(
        exchanges in prop::collection::vec((0..16_u8, ending(), 0..200_u64), 1..40),
    ) {
        let (limiter, model) = (Limiter::new(), model());
        let mut used = 0;
        let grants: Vec<_> = exchanges
            .iter()
            .map(|(bits, ..)| limiter.reserve(&some_limits(*bits, &model), at(0)).unwrap())
            .collect();
        let key = KeyId(Uuid::from_u128(1));
        prop_assert_eq!(limiter.key_use_at(key, at(0)).in_flight, exchanges.len() as u64);
        for (grant, (_, ending, end)) in grants.into_iter().zip(&exchanges) {
            match *ending {
                Ending::Settle(tokens) => {
                    grant.settle(tokens, at(*end));
                    used += if *end <= 60 { tokens } else { 0 };
                }
                Ending::Release(unsent) => grant.release(unsent),
                Ending::Drop => {
                    drop(grant);
                    used += 100;
                }
                Ending::Panic => {
                    let unwound = catch_unwind(AssertUnwindSafe(move || {
                        let _grant = grant;
                        std::panic::resume_unwind(Box::new("on purpose"));
                    }));
                    prop_assert!(unwound.is_err());
                    used += 100;
                }
            }
        }
        prop_assert_eq!(limiter.key_use_at(key, at(0)).in_flight, 0);
        // All that ended within the first minute is counted to the token.
        if exchanges.iter().all(|(.., end)| *end <= 60) {
            prop_assert_eq!(limiter.key_use_at(key, at(0)).tokens, used);
        }
        prop_assert_eq!(limiter.key_use_at(key, at(261)), KeyUse::default());
        let all = limiter.len();
        prop_assert_eq!(limiter.sweep(at(261)), all, "every meter is as good as new");
    }
}
