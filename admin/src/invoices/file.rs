//! An invoice as a CSV file: a line each, and below them what they come to.

use crate::csv::{cell, line};
use aione_core::domain::invoice::{Invoice, Line, What, number_of_credit_note};

const COLUMNS: [&str; 7] = ["kind", "month", "name", "class", "quantity", "exact_rmb", "amount_rmb"];

pub(super) fn lines(invoice: &Invoice) -> String {
    let row = |cells: [String; 7]| line(cells.into_iter());
    let total = |kind: &str, name: String, amount: String| {
        let none = String::new;
        row([kind.to_owned(), none(), cell(&name), none(), none(), none(), amount])
    };
    let mut file = row(COLUMNS.map(str::to_owned));
    file.extend(invoice.lines.iter().map(|line| row(cells(line))));
    file += &total("subtotal", String::new(), invoice.subtotal.to_decimal());
    file += &total("tax", format!("{} %", invoice.frame.tax_rate.to_percent()), invoice.tax.to_decimal());
    file += &total("total", invoice.frame.currency.clone(), invoice.amount().to_decimal());
    for credit in &invoice.credits {
        let amount = format!("-{}", credit.amount.to_decimal());
        file += &total("credit_note", number_of_credit_note(credit.number), amount);
    }
    file
}

fn cells(line: &Line) -> [String; 7] {
    let amount = line.amount.to_decimal();
    match &line.what {
        What::Usage { month, model, class, quantity, exact } => [
            "usage".to_owned(),
            month.clone(),
            cell(model),
            class.as_str().to_owned(),
            quantity.to_string(),
            exact.to_decimal(),
            amount,
        ],
        What::Fee { month, name, days, .. } => [
            "fee".to_owned(),
            month.clone(),
            cell(name),
            "day".to_owned(),
            days.to_string(),
            String::new(),
            amount,
        ],
    }
}
