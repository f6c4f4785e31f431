//! What an organization has bought.

use crate::support::{ACME, Api, FINANCE, NOW, OPERATOR, OWNER};
use serde_json::json;
use std::sync::Arc;

#[tokio::test]
async fn a_plan_is_shown_with_its_prices() {
    let api = Api::new();
    let expected = json!({
        "id": "f89bf287-35db-8a44-85f3-45c0d76a60e4", "code": "standard", "name": "Standard",
        "models": ["gpt-4o-mini"], "rpm_limits": { "*": 600 }, "tpm_limits": { "*": 200_000 },
        "price_per_1m_tokens": {
            "gpt-4o-mini:cache_read": "0.525", "gpt-4o-mini:input": "1.05", "gpt-4o-mini:output": "4.2",
        },
        "monthly_fee": "0.00", "sandbox_included": true, "sla_tier": "standard", "status": "active",
        "created_at": "2026-11-23T16:30:00.000Z",
    });
    for credential in [OWNER, FINANCE] {
        let shown = api.get("/billing/plan").with(credential).send().await;
        assert_eq!((shown.status.as_u16(), shown.json()), (200, expected.clone()), "{credential}");
    }
    let unnamed = api.get("/billing/plan").with(OPERATOR).send().await;
    assert_eq!(unnamed.problems(), ["header.x-aione-org missing"]);
}

#[tokio::test]
async fn an_organization_on_a_plan_that_is_gone_sees_the_one_it_is_served_by() {
    let api = Api::new();
    {
        let mut state = api.world.state();
        let acme = state.orgs.iter_mut().find(|org| org.id == ACME).unwrap();
        acme.plan = Arc::from("gone");
        acme.created_at = NOW.plus_ms(-1);
    }
    let shown = api.get("/billing/plan").with(OWNER).send().await.json();
    assert_eq!(shown["code"], "standard");
    assert_eq!(shown["created_at"], "2026-11-23T16:29:59.999Z");
}
