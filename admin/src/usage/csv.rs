//! Usage as a CSV file (RFC 4180) that a spreadsheet can open without running any of it.

use super::row::{UsageRow, field};
use aione_core::ports::GroupBy;
use axum::{
    http::header,
    response::{IntoResponse, Response},
};

/// The columns after the groups.
const NUMBERS: [&str; 8] = [
    "requests",
    "prompt_tokens",
    "cached_tokens",
    "completion_tokens",
    "reasoning_tokens",
    "total_tokens",
    "cost_rmb",
    "unpriced_requests",
];

/// A header line, then a line for each row.
pub(super) fn file(groups: &[GroupBy], rows: &[UsageRow]) -> Response {
    let header = groups.iter().copied().map(field).chain(NUMBERS).map(str::to_owned);
    let mut text = line(header);
    for row in rows {
        let group = row.group.0.iter().map(|(_, value)| cell(value));
        let counts = [
            row.requests,
            row.prompt_tokens,
            row.cached_tokens,
            row.completion_tokens,
            row.reasoning_tokens,
            row.total_tokens,
        ];
        let counts = counts.iter().map(u64::to_string);
        text += &line(group.chain(counts).chain([row.cost_rmb.clone(), row.unpriced_requests.to_string()]));
    }
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"usage.csv\""),
    ];
    (headers, text).into_response()
}

fn line(cells: impl Iterator<Item = String>) -> String {
    cells.collect::<Vec<_>>().join(",") + "\r\n"
}

/// A text of somebody's choosing: what a spreadsheet would take for a formula gets an
/// apostrophe in front.
fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::cell;

    #[test]
    fn a_cell_is_never_a_formula() {
        for (text, expected) in [
            ("gpt-4o-mini", "gpt-4o-mini"),
            ("=HYPERLINK(\"x\")", "\"'=HYPERLINK(\"\"x\"\")\""),
            ("@cf/llama", "'@cf/llama"),
            ("-1", "'-1"),
            ("+1", "'+1"),
            ("a,b", "\"a,b\""),
            ("two\nlines", "\"two\nlines\""),
        ] {
            assert_eq!(cell(text), expected);
        }
    }
}
