//! Accounts of vendors that want more than an address and a key.

use super::*;
use crate::{
    config::snapshot::{BaseUrl, Provider, Secret},
    provider::{
        Account,
        bedrock::{AccessKeys, Api},
    },
};

const PEM: &str = include_str!("../../../../tests/fixtures/service_account/key_for_tests.pem");

/// A service account's key file, with a canary in it.
pub(super) fn key_file() -> String {
    serde_json::json!({
        "type": "service_account", "client_email": "canary@p.iam.gserviceaccount.com", "private_key": PEM,
        "private_key_id": "k1", "token_uri": "https://oauth2.googleapis.com/token",
    })
    .to_string()
}

fn with_provider(lines: &str) -> String {
    SOUND.replace("{ kind: simulated } }", &format!("{{ {lines} }} }}"))
}

fn provider(lines: &str) -> Arc<Provider> {
    let checked = check_text(&with_provider(lines)).unwrap_or_else(|problems| panic!("{problems:#?}"));
    checked.snapshot.providers["sim"].clone()
}

fn base(provider: &Provider) -> (&str, &str) {
    let BaseUrl { host, path, .. } = provider.base.as_ref().expect("an address");
    (host, path)
}

#[test]
fn azure_is_asked_at_a_resource_of_ones_own() {
    for address in ["https://r.openai.azure.com", "https://r.openai.azure.com/openai/v1/"] {
        let azure = provider(&format!("kind: azure, base_url: '{address}', credentials: [x]"));
        assert_eq!(base(&azure), ("r.openai.azure.com", ""), "{address}");
        assert!(matches!(&azure.account, Account::Azure(account) if account.api_version.is_none()));
    }
    refused(
        &with_provider("kind: azure, api_version: 'v 1'"),
        &[
            "a.yaml:1:14: providers.sim: `base_url` is missing: `azure` has no default",
            "a.yaml:1:14: providers.sim: `credentials` is missing: `azure` refuses requests without one",
            "a.yaml:1:47: providers.sim.api_version: expected a version such as `2024-10-21`",
        ],
    );
    refused(
        &with_provider("kind: openai, credentials: [x], api_version: '2024-10-21', region: us-east-1"),
        &[
            "a.yaml:1:66: providers.sim.api_version: `openai` has no `api_version`",
            "a.yaml:1:88: providers.sim.region: `openai` has no `region`",
        ],
    );
}

#[test]
fn bedrock_is_asked_in_a_region_signed_or_with_an_api_key() {
    let signed = provider(
        "kind: bedrock, region: eu-west-1, access_key_id: AKIDEXAMPLE, secret_access_key: '${OPENAI_API_KEY}', \
         session_token: t",
    );
    assert_eq!(base(&signed), ("bedrock-runtime.eu-west-1.amazonaws.com", ""));
    let Account::Bedrock(account) = &signed.account else { panic!("{:?}", signed.account) };
    let secret = |text: &str| Secret::new(text.to_owned());
    let keys = AccessKeys {
        access_key_id: secret("AKIDEXAMPLE"),
        secret_access_key: secret("sk-upstream-canary"),
        session_token: Some(secret("t")),
    };
    assert_eq!((account.api, account.keys.as_ref()), (Api::Converse, Some(&keys)));
    assert!(!format!("{signed:?}").contains("canary"));
    let bearer = provider(
        "kind: bedrock, region: us-east-1, api: invoke, credentials: [x], base_url: 'https://vpce.example'",
    );
    assert_eq!(base(&bearer), ("vpce.example", ""));
    assert!(matches!(&bearer.account, Account::Bedrock(account) if account.keys.is_none()));

    refused(&with_provider("kind: bedrock"), &["a.yaml:1:14: providers.sim: `region` is missing"]);
    refused(
        &with_provider("kind: bedrock, region: us-east-1"),
        &["a.yaml:1:14: providers.sim: `credentials` is missing: `bedrock` refuses requests without one"],
    );
    refused(
        &with_provider("kind: bedrock, region: 'evil.com/', access_key_id: a, api: chat"),
        &[
            "a.yaml:1:14: providers.sim: `secret_access_key` is missing: there is more of an access key",
            "a.yaml:1:44: providers.sim.region: expected a region such as `us-east-1`",
            "a.yaml:1:80: providers.sim.api: expected one of converse, invoke, found text",
        ],
    );
    refused(
        &with_provider(
            "kind: bedrock, region: us-east-1, credentials: [x], access_key_id: a, secret_access_key: 'b c'",
        ),
        &[
            "a.yaml:1:55: providers.sim.credentials: are API keys, which take the place of `access_key_id`: \
             give the one or the other",
            "a.yaml:1:110: providers.sim.secret_access_key: a credential is visible ASCII without spaces",
        ],
    );
}

#[test]
fn vertex_is_asked_in_a_project_with_a_service_accounts_key_file() {
    let vertex =
        provider("kind: vertex, project: p-1, location: europe-west4, credentials: ['file:sa.json']");
    assert_eq!(base(&vertex), ("europe-west4-aiplatform.googleapis.com", ""));
    let Account::Vertex(account) = &vertex.account else { panic!("{:?}", vertex.account) };
    let [service_account] = &*account.service_accounts else { panic!("one") };
    assert_eq!(service_account.email(), "canary@p.iam.gserviceaccount.com");
    assert_eq!(service_account.token_endpoint.host, "oauth2.googleapis.com");
    let shown = format!("{vertex:?}");
    assert!(!shown.contains("PRIVATE KEY") && !shown.contains("BEGIN"), "{shown}");
    // Two reads of the same file are the same account: nothing has changed.
    assert_eq!(
        vertex,
        provider("kind: vertex, project: p-1, location: europe-west4, credentials: ['file:sa.json']")
    );

    refused(
        &with_provider("kind: vertex, project: 'a/b', credentials: ['{}', 'file:gone.json', '${SHORT}']"),
        &[
            "a.yaml:1:14: providers.sim: `location` is missing",
            "a.yaml:1:44: providers.sim.project: expected the id of a project",
            "a.yaml:1:65: providers.sim.credentials[0]: has no `client_email`",
            "a.yaml:1:71: providers.sim.credentials[1]: there is no file `conf/gone.json`",
            "a.yaml:1:89: providers.sim.credentials[2]: expected the JSON key file of a service account, such as \
             `file:service-account.json`",
        ],
    );
    refused(
        &with_provider(
            "kind: vertex, project: p, location: global, credentials: ['file:sa.json'], dialects: [gemini]",
        ),
        &["a.yaml:1:96: providers.sim.dialects: of `vertex` follow from the model"],
    );
    refused(
        &with_provider("kind: vertex, project: p, location: global"),
        &["a.yaml:1:14: providers.sim: `credentials` is missing: `vertex` refuses requests without one"],
    );
}

#[test]
fn cache_writes_need_a_rate_where_the_model_may_tell_them() {
    let of = |class: &str, lines: &str, model: &str| {
        let text = with_provider(lines)
            .replace("[{ provider: sim }]", &format!("[{{ provider: sim, model: '{model}' }}]"));
        let checked = check_text(&text).unwrap_or_else(|problems| panic!("{problems:#?}"));
        checked.warnings.iter().any(|warning| warning.to_string().contains(class))
    };
    let missing = |lines: &str, model: &str| of("cache_write_5m", lines, model);
    let bedrock = "kind: bedrock, region: us-east-1, credentials: [x]";
    assert!(missing(bedrock, "amazon.nova-pro-v1:0"));
    let vertex = "kind: vertex, project: p, location: global, credentials: ['file:sa.json']";
    assert!(missing(vertex, "claude-sonnet-4-5@20250929"));
    assert!(!missing(vertex, "gemini-2.5-pro"));
    // OpenAI's own answers tell them, and only in one dialect for how long; most that are compatible do not.
    let azure = "kind: azure, base_url: 'https://a', credentials: [x]";
    let chat = "kind: openai, credentials: [x], dialects: [openai_chat]";
    let both = "kind: openai, credentials: [x]";
    assert!([azure, chat, both].iter().all(|lines| missing(lines, "gpt-5.2")));
    assert_eq!([azure, chat, both].map(|lines| of("cache_write_1h", lines, "gpt-5.2")), [true, false, true]);
    assert!(!missing("kind: openai_compatible, base_url: 'https://a', credentials: [x]", "gpt-5.2"));
    let embeds = SOUND
        .replace("{ kind: simulated }", &format!("{{ {both} }}"))
        .replace("    route:", "    capabilities: [embeddings]\n    route:");
    let checked = check_text(&embeds).unwrap_or_else(|problems| panic!("{problems:#?}"));
    assert!(checked.warnings.is_empty(), "{:#?}", checked.warnings);
}

#[test]
fn the_files_of_conf_are_sound() {
    let mut world = World::new();
    for (name, value) in [
        ("AZURE_OPENAI_ENDPOINT", "https://example.openai.azure.com"),
        ("AZURE_OPENAI_API_KEY", "x"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "x"),
        ("GOOGLE_CLOUD_PROJECT", "p-1"),
        // From the folder of the file in which it stands.
        ("GOOGLE_APPLICATION_CREDENTIALS", "sa.json"),
    ] {
        world.vars.insert(name, value.to_owned());
    }
    let files = [
        ("a.yaml", SOUND),
        ("azure.yaml", include_str!("../../../../conf/providers/azure.yaml")),
        ("bedrock.yaml", include_str!("../../../../conf/providers/bedrock.yaml")),
        ("vertex.yaml", include_str!("../../../../conf/providers/vertex.yaml")),
    ];
    let sources =
        files.map(|(name, text)| Source { name: Arc::from(format!("conf/{name}")), text: text.to_owned() });
    let checked = check::check(&sources, &world).unwrap_or_else(|problems| panic!("{problems:#?}"));
    assert!(checked.warnings.is_empty(), "{:#?}", checked.warnings);
    assert_eq!(checked.snapshot.providers.len(), 4);
}
