//! Opening, sharing and reading a store, and the first start.

use super::*;
use aione_core::{domain::key::Peppers, ports::StoreError, ports::UsageStore as _};

contract! {
    what_was_written_is_there_after_opening_again,
    a_reader_sees_a_running_store_and_changes_nothing,
    a_first_start_makes_one_organization_and_team,
    a_first_start_beside_organizations_makes_none,
    a_node_with_another_pepper_is_refused,
    a_store_with_records_is_of_one_currency,
    two_processes_can_open_one_store_at_once,
}

const PEPPERS: [&str; 2] =
    ["the first pepper of this store, long enough", "the second pepper, long enough too"];

fn peppers(which: &[usize]) -> Peppers {
    Peppers::new(which.iter().map(|index| PEPPERS[*index])).unwrap()
}

async fn what_was_written_is_there_after_opening_again(on: Engine) {
    let store = TestStore::open(on).await.with_org(1).await;
    store.insert_key(&key(1), &hash(1)).await.unwrap();
    store.close().await;
    let again = store.opened_again().await;
    assert_eq!(again.get_key(org_id(1), key_id(1)).await.unwrap(), Some(key(1)));
}

async fn a_reader_sees_a_running_store_and_changes_nothing(on: Engine) {
    let store = TestStore::open(on).await.with_org(1).await;
    let reader = Store::open_read_only(&store.database).await.unwrap();
    store.insert_records(&[record(1, NOW)]).await.unwrap();
    assert_eq!(reader.list_records(None, 10).await.unwrap(), [record(1, NOW)]);
    assert!(matches!(reader.insert_records(&[record(2, NOW)]).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(reader.insert_org(&org(2)).await, Err(StoreError::Unavailable(_))));
    store.close().await;
    reader.close().await;
    let alone = Store::open_read_only(&store.database).await.unwrap();
    assert_eq!(alone.list_records(None, 10).await.unwrap().len(), 1);
}

async fn a_first_start_makes_one_organization_and_team(on: Engine) {
    let store = TestStore::open(on).await;
    let plan = Arc::from("starter");
    store.bootstrap(NOW, [7; 20], &plan, chrono_tz::Asia::Shanghai).await.unwrap();
    let org = store.find_org("default").await.unwrap().unwrap();
    assert_eq!((&*org.plan, org.time_zone), ("starter", chrono_tz::Asia::Shanghai));
    let team = store.find_team(org.id, "default").await.unwrap().unwrap();
    assert_eq!(team.org, org.id);

    let other_plan = Arc::from("other");
    store.bootstrap(NOW.plus_ms(1), [8; 20], &other_plan, chrono_tz::UTC).await.unwrap();
    assert_eq!(store.find_org("default").await.unwrap(), Some(org));
}

async fn a_first_start_beside_organizations_makes_none(on: Engine) {
    let store = TestStore::open(on).await.with_org(1).await;
    store.bootstrap(NOW, [7; 20], &Arc::from("starter"), chrono_tz::UTC).await.unwrap();
    assert_eq!(store.find_org("default").await.unwrap(), None);
}

async fn a_node_with_another_pepper_is_refused(on: Engine) {
    let store = TestStore::open(on).await;
    store.check_pepper(&peppers(&[0])).await.unwrap();
    store.check_pepper(&peppers(&[0])).await.unwrap();
    assert!(matches!(store.check_pepper(&peppers(&[1])).await, Err(StoreError::Conflict(_))));
    store.check_pepper(&peppers(&[1, 0])).await.unwrap();
    store.check_pepper(&peppers(&[1])).await.unwrap();
    assert!(matches!(store.check_pepper(&peppers(&[0])).await, Err(StoreError::Conflict(_))));
}

async fn a_store_with_records_is_of_one_currency(on: Engine) {
    let store = TestStore::open(on).await;
    store.check_currency("CNY").await.unwrap();
    store.check_currency("USD").await.unwrap();
    store.insert_records(&[record(1, NOW)]).await.unwrap();
    store.check_currency("USD").await.unwrap();
    let error = store.check_currency("CNY").await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Conflict(why) if why.contains("USD") && why.contains("CNY")),
        "{error}"
    );
    while store.forget_records(NOW.plus_ms(400 * 86_400_000)).await.unwrap() {}
    assert!(store.list_records(None, 1).await.unwrap().is_empty());
    assert!(store.check_currency("CNY").await.is_err(), "what they came to has stayed");
    store.check_currency("USD").await.unwrap();
}

async fn two_processes_can_open_one_store_at_once(on: Engine) {
    let folder = tempfile::tempdir().unwrap();
    let database = match on {
        Engine::Sqlite => Database::Sqlite(folder.path().join("aione.db")),
        Engine::Postgres => fresh_schema().await,
    };
    let (one, other) = tokio::join!(Store::open(&database), Store::open(&database));
    let (one, other) = (one.unwrap(), other.unwrap());
    one.insert_org(&org(1)).await.unwrap();
    other.insert_team(&team(1)).await.unwrap();
    one.insert_key(&key(1), &hash(1)).await.unwrap();
    assert!(other.find_by_hash(&hash(1)).await.unwrap().is_some());

    let of = |half: u128| (0..200).map(|n| record(half * 1_000 + n, NOW)).collect::<Vec<_>>();
    let (first, second) = (of(1), of(2));
    let (a, b, c) =
        tokio::join!(one.insert_records(&first), other.insert_records(&second), other.insert_records(&first));
    a.and(b).and(c).unwrap();
    assert_eq!(one.list_records(None, 1_000).await.unwrap().len(), 400);
}
