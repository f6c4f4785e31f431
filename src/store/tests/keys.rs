//! Keys: what is stored comes back, and each change does what the port says.

use super::*;
use aione_core::{
    domain::key::KeyStatus,
    ports::{KeyChange, KeyFilter, LimitChange, Page, StoreError, UsageStore as _},
};

contract! {
    a_key_is_found_by_its_hash_with_what_stands_above_it,
    an_id_or_a_hash_is_taken_once,
    many_keys_are_inserted_whole_or_not_at_all,
    a_change_changes_what_it_names_alone,
    a_disabled_key_is_found_and_says_so,
    a_rotation_keeps_the_former_secret_until_its_grace_ends,
    a_rotation_that_is_tried_again_does_not_cut_off_the_secret_in_use,
    former_secrets_are_bounded_and_the_eldest_goes_first,
    a_deleted_key_is_gone_with_all_its_secrets,
    keys_are_listed_by_page_and_filter,
    the_latest_use_of_a_key_is_kept,
}

const ALL: Page = Page { offset: 0, limit: 100 };

async fn store(on: Engine) -> TestStore {
    TestStore::open(on).await.with_org(1).await
}

async fn a_key_is_found_by_its_hash_with_what_stands_above_it(on: Engine) {
    let store = store(on).await;
    let mut stored = key(1);
    stored.expires_at = Some(NOW);
    store.insert_key(&stored, &hash(1)).await.unwrap();
    let found = store.find_by_hash(&hash(1)).await.unwrap().unwrap();
    assert_eq!(found.key, stored);
    assert_eq!(found.secret_dies_at, None);
    assert_eq!(&*found.org_plan, "standard");
    assert_eq!((found.org_limits, found.team_limits), (org(1).limits, team(1).limits));
    assert_eq!((found.org_terms, found.org_zone), (org(1).terms, org(1).time_zone));
    assert_eq!(found.team_budget, team(1).monthly_budget);
    assert_eq!(store.find_by_hash(&hash(2)).await.unwrap(), None);
}

async fn an_id_or_a_hash_is_taken_once(on: Engine) {
    let store = store(on).await;
    store.insert_key(&key(1), &hash(1)).await.unwrap();
    assert!(matches!(store.insert_key(&key(1), &hash(2)).await, Err(StoreError::Conflict(_))));
    assert!(matches!(store.insert_key(&key(2), &hash(1)).await, Err(StoreError::Conflict(_))));
    assert_eq!(store.get_key(org_id(1), key_id(2)).await.unwrap(), None, "nothing is left of it");
    assert!(matches!(store.insert_org(&org(1)).await, Err(StoreError::Conflict(_))));
    assert!(matches!(store.insert_team(&team(1)).await, Err(StoreError::Conflict(_))));
}

async fn many_keys_are_inserted_whole_or_not_at_all(on: Engine) {
    let store = store(on).await;
    let many = |numbers: std::ops::Range<u16>| -> Vec<_> {
        let hash = |number: u16| KeyHash([number.to_be_bytes(); 16].as_flattened().try_into().unwrap());
        numbers.map(|number| (key(number.into()), hash(number))).collect()
    };
    store.insert_keys(&[]).await.unwrap();
    let keys = many(0..300);
    store.insert_keys(&keys).await.unwrap();
    for (key, hash) in &keys {
        assert_eq!(store.find_by_hash(hash).await.unwrap().unwrap().key, *key);
    }
    let taken = many(299..600);
    assert!(matches!(store.insert_keys(&taken).await, Err(StoreError::Conflict(_))));
    assert_eq!(store.get_key(org_id(1), key_id(599)).await.unwrap(), None, "nothing is left of them");
}

async fn a_change_changes_what_it_names_alone(on: Engine) {
    let store = store(on).await;
    store.insert_key(&key(1), &hash(1)).await.unwrap();
    let unchanged = store.update_key(org_id(1), key_id(1), &KeyChange::default()).await.unwrap();
    assert_eq!(unchanged, Some(key(1)));

    let change = KeyChange {
        name: Some("'; DROP TABLE keys; --".to_owned()),
        models_allowed: Some(Vec::new()),
        allowed_ips: Some(vec!["192.0.2.0/24".parse().unwrap()]),
        limits: LimitChange {
            rpm: Some(None),
            tpm: Some(Some(5)),
            rpd: None,
            concurrency: Some(Some(u64::MAX)),
        },
        budget: Some(None),
        budget_period: Some(BudgetPeriod::Month),
        metadata: Some(serde_json::Map::new()),
    };
    let mut expect = key(1);
    expect.name = "'; DROP TABLE keys; --".to_owned();
    expect.models_allowed.clear();
    expect.allowed_ips = vec!["192.0.2.0/24".parse().unwrap()];
    expect.limits = RateLimits { rpm: None, tpm: Some(5), rpd: None, concurrency: Some(u64::MAX) };
    (expect.budget, expect.budget_period) = (None, BudgetPeriod::Month);
    expect.metadata.clear();
    assert_eq!(store.update_key(org_id(1), key_id(1), &change).await.unwrap(), Some(expect.clone()));
    assert_eq!(store.get_key(org_id(1), key_id(1)).await.unwrap(), Some(expect));
}

async fn a_disabled_key_is_found_and_says_so(on: Engine) {
    let store = store(on).await;
    store.insert_key(&key(1), &hash(1)).await.unwrap();
    assert!(store.set_disabled(org_id(1), key_id(1), true).await.unwrap().unwrap().disabled);
    assert!(store.find_by_hash(&hash(1)).await.unwrap().unwrap().key.disabled);
    assert!(!store.set_disabled(org_id(1), key_id(1), false).await.unwrap().unwrap().disabled);
}

async fn a_rotation_keeps_the_former_secret_until_its_grace_ends(on: Engine) {
    let store = store(on).await;
    store.insert_key(&key(1), &hash(1)).await.unwrap();
    let grace = NOW.plus_ms(1_000);
    let rotated =
        store.rotate_key(org_id(1), key_id(1), &hash(2), "sk-aione-new…abcd", grace).await.unwrap().unwrap();
    assert_eq!((&*rotated.prefix, rotated.rotate_grace_until), ("sk-aione-new…abcd", Some(grace)));
    let former = store.find_by_hash(&hash(1)).await.unwrap().unwrap();
    assert_eq!((former.secret_dies_at, &former.key), (Some(grace), &rotated));
    assert_eq!(store.find_by_hash(&hash(2)).await.unwrap().unwrap().secret_dies_at, None);
}

async fn a_rotation_that_is_tried_again_does_not_cut_off_the_secret_in_use(on: Engine) {
    let store = store(on).await;
    store.insert_key(&key(1), &hash(1)).await.unwrap();
    for (secret, grace) in [(2, 1_000), (3, 5_000)] {
        let grace = NOW.plus_ms(grace);
        store.rotate_key(org_id(1), key_id(1), &hash(secret), "p", grace).await.unwrap().unwrap();
    }
    let dies_at = |found: Option<aione_core::ports::KeyInContext>| found.unwrap().secret_dies_at;
    assert_eq!(dies_at(store.find_by_hash(&hash(1)).await.unwrap()), Some(NOW.plus_ms(1_000)));
    assert_eq!(dies_at(store.find_by_hash(&hash(2)).await.unwrap()), Some(NOW.plus_ms(5_000)));

    // Without grace, no earlier secret lives on.
    store.rotate_key(org_id(1), key_id(1), &hash(4), "p", NOW).await.unwrap().unwrap();
    for former in 1..=3 {
        assert_eq!(dies_at(store.find_by_hash(&hash(former)).await.unwrap()), Some(NOW));
    }
}

async fn former_secrets_are_bounded_and_the_eldest_goes_first(on: Engine) {
    let store = store(on).await;
    store.insert_key(&key(1), &hash(0)).await.unwrap();
    for secret in 1..=20_u8 {
        let grace = NOW.plus_ms(i64::from(secret));
        store.rotate_key(org_id(1), key_id(1), &hash(secret), "p", grace).await.unwrap().unwrap();
    }
    let mut found = Vec::new();
    for secret in 0..=20 {
        if store.find_by_hash(&hash(secret)).await.unwrap().is_some() {
            found.push(secret);
        }
    }
    assert_eq!(found, (12..=20).collect::<Vec<_>>());
}

async fn a_deleted_key_is_gone_with_all_its_secrets(on: Engine) {
    let store = store(on).await;
    store.insert_key(&key(1), &hash(1)).await.unwrap();
    store.rotate_key(org_id(1), key_id(1), &hash(2), "p", NOW.plus_ms(1_000)).await.unwrap();
    assert!(store.delete_key(org_id(1), key_id(1), NOW).await.unwrap());
    assert!(!store.delete_key(org_id(1), key_id(1), NOW).await.unwrap());
    for secret in [1, 2] {
        assert_eq!(store.find_by_hash(&hash(secret)).await.unwrap(), None);
    }
    assert_eq!(store.get_key(org_id(1), key_id(1)).await.unwrap(), None);
    assert_eq!(store.update_key(org_id(1), key_id(1), &KeyChange::default()).await.unwrap(), None);
    assert_eq!(store.set_disabled(org_id(1), key_id(1), false).await.unwrap(), None);
    assert_eq!(store.rotate_key(org_id(1), key_id(1), &hash(3), "p", NOW).await.unwrap(), None);
    assert_eq!(store.list_keys(org_id(1), &KeyFilter::default(), ALL, NOW).await.unwrap(), []);
    let rows = store.ask("SELECT COUNT(*) FROM key_secrets").await;
    assert_eq!(rows[0].get::<i64>(0).unwrap(), 0, "no hash is kept");
}

async fn keys_are_listed_by_page_and_filter(on: Engine) {
    let store = store(on).await;
    for number in 1..=4 {
        let mut key = key(number);
        key.disabled = number == 2;
        if number == 4 {
            key.name = "Äpfel".to_owned();
        }
        key.expires_at = (number >= 3).then(|| NOW.plus_ms(if number == 3 { 0 } else { 1 }));
        store.insert_key(&key, &hash(u8::try_from(number).unwrap())).await.unwrap();
    }
    let check = async |filter: KeyFilter, page: Page, expect: &[u128]| {
        let keys = store.list_keys(org_id(1), &filter, page, NOW).await.unwrap();
        let ids: Vec<_> = keys.iter().map(|key| key.id.0.as_u128()).collect();
        assert_eq!(ids, expect, "{filter:?} {page:?}");
    };
    let status = |status| KeyFilter { status: Some(status), ..KeyFilter::default() };
    let q = |q: &str| KeyFilter { q: Some(q.to_owned()), ..KeyFilter::default() };
    check(KeyFilter::default(), ALL, &[1, 2, 3, 4]).await;
    check(KeyFilter::default(), Page { offset: 1, limit: 2 }, &[2, 3]).await;
    check(KeyFilter::default(), Page { offset: u64::MAX, limit: u64::MAX }, &[]).await;
    check(status(KeyStatus::Active), ALL, &[1, 4]).await;
    check(status(KeyStatus::Disabled), ALL, &[2]).await;
    check(status(KeyStatus::Expired), ALL, &[3]).await;
    check(q("KEY 3"), ALL, &[3]).await;
    check(q("aione-002"), ALL, &[2]).await;
    check(q("%"), ALL, &[]).await;
    check(q("ÄpFEL"), ALL, &[4]).await;
    check(q("äpfel"), ALL, &[]).await;
    check(KeyFilter { team: Some(team_id(1)), ..KeyFilter::default() }, ALL, &[1, 2, 3, 4]).await;
    check(KeyFilter { team: Some(team_id(2)), ..KeyFilter::default() }, ALL, &[]).await;
}

async fn the_latest_use_of_a_key_is_kept(on: Engine) {
    let store = store(on).await;
    for number in 1..=2 {
        store.insert_key(&key(number), &hash(u8::try_from(number).unwrap())).await.unwrap();
    }
    let used_at = |number: u128, key: u128, at: Timestamp| {
        let mut record = record(number, at);
        record.opened.key = key_id(key);
        record
    };
    let uses = [used_at(1, 1, NOW.plus_ms(5)), used_at(2, 1, NOW), used_at(3, 2, NOW), used_at(4, 99, NOW)];
    store.insert_records(&uses).await.unwrap();
    store.insert_records(&[used_at(5, 1, NOW.plus_ms(1))]).await.unwrap();
    let used = async |number| store.get_key(org_id(1), key_id(number)).await.unwrap().unwrap().last_used_at;
    assert_eq!(used(1).await, Some(NOW.plus_ms(5)));
    assert_eq!(used(2).await, Some(NOW));
    let many: Vec<_> = (6..606).map(|number| used_at(number, number, NOW)).collect();
    store.insert_records(&many).await.unwrap();
    assert_eq!(used(2).await, Some(NOW));
}
