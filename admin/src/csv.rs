//! CSV files (RFC 4180) of any length that a spreadsheet can open without running any of it. They are
//! written as rows come, and never held whole.

use crate::{error::Refusal, exports::Turn};
use aione_core::ports::StoreError;
use axum::{
    body::Body,
    http::header,
    response::{IntoResponse, Response},
};
use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use std::{future, pin::pin};

/// Lines, several at a time.
pub(crate) type Lines = BoxStream<'static, Result<String, StoreError>>;

/// A file of that name. What fails before its first rows is told with a status; later it breaks off, so
/// that nobody takes it for whole. It has its turn until its last line.
pub(crate) async fn file(turn: Turn, name: &str, header: String, lines: Lines) -> Result<Response, Refusal> {
    let mut lines = Box::pin(lines.peekable());
    if let Some(Err(error)) = pin!(lines.as_mut().peek()).await {
        return Err(error.clone().into());
    }
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    let parts = stream::once(future::ready(Ok(header))).chain(lines).inspect(move |_| _ = &turn);
    Ok((headers, Body::from_stream(parts)).into_response())
}

pub(crate) fn line(cells: impl Iterator<Item = String>) -> String {
    cells.collect::<Vec<_>>().join(",") + "\r\n"
}

/// A text of somebody's choosing: what a spreadsheet would take for a formula gets an
/// apostrophe in front.
pub(crate) fn cell(text: &str) -> String {
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
