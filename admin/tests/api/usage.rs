//! `GET /obs/usage`: rows in the contract's order, dates in the organization's zone.

use crate::support::{ACME, ACME_TEAM, Answer, Api, VIEWER};
use aione_core::{
    domain::{money::Pico, usage::Usage},
    ports::{GroupBy, Page, UsageSum},
};
use chrono::NaiveDate;

async fn usage(api: &Api, query: &str) -> Answer {
    api.get(&format!("/obs/usage{query}")).with(VIEWER).send().await
}

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn sum(group: &[&str]) -> UsageSum {
    UsageSum {
        group: group.iter().map(|text| (*text).to_owned()).collect(),
        requests: 2,
        unpriced: 1,
        faults: 1,
        usage: Usage { input: 10, cache_read: 5, output: 7, reasoning: 3, ..Usage::default() },
        cost: Pico(1_050_000),
        latency_ms: 900,
    }
}

const NUMBERS: &str = concat!(
    r#""requests":2,"prompt_tokens":15,"cached_tokens":5,"completion_tokens":10,"#,
    r#""reasoning_tokens":3,"total_tokens":25,"cost_rmb":"0.00000105","unpriced_requests":1}"#
);

#[tokio::test]
async fn rows_are_a_bare_array_with_the_groups_first_in_the_order_asked_for() {
    let api = Api::new();
    api.world.state().sums = vec![sum(&["2026-11-23"])];
    assert_eq!(usage(&api, "").await.text, format!(r#"[{{"day":"2026-11-23",{NUMBERS}]"#));

    api.world.state().sums = vec![sum(&["openai", "gpt-4o-mini", "2026-11-23T14", "t", "k"])];
    let answer = usage(&api, "?group_by=provider,model,hour,team&group_by=key,model").await;
    let groups = r#""provider":"openai","model":"gpt-4o-mini","hour":"2026-11-23T14","team":"t","key":"k""#;
    assert_eq!(answer.text, format!("[{{{groups},{NUMBERS}]"));

    api.world.state().sums.clear();
    assert_eq!(usage(&api, "").await.text, "[]");
}

#[tokio::test]
async fn without_dates_it_is_this_month_of_the_organizations_zone() {
    let api = Api::new();
    usage(&api, "").await;
    usage(&api, "?end_date=2026-02-10").await;
    usage(&api, "?start_date=2026-12-05").await;
    usage(&api, "?start_date=2026-01-01&end_date=2026-01-31&page=3&page_size=20").await;
    let asked = std::mem::take(&mut api.world.state().asked);
    let span = |at: usize| (asked[at].start, asked[at].end);
    assert_eq!(span(0), (date("2026-11-01"), date("2026-11-24")));
    assert_eq!(span(1), (date("2026-02-01"), date("2026-02-10")));
    assert_eq!(span(2), (date("2026-12-05"), date("2026-12-05")));
    assert_eq!(span(3), (date("2026-01-01"), date("2026-01-31")));
    assert_eq!(asked[3].page, Page { offset: 40, limit: 21 });
    assert_eq!((asked[0].org, asked[0].zone), (ACME, chrono_tz::Asia::Shanghai));
    assert_eq!(asked[0].group_by, [GroupBy::Day]);
}

#[tokio::test]
async fn filters_reach_the_store() {
    let api = Api::new();
    let key = uuid::Uuid::from_u128(5);
    usage(&api, &format!("?model=a%2Fb&team_id={ACME_TEAM}&key_id={key}")).await;
    let asked = api.world.state().asked.remove(0);
    assert_eq!(asked.model.as_deref(), Some("a/b"));
    assert_eq!((asked.team, asked.key.map(|id| id.0)), (Some(ACME_TEAM), Some(key)));
}

#[tokio::test]
async fn a_wrong_query_is_refused_with_every_problem() {
    let api = Api::new();
    let query = "?start_date=2026-13-01&end_date=26-1-1&group_by=day,week&model=&team_id=x&key_id=y\
                 &page=0&page_size=10001&format=xml&modle=x";
    assert_eq!(
        usage(&api, query).await.problems(),
        [
            "query.start_date date_parsing",
            "query.end_date date_parsing",
            "query.page greater_than_equal",
            "query.page_size less_than_equal",
            "query.group_by enum",
            "query.model string_too_short",
            "query.team_id uuid_parsing",
            "query.key_id uuid_parsing",
            "query.format enum",
            "query.modle extra_forbidden",
        ]
    );
    let backwards = usage(&api, "?start_date=2026-02-02&end_date=2026-02-01").await;
    assert_eq!(backwards.problems(), ["query.end_date value_error"]);
    assert!(api.world.state().asked.is_empty());
}

#[tokio::test]
async fn a_page_that_is_cut_says_so() {
    let api = Api::new();
    api.world.state().sums = vec![sum(&["2026-11-01"]), sum(&["2026-11-02"]), sum(&["2026-11-03"])];
    let cut = usage(&api, "?page_size=2").await;
    assert_eq!(cut.json().as_array().unwrap().len(), 2);
    assert_eq!(cut.headers["x-next-page"], "2");
    assert!(!usage(&api, "?page_size=3").await.headers.contains_key("x-next-page"));
}

#[tokio::test]
async fn a_spreadsheet_runs_nothing_of_it() {
    let api = Api::new();
    api.world.state().sums = vec![sum(&["=cmd|' /C calc'!A0", "2026-11-23"])];
    let answer = usage(&api, "?format=csv&group_by=model,day").await;
    assert_eq!(answer.headers["content-type"], "text/csv; charset=utf-8");
    assert_eq!(answer.headers["content-disposition"], "attachment; filename=\"usage.csv\"");
    assert_eq!(
        answer.text,
        "model,day,requests,prompt_tokens,cached_tokens,completion_tokens,reasoning_tokens,total_tokens,\
         cost_rmb,unpriced_requests\r\n'=cmd|' /C calc'!A0,2026-11-23,2,15,5,10,3,25,0.00000105,1\r\n"
    );
}

#[tokio::test]
async fn a_file_has_every_row_unless_a_page_is_named() {
    let api = Api::new();
    api.world.state().sums = (1..=30).map(|day| sum(&[&format!("2026-11-{day:02}")])).collect();
    let lines = |answer: &Answer| answer.text.lines().count();
    assert_eq!(lines(&usage(&api, "?format=csv").await), 31);
    let page = usage(&api, "?format=csv&page_size=2").await;
    assert_eq!((lines(&page), page.headers["x-next-page"].to_str().unwrap()), (3, "2"));
    api.world.state().fault = Some(aione_core::ports::StoreError::Unavailable("away".to_owned()));
    for query in ["?format=csv", "?format=csv&page=1"] {
        assert_eq!(usage(&api, query).await.status, 503, "a file that never began is no file");
    }
}
