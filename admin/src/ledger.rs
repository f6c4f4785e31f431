//! The ledger: `GET /billing/ledger` for whoever may read, `POST /orgs/{org}/credits` for operators.

use crate::{
    Admin,
    auth::{Operator, Reader},
    cursor::Cursors,
    error::Refusal,
    orgs::in_path,
    validate::{Fault, Fields, checks},
    write::Write,
};
use aione_core::{
    domain::{
        clock::Timestamp,
        id::{EntryId, OrgId},
        ledger::{Entry, Kind},
        money::Pico,
    },
    ports::{Change, Changed, EntryPlace, Row},
};
use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    http::{StatusCode, Uri},
    response::Response,
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// Entries on one page, at most and by default.
const PAGE_MAX: u64 = 200;
const PAGE_DEFAULT: u64 = 50;
/// Characters of a note.
const NOTE_MAX: usize = 512;

/// An entry of the ledger.
#[derive(Serialize, ToSchema)]
pub(crate) struct LedgerEntryResponse {
    #[schema(value_type = uuid::Uuid)]
    id: EntryId,
    #[schema(value_type = uuid::Uuid)]
    org_id: OrgId,
    /// When it counts: of usage, when the request started.
    #[schema(format = DateTime)]
    at: String,
    /// When it was entered.
    #[schema(format = DateTime)]
    recorded_at: String,
    /// `usage`, `top_up` or `adjustment`.
    kind: &'static str,
    /// The account that the amount leaves: `customer`, `cash` or `adjustments`.
    debit: &'static str,
    /// The account that it goes to: `customer` or `usage`.
    credit: &'static str,
    /// A decimal amount in the billing currency; only an adjustment can be negative.
    amount_rmb: String,
    /// Of usage: the request.
    #[schema(required = true, value_type = Option<uuid::Uuid>)]
    request_id: Option<String>,
    /// Of usage: the model's public name.
    #[schema(required = true)]
    model: Option<String>,
    #[schema(required = true)]
    note: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct LedgerList {
    items: Vec<LedgerEntryResponse>,
    /// For `cursor`, to go on; `null`: there is no more.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

/// A body of `POST /orgs/{org}/credits`.
#[derive(ToSchema)]
#[schema(as = CreditRequest)]
#[expect(dead_code, reason = "it documents the fields, which are taken one by one")]
pub(crate) struct NewCredit {
    /// A decimal amount in the billing currency, of at most twelve decimals. Above zero; an adjustment may
    /// be below it.
    #[schema(pattern = r"^-?(0|[1-9][0-9]{0,11})(\.[0-9]{1,12})?$", example = "100.00")]
    amount_rmb: String,
    /// `top_up` or `adjustment`.
    #[schema(pattern = "^(top_up|adjustment)$")]
    kind: String,
    /// For people.
    #[schema(min_length = 1, max_length = 512)]
    note: Option<String>,
}

/// List what the organization was charged and what it paid, the newest first.
#[utoipa::path(
    get, path = "/billing/ledger", tag = "Billing", operation_id = "listLedger",
    params(
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
        ("page_size" = Option<u64>, Query, minimum = 1, maximum = 200, description = "1 to 200, 50 by default"),
    ),
    responses((status = 200, body = LedgerList), Refusal),
)]
pub(crate) async fn list(
    State(admin): State<Admin>,
    Reader(org): Reader,
    uri: Uri,
) -> Result<Json<LedgerList>, Refusal> {
    let cursors = Cursors::new(&admin, "ledger", Some(org.id));
    let mut query = Fields::of_query(&uri, &[]);
    let after = query.given("cursor", |value: &Value| {
        let (at, id) = cursors.open_place(value)?;
        Ok(EntryPlace { at, id: EntryId(id) })
    });
    let size = query.given("page_size", checks::digits(1, PAGE_MAX)).unwrap_or(PAGE_DEFAULT);
    query.finish_ignoring_others()?;
    let size = u32::try_from(size).unwrap_or(u32::MAX);
    // One more than is shown, to know whether there are more.
    let mut entries = admin.ledger.find_entries(org.id, after, size + 1).await?;
    let has_more = entries.len() > size as usize;
    entries.truncate(size as usize);
    let last = entries.last().filter(|_| has_more);
    let next_cursor = last.map(|entry| cursors.seal_place(entry.at, entry.id.0));
    Ok(Json(LedgerList { items: entries.iter().map(LedgerEntryResponse::of).collect(), next_cursor }))
}

/// Give an organization credit, or take some back.
#[utoipa::path(
    post, path = "/orgs/{org}/credits", tag = "Billing", operation_id = "createCredit", request_body = NewCredit,
    params(("org" = String, Path, description = "Id or slug")),
    responses((status = 201, body = LedgerEntryResponse), Refusal),
)]
pub(crate) async fn credit(
    State(admin): State<Admin>,
    _: Operator,
    path: Result<Path<String>, PathRejection>,
    write: Write,
) -> Result<Response, Refusal> {
    let org = in_path(&admin, path).await?;
    let mut fields = write.fields()?;
    let kinds = [Kind::TopUp, Kind::Adjustment].map(|kind| (kind.as_str(), kind));
    let kind = fields.required("kind", checks::one_of(&kinds));
    let amount = fields.required("amount_rmb", |value| amount(value, kind));
    let note = fields.nullable("note", checks::text(1, NOTE_MAX)).flatten();
    fields.finish()?;
    let now = admin.surroundings.now();
    let mut entropy = [0; 10];
    admin.surroundings.entropy(&mut entropy);
    let entry = Entry {
        id: EntryId::new(now, entropy),
        org: org.id,
        at: now,
        recorded_at: now,
        kind: kind.expect("its absence is a problem"),
        amount: amount.expect("its absence is a problem"),
        model: None,
        note,
    };
    let change = Change::Enter(entry);
    let made = write.make(&admin, org.id, "credit.create", change, StatusCode::CREATED, answer).await?;
    made.ok_or(Refusal::NotFound("Organization"))
}

fn answer(changed: &Changed) -> Option<LedgerEntryResponse> {
    match changed.row() {
        Row::Entry(entry) => Some(LedgerEntryResponse::of(entry)),
        _ => None,
    }
}

/// What is paid is above zero; what is put right may be on either side of it.
fn amount(value: &Value, kind: Option<Kind>) -> Result<Pico, Fault> {
    let amount = checks::money(value)?;
    if amount == Pico::ZERO || (kind == Some(Kind::TopUp) && amount < Pico::ZERO) {
        return Err(Fault::value("it must be above zero, or of an adjustment below it"));
    }
    if amount.0.abs() >= checks::AMOUNT_MAX.0 {
        return Err(Fault::value(format!("it must be below {}", checks::AMOUNT_MAX)));
    }
    Ok(amount)
}

impl LedgerEntryResponse {
    pub(crate) fn of(entry: &Entry) -> Self {
        let (debit, credit) = entry.kind.sides();
        Self {
            id: entry.id,
            org_id: entry.org,
            at: Timestamp::rfc3339(entry.at),
            recorded_at: Timestamp::rfc3339(entry.recorded_at),
            kind: entry.kind.as_str(),
            debit: debit.as_str(),
            credit: credit.as_str(),
            amount_rmb: entry.amount.to_decimal(),
            request_id: entry.record().map(|id| id.to_string()),
            model: entry.model.as_deref().map(str::to_owned),
            note: entry.note.clone(),
        }
    }
}
