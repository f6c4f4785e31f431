//! What an account of a vendor is known by besides an address and credentials.

use super::{
    context::{Context, Spot},
    secret,
    url::base_url,
};
use crate::{
    config::{
        form::Interpolated,
        model as yaml,
        snapshot::{BaseUrl, Secret},
    },
    provider::{Account, ApiName, Kind, Particulars, azure, bedrock, vertex},
};
use std::sync::Arc;

/// What there is of an account, as far as it is sound.
pub(super) struct Known {
    pub(super) account: Account,
    /// Where it is asked if nothing else is said.
    pub(super) address: Option<BaseUrl>,
    /// It says where it is asked, or would if it were sound.
    pub(super) has_address: bool,
    /// Requests are signed: no credential travels.
    pub(super) signs: bool,
}

impl Known {
    fn of(account: Account) -> Self {
        Self { account, address: None, has_address: false, signs: false }
    }
}

/// `None`: what it needs is not there, which has been told.
pub(super) fn account(
    yaml: &yaml::Provider,
    kind: Option<&Kind>,
    spot: &Spot<'_>,
    context: &mut Context<'_>,
) -> Option<Known> {
    let kind = kind?;
    let own = kind.particulars.fields();
    for name in Particulars::ALL.into_iter().flat_map(Particulars::fields) {
        let here = spot.key(name);
        if here.is_there() && !own.contains(name) {
            context.problem(&here, format!("`{}` has no `{name}`", kind.name));
        }
    }
    match kind.particulars {
        Particulars::None => Some(Known::of(Account::Plain)),
        Particulars::Azure => azure(yaml, spot, context),
        Particulars::Bedrock => bedrock(yaml, spot, context),
        Particulars::Vertex => vertex(yaml, spot, context),
    }
}

fn azure(yaml: &yaml::Provider, spot: &Spot<'_>, context: &mut Context<'_>) -> Option<Known> {
    let api_version = match &yaml.api_version {
        None => None,
        Some(text) => {
            let rule = "expected a version such as `2024-10-21`";
            Some(named("api_version", text, azure::is_version, rule, spot, context)?)
        }
    };
    Some(Known::of(Account::Azure(azure::Account { api_version })))
}

fn bedrock(yaml: &yaml::Provider, spot: &Spot<'_>, context: &mut Context<'_>) -> Option<Known> {
    let region = required("region", yaml.region.as_ref(), spot, context);
    let region = region.and_then(|text| {
        named("region", text, bedrock::is_region, "expected a region such as `us-east-1`", spot, context)
    });
    let keys = access_keys(yaml, spot, context);
    let region = region?;
    let api = match yaml.api.unwrap_or_default() {
        ApiName::Converse => bedrock::Api::Converse,
        ApiName::Invoke => bedrock::Api::Invoke,
    };
    let address = base_url(&bedrock::base_url(&region)).ok();
    let keys = keys?;
    let signs = keys.is_some();
    let account = Account::Bedrock(bedrock::Account { region, api, keys });
    Some(Known { account, address, has_address: true, signs })
}

/// `None`: half of what it takes, or what cannot be one. `Some(None)`: there are none.
#[expect(clippy::option_option, reason = "there are none, or they are not sound")]
fn access_keys(
    yaml: &yaml::Provider,
    spot: &Spot<'_>,
    context: &mut Context<'_>,
) -> Option<Option<bedrock::AccessKeys>> {
    let mut read = |name: &str, text: Option<&Interpolated>| {
        text.map(|text| secret::credential(text, &spot.key(name), context))
    };
    let id = read("access_key_id", yaml.access_key_id.as_ref());
    let key = read("secret_access_key", yaml.secret_access_key.as_ref());
    let token = read("session_token", yaml.session_token.as_ref());
    let has_any =
        ["access_key_id", "secret_access_key", "session_token"].map(|name| spot.key(name).is_there());
    match has_any {
        [false, false, false] => return Some(None),
        [true, true, _] => {}
        [false, ..] => context.problem(spot, "`access_key_id` is missing: there is more of an access key"),
        [_, false, _] => {
            context.problem(spot, "`secret_access_key` is missing: there is more of an access key")
        }
    }
    if spot.key("credentials").is_there() {
        context.problem(
            &spot.key("credentials"),
            "are API keys, which take the place of `access_key_id`: give the one or the other",
        );
    }
    let (access_key_id, secret_access_key) = (id??, key??);
    let session_token = match token {
        Some(token) => Some(token?),
        None => None,
    };
    Some(Some(bedrock::AccessKeys { access_key_id, secret_access_key, session_token }))
}

fn vertex(yaml: &yaml::Provider, spot: &Spot<'_>, context: &mut Context<'_>) -> Option<Known> {
    let project = required("project", yaml.project.as_ref(), spot, context);
    let project = project.and_then(|text| {
        named("project", text, vertex::is_project, "expected the id of a project", spot, context)
    });
    let location = required("location", yaml.location.as_ref(), spot, context);
    let location = location.and_then(|text| {
        let rule = "expected a location such as `europe-west4`, or `global`";
        named("location", text, vertex::is_location, rule, spot, context)
    });
    let (project, location) = (project?, location?);
    let address = base_url(&vertex::base_url(&location)).ok();
    // Its service accounts are its credentials, which are read where all are.
    let account = Account::Vertex(vertex::Account { project, location, service_accounts: Vec::new() });
    Some(Known { account, address, has_address: true, signs: false })
}

/// The key files, and the accounts that they are of.
pub(super) fn service_accounts(
    texts: &[Interpolated],
    spot: &Spot<'_>,
    context: &mut Context<'_>,
) -> (Vec<Secret>, Vec<Arc<vertex::ServiceAccount>>) {
    let (mut files, mut accounts) = (Vec::new(), Vec::new());
    for (index, text) in texts.iter().enumerate() {
        let spot = spot.item(index);
        let Some(file) = context.resolve(&spot, text).map(Secret::new) else { continue };
        match vertex::ServiceAccount::read(file.clone(), base_url) {
            Ok(account) => accounts.push(Arc::new(account)),
            Err(message) => context.problem(&spot, message),
        }
        files.push(file);
    }
    (files, accounts)
}

fn required<'y>(
    name: &str,
    text: Option<&'y Interpolated>,
    spot: &Spot<'_>,
    context: &mut Context<'_>,
) -> Option<&'y Interpolated> {
    if text.is_none() && !spot.key(name).is_there() {
        context.problem(spot, format!("`{name}` is missing"));
    }
    text
}

fn named(
    name: &str,
    text: &Interpolated,
    fits: impl Fn(&str) -> bool,
    rule: &str,
    spot: &Spot<'_>,
    context: &mut Context<'_>,
) -> Option<String> {
    let here = spot.key(name);
    let text = context.resolve(&here, text)?;
    if fits(&text) {
        return Some(text);
    }
    context.problem(&here, rule);
    None
}
