//! `GET /obs/requests`: an organization's single usage records, newest first.

mod export;
mod row;

use crate::{
    Admin,
    auth::Reader,
    csv,
    cursor::Cursors,
    error::Refusal,
    exports::Exports,
    validate::{Fault, Fields, checks},
};
use aione_core::{
    domain::{
        id::RecordId,
        usage::{End, UsageRecord},
    },
    ports::{Organization, RecordPlace, RecordQuery},
};
use axum::{
    Extension, Json,
    extract::State,
    http::Uri,
    response::{IntoResponse as _, Response},
};
use row::RequestRow;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// Rows on one page, at most and by default.
const PAGE_MAX: u64 = 200;
const PAGE_DEFAULT: u64 = 50;
/// Characters of a model's name in a filter.
const MODEL_NAME_MAX: usize = 512;

#[derive(Serialize, ToSchema)]
pub(crate) struct RequestList {
    items: Vec<RequestRow>,
    /// For `cursor`, to go on; `null`: there is no more.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

/// List single requests, newest first.
#[utoipa::path(
    get, path = "/obs/requests", tag = "Usage", operation_id = "listRequests",
    params(
        ("start_date" = Option<chrono::NaiveDate>, Query, description = "`YYYY-MM-DD` in the organization's time zone, inclusive"),
        ("end_date" = Option<chrono::NaiveDate>, Query, description = "`YYYY-MM-DD`, inclusive"),
        ("model" = Option<String>, Query, min_length = 1, max_length = 512, description = "Only this model, by its public name"),
        ("team_id" = Option<uuid::Uuid>, Query, description = "Only this team's"),
        ("key_id" = Option<uuid::Uuid>, Query, description = "Only this key's"),
        ("outcome" = Option<String>, Query, pattern = "^(complete|client_closed|upstream_aborted|upstream_error|internal_error|interrupted)$", description = "`complete`, `client_closed`, `upstream_aborted`, `upstream_error`, `internal_error` or `interrupted`"),
        ("request_id" = Option<uuid::Uuid>, Query, description = "Only this one, by its `x-request-id`"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
        ("page_size" = Option<u64>, Query, minimum = 1, maximum = 200, description = "1 to 200, 50 by default"),
        ("format" = Option<String>, Query, pattern = "^(json|csv)$", description = "`json`, or `csv`: a file of all that follows `cursor`, or of all"),
    ),
    responses(
        (status = 200, content((RequestList = "application/json"), (String = "text/csv"))),
        Refusal,
    ),
)]
pub(crate) async fn list(
    State(admin): State<Admin>,
    Extension(exports): Extension<Exports>,
    Reader(org): Reader,
    uri: Uri,
) -> Result<Response, Refusal> {
    let cursors = Cursors::new(&admin, "requests", Some(org.id));
    let (query, is_csv) = take(&uri, &org, &cursors)?;
    if is_csv {
        let turn = exports.begin(org.id)?;
        let lines = export::all(admin.usage.clone(), query);
        return csv::file(turn, "requests.csv", export::header(), lines).await;
    }
    let mut records = admin.usage.find_records(&query).await?;
    // One more was asked for than is shown, to know whether there are more.
    let size = usize::try_from(query.limit - 1).unwrap_or(usize::MAX);
    let has_more = records.len() > size;
    records.truncate(size);
    let next_cursor = records
        .last()
        .filter(|_| has_more)
        .map(|UsageRecord { opened, .. }| cursors.seal_place(opened.started_at, opened.id.0));
    let items = records.iter().map(RequestRow::of).collect();
    Ok(Json(RequestList { items, next_cursor }).into_response())
}

/// The query, checked as a whole, and whether a file is asked for.
fn take(uri: &Uri, org: &Organization, cursors: &Cursors) -> Result<(RecordQuery, bool), Refusal> {
    let mut fields = Fields::of_query(uri, &[]);
    let sent_end = fields.peek("end_date").unwrap_or_default();
    let start = fields.given("start_date", checks::date);
    let end = fields.given("end_date", checks::date);
    if start.zip(end).is_some_and(|(start, end)| end < start) {
        fields.blame("end_date", Fault::value("it is before start_date"), sent_end);
    }
    let query = RecordQuery {
        org: org.id,
        zone: org.time_zone,
        start,
        end,
        model: fields.given("model", checks::text(1, MODEL_NAME_MAX)),
        team: fields.given("team_id", checks::id),
        key: fields.given("key_id", checks::id),
        end_is: fields.given("outcome", outcome),
        id: fields.given("request_id", checks::id),
        after: fields.given("cursor", |value: &Value| {
            let (started_at, id) = cursors.open_place(value)?;
            Ok(RecordPlace { started_at, id: RecordId(id) })
        }),
        limit: fields.given("page_size", checks::digits(1, PAGE_MAX)).unwrap_or(PAGE_DEFAULT) + 1,
    };
    let is_csv = fields.given("format", checks::one_of(&[("json", false), ("csv", true)]));
    fields.finish()?;
    Ok((query, is_csv.unwrap_or(false)))
}

fn outcome(value: &Value) -> Result<End, Fault> {
    let ends = [
        End::Complete,
        End::ClientClosed,
        End::UpstreamAborted,
        End::UpstreamError,
        End::InternalError,
        End::Interrupted,
    ];
    checks::one_of(&ends.map(|end| (end.as_str(), end)))(value)
}
