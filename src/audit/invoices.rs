//! Invoices beside what they were made of, and the ledger beside them.

use super::{Misinvoiced, PAGE, Report};
use aione_core::{
    domain::{
        id::{EntryId, InvoiceId, OrgId},
        invoice::{Charge, Fee, Invoice, Status, What},
        ledger::{Entry, Kind},
        money::Pico,
    },
    ports::{InvoiceStore, LedgerStore, StoreError},
};
use std::{collections::BTreeMap, fmt};

/// Compares every invoice with what was charged for it and with what was entered for it, and what is charged in
/// all with what the ledger says of usage.
pub(super) async fn audit<S: InvoiceStore + LedgerStore>(
    store: &S,
    entered: &BTreeMap<EntryId, Pico>,
    report: &mut Report,
) -> Result<(), StoreError> {
    // Read before and after: what a gateway beside this has changed meanwhile says nothing.
    let before = store.all_totals().await?;
    let charged = store.charged().await?;
    let mut after = None;
    loop {
        let page = store.list_all_invoices(after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.frame.id);
        for invoice in &page {
            report.invoices += 1;
            let of_it = charged.get(&(invoice.frame.org, Some(invoice.frame.id)));
            judge(invoice, of_it.copied().unwrap_or_default(), entered, &mut report.misinvoiced);
        }
    }
    let kept = store.all_totals().await?;
    let mut sums: BTreeMap<OrgId, Pico> = BTreeMap::new();
    for ((org, _), amount) in charged {
        let sum = sums.entry(org).or_default();
        *sum = *sum + amount;
    }
    for (org, totals) in &kept {
        let usage = totals.0.get(&Kind::Usage);
        let is_still = before.get(org).and_then(|totals| totals.0.get(&Kind::Usage)) == usage;
        let (entered, charged) =
            (usage.copied().unwrap_or_default().amount, sums.get(org).copied().unwrap_or_default());
        if is_still && entered != charged {
            report.misinvoiced.push(Misinvoiced::Classes { org: *org, entered, charged });
        }
    }
    Ok(())
}

fn judge(invoice: &Invoice, charged: Pico, entered: &BTreeMap<EntryId, Pico>, wrong: &mut Vec<Misinvoiced>) {
    let id = invoice.frame.id;
    let lines = invoice.exact_usage();
    // What a void draft held is in another one.
    let is_empty = invoice.status == Status::Void && invoice.number.is_none();
    if !is_empty && lines != charged {
        wrong.push(Misinvoiced::Lines { invoice: id, lines, charged });
    }
    let again = again(invoice);
    if (&again.lines, again.subtotal, again.tax) != (&invoice.lines, invoice.subtotal, invoice.tax) {
        wrong.push(Misinvoiced::Rounded { invoice: id });
    }
    let Some(issued_at) = invoice.issued_at else { return };
    let mut expected: Vec<Entry> = invoice.entries_of_issue(issued_at);
    expected.extend(invoice.paid_at.and_then(|at| invoice.entry_of_payment(at)));
    expected.extend((invoice.status == Status::Void).then(|| invoice.entry_of_void(issued_at)).flatten());
    expected.extend(invoice.credits.iter().map(|credit| credit.entry(invoice.frame.org)));
    for Entry { id: entry, kind, amount, .. } in expected {
        let found = entered.get(&entry).copied().unwrap_or_default();
        if found != amount {
            wrong.push(Misinvoiced::Entries { invoice: id, kind, expected: amount, entered: found });
        }
    }
}

/// The invoice made once more of its own lines.
fn again(invoice: &Invoice) -> Invoice {
    let (mut charges, mut fees) = (Vec::new(), Vec::new());
    for line in &invoice.lines {
        match &line.what {
            What::Usage { month, model, class, quantity, exact } => {
                let month = month.parse().unwrap_or(invoice.frame.month);
                let [start, _] = month.term(invoice.frame.zone);
                let (model, class, quantity, amount) = (model.clone(), *class, *quantity, *exact);
                charges.push(Charge { start, model, class, quantity, amount });
            }
            What::Fee { month, plan, name, monthly, days, month_days } => fees.push(Fee {
                month: month.parse().unwrap_or(invoice.frame.month),
                plan: plan.clone(),
                name: name.clone(),
                monthly: *monthly,
                days: *days,
                month_days: *month_days,
            }),
        }
    }
    Invoice::draft(invoice.frame.clone(), charges, &fees)
}

impl fmt::Display for Misinvoiced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let invoice = |id: &InvoiceId| format!("invoice {id}");
        match self {
            Self::Lines { invoice: id, lines, charged } => {
                write!(f, "{}: its lines come to {lines}, and {charged} was charged", invoice(id))
            }
            Self::Rounded { invoice: id } => {
                write!(f, "{}: it does not come to what it says", invoice(id))
            }
            Self::Classes { org, entered, charged } => write!(
                f,
                "organization {org}: the ledger charges {entered}, and {charged} is in invoices and in none yet"
            ),
            Self::Entries { invoice: id, kind, expected, entered } => {
                let kind = kind.as_str();
                write!(f, "{}: {kind} of {expected} follows from it, and {entered} is entered", invoice(id))
            }
        }
    }
}
