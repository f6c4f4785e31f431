//! What providers open beside the gateway's own endpoints.

use super::*;
use crate::config::{
    diff,
    pass_through::{Closed, Method, behind_version},
    snapshot::Snapshot,
};

/// Two providers, of which the first opens `entries`.
fn opening(entries: &str, more: &str) -> String {
    format!(
        "\
providers:
  up: {{ kind: openai_compatible, base_url: 'https://a/v1', pass_through_price: {{ request: '0.01' }}, pass_through: [{entries}] }}
  other: {{ kind: gemini, credentials: [x]{more} }}
models:
  chat:
    price: {{ input: '1', cache_read: '0', output: '4' }}
    route: {{ deployments: [{{ provider: up }}] }}
"
    )
}

fn sound(text: &str) -> Snapshot {
    check_text(text).unwrap_or_else(|problems| panic!("{problems:#?}")).snapshot
}

#[test]
fn a_request_finds_who_opened_its_path_and_what_it_is_sold_as() {
    let price = ", pass_through: [GET /v1beta/things], pass_through_price: { request: '0', input: '1' }";
    let snapshot =
        sound(&opening("'GET /v1/things/{id}', 'DELETE /v1/things/{id}', 'POST /v1/things/*'", price));
    let passage = snapshot.passage("GET", "/v1/things/7").unwrap();
    assert_eq!((&*passage.provider.name, &*passage.model.id), ("up", "up/pass_through"));
    assert_eq!(passage.model.route.deployments[0].provider, passage.provider);
    assert_eq!(&*snapshot.passage("GET", "/v1beta/things").unwrap().provider.name, "other");
    assert_eq!(snapshot.passage("GET", "/v1/things"), Err(Closed::Path));
    let methods = vec![Method::Get, Method::Delete, Method::Post];
    for method in ["PUT", "get", "HEAD", "OPTIONS", "TRACE", "CONNECT", ""] {
        assert_eq!(
            snapshot.passage(method, "/v1/things/7"),
            Err(Closed::Method(methods.clone())),
            "{method}"
        );
    }
    for path in ["/v1/things/%37", "/v1/things/..", "/v1/files/7", "/v1", "/", "", "/api/v1/things/7"] {
        assert_eq!(snapshot.passage("GET", path), Err(Closed::Path), "{path}");
    }
    assert_eq!(behind_version("/v1beta/things/7"), "/things/7");
    assert_eq!(behind_version("/v1/things"), "/things");
    // It has a price of its own, and is no model that could be called by its name.
    assert!(snapshot.prices.models.contains_key("up/pass_through"));
    assert!(snapshot.model("up/pass_through").is_none() && snapshot.sold("up/pass_through").is_some());
}

#[test]
fn an_entry_that_is_none_is_told_with_what_was_meant() {
    let entries = "get /v1/a, /v1/a, 'GET /a', 'FETCH /v1/a', 'GET https://evil/v1/a', 'GET /v1/a/../b', \
                   'GET /v1/a%2fb', 'GET /v1/a?x=1', 'GET /v1/*', 'GET /v1/{any}', 'GET /v1/a*', 'GET /v1/a/{b', \
                   'GET /v1//a', 'GET /v1/a;b', 'GET  /v1/a', GET";
    let at = |index: usize, said: &str| (index, said.to_owned());
    let expected = [
        at(0, "`get` is not one of GET, POST, PUT, PATCH, DELETE (did you mean `GET /v1/a`?)"),
        at(1, "expected a method and a path, such as `GET /v1/things/{id}` (did you mean `GET /v1/a`?)"),
        at(2, "only what is below `/v1/` or `/v1beta/` can be opened (did you mean `GET /v1/a`?)"),
        at(3, "`FETCH` is not one of GET, POST, PUT, PATCH, DELETE"),
        at(4, "names another host: where a provider is asked is what its `base_url` says"),
        at(5, "the path must not hold empty, `.` or `..` segments"),
        at(6, "the path must not be encoded: nothing that is encoded is passed through"),
        at(7, "the path must have no query, which callers add"),
        at(8, "would open everything: the segment behind the version must be written out"),
        at(9, "would open everything: the segment behind the version must be written out"),
        at(10, "`*` stands at the end, for one or more whole segments"),
        at(11, "`{name}` stands for one whole segment"),
        at(12, "the path must not hold empty, `.` or `..` segments"),
        at(13, "a segment has letters, digits and `-._~:@+=,` alone"),
        at(14, "only what is below `/v1/` or `/v1beta/` can be opened"),
        at(15, "expected a method and a path, such as `GET /v1/things/{id}`"),
    ];
    let problems = check_text(&opening(entries, "")).expect_err("must be refused");
    let told: Vec<String> = problems
        .iter()
        .map(|problem| {
            assert_eq!(problem.place.line, 2, "{problem}");
            problem.to_string().split_once("providers.up.pass_through").unwrap().1.to_owned()
        })
        .collect();
    let expected: Vec<String> = expected.iter().map(|(index, said)| format!("[{index}]: {said}")).collect();
    assert_eq!(told, expected);
}

#[test]
fn what_must_stay_closed_is_refused() {
    refused(
        &opening(
            "GET /v1/files, POST /v1/chat/completions, POST /v1/realtime/client_secrets, GET /v1/a, 'GET /v1/a'",
            "",
        ),
        &[
            "a.yaml:2:116: providers.up.pass_through[0]: `files` are kept in the vendor's account, which organizations share, and are never opened",
            "a.yaml:2:131: providers.up.pass_through[1]: takes in `/v1/chat/completions`, which is the gateway's own",
            "a.yaml:2:158: providers.up.pass_through[2]: `client_secrets` lets callers past the gateway, and is never opened",
            "a.yaml:2:203: providers.up.pass_through[4]: `GET /v1/a` is there twice",
        ],
    );
    // Nobody can be told apart by a path that two providers open.
    let other = ", pass_through: ['GET /v1/a/{b}', POST /v1/a/b], pass_through_price: { request: '0' }";
    refused(
        &opening("GET /v1/a/b", other),
        &[
            "a.yaml:2:116: providers.up.pass_through[0]: takes what `GET /v1/a/{}` of `other` takes: nobody could tell whose it is",
        ],
    );
}

#[test]
fn it_has_a_price_as_models_have() {
    let unpriced = |policy: &str| {
        opening("GET /v1/a", "").replace(", pass_through_price: { request: '0.01' }", "")
            + &format!("billing: {{ unpriced: {policy} }}\n")
    };
    refused(
        &unpriced("reject"),
        &["a.yaml:2:3: providers.up: `pass_through_price` is missing, and `billing.unpriced` is `reject`"],
    );
    warned(
        &unpriced("quarantine"),
        &["a.yaml:2:3: providers.up: has no `pass_through_price`: what is passed through will be kept apart"],
    );
    warned(
        &opening("", "").replace(", pass_through: []", ""),
        &["a.yaml:2:60: providers.up.pass_through_price: has no effect without `pass_through`"],
    );
    refused(
        &opening("GET /v1/a", "").replace("{ request: '0.01' }", "{}"),
        &["a.yaml:2:80: providers.up.pass_through_price: states no rate"],
    );
}

#[test]
fn plans_name_it_and_no_model_has_its_name() {
    let plan = "plans: { standard: { models: [up/pass_through], rpm_limits: { up/pass_through: 3 }, \
                price_per_1m_tokens: { 'up/pass_through:request': '0.5' } } }\n";
    let snapshot = sound(&(opening("GET /v1/a", "") + plan));
    let plan = snapshot.plan("standard").unwrap();
    assert!(plan.includes("up/pass_through") && !plan.includes("chat"));
    assert_eq!(plan.limits_for("up/pass_through").rpm, Some(3));
    assert_ne!(plan.prices.version, snapshot.prices.version);
    refused(
        &(opening("", "") + "plans: { standard: { models: [up/pass_through] } }\n")
            .replace(", pass_through_price: { request: '0.01' }", ""),
        &["a.yaml:8:31: plans.standard.models[0]: there is no model `up/pass_through`"],
    );
    let taken = opening("GET /v1/a", "").replace("  chat:\n", "  chat:\n    aliases: [up/pass_through]\n");
    refused(
        &taken,
        &[
            "a.yaml:2:101: providers.up.pass_through: is sold as `up/pass_through`, which is the name of a model",
        ],
    );
}

#[test]
fn a_kind_whose_paths_follow_from_the_model_opens_nothing() {
    let entry = "pass_through: [GET /v1/a], pass_through_price: { request: '0' }";
    for (provider, column) in [
        (format!("kind: bedrock, region: us-east-1, credentials: [x], {entry}"), 55),
        (
            format!("kind: azure, base_url: 'https://a', api_version: 2024-10-21, credentials: [x], {entry}"),
            0,
        ),
        (
            format!(
                "kind: vertex, project: p-12345, location: global, credentials: ['file:sa.json'], {entry}"
            ),
            0,
        ),
    ] {
        let text = SOUND.replace("kind: simulated", &provider);
        let problems = check_text(&text).expect_err("must be refused");
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(problems.len(), 1, "{lines:?} {column}");
        assert!(
            lines[0].contains("providers.sim.pass_through: nothing can be passed through to this"),
            "{lines:?}"
        );
    }
    let azure = format!("kind: azure, base_url: 'https://a', credentials: [x], {entry}");
    let snapshot = sound(&SOUND.replace("kind: simulated", &azure));
    let passage = snapshot.passage("GET", "/v1/a").unwrap();
    let path = passage.provider.account.path("/a".into(), "pass_through", false);
    assert_eq!(path.as_deref(), Some("/openai/v1/a"));
}

#[test]
fn a_reload_tells_what_was_opened_and_closed() {
    let of = |entries: &str| sound(&opening(entries, ""));
    let lines = |old: &Snapshot, new: Snapshot| diff::apply(old, new).1.changes;
    let (one, two) = (of("GET /v1/a"), of("GET /v1/a, GET /v1/b"));
    assert_eq!(lines(&one, of("GET /v1/a, GET /v1/b")), ["pass-through to `up`: pass_through changed"]);
    let closed = sound(&opening("", ""));
    let told = lines(&two, closed);
    assert_eq!(told[0], "pass-through to `up`: removed");
    let dearer = sound(&opening("GET /v1/a", "").replace("0.01", "0.02"));
    assert_eq!(lines(&one, dearer)[0], "pass-through to `up`: pass_through_price changed");
}
