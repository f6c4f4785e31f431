//! `/api/v1` on the public listener, where the operator opens it: the same answers, and no operator.

use crate::support::{
    client::{self, Answer, BOTH, Call, Version},
    gateway::{Gateway, TestGateway},
    settings::OPERATOR,
    upstream::Upstream,
};
use serde_json::json;

struct Stage {
    gateway: Gateway,
    _upstream: Upstream,
    key: String,
}

impl Stage {
    async fn new(public: bool) -> Self {
        let upstream = Upstream::start().await;
        let gateway = TestGateway::new().upstream("up", &upstream).model("m", &["up"]);
        let gateway = gateway.set("/admin/public", public).start().await;
        let key = gateway.key().await;
        Self { gateway, _upstream: upstream, key }
    }

    /// A new management token of the organization `default`.
    fn token(&self, role: &str) -> String {
        let create = ["tokens", "create", "--name", "of a test", "--role", role, "-c", "aione.yaml"];
        let output = self.gateway.command(&create).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let token = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        assert!(token.starts_with("mt-"), "{token}");
        token
    }

    /// The same call to both listeners, with the same answer but for its id and date.
    async fn same(&self, version: Version, call: &Call) -> Answer {
        let settings = &self.gateway.settings;
        let on_admin = client::send(Version::H1, settings.admin, call).await;
        let on_public = client::send(version, settings.public, call).await;
        let what = format!("{version:?} {} {}", call.method, call.path);
        assert_eq!((on_admin.status, on_admin.text()), (on_public.status, on_public.text()), "{what}");
        for name in [
            "content-type",
            "cache-control",
            "x-content-type-options",
            "x-frame-options",
            "referrer-policy",
            "content-security-policy",
            "www-authenticate",
        ] {
            assert_eq!(on_admin.header(name), on_public.header(name), "{what}: {name}");
        }
        on_public.request_id();
        on_public
    }
}

#[tokio::test]
async fn a_management_token_gets_the_same_bytes_on_both_listeners() {
    let stage = Stage::new(true).await;
    let token = stage.token("admin");
    stage.gateway.send(&Call::chat(&stage.key, "m")).await.ok();
    stage.gateway.quiet().await;
    let unknown = "00000000-0000-7000-8000-000000000000";
    for version in BOTH {
        for (path, status) in [
            ("/api/v1/gateway/keys", 200),
            ("/api/v1/gateway/keys?page_size=1", 200),
            ("/api/v1/obs/usage?group_by=model", 200),
            ("/api/v1/obs/usage?group_by=nonsense", 422),
            (&format!("/api/v1/gateway/keys/{unknown}"), 404),
            ("/api/v1/gateway/keys/no-id", 422),
            ("/api/v1/nothing", 404),
            ("/api/v1/config", 403),
        ] {
            let answer = stage.same(version, &Call::get(path).bearer(&token)).await;
            assert_eq!(answer.status, status, "{path}: {}", answer.text());
        }
        let wrong = Call::post("/api/v1/gateway/keys", r#"{"name":5,"unknown":1}"#).bearer(&token);
        assert_eq!(stage.same(version, &wrong).await.status, 422);
        let own = Call::get("/api/v1/gateway/key").bearer(&stage.key);
        assert_eq!(stage.same(version, &own).await.status, 200);
        assert_eq!(stage.same(version, &Call::get("/api/v1/gateway/keys")).await.status, 401);
    }
}

#[tokio::test]
async fn a_management_token_makes_a_key_through_the_public_listener() {
    let stage = Stage::new(true).await;
    let token = stage.token("admin");
    let viewer = stage.token("viewer");
    for version in BOTH {
        let create =
            |token: &str| Call::post("/api/v1/gateway/keys", r#"{"name":"made outside"}"#).bearer(token);
        let refused = stage.gateway.send_over(version, &create(&viewer)).await;
        assert_eq!(refused.status, 403, "{}", refused.text());
        let made = stage.gateway.send_over(version, &create(&token)).await;
        assert_eq!(made.status, 201, "{}", made.text());
        let secret = made.json()["key"].as_str().unwrap().to_owned();
        stage.gateway.send_over(version, &Call::chat(&secret, "m")).await.ok();
    }
}

#[tokio::test]
async fn an_operators_token_is_nobodys_on_the_public_listener() {
    let stage = Stage::new(true).await;
    for version in BOTH {
        for path in ["/api/v1/gateway/keys", "/api/v1/config", "/api/v1/obs/usage?group_by=model"] {
            let bare = Call::get(path);
            let stranger = stage.gateway.send_over(version, &bare.clone().bearer("op-nobody")).await;
            for org in [None, Some("default")] {
                let call = bare.clone().bearer(OPERATOR);
                let call = org.map_or(call.clone(), |org| call.header("x-aione-org", org));
                let answer = stage.gateway.send_over(version, &call).await;
                assert_eq!((answer.status, answer.text()), (401, stranger.text()), "{version:?} {path}");
            }
        }
        let reload = Call::new("POST", "/api/v1/config/reload").bearer(OPERATOR);
        assert_eq!(stage.gateway.send_over(version, &reload).await.status, 401);
    }
    stage.gateway.admin(Call::get("/api/v1/config")).await.ok();
}

#[tokio::test]
async fn a_listener_that_is_not_opened_knows_no_management_api() {
    let stage = Stage::new(false).await;
    let token = stage.token("owner");
    for version in BOTH {
        for credential in [token.as_str(), OPERATOR, &stage.key] {
            let call = Call::get("/api/v1/gateway/keys").bearer(credential);
            let answer = stage.gateway.send_over(version, &call).await;
            assert_eq!(answer.status, 404, "{version:?}: {}", answer.text());
        }
    }
    let call = Call::get("/api/v1/gateway/keys").bearer(&token);
    let answer = client::send(Version::H1, stage.gateway.settings.admin, &call).await.ok();
    assert!(answer.json() != json!(null));
}

#[tokio::test]
async fn a_file_has_a_length_for_http_1_0_and_none_for_head() {
    let stage = Stage::new(true).await;
    let token = stage.token("owner");
    let settings = &stage.gateway.settings;
    for listener in [settings.admin, settings.public] {
        let raw = async |line: &str| {
            let mut connection = client::h1::Connection::open(listener).await;
            let head = format!("{line}\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n");
            connection.start_raw(head.into_bytes());
            let answer = connection.answer().await;
            assert_eq!(answer.status, 200);
            answer.headers.get("content-length").map(str::to_owned)
        };
        let path = "/api/v1/obs/requests?format=csv";
        let length = raw(&format!("GET {path} HTTP/1.0")).await;
        assert!(length.is_some_and(|length| length.parse::<u64>().unwrap() > 100), "{listener}");
        assert_eq!(raw(&format!("HEAD {path} HTTP/1.1")).await, None, "{listener}");
    }
}
