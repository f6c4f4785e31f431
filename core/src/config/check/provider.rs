//! `providers`.

use super::{
    account::{self, Known},
    context::{Context, NOT_YET, Spot},
    secret,
    url::base_url,
};
use crate::{
    config::{
        form::Span,
        model::{self as yaml, StreamUsage},
        snapshot::{BaseUrl, Http2, OnDisconnect, Provider, Secret, Timeouts},
    },
    provider::{self as kinds, Account, Credential, Kind, Particulars, azure, vertex::ServiceAccount},
    wire::Dialect,
};
use std::{collections::HashMap, sync::Arc, time::Duration};

/// Characters of a name that becomes a part of metric labels and deployment ids.
const NAME_CHARS_MAX: usize = 64;

pub(super) fn providers(
    document: &yaml::Document,
    context: &mut Context<'_>,
) -> HashMap<Arc<str>, Arc<Provider>> {
    let all = context.root().key("providers");
    for name in all.names().filter(|name| !is_name(name)) {
        context.problem(&all.key(name), NAME_RULE);
    }
    if document.providers.is_empty() && all.names().next().is_none() && all.is_there() {
        context.problem(&all, "needs at least one provider");
    }
    let built = document.providers.iter().filter_map(|(name, provider)| {
        let name: Arc<str> = Arc::from(name.as_str());
        let provider = one(&name, provider, &all.key(&name), context)?;
        Some((name, Arc::new(provider)))
    });
    built.collect()
}

/// What the names of providers and plans are made of.
pub(super) const NAME_RULE: &str = "a name has 1 to 64 letters, digits, dots, hyphens and underscores";

pub(super) fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    (1..=NAME_CHARS_MAX).contains(&name.len()) && name.bytes().all(fits)
}

fn one(
    name: &Arc<str>,
    yaml: &yaml::Provider,
    spot: &Spot<'_>,
    context: &mut Context<'_>,
) -> Option<Provider> {
    let kind = kinds::kind(yaml.kind.as_str());
    if kind.is_none() {
        context.problem(&spot.key("kind"), format!("kind `{}` {NOT_YET}", yaml.kind.as_str()));
    }
    let known = account::account(yaml, kind, spot, context);
    let base = base(yaml, kind, known.as_ref(), spot, context);
    let (credentials, service_accounts) =
        credentials(yaml, kind, base.as_ref(), known.as_ref(), spot, context);
    let ca_file =
        yaml.ca_file.as_ref().and_then(|file| context.pem(&spot.key("ca_file"), file, "CERTIFICATE"));
    if yaml.ca_file.is_some() && base.as_ref().is_none_or(|base| !base.tls) {
        context.warn(&spot.key("ca_file"), "has no effect without https");
    }
    let timeouts = timeouts(&yaml.timeouts, &spot.key("timeouts"), context);
    let dialects = dialects(yaml, kind, spot, context);
    let mut account = known?.account;
    // In what it is asked, the API or the model decides.
    let dialects = if kind.is_some_and(|kind| kind.particulars.decides_dialects()) {
        if yaml.dialects.is_some() {
            context
                .problem(&spot.key("dialects"), format!("of `{}` follow from the model", yaml.kind.as_str()));
        }
        account.dialects()
    } else {
        dialects
    };
    if yaml.give_back_reasoning && !dialects.contains(&Dialect::OpenAiChat) {
        context.warn(&spot.key("give_back_reasoning"), "has no effect but in `openai_chat`");
    }
    if let Account::Vertex(account) = &mut account {
        account.service_accounts = service_accounts;
    }
    Some(Provider {
        name: name.clone(),
        kind: kind?,
        base,
        credentials,
        dialects,
        stream_usage: yaml.stream_usage == StreamUsage::Ask,
        timeouts,
        on_disconnect: match yaml.on_disconnect {
            yaml::OnDisconnect::Drain => OnDisconnect::Drain,
            yaml::OnDisconnect::Estimate => OnDisconnect::Estimate,
            yaml::OnDisconnect::None => OnDisconnect::None,
        },
        http2: match yaml.http2 {
            yaml::Http2::Auto => Http2::Auto,
            yaml::Http2::Never => Http2::Never,
            yaml::Http2::Always => Http2::Always,
        },
        sandbox: yaml.sandbox,
        give_back_reasoning: yaml.give_back_reasoning,
        forward_client_ip: yaml.forward_client_ip,
        ca_file,
        account,
    })
}

/// The upstream's address. Without a known kind it is still checked where it is given.
fn base(
    yaml: &yaml::Provider,
    kind: Option<&Kind>,
    known: Option<&Known>,
    spot: &Spot<'_>,
    context: &mut Context<'_>,
) -> Option<BaseUrl> {
    let here = spot.key("base_url");
    let built_in = kind.is_some_and(|kind| kind.built_in);
    match &yaml.base_url {
        Some(_) if built_in => {
            context.problem(&here, format!("`{}` is built in and has no address", yaml.kind.as_str()));
            None
        }
        Some(text) => {
            let text = context.resolve(&here, text)?;
            let mut base = base_url(&text).map_err(|message| context.problem(&here, message)).ok()?;
            if kind.is_some_and(|kind| kind.particulars == Particulars::Azure) {
                base.path = azure::bare(&base.path).to_owned();
            }
            Some(base)
        }
        None if here.is_there() || built_in => None,
        None if known.is_some_and(|known| known.has_address) => known?.address.clone(),
        None if kind
            .is_some_and(|kind| !matches!(kind.particulars, Particulars::None | Particulars::Azure)) =>
        {
            // What it is missing has been told.
            None
        }
        None => match kind?.base_url {
            Some(default) => base_url(default).map_err(|message| context.problem(&here, message)).ok(),
            None => {
                context
                    .problem(spot, format!("`base_url` is missing: `{}` has no default", yaml.kind.as_str()));
                None
            }
        },
    }
}

fn credentials(
    yaml: &yaml::Provider,
    kind: Option<&Kind>,
    base: Option<&BaseUrl>,
    known: Option<&Known>,
    spot: &Spot<'_>,
    context: &mut Context<'_>,
) -> (Vec<Secret>, Vec<Arc<ServiceAccount>>) {
    let here = spot.key("credentials");
    let Some(kind) = kind else { return (Vec::new(), Vec::new()) };
    if kind.credential == Credential::None && !yaml.credentials.is_empty() {
        context.problem(&here, format!("`{}` takes no credentials", kind.name));
        return (Vec::new(), Vec::new());
    }
    let (credentials, service_accounts) = match kind.credential {
        Credential::KeyFile => account::service_accounts(&yaml.credentials, &here, context),
        _ => (secret::credentials(&yaml.credentials, &here, context), Vec::new()),
    };
    let wants_some = match kind.particulars {
        Particulars::None => {
            kind.credential != Credential::None && kind.base_url.is_some() && yaml.base_url.is_none()
        }
        // An access key stands for them; of one that is not sound its own problem is told.
        Particulars::Bedrock => known.is_some_and(|known| !known.signs),
        Particulars::Azure | Particulars::Vertex => true,
    };
    if wants_some && yaml.credentials.is_empty() && !here.is_there() {
        context
            .problem(spot, format!("`credentials` is missing: `{}` refuses requests without one", kind.name));
    }
    if !credentials.is_empty() && base.is_some_and(|base| !base.tls && !base.is_loopback()) {
        context.warn(&here, "travels unencrypted, because `base_url` is http");
    }
    (credentials, service_accounts)
}

fn dialects(
    yaml: &yaml::Provider,
    kind: Option<&Kind>,
    spot: &Spot<'_>,
    context: &mut Context<'_>,
) -> Vec<Dialect> {
    let Some(named) = &yaml.dialects else {
        return kind.map(|kind| kind.dialects.to_vec()).unwrap_or_default();
    };
    let here = spot.key("dialects");
    let mut dialects = Vec::with_capacity(named.len());
    for (index, dialect) in named.iter().enumerate() {
        let here = here.item(index);
        if dialects.contains(dialect) {
            context.problem(&here, format!("`{}` is there twice", dialect.as_str()));
        } else if kind.is_some_and(|kind| !kind.speaks(*dialect)) {
            context.problem(&here, format!("`{}` does not speak `{}`", yaml.kind.as_str(), dialect.as_str()));
        } else {
            dialects.push(*dialect);
        }
    }
    dialects
}

fn timeouts(timeouts: &yaml::Timeouts, spot: &Spot<'_>, context: &mut Context<'_>) -> Timeouts {
    const LEAST: Duration = Duration::from_millis(1);
    const MINUTE: Duration = Duration::from_secs(60);
    const DAY: Duration = Duration::from_secs(24 * 3600);
    let mut within = |key: &str, value: &Span, most| context.bounded(&spot.key(key), value.0, LEAST, most);
    Timeouts {
        connect: within("connect", &timeouts.connect, MINUTE),
        first_byte: within("first_byte", &timeouts.first_byte, DAY),
        idle: within("idle", &timeouts.idle, DAY),
        total: within("total", &timeouts.total, DAY),
    }
}
