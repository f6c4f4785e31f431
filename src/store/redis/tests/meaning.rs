//! The scripts decide as `domain::limit` does, for random sequences, to the millisecond.

use super::*;
use aione_core::domain::limit::{Demand, Meter, SEATS_MAX, Scope, Seat, Share, admit};
use proptest::{prelude::*, test_runner::TestRunner};

/// Leases run out in whole milliseconds.
const MS: u64 = 1_000_000;
const LEASE_MS: u64 = 30_000;

/// One thing that happens, `gap_ns` after the thing before it.
#[derive(Clone, Debug)]
enum Step {
    Reserve { tokens: u64 },
    Settle { which: usize, tokens: u64 },
    Release { which: usize, unsent: bool },
    Abandon { which: usize },
}

/// Whole microseconds, crowding the boundaries of seconds and of the spans.
fn gap_ns() -> impl Strategy<Value = u64> {
    const US: u64 = 1_000;
    prop_oneof![
        4 => Just(0),
        2 => (0..3_000_000_u64).prop_map(|us| us * US),
        2 => (-2_i64..3).prop_map(|us| S.wrapping_add_signed(us * 1_000)),
        1 => (58..62_u64).prop_map(|s| s * S),
        1 => (-2_i64..3).prop_map(|us| (60 * S).wrapping_add_signed(us * 1_000)),
        1 => (28..32_u64).prop_map(|s| s * S),
        1 => (43_190..43_210_u64).prop_map(|s| s * S),
        1 => (86_399..86_403_u64).prop_map(|s| s * S),
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

fn some_limits() -> impl Strategy<Value = RateLimits> {
    let limit = prop::option::of;
    (limit(1..12_u64), limit(1..150_u64), limit(1..9_u64), limit(1..9_u64))
        .prop_map(|(rpm, tpm, rpd, concurrency)| limits(rpm, tpm, rpd, concurrency))
}

/// What the domain holds of one exchange.
struct Open {
    lease: Lease,
    shares: [Option<Share>; SEATS_MAX],
    runs_out_ms: u64,
}

/// Both sides of the comparison.
struct Pair<'a> {
    server: &'a mut Server,
    of_key: RateLimits,
    of_org: RateLimits,
    key: Meter,
    org: Meter,
    open: Vec<Open>,
    count: u128,
}

impl Pair<'_> {
    fn reserve(&mut self, tokens: u64, now: u64) -> Result<(), TestCaseError> {
        let (gone, open) =
            std::mem::take(&mut self.open).into_iter().partition(|it| it.runs_out_ms <= now / MS);
        self.open = open;
        for Open { shares, .. } in gone {
            self.close(shares, |meter, share| meter.release(share, false));
        }
        let demand = Demand { estimated_input: tokens, ceiling: 0, reserve_cap: None };
        let mut seats = [None, None, None, None];
        let meters =
            [(Scope::Key, self.of_key, &mut self.key), (Scope::Organization, self.of_org, &mut self.org)];
        for (seat, (scope, limits, meter)) in seats.iter_mut().zip(meters) {
            *seat = (!limits.is_unlimited()).then_some(Seat { scope, limits, meter });
        }
        let expected = admit(&mut seats, &demand, Steady(now));
        self.count += 1;
        let lease = lease(self.count, self.of_key, self.of_org, tokens);
        let decided = self.server.enter(&lease, Entrance::Ask, Steady(now));
        prop_assert_eq!(&decided, &expected.as_ref().map(|(_, view)| *view).map_err(|refused| *refused));
        if let Ok((shares, _)) = expected {
            self.open.push(Open { lease, shares, runs_out_ms: now / MS + LEASE_MS });
        }
        Ok(())
    }

    fn end(&mut self, which: usize, exit: Exit, now: u64, end: impl FnMut(&mut Meter, Share)) {
        if self.open.is_empty() {
            return;
        }
        let Open { lease, shares, .. } = self.open.remove(which % self.open.len());
        self.close(shares, end);
        for _ in 0..2 {
            self.server.leave(&lease, exit, Steady(now));
        }
    }

    fn close(&mut self, shares: [Option<Share>; SEATS_MAX], mut end: impl FnMut(&mut Meter, Share)) {
        let [of_key, of_org, ..] = shares;
        if let Some(share) = of_key {
            end(&mut self.key, share);
        }
        if let Some(share) = of_org {
            end(&mut self.org, share);
        }
    }
}

#[test]
fn random_sequences_are_decided_as_in_one_process() {
    let mut server = Server::start();
    let sequences = (
        0..200_000_000_u64,
        some_limits(),
        some_limits().prop_filter("something is limited", |limits| !limits.is_unlimited()),
        prop::collection::vec((gap_ns(), step()), 1..80),
    );
    let check = std::cell::RefCell::new(&mut server);
    let mut runner = TestRunner::new(ProptestConfig::with_cases(400));
    runner
        .run(&sequences, |(start_us, of_key, of_org, steps)| {
            let server: &mut Server = &mut check.borrow_mut();
            server.flush();
            server.load();
            let (key, org, mut now) = (Meter::default(), Meter::default(), start_us * 1_000);
            let mut pair = Pair { server, of_key, of_org, key, org, open: Vec::new(), count: 0 };
            for (gap, step) in steps {
                now += gap;
                match step {
                    Step::Reserve { tokens } => pair.reserve(tokens, now)?,
                    Step::Settle { which, tokens } => {
                        let end = |meter: &mut Meter, share| meter.settle(share, tokens, Steady(now));
                        pair.end(which, Exit::Settle(tokens, None), now, end);
                    }
                    Step::Release { which, unsent } => {
                        let exit = if unsent { Exit::Unsent } else { Exit::Release };
                        pair.end(which, exit, now, |meter, share| meter.release(share, unsent));
                    }
                    Step::Abandon { which } => pair.end(which, Exit::Abandon, now, Meter::abandon),
                }
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn limits_are_exact_up_to_two_to_the_53rd_and_larger_ones_are_taken_for_that() {
    const MOST: u64 = (1 << 53) - 1;
    for limit in [1, 2, MOST - 1, MOST, MOST + 2, u64::MAX] {
        let mut server = Server::start();
        let only = limits(None, Some(limit), None, None);
        let fits = limit.min(MOST);
        if fits > 1 {
            assert!(server.enter(&of_key(1, only, fits - 1), Entrance::Ask, at(0)).is_ok(), "{limit}");
        }
        let view = server.enter(&of_key(2, only, 1), Entrance::Ask, at(0)).unwrap();
        assert_eq!(view.tokens.unwrap().remaining, limit - fits, "{limit}");
        let refused = server.enter(&of_key(3, only, 1), Entrance::Ask, at(0)).unwrap_err();
        assert_eq!((refused.max, refused.retry_after_ms), (limit, 61_000));
    }
}

#[test]
fn a_clock_that_is_set_back_never_shortens_the_window_and_by_more_than_it_begins_anew() {
    let mut server = Server::start();
    let only = limits(Some(2), None, None, None);
    for (n, second) in [(1, 1_000), (2, 970)] {
        assert!(server.enter(&of_key(n, only, 1), Entrance::Ask, at(second)).is_ok());
    }
    assert!(server.enter(&of_key(3, only, 1), Entrance::Ask, at(1_060)).is_err(), "both are of second 1000");
    assert!(server.enter(&of_key(4, only, 1), Entrance::Ask, at(1_061)).is_ok());
    assert!(server.enter(&of_key(5, only, 1), Entrance::Ask, at(100)).is_ok(), "an hour back");
}
