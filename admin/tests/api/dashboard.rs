//! `GET /obs/dashboard`: sums, days without traffic, and whose view it is.

use crate::support::{ACME, ACME_TEAM, ADMIN, Answer, Api, FINANCE, NOW, OPERATOR, OWNER, VIEWER};
use aione_core::{
    domain::{histogram::Histogram, id::TeamId, money::Pico, standing::Recent, usage::Usage},
    ports::{Overview, UsageSum},
};
use serde_json::{Value, json};
use std::{collections::HashMap, sync::Arc};

const OTHER_TEAM: TeamId = TeamId(uuid::Uuid::from_u128(0xa2));

async fn dashboard(api: &Api, query: &str) -> Answer {
    api.get(&format!("/obs/dashboard{query}")).with(VIEWER).send().await
}

fn sum(group: &str, requests: u64, output: u64, cost: i128) -> UsageSum {
    UsageSum {
        group: vec![group.to_owned()],
        requests,
        unpriced: 0,
        faults: requests / 8,
        usage: Usage { input: 2 * output, cache_read: 5, output, ..Usage::default() },
        cost: Pico(cost),
        latency_ms: 20 * requests,
    }
}

/// Two days of the last three: 16 requests, 16 018 tokens.
pub(crate) fn overview() -> Overview {
    let mut latencies = Histogram::default();
    (0..15).for_each(|_| latencies.record(20));
    latencies.record(25);
    Overview {
        days: vec![sum("2026-11-22", 8, 1_000, 1_500_000_000_000), sum("2026-11-24", 8, 4_336, 2)],
        models: vec![sum("a", 1, 10, 1), sum("b", 9, 3_000, 2), sum("c", 6, 10, 3)],
        teams: vec![
            sum(&ACME_TEAM.to_string(), 6, 1, 5),
            sum(&OTHER_TEAM.to_string(), 10, 1, 70_000_000_000),
        ],
        team_names: HashMap::from([(ACME_TEAM, "default".to_owned())]),
        latencies,
        // 1 350 in a quarter of an hour are 90 a minute of 600.
        recent: vec![Recent { start: NOW, model: Arc::from("gpt-4o-mini"), requests: 1_350, faults: 200 }],
    }
}

fn trend() -> Value {
    json!([
        { "date": "2026-11-22", "requests": 8, "tokens": 3005, "cost_rmb": "1.50" },
        { "date": "2026-11-23", "requests": 0, "tokens": 0, "cost_rmb": "0.00" },
        { "date": "2026-11-24", "requests": 8, "tokens": 13013, "cost_rmb": "0.000000000002" },
    ])
}

#[tokio::test]
async fn the_technical_view_shows_what_was_used() {
    let api = Api::new();
    api.world.state().overview = overview();
    let tech = json!({
        "total_tokens": 16018, "prompt_tokens": 10682, "completion_tokens": 5336, "total_requests": 16,
        "total_cost_rmb": "1.500000000002", "avg_latency_ms": 20, "p99_latency_ms": 25,
        "error_rate_pct": "12.5", "rpm_usage_pct": "15",
        "model_distribution": [
            { "model": "b", "requests": 9, "tokens": 9005 },
            { "model": "c", "requests": 6, "tokens": 35 },
            { "model": "a", "requests": 1, "tokens": 35 },
        ],
        "daily_trend": trend(),
    });
    let expected = json!({ "view_mode": "tech", "tech": tech, "business": null });
    assert_eq!(dashboard(&api, "?range_days=3").await.json(), expected);
}

#[tokio::test]
async fn the_business_view_shows_what_it_cost() {
    let api = Api::new();
    api.world.state().overview = overview();
    let business = json!({
        "total_chars_wan": 2.4, "total_conversations": 16, "total_cost_rmb": "1.500000000002",
        "budget_progress_pct": "0", "capacity_status": "sufficient", "service_status": "degraded",
        "team_cost_ranking": [
            {
                "team_id": "00000000-0000-0000-0000-0000000000a2",
                "team_name": "00000000-0000-0000-0000-0000000000a2",
                "cost_rmb": "0.07", "conversations": 10,
            },
            {
                "team_id": "00000000-0000-0000-0000-0000000000a1", "team_name": "default",
                "cost_rmb": "0.000000000005", "conversations": 6,
            },
        ],
        "daily_trend": trend(),
    });
    let expected = json!({ "view_mode": "business", "tech": null, "business": business });
    assert_eq!(dashboard(&api, "?range_days=3&view=business").await.json(), expected);
}

#[tokio::test]
async fn without_traffic_all_is_zero_and_well() {
    let api = Api::new();
    let tech = dashboard(&api, "").await.json();
    assert_eq!(tech["tech"]["daily_trend"].as_array().unwrap().len(), 7);
    assert_eq!(tech["tech"]["p99_latency_ms"], 0);
    assert_eq!(tech["tech"]["error_rate_pct"], "0");
    let business = dashboard(&api, "?view=business").await.json();
    assert_eq!(business["business"]["capacity_status"], "sufficient");
    assert_eq!(business["business"]["service_status"], "normal");
    assert_eq!(business["business"]["total_chars_wan"], 0.0);
}

#[tokio::test]
async fn the_range_ends_today_in_the_organizations_zone() {
    let api = Api::new();
    for query in ["", "?range_days=1", "?range_days=90"] {
        assert_eq!(dashboard(&api, query).await.status, 200);
    }
    let state = api.world.state();
    let spans: Vec<_> = state.glances.iter().map(|asked| format!("{} {}", asked.start, asked.end)).collect();
    assert_eq!(spans, ["2026-11-18 2026-11-24", "2026-11-24 2026-11-24", "2026-08-27 2026-11-24"]);
    assert!(state.glances.iter().all(|asked| asked.org == ACME));
    assert_eq!(state.glances[0].recent_since, NOW.plus_ms(-86_400_000));
}

#[tokio::test]
async fn finance_sees_the_money_unless_it_asks_otherwise() {
    let api = Api::new();
    for (credential, query, expect) in [
        (FINANCE, "", "business"),
        (FINANCE, "?view=tech", "tech"),
        (OWNER, "", "tech"),
        (ADMIN, "", "tech"),
        (VIEWER, "", "tech"),
        (VIEWER, "?view=business", "business"),
        (OPERATOR, "", "tech"),
    ] {
        let call = api.get(&format!("/obs/dashboard{query}")).with(credential).org("acme");
        let answer = call.send().await.json();
        assert_eq!(answer["view_mode"], expect, "{credential}{query}");
        assert_eq!(answer["tech"].is_null(), expect == "business");
        assert_eq!(answer["business"].is_null(), expect == "tech");
    }
}

#[tokio::test]
async fn a_wrong_query_is_refused_with_every_problem() {
    let api = Api::new();
    assert_eq!(
        dashboard(&api, "?range_days=0&view=both&days=3").await.problems(),
        ["query.range_days greater_than_equal", "query.view enum", "query.days extra_forbidden"]
    );
    assert_eq!(dashboard(&api, "?range_days=91").await.problems(), ["query.range_days less_than_equal"]);
    assert_eq!(dashboard(&api, "?range_days=week").await.problems(), ["query.range_days int_parsing"]);
    assert!(api.world.state().glances.is_empty());
}
