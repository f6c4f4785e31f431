//! Credits, the ledger and the balance.

use crate::support::{ACME, Api, FINANCE, GLOBEX, OPERATOR, OTHER_OWNER, VIEWER};
use aione_core::domain::{
    clock::Timestamp,
    id::{EntryId, OrgId},
    ledger::{Entry, Kind},
    money::Pico,
};
use std::sync::Arc;
use uuid::Uuid;

async fn credit(api: &Api, body: &str) -> crate::support::Answer {
    api.post("/orgs/acme/credits").with(OPERATOR).body(body).send().await
}

fn usage(number: u128, org: OrgId, at: i64, pico: i128) -> Entry {
    Entry {
        id: EntryId(Uuid::from_u128(number)),
        org,
        at: Timestamp(at),
        recorded_at: Timestamp(at),
        kind: Kind::Usage,
        amount: Pico(pico),
        model: Some(Arc::from("gpt-4o-mini")),
        note: None,
    }
}

#[tokio::test]
async fn a_credit_is_an_entry_that_is_shown_as_it_was_made() {
    let api = Api::new();
    let made = credit(&api, r#"{"amount_rmb":"100.5","kind":"top_up","note":"bank transfer 7"}"#).await;
    let entry = made.json();
    let expected = format!(
        concat!(
            r#"{{"id":{},"org_id":"{}","at":"2026-11-23T16:30:00.000Z","recorded_at":"2026-11-23T16:30:00.000Z","#,
            r#""kind":"top_up","debit":"cash","credit":"customer","amount_rmb":"100.50","request_id":null,"#,
            r#""model":null,"note":"bank transfer 7"}}"#
        ),
        entry["id"], ACME
    );
    assert_eq!((made.status.as_u16(), &made.text), (201, &expected));
    credit(&api, r#"{"amount_rmb":"-0.500000000001","kind":"adjustment"}"#).await;
    api.world.state().entries.push(usage(7, ACME, 1, 2_000_000_000_000));
    api.world.state().entries.push(usage(8, GLOBEX, 1, 9_000_000_000_000));
    let account = api.get("/billing/account").with(FINANCE).send().await.json();
    assert_eq!(account["balance_rmb"], "97.999999999999");
    let listed = api.get("/billing/ledger").with(VIEWER).send().await.json();
    let amounts: Vec<_> = listed["items"].as_array().unwrap().iter().map(|it| &it["amount_rmb"]).collect();
    assert_eq!(amounts, ["-0.500000000001", "100.50", "2.00"]);
    assert_eq!(listed["items"][1], entry);
    assert_eq!(listed["items"][2]["request_id"], Uuid::from_u128(7).to_string());
    assert_eq!(listed["next_cursor"], serde_json::Value::Null);
    let trail = api.get("/audit?object=ledger_entry").with(OPERATOR).send().await.json();
    assert_eq!(
        (&trail["items"][1]["action"], &trail["items"][1]["after"]),
        (&"credit.create".into(), &entry)
    );
}

#[tokio::test]
async fn the_ledger_comes_in_pages_that_are_an_organizations_own() {
    let api = Api::new();
    // Three at one time.
    let entries = (0..7_u8).map(|number| usage(number.into(), ACME, i64::from(number / 3), 1));
    api.world.state().entries.extend(entries);
    let (mut path, mut seen) = ("/billing/ledger?page_size=2".to_owned(), Vec::new());
    loop {
        let page = api.get(&path).with(VIEWER).send().await.json();
        let items = page["items"].as_array().unwrap().clone();
        seen.extend(items.iter().map(|item| item["id"].as_str().unwrap().parse::<Uuid>().unwrap().as_u128()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        let foreign = api.get(&format!("/billing/ledger?cursor={cursor}")).with(OTHER_OWNER).send().await;
        assert_eq!(foreign.problems(), ["query.cursor value_error"]);
        path = format!("/billing/ledger?page_size=2&cursor={cursor}");
    }
    assert_eq!(seen, [6, 5, 4, 3, 2, 1, 0]);
    for wrong in ["page_size=0", "page_size=201", "cursor=", "cursor=abc"] {
        assert_eq!(
            api.get(&format!("/billing/ledger?{wrong}")).with(VIEWER).send().await.status,
            422,
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn what_is_no_credit_is_refused() {
    let api = Api::new();
    for (body, problems) in [
        ("{}", &["body.kind missing", "body.amount_rmb missing"][..]),
        (r#"{"kind":"gift","amount_rmb":"1"}"#, &["body.kind enum"]),
        (r#"{"kind":"usage","amount_rmb":"1"}"#, &["body.kind enum"]),
        (r#"{"kind":"top_up","amount_rmb":1}"#, &["body.amount_rmb decimal_type"]),
        (r#"{"kind":"top_up","amount_rmb":"1e3"}"#, &["body.amount_rmb decimal_parsing"]),
        (r#"{"kind":"top_up","amount_rmb":"0.0000000000001"}"#, &["body.amount_rmb decimal_parsing"]),
        (r#"{"kind":"top_up","amount_rmb":"0"}"#, &["body.amount_rmb value_error"]),
        (r#"{"kind":"top_up","amount_rmb":"-1"}"#, &["body.amount_rmb value_error"]),
        (r#"{"kind":"adjustment","amount_rmb":"-0.0"}"#, &["body.amount_rmb value_error"]),
        (r#"{"kind":"adjustment","amount_rmb":"1000000000000"}"#, &["body.amount_rmb value_error"]),
        (r#"{"kind":"adjustment","amount_rmb":"1","note":"\u0007"}"#, &["body.note value_error"]),
        (r#"{"kind":"top_up","amount_rmb":"1","org_id":"x"}"#, &["body.org_id extra_forbidden"]),
    ] {
        assert_eq!(credit(&api, body).await.problems(), problems, "{body}");
    }
    assert!(api.world.state().entries.is_empty());
    let most =
        credit(&api, r#"{"kind":"adjustment","amount_rmb":"-999999999999.999999999999","note":null}"#).await;
    assert_eq!(
        (most.status.as_u16(), &most.json()["amount_rmb"]),
        (201, &"-999999999999.999999999999".into())
    );
}
