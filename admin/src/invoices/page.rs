//! An invoice as a page to be printed, without scripts or anything from elsewhere.

use super::answer::number;
use crate::docs::{escaped, policy_of};
use aione_core::domain::{
    budget::BillingMode,
    clock::Timestamp,
    invoice::{Invoice, Line, Status, What, number_of_credit_note},
    money::Pico,
};
use axum::{
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use std::{fmt::Write as _, sync::LazyLock};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:48rem;margin:3rem auto;padding:0 1.5rem;\
color:#1a1a1a;background:#fff}h1{font-size:1.6rem;margin:0 0 .25rem}header{display:flex;justify-content:space-between;\
align-items:flex-start;gap:2rem;margin-bottom:2rem}dl{display:grid;grid-template-columns:auto auto;gap:.1rem 1rem;\
margin:0}dt{color:#666}dd{margin:0;text-align:right}table{border-collapse:collapse;width:100%;margin:1rem 0}\
th{color:#666;font-weight:normal;border-bottom:2px solid #333}td,th{text-align:left;padding:.35rem .75rem .35rem 0;\
vertical-align:top}td{border-bottom:1px solid #ddd}.n{text-align:right;padding-right:0;font-variant-numeric:tabular-nums;\
white-space:nowrap}tfoot td{border:0}tfoot tr:last-child td{font-weight:bold;border-top:2px solid #333}\
.state{display:inline-block;border:2px solid;border-radius:.25rem;padding:0 .5rem;text-transform:uppercase;\
letter-spacing:.08em;font-size:.8rem}.note{color:#666;font-size:.85rem}@media print{body{margin:0;max-width:none}}";

/// The policy under which its one style is let in.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| policy_of(STYLE));

pub(super) fn show(invoice: &Invoice) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, POLICY.clone()),
    ];
    (headers, page(invoice)).into_response()
}

fn page(invoice: &Invoice) -> String {
    let frame = &invoice.frame;
    let title = match invoice.number {
        Some(_) => format!("Invoice {}", number(invoice)),
        None => format!("Draft of an invoice for {}", frame.month),
    };
    let mut out = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>\
         <meta name=viewport content=\"width=device-width\"><style>{STYLE}</style>\
         <header><div><h1>{title}</h1><span class=state>{}</span><p>{}<br><span class=note>{}</span></p></div><dl>",
        invoice.status.as_str(),
        escaped(&frame.customer),
        frame.org,
    );
    let [first, next] = frame.month.days();
    let period = format!("{first} to {}", next.pred_opt().unwrap_or(next));
    let day = |at: Option<Timestamp>| at.map(|at| at.date_in(frame.zone).to_string());
    for (term, value) in [
        ("Period", Some(period)),
        ("Time zone", Some(frame.zone.name().to_owned())),
        ("Issued", day(invoice.issued_at)),
        ("Due", day(invoice.due_at).filter(|_| frame.mode == BillingMode::Postpaid)),
        ("Paid", day(invoice.paid_at)),
    ] {
        if let Some(value) = value {
            push(&mut out, format_args!("<dt>{term}</dt><dd>{}</dd>", escaped(&value)));
        }
    }
    out += "</dl></header><table><thead><tr><th>Item<th>Month<th class=n>Quantity<th class=n>Amount</tr></thead><tbody>";
    for line in &invoice.lines {
        push_line(&mut out, line);
    }
    out += "</tbody><tfoot>";
    let total = |out: &mut String, name: &str, amount: &str| {
        push(out, format_args!("<tr><td colspan=3>{}</td><td class=n>{amount}</td></tr>", escaped(name)));
    };
    total(&mut out, "Subtotal", &invoice.subtotal.to_decimal());
    total(&mut out, &format!("Tax {} %", frame.tax_rate.to_percent()), &invoice.tax.to_decimal());
    let currency = &frame.currency;
    total(&mut out, &format!("Total {currency}"), &invoice.amount().to_decimal());
    out += "</tfoot></table>";
    if !invoice.credits.is_empty() {
        push_credits(&mut out, invoice);
    }
    push(&mut out, format_args!("<p class=note>{}</p></html>", remark(invoice)));
    out
}

fn push_line(out: &mut String, line: &Line) {
    let (item, month, quantity) = match &line.what {
        What::Usage { month, model, class, quantity, .. } => {
            (format!("{model}, {}", class.as_str().replace('_', " ")), month.as_str(), quantity.to_string())
        }
        What::Fee { month, name, days, month_days, .. } => {
            (format!("Plan {name}"), month.as_str(), format!("{days} of {month_days} days"))
        }
    };
    let amount = line.amount.to_decimal();
    push(
        out,
        format_args!("<tr><td>{}<td>{month}<td class=n>{quantity}<td class=n>{amount}</tr>", escaped(&item)),
    );
}

fn push_credits(out: &mut String, invoice: &Invoice) {
    *out += "<h2>Credit notes</h2><table><thead><tr><th>Number<th>Date<th>Reason<th class=n>Tax in it<th class=n>Amount\
             </tr></thead><tbody>";
    for credit in &invoice.credits {
        let (number, day) =
            (number_of_credit_note(credit.number), credit.issued_at.date_in(invoice.frame.zone));
        let note = escaped(&credit.note);
        // What is taken back has a minus, and nothing has none.
        let [tax, amount] = [credit.tax, credit.amount].map(|amount| Pico(-amount.0));
        push(
            out,
            format_args!("<tr><td>{number}<td>{day}<td>{note}<td class=n>{tax}<td class=n>{amount}</tr>"),
        );
    }
    let currency = escaped(&invoice.frame.currency);
    push(
        out,
        format_args!(
            "</tbody><tfoot><tr><td colspan=4>Left {currency}</td><td class=n>{}</td></tr></tfoot></table>",
            invoice.left()
        ),
    );
}

fn remark(invoice: &Invoice) -> &'static str {
    match invoice.status {
        Status::Draft => "A draft: nothing is owed by it.",
        Status::Void => "Void: nothing is owed by it.",
        Status::Paid => "Paid. Thank you.",
        Status::Issued => "Each line is rounded once; tax is on the sum of the lines.",
    }
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a string takes everything");
}
