//! `GET /obs/margins`: what deployments cost and brought, for operators.

use crate::support::{ACME, Answer, Api, OPERATOR};
use aione_core::{
    domain::{money::Pico, outlay::Margin},
    ports::{MarginGroup as By, MarginSum, Page},
};

async fn margins(api: &Api, query: &str) -> Answer {
    api.get(&format!("/obs/margins{query}")).with(OPERATOR).send().await
}

fn sum(group: &[&str]) -> MarginSum {
    let margin = Margin {
        attempts: 5,
        failed: 2,
        unpriced: 4,
        uncosted: 1,
        revenue: Pico(1_050_000),
        uncosted_revenue: Pico(7_000_000_000_000),
        cost: Pico(2_050_000),
    };
    MarginSum { group: group.iter().map(|text| (*text).to_owned()).collect(), margin }
}

const NUMBERS: &str = concat!(
    r#""attempts":5,"failed_attempts":2,"attempts_without_cost":1,"unpriced_requests":4,"revenue_rmb":"0.00000105","#,
    r#""cost_rmb":"0.00000205","margin_rmb":"-0.000001","revenue_without_cost_rmb":"7.00"}"#
);

#[tokio::test]
async fn rows_have_the_groups_first_in_the_order_asked_for() {
    let api = Api::new();
    api.world.state().margins = vec![sum(&["2026-11-23"])];
    assert_eq!(margins(&api, "").await.text, format!(r#"[{{"day":"2026-11-23",{NUMBERS}]"#));

    api.world.state().margins = vec![sum(&["azure/gpt-eu", "o", "mini", "azure"])];
    let answer = margins(&api, "?group_by=deployment,org,model&group_by=provider,org").await;
    let groups = r#""deployment":"azure/gpt-eu","org":"o","model":"mini","provider":"azure""#;
    assert_eq!(answer.text, format!("[{{{groups},{NUMBERS}]"));
}

#[tokio::test]
async fn dates_are_the_gateways_and_filters_reach_the_store() {
    let api = Api::new();
    margins(&api, "").await;
    let query = format!("?start_date=2026-01-01&end_date=2026-01-31&org={ACME}&page=3&page_size=20");
    margins(&api, &query).await;
    let asked = std::mem::take(&mut api.world.state().margins_asked);
    let span = |at: usize| (asked[at].start.to_string(), asked[at].end.to_string());
    assert_eq!(span(0), ("2026-11-01".to_owned(), "2026-11-24".to_owned()));
    assert_eq!(span(1), ("2026-01-01".to_owned(), "2026-01-31".to_owned()));
    assert_eq!(
        (asked[0].org, asked[0].zone, &*asked[0].group_by),
        (None, chrono_tz::Asia::Shanghai, &[By::Day][..])
    );
    assert_eq!((asked[1].org, asked[1].page), (Some(ACME), Page { offset: 40, limit: 21 }));
}

#[tokio::test]
async fn a_wrong_query_is_refused_with_every_problem() {
    let api = Api::new();
    let answer = margins(&api, "?group_by=day,team&org=&page=0&model=y").await;
    assert_eq!(answer.status, 422);
    for field in ["group_by", "org", "page", "model"] {
        assert!(answer.text.contains(&format!("\"{field}\"")), "{field}: {}", answer.text);
    }
    assert_eq!(margins(&api, "?org=nobody").await.status, 404);
    assert!(api.world.state().margins_asked.is_empty());
}

#[tokio::test]
async fn a_next_page_is_told() {
    let api = Api::new();
    api.world.state().margins = vec![sum(&["a"]), sum(&["b"]), sum(&["c"])];
    let answer = margins(&api, "?group_by=model&page_size=2").await;
    assert_eq!(answer.json().as_array().unwrap().len(), 2);
    assert_eq!(answer.headers["x-next-page"], "2");
}
