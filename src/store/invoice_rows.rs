//! Rows of invoices, credit notes and their numbers.

use super::{
    charge_rows,
    engine::Db,
    ledger_rows, plan_rows,
    rollups::turn_of,
    row::{Row, corrupt, saturated, to_json},
    statement::{Statement, marks},
};
use aione_core::{
    domain::{
        budget::BillingMode,
        clock::Timestamp,
        id::{CreditNoteId, InvoiceId, OrgId},
        invoice::{CreditNote, Fee, Frame, Invoice, Month, Status, TaxRate},
        ledger::{Account, Entry},
        money::Pico,
    },
    ports::{Page, StoreError},
};

/// In the order in which [`insert`] binds them.
const INVOICE: &str = "id, org_id, customer, month, time_zone, billing_mode, currency, tax_rate_pct, created_at, lines, subtotal, \
                       tax, number, status, issued_at, due_at, paid_at, paid";
const CREDIT: &str = "id, invoice_id, number, amount, tax, note, issued_at";

/// Which invoices have closed their month for good: all but drafts that became void.
const COUNTS: &str = "(status <> 'void' OR number IS NOT NULL)";

/// The newest first.
pub(super) async fn list(db: &mut Db, org: OrgId, page: Page) -> Result<Vec<Invoice>, StoreError> {
    let select = format!(
        "SELECT {INVOICE} FROM invoices WHERE org_id = ? ORDER BY created_at DESC, id DESC LIMIT ? OFFSET ?"
    );
    let select = Statement::new(select).bind(org).bind(saturated(page.limit)).bind(saturated(page.offset));
    let rows = db.all(select).await?;
    rows.iter().map(|row| invoice_of(row, Vec::new())).collect()
}

pub(super) async fn count(db: &mut Db, org: OrgId) -> Result<u64, StoreError> {
    let count = Statement::new("SELECT COUNT(*) FROM invoices WHERE org_id = ?").bind(org);
    db.one(count).await?.unsigned(0)
}

/// With its credit notes.
pub(super) async fn find(db: &mut Db, org: OrgId, id: InvoiceId) -> Result<Option<Invoice>, StoreError> {
    let select = format!("SELECT {INVOICE} FROM invoices WHERE org_id = ? AND id = ?");
    let Some(row) = db.optional(Statement::new(select).bind(org).bind(id)).await? else { return Ok(None) };
    let credits = credits_of(db, id).await?;
    invoice_of(&row, credits).map(Some)
}

/// Every organization's, in the order of their ids, with their credit notes.
pub(super) async fn list_all(
    db: &mut Db,
    after: Option<InvoiceId>,
    limit: u32,
) -> Result<Vec<Invoice>, StoreError> {
    let mut sql = Statement::new(format!("SELECT {INVOICE} FROM invoices"));
    if let Some(after) = after {
        sql.push(" WHERE id > ").push_value(after);
    }
    sql.push(" ORDER BY id LIMIT ").push_value(limit);
    let mut invoices = Vec::new();
    for row in db.all(sql).await? {
        let credits = credits_of(db, InvoiceId(row.uuid("id")?)).await?;
        invoices.push(invoice_of(&row, credits)?);
    }
    Ok(invoices)
}

/// Makes the draft of a month, of all that was charged before its end and is in no invoice, and of the fees
/// since the month that was closed before it; of the first one, its own.
pub(super) async fn close(db: &mut Db, frame: Frame) -> Result<Invoice, StoreError> {
    let (org, id) = (frame.org, frame.id);
    let [_, until] = frame.month.term(frame.zone);
    let last = format!("SELECT MAX(month) FROM invoices WHERE org_id = ? AND {COUNTS}");
    let last: Option<String> = db.one(Statement::new(last).bind(org)).await?.get(0)?;
    let last: Option<Month> = last.map(|last| last.parse()).transpose().map_err(corrupt)?;
    if last.is_some_and(|last| last >= frame.month) {
        return Err(StoreError::Conflict("the month, or a later one, is closed".to_owned()));
    }
    let history = plan_rows::history(db, org).await?;
    let first = last.map_or(frame.month, Month::next);
    let months = std::iter::successors(Some(first), |month| Some(month.next()));
    let months = months.take_while(|month| *month <= frame.month);
    let fees: Vec<Fee> = months.flat_map(|month| history.fees(month, frame.zone)).collect();
    // Until the commit nothing is charged.
    db.take(turn_of(org)).await?;
    let charges = charge_rows::open(db, org, until).await?;
    let invoice = Invoice::draft(frame, charges, &fees);
    insert(db, &invoice).await?;
    charge_rows::put_in(db, org, id, until).await?;
    Ok(invoice)
}

/// Gives a draft its number, and enters what is owed by it.
pub(super) async fn issue(
    db: &mut Db,
    mut invoice: Invoice,
    at: Timestamp,
    due_at: Timestamp,
) -> Result<Invoice, StoreError> {
    expect(&invoice, &[Status::Draft])?;
    invoice.status = Status::Issued;
    invoice.number = Some(next_number(db, "invoice").await?);
    (invoice.issued_at, invoice.due_at) = (Some(at), Some(due_at));
    let update =
        Statement::new("UPDATE invoices SET status = ?, number = ?, issued_at = ?, due_at = ? WHERE id = ?")
            .bind(invoice.status.as_str())
            .bind(invoice.number)
            .bind(invoice.issued_at)
            .bind(invoice.due_at)
            .bind(invoice.frame.id);
    db.execute(update).await?;
    enter(db, &invoice.entries_of_issue(at)).await?;
    Ok(invoice)
}

pub(super) async fn pay(db: &mut Db, mut invoice: Invoice, at: Timestamp) -> Result<Invoice, StoreError> {
    expect(&invoice, &[Status::Issued])?;
    db.take(turn_of(invoice.frame.org)).await?;
    let balance = ledger_rows::totals(db, invoice.frame.org).await?.balance(Account::Customer);
    (invoice.status, invoice.paid_at) = (Status::Paid, Some(at));
    invoice.paid = Some(invoice.due(balance));
    enter(db, invoice.entry_of_payment(at).as_slice()).await?;
    let update = Statement::new("UPDATE invoices SET status = ?, paid_at = ?, paid = ? WHERE id = ?")
        .bind(invoice.status.as_str())
        .bind(at)
        .bind(invoice.paid)
        .bind(invoice.frame.id);
    db.execute(update).await?;
    Ok(invoice)
}

/// What a draft held is in no invoice again; what an issued one claimed is taken back.
pub(super) async fn void(db: &mut Db, mut invoice: Invoice, at: Timestamp) -> Result<Invoice, StoreError> {
    expect(&invoice, &[Status::Draft, Status::Issued])?;
    let (org, id) = (invoice.frame.org, invoice.frame.id);
    if invoice.status == Status::Draft {
        let later =
            format!("SELECT EXISTS (SELECT 1 FROM invoices WHERE org_id = ? AND month > ? AND {COUNTS})");
        let later = Statement::new(later).bind(org).bind(invoice.frame.month.to_string());
        if db.one(later).await?.get(0)? {
            // Its fees would be in no invoice: the month could not be closed again.
            return Err(StoreError::Conflict("a later month is closed".to_owned()));
        }
        db.take(turn_of(org)).await?;
        charge_rows::take_out(db, org, id).await?;
    } else {
        enter(db, invoice.entry_of_void(at).as_slice()).await?;
    }
    invoice.status = Status::Void;
    let update = Statement::new("UPDATE invoices SET status = ? WHERE id = ?");
    db.execute(update.bind(invoice.status.as_str()).bind(id)).await?;
    Ok(invoice)
}

/// Takes a part of an issued invoice back.
pub(super) async fn credit(
    db: &mut Db,
    mut invoice: Invoice,
    id: CreditNoteId,
    amount: Pico,
    note: String,
    at: Timestamp,
) -> Result<Invoice, StoreError> {
    expect(&invoice, &[Status::Issued, Status::Paid])?;
    let credit = invoice.credit(id, amount, note, at);
    let mut credit = credit.ok_or_else(|| StoreError::Conflict("it is more than is left".to_owned()))?;
    credit.number = next_number(db, "credit_note").await?;
    let insert = Statement::new(format!("INSERT INTO credit_notes ({CREDIT}) VALUES {}", marks(7)))
        .bind(credit.id)
        .bind(credit.invoice)
        .bind(credit.number)
        .bind(Some(credit.amount))
        .bind(Some(credit.tax))
        .bind(credit.note.clone())
        .bind(credit.issued_at);
    db.execute(insert).await?;
    enter(db, &[credit.entry(invoice.frame.org)]).await?;
    invoice.credits.push(credit);
    Ok(invoice)
}

fn expect(invoice: &Invoice, statuses: &[Status]) -> Result<(), StoreError> {
    if statuses.contains(&invoice.status) {
        return Ok(());
    }
    Err(StoreError::Conflict(format!("the invoice is {}", invoice.status.as_str())))
}

async fn enter(db: &mut Db, entries: &[Entry]) -> Result<(), StoreError> {
    if ledger_rows::insert(db, entries).await? != entries.len() {
        return Err(StoreError::Conflict("an entry is there already".to_owned()));
    }
    ledger_rows::add_up(db, entries).await
}

/// Whoever takes one has it alone until the commit, and gives it back by none: there are no gaps.
async fn next_number(db: &mut Db, series: &'static str) -> Result<u64, StoreError> {
    let next =
        Statement::new("UPDATE numbers SET last = last + 1 WHERE series = ? RETURNING last").bind(series);
    db.one(next).await?.unsigned(0)
}

async fn insert(db: &mut Db, invoice: &Invoice) -> Result<(), StoreError> {
    let frame = &invoice.frame;
    let insert = Statement::new(format!("INSERT INTO invoices ({INVOICE}) VALUES {}", marks(18)))
        .bind(frame.id)
        .bind(frame.org)
        .bind(frame.customer.clone())
        .bind(frame.month.to_string())
        .bind(frame.zone.name())
        .bind(frame.mode.as_str())
        .bind(frame.currency.clone())
        .bind(frame.tax_rate.to_percent())
        .bind(frame.created_at)
        .bind(to_json(&invoice.lines)?)
        .bind(Some(invoice.subtotal))
        .bind(Some(invoice.tax))
        .bind(invoice.number)
        .bind(invoice.status.as_str())
        .bind(invoice.issued_at)
        .bind(invoice.due_at)
        .bind(invoice.paid_at)
        .bind(invoice.paid);
    db.execute(insert).await.map(drop)
}

async fn credits_of(db: &mut Db, id: InvoiceId) -> Result<Vec<CreditNote>, StoreError> {
    let select = format!("SELECT {CREDIT} FROM credit_notes WHERE invoice_id = ? ORDER BY number");
    db.all(Statement::new(select).bind(id)).await?.iter().map(credit_of).collect()
}

fn invoice_of(row: &Row, credits: Vec<CreditNote>) -> Result<Invoice, StoreError> {
    let number: Option<i64> = row.get("number")?;
    Ok(Invoice {
        frame: Frame {
            id: InvoiceId(row.uuid("id")?),
            org: OrgId(row.uuid("org_id")?),
            customer: row.get("customer")?,
            mode: row.word("billing_mode", BillingMode::from_name)?,
            month: row.get::<&str>("month")?.parse().map_err(corrupt)?,
            zone: row.zone("time_zone")?,
            currency: row.get("currency")?,
            tax_rate: TaxRate::from_percent(row.get("tax_rate_pct")?).map_err(corrupt)?,
            created_at: row.time("created_at")?,
        },
        status: row.word("status", Status::from_name)?,
        number: number.map(i64::cast_unsigned),
        lines: row.json("lines")?,
        subtotal: row.decimal("subtotal")?,
        tax: row.decimal("tax")?,
        issued_at: row.time_or_none("issued_at")?,
        due_at: row.time_or_none("due_at")?,
        paid_at: row.time_or_none("paid_at")?,
        paid: row.decimal_or_none("paid")?,
        credits,
    })
}

fn credit_of(row: &Row) -> Result<CreditNote, StoreError> {
    Ok(CreditNote {
        id: CreditNoteId(row.uuid("id")?),
        invoice: InvoiceId(row.uuid("invoice_id")?),
        number: row.unsigned("number")?,
        amount: row.decimal("amount")?,
        tax: row.decimal("tax")?,
        note: row.get("note")?,
        issued_at: row.time("issued_at")?,
    })
}
