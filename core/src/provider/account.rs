//! What an account is known by besides an address and keys, and what it changes of a request: in which
//! tongue, where, with which body, and how a stream comes back. For most vendors that is nothing.

use super::{azure, bedrock, vertex};
use crate::wire::{Dialect, Tongue};
use bytes::Bytes;
use std::{borrow::Cow, sync::Arc};

/// What there is besides an address and keys.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Account {
    #[default]
    Plain,
    Azure(azure::Account),
    Bedrock(bedrock::Account),
    Vertex(vertex::Account),
}

/// How an account lets a request in.
#[derive(Clone, Copy, Debug)]
pub enum Entry<'a> {
    /// By one of the provider's credentials.
    Credential,
    /// Signed: with these keys, in a region, for a service.
    Signed { keys: &'a bedrock::AccessKeys, region: &'a str, service: &'static str },
    /// By a token that one of these is given.
    Token(&'a [Arc<vertex::ServiceAccount>]),
}

impl Account {
    /// What a model is asked in; `None`: in the provider's dialects.
    #[must_use]
    pub fn tongue(&self, model: &str) -> Option<Tongue> {
        match self {
            Self::Plain | Self::Azure(_) => None,
            Self::Bedrock(account) => Some(account.tongue()),
            Self::Vertex(account) => Some(account.tongue(model)),
        }
    }

    /// The dialects in which it may be asked where those follow from the model.
    #[must_use]
    pub fn dialects(&self) -> Vec<Dialect> {
        match self {
            Self::Plain | Self::Azure(_) => Vec::new(),
            Self::Bedrock(account) => match account.tongue() {
                Tongue::Dialect(dialect) => vec![dialect],
                Tongue::Converse => Vec::new(),
            },
            Self::Vertex(_) => vec![Dialect::Gemini, Dialect::AnthropicMessages],
        }
    }

    /// Where a model is asked, behind the provider's address. `own` is where the dialect's own vendor would
    /// be; `None`: that has no counterpart here.
    #[must_use]
    pub fn path(&self, own: Cow<'static, str>, model: &str, stream: bool) -> Option<Cow<'static, str>> {
        match self {
            Self::Plain => Some(own),
            Self::Azure(account) => Some(account.path(&own, model)),
            Self::Bedrock(account) => {
                (own == "/messages" || own.is_empty()).then(|| account.path(model, stream))
            }
            Self::Vertex(account) => account.path(&own, model, stream),
        }
    }

    /// The body as it is sent, where it is otherwise than with the dialect's own vendor. `betas`: what the
    /// caller's `anthropic-beta` says.
    #[must_use]
    pub fn body(&self, parts: &[Bytes], model: &str, betas: Option<&str>) -> Option<Vec<u8>> {
        let whole = || match parts {
            [only] => Cow::Borrowed(&**only),
            parts => Cow::Owned(parts.concat()),
        };
        match self {
            Self::Plain | Self::Azure(_) => None,
            Self::Bedrock(account) => account.body(&whole(), betas),
            Self::Vertex(account) => account.body(&whole(), model),
        }
    }

    /// Whether [`Self::body`] may say something, and the body is then held twice.
    #[must_use]
    pub fn rewrites_bodies(&self) -> bool {
        matches!(self, Self::Bedrock(_) | Self::Vertex(_))
    }

    #[must_use]
    pub fn entry(&self) -> Entry<'_> {
        match self {
            Self::Plain | Self::Azure(_) => Entry::Credential,
            Self::Bedrock(account) => match &account.keys {
                None => Entry::Credential,
                Some(keys) => Entry::Signed { keys, region: &account.region, service: bedrock::SERVICE },
            },
            Self::Vertex(account) => Entry::Token(&account.service_accounts),
        }
    }

    /// Whether a path of the vendor's own API can be asked here: not where it follows from the model, or where
    /// requests are let in for what they say.
    #[must_use]
    pub fn takes_any_path(&self) -> bool {
        match self {
            Self::Plain => true,
            Self::Azure(account) => account.api_version.is_none(),
            Self::Bedrock(_) | Self::Vertex(_) => false,
        }
    }

    /// Whether its errors may be in other words than the dialect's own vendor has.
    #[must_use]
    pub fn has_own_errors(&self) -> bool {
        matches!(self, Self::Bedrock(_) | Self::Vertex(_))
    }

    /// The status under which the dialect's own vendor would have said what came under `status`.
    #[must_use]
    pub fn status(&self, status: u16) -> u16 {
        match (self, status) {
            // The model failed. Elsewhere this is said of a server that the request named, of tools say:
            // <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModel.html#API_runtime_InvokeModel_Errors>
            (Self::Bedrock(_), 424) => 500,
            _ => status,
        }
    }

    /// Reads a stream of the model's, where it does not come as server-sent events.
    #[must_use]
    pub fn unframer(&self, content_type: Option<&[u8]>) -> Option<bedrock::Unframer> {
        let Self::Bedrock(account) = self else { return None };
        let is_binary = content_type
            .is_some_and(|kind| kind.to_ascii_lowercase().starts_with(b"application/vnd.amazon.eventstream"));
        is_binary.then(|| bedrock::Unframer::new(account.tongue()))
    }
}

/// A name as one segment of a path.
pub(super) fn segment(text: &str) -> String {
    const UNRESERVED: &[u8] = b"-._~";
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || UNRESERVED.contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_has_nothing_that_parts_a_path() {
        assert_eq!(segment("a/b:c@d e%?#é"), "a%2Fb%3Ac%40d%20e%25%3F%23%C3%A9");
        assert_eq!(segment("gpt-4o_mini.v1~x"), "gpt-4o_mini.v1~x");
    }

    #[test]
    fn most_accounts_change_nothing() {
        let plain = Account::Plain;
        assert_eq!(plain.tongue("m"), None);
        assert_eq!(plain.path("/messages".into(), "m", true).as_deref(), Some("/messages"));
        assert_eq!(plain.body(&[Bytes::from_static(b"{}")], "m", None), None);
        assert!(matches!(plain.entry(), Entry::Credential) && !plain.has_own_errors());
    }

    #[test]
    fn a_body_in_pieces_is_read_as_one() {
        let account =
            bedrock::Account { region: "us-east-1".to_owned(), api: bedrock::Api::Invoke, keys: None };
        assert_eq!(account.tongue(), Dialect::AnthropicMessages.into());
        let pieces = [Bytes::from_static(b"{\"model\":"), Bytes::from_static(b"\"m\",\"a\":1}")];
        let body = Account::Bedrock(account.clone()).body(&pieces, "m", None).unwrap();
        assert_eq!(body, br#"{"a":1,"anthropic_version":"bedrock-2023-05-31"}"#);
        let account = Account::Bedrock(account);
        assert_eq!(account.path("/messages/count_tokens".into(), "m", false), None);
        assert_eq!((account.status(424), account.status(429), Account::Plain.status(424)), (500, 429, 424));
        assert!(account.unframer(Some(b"application/vnd.amazon.eventstream")).is_some());
        assert!(account.unframer(Some(b"application/json")).is_none());
    }
}
