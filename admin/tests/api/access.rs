//! Who may do what: credentials, organizations, roles, listeners.

use crate::support::{ACME, ADMIN, Api, FINANCE, GLOBEX, NOW, OPERATOR, OTHER_OWNER, OWNER, VIEWER};
use aione_core::ports::StoreError;
use axum::http::Method;

#[tokio::test]
async fn a_stranger_is_refused_before_anything_else_is_looked_at() {
    let api = Api::new();
    let strangers = [
        None,
        Some(""),
        Some("Bearer"),
        Some("Bearer "),
        Some("Basic mt-acme-owner"),
        Some("mt-acme-owner"),
        Some("Bearer mt-nobody"),
        Some("Bearer sk-nobody"),
        Some("Bearer op-0123456789abcdef0123456789abcdeX"),
    ];
    for credential in strangers {
        let call = api.put("/gateway/keys/not-an-id").body("not json");
        let call = match credential {
            Some(value) => call.header("authorization", value),
            None => call,
        };
        let answer = call.send().await;
        assert_eq!(answer.refusal(), (401, "unauthorized".to_owned()), "{credential:?}");
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
    }
    let long = format!("mt-{}", "x".repeat(1 << 20));
    assert_eq!(api.get("/gateway/keys").with(&long).send().await.status, 401);
    let twice = api.get("/gateway/keys").with(OWNER).with(OWNER).send().await;
    assert_eq!(twice.status, 401);
    let lower = api.get("/gateway/keys").header("authorization", "bearer mt-acme-owner").send().await;
    assert_eq!(lower.status, 200);
}

#[tokio::test]
async fn a_token_with_a_wrong_checksum_is_refused_without_asking_the_store() {
    let api = Api::new();
    api.world.state().fault = Some(StoreError::Unavailable("it must not be asked".to_owned()));
    let asked = async |credential: &str| api.get("/gateway/keys").with(credential).send().await.refusal().0;
    assert_eq!(asked("mt-acme-wrong-sum").await, 401);
    assert_eq!(asked(OWNER).await, 503);
}

#[tokio::test]
async fn an_operator_names_the_organization() {
    let api = Api::new();
    let list = |org: Option<String>| {
        let call = api.get("/gateway/keys").with(OPERATOR);
        match org {
            Some(org) => call.org(&org),
            None => call,
        }
    };
    let unnamed = list(None).send().await;
    assert_eq!(unnamed.problems(), ["header.x-aione-org missing"]);
    for known in ["acme".to_owned(), GLOBEX.to_string()] {
        assert_eq!(list(Some(known)).send().await.status, 200);
    }
    let unknown = list(Some("nobody".to_owned())).send().await;
    assert_eq!(unknown.text, r#"{"detail":"Organization not found","code":"not_found"}"#);
    assert_eq!(unknown.status, 404);
    let made = api.post("/gateway/keys").with(OPERATOR).org("globex").body(r#"{"name":"a"}"#).send().await;
    assert_eq!(made.json()["org_id"], GLOBEX.to_string());
}

#[tokio::test]
async fn a_token_can_name_only_its_own_organization() {
    let api = Api::new();
    let named = async |org: &str| api.get("/gateway/keys").with(OWNER).org(org).send().await;
    assert_eq!(named("acme").await.status, 200);
    assert_eq!(named(&ACME.to_string()).await.status, 200);
    let (other, never) = (named("globex").await, named("never").await);
    assert_eq!(other.status, 404);
    assert_eq!(other.text, never.text);
    // The organization is looked at before the role: a viewer learns nothing from the status.
    let write = api.post("/gateway/keys").with(VIEWER).org("globex").body("{}").send().await;
    assert_eq!(write.status, 404);
}

#[tokio::test]
async fn an_expired_token_is_unknown() {
    let api = Api::new();
    api.world.state().tokens[0].0.expires_at = Some(NOW.plus_ms(1));
    assert_eq!(api.get("/gateway/keys").with(OWNER).send().await.status, 200);
    api.world.state().now = NOW.plus_ms(1);
    assert_eq!(api.get("/gateway/keys").with(OWNER).send().await.refusal().0, 401);
}

#[tokio::test]
async fn roles_decide_who_may_write() {
    let api = Api::new();
    let (key, _) = api.key(r#"{"name":"ci"}"#).await;
    let path = format!("/gateway/keys/{key}");
    for (credential, may_write) in [(OWNER, true), (ADMIN, true), (VIEWER, false), (FINANCE, false)] {
        let explain = format!("/explain?model=mini&key_id={key}");
        for read in
            ["/gateway/keys", &path, "/obs/usage", "/gateway/models", "/billing/plan", explain.as_str()]
        {
            assert_eq!(api.get(read).with(credential).send().await.status, 200, "{credential} {read}");
        }
        for (method, path, body, done) in [
            (Method::POST, "/gateway/keys".to_owned(), r#"{"name":"x"}"#, 201),
            (Method::PUT, path.clone(), "{}", 200),
            (Method::PUT, format!("{path}/rotate"), "", 200),
            (Method::PUT, format!("{path}/disable"), "", 200),
            (Method::PUT, format!("{path}/enable"), "", 200),
            (Method::DELETE, format!("/gateway/keys/{}", uuid::Uuid::nil()), "", 404),
        ] {
            let answer = api.call(method.clone(), &path).with(credential).body(body).send().await;
            if may_write {
                assert_eq!(answer.status, done, "{credential} {method} {path}");
            } else {
                assert_eq!(answer.refusal(), (403, "role_not_allowed".to_owned()), "{method} {path}");
            }
        }
        for (method, path) in [
            (Method::GET, "/config"),
            (Method::POST, "/config/reload"),
            (Method::POST, "/config/check"),
            (Method::GET, "/obs/margins"),
            (Method::GET, "/upstreams"),
            (Method::PUT, "/upstreams/openai%2Fgpt-4o-mini/drain"),
            (Method::PUT, "/upstreams/openai%2Fgpt-4o-mini/undrain"),
            (Method::POST, "/orgs/acme/tokens"),
            (Method::DELETE, "/orgs/acme/tokens/00000000-0000-0000-0000-00000000000f"),
        ] {
            let answer = api.call(method, path).with(credential).send().await;
            assert_eq!(answer.refusal(), (403, "operator_required".to_owned()), "{credential} {path}");
        }
        let own = api.get("/gateway/key").with(credential).send().await;
        assert_eq!(own.refusal(), (403, "inference_key_required".to_owned()));
    }
}

#[tokio::test]
async fn an_inference_key_manages_nothing() {
    let api = Api::new();
    let (id, secret) = api.key(r#"{"name":"ci"}"#).await;
    let path = format!("/gateway/keys/{id}");
    for (method, path) in [
        (Method::GET, "/gateway/keys".to_owned()),
        (Method::POST, "/gateway/keys".to_owned()),
        (Method::GET, path.clone()),
        (Method::PUT, path.clone()),
        (Method::DELETE, path.clone()),
        (Method::PUT, format!("{path}/rotate")),
        (Method::PUT, format!("{path}/disable")),
        (Method::PUT, format!("{path}/enable")),
        (Method::GET, "/obs/usage".to_owned()),
        (Method::GET, "/obs/margins".to_owned()),
        (Method::GET, "/gateway/models".to_owned()),
        (Method::GET, "/billing/plan".to_owned()),
        (Method::GET, format!("/explain?model=mini&key_id={id}")),
        (Method::GET, "/upstreams".to_owned()),
        (Method::PUT, "/upstreams/openai%2Fgpt-4o-mini/drain".to_owned()),
        (Method::GET, "/config".to_owned()),
        (Method::POST, "/config/check".to_owned()),
        (Method::POST, "/config/reload".to_owned()),
        (Method::POST, "/orgs/acme/tokens".to_owned()),
    ] {
        let answer = api.call(method.clone(), &path).with(&secret).org("acme").send().await;
        assert_eq!(answer.refusal(), (403, "inference_key_not_allowed".to_owned()), "{method} {path}");
    }
}

#[tokio::test]
async fn an_operator_token_is_unknown_on_the_public_listener() {
    let api = Api::new();
    for (method, path) in [
        (Method::GET, "/gateway/keys"),
        (Method::POST, "/gateway/keys"),
        (Method::GET, "/config"),
        (Method::GET, "/obs/margins"),
        (Method::GET, "/upstreams"),
    ] {
        let answer = api.call(method, path).public().with(OPERATOR).org("acme").send().await;
        assert_eq!(answer.refusal(), (401, "unauthorized".to_owned()), "{path}");
    }
    let token = api.get("/gateway/keys").public().with(OTHER_OWNER).send().await;
    assert_eq!(token.status, 200);
}

#[tokio::test]
async fn a_key_that_is_bound_to_addresses_is_bound_here_too() {
    let api = Api::new();
    let (_, secret) = api.key(r#"{"name":"ci","allowed_ips":["10.0.0.0/8"]}"#).await;
    let own = || api.get("/gateway/key").with(&secret);
    assert_eq!(own().from("10.1.2.3").send().await.status, 200);
    assert_eq!(own().from("11.1.2.3").send().await.refusal(), (403, "ip_not_allowed".to_owned()));
    assert_eq!(own().send().await.refusal(), (403, "ip_not_allowed".to_owned()));
}

#[tokio::test]
async fn an_expired_key_is_unknown_everywhere() {
    let api = Api::new();
    let (id, secret) = api.key(r#"{"name":"ci","expires_at":"2026-11-23T16:30:01Z"}"#).await;
    api.world.state().now = NOW.plus_ms(1000);
    assert_eq!(api.get("/gateway/key").with(&secret).send().await.status, 401);
    assert_eq!(api.get("/gateway/keys").with(&secret).send().await.status, 401);
    let shown = api.get(&format!("/gateway/keys/{id}")).with(OWNER).send().await;
    assert_eq!(shown.json()["status"], "expired");
}

#[tokio::test]
async fn what_is_not_there_is_refused_in_the_apis_shape() {
    let api = Api::new();
    for path in ["/", "/gateway", "/gateway/keys/", "/gateway/keys/x/y", "/gateway/keys/%ff", "/nothing"] {
        let answer = api.get(path).with(OWNER).send().await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.text, r#"{"detail":"Not Found","code":"not_found"}"#, "{path}");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    }
    let wrong = api.call(Method::PATCH, "/gateway/keys").with(OWNER).send().await;
    assert_eq!(wrong.status, 405);
    assert_eq!(wrong.text, r#"{"detail":"Method Not Allowed","code":"method_not_allowed"}"#);
    assert_eq!(wrong.headers["allow"], "GET,HEAD,POST");
}

#[tokio::test]
async fn an_address_that_calls_too_fast_is_told_to_wait() {
    let api = Api::new();
    let call = async |address: &str| api.get("/gateway/keys").from(address).with("mt-guess").send().await;
    for _ in 0..1_000 {
        assert_eq!(call("192.0.2.1").await.status, 401);
    }
    let refused = call("192.0.2.1").await;
    assert_eq!(refused.refusal(), (429, "too_many_requests".to_owned()));
    assert_eq!(refused.headers["retry-after"], "1");
    assert_eq!(call("192.0.2.2").await.status, 401);
    api.world.state().now = NOW.plus_ms(10);
    assert_eq!(call("192.0.2.1").await.status, 401);
}
