//! What the calls on invoices answer.

use super::time;
use aione_core::domain::{
    id::{InvoiceId, OrgId},
    invoice::{CreditNote, Invoice, Line, What, number_of_credit_note, number_of_invoice},
    money::Pico,
};
use serde::Serialize;
use utoipa::ToSchema;

/// An invoice in a list.
#[derive(Serialize, ToSchema)]
pub(crate) struct InvoiceListResponse {
    #[schema(value_type = uuid::Uuid)]
    id: InvoiceId,
    #[schema(value_type = uuid::Uuid)]
    org_id: OrgId,
    /// `INV-000001`; empty: it was never issued.
    number: String,
    /// Inclusive, in the organization's time zone.
    #[schema(format = Date)]
    period_start: String,
    /// Inclusive, in the organization's time zone.
    #[schema(format = Date)]
    period_end: String,
    currency: String,
    subtotal_rmb: String,
    tax_rmb: String,
    amount_rmb: String,
    /// `draft`, `issued`, `paid` or `void`.
    status: String,
    #[schema(required = true, format = DateTime)]
    issued_at: Option<String>,
    #[schema(required = true, format = DateTime)]
    due_at: Option<String>,
    #[schema(required = true, format = DateTime)]
    paid_at: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
}

/// An invoice, whole.
#[derive(Serialize, ToSchema)]
pub(crate) struct InvoiceResponse {
    #[serde(flatten)]
    invoice: InvoiceListResponse,
    /// `prepaid`: it was paid from the balance; `postpaid`: it is to be paid.
    billing_mode: &'static str,
    /// The organization's, when the month was closed.
    time_zone: &'static str,
    tax_rate_pct: String,
    /// What credit notes took back.
    credited_rmb: String,
    lines: Vec<InvoiceLine>,
    credit_notes: Vec<CreditNoteResponse>,
}

/// What one model and class came to in one month, or a plan's fee.
#[derive(Serialize, ToSchema)]
pub(crate) struct InvoiceLine {
    /// `usage` or `fee`.
    kind: &'static str,
    /// In the organization's time zone; before the invoice's own: what came late.
    #[schema(required = true)]
    month: Option<String>,
    #[schema(required = true)]
    model: Option<String>,
    /// `input`, `output`, …: as in a price.
    #[schema(required = true)]
    class: Option<&'static str>,
    /// Of usage: tokens, images, searches, characters, seconds or requests. Of a fee: days.
    quantity: u64,
    /// Of usage: before it is rounded.
    #[schema(required = true)]
    exact_rmb: Option<String>,
    /// Of a fee: the plan's code.
    #[schema(required = true)]
    plan: Option<String>,
    /// Of a fee: for a whole month.
    #[schema(required = true)]
    monthly_fee: Option<String>,
    amount_rmb: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct CreditNoteResponse {
    id: uuid::Uuid,
    /// `CN-000001`.
    number: String,
    /// With its tax.
    amount_rmb: String,
    tax_rmb: String,
    note: String,
    #[schema(format = DateTime)]
    issued_at: String,
}

/// As it stands on the invoice.
pub(super) fn number(invoice: &Invoice) -> String {
    invoice.number.map_or_else(|| format!("draft-{}", invoice.frame.month), number_of_invoice)
}

impl InvoiceListResponse {
    pub(crate) fn of(invoice: &Invoice) -> Self {
        let frame = &invoice.frame;
        let [first, next] = frame.month.days();
        Self {
            id: frame.id,
            org_id: frame.org,
            number: invoice.number.map(number_of_invoice).unwrap_or_default(),
            period_start: first.to_string(),
            period_end: next.pred_opt().unwrap_or(next).to_string(),
            currency: frame.currency.clone(),
            subtotal_rmb: invoice.subtotal.to_decimal(),
            tax_rmb: invoice.tax.to_decimal(),
            amount_rmb: invoice.amount().to_decimal(),
            status: invoice.status.as_str().to_owned(),
            issued_at: time(invoice.issued_at),
            due_at: time(invoice.due_at),
            paid_at: time(invoice.paid_at),
            created_at: frame.created_at.rfc3339(),
        }
    }
}

impl InvoiceResponse {
    pub(crate) fn of(invoice: &Invoice) -> Self {
        let frame = &invoice.frame;
        Self {
            invoice: InvoiceListResponse::of(invoice),
            billing_mode: frame.mode.as_str(),
            time_zone: frame.zone.name(),
            tax_rate_pct: frame.tax_rate.to_percent(),
            credited_rmb: invoice.credited().to_decimal(),
            lines: invoice.lines.iter().map(InvoiceLine::of).collect(),
            credit_notes: invoice.credits.iter().map(CreditNoteResponse::of).collect(),
        }
    }
}

impl InvoiceLine {
    fn of(line: &Line) -> Self {
        let amount_rmb = line.amount.to_decimal();
        match &line.what {
            What::Usage { month, model, class, quantity, exact } => Self {
                kind: "usage",
                month: Some(month.clone()),
                model: Some(model.to_string()),
                class: Some(class.as_str()),
                quantity: *quantity,
                exact_rmb: Some(exact.to_decimal()),
                plan: None,
                monthly_fee: None,
                amount_rmb,
            },
            What::Fee { month, plan, monthly, days, .. } => Self {
                kind: "fee",
                month: Some(month.clone()),
                model: None,
                class: None,
                quantity: (*days).into(),
                exact_rmb: None,
                plan: Some(plan.to_string()),
                monthly_fee: Some(monthly.to_decimal()),
                amount_rmb,
            },
        }
    }
}

impl CreditNoteResponse {
    fn of(credit: &CreditNote) -> Self {
        let CreditNote { id, number, amount, tax, note, issued_at, .. } = credit;
        Self {
            id: id.0,
            number: number_of_credit_note(*number),
            amount_rmb: Pico::to_decimal(*amount),
            tax_rmb: tax.to_decimal(),
            note: note.clone(),
            issued_at: issued_at.rfc3339(),
        }
    }
}
