//! The account, as it stands.

use crate::support::{ACME, Api, FINANCE};
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
