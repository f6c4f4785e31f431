//! Invoices: read by whoever may read, made and changed by operators.

mod answer;
mod file;
mod page;

use crate::{
    Admin,
    auth::{self, Operator, Reader},
    error::Refusal,
    orgs::in_path,
    page::PageNumber,
    validate::{Fault, Fields, checks},
    write::Write,
};
use aione_core::{
    domain::{
        clock::Timestamp,
        id::{CreditNoteId, InvoiceId, OrgId},
        invoice::{Frame, Month, minor_digits, minor_unit},
        money::Pico,
    },
    ports::{Change, Changed, Organization, Row},
};
use answer::InvoiceListResponse;
pub(crate) use answer::InvoiceResponse;
use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde_json::Value;
use utoipa::ToSchema;

/// What a 404 says it did not find.
const INVOICE: &str = "Invoice";
/// Invoices on one page, at most and by default.
const PAGE_MAX: u64 = 100;
const PAGE_DEFAULT: u64 = 20;
/// Of all pages together.
const TOTAL_COUNT: &str = "x-total-count";
/// Days from an invoice's issue to when it is due.
const DUE_DAYS: i64 = 30;
const DAY_MS: i64 = 86_400_000;
/// Characters of a credit note's reason.
const NOTE_MAX: usize = 512;

type InPath = Result<Path<(String, String)>, PathRejection>;

/// In which form an invoice is asked for.
#[derive(Clone, Copy)]
enum Format {
    Json,
    Csv,
    Html,
}

const FORMATS: [(&str, Format); 3] = [("json", Format::Json), ("csv", Format::Csv), ("html", Format::Html)];

/// A body of `POST /orgs/{org}/invoices/close`.
#[derive(ToSchema)]
#[schema(as = MonthCloseRequest)]
#[expect(dead_code, reason = "it documents the fields, which are taken one by one")]
pub(crate) struct Closing {
    /// A month that has ended in the organization's time zone.
    #[schema(pattern = "^[0-9]{4}-(0[1-9]|1[0-2])$", example = "2026-10")]
    period: String,
}

/// A body of `POST /orgs/{org}/invoices/{invoice_id}/credit-note`.
#[derive(ToSchema)]
#[schema(as = CreditNoteRequest)]
#[expect(dead_code, reason = "it documents the fields, which are taken one by one")]
pub(crate) struct NewCreditNote {
    /// With its tax: a decimal amount above zero, in whole minor units of the currency.
    #[schema(pattern = r"^(0|[1-9][0-9]{0,11})(\.[0-9]{1,3})?$", example = "1.00")]
    amount_rmb: String,
    /// Why, as it stands on the note.
    #[schema(min_length = 1, max_length = 512)]
    note: String,
}

/// List the organization's invoices, the newest first.
#[utoipa::path(
    get, path = "/billing/invoices", tag = "Billing", operation_id = "listInvoices",
    params(
        ("page" = Option<u64>, Query, minimum = 1, maximum = 1_000_000, description = "From 1"),
        ("page_size" = Option<u64>, Query, minimum = 1, maximum = 100, description = "1 to 100, 20 by default"),
    ),
    responses((status = 200, body = Vec<InvoiceListResponse>, description = "`x-total-count` of all pages"), Refusal),
)]
pub(crate) async fn list(
    State(admin): State<Admin>,
    Reader(org): Reader,
    uri: Uri,
) -> Result<(HeaderMap, Json<Vec<InvoiceListResponse>>), Refusal> {
    let mut query = Fields::of_query(&uri, &[]);
    let page = PageNumber::take_or(&mut query, PAGE_MAX, PAGE_DEFAULT);
    query.finish_ignoring_others()?;
    let (mut invoices, total) = admin.invoices.list_invoices(org.id, page.rows()).await?;
    let mut headers = page.cut(&mut invoices);
    headers.insert(TOTAL_COUNT, total.into());
    Ok((headers, Json(invoices.iter().map(InvoiceListResponse::of).collect())))
}

/// Show an invoice with its lines and its credit notes.
#[utoipa::path(
    get, path = "/billing/invoices/{invoice_id}", tag = "Billing", operation_id = "getInvoice",
    params(
        ("invoice_id" = uuid::Uuid, Path),
        ("format" = Option<String>, Query, pattern = "^(json|csv|html)$", description = "`json`, `csv` (a line each) or `html` (a page to be printed); default `json`"),
    ),
    responses(
        (status = 200, content((InvoiceResponse = "application/json"), (String = "text/csv"), (String = "text/html"))),
        Refusal,
    ),
)]
pub(crate) async fn show(
    State(admin): State<Admin>,
    Reader(org): Reader,
    path: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Result<Response, Refusal> {
    let Path(id) = path.map_err(|_| Refusal::NoSuchPath)?;
    let id: InvoiceId = checks::in_path("invoice_id", id)?;
    let mut query = Fields::of_query(&uri, &[]);
    let format = query.given("format", checks::one_of(&FORMATS)).unwrap_or(Format::Json);
    query.finish_ignoring_others()?;
    let invoice = admin.invoices.find_invoice(org.id, id).await?.ok_or(Refusal::NotFound(INVOICE))?;
    Ok(match format {
        Format::Json => Json(InvoiceResponse::of(&invoice)).into_response(),
        Format::Csv => {
            let name = format!("attachment; filename=\"{}.csv\"", answer::number(&invoice));
            let headers = [
                (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
                (header::CONTENT_DISPOSITION, name),
            ];
            (headers, file::lines(&invoice)).into_response()
        }
        Format::Html => page::show(&invoice),
    })
}

/// Close a month: make the draft of its invoice.
///
/// All that was charged before its end and is in no invoice is in this one, also what came late of earlier
/// months; and the fees of its plans, by the day, since the month that was closed before it.
#[utoipa::path(
    post, path = "/orgs/{org}/invoices/close", tag = "Billing", operation_id = "closeMonth", request_body = Closing,
    params(("org" = String, Path, description = "Id or slug")),
    responses((status = 201, body = InvoiceResponse), Refusal),
)]
pub(crate) async fn close(
    State(admin): State<Admin>,
    _: Operator,
    path: Result<Path<String>, PathRejection>,
    write: Write,
) -> Result<Response, Refusal> {
    let org = in_path(&admin, path).await?;
    let mut fields = write.fields()?;
    let month = fields.required("period", month);
    fields.finish()?;
    let month = month.expect("its absence is a problem");
    let now = admin.surroundings.now();
    let [_, end] = month.term(org.time_zone);
    if now < end {
        return Err(Refusal::Conflict("The month has not ended"));
    }
    let mut entropy = [0; 10];
    admin.surroundings.entropy(&mut entropy);
    let frame = Frame {
        id: InvoiceId::new(now, entropy),
        org: org.id,
        customer: org.name.clone(),
        mode: org.terms.mode,
        month,
        zone: org.time_zone,
        currency: admin.config.snapshot().billing.currency.clone(),
        tax_rate: org.tax_rate,
        created_at: now,
    };
    let change = Change::CloseMonth { frame: Box::new(frame) };
    let made = write.make(&admin, org.id, "invoice.close", change, StatusCode::CREATED, answer).await;
    let made = made.map_err(|refusal| refusal.or_conflict("The month, or a later one, is closed already"))?;
    made.ok_or(Refusal::NotFound(INVOICE))
}

/// Issue a draft: it gets its number, is owed from now on, and never changes.
#[utoipa::path(
    post, path = "/orgs/{org}/invoices/{invoice_id}/issue", tag = "Billing", operation_id = "issueInvoice",
    params(("org" = String, Path, description = "Id or slug"), ("invoice_id" = uuid::Uuid, Path)),
    responses((status = 200, body = InvoiceResponse), Refusal),
)]
pub(crate) async fn issue(
    State(admin): State<Admin>,
    _: Operator,
    path: InPath,
    write: Write,
) -> Result<Response, Refusal> {
    let change =
        |org, id, at: Timestamp| Change::IssueInvoice { org, id, at, due_at: at.plus_ms(DUE_DAYS * DAY_MS) };
    go_on(&admin, path, write, "invoice.issue", "The invoice is no draft", change).await
}

/// Note that an issued invoice was paid.
#[utoipa::path(
    post, path = "/orgs/{org}/invoices/{invoice_id}/pay", tag = "Billing", operation_id = "payInvoice",
    params(("org" = String, Path, description = "Id or slug"), ("invoice_id" = uuid::Uuid, Path)),
    responses((status = 200, body = InvoiceResponse), Refusal),
)]
pub(crate) async fn pay(
    State(admin): State<Admin>,
    _: Operator,
    path: InPath,
    write: Write,
) -> Result<Response, Refusal> {
    let change = |org, id, at| Change::PayInvoice { org, id, at };
    go_on(&admin, path, write, "invoice.pay", "The invoice is not waiting to be paid", change).await
}

/// Make an invoice void.
///
/// What a draft held will be in the next invoice. What is left of an issued one is taken back, and it keeps
/// its number.
#[utoipa::path(
    post, path = "/orgs/{org}/invoices/{invoice_id}/void", tag = "Billing", operation_id = "voidInvoice",
    params(("org" = String, Path, description = "Id or slug"), ("invoice_id" = uuid::Uuid, Path)),
    responses((status = 200, body = InvoiceResponse), Refusal),
)]
pub(crate) async fn void(
    State(admin): State<Admin>,
    _: Operator,
    path: InPath,
    write: Write,
) -> Result<Response, Refusal> {
    let change = |org, id, at| Change::VoidInvoice { org, id, at };
    go_on(
        &admin,
        path,
        write,
        "invoice.void",
        "The invoice is paid or void, or a draft with a later month closed",
        change,
    )
    .await
}

/// Take back a part of an issued or paid invoice, by a credit note.
#[utoipa::path(
    post, path = "/orgs/{org}/invoices/{invoice_id}/credit-note", tag = "Billing", operation_id = "creditInvoice",
    params(("org" = String, Path, description = "Id or slug"), ("invoice_id" = uuid::Uuid, Path)),
    request_body = NewCreditNote, responses((status = 201, body = InvoiceResponse), Refusal),
)]
pub(crate) async fn credit(
    State(admin): State<Admin>,
    _: Operator,
    path: InPath,
    write: Write,
) -> Result<Response, Refusal> {
    let (org, id) = named(&admin, path).await?;
    let snapshot = admin.config.snapshot();
    let currency = &snapshot.billing.currency;
    let mut fields = write.fields()?;
    let amount = fields.required("amount_rmb", |value| whole_amount(value, currency));
    let note = fields.required("note", checks::text(1, NOTE_MAX));
    fields.finish()?;
    let at = admin.surroundings.now();
    let mut entropy = [0; 10];
    admin.surroundings.entropy(&mut entropy);
    let change = Change::CreditInvoice {
        org: org.id,
        id,
        credit: CreditNoteId::new(at, entropy),
        amount: amount.expect("its absence is a problem"),
        note: note.expect("its absence is a problem"),
        at,
    };
    let made = write.make(&admin, org.id, "invoice.credit", change, StatusCode::CREATED, answer).await;
    let made = made.map_err(|refusal| {
        refusal.or_conflict("The invoice is neither issued nor paid, or has less left than that")
    })?;
    made.ok_or(Refusal::NotFound(INVOICE))
}

/// Makes a change that needs to know no more than which invoice; `refused`: what a conflict means.
async fn go_on(
    admin: &Admin,
    path: InPath,
    write: Write,
    action: &'static str,
    refused: &'static str,
    change: impl FnOnce(OrgId, InvoiceId, Timestamp) -> Change,
) -> Result<Response, Refusal> {
    let (org, id) = named(admin, path).await?;
    write.says_nothing()?;
    let change = change(org.id, id, admin.surroundings.now());
    let made = write.make(admin, org.id, action, change, StatusCode::OK, answer).await;
    made.map_err(|refusal| refusal.or_conflict(refused))?.ok_or(Refusal::NotFound(INVOICE))
}

/// The organization and the invoice of a path.
async fn named(admin: &Admin, path: InPath) -> Result<(Organization, InvoiceId), Refusal> {
    let Path((org, id)) = path.map_err(|_| Refusal::NoSuchPath)?;
    let id = checks::in_path("invoice_id", id)?;
    Ok((auth::find_organization(admin, &org).await?, id))
}

fn answer(changed: &Changed) -> Option<InvoiceResponse> {
    match changed.row() {
        Row::Invoice(invoice) => Some(InvoiceResponse::of(invoice)),
        _ => None,
    }
}

fn month(value: &Value) -> Result<Month, Fault> {
    let text = checks::text(1, "2026-11".len())(value)?;
    text.parse().map_err(|_| Fault::value("a month such as `2026-11`"))
}

fn whole_amount(value: &Value, currency: &str) -> Result<Pico, Fault> {
    let amount = checks::budget(value)?;
    if amount == Pico::ZERO || amount.0 % minor_unit(currency).0 != 0 {
        let digits = minor_digits(currency);
        return Err(Fault::value(format!("it must be above zero and have at most {digits} decimals")));
    }
    Ok(amount)
}

fn time(at: Option<Timestamp>) -> Option<String> {
    at.map(Timestamp::rfc3339)
}
