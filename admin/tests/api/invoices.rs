//! Invoices: closed, issued, paid, void, credited; and how they look.

use crate::support::{ACME, Answer, Api, FINANCE, NOW, OPERATOR, OTHER_OWNER, OWNER, VIEWER};
use aione_core::domain::{
    budget::BillingMode,
    clock::Timestamp,
    fee::PlanVersion,
    id::{CreditNoteId, InvoiceId},
    invoice::{Charge, CreditNote, Frame, Invoice, TaxRate},
    money::Pico,
    price::Class,
};
use serde_json::json;
use uuid::Uuid;

pub(crate) const ACME_INVOICE: InvoiceId = InvoiceId(Uuid::from_u128(0xc1));
const PATH: &str = "/orgs/acme/invoices/00000000-0000-0000-0000-0000000000c1";

pub(crate) fn draft(month: &str) -> Invoice {
    let frame = Frame {
        id: ACME_INVOICE,
        org: ACME,
        customer: "acme".to_owned(),
        mode: BillingMode::Postpaid,
        month: month.parse().unwrap(),
        zone: chrono_tz::Asia::Shanghai,
        currency: "CNY".to_owned(),
        tax_rate: TaxRate::from_percent("6").unwrap(),
        created_at: NOW,
    };
    Invoice::draft(frame, charges(), &[])
}

fn charges() -> Vec<Charge> {
    let charge = |model: &str, class, quantity, amount| Charge {
        start: NOW.plus_ms(-30 * 86_400_000),
        model: model.into(),
        class,
        quantity,
        amount: Pico(amount),
    };
    vec![
        charge("gpt-4o-mini", Class::Input, 1_000, 1_500_000_000_001),
        charge("<b>=x</b>", Class::CacheWrite5m, 7, 2_000_000_000_000),
    ]
}

async fn post(api: &Api, path: &str, body: &str) -> Answer {
    api.post(path).with(OPERATOR).body(body).send().await
}

#[tokio::test]
async fn no_invoices_are_an_empty_array() {
    let api = Api::new();
    let answer = api.get("/billing/invoices?page=2&page_size=100").with(VIEWER).send().await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, "[]"));
    assert_eq!(answer.headers["x-total-count"], "0");
    for wrong in ["page=0", "page_size=0", "page_size=101", "page=x", "page=-1"] {
        let refused = api.get(&format!("/billing/invoices?{wrong}")).with(VIEWER).send().await;
        assert_eq!(refused.status, 422, "{wrong}");
    }
}

#[tokio::test]
async fn a_month_is_closed_once_and_when_it_has_ended() {
    let api = Api::new();
    {
        let mut state = api.world.state();
        state.charges = charges();
        state.plans.assignments = vec![(NOW.plus_ms(-32 * 86_400_000), "standard".into())];
        state.plans.versions = vec![PlanVersion {
            code: "standard".into(),
            from: NOW,
            name: "Standard".to_owned(),
            monthly_fee: Pico(310_000_000_000_000),
        }];
    }
    let close = async |period: &str| {
        post(&api, "/orgs/acme/invoices/close", &json!({ "period": period }).to_string()).await
    };
    // In Shanghai it is the 24th of November.
    assert_eq!(close("2026-11").await.refusal(), (409, "conflict".to_owned()));
    for wrong in ["2026-13", "26-10", "2026-1", "", "2026-10-01"] {
        assert_eq!(close(wrong).await.problems().len(), 1, "{wrong}");
    }
    let made = close("2026-10").await;
    assert_eq!(made.status, 201, "{}", made.text);
    let made = made.json();
    assert_eq!(
        (&made["status"], &made["number"], &made["issued_at"]),
        (&json!("draft"), &json!(""), &json!(null))
    );
    assert_eq!((&made["period_start"], &made["period_end"]), (&json!("2026-10-01"), &json!("2026-10-31")));
    let fee = json!({
        "kind": "fee", "month": "2026-10", "model": null, "class": null, "quantity": 9, "exact_rmb": null,
        "plan": "standard", "monthly_fee": "310.00", "amount_rmb": "90.00",
    });
    assert_eq!(made["lines"][2], fee);
    assert_eq!(made["amount_rmb"], "93.50");
    for period in ["2026-10", "2026-09"] {
        assert_eq!(close(period).await.refusal(), (409, "conflict".to_owned()));
    }
    assert_eq!(close("2025-12").await.status, 409);
}

#[tokio::test]
async fn an_invoice_is_issued_credited_and_paid_and_then_it_stays() {
    let api = Api::new();
    api.world.state().invoices.push(draft("2026-10"));
    let refuse = async |what: &str, body: &str| {
        assert_eq!(
            post(&api, &format!("{PATH}/{what}"), body).await.refusal(),
            (409, "conflict".to_owned()),
            "{what}"
        );
    };
    let credit = r#"{"amount_rmb":"1.06","note":"an outage"}"#;
    refuse("pay", "").await;
    refuse("credit-note", credit).await;
    let issued = post(&api, &format!("{PATH}/issue"), "").await.json();
    assert_eq!((&issued["status"], &issued["number"]), (&json!("issued"), &json!("INV-000007")));
    assert_eq!(issued["due_at"], "2026-12-23T16:30:00.000Z");
    refuse("issue", "").await;
    for wrong in ["0", "-1.00", "0.001", "x"] {
        let body = json!({ "amount_rmb": wrong, "note": "n" }).to_string();
        assert_eq!(post(&api, &format!("{PATH}/credit-note"), &body).await.problems().len(), 1, "{wrong}");
    }
    let credited = post(&api, &format!("{PATH}/credit-note"), credit).await;
    assert_eq!(credited.status, 201);
    let note = &credited.json()["credit_notes"][0];
    assert_eq!(
        (&note["number"], &note["tax_rmb"], &note["note"]),
        (&json!("CN-000003"), &json!("0.06"), &json!("an outage"))
    );
    assert_eq!(post(&api, &format!("{PATH}/pay"), "").await.json()["status"], "paid");
    refuse("void", "").await;
    refuse("pay", "").await;
    let gone = PATH.replace("c1", "c2");
    assert_eq!(post(&api, &format!("{gone}/issue"), "").await.status, 404);
    assert_eq!(post(&api, &PATH.replace("acme", "globex"), "").await.status, 404);
    let listed = api.get("/billing/invoices").with(OWNER).send().await;
    assert_eq!(listed.headers["x-total-count"], "1");
    assert_eq!(listed.json()[0]["number"], "INV-000007");
    let actions: Vec<_> = api.world.state().audit.iter().map(|row| row.action.clone()).collect();
    assert_eq!(actions, ["invoice.issue", "invoice.credit", "invoice.pay"]);
}

#[tokio::test]
async fn an_invoice_can_be_had_as_data_as_a_file_and_as_a_page_by_its_own_organization_alone() {
    let api = Api::new();
    api.world.state().invoices.push(draft("2026-10"));
    let path = format!("/billing/invoices/{ACME_INVOICE}");
    let show = async |query: &str| api.get(&format!("{path}{query}")).with(FINANCE).send().await;
    let data = show("").await.json();
    assert_eq!(
        (&data["subtotal_rmb"], &data["tax_rmb"], &data["amount_rmb"]),
        (&json!("3.50"), &json!("0.21"), &json!("3.71"))
    );
    let file = show("?format=csv").await;
    assert_eq!(file.headers["content-disposition"], "attachment; filename=\"draft-2026-10.csv\"");
    let lines: Vec<&str> = file.text.lines().collect();
    assert_eq!(
        lines,
        [
            "kind,month,name,class,quantity,exact_rmb,amount_rmb",
            "usage,2026-10,<b>=x</b>,cache_write_5m,7,2.00,2.00",
            "usage,2026-10,gpt-4o-mini,input,1000,1.500000000001,1.50",
            "subtotal,,,,,,3.50",
            "tax,,6 %,,,,0.21",
            "total,,CNY,,,,3.71",
        ]
    );
    let credit = |amount: i128, tax: i128| CreditNote {
        id: CreditNoteId(Uuid::from_u128(5)),
        number: 3,
        invoice: ACME_INVOICE,
        amount: Pico(amount * 10_000_000_000),
        tax: Pico(tax * 10_000_000_000),
        note: "an outage".to_owned(),
        issued_at: Timestamp(0),
    };
    api.world.state().invoices[0].credits = vec![credit(106, 6), credit(20, 0)];
    let page = show("?format=html").await;
    for row in ["<td class=n>-0.06<td class=n>-1.06</tr>", "<td class=n>0.00<td class=n>-0.20</tr>"] {
        assert!(page.text.contains(row), "{}", page.text);
    }
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(
        page.text.contains("&lt;b&gt;=x&lt;/b&gt;, cache write 5m") && !page.text.contains("<b>"),
        "{}",
        page.text
    );
    assert!(page.text.contains("3.71") && page.text.contains("A draft: nothing is owed by it."));
    assert_eq!(show("?format=pdf").await.problems(), ["query.format enum"]);
    assert_eq!(api.get(&path).with(OTHER_OWNER).send().await.status, 404);
    assert_eq!(
        api.get("/billing/invoices/no-id").with(OWNER).send().await.problems(),
        ["path.invoice_id uuid_parsing"]
    );
}
