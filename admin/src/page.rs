//! Lists by page: which rows to read, and whether more follow.

use crate::validate::{Fields, checks};
use aione_core::ports::Page;
use axum::http::HeaderMap;

/// The last page that can be asked for.
const PAGE_MAX: u64 = 1_000_000;
/// The header that names the next page, where there is one.
const NEXT_PAGE: &str = "x-next-page";

/// A page by number, from 1.
#[derive(Clone, Copy)]
pub(crate) struct PageNumber {
    page: u64,
    size: u64,
}

impl PageNumber {
    /// Takes `page` and `page_size` (1 to `size_max`, which is also what it is by default, so
    /// that a caller who knows no pages sees as much as there can be).
    pub(crate) fn take(query: &mut Fields, size_max: u64) -> Self {
        Self::take_or(query, size_max, size_max)
    }

    /// As [`Self::take`], where a page is of `size_default` by default.
    pub(crate) fn take_or(query: &mut Fields, size_max: u64, size_default: u64) -> Self {
        Self {
            page: query.given("page", checks::digits(1, PAGE_MAX)).unwrap_or(1),
            size: query.given("page_size", checks::digits(1, size_max)).unwrap_or(size_default),
        }
    }

    /// What to ask the store for: one row more than is shown, to know whether there are more.
    pub(crate) fn rows(self) -> Page {
        Page { offset: (self.page - 1) * self.size, limit: self.size + 1 }
    }

    /// Cuts what [`PageNumber::rows`] brought, and says in a header whether a page follows.
    pub(crate) fn cut<T>(self, rows: &mut Vec<T>) -> HeaderMap {
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        let mut headers = HeaderMap::new();
        if rows.len() > size {
            rows.truncate(size);
            headers.insert(NEXT_PAGE, (self.page + 1).into());
        }
        headers
    }
}
