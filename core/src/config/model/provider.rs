//! `providers`: accounts with vendors.

use super::Price;
use crate::{
    config::form::{Interpolated, Span},
    provider::{ApiName, KindName},
    wire::Dialect,
};
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;

/// One account of one vendor.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    pub kind: KindName,
    /// What the vendor's own SDK takes, such as `https://api.openai.com/v1`; the default is the
    /// kind's. `simulated` has none.
    pub base_url: Option<Interpolated>,
    /// Several are spread over, each with its own cool-down.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub credentials: Vec<Interpolated>,
    /// Default: what the kind speaks.
    #[schemars(length(min = 1, max = 16))]
    pub dialects: Option<Vec<Dialect>>,
    /// Whether `stream_options.include_usage` may be sent. Default `ask`.
    #[serde(default)]
    pub stream_usage: StreamUsage,
    /// Whether what a model thought is given back to it, as `reasoning_content` of the messages in OpenAI's chat: some
    /// vendors refuse a conversation with calls of tools without it.
    #[serde(default)]
    pub give_back_reasoning: bool,
    /// What is passed on to it besides the gateway's own endpoints: entries such as `GET /v1/things`,
    /// `GET /v1/things/{id}` and `POST /v1/things/*`. Default: nothing.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub pass_through: Vec<String>,
    /// What that costs where a request names no model: as a model's `price`.
    pub pass_through_price: Option<Price>,
    #[serde(default)]
    pub timeouts: Timeouts,
    /// What becomes of the answer when the caller leaves. Default `drain`.
    #[serde(default)]
    pub on_disconnect: OnDisconnect,
    /// Default `auto`.
    #[serde(default)]
    pub http2: Http2,
    /// Whether sandbox keys may be sent here.
    #[serde(default)]
    pub sandbox: bool,
    /// Whether the caller's address is told in `x-forwarded-for`.
    #[serde(default)]
    pub forward_client_ip: bool,
    /// PEM file of the authorities to trust in the place of the system's.
    pub ca_file: Option<Interpolated>,
    /// Of `azure`: such as `2024-10-21`. Without it the path has `/openai/v1`.
    pub api_version: Option<Interpolated>,
    /// Of `bedrock`: such as `us-east-1`.
    pub region: Option<Interpolated>,
    /// Of `bedrock`. Default `converse`.
    pub api: Option<ApiName>,
    /// Of `bedrock`: with `secret_access_key`, in the place of `credentials`.
    pub access_key_id: Option<Interpolated>,
    /// Of `bedrock`.
    pub secret_access_key: Option<Interpolated>,
    /// Of `bedrock`: of keys that hold for a time only.
    pub session_token: Option<Interpolated>,
    /// Of `vertex`: the id or the number of a project.
    pub project: Option<Interpolated>,
    /// Of `vertex`: such as `europe-west4`, or `global`.
    pub location: Option<Interpolated>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StreamUsage {
    #[default]
    Ask,
    Never,
}

/// How long each stage of an upstream's answer may take.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// Default `2s`.
    pub connect: Span,
    /// Default `600s`.
    pub first_byte: Span,
    /// Between two pieces of an answer. Default `300s`.
    pub idle: Span,
    /// Default `1800s`.
    pub total: Span,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnDisconnect {
    /// Read it to its end, within the bounds of `drain`.
    #[default]
    Drain,
    /// Stop, and count what was sent with a tokenizer.
    Estimate,
    /// Stop, and record what the upstream had reported.
    None,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Http2 {
    /// By ALPN over TLS.
    #[default]
    Auto,
    Never,
    /// Also without TLS.
    Always,
}

impl Default for Timeouts {
    fn default() -> Self {
        let seconds = |count| Span(Duration::from_secs(count));
        Self { connect: seconds(2), first_byte: seconds(600), idle: seconds(300), total: seconds(1800) }
    }
}
