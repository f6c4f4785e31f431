//! Google's Vertex AI: Gemini in its own dialect and Claude in Anthropic's, under the addresses of a project
//! in a place: <https://cloud.google.com/vertex-ai/docs/reference/rest>,
//! <https://docs.claude.com/en/api/claude-on-vertex-ai>.
//!
//! Requests carry a token that a service account is given for an hour at a time ([`ServiceAccount`]), and
//! that is asked for anew ahead of its end ([`Schedule`]).

mod body;
mod schedule;
mod service_account;

pub use schedule::Schedule;
pub use service_account::{Minted, ServiceAccount};

use crate::{
    provider::segment,
    wire::{Dialect, Tongue},
};
use std::{borrow::Cow, sync::Arc};

/// What is known of an account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Account {
    pub project: String,
    /// Such as `europe-west4`, or `global`.
    pub location: String,
    /// In the order of the credentials.
    pub service_accounts: Vec<Arc<ServiceAccount>>,
}

/// Where a location is asked.
#[must_use]
pub fn base_url(location: &str) -> String {
    match location {
        "global" => "https://aiplatform.googleapis.com".to_owned(),
        "us" | "eu" => format!("https://aiplatform.{location}.rep.googleapis.com"),
        _ => format!("https://{location}-aiplatform.googleapis.com"),
    }
}

/// Whether a location's name may stand in a host's.
#[must_use]
pub fn is_location(text: &str) -> bool {
    super::bedrock::is_region(text)
}

/// Whether a project's id or number may stand in a path.
#[must_use]
pub fn is_project(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b':');
    (1..=128).contains(&text.len()) && text.bytes().all(fits) && !text.contains("..")
}

fn is_claude(model: &str) -> bool {
    model.contains("claude")
}

impl Account {
    #[must_use]
    pub fn tongue(&self, model: &str) -> Tongue {
        if is_claude(model) { Dialect::AnthropicMessages.into() } else { Dialect::Gemini.into() }
    }

    /// `own` is where the dialect's own vendor would be asked; `None`: that has no counterpart here.
    #[must_use]
    pub fn path(&self, own: &str, model: &str, stream: bool) -> Option<Cow<'static, str>> {
        let Self { project, location, .. } = self;
        let place = format!("/v1/projects/{}/locations/{}", segment(project), segment(location));
        if is_claude(model) {
            if own != "/messages" {
                return None;
            }
            let call = if stream { "streamRawPredict" } else { "rawPredict" };
            return Some(format!("{place}/publishers/anthropic/models/{}:{call}", segment(model)).into());
        }
        own.starts_with("/models/").then(|| format!("{place}/publishers/google{own}").into())
    }

    /// `None`: the body goes as it is.
    #[must_use]
    pub fn body(&self, body: &[u8], model: &str) -> Option<Vec<u8>> {
        if is_claude(model) { body::of_claude(body) } else { body::of_gemini(body) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_asked_at_its_publisher() {
        let account = Account {
            project: "my-project".to_owned(),
            location: "europe-west4".to_owned(),
            service_accounts: Vec::new(),
        };
        let place = "/v1/projects/my-project/locations/europe-west4/publishers";
        let own = "/models/gemini-2.5-pro:streamGenerateContent?alt=sse";
        let path = account.path(own, "gemini-2.5-pro", true).unwrap();
        assert_eq!(path, format!("{place}/google{own}"));
        let claude = "claude-sonnet-4-5@20250929";
        assert_eq!(
            account.path("/messages", claude, true).unwrap(),
            format!("{place}/anthropic/models/claude-sonnet-4-5%4020250929:streamRawPredict")
        );
        let path = account.path("/messages", claude, false).unwrap();
        assert!(path.ends_with(":rawPredict"), "{path}");
        assert_eq!(account.path("/messages/count_tokens", claude, false), None);
        assert_eq!(account.path("/chat/completions", "gemini-2.5-pro", false), None);
    }

    #[test]
    fn a_location_has_its_host() {
        assert_eq!(base_url("us-east5"), "https://us-east5-aiplatform.googleapis.com");
        assert_eq!(base_url("global"), "https://aiplatform.googleapis.com");
        assert_eq!(base_url("eu"), "https://aiplatform.eu.rep.googleapis.com");
        assert!(is_project("example.com:proj-1") && !is_project("a/b") && !is_project("a..b"));
    }
}
