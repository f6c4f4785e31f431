//! Purses in Redis: decided as `domain::budget` does, exact to the last part of a unit, and held against the store.

use super::*;
use aione_core::domain::{
    budget::{BudgetPeriod, Claim, Known, Owner, Purse, Term},
    clock::Timestamp,
    money::Pico,
};
use proptest::{prelude::*, test_runner::TestRunner};

const ORG: OrgId = OrgId(Uuid::from_u128(3));
const ACCOUNT: Owner = Owner::Account(ORG);
const BUDGET: Owner = Owner::Organization(ORG);
const TERM: Term = Term { from: Timestamp(5), until: Timestamp(10) };
const UNIT: i128 = 1_000_000_000_000;
const NONE: RateLimits = RateLimits { rpm: None, tpm: None, rpd: None, concurrency: None };

fn claim(owner: Owner, spent: i128, stored: Option<i128>, allowed: i128) -> Claim {
    Claim { owner, term: TERM, spent: Pico(spent), stored: stored.map(Pico), allowed: Pico(allowed) }
}

/// Request `n`, which no limit holds back.
fn of(n: u128, amount: i128, claims: [Option<Claim>; 4]) -> Lease {
    paid(n, NONE, NONE, 1, &Claims { amount: Pico(amount), of: claims })
}

/// The same of one purse of `allowed`, of which the node knows nothing to be spent and the store says nothing.
fn of_account(n: u128, amount: i128, allowed: i128) -> Lease {
    of(n, amount, [Some(claim(ACCOUNT, 0, None, allowed)), None, None, None])
}

fn settle(cost: i128) -> Exit {
    Exit::Settle(1, Some(Pico(cost)))
}

#[derive(Clone, Debug)]
enum Step {
    Reserve { amount: i128 },
    Settle { which: usize, cost: i128 },
    Leave { which: usize, exit: Exit },
}

fn step() -> impl Strategy<Value = Step> {
    // Some are whole units, some lie around one, some are far beyond what a double holds in parts.
    let amount = prop_oneof![
        (0..5_i128).prop_map(|units| units * UNIT),
        (-3..3_i128).prop_map(|parts| UNIT + parts),
        0..4 * UNIT,
        (0..30_i128).prop_map(|units| units * 1_000_000_007 * UNIT + 1),
    ];
    let exits = prop_oneof![Just(Exit::Release), Just(Exit::Unsent), Just(Exit::Abandon)];
    prop_oneof![
        3 => amount.clone().prop_map(|amount| Step::Reserve { amount }),
        2 => (any::<usize>(), amount).prop_map(|(which, cost)| Step::Settle { which, cost }),
        1 => (any::<usize>(), exits).prop_map(|(which, exit)| Step::Leave { which, exit }),
    ]
}

#[test]
fn random_sequences_are_decided_as_in_one_process() {
    let mut server = Server::start();
    let allowed = prop_oneof![0..20 * UNIT, (0..90_i128).prop_map(|units| units * 1_000_000_007 * UNIT)];
    let sequences = (allowed.clone(), allowed, 0..3 * UNIT, prop::collection::vec(step(), 1..60));
    let check = std::cell::RefCell::new(&mut server);
    let mut runner = TestRunner::new(ProptestConfig::with_cases(300));
    runner
        .run(&sequences, |(funds, budget, beyond, steps)| {
            let server: &mut Server = &mut check.borrow_mut();
            server.flush();
            server.load();
            let mut purses = [(ACCOUNT, funds, beyond), (BUDGET, 0, budget)].map(|(owner, funds, beyond)| {
                (owner, Purse::new(TERM, Known { funds: Pico(funds), spent: Pico::ZERO }), Pico(beyond))
            });
            let mut open: Vec<(Lease, i128)> = Vec::new();
            for (n, step) in (1..).zip(steps) {
                let now = Steady(n * S / 4);
                let mut end = |open: &mut Vec<(Lease, i128)>, which: usize, exit, cost| {
                    if open.is_empty() {
                        return;
                    }
                    let (lease, amount) = open.remove(which % open.len());
                    for (_, purse, _) in &mut purses {
                        purse.settle(TERM.from, Pico(amount), Pico(cost));
                    }
                    for _ in 0..2 {
                        server.leave(&lease, exit, now);
                    }
                };
                match step {
                    Step::Settle { which, cost } => end(&mut open, which, settle(cost), cost),
                    Step::Leave { which, exit } => end(&mut open, which, exit, 0),
                    Step::Reserve { amount } => {
                        let [account, budget] = purses.each_ref().map(|(owner, purse, beyond)| {
                            // As a node that has seen nothing but what it was told at first.
                            Some(Claim { spent: Pico::ZERO, ..purse.claim(*owner, *beyond, false) })
                        });
                        let lease = of(n.into(), amount, [account, budget, None, None]);
                        let refusing = purses
                            .iter()
                            .find(|(_, purse, beyond)| !purse.allows(Pico(amount), *beyond))
                            .map(|(owner, ..)| *owner);
                        let decided = server.decide(&lease, Entrance::Ask, now).map(|_| ());
                        prop_assert_eq!(
                            decided,
                            refusing.map_or(Ok(()), |owner| Err(Turned::ByPurse(owner)))
                        );
                        if refusing.is_none() {
                            purses.iter_mut().for_each(|(_, purse, _)| purse.reserve(Pico(amount)));
                            open.push((lease, amount));
                        }
                    }
                }
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn limits_and_purses_are_taken_together_or_not_at_all_and_a_limit_is_named_first() {
    let mut server = Server::start();
    let one = limits(Some(1), None, None, None);
    let ask = |n, amount| {
        let claims = Claims {
            amount: Pico(amount),
            of: [Some(claim(ACCOUNT, 0, None, 10)), Some(claim(BUDGET, 0, None, 5)), None, None],
        };
        paid(n, one, NONE, 1, &claims)
    };
    let decided = |server: &mut Server, n, amount| server.decide(&ask(n, amount), Entrance::Ask, at(0));
    assert_eq!(decided(&mut server, 1, 6).unwrap_err(), Turned::ByPurse(BUDGET));
    assert_eq!(decided(&mut server, 2, 11).unwrap_err(), Turned::ByPurse(ACCOUNT));
    assert!(decided(&mut server, 3, 5).is_ok(), "neither of the two has left anything behind");
    assert!(matches!(decided(&mut server, 4, 6).unwrap_err(), Turned::ByLimit(_)));
    assert!(matches!(decided(&mut server, 5, 0).unwrap_err(), Turned::ByLimit(_)));
}

#[test]
fn a_node_that_is_gone_gives_back_what_it_had_reserved() {
    let mut server = Server::start();
    assert!(server.decide(&of_account(1, 7, 10), Entrance::Ask, at(0)).is_ok());
    let next = of_account(2, 7, 10);
    assert!(server.decide(&next, Entrance::Ask, at(29)).is_err());
    assert!(server.decide(&next, Entrance::Ask, at(30)).is_ok());
    server.leave(&of_account(1, 7, 10), settle(7), at(31));
    server.leave(&next, settle(2), at(31));
    assert!(
        server.decide(&of_account(3, 8, 10), Entrance::Ask, at(31)).is_ok(),
        "2 are spent, by the living one"
    );
}

#[test]
fn what_was_lost_is_reserved_again_and_begins_with_what_a_node_has_seen() {
    let mut server = Server::start();
    let running = of_account(1, 4, 10);
    assert!(server.decide(&running, Entrance::Ask, at(0)).is_ok());
    server.flush();
    server.load();
    assert_eq!(server.renew(&running, at(1)), 1);
    for _ in 0..2 {
        let _ = server.decide(&running, Entrance::Place, at(1));
    }
    let seen = |n, amount| of(n, amount, [Some(claim(ACCOUNT, 3, None, 10)), None, None, None]);
    assert!(server.decide(&seen(2, 4), Entrance::Ask, at(2)).is_err(), "3 are spent, 4 reserved");
    server.leave(&running, settle(1), at(3));
    assert!(server.decide(&seen(3, 7), Entrance::Ask, at(4)).is_err());
    assert!(server.decide(&seen(3, 6), Entrance::Ask, at(4)).is_ok());
}

#[test]
fn what_a_node_admitted_by_itself_is_reserved_and_spent_once() {
    let mut server = Server::start();
    assert!(server.decide(&of_account(1, 0, 10), Entrance::Ask, at(0)).is_ok());
    let alone = of_account(2, 6, 10);
    for _ in 0..2 {
        let _ = server.decide(&alone, afterwards(3), at(5));
    }
    assert!(server.decide(&of_account(3, 5, 10), Entrance::Ask, at(5)).is_err());
    for _ in 0..2 {
        server.leave(&alone, settle(2), at(6));
    }
    assert!(server.decide(&of_account(4, 9, 10), Entrance::Ask, at(6)).is_err());
    assert!(server.decide(&of_account(4, 8, 10), Entrance::Ask, at(6)).is_ok());
}

#[test]
fn what_still_runs_when_it_is_entered_is_spent_when_it_ends() {
    let mut server = Server::start();
    let running = of_account(1, 4, 10);
    let _ = server.decide(&running, Entrance::Count { ago_s: 60, still_runs: true }, at(0));
    assert!(server.decide(&of_account(2, 7, 10), Entrance::Ask, at(0)).is_err());
    server.leave(&running, settle(3), at(1));
    assert!(server.decide(&of_account(3, 8, 10), Entrance::Ask, at(1)).is_err());
    assert!(server.decide(&of_account(3, 7, 10), Entrance::Ask, at(1)).is_ok());
}

#[test]
fn a_question_that_comes_after_what_was_asked_was_entered_reserves_nothing_more() {
    let mut server = Server::start();
    let one = of_account(1, 4, 10);
    let _ = server.decide(&one, afterwards(0), at(0));
    assert!(server.decide(&one, Entrance::Ask, at(0)).is_ok());
    assert!(server.decide(&of_account(2, 7, 10), Entrance::Ask, at(0)).is_err());
    assert!(server.decide(&of_account(2, 6, 10), Entrance::Ask, at(0)).is_ok());
}

#[test]
fn where_nothing_is_in_flight_nothing_is_reserved_whatever_was_lost() {
    let mut server = Server::start();
    let lost = of_account(1, 9, 10);
    assert!(server.decide(&lost, Entrance::Ask, at(0)).is_ok());
    let leases = server.keys().into_iter().find(|key| key.ends_with(":leases")).unwrap();
    let _: () = server.connection.del(&leases).unwrap();
    // It is placed again with its share, which is there.
    assert_eq!(server.renew(&lost, at(1)), 1);
    let _ = server.decide(&lost, Entrance::Place, at(1));
    assert!(server.decide(&of_account(2, 9, 10), Entrance::Ask, at(1)).is_err());
    let _: () = server.connection.del(&leases).unwrap();
    assert!(server.decide(&of_account(2, 9, 10), Entrance::Ask, at(1)).is_ok());
}

#[test]
fn while_the_store_is_away_nothing_that_was_told_is_forgotten() {
    let mut server = Server::start();
    let ask = |n, amount, stored| of(n, amount, [Some(claim(ACCOUNT, 0, stored, 10)), None, None, None]);
    let first = ask(1, 6, Some(0));
    assert!(server.decide(&first, Entrance::Ask, at(0)).is_ok());
    server.leave(&first, settle(6), at(1));
    for minute in 1..60 {
        assert!(server.decide(&ask(2, 5, None), Entrance::Ask, at(60 * minute)).is_err(), "{minute}");
    }
    assert!(server.decide(&ask(3, 5, Some(0)), Entrance::Ask, at(3_601)).is_err(), "it has begun to record");
}

#[test]
fn a_cost_that_is_told_late_is_told_by_the_store() {
    let seconds = Duration::from_secs;
    let exit = settle(7);
    assert_eq!(exit.told_after(seconds(4)), exit);
    assert_eq!(exit.told_after(seconds(5)), settle(0));
    assert_eq!(Exit::Unsent.told_after(seconds(60)), Exit::Unsent);
}

#[test]
fn what_a_node_admitted_before_a_purse_was_known_is_told_by_the_store() {
    let mut server = Server::start();
    let told = |n| of(n, 5, [Some(claim(ACCOUNT, 6, Some(6), 10)), None, None, None]);
    let alone = of_account(2, 6, 20);
    let early = of_account(3, 1, 20);
    let _ = server.decide(&early, afterwards(1), at(1));
    assert!(server.decide(&told(1), Entrance::Ask, at(1)).is_err(), "of 10, 6 are spent");
    let _ = server.decide(&alone, afterwards(3), at(2));
    for lease in [&alone, &early] {
        server.leave(lease, settle(6), at(3));
    }
    let more = |n, amount| of(n, amount, [Some(claim(ACCOUNT, 6, Some(6), 10)), None, None, None]);
    assert!(server.decide(&more(4, 5), Entrance::Ask, at(3)).is_err());
    assert!(server.decide(&more(5, 4), Entrance::Ask, at(3)).is_ok(), "6 are spent, not twice as much");
}

#[test]
fn what_the_store_knows_of_more_for_seconds_is_believed_and_not_sooner() {
    let mut server = Server::start();
    let ask = |n, stored| of(n, 1, [Some(claim(ACCOUNT, 0, Some(stored), 10)), None, None, None]);
    let mut ask_at = |n, stored, second| {
        let lease = ask(n, stored);
        let decided = server.decide(&lease, Entrance::Ask, at(second)).is_ok();
        server.leave(&lease, Exit::Unsent, at(second));
        decided
    };
    assert!(ask_at(1, 0, 0));
    // What one node has read may be told a moment later by the one that spent it.
    assert!(ask_at(2, 10, 1) && ask_at(3, 10, 5));
    assert!(ask_at(4, 0, 5), "a node that read it earlier says nothing about it: it began anew");
    assert!(ask_at(5, 10, 6) && ask_at(6, 10, 10));
    assert!(!ask_at(7, 10, 11));
    assert!(
        !ask_at(8, 9, 12),
        "what is spent is not taken back by who knows of less, while it was told lately"
    );
}

#[test]
fn no_more_is_spent_than_the_store_has_and_was_told_lately() {
    let mut server = Server::start();
    let mut ask_at = |n, amount, minute: u64| {
        // It has seen 9, of which the store has 2; the rest never comes.
        let lease = of(n, amount, [Some(claim(ACCOUNT, 9, Some(2), 10)), None, None, None]);
        let decided = server.decide(&lease, Entrance::Ask, at(60 * minute)).is_ok();
        server.leave(&lease, if n == 2 { settle(1) } else { Exit::Unsent }, at(60 * minute));
        decided
    };
    assert!(!ask_at(1, 2, 0) && ask_at(2, 1, 0));
    // It stays in use, and so it is kept.
    for minute in 1..20 {
        assert!(!ask_at(3, 1, minute) && ask_at(3, 0, minute), "{minute}");
    }
    assert!(ask_at(4, 8, 21) && !ask_at(5, 9, 21), "only what the store has is left");
}

#[test]
fn each_purse_has_a_name_of_its_own_and_runs_out_by_itself() {
    let mut server = Server::start();
    let (team, key) = (TeamId(Uuid::from_u128(7)), KeyId(Uuid::from_u128(8)));
    let owners = [
        [ACCOUNT, BUDGET, Owner::Team(ORG, team), Owner::Key(ORG, key, BudgetPeriod::Day)],
        [ACCOUNT, BUDGET, Owner::Team(ORG, TeamId(Uuid::max())), Owner::Key(ORG, key, BudgetPeriod::Month)],
    ];
    for (n, owners) in (1..).zip(owners) {
        let lease = of(n, 1, owners.map(|owner| Some(claim(owner, 0, Some(0), 9))));
        assert!(server.decide(&lease, Entrance::Ask, at(0)).is_ok());
    }
    let keys = server.keys();
    assert_eq!(keys.len(), 2 * 6, "{keys:?}");
    for key in keys {
        let left_ms: i64 = server.connection.pttl(&key).unwrap();
        assert!(left_ms > 0 && left_ms <= 1_230_000, "{key}: {left_ms}");
        assert!(key.contains("{00000000-0000-0000-0000-000000000003}"), "{key} is of its organization");
    }
    let next = Term { from: TERM.until, until: Timestamp(15) };
    let lease = of(3, 9, [None, Some(Claim { term: next, ..claim(BUDGET, 0, None, 9) }), None, None]);
    assert!(server.decide(&lease, Entrance::Ask, at(1)).is_ok(), "the next term begins with nothing");
}

#[test]
fn amounts_beyond_what_is_counted_exactly_do_not_wrap() {
    let mut server = Server::start();
    let most = i128::MAX;
    assert!(server.decide(&of_account(1, most, most), Entrance::Ask, at(0)).is_ok());
    assert!(server.decide(&of_account(2, most, most), Entrance::Ask, at(0)).is_err());
    server.leave(&of_account(1, most, most), settle(most), at(1));
    assert!(server.decide(&of_account(3, 1, most), Entrance::Ask, at(1)).is_err());
    assert!(server.decide(&of_account(4, 1, -1), Entrance::Ask, at(1)).is_err());
    assert!(
        server.decide(&of_account(5, 0, i128::MIN), Entrance::Ask, at(1)).is_ok(),
        "what is free always can"
    );
}
