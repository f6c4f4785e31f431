//! Amazon Bedrock: models of every vendor by `Converse`, or Claude by `InvokeModel` in Anthropic's dialect:
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_Operations_Amazon_Bedrock_Runtime.html>.
//!
//! A request is signed with an access key, or carries an API key as a bearer. Streams come as binary events.

mod unframe;

pub use unframe::Unframer;

use crate::{
    config::snapshot::Secret,
    provider::segment,
    wire::{Dialect, Tongue, members::Members},
};
use std::borrow::Cow;

/// The service's name in a signature.
pub const SERVICE: &str = "bedrock";
/// What the body of a request in Anthropic's dialect says in the place of the header.
const ANTHROPIC_VERSION: &str = "bedrock-2023-05-31";

/// What is known of an account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Account {
    /// Such as `us-east-1`.
    pub region: String,
    pub api: Api,
    /// `None`: its credentials are API keys.
    pub keys: Option<AccessKeys>,
}

/// How models are asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Api {
    Converse,
    Invoke,
}

/// What requests are signed with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccessKeys {
    pub access_key_id: Secret,
    pub secret_access_key: Secret,
    /// Of keys that hold for a time only.
    pub session_token: Option<Secret>,
}

/// Where a region is asked.
#[must_use]
pub fn base_url(region: &str) -> String {
    let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    format!("https://bedrock-runtime.{region}.{domain}")
}

/// Whether a region's name may stand in a host's.
#[must_use]
pub fn is_region(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=32).contains(&text.len()) && text.bytes().all(fits) && !text.starts_with('-') && !text.ends_with('-')
}

impl Account {
    #[must_use]
    pub fn tongue(&self) -> Tongue {
        match self.api {
            Api::Converse => Tongue::Converse,
            Api::Invoke => Dialect::AnthropicMessages.into(),
        }
    }

    /// A model's id holds colons, and an ARN slashes: both are one segment.
    #[must_use]
    pub fn path(&self, model: &str, stream: bool) -> Cow<'static, str> {
        let call = match (self.api, stream) {
            (Api::Converse, false) => "converse",
            (Api::Converse, true) => "converse-stream",
            (Api::Invoke, false) => "invoke",
            (Api::Invoke, true) => "invoke-with-response-stream",
        };
        format!("/model/{}/{call}", segment(model)).into()
    }

    /// `None`: the body goes as it is. In Anthropic's dialect the model and whether it streams are in the path,
    /// and the version and the `betas` of its header are in the body.
    #[must_use]
    pub fn body(&self, body: &[u8], betas: Option<&str>) -> Option<Vec<u8>> {
        if self.api == Api::Converse {
            return None;
        }
        let mut members = Members::read(body)?;
        members.remove("model");
        members.remove("stream");
        members.set("anthropic_version", &ANTHROPIC_VERSION);
        if let Some(betas) = betas
            && members.get("anthropic_beta").is_none()
        {
            let betas: Vec<_> = betas.split(',').map(str::trim).filter(|beta| !beta.is_empty()).collect();
            members.set("anthropic_beta", &betas);
        }
        Some(members.write())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(api: Api) -> Account {
        Account { region: "us-east-1".to_owned(), api, keys: None }
    }

    #[test]
    fn a_models_id_is_one_segment_of_the_path() {
        let path = account(Api::Converse).path("us.anthropic.claude-sonnet-4-5-20250929-v1:0", true);
        assert_eq!(path, "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse-stream");
        let arn = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc";
        let path = account(Api::Invoke).path(arn, false);
        let encoded = "arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aapplication-inference-profile%2Fabc";
        assert_eq!(path, format!("/model/{encoded}/invoke"));
    }

    #[test]
    fn the_body_of_an_invocation_names_its_version_and_no_model() {
        let body =
            br#"{"model":"m","max_tokens":5,"stream":true,"messages":[{"role":"user","content":"x"}]}"#;
        let text = |betas| String::from_utf8(account(Api::Invoke).body(body, betas).unwrap()).unwrap();
        assert_eq!(
            text(None),
            r#"{"max_tokens":5,"messages":[{"role":"user","content":"x"}],"anthropic_version":"bedrock-2023-05-31"}"#
        );
        assert!(text(Some("a, b")).ends_with(r#""anthropic_beta":["a","b"]}"#));
        assert_eq!(account(Api::Converse).body(body, None), None);
    }

    #[test]
    fn a_region_has_its_host() {
        assert_eq!(base_url("eu-west-1"), "https://bedrock-runtime.eu-west-1.amazonaws.com");
        assert_eq!(base_url("cn-north-1"), "https://bedrock-runtime.cn-north-1.amazonaws.com.cn");
        assert!(is_region("ap-southeast-2") && !is_region("a.evil") && !is_region("") && !is_region("US"));
    }
}
