//! `GET /obs/usage`: what an organization used, summed by what the caller asks for.

mod export;
mod row;

use crate::{
    Admin,
    auth::Reader,
    csv,
    error::Refusal,
    exports::Exports,
    page::PageNumber,
    validate::{Fault, Fields, checks},
};
use aione_core::{
    domain::clock::Timestamp,
    ports::{GroupBy, Organization, UsageQuery},
};
use axum::{
    Extension, Json,
    extract::State,
    http::Uri,
    response::{IntoResponse, Response},
};
use chrono::{Datelike, NaiveDate};
use futures_util::{StreamExt as _, stream};
pub(crate) use row::Group;
use row::UsageRow;
use serde_json::Value;
use std::future;

/// The name of the file.
const FILE: &str = "usage.csv";
/// Rows on one page at most, and by default.
const USAGE_PAGE_MAX: u64 = 10_000;
/// Characters of a model's name in a filter.
const MODEL_NAME_MAX: usize = 512;

#[derive(Clone, Copy)]
enum Format {
    Json,
    Csv {
        /// Every row, where the caller names no page.
        whole: bool,
    },
}

/// Sum the organization's usage.
#[utoipa::path(
    get, path = "/obs/usage", tag = "Usage", operation_id = "listUsage",
    params(
        ("start_date" = Option<chrono::NaiveDate>, Query, description = "`YYYY-MM-DD` in the organization's time zone, inclusive; default: the first of the month"),
        ("end_date" = Option<chrono::NaiveDate>, Query, description = "`YYYY-MM-DD`, inclusive; default: today"),
        ("group_by" = Option<String>, Query, pattern = "^(day|hour|model|team|key|provider)(,(day|hour|model|team|key|provider))*$", description = "Any of `day`, `hour`, `model`, `team`, `key`, `provider`, with commas; default `day`"),
        ("model" = Option<String>, Query, min_length = 1, max_length = 512, description = "Only this model, by its public name"),
        ("team_id" = Option<uuid::Uuid>, Query, description = "Only this team's"),
        ("key_id" = Option<uuid::Uuid>, Query, description = "Only this key's"),
        ("page" = Option<u64>, Query, minimum = 1, maximum = 1_000_000, description = "From 1"),
        ("page_size" = Option<u64>, Query, minimum = 1, maximum = 10_000, description = "1 to 10000, which is the default"),
        ("format" = Option<String>, Query, pattern = "^(json|csv)$", description = "`json`, or `csv`: a file of every row, or of one page where `page` or `page_size` is given"),
    ),
    responses(
        (status = 200, content(([UsageRow] = "application/json"), (String = "text/csv")), description = "The grouping fields asked for, then the numbers; `x-next-page` where more follow"),
        Refusal,
    ),
)]
pub(crate) async fn list(
    State(admin): State<Admin>,
    Extension(exports): Extension<Exports>,
    Reader(org): Reader,
    uri: Uri,
) -> Result<Response, Refusal> {
    let asked = Asked::take(&uri, &org, admin.surroundings.now())?;
    let groups = asked.query.group_by.clone();
    if let Format::Csv { whole: true } = asked.format {
        let turn = exports.begin(org.id)?;
        let lines = export::all(admin.usage.clone(), asked.query);
        return csv::file(turn, FILE, export::header(&groups), lines).await;
    }
    let mut sums = admin.usage.sum_usage(&asked.query).await?;
    let headers = asked.page.cut(&mut sums);
    Ok(match asked.format {
        Format::Json => {
            let rows: Vec<_> = sums.into_iter().map(|sum| UsageRow::of(&groups, sum)).collect();
            (headers, Json(rows)).into_response()
        }
        Format::Csv { .. } => {
            let lines = stream::once(future::ready(Ok(export::lines(&groups, sums)))).boxed();
            (headers, csv::file(exports.begin(org.id)?, FILE, export::header(&groups), lines).await?)
                .into_response()
        }
    })
}

/// The query, checked as a whole.
struct Asked {
    query: UsageQuery,
    page: PageNumber,
    format: Format,
}

impl Asked {
    fn take(uri: &Uri, org: &Organization, now: Timestamp) -> Result<Self, Refusal> {
        let mut fields = Fields::of_query(uri, &["group_by"]);
        let (start, end) = take_dates(&mut fields, now.date_in(org.time_zone));
        let whole = ["page", "page_size"].iter().all(|name| fields.peek(name).is_none());
        let page = PageNumber::take(&mut fields, USAGE_PAGE_MAX);
        let asked = Self {
            query: UsageQuery {
                org: org.id,
                zone: org.time_zone,
                start,
                end,
                group_by: fields.given("group_by", groups).unwrap_or_else(|| vec![GroupBy::Day]),
                model: fields.given("model", checks::text(1, MODEL_NAME_MAX)),
                team: fields.given("team_id", checks::id),
                key: fields.given("key_id", checks::id),
                page: page.rows(),
            },
            page,
            format: fields
                .given("format", checks::one_of(&[("json", Format::Json), ("csv", Format::Csv { whole })]))
                .unwrap_or(Format::Json),
        };
        fields.finish()?;
        Ok(asked)
    }
}

/// Takes `start_date` and `end_date`. An absent end is today, or the start where that is later;
/// an absent start is the first of the end's month.
pub(crate) fn take_dates(fields: &mut Fields, today: NaiveDate) -> (NaiveDate, NaiveDate) {
    let sent_end = fields.peek("end_date").unwrap_or_default();
    let start = fields.given("start_date", checks::date);
    let end = fields.given("end_date", checks::date).unwrap_or_else(|| start.map_or(today, |s| s.max(today)));
    let start = start.unwrap_or_else(|| end.with_day(1).expect("every month has a first day"));
    if end < start {
        fields.blame("end_date", Fault::value("it is before start_date"), sent_end);
    }
    (start, end)
}

fn groups(value: &Value) -> Result<Vec<GroupBy>, Fault> {
    use GroupBy as G;
    let names =
        [G::Day, G::Hour, G::Model, G::Team, G::Key, G::Provider].map(|group| (row::field(group), group));
    checks::some_of(&names)(value)
}
