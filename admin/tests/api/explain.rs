//! Why a key and a model go where they go.

use crate::support::{Api, NOW, OPERATOR, OTHER_OWNER, OWNER, VIEWER};
use serde_json::{Value, json};

struct Asker {
    api: Api,
    key: String,
}

impl Asker {
    async fn with(fields: Value) -> Self {
        let api = Api::new();
        let mut body = json!({ "name": "ci" });
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let (key, _) = api.key(&body.to_string()).await;
        Self { api, key }
    }

    async fn ask(&self, credential: &str, model: &str) -> Value {
        let path = format!("/explain?model={model}&key_id={}", self.key);
        let answer = self.api.get(&path).with(credential).org("acme").send().await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    /// The check that refuses, and its words.
    async fn refused(&self, model: &str) -> (String, String) {
        let answer = self.ask(OPERATOR, model).await;
        assert_eq!(answer["verdict"], "refused", "{answer}");
        let check = answer["checks"].as_array().unwrap().iter().find(|check| check["passed"] == false);
        let check = check.unwrap();
        assert_eq!(check["reason"], answer["reason"]);
        let text = |name: &str| check[name].as_str().unwrap().to_owned();
        (text("check"), text("reason"))
    }
}

#[tokio::test]
async fn a_request_that_passes_is_followed_to_its_deployments() {
    let asker = Asker::with(json!({ "rpm_limit": 7 })).await;
    for credential in [OPERATOR, OWNER, VIEWER] {
        let answer = asker.ask(credential, "mini").await;
        assert_eq!((&answer["asked"], &answer["model"]), (&json!("mini"), &json!("gpt-4o-mini")));
        assert_eq!((&answer["plan"], &answer["verdict"]), (&json!("standard"), &json!("routed")));
        assert_eq!(answer["reason"], "It goes to openai/gpt-4o-mini or spare/gpt-4o-mini");
        assert_eq!(answer["checks"][1]["reason"], "'mini' is an alias of 'gpt-4o-mini'");
        assert_eq!(answer["limits"]["key"]["rpm_limit"], 7);
        assert!(answer["limits"]["team"]["tpm_limit"].is_null());
        assert!(answer["limits"]["organization"]["rpm_limit"].is_null());
        assert_eq!(answer["limits"]["plan"]["rpm_limit"], 600);
        assert_eq!((&answer["policy"], &answer["attempts"]), (&json!("weighted"), &json!(3)));
        let expected = json!({
            "id": "openai/gpt-4o-mini", "asked_in": ["openai_chat"], "priority": 0, "weight": 3, "health": "serving",
            "rests_for_ms": null, "drained": false, "would_be_tried": true,
            "reason": "It is drawn to be asked first 3 times in 4",
        });
        assert_eq!(answer["deployments"][0], expected);
    }
}

#[tokio::test]
async fn a_deployment_that_is_not_asked_says_why() {
    let asker = Asker::with(json!({})).await;
    asker.api.node.rest("openai/gpt-4o-mini", Some(1500));
    let answer = asker.ask(OWNER, "gpt-4o-mini").await;
    assert_eq!(answer["verdict"], "routed");
    let [first, second] = [&answer["deployments"][0], &answer["deployments"][1]];
    assert_eq!((&first["health"], &first["would_be_tried"]), (&json!("resting"), &json!(false)));
    assert_eq!(first["reason"], "It rests for 1500 ms more after failures");
    assert_eq!(second["reason"], "It is asked first");

    asker.api.node.change("spare/gpt-4o-mini", |upstream| upstream.condition.drained = true);
    assert_eq!(
        asker.refused("gpt-4o-mini").await,
        ("deployments".to_owned(), "0 of 2 can be asked now".to_owned())
    );
    let answer = asker.ask(OWNER, "gpt-4o-mini").await;
    assert_eq!(answer["deployments"][1]["reason"], "An operator took it out");
}

#[tokio::test]
async fn what_refuses_is_told_in_words() {
    let told = |check: &str, reason: &str| (check.to_owned(), reason.to_owned());
    let asker = Asker::with(json!({})).await;
    assert_eq!(
        asker.refused("nothing").await,
        told("model", "There is no model 'nothing', or the plan does not include it")
    );
    assert_eq!(
        asker.refused("not-in-the-plan").await,
        told("plan", "The plan 'standard' does not include it")
    );
    asker.api.world.state().keys[0].key.models_allowed = vec!["other".to_owned()];
    assert_eq!(asker.refused("mini").await, told("models_allowed", "The key names other models only"));
    asker.api.world.state().keys[0].key.models_allowed = Vec::new();
    asker.api.world.state().keys[0].key.expires_at = Some(NOW);
    assert_eq!(asker.refused("mini").await, told("key", "The key has expired"));

    let sandbox = Asker::with(json!({ "is_sandbox": true })).await;
    assert_eq!(sandbox.refused("mini").await.0, "sandbox");
}

#[tokio::test]
async fn to_an_organization_a_model_outside_its_plan_is_none() {
    let asker = Asker::with(json!({})).await;
    let outside = asker.ask(OWNER, "not-in-the-plan").await.to_string();
    let nothing = asker.ask(OWNER, "nothing").await.to_string();
    assert_eq!(outside.replace("not-in-the-plan", "nothing"), nothing);
    assert!(!outside.contains("openai"), "{outside}");
}

#[tokio::test]
async fn a_wrong_question_is_refused_and_another_organizations_key_is_none() {
    let asker = Asker::with(json!({})).await;
    let get = async |query: &str| asker.api.get(&format!("/explain{query}")).with(OWNER).send().await;
    assert_eq!(get("").await.problems(), ["query.model missing", "query.key_id missing"]);
    assert_eq!(
        get("?model=&key_id=x&deep=1").await.problems(),
        ["query.model string_too_short", "query.key_id uuid_parsing", "query.deep extra_forbidden"]
    );
    let key = &asker.key;
    let path = format!("/explain?model=mini&key_id={key}");
    let foreign = asker.api.get(&path).with(OTHER_OWNER).send().await;
    let never = get(&format!("?model=mini&key_id={}", uuid::Uuid::nil())).await;
    assert_eq!((foreign.status.as_u16(), never.status.as_u16()), (404, 404));
    assert_eq!(foreign.text, never.text);
    let unnamed = asker.api.get(&path).with(OPERATOR).send().await;
    assert_eq!(unnamed.problems(), ["header.x-aione-org missing"]);
}
