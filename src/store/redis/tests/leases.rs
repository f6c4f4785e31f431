//! Leases run out, are renewed, come again; what is kept runs out by itself.

use super::*;

const ONE_PLACE: RateLimits = RateLimits { rpm: None, tpm: Some(100), rpd: None, concurrency: Some(1) };

#[test]
fn an_exchange_that_nobody_renews_gives_its_place_and_its_tokens_back() {
    let mut server = Server::start();
    assert!(server.enter(&of_key(1, ONE_PLACE, 80), Entrance::Ask, at(0)).is_ok());
    let second = of_key(2, ONE_PLACE, 80);
    assert!(server.enter(&second, Entrance::Ask, Steady(30 * S - 1_000_000)).is_err());
    assert!(server.enter(&second, Entrance::Ask, at(30)).is_ok());
    // What comes of the first one changes nothing any more.
    server.leave(&of_key(1, ONE_PLACE, 80), Exit::Settle(100, None), at(31));
    let refused = server.enter(&of_key(3, ONE_PLACE, 30), Entrance::Ask, at(31)).unwrap_err();
    assert_eq!(refused.view.tokens.unwrap().remaining, 20);
}

#[test]
fn a_renewed_lease_runs_on_and_its_over_use_is_counted_after_any_time() {
    let mut server = Server::start();
    let long = of_key(1, ONE_PLACE, 10);
    assert!(server.enter(&long, Entrance::Ask, at(0)).is_ok());
    for renewal in 1..100 {
        assert_eq!(server.renew(&long, at(renewal * 10)), 0);
        assert!(server.enter(&of_key(2, ONE_PLACE, 10), Entrance::Ask, at(renewal * 10 + 9)).is_err());
    }
    server.leave(&long, Exit::Settle(60, None), at(1_000));
    let view = server.enter(&of_key(3, ONE_PLACE, 10), Entrance::Ask, at(1_000)).unwrap();
    assert_eq!(view.tokens.unwrap().remaining, 100 - 50 - 10);
}

#[test]
fn what_was_lost_holds_its_place_again_and_all_its_tokens_count_at_its_end() {
    let mut server = Server::start();
    let running = of_key(1, ONE_PLACE, 10);
    assert!(server.enter(&running, Entrance::Ask, at(0)).is_ok());
    server.flush();
    server.load();
    assert_eq!(server.renew(&running, at(1)), 1);
    for _ in 0..2 {
        let _ = server.enter(&running, Entrance::Place, at(1));
    }
    assert!(server.enter(&of_key(2, ONE_PLACE, 10), Entrance::Ask, at(2)).is_err());
    server.leave(&running, Exit::Settle(70, None), at(3));
    assert!(server.enter(&of_key(3, ONE_PLACE, 31), Entrance::Ask, at(3)).is_err());
    assert!(server.enter(&of_key(4, ONE_PLACE, 30), Entrance::Ask, at(3)).is_ok());
}

#[test]
fn what_was_admitted_elsewhere_counts_once_and_in_its_own_second() {
    let mut server = Server::start();
    let all = limits(Some(3), Some(100), Some(3), Some(3));
    let late = of_key(1, all, 40);
    for _ in 0..2 {
        let _ = server.enter(&late, afterwards(20), at(100));
    }
    let refused = server.enter(&of_key(2, all, 70), Entrance::Ask, at(100)).unwrap_err();
    assert_eq!(refused.retry_after_ms, 41_000, "it leaves 61 seconds after second 80");
    assert_eq!(refused.view.requests.unwrap().remaining, 2);
    // From before the minute: the day knows it, and its place is taken.
    let _ = server.enter(&of_key(3, all, 40), afterwards(90), at(100));
    let view = server.enter(&of_key(4, all, 10), Entrance::Ask, at(100)).unwrap();
    assert_eq!((view.requests.unwrap().remaining, view.tokens.unwrap().remaining), (0, 50));
    server.leave(&of_key(3, all, 40), Exit::Unsent, at(100));
    assert!(server.enter(&of_key(5, all, 10), Entrance::Ask, at(100)).is_ok());
}

#[test]
fn everything_that_is_kept_runs_out_by_itself() {
    let mut server = Server::start();
    let all = limits(Some(9), Some(900), Some(9), Some(9));
    for n in 0..6 {
        let one = lease(n, all, all, 10);
        let entrance = [Entrance::Ask, afterwards(3), Entrance::Place][n as usize % 3];
        let _ = server.enter(&one, entrance, at(0));
        if n > 2 {
            server.leave(&one, Exit::Settle(20, None), at(1));
        }
    }
    let keys = server.keys();
    assert_eq!(keys.len(), 8, "{keys:?}");
    for key in keys {
        let left_ms: i64 = server.connection.pttl(&key).unwrap();
        let longest = if key.ends_with(":days") || key.ends_with(":order") { 86_402_000 } else { 92_000 };
        assert!(left_ms > 0 && left_ms <= longest, "{key}: {left_ms}");
        assert!(key.contains("{00000000-0000-0000-0000-000000000003}"), "{key} is of its organization");
    }
}

#[test]
fn a_meter_of_which_a_part_was_evicted_admits_again() {
    let mut server = Server::start();
    let all = limits(None, None, Some(2), Some(2));
    for evicted in ["", ":days", ":order", ":leases"] {
        for n in 0..2 {
            let _ = server.enter(&of_key(n, all, 1), afterwards(0), at(0));
        }
        let key = server.keys().into_iter().min_by_key(String::len).unwrap();
        let _: () = server.connection.del(format!("{key}{evicted}")).unwrap();
        for n in 0..2 {
            server.leave(&of_key(n, all, 1), Exit::Release, at(1));
        }
        assert!(server.enter(&of_key(9, all, 1), Entrance::Ask, at(86_401)).is_ok(), "without `{evicted}`");
        server.flush();
        server.load();
    }
}
