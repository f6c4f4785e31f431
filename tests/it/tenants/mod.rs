//! Two organizations with the same traffic: neither sees a row of the other's, by whatever way it asks.
//!
//! The calls are those of the OpenAPI document, so that a new one is walked too, or the walk stops at it.

mod calls;
mod tenant;

use crate::support::{
    client::{self, Answer, Call, Version},
    gateway::{Gateway, TestGateway},
    settings::OPERATOR,
};
use calls::{Documented, NOBODY, Parameter, Place, documented};
use serde_json::json;
use std::collections::BTreeSet;
use tenant::{ROLES, Tenant, as_operator};

/// Who asks: somebody of the first organization, or an operator who names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Caller {
    /// By the number of the role.
    Token(usize),
    Operator,
    Key,
}

const CALLERS: [Caller; 6] =
    [Caller::Token(0), Caller::Token(1), Caller::Token(2), Caller::Token(3), Caller::Operator, Caller::Key];

impl Caller {
    fn name(self) -> &'static str {
        match self {
            Self::Token(role) => ROLES[role],
            Self::Operator => "operator",
            Self::Key => "key",
        }
    }

    /// One of its own: one address may make only so many calls at once.
    fn address(self) -> &'static str {
        match self {
            Self::Token(role) => ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"][role],
            Self::Operator => "192.0.2.5",
            Self::Key => "192.0.2.6",
        }
    }
}

/// Who asks in which organization, and whose things must stay unseen.
struct Walk<'a> {
    gateway: &'a Gateway,
    own: &'a Tenant,
    other: &'a Tenant,
    answers: usize,
    /// Calls that somebody was let through to.
    reached: BTreeSet<String>,
    /// All that was said of what is the caller's own.
    said: String,
}

impl Walk<'_> {
    /// What `caller` is answered; `org`: instead of what it would say in `x-aione-org`.
    async fn ask(&mut self, caller: Caller, call: Call, org: Option<&str>) -> Answer {
        self.answers += 1;
        let call = call.header("x-forwarded-for", caller.address());
        let org = org.or((caller == Caller::Operator).then_some(self.own.slug));
        let call = org.map_or(call.clone(), |org| call.header("x-aione-org", org));
        let call = call.bearer(match caller {
            Caller::Token(role) => &self.own.tokens[role],
            Caller::Operator => OPERATOR,
            Caller::Key => &self.own.secret,
        });
        let answer = client::send(Version::H1, self.gateway.settings.admin, &call).await;
        assert!(answer.status < 500 && answer.status != 429, "{}: {}", call.path, answer.text());
        answer
    }

    /// Makes `call` about what is the caller's own. Whether it was let through.
    async fn with_own(&mut self, caller: Caller, call: &Documented) -> bool {
        let mut is_through = false;
        for kind in call.kinds() {
            let answer = self.ask(caller, call.call(self.own, kind, None), None).await;
            let what = format!("{} {}: {} {}", caller.name(), call.name, answer.status, answer.text());
            assert!(answer.status < 300 || answer.status == 403, "{what}");
            is_through = answer.status < 300;
            self.said += &answer.text();
            // Operators list the organizations; all else is about the one that they name.
            if !(caller == Caller::Operator && call.name == "listOrgs") {
                self.expect_unseen(&answer.text(), &what);
            }
        }
        if is_through {
            self.reached.insert(call.name.clone());
        }
        is_through
    }

    /// Makes `call` with what is the other's in one place, and with what is nobody's: the same.
    async fn with_other(&mut self, caller: Caller, call: &Documented, at: &Parameter, is_through: bool) {
        let Some((others, nobodys)) = at.names(self.other) else { return };
        for kind in call.kinds() {
            let answer = self.ask(caller, call.call(self.own, kind, Some((at, others))), None).await;
            let nothing = self.ask(caller, call.call(self.own, kind, Some((at, nobodys))), None).await;
            let what =
                format!("{} {} with another's {} in {:?}", caller.name(), call.name, at.name, at.place);
            self.expect_same((&answer, others), (&nothing, nobodys), &what);
            if at.place == Place::Path {
                let expected: &[u16] = if is_through { &[404] } else { &[404, 403] };
                assert!(expected.contains(&answer.status), "{what}: {} {}", answer.status, answer.text());
            }
        }
    }

    /// Makes `call` in the other organization's name, and in nobody's: the same.
    async fn in_others_name(&mut self, caller: Caller, call: &Documented, is_through: bool) {
        for kind in call.kinds() {
            // Without the key of a repetition: no answer of before is to be had.
            let mut request = call.call(self.own, kind, None);
            request.headers.clear();
            let nothing = self.ask(caller, request.clone(), Some(NOBODY)).await;
            for org in [self.other.slug, &self.other.id] {
                let answer = self.ask(caller, request.clone(), Some(org)).await;
                let what = format!("{} {} in the name of {org}", caller.name(), call.name);
                self.expect_same((&answer, org), (&nothing, NOBODY), &what);
                if is_through && caller != Caller::Key {
                    assert_eq!(answer.status, 404, "{what}: {}", answer.text());
                }
            }
        }
    }

    /// Two answers that differ at most in what was sent.
    fn expect_same(&self, (one, sent): (&Answer, &str), (other, also_sent): (&Answer, &str), what: &str) {
        let (text, other_text) = (one.text().replace(sent, "…"), other.text().replace(also_sent, "…"));
        assert_eq!((one.status, &text), (other.status, &other_text), "{what}");
        for header in ["content-type", "x-next-page", "x-total-count", "idempotent-replayed"] {
            assert_eq!(one.header(header), other.header(header), "{what}: {header}");
        }
        self.expect_unseen(&text, what);
    }

    fn expect_unseen(&self, text: &str, what: &str) {
        let seen = self.other.marks.iter().find(|mark| text.contains(mark.as_str()));
        assert_eq!(seen, None, "{what}: {text}");
    }
}

#[tokio::test]
async fn two_organizations_never_see_a_row_of_each_others() {
    let gateway = TestGateway::new().simulated("sim").model("m", &["sim"]);
    let gateway = gateway.set("/server/trusted_proxies", json!(["127.0.0.0/8"])).start().await;
    let document =
        client::send(Version::H1, gateway.settings.admin, &Call::get("/api/v1/openapi.json")).await;
    let calls = documented(&document.ok().json());
    let (own, other) = (Tenant::new(&gateway, "acme").await, Tenant::new(&gateway, "globex").await);
    // The same key under the same `Idempotency-Key`, by the operator and by an owner.
    let create = calls.iter().find(|call| call.name == "createKey").unwrap().call(&other, None, None);
    as_operator(&gateway, other.slug, create.clone()).await;
    let made = client::send(Version::H1, gateway.settings.admin, &create.bearer(&other.tokens[0])).await;
    assert_eq!(made.status, 201, "{}", made.text());

    let trail = Call::get(&format!("/api/v1/audit?org={}&page_size=200", other.slug));
    let before = as_operator(&gateway, other.slug, trail.clone()).await.text();
    let mut walk = Walk {
        gateway: &gateway,
        own: &own,
        other: &other,
        answers: 0,
        reached: BTreeSet::new(),
        said: String::new(),
    };
    for caller in CALLERS {
        for call in &calls {
            // What is the caller's own is to be there for the next call.
            let deletes = call.method == "DELETE";
            let is_through = !deletes && walk.with_own(caller, call).await;
            for parameter in &call.parameters {
                // An operator may see every organization, one at a time.
                if !(caller == Caller::Operator && parameter.name == "org") {
                    walk.with_other(caller, call, parameter, is_through).await;
                }
            }
            if caller != Caller::Operator {
                walk.in_others_name(caller, call, is_through).await;
            }
        }
    }
    for call in calls.iter().filter(|call| call.method != "DELETE") {
        assert!(walk.reached.contains(&call.name), "nobody was let through to {}", call.name);
    }
    for id in [&own.id, &own.team, &own.key, &own.token, &own.request] {
        assert!(walk.said.contains(id.as_str()), "{id} of its own was never seen");
    }
    let after = as_operator(&gateway, other.slug, trail).await.text();
    assert_eq!(after, before, "nothing of the other's was written");
    println!("{} answers of {} calls to {} callers", walk.answers, calls.len(), CALLERS.len());
}
