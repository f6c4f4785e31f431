//! `GET /obs/requests`: single records, with cursors that nobody can make up.

use crate::support::{ACME, ACME_TEAM, Answer, Api, GLOBEX, NOW, OTHER_OWNER, VIEWER};
use aione_core::{
    domain::{
        id::{KeyId, OrgId, RecordId},
        money::Pico,
        outlay::Outlay,
        usage::{Closed, End, Opened, Provenance, Usage, UsageRecord},
    },
    ports::RecordPlace,
};
use axum::http::Version;
use std::sync::Arc;

async fn requests(api: &Api, query: &str) -> Answer {
    api.get(&format!("/obs/requests{query}")).with(VIEWER).send().await
}

fn record(number: u128, org: OrgId) -> UsageRecord {
    let id = RecordId(uuid::Uuid::from_u128(number));
    UsageRecord {
        opened: Opened {
            id,
            started_at: NOW.plus_ms(i64::try_from(number).unwrap()),
            org,
            team: ACME_TEAM,
            key: KeyId(uuid::Uuid::from_u128(0xc)),
            model: Arc::from("gpt-4o-mini"),
            dialect: Arc::from("openai_chat"),
            provider: Arc::from("first"),
            sandbox: false,
            streamed: true,
            price_version: 1,
            estimated_input: 1,
        },
        closed: Closed {
            id,
            provider: Arc::from("openai"),
            upstream_model: Arc::from("the-operators-name-for-it"),
            end: End::Complete,
            status: 200,
            attempts: 2,
            usage: Usage { input: 10, cache_read: 5, output: 7, reasoning: 3, ..Usage::default() },
            provenance: Provenance::Provider,
            flagged: false,
            unpriced: number == 3,
            latency_ms: 900,
            first_byte_ms: 80,
            cost: Pico(1_050_000),
            outlay: Outlay::default(),
        },
    }
}

/// Five of acme's and two of globex's, the newest first.
fn world() -> Api {
    let api = Api::new();
    let records = (1..=7_u128).rev().map(|number| record(number, if number > 5 { GLOBEX } else { ACME }));
    api.world.state().records = records.collect();
    api
}

fn ids(answer: &Answer) -> Vec<u128> {
    let answer = answer.json();
    let ids = answer["items"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned());
    ids.map(|id| id.parse::<uuid::Uuid>().unwrap().as_u128()).collect()
}

#[tokio::test]
async fn a_row_has_its_fields_in_order_and_nothing_of_the_operators() {
    let api = Api::new();
    api.world.state().records = vec![record(3, ACME)];
    let expect = concat!(
        r#"{"items":[{"id":"00000000-0000-0000-0000-000000000003","started_at":"2026-11-23T16:30:00.003Z","#,
        r#""team_id":"00000000-0000-0000-0000-0000000000a1","key_id":"00000000-0000-0000-0000-00000000000c","#,
        r#""model":"gpt-4o-mini","provider":"openai","dialect":"openai_chat","streamed":true,"#,
        r#""is_sandbox":false,"outcome":"complete","status":200,"attempts":2,"prompt_tokens":15,"#,
        r#""cached_tokens":5,"completion_tokens":10,"reasoning_tokens":3,"total_tokens":25,"#,
        r#""provenance":"provider","cost_rmb":null,"latency_ms":900,"first_byte_ms":80}],"next_cursor":null}"#,
    );
    assert_eq!(requests(&api, "").await.text, expect);
    api.world.state().records = vec![record(2, ACME)];
    assert_eq!(requests(&api, "").await.json()["items"][0]["cost_rmb"], "0.00000105");
}

#[tokio::test]
async fn pages_go_on_where_they_ended() {
    let api = world();
    let first = requests(&api, "?page_size=2").await;
    assert_eq!(ids(&first), [5, 4]);
    let next = |answer: &Answer| answer.json()["next_cursor"].as_str().map(str::to_owned);
    let second = requests(&api, &format!("?page_size=2&cursor={}", next(&first).unwrap())).await;
    assert_eq!(ids(&second), [3, 2]);
    let last = requests(&api, &format!("?page_size=2&cursor={}", next(&second).unwrap())).await;
    assert_eq!((ids(&last), next(&last)), (vec![1], None));
    let asked = &api.world.state().looked_for;
    let place = |number: u128| RecordPlace {
        started_at: NOW.plus_ms(i64::try_from(number).unwrap()),
        id: RecordId(uuid::Uuid::from_u128(number)),
    };
    assert_eq!(
        asked.iter().map(|query| query.after).collect::<Vec<_>>(),
        [None, Some(place(4)), Some(place(2))]
    );
    assert!(asked.iter().all(|query| query.org == ACME && query.limit == 3));
}

#[tokio::test]
async fn a_cursor_that_is_not_of_this_list_is_refused() {
    let api = world();
    let theirs = api.get("/obs/requests?page_size=1").with(OTHER_OWNER).send().await;
    assert_eq!(ids(&theirs), [7]);
    let theirs = theirs.json()["next_cursor"].as_str().unwrap().to_owned();
    let ours = requests(&api, "?page_size=1").await.json()["next_cursor"].as_str().unwrap().to_owned();
    let other = if ours.starts_with('A') { "B" } else { "A" };
    let forged = format!("{other}{}", &ours[1..]);
    for cursor in [theirs.as_str(), &forged, &ours[1..], "", "5", "AAAA", "%00", "é"] {
        let refused = requests(&api, &format!("?cursor={cursor}")).await;
        assert_eq!(refused.problems(), ["query.cursor value_error"], "{cursor}");
    }
    assert_eq!(requests(&api, &format!("?cursor={ours}")).await.status, 200);
}

#[tokio::test]
async fn filters_reach_the_store() {
    let api = Api::new();
    let key = uuid::Uuid::from_u128(5);
    let query = format!(
        "?start_date=2026-11-01&end_date=2026-11-02&model=a%2Fb&team_id={ACME_TEAM}&key_id={key}\
         &outcome=upstream_error&request_id={key}&page_size=200"
    );
    assert_eq!(requests(&api, &query).await.text, r#"{"items":[],"next_cursor":null}"#);
    let asked = api.world.state().looked_for.remove(0);
    assert_eq!(asked.start.zip(asked.end).unwrap().1.to_string(), "2026-11-02");
    assert_eq!((asked.org, asked.zone, asked.limit), (ACME, chrono_tz::Asia::Shanghai, 201));
    assert_eq!(
        (asked.model.as_deref(), asked.team, asked.end_is),
        (Some("a/b"), Some(ACME_TEAM), Some(End::UpstreamError))
    );
    assert_eq!((asked.key.unwrap().0, asked.id.unwrap().0), (key, key));
    requests(&api, "").await;
    assert_eq!(api.world.state().looked_for[0].limit, 51);
}

#[tokio::test]
async fn a_wrong_query_is_refused_with_every_problem() {
    let api = Api::new();
    let query = "?start_date=2026-13-01&end_date=x&model=&team_id=x&key_id=y&outcome=lost&request_id=z\
                 &page_size=0&page=2";
    assert_eq!(
        requests(&api, query).await.problems(),
        [
            "query.start_date date_parsing",
            "query.end_date date_parsing",
            "query.model string_too_short",
            "query.team_id uuid_parsing",
            "query.key_id uuid_parsing",
            "query.outcome enum",
            "query.request_id uuid_parsing",
            "query.page_size greater_than_equal",
            "query.page extra_forbidden",
        ]
    );
    assert_eq!(requests(&api, "?page_size=201").await.problems(), ["query.page_size less_than_equal"]);
    let backwards = requests(&api, "?start_date=2026-02-02&end_date=2026-02-01").await;
    assert_eq!(backwards.problems(), ["query.end_date value_error"]);
    assert!(api.world.state().looked_for.is_empty());
}

#[tokio::test]
async fn a_file_has_every_request_and_is_read_page_by_page() {
    let api = world();
    let file = requests(&api, "?format=csv").await;
    assert_eq!(file.headers["content-type"], "text/csv; charset=utf-8");
    assert_eq!(file.headers["content-disposition"], "attachment; filename=\"requests.csv\"");
    let mut lines = file.text.lines();
    let header = lines.next().unwrap();
    assert!(header.starts_with("id,started_at,team_id,") && header.ends_with(",latency_ms,first_byte_ms"));
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    assert!(rows.iter().all(|row| row.len() == header.split(',').count()));
    let ids: Vec<_> = rows.iter().map(|row| row[0].parse::<uuid::Uuid>().unwrap().as_u128()).collect();
    assert_eq!(ids, [5, 4, 3, 2, 1], "no row of another organization");

    api.world.state().looked_for.clear();
    api.world.state().records = (0..4_500).rev().map(|number| record(number, ACME)).collect();
    assert_eq!(requests(&api, "?format=csv").await.text.lines().count(), 4_501);
    assert_eq!(api.world.state().looked_for.len(), 3);
    assert_eq!(requests(&api, "?format=xml").await.problems(), ["query.format enum"]);
}

#[tokio::test]
async fn a_file_for_http_1_0_is_sent_with_its_length_or_not_at_all() {
    let api = world();
    let file = async |version| api.get("/obs/requests?format=csv").with(VIEWER).by(version).send().await;
    let (whole, old) = (file(Version::HTTP_11).await, file(Version::HTTP_10).await);
    assert_eq!(whole.length, None);
    assert_eq!((old.length, &old.text), (Some(whole.text.len() as u64), &whole.text));
    api.world.state().records = (0..30_000).rev().map(|number| record(number, ACME)).collect();
    assert_eq!(file(Version::HTTP_11).await.text.lines().count(), 30_001);
    let refused = file(Version::HTTP_10).await;
    assert_eq!(refused.refusal(), (505, "http_version_not_supported".to_owned()));
}
