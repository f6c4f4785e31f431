//! The windows against a brute-force oracle at nanosecond granularity, and the meters' rules.

use super::*;
use proptest::prelude::*;

const S: u64 = 1_000_000_000;

fn at(seconds: u64) -> Steady {
    Steady(seconds * S)
}

fn limits(rpm: Option<u64>, tpm: Option<u64>, rpd: Option<u64>, concurrency: Option<u64>) -> RateLimits {
    RateLimits { rpm, tpm, rpd, concurrency }
}

fn strict(tokens: u64) -> Demand {
    Demand { estimated_input: tokens, ceiling: 0, reserve_cap: None }
}

fn seats<'a>(
    meters: impl IntoIterator<Item = (Scope, RateLimits, &'a mut Meter)>,
) -> [Option<Seat<&'a mut Meter>>; SEATS_MAX] {
    let mut seats = [None, None, None, None];
    for (seat, (scope, limits, meter)) in seats.iter_mut().zip(meters) {
        *seat = Some(Seat { scope, limits, meter });
    }
    seats
}

/// Reserves at one key's meter.
fn reserve(meter: &mut Meter, limits: RateLimits, demand: Demand, now: Steady) -> Result<Share, Refused> {
    let ([share, ..], _) = admit(&mut seats([(Scope::Key, limits, meter)]), &demand, now)?;
    Ok(share.unwrap())
}

#[test]
fn an_event_leaves_only_when_its_whole_second_is_older_than_the_span() {
    let mut window = Window::minute();
    let _ = window.add(1, Steady(S - 1));
    assert_eq!(window.used(at(60)), 1, "60 s and 1 ns later by the clock, 61 s by the sub-window");
    assert_eq!(window.used(Steady(61 * S - 1)), 1);
    assert_eq!(window.used(at(61)), 0);
}

#[test]
fn the_minute_is_allocated_once_and_the_day_is_bounded() {
    let mut minute = Window::minute();
    let mut day = Window::day();
    for second in 0..200_000 {
        let _ = minute.add(1, at(second));
        let _ = day.add(1, at(second));
    }
    assert_eq!(minute.used(at(199_999)), MINUTE_SLOTS_MAX as u64);
    assert_eq!(day.used(at(199_999)), DAY_SLOTS_MAX as u64);
}

#[test]
fn a_clock_reading_from_before_anothers_neither_goes_negative_nor_shortens_the_window() {
    let mut window = Window::minute();
    let _ = window.add(5, at(100));
    let early = window.add(7, at(99));
    assert_eq!(window.used(at(99)), 12);
    assert_eq!(window.used(at(160)), 12, "counted in second 100");
    window.give_back(&early, 7);
    assert_eq!(window.used(at(160)), 5);
    assert_eq!(window.used(at(161)), 0);
    assert_eq!(window.used(at(0)), 0);
}

#[test]
fn sums_saturate_and_come_back_to_zero() {
    let mut window = Window::minute();
    let most = window.add(u64::MAX, at(1));
    let none = window.add(10, at(2));
    assert_eq!((most.amount(), none.amount(), window.used(at(2))), (u64::MAX, 0, u64::MAX));
    assert!(!window.has_room(1, u64::MAX, at(2)));
    window.give_back(&none, 10);
    window.give_back(&most, u64::MAX);
    assert_eq!(window.used(at(2)), 0);
    assert_eq!(window.used(Steady(u64::MAX)), 0);
    let _ = window.add(3, Steady(u64::MAX));
    assert_eq!(window.wait_ms(1, 3, Steady(u64::MAX)), 0, "the clock cannot get further");
}

#[test]
fn limits_of_any_size_admit_exactly_that_many_tokens() {
    for limit in [1, 2, (1 << 53) + 1, 1 << 63, u64::MAX] {
        let mut meter = Meter::default();
        let only = limits(None, Some(limit), None, None);
        if limit > 1 {
            let _ = reserve(&mut meter, only, strict(limit - 1), at(5)).unwrap();
        }
        let _ = reserve(&mut meter, only, strict(1), at(5)).unwrap();
        let refused = reserve(&mut meter, only, strict(1), at(5)).unwrap_err();
        assert_eq!((refused.limit, refused.max, refused.retry_after_ms), (Which::Tpm, limit, 61_000));
        assert!(reserve(&mut meter, only, strict(1), at(66)).is_ok());
    }
}

#[test]
fn a_limit_of_zero_admits_nothing() {
    for only in [
        limits(Some(0), None, None, None),
        limits(None, Some(0), None, None),
        limits(None, None, Some(0), None),
        limits(None, None, None, Some(0)),
    ] {
        let demand = Demand { estimated_input: 0, ceiling: 0, reserve_cap: Some(0) };
        assert!(reserve(&mut Meter::default(), only, demand, at(5)).is_err());
    }
}

#[test]
fn a_capped_reservation_never_exceeds_the_limit_and_a_strict_one_does_not_bend() {
    let agent = |reserve_cap| Demand { estimated_input: 900, ceiling: 128_000, reserve_cap };
    assert_eq!(agent(Some(4_096)).tokens_under(Some(1_000_000)), 4_996);
    assert_eq!(agent(Some(4_096)).tokens_under(Some(1_000)), 1_000);
    assert_eq!(agent(Some(4_096)).tokens_under(None), 4_996);
    assert_eq!(agent(None).tokens_under(Some(1_000)), 128_900);
    assert_eq!(agent(None).tokens_under(None), 128_900);
    let absurd = Demand { estimated_input: u64::MAX, ceiling: u64::MAX, reserve_cap: None };
    assert_eq!(absurd.tokens_under(Some(10)), u64::MAX);

    let only = limits(None, Some(1_000), None, None);
    assert!(reserve(&mut Meter::default(), only, agent(Some(4_096)), at(0)).is_ok());
    let refused = reserve(&mut Meter::default(), only, agent(None), at(0)).unwrap_err();
    assert_eq!(refused.retry_after_ms, 60_000);
}

#[test]
fn a_request_refused_for_tokens_uses_no_request_slot_of_any_meter() {
    let (mut key, mut org) = (Meter::default(), Meter::default());
    let of_key = limits(Some(10), None, Some(10), Some(10));
    let of_org = limits(None, Some(100), None, None);
    for _ in 0..3 {
        let mut both = seats([(Scope::Key, of_key, &mut key), (Scope::Organization, of_org, &mut org)]);
        let refused = admit(&mut both, &strict(101), at(7)).unwrap_err();
        assert_eq!((refused.limit, refused.scope), (Which::Tpm, Scope::Organization));
        assert_eq!(refused.view.requests, Some(Quota { limit: 10, remaining: 10, reset_ms: 0 }));
    }
    assert!(key.is_idle(at(7)) && org.is_idle(at(7)));
}

#[test]
fn the_refusal_that_takes_longest_is_told() {
    let (mut key, mut plan) = (Meter::default(), Meter::default());
    let of_key = limits(Some(1), None, None, Some(1));
    let of_plan = limits(None, None, Some(1), None);
    let mut both = seats([(Scope::Key, of_key, &mut key), (Scope::Plan, of_plan, &mut plan)]);
    let _ = admit(&mut both, &strict(1), at(0)).unwrap();
    let refused = admit(&mut both, &strict(1), Steady(500_000_001)).unwrap_err();
    assert_eq!((refused.limit, refused.scope, refused.max), (Which::Rpd, Scope::Plan, 1));
    assert_eq!(refused.retry_after_ms, 86_400_500, "rounded up");
    assert_eq!(refused.to_string(), "the rpd limit of 1 of the plan is reached");
    let refused = admit(&mut both, &strict(1), at(86_401)).unwrap_err();
    assert_eq!((refused.limit, refused.retry_after_ms), (Which::Concurrency, CONCURRENCY_RETRY_MS));
}

#[test]
fn what_was_not_used_comes_back_and_over_use_is_paid_back() {
    let only = limits(None, Some(100), None, None);
    let mut meter = Meter::default();

    let share = reserve(&mut meter, only, strict(80), at(0)).unwrap();
    meter.settle(share, 30, at(3));
    assert_eq!(meter.tokens_used(at(3)), 30);

    let share = reserve(&mut meter, only, strict(10), at(3)).unwrap();
    meter.settle(share, 170, at(10));
    assert_eq!(meter.tokens_used(at(10)), 200, "beyond the limit, in the present second");
    // 30 leave at 61, 10 at 64, 160 at 71.
    let refused = reserve(&mut meter, only, strict(1), at(65)).unwrap_err();
    assert_eq!(refused.retry_after_ms, 6_000);
    assert!(reserve(&mut meter, only, strict(100), at(71)).is_ok());
}

#[test]
fn a_late_settlement_adds_only_its_over_use() {
    let mut meter = Meter::default();
    let demand = strict(50);
    let (less, more) = (
        reserve(&mut meter, RateLimits::default(), demand, at(0)).unwrap(),
        reserve(&mut meter, RateLimits::default(), demand, at(0)).unwrap(),
    );
    assert_eq!(meter.tokens_used(at(500)), 0);
    meter.settle(less, 20, at(500));
    assert_eq!(meter.tokens_used(at(500)), 0);
    meter.settle(more, 60, at(500));
    assert_eq!(meter.tokens_used(at(500)), 10);
    assert_eq!(meter.in_flight(), 0);
}

#[test]
fn a_release_keeps_the_request_unless_it_was_never_sent() {
    let all = limits(Some(9), Some(900), Some(9), Some(9));
    let mut meter = Meter::default();
    let sent = reserve(&mut meter, all, strict(10), at(0)).unwrap();
    meter.release(sent, false);
    let left = |remaining, reset_ms| Some(Quota { limit: 9, remaining, reset_ms });
    assert_eq!(meter.view(&all, at(0)).requests, left(8, 86_401_000));
    assert_eq!((meter.tokens_used(at(0)), meter.in_flight()), (0, 0));

    let unsent = reserve(&mut meter, all, strict(10), at(2)).unwrap();
    meter.release(unsent, true);
    assert_eq!(meter.view(&all, at(2)).requests, left(8, 86_399_000));
    let lost = reserve(&mut meter, all, strict(10), at(2)).unwrap();
    meter.abandon(lost);
    assert_eq!((meter.tokens_used(at(2)), meter.requests_used(at(2)), meter.in_flight()), (10, 2, 0));
    assert!(!meter.is_idle(at(86_402)) && meter.is_idle(at(86_403)));
}

#[test]
fn a_changed_limit_applies_to_the_next_admission_and_keeps_what_was_used() {
    let mut meter = Meter::default();
    let of = |rpm| limits(Some(rpm), None, None, None);
    for _ in 0..5 {
        let _ = reserve(&mut meter, of(10), strict(1), at(0)).unwrap();
    }
    assert!(reserve(&mut meter, of(4), strict(1), at(1)).is_err());
    assert!(reserve(&mut meter, of(6), strict(1), at(1)).is_ok());
    assert_eq!(meter.view(&of(3), at(1)).requests.unwrap().remaining, 0);
}

#[test]
fn the_view_shows_the_tightest_of_all_meters() {
    let (mut key, mut org) = (Meter::default(), Meter::default());
    let of_key = limits(Some(10), Some(1_000), None, None);
    let of_org = limits(Some(10), Some(500), Some(8), None);
    let mut both = seats([(Scope::Key, of_key, &mut key), (Scope::Organization, of_org, &mut org)]);
    let (_, view) = admit(&mut both, &strict(100), Steady(S / 2)).unwrap();
    assert_eq!(view.requests, Some(Quota { limit: 8, remaining: 7, reset_ms: 86_400_500 }));
    assert_eq!(view.tokens, Some(Quota { limit: 500, remaining: 400, reset_ms: 60_500 }));
}

/// One thing that happens to a meter, `gap_ns` after the thing before it.
#[derive(Clone, Debug)]
enum Step {
    Reserve { tokens: u64 },
    Settle { which: usize, tokens: u64 },
    Release { which: usize, unsent: bool },
    Abandon { which: usize },
}

/// Gaps that crowd the boundaries of seconds and of the span.
fn gap_ns() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        1..4_u64,
        S - 2..S + 3,
        0..3 * S,
        58 * S..62 * S,
        60 * S - 2..60 * S + 3,
        61 * S - 2..61 * S + 3,
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..60_u64).prop_map(|tokens| Step::Reserve { tokens }),
        2 => (any::<usize>(), 0..80_u64).prop_map(|(which, tokens)| Step::Settle { which, tokens }),
        1 => (any::<usize>(), any::<bool>()).prop_map(|(which, unsent)| Step::Release { which, unsent }),
        1 => any::<usize>().prop_map(|which| Step::Abandon { which }),
    ]
}

/// Everything that ever counted, with the nanosecond in which it came.
#[derive(Default)]
struct Oracle {
    requests: Vec<(u64, u64)>,
    tokens: Vec<(u64, u64)>,
    open: Vec<(Share, usize, usize)>,
}

impl Oracle {
    /// The sum of what came no more than `span` nanoseconds before `now`.
    fn within(events: &[(u64, u64)], now: u64, span: u64) -> u64 {
        events.iter().filter(|(time, _)| now - time <= span).map(|(_, amount)| amount).sum()
    }

    /// The sum of what came in the seconds from `now`'s own back to the span's.
    fn within_seconds(events: &[(u64, u64)], now: u64, span_s: u64) -> u64 {
        events.iter().filter(|(time, _)| now / S - time / S <= span_s).map(|(_, amount)| amount).sum()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_interval_of_60_seconds_admits_more_than_the_limits(
        start in 0..200 * S,
        rpm in 1..12_u64,
        tpm in 1..150_u64,
        concurrency in 1..9_u64,
        steps in prop::collection::vec((gap_ns(), step()), 1..120),
    ) {
        let all = limits(Some(rpm), Some(tpm), Some(40), Some(concurrency));
        let (mut meter, mut oracle, mut now) = (Meter::default(), Oracle::default(), start);
        for (gap, step) in steps {
            now += gap;
            match step {
                Step::Reserve { tokens } => {
                    let admitted = reserve(&mut meter, all, strict(tokens), Steady(now));
                    // The sub-windows alone decide: exactly the seconds from the span's on.
                    let requests = Oracle::within_seconds(&oracle.requests, now, 60);
                    let used = Oracle::within_seconds(&oracle.tokens, now, 60);
                    let today = Oracle::within_seconds(&oracle.requests, now, 86_400);
                    let fits = requests < rpm
                        && used + tokens <= tpm
                        && today < 40
                        && (oracle.open.len() as u64) < concurrency;
                    prop_assert_eq!(admitted.is_ok(), fits);
                    if let Err(refused) = &admitted
                        && oracle.open.len() < concurrency as usize
                        && tokens <= tpm
                    {
                        let then = Steady(now + refused.retry_after_ms * 1_000_000);
                        prop_assert!(meter_has_room(&oracle, all, tokens, then.0));
                    }
                    if let Ok(share) = admitted {
                        oracle.requests.push((now, 1));
                        oracle.tokens.push((now, tokens));
                        let at = (oracle.requests.len() - 1, oracle.tokens.len() - 1);
                        oracle.open.push((share, at.0, at.1));
                        prop_assert!(Oracle::within(&oracle.requests, now, 60 * S) <= rpm);
                        prop_assert!(Oracle::within(&oracle.tokens, now, 60 * S) <= tpm);
                    }
                }
                _ if oracle.open.is_empty() => {}
                Step::Settle { which, tokens } => {
                    let (share, _, at) = oracle.open.remove(which % oracle.open.len());
                    meter.settle(share, tokens, Steady(now));
                    let reserved = oracle.tokens[at].1;
                    oracle.tokens[at].1 = reserved.min(tokens);
                    oracle.tokens.push((now, tokens.saturating_sub(reserved)));
                }
                Step::Release { which, unsent } => {
                    let (share, request, at) = oracle.open.remove(which % oracle.open.len());
                    meter.release(share, unsent);
                    oracle.tokens[at].1 = 0;
                    oracle.requests[request].1 -= u64::from(unsent);
                }
                Step::Abandon { which } => {
                    meter.abandon(oracle.open.remove(which % oracle.open.len()).0);
                }
            }
            prop_assert_eq!(meter.in_flight(), oracle.open.len() as u64);
            prop_assert_eq!(meter.tokens_used(Steady(now)), Oracle::within_seconds(&oracle.tokens, now, 60));
            prop_assert_eq!(meter.requests_used(Steady(now)), Oracle::within_seconds(&oracle.requests, now, 60));
        }
        for (share, ..) in oracle.open.drain(..) {
            meter.release(share, true);
        }
        prop_assert_eq!(meter.in_flight(), 0);
        prop_assert!(meter.is_idle(Steady(now + 86_401 * S)));
    }
}

/// Whether the windows admit `tokens` at `now`, by the oracle.
fn meter_has_room(oracle: &Oracle, limits: RateLimits, tokens: u64, now: u64) -> bool {
    Oracle::within_seconds(&oracle.requests, now, 60) < limits.rpm.unwrap()
        && Oracle::within_seconds(&oracle.tokens, now, 60) + tokens <= limits.tpm.unwrap()
        && Oracle::within_seconds(&oracle.requests, now, 86_400) < limits.rpd.unwrap()
}
