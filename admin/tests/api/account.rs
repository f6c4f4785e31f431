//! The account and the invoices, as they stand.

use crate::support::{ACME, Api, FINANCE, VIEWER};
use aione_core::{domain::money::Pico, ports::UsageSum};

#[tokio::test]
async fn an_account_tells_what_the_month_has_cost() {
    let api = Api::new();
    api.world.state().sums = vec![UsageSum { cost: Pico(1_500_000_000_001), ..UsageSum::default() }];
    let answer = api.get("/billing/account").with(FINANCE).send().await;
    let expected = format!(
        concat!(
            r#"{{"id":"{}","org_id":"{}","mode":"postpaid","currency":"CNY","balance_rmb":"0.00","#,
            r#""credit_limit_rmb":null,"monthly_budget_rmb":null,"#,
            r#""month_to_date_cost_rmb":"1.500000000001","reserved_rmb":"0.000000000001","status":"active","#,
            r#""created_at":"2026-11-23T16:30:00.000Z"}}"#,
        ),
        ACME, ACME
    );
    assert_eq!((answer.status.as_u16(), answer.text), (200, expected));
    let asked = api.world.state().asked[0].clone();
    assert_eq!((asked.start.to_string(), asked.end.to_string()), ("2026-11-01".into(), "2026-11-24".into()));
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
