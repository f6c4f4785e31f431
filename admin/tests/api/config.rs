//! The configuration as an operator sees it.

use crate::support::{Api, OPERATOR, SECRET_PATH, UPSTREAM_SECRET};
use aione_core::ports::{DryRun, Reloaded};

#[tokio::test]
async fn the_running_configuration_is_shown_without_its_secrets() {
    let api = Api::new();
    let answer = api.get("/config").with(OPERATOR).send().await;
    assert_eq!(answer.status, 200);
    for secret in [UPSTREAM_SECRET, SECRET_PATH, "the pepper", OPERATOR, "070707"] {
        assert!(!answer.text.contains(secret), "{}", answer.text);
    }
    let shown = answer.json();
    assert_eq!(shown["version"], "fedcba9876543210");
    assert_eq!(shown["providers"][0]["origin"], "https://api.example.com:443");
    assert_eq!(shown["providers"][0]["credentials"], 1);
    let models = shown["models"].as_array().unwrap();
    assert_eq!(models.len(), 2);
    assert_eq!(models[0]["aliases"][0], "mini");
    assert_eq!(shown["plans"][0]["rpm_limits"]["*"], 600);
}

#[tokio::test]
async fn a_reload_says_what_it_did_or_everything_that_is_wrong() {
    let api = Api::new();
    api.world.state().reload = Ok(Reloaded {
        version: 255,
        changes: vec!["models.x: added".to_owned()],
        needs_restart: vec!["server.listen".to_owned()],
    });
    let done = api.post("/config/reload").with(OPERATOR).send().await;
    let expected =
        r#"{"version":"00000000000000ff","changes":["models.x: added"],"needs_restart":["server.listen"]}"#;
    assert_eq!((done.status.as_u16(), done.text.as_str()), (200, expected));

    api.world.state().reload =
        Err(vec!["a.yaml:3: unknown field".to_owned(), "a.yaml:9: no model".to_owned()]);
    let refused = api.post("/config/reload").with(OPERATOR).send().await;
    assert_eq!(refused.refusal(), (409, "config_refused".to_owned()));
    assert_eq!(refused.json()["problems"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_dry_run_says_what_a_reload_would_do_and_does_nothing() {
    let api = Api::new();
    api.world.state().check = Ok(DryRun {
        would: Reloaded {
            version: 255,
            changes: vec!["models.x: added".to_owned()],
            needs_restart: vec!["server.listen".to_owned()],
        },
        warnings: vec!["a.yaml:2: has no effect".to_owned()],
    });
    let check = async || api.post("/config/check").with(OPERATOR).send().await;
    let sound = check().await;
    let expected = concat!(
        r#"{"sound":true,"version":"00000000000000ff","problems":[],"warnings":["a.yaml:2: has no effect"],"#,
        r#""changes":["models.x: added"],"needs_restart":["server.listen"]}"#,
    );
    assert_eq!((sound.status.as_u16(), sound.text.as_str()), (200, expected));

    api.world.state().check = Err(vec!["a.yaml:3: unknown field".to_owned()]);
    let unsound = check().await;
    let expected = concat!(
        r#"{"sound":false,"version":null,"problems":["a.yaml:3: unknown field"],"warnings":[],"#,
        r#""changes":[],"needs_restart":[]}"#,
    );
    assert_eq!((unsound.status.as_u16(), unsound.text.as_str()), (200, expected));
}

#[tokio::test]
async fn the_problems_of_the_last_reload_are_shown_beside_what_runs() {
    let api = Api::new();
    let problems = async || api.get("/config").with(OPERATOR).send().await.json()["last_problems"].clone();
    assert_eq!(problems().await, serde_json::json!([]));
    api.world.state().last_problems = vec!["a.yaml:3: unknown field".to_owned()];
    assert_eq!(problems().await, serde_json::json!(["a.yaml:3: unknown field"]));
}
