//! Another organization's ids find nothing, and tokens and teams stay in theirs.

use super::*;
use aione_core::{
    domain::credential::Role,
    ports::{KeyFilter, LimitChange, Page, QuarantineStore as _, TenantChange},
};

contract! {
    an_organization_cannot_reach_another_ones_key,
    a_key_cannot_stand_in_another_organizations_team,
    organizations_are_found_by_id_and_slug,
    teams_are_found_in_their_organization_alone,
    a_token_is_found_by_its_hash_and_deleted_by_its_organization,
    an_organization_and_its_team_are_made_together_and_change,
    a_plan_that_is_to_come_holds_from_its_time_on,
    a_deleted_team_leaves_its_name_and_takes_no_key,
}

async fn store(on: Engine) -> TestStore {
    let store = TestStore::open(on).await.with_org(1).await.with_org(2).await;
    store.insert_key(&key(1), &hash(1)).await.unwrap();
    store
}

async fn an_organization_cannot_reach_another_ones_key(on: Engine) {
    let store = store(on).await;
    let (stranger, id) = (org_id(2), key_id(1));
    assert_eq!(store.get_key(stranger, id).await.unwrap(), None);
    let change = KeyChange { name: Some("taken".to_owned()), ..KeyChange::default() };
    assert_eq!(store.update_key(stranger, id, &change).await.unwrap(), None);
    assert_eq!(store.set_disabled(stranger, id, true).await.unwrap(), None);
    assert_eq!(store.rotate_key(stranger, id, &hash(9), "p", NOW).await.unwrap(), None);
    assert!(!store.delete_key(stranger, id, NOW).await.unwrap());
    let page = Page { offset: 0, limit: 100 };
    assert_eq!(store.list_keys(stranger, &KeyFilter::default(), page, NOW).await.unwrap(), []);

    let found = store.find_by_hash(&hash(1)).await.unwrap().unwrap();
    assert_eq!((found.key, found.secret_dies_at), (key(1), None), "nothing has changed");
    assert_eq!(store.find_by_hash(&hash(9)).await.unwrap(), None);
}

async fn a_key_cannot_stand_in_another_organizations_team(on: Engine) {
    let store = store(on).await;
    let mut stray = key(2);
    stray.team = team_id(2);
    assert!(matches!(store.insert_key(&stray, &hash(2)).await, Err(StoreError::Conflict(_))));
    assert_eq!(store.find_by_hash(&hash(2)).await.unwrap(), None);
}

async fn organizations_are_found_by_id_and_slug(on: Engine) {
    let store = store(on).await;
    assert_eq!(store.find_org("org-1").await.unwrap(), Some(org(1)));
    assert_eq!(store.find_org(&org_id(2).to_string()).await.unwrap(), Some(org(2)));
    for nobody in ["", "ORG-1", "org-1 ", "org-3", "00000000-0000-0000-0000-000000000003"] {
        assert_eq!(store.find_org(nobody).await.unwrap(), None, "{nobody}");
    }
}

async fn teams_are_found_in_their_organization_alone(on: Engine) {
    let store = store(on).await;
    assert_eq!(store.get_team(org_id(1), team_id(1)).await.unwrap(), Some(team(1)));
    assert_eq!(store.get_team(org_id(2), team_id(1)).await.unwrap(), None);
    assert_eq!(store.find_team(org_id(2), "default").await.unwrap(), Some(team(2)));
    assert_eq!(store.find_team(org_id(2), "other").await.unwrap(), None);
}

async fn a_token_is_found_by_its_hash_and_deleted_by_its_organization(on: Engine) {
    let store = store(on).await;
    let token = ManagementToken {
        id: TokenId(Uuid::from_u128(5)),
        org: org_id(1),
        name: "ci".to_owned(),
        role: Role::Finance,
        expires_at: Some(NOW),
        created_at: NOW,
    };
    store.insert_token(&token, &hash(5)).await.unwrap();
    assert_eq!(store.find_token(&hash(5)).await.unwrap(), Some(token.clone()));
    assert_eq!(store.find_token(&hash(1)).await.unwrap(), None, "a key's secret is no token");
    assert_eq!(store.find_by_hash(&hash(5)).await.unwrap(), None, "a token is no key's secret");
    assert!(!store.delete_token(org_id(2), token.id).await.unwrap());
    assert!(store.delete_token(org_id(1), token.id).await.unwrap());
    assert_eq!(store.find_token(&hash(5)).await.unwrap(), None);
}

async fn an_organization_and_its_team_are_made_together_and_change(on: Engine) {
    let store = TestStore::open(on).await;
    let make = |team_number| {
        let team = Team { org: org_id(1), ..team(team_number) };
        Change::InsertOrg { org: Box::new(org(1)), team }
    };
    store.done(make(1)).await.unwrap().unwrap();
    let twice = store.done(make(2)).await;
    assert!(matches!(twice, Err(StoreError::Conflict(_))), "{twice:?}");
    assert!(store.get_team(org_id(1), team_id(2)).await.unwrap().is_none(), "neither of the two is made");

    let change = TenantChange {
        name: Some("New".to_owned()),
        plan: Some("gold".into()),
        plan_at: None,
        time_zone: Some(chrono_tz::Asia::Shanghai),
        limits: LimitChange { rpm: Some(Some(7)), tpm: Some(None), ..LimitChange::default() },
        tax_rate: None,
        billing_mode: Some(BillingMode::Postpaid),
        credit_limit: Some(None),
        monthly_budget: None,
    };
    let changed = store.done(Change::UpdateOrg { id: org_id(1), at: NOW, change }).await.unwrap().unwrap();
    let Some(Row::Organization(after)) = changed.after() else { panic!("{changed:?}") };
    assert_eq!((&*after.plan, after.limits.rpm, after.limits.tpm), ("gold", Some(7), None));
    let terms = Terms { monthly_budget: org(1).terms.monthly_budget, ..Terms::default() };
    assert_eq!(after.terms, terms);
    assert_eq!(store.find_org("org-1").await.unwrap().as_ref(), Some(&**after));
    assert_eq!(changed.before(), Some(&Row::Organization(Box::new(org(1)))));
    let nobody = Change::UpdateOrg { id: org_id(9), at: NOW, change: TenantChange::default() };
    assert_eq!(store.done(nobody).await.unwrap(), None);
}

async fn a_plan_that_is_to_come_holds_from_its_time_on(on: Engine) {
    let store = TestStore::open(on).await.with_org(1).await;
    store.insert_key(&key(1), &hash(1)).await.unwrap();
    let set = async |plan: &str, plan_at: Option<Timestamp>| {
        let change = TenantChange { plan: Some(plan.into()), plan_at, ..TenantChange::default() };
        store
            .done(Change::UpdateOrg { id: org_id(1), at: crate::clock::now(), change })
            .await
            .unwrap()
            .unwrap();
        store.find_org("org-1").await.unwrap().unwrap()
    };
    let hour = crate::clock::now().plus_ms(3_600_000);
    let org = set("gold", Some(hour)).await;
    let next = aione_core::ports::NextPlan { plan: "gold".into(), at: hour };
    assert_eq!((&*org.plan, org.next_plan.as_ref()), ("standard", Some(&next)));
    let key = store.find_by_hash(&hash(1)).await.unwrap().unwrap();
    // Exactly then, whatever is remembered of the key.
    assert_eq!([hour.plus_ms(-1), hour].map(|at| key.plan_at(at).to_string()), ["standard", "gold"]);
    let history = store.plan_history(org_id(1)).await.unwrap().assignments;
    assert_eq!(history.last(), Some(&(hour, "gold".into())));
    // One whose time has come is the plan, also when another is to follow it.
    store.sql("UPDATE organizations SET next_plan_at = 5").await;
    assert_eq!(&*store.find_org("org-1").await.unwrap().unwrap().plan, "gold");
    let org = set("silver", Some(hour)).await;
    assert_eq!((&*org.plan, &*org.next_plan.unwrap().plan), ("gold", "silver"));
    let org = set("standard", None).await;
    assert_eq!((&*org.plan, org.next_plan), ("standard", None));
    let history = store.plan_history(org_id(1)).await.unwrap().assignments;
    assert!(history.iter().all(|(from, _)| *from < hour), "what was to come is called off: {history:?}");
}

async fn a_deleted_team_leaves_its_name_and_takes_no_key(on: Engine) {
    let store = TestStore::open(on).await.with_org(1).await;
    let team = |number| Team { org: org_id(1), name: "search".to_owned(), ..team(number) };
    let delete = |number| Change::DeleteTeam { org: org_id(1), id: team_id(number), at: NOW };
    let key_in =
        |number| Change::InsertKey { key: Box::new(Key { team: team_id(number), ..key(1) }), hash: hash(1) };
    store.done(Change::InsertTeam(team(2))).await.unwrap().unwrap();
    assert!(matches!(store.done(Change::InsertTeam(team(3))).await, Err(StoreError::Conflict(_))));
    store.done(key_in(2)).await.unwrap().unwrap();
    assert!(matches!(store.done(delete(2)).await, Err(StoreError::Conflict(_))), "it has a key");
    store.done(Change::DeleteKey { org: org_id(1), id: key_id(1), at: NOW }).await.unwrap().unwrap();
    store.done(delete(2)).await.unwrap().unwrap();
    assert_eq!(store.done(delete(2)).await.unwrap(), None);
    assert!(store.find_team(org_id(1), "search").await.unwrap().is_none());
    let mut second = key(2);
    second.team = team_id(2);
    let late = store.done(Change::InsertKey { key: Box::new(second), hash: hash(2) }).await;
    assert!(matches!(late, Err(StoreError::Conflict(_))), "{late:?}");
    store.done(Change::InsertTeam(team(3))).await.unwrap().unwrap();
    let page = Page { offset: 0, limit: 10 };
    let names: Vec<_> =
        store.list_teams(org_id(1), page).await.unwrap().into_iter().map(|team| team.id).collect();
    assert_eq!(names, [team_id(1), team_id(3)]);
}
