//! Azure OpenAI: OpenAI's dialect under the addresses of a resource of the customer's own, with the key in
//! `api-key`: <https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle>.
//!
//! Without a version it is asked as `/openai/v1/…`, where the body names the deployment. Under a version,
//! as resources had it before, the path does: `/openai/deployments/{deployment}/…?api-version=…`.

use crate::provider::segment;
use std::borrow::Cow;

/// Where the paths of both ways begin.
const PREFIX: &str = "/openai";
/// The way without a version.
const V1: &str = "/openai/v1";

/// What is known of an account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Account {
    /// Such as `2024-10-21`.
    pub api_version: Option<String>,
}

/// The path of a `base_url` without what [`Account::path`] puts behind it: the portal shows addresses with
/// and without it.
#[must_use]
pub fn bare(path: &str) -> &str {
    path.strip_suffix(V1).or_else(|| path.strip_suffix(PREFIX)).unwrap_or(path)
}

impl Account {
    /// `own` is where OpenAI itself would be asked, such as `/chat/completions`.
    #[must_use]
    pub fn path(&self, own: &str, model: &str) -> Cow<'static, str> {
        match &self.api_version {
            None => format!("{V1}{own}").into(),
            // Its responses were never a deployment's.
            Some(version) if own == "/responses" => {
                format!("{PREFIX}{own}?api-version={}", segment(version)).into()
            }
            Some(version) => {
                let (model, version) = (segment(model), segment(version));
                format!("{PREFIX}/deployments/{model}{own}?api-version={version}").into()
            }
        }
    }
}

/// Whether a version may stand in a query: a date, perhaps with a word behind it.
#[must_use]
pub fn is_version(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=32).contains(&text.len()) && text.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_asking_have_their_path() {
        let path = |version: Option<&str>, own| {
            Account { api_version: version.map(str::to_owned) }.path(own, "gpt 4o/eu").into_owned()
        };
        assert_eq!(path(None, "/chat/completions"), "/openai/v1/chat/completions");
        assert_eq!(
            path(Some("2024-10-21"), "/chat/completions"),
            "/openai/deployments/gpt%204o%2Feu/chat/completions?api-version=2024-10-21"
        );
        let responses = "/openai/responses?api-version=2025-04-01-preview";
        assert_eq!(path(Some("2025-04-01-preview"), "/responses"), responses);
    }

    #[test]
    fn an_address_may_end_in_either_way() {
        for path in ["", "/openai", "/openai/v1"] {
            assert_eq!(bare(path), "");
        }
        assert_eq!(bare("/proxy/openai/v1"), "/proxy");
        assert_eq!(bare("/v1"), "/v1");
    }
}
