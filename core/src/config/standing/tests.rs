//! Who is asked, in which turn.

use super::*;
use crate::config::{
    check::{Nothing, Source, check},
    snapshot::Snapshot,
};
use std::sync::Arc;

/// A model `m` with this route, whose deployments are of `a`, `b`, `c`; only `c` is a sandbox.
fn snapshot(route: &str) -> Snapshot {
    let text = format!(
        "providers: {{ a: {{ kind: simulated }}, b: {{ kind: simulated }}, c: {{ kind: simulated, sandbox: true }} }}\n\
         models: {{ m: {{ price: {{ input: '1', cache_read: '1', output: '1' }}, route: {route} }} }}\n"
    );
    let source = Source { name: Arc::from("aione.yaml"), text };
    check(&[source], &Nothing).expect("sound").snapshot
}

fn prospects(route: &str, standings: [Standing; 3]) -> Vec<Prospect> {
    snapshot(route).model("m").expect("the model").route.prospects(&standings)
}

const RESTS: Standing = Err(Out::Rests { for_ms: 5 });

#[test]
fn equals_are_drawn_and_a_spare_one_waits_for_them() {
    let route = "{ deployments: [{ provider: a, weight: 9 }, { provider: b }, { provider: c, weight: 0 }] }";
    let drawn = |weight, of| Prospect::Drawn { weight, of };
    let all = prospects(route, [Ok(()); 3]);
    assert_eq!(all, [drawn(9, 10), drawn(1, 10), Prospect::Behind { others: 2 }]);
    let one_rests = prospects(route, [RESTS, Ok(()), Ok(())]);
    let resting = Prospect::Out(Out::Rests { for_ms: 5 });
    assert_eq!(one_rests, [resting, drawn(1, 1), Prospect::Behind { others: 1 }]);
    let spare_alone = prospects(route, [RESTS, Err(Out::Drained), Ok(())]);
    assert_eq!(spare_alone, [resting, Prospect::Out(Out::Drained), drawn(0, 0)]);
}

#[test]
fn a_later_priority_is_out_of_reach_once_the_attempts_are_used_up() {
    let route = "{ policy: priority, attempts: 2, deployments: [{ provider: a, priority: 7 }, \
                 { provider: b, priority: 1 }, { provider: c, priority: 3 }] }";
    let first = Prospect::Drawn { weight: 1, of: 1 };
    let behind = Prospect::Behind { others: 1 };
    assert_eq!(prospects(route, [Ok(()); 3]), [Prospect::OutOfAttempts, first, behind]);
    let drained = Prospect::Out(Out::Drained);
    assert_eq!(prospects(route, [Ok(()), Err(Out::Drained), Ok(())]), [behind, drained, first]);
}

#[test]
fn a_sandbox_key_is_for_sandboxes_and_being_drained_comes_before_resting() {
    let snapshot = snapshot("{ deployments: [{ provider: a }, { provider: b }, { provider: c }] }");
    let model = snapshot.model("m").expect("the model");
    let of = |index: usize, is_sandbox, condition| {
        standing(model, &model.route.deployments[index], is_sandbox, condition)
    };
    let well = Condition::default();
    assert_eq!(of(0, false, well), Ok(()));
    assert_eq!(of(0, true, well), Err(Out::NotForSandbox));
    assert_eq!(of(2, true, well), Ok(()));
    let resting = Condition { rests_for_ms: Some(5), ..well };
    assert_eq!(of(0, false, resting), RESTS);
    assert_eq!(of(0, false, Condition { drained: true, ..resting }), Err(Out::Drained));
}
