//! Whom we say it to: one value per vendor kind, and what each one's wire looks like.

mod account;
pub mod azure;
pub mod bedrock;
mod name;
pub mod simulated;
pub mod vertex;

use account::segment;
pub use account::{Account, Entry};
pub use name::{ApiName, KindName};

use crate::wire::Dialect;

/// How a credential travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// `Authorization: Bearer …`
    Bearer,
    /// As it is, in a header of this name.
    Header(&'static str),
    /// Each is a key file, with which a token is asked for.
    KeyFile,
    /// There is none: the provider is built in.
    None,
}

/// What an account of a kind is known by besides an address and credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Particulars {
    None,
    /// Perhaps a version of the API.
    Azure,
    /// A region, and keys to sign with.
    Bedrock,
    /// A project and a location.
    Vertex,
}

impl Particulars {
    /// Their names in YAML, and none that another kind has.
    #[must_use]
    pub fn fields(self) -> &'static [&'static str] {
        match self {
            Self::None => &[],
            Self::Azure => &["api_version"],
            Self::Bedrock => &["region", "api", "access_key_id", "secret_access_key", "session_token"],
            Self::Vertex => &["project", "location"],
        }
    }

    /// Whether the dialect follows from them and from the model, so that none can be named.
    #[must_use]
    pub fn decides_dialects(self) -> bool {
        matches!(self, Self::Bedrock | Self::Vertex)
    }

    pub const ALL: [Self; 4] = [Self::None, Self::Azure, Self::Bedrock, Self::Vertex];
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
    /// Its answers may tell what was written to a cache in dialects in which most upstreams do not.
    pub tells_cache_writes: bool,
    pub particulars: Particulars,
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
        tells_cache_writes: true,
        particulars: Particulars::None,
    },
    Kind {
        name: "openai_compatible",
        dialects: &[Dialect::OpenAiChat],
        other_dialects: &[Dialect::OpenAiResponses],
        credential: Credential::Bearer,
        headers: &[],
        base_url: None,
        built_in: false,
        tells_cache_writes: false,
        particulars: Particulars::None,
    },
    Kind {
        name: "anthropic",
        dialects: &[Dialect::AnthropicMessages],
        other_dialects: &[],
        credential: Credential::Header("x-api-key"),
        headers: &[("anthropic-version", "2023-06-01")],
        base_url: Some("https://api.anthropic.com/v1"),
        built_in: false,
        tells_cache_writes: false,
        particulars: Particulars::None,
    },
    Kind {
        name: "gemini",
        dialects: &[Dialect::Gemini],
        other_dialects: &[],
        credential: Credential::Header("x-goog-api-key"),
        headers: &[],
        base_url: Some("https://generativelanguage.googleapis.com/v1beta"),
        built_in: false,
        tells_cache_writes: false,
        particulars: Particulars::None,
    },
    Kind {
        name: "azure",
        dialects: &[Dialect::OpenAiChat, Dialect::OpenAiResponses],
        other_dialects: &[],
        credential: Credential::Header("api-key"),
        headers: &[],
        base_url: None,
        built_in: false,
        tells_cache_writes: true,
        particulars: Particulars::Azure,
    },
    Kind {
        name: "bedrock",
        dialects: &[Dialect::AnthropicMessages],
        other_dialects: &[],
        credential: Credential::Bearer,
        headers: &[],
        base_url: None,
        built_in: false,
        tells_cache_writes: false,
        particulars: Particulars::Bedrock,
    },
    Kind {
        name: "vertex",
        dialects: &[Dialect::Gemini, Dialect::AnthropicMessages],
        other_dialects: &[],
        credential: Credential::KeyFile,
        headers: &[],
        base_url: None,
        built_in: false,
        tells_cache_writes: false,
        particulars: Particulars::Vertex,
    },
    Kind {
        name: "simulated",
        dialects: &Dialect::ALL,
        other_dialects: &[],
        credential: Credential::None,
        headers: &[],
        base_url: None,
        built_in: true,
        tells_cache_writes: false,
        particulars: Particulars::None,
    },
];

#[must_use]
pub fn kind(name: &str) -> Option<&'static Kind> {
    PROVIDERS.iter().find(|kind| kind.name == name)
}
