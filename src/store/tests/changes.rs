//! Changes with their trail: whole or not at all.

use super::{NOW, Object, TestStore, entry, hash, key, key_id, org_id, unsigned};
use aione_core::{
    domain::id::AuditId,
    ports::{AuditFilter, Change, ChangeStore, KeptAnswer, KeyStore, Row, StoreError, Trail},
};
use uuid::Uuid;

contract! {
    a_change_and_its_trail_are_kept_together,
    what_cannot_be_kept_is_not_done,
    a_note_is_kept_with_its_answer_or_not_at_all,
    an_answer_that_ran_out_makes_room,
    a_change_tells_before_and_after,
    the_trail_is_listed_newest_first_and_by_filter,
}

async fn store(on: Engine) -> TestStore {
    TestStore::open(on).await.with_org(1).await
}

fn insert(number: u128) -> Change {
    Change::InsertKey { key: Box::new(key(number)), hash: hash(u8::try_from(number).unwrap()) }
}

fn answer(scope: u8) -> KeptAnswer {
    KeptAnswer {
        scope: [scope; 32],
        request: [9; 32],
        status: 201,
        sealed: b"sealed".to_vec(),
        kept_until: NOW.plus_ms(1000),
    }
}

async fn a_change_and_its_trail_are_kept_together(on: Engine) {
    let store = store(on).await;
    let sign = Box::new(|changed: &aione_core::ports::Changed| {
        assert!(changed.before().is_none());
        let audit = entry(7, changed.row().object());
        Trail { audit, answer: Some(answer(1)) }
    });
    store.make(insert(1), sign).await.unwrap().unwrap();
    assert!(store.get_key(org_id(1), key_id(1)).await.unwrap().is_some());
    assert_eq!(store.find_answer(&[1; 32], NOW).await.unwrap(), Some(answer(1)));
    assert_eq!(store.find_answer(&[1; 32], NOW.plus_ms(1000)).await.unwrap(), None, "it has run out");
    assert_eq!(store.list_audit(&AuditFilter::default(), 10).await.unwrap(), [entry(7, Object::Key)]);
}

async fn what_cannot_be_kept_is_not_done(on: Engine) {
    let store = store(on).await;
    let signed = |number: u128| -> aione_core::ports::Sign {
        Box::new(move |changed| Trail {
            audit: entry(number, changed.row().object()),
            answer: Some(answer(1)),
        })
    };
    store.make(insert(1), signed(1)).await.unwrap().unwrap();
    let second = store.make(insert(2), signed(2)).await;
    assert!(matches!(second, Err(StoreError::Conflict(_))), "{second:?}");
    assert!(store.get_key(org_id(1), key_id(2)).await.unwrap().is_none());
    assert_eq!(store.list_audit(&AuditFilter::default(), 10).await.unwrap().len(), 1);
}

async fn a_note_is_kept_with_its_answer_or_not_at_all(on: Engine) {
    let store = store(on).await;
    let note = async |number| {
        let audit = entry(number, Object::Deployment);
        store.note(&Trail { audit, answer: Some(answer(1)) }).await
    };
    note(1).await.unwrap();
    assert_eq!(store.find_answer(&[1; 32], NOW).await.unwrap(), Some(answer(1)));
    assert!(matches!(note(2).await, Err(StoreError::Conflict(_))));
    assert_eq!(store.list_audit(&AuditFilter::default(), 10).await.unwrap(), [entry(1, Object::Deployment)]);
}

async fn an_answer_that_ran_out_makes_room(on: Engine) {
    let store = store(on).await;
    for (number, at) in [(1, NOW), (2, NOW.plus_ms(1000))] {
        let sign = Box::new(move |changed: &aione_core::ports::Changed| {
            let audit = aione_core::domain::audit::AuditEntry { at, ..entry(number, changed.row().object()) };
            Trail { audit, answer: Some(KeptAnswer { kept_until: at.plus_ms(1000), ..answer(1) }) }
        });
        store.make(insert(number), sign).await.unwrap().unwrap();
    }
}

async fn a_change_tells_before_and_after(on: Engine) {
    let store = store(on).await;
    store.make(insert(1), unsigned()).await.unwrap().unwrap();
    let disable = || Change::DisableKey { org: org_id(1), id: key_id(1), disabled: true };
    let changed = store.make(disable(), unsigned()).await.unwrap().unwrap();
    let disabled = |row: Option<&Row>| match row {
        Some(Row::Key(key)) => key.disabled,
        other => panic!("{other:?}"),
    };
    assert!(!disabled(changed.before()));
    assert!(disabled(changed.after()));
    let delete = || Change::DeleteKey { org: org_id(1), id: key_id(1), at: NOW };
    assert!(store.make(delete(), unsigned()).await.unwrap().unwrap().after().is_none());
    for change in [delete(), disable(), Change::DeleteKey { org: org_id(2), id: key_id(1), at: NOW }] {
        assert_eq!(store.make(change, unsigned()).await.unwrap(), None, "it is not there");
    }
    assert_eq!(store.list_audit(&AuditFilter::default(), 10).await.unwrap().len(), 3);
}

async fn the_trail_is_listed_newest_first_and_by_filter(on: Engine) {
    let store = store(on).await;
    for number in 1..=5 {
        let object = if number % 2 == 0 { Object::Key } else { Object::Config };
        let org = (object == Object::Key).then_some(org_id(1));
        let made = aione_core::domain::audit::AuditEntry { org, ..entry(number, object) };
        store.note(&Trail { audit: made, answer: None }).await.unwrap();
    }
    let numbers = async |filter: AuditFilter| {
        let rows = store.list_audit(&filter, 3).await.unwrap();
        rows.iter().map(|row| row.id.0.as_u128()).collect::<Vec<_>>()
    };
    assert_eq!(numbers(AuditFilter::default()).await, [5, 4, 3]);
    let before = Some(AuditId(Uuid::from_u128(3)));
    assert_eq!(numbers(AuditFilter { before, ..AuditFilter::default() }).await, [2, 1]);
    assert_eq!(numbers(AuditFilter { org: Some(org_id(1)), ..AuditFilter::default() }).await, [4, 2]);
    let object = Some("config".to_owned());
    assert_eq!(numbers(AuditFilter { object, ..AuditFilter::default() }).await, [5, 3, 1]);
    assert!(
        numbers(AuditFilter { actor: Some("operator".to_owned()), ..AuditFilter::default() })
            .await
            .is_empty()
    );
    assert!(numbers(AuditFilter { from: Some(NOW.plus_ms(1)), ..AuditFilter::default() }).await.is_empty());
    assert_eq!(numbers(AuditFilter { until: Some(NOW.plus_ms(1)), ..AuditFilter::default() }).await.len(), 3);
}
