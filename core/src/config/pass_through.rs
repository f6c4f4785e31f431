//! Paths that a provider opens beside the gateway's own endpoints, and which requests they let through.
//!
//! Whatever is not written is closed. A path is compared as it is written, segment by segment: what could be
//! read in two ways, such as `%2f` or `..`, matches nothing.

mod pattern;

pub use pattern::{Pattern, PatternError};

use super::snapshot::{Model, Provider};
use crate::wire::Dialect;
use std::sync::Arc;

/// What a provider opens, and what it is sold as.
#[derive(Debug, PartialEq)]
pub struct Passage {
    pub patterns: Vec<Pattern>,
    /// What a request is sold as that names no model: of a name of its own, with one deployment, whose
    /// provider is the one that is asked.
    pub model: Arc<Model>,
    pub provider: Arc<Provider>,
}

/// Why a request is not passed through.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Closed {
    /// Nobody opens the path.
    Path,
    /// It is open for these methods only.
    Method(Vec<Method>),
}

/// The methods that may be opened.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    pub const ALL: [Self; 5] = [Self::Get, Self::Post, Self::Put, Self::Patch, Self::Delete];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// Exact: methods are case-sensitive.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == name)
    }
}

/// The name under which a provider's requests that name no model are sold: in plans, keys, prices and records.
#[must_use]
pub fn sold_as(provider: &str) -> String {
    format!("{provider}/{MODEL}")
}

/// What stands for a model's id at the upstream where a request names none.
pub(super) const MODEL: &str = "pass_through";

impl Passage {
    /// In whose words callers are refused here: those of the dialect that the provider speaks first.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.provider.dialects.first().copied().unwrap_or(Dialect::OpenAiChat)
    }
}

/// Who takes a request to `path`, which is written as the caller wrote it, without a query.
///
/// # Errors
/// Nobody does.
pub fn find<'p>(passages: &'p [Arc<Passage>], method: &str, path: &str) -> Result<&'p Arc<Passage>, Closed> {
    let Some(segments) = pattern::segments_of(path) else { return Err(Closed::Path) };
    let method = Method::named(method);
    let mut others = Vec::new();
    for passage in passages {
        for pattern in passage.patterns.iter().filter(|pattern| pattern.takes(&segments)) {
            if Some(pattern.method) == method {
                return Ok(passage);
            }
            if !others.contains(&pattern.method) {
                others.push(pattern.method);
            }
        }
    }
    Err(if others.is_empty() { Closed::Path } else { Closed::Method(others) })
}

/// What of a path is asked at the provider, behind its address: all behind the version.
#[must_use]
pub fn behind_version(path: &str) -> &str {
    pattern::VERSIONS.iter().find_map(|version| path.strip_prefix(version)).unwrap_or(path)
}
