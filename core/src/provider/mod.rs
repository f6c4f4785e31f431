//! Whom we say it to: one value per vendor kind, and what each one's wire looks like.

mod name;
pub mod simulated;

pub use name::KindName;

use crate::wire::Dialect;

/// How a credential travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// `Authorization: Bearer …`
    Bearer,
    /// As it is, in a header of this name.
    Header(&'static str),
    /// There is none: the provider is built in.
    None,
}

/// A vendor kind: everything that is the same for all of its accounts.
#[derive(Debug, PartialEq)]
pub struct Kind {
    /// The name in YAML.
    pub name: &'static str,
    pub dialects: &'static [Dialect],
    /// Spoken by some of its accounts: YAML says by which.
    pub other_dialects: &'static [Dialect],
    pub credential: Credential,
    /// Sent with each request, unless a caller of the same dialect says otherwise: names and values.
    pub headers: &'static [(&'static str, &'static str)],
    /// `None`: `base_url` must be given.
    pub base_url: Option<&'static str>,
    /// Answered inside the process.
    pub built_in: bool,
}

impl Kind {
    /// Whether some account of it speaks `dialect`.
    #[must_use]
    pub fn speaks(&self, dialect: Dialect) -> bool {
        self.dialects.contains(&dialect) || self.other_dialects.contains(&dialect)
    }
}

/// Every kind that YAML may name.
pub const PROVIDERS: &[Kind] = &[
    Kind {
        name: "openai",
        dialects: &[Dialect::OpenAiChat, Dialect::OpenAiResponses],
        other_dialects: &[],
        credential: Credential::Bearer,
        headers: &[],
        base_url: Some("https://api.openai.com/v1"),
        built_in: false,
    },
    Kind {
        name: "openai_compatible",
        dialects: &[Dialect::OpenAiChat],
        other_dialects: &[Dialect::OpenAiResponses],
        credential: Credential::Bearer,
        headers: &[],
        base_url: None,
        built_in: false,
    },
    Kind {
        name: "anthropic",
        dialects: &[Dialect::AnthropicMessages],
        other_dialects: &[],
        credential: Credential::Header("x-api-key"),
        headers: &[("anthropic-version", "2023-06-01")],
        base_url: Some("https://api.anthropic.com/v1"),
        built_in: false,
    },
    Kind {
        name: "gemini",
        dialects: &[Dialect::Gemini],
        other_dialects: &[],
        credential: Credential::Header("x-goog-api-key"),
        headers: &[],
        base_url: Some("https://generativelanguage.googleapis.com/v1beta"),
        built_in: false,
    },
    Kind {
        name: "simulated",
        dialects: &Dialect::ALL,
        other_dialects: &[],
        credential: Credential::None,
        headers: &[],
        base_url: None,
        built_in: true,
    },
];

#[must_use]
pub fn kind(name: &str) -> Option<&'static Kind> {
    PROVIDERS.iter().find(|kind| kind.name == name)
}
