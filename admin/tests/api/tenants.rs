//! Organizations and teams.

use crate::support::{ACME, ACME_TEAM, Api, GLOBEX_TEAM, OPERATOR, OWNER};
use axum::http::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn an_organization_is_made_with_its_default_team() {
    let api = Api::new();
    let body = r#"{"name":"Initech","slug":"initech","time_zone":"Europe/Berlin","rpm_limit":600}"#;
    let made = api.post("/orgs").with(OPERATOR).body(body).send().await;
    assert_eq!(made.status, 201, "{}", made.text);
    let json = made.json();
    let expected = format!(
        concat!(
            r#"{{"id":{},"slug":"initech","name":"Initech","plan":"standard","billing_mode":"postpaid","#,
            r#""time_zone":"Europe/Berlin","status":"active","created_at":"2026-11-23T16:30:00.000Z","#,
            r#""rpm_limit":600,"tpm_limit":null,"rpd_limit":null,"max_concurrency":null,"#,
            r#""credit_limit_rmb":null,"monthly_budget_rmb":null,"tax_rate_pct":"0","next_plan":null,"next_plan_at":null}}"#,
        ),
        json["id"]
    );
    assert_eq!(made.text, expected);

    for name in ["initech", json["id"].as_str().unwrap()] {
        assert_eq!(api.get(&format!("/orgs/{name}")).with(OPERATOR).send().await.text, made.text);
    }
    let key = api.post("/gateway/keys").with(OPERATOR).org("initech").body(r#"{"name":"ci"}"#).send().await;
    assert_eq!(key.status, 201, "{}", key.text);
    let teams = api.get("/orgs/initech/teams").with(OPERATOR).send().await.json();
    assert_eq!(teams["items"][0]["name"], "default");
    assert_eq!(teams["items"][0]["id"], key.json()["team_id"]);

    let again = api.post("/orgs").with(OPERATOR).body(body).send().await;
    assert_eq!(again.refusal(), (409, "conflict".to_owned()));
    let list = api.get("/orgs?page_size=2").with(OPERATOR).send().await;
    assert_eq!(list.headers["x-next-page"], "2");
}

#[tokio::test]
async fn a_plan_can_be_set_for_later() {
    let api = Api::new();
    let set =
        async |body: &str| api.call(Method::PUT, "/orgs/acme/plan").with(OPERATOR).body(body).send().await;
    let later = set(r#"{"code":"standard","effective_at":"2027-01-01T00:00:00+08:00"}"#).await.json();
    assert_eq!(
        (&later["next_plan"], &later["next_plan_at"]),
        (&json!("standard"), &json!("2026-12-31T16:00:00.000Z"))
    );
    let past = set(r#"{"code":"standard","effective_at":"2026-11-23T16:30:00Z"}"#).await;
    assert_eq!(past.problems(), ["body.effective_at datetime_future"]);
    assert_eq!(set(r#"{"code":"standard"}"#).await.json()["next_plan"], json!(null));
}

#[tokio::test]
async fn what_may_be_spent_is_set_and_taken_back() {
    let api = Api::new();
    let body = r#"{"name":"I","slug":"initech","billing_mode":"prepaid","credit_limit_rmb":"7.5"}"#;
    let made = api.post("/orgs").with(OPERATOR).body(body).send().await.json();
    let terms = |org: &Value| {
        ["billing_mode", "credit_limit_rmb", "monthly_budget_rmb"].map(|name| org[name].clone())
    };
    assert_eq!(terms(&made), [json!("prepaid"), json!("7.50"), json!(null)]);
    let body = r#"{"credit_limit_rmb":null,"monthly_budget_rmb":"999999999999.999999999999"}"#;
    let changed = api.call(Method::PUT, "/orgs/initech").with(OPERATOR).body(body).send().await.json();
    assert_eq!(terms(&changed), [json!("prepaid"), json!(null), json!("999999999999.999999999999")]);
    let team =
        api.post("/orgs/initech/teams").with(OPERATOR).body(r#"{"name":"t","monthly_budget_rmb":"0"}"#);
    let team = team.send().await.json();
    assert_eq!(team["monthly_budget_rmb"], "0.00");
    let account = api.get("/billing/account").with(OPERATOR).org("initech").send().await.json();
    assert_eq!(
        (&account["mode"], &account["monthly_budget_rmb"]),
        (&terms(&changed)[0], &terms(&changed)[2])
    );
    for wrong in ["1000000000000", "-0.01", "1e3", "0.0000000000001", ""] {
        let body = json!({ "credit_limit_rmb": wrong }).to_string();
        let refused = api.call(Method::PUT, "/orgs/initech").with(OPERATOR).body(&body).send().await;
        assert_eq!(refused.problems().len(), 1, "{wrong}");
    }
}

#[tokio::test]
async fn what_an_organization_cannot_be_is_refused_by_field() {
    let api = Api::new();
    let body = r#"{"slug":"Not A Slug","plan":"no-plan","time_zone":"Mars/Base","rpm_limit":0,"colour":"red",
        "credit_limit_rmb":1,"monthly_budget_rmb":"-1","billing_mode":"barter","tax_rate_pct":"101"}"#;
    let refused = api.post("/orgs").with(OPERATOR).body(body).send().await;
    let mut problems = refused.problems();
    problems.sort();
    assert_eq!(
        problems,
        [
            "body.billing_mode enum",
            "body.colour extra_forbidden",
            "body.credit_limit_rmb decimal_type",
            "body.monthly_budget_rmb greater_than_equal",
            "body.name missing",
            "body.plan value_error",
            "body.rpm_limit greater_than_equal",
            "body.slug value_error",
            "body.tax_rate_pct decimal_parsing",
            "body.time_zone value_error",
        ]
    );
    for slug in ["", "-a", "a-", "0190a0b0-0000-7000-8000-000000000000", "ä"] {
        let body = json!({ "name": "n", "slug": slug }).to_string();
        assert_eq!(api.post("/orgs").with(OPERATOR).body(&body).send().await.status, 422, "{slug}");
    }
}

#[tokio::test]
async fn an_organization_changes_and_its_keys_are_read_again() {
    let api = Api::new();
    let body = r#"{"name":"ACME Inc","tpm_limit":5000}"#;
    let changed = api.put("/orgs/acme").with(OPERATOR).body(body).send().await.json();
    assert_eq!((&changed["name"], &changed["tpm_limit"]), (&json!("ACME Inc"), &json!(5000)));
    assert_eq!(api.world.state().tenants_announced, [ACME]);
    let changed = api.put("/orgs/acme").with(OPERATOR).body(r#"{"tpm_limit":null}"#).send().await.json();
    assert_eq!((&changed["name"], &changed["tpm_limit"]), (&json!("ACME Inc"), &Value::Null));

    let plan = api.put("/orgs/acme/plan").with(OPERATOR).body(r#"{"code":"standard"}"#).send().await;
    assert_eq!((plan.status.as_u16(), &plan.json()["plan"]), (200, &json!("standard")));
    let unknown = api.put("/orgs/acme/plan").with(OPERATOR).body(r#"{"code":"x"}"#).send().await;
    assert_eq!(unknown.problems(), ["body.code value_error"]);
    let slug = api.put("/orgs/acme").with(OPERATOR).body(r#"{"slug":"new"}"#).send().await;
    assert_eq!(slug.problems(), ["body.slug extra_forbidden"]);
}

#[tokio::test]
async fn a_team_is_made_changed_and_deleted() {
    let api = Api::new();
    let made =
        api.post("/orgs/acme/teams").with(OPERATOR).body(r#"{"name":"search","rpm_limit":5}"#).send().await;
    assert_eq!(made.status, 201, "{}", made.text);
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let path = format!("/orgs/acme/teams/{id}");
    assert_eq!(api.get(&path).with(OPERATOR).send().await.text, made.text);
    let body = format!(r#"{{"name":"ci","team_id":"{id}"}}"#);
    let key = api.post("/gateway/keys").with(OWNER).body(&body).send().await.json();
    let changed =
        api.put(&path).with(OPERATOR).body(r#"{"rpm_limit":null,"name":"find"}"#).send().await.json();
    assert_eq!((&changed["name"], &changed["rpm_limit"]), (&json!("find"), &Value::Null));

    let delete = async || api.call(Method::DELETE, &path).with(OPERATOR).send().await;
    assert_eq!(delete().await.refusal(), (409, "conflict".to_owned()), "it has a key");
    let key_path = format!("/gateway/keys/{}", key["id"].as_str().unwrap());
    api.call(Method::DELETE, &key_path).with(OWNER).send().await;
    assert_eq!(delete().await.status, 204);
    assert_eq!(delete().await.status, 404);
    let gone = api.post("/gateway/keys").with(OWNER).body(&body).send().await;
    assert_eq!(gone.problems(), ["body.team_id value_error"]);
}

#[tokio::test]
async fn the_default_team_stays_and_another_organizations_team_is_none() {
    let api = Api::new();
    let path = format!("/orgs/acme/teams/{ACME_TEAM}");
    assert_eq!(api.call(Method::DELETE, &path).with(OPERATOR).send().await.status, 409);
    assert_eq!(api.put(&path).with(OPERATOR).body(r#"{"name":"other"}"#).send().await.status, 409);
    assert_eq!(api.put(&path).with(OPERATOR).body(r#"{"rpm_limit":5}"#).send().await.status, 200);
    let foreign = format!("/orgs/acme/teams/{GLOBEX_TEAM}");
    let unknown = "/orgs/acme/teams/00000000-0000-7000-8000-000000000000";
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let of_another = api.call(method.clone(), &foreign).with(OPERATOR).body("{}").send().await;
        let of_nobody = api.call(method, unknown).with(OPERATOR).body("{}").send().await;
        assert_eq!((of_another.status.as_u16(), &of_another.text), (404, &of_nobody.text));
    }
}

#[tokio::test]
async fn tokens_are_listed_without_their_secrets() {
    let api = Api::new();
    let made =
        api.post("/orgs/acme/tokens").with(OPERATOR).body(r#"{"name":"t","role":"viewer"}"#).send().await;
    let secret = made.json()["token"].as_str().unwrap().to_owned();
    let list = api.get("/orgs/acme/tokens").with(OPERATOR).send().await;
    assert!(!list.text.contains(&secret));
    let list = list.json();
    let last = list["items"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["name"], last.get("token")), (&json!("t"), None));
}
