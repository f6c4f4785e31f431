//! The running configuration, shown without its secrets, its reload, and a reload's dry run. For
//! operators.

use crate::{Admin, auth::Operator, author::Deed, detach, error::Refusal, write::Write};
use aione_core::{
    config::{
        pass_through::Passage,
        snapshot::{Database, Model, Provider, Snapshot, UnpricedPolicy},
    },
    domain::{audit::Object, plan::Plan},
    ports::DryRun,
};
use axum::{Json, extract::State, response::Response};
use serde::Serialize;
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc};
use utoipa::ToSchema;

/// What the gateway runs on.
#[derive(Serialize, ToSchema)]
pub(crate) struct ConfigResponse {
    /// A hash of the effective configuration, in hexadecimal.
    version: String,
    /// Of the price book.
    price_version: String,
    listen: Vec<String>,
    admin_listen: String,
    admin_public: bool,
    metrics_listen: String,
    /// The kind of store: `sqlite`.
    database: &'static str,
    currency: String,
    time_zone: String,
    /// `reject` or `quarantine`.
    unpriced: &'static str,
    default_plan: String,
    providers: Vec<ProviderSummary>,
    models: Vec<ModelSummary>,
    plans: Vec<PlanSummary>,
    /// What was wrong at the last reload, a line each; empty where it was sound.
    last_problems: Vec<String>,
}

#[derive(Serialize, ToSchema)]
struct ProviderSummary {
    name: String,
    kind: &'static str,
    /// Scheme, host and port; its path stays out, since it may be secret. `null`: built in.
    #[schema(required = true)]
    origin: Option<String>,
    dialects: Vec<&'static str>,
    /// What it opens beside the gateway's own endpoints: methods and paths.
    pass_through: Vec<String>,
    /// How many there are.
    credentials: usize,
    sandbox: bool,
}

#[derive(Serialize, ToSchema)]
struct ModelSummary {
    id: String,
    aliases: Vec<String>,
    /// `provider/model`, in the order of the configuration.
    deployments: Vec<String>,
    priced: bool,
    sandbox: bool,
}

#[derive(Serialize, ToSchema)]
struct PlanSummary {
    code: String,
    name: String,
    models: Vec<String>,
    rpm_limits: BTreeMap<String, u64>,
    tpm_limits: BTreeMap<String, u64>,
    rpd_limits: BTreeMap<String, u64>,
    concurrency_limits: BTreeMap<String, u64>,
}

/// What a reload did.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReloadResponse {
    /// Of the configuration that runs now, in hexadecimal.
    version: String,
    /// A line each.
    changes: Vec<String>,
    /// Changes that wait for a restart, a line each.
    needs_restart: Vec<String>,
}

/// What a reload would do now.
#[derive(Serialize, ToSchema, Default)]
pub(crate) struct CheckResponse {
    /// Whether a reload would be taken.
    sound: bool,
    /// Of the configuration that would run, in hexadecimal; `null` where there are problems.
    #[schema(required = true)]
    version: Option<String>,
    /// Why a reload would be refused, a line each.
    problems: Vec<String>,
    /// What is allowed and probably not meant, a line each.
    warnings: Vec<String>,
    /// What would change, a line each.
    changes: Vec<String>,
    /// Changes that would wait for a restart, a line each.
    needs_restart: Vec<String>,
}

/// Show the running configuration, without secrets.
#[utoipa::path(
    get, path = "/config", tag = "Configuration", operation_id = "getConfig",
    responses((status = 200, body = ConfigResponse), Refusal),
)]
pub(crate) async fn show(State(admin): State<Admin>, _: Operator) -> Json<ConfigResponse> {
    Json(ConfigResponse::of(&admin.config.snapshot(), admin.config.last_problems()))
}

/// Read the configuration again. With any problem nothing changes, and 409 tells each.
#[utoipa::path(
    post, path = "/config/reload", tag = "Configuration", operation_id = "reloadConfig",
    responses((status = 200, body = ReloadResponse), Refusal),
)]
pub(crate) async fn reload(
    State(admin): State<Admin>,
    _: Operator,
    write: Write,
) -> Result<Response, Refusal> {
    write.says_nothing()?;
    let before = admin.config.snapshot().version;
    detach::to_the_end(async move {
        let done = admin.config.reload().await.map_err(Refusal::ConfigRefused)?;
        let deed = Deed {
            action: "config.reload",
            object: Object::Config,
            object_id: String::new(),
            before: Some(json!({ "version": hex(before) })),
            after: Some(json!({ "version": hex(done.version), "changes": &done.changes })),
        };
        let answer = ReloadResponse {
            version: hex(done.version),
            changes: done.changes,
            needs_restart: done.needs_restart,
        };
        write.note(&admin, deed, answer).await
    })
    .await?
}

/// Read the configuration as a reload would, and tell what that would change. Nothing is changed.
#[utoipa::path(
    post, path = "/config/check", tag = "Configuration", operation_id = "checkConfig",
    responses((status = 200, body = CheckResponse, description = "Also where there are problems"), Refusal),
)]
pub(crate) async fn check(State(admin): State<Admin>, _: Operator) -> Json<CheckResponse> {
    Json(CheckResponse::of(admin.config.check().await))
}

impl CheckResponse {
    fn of(outcome: Result<DryRun, Vec<String>>) -> Self {
        match outcome {
            Ok(DryRun { would, warnings }) => Self {
                sound: true,
                version: Some(hex(would.version)),
                problems: Vec::new(),
                warnings,
                changes: would.changes,
                needs_restart: would.needs_restart,
            },
            Err(problems) => Self { problems, ..Self::default() },
        }
    }
}

impl ConfigResponse {
    fn of(snapshot: &Snapshot, last_problems: Vec<String>) -> Self {
        let passages = &snapshot.passages;
        let mut providers: Vec<_> =
            snapshot.providers.values().map(|it| ProviderSummary::of(it, passages)).collect();
        providers.sort_by(|a, b| a.name.cmp(&b.name));
        let models = snapshot.each_model().into_values().map(|model| ModelSummary::of(model)).collect();
        let mut plans: Vec<_> = snapshot.plans.values().map(|it| PlanSummary::of(it)).collect();
        plans.sort_by(|a, b| a.code.cmp(&b.code));
        Self {
            version: hex(snapshot.version),
            price_version: hex(snapshot.prices.version),
            listen: snapshot.server.listen.iter().map(ToString::to_string).collect(),
            admin_listen: snapshot.admin.listen.to_string(),
            admin_public: snapshot.admin.public,
            metrics_listen: snapshot.metrics_listen.to_string(),
            database: match snapshot.storage.database {
                Database::Sqlite(_) => "sqlite",
                Database::Postgres(_) => "postgres",
            },
            currency: snapshot.billing.currency.clone(),
            time_zone: snapshot.billing.time_zone.to_string(),
            unpriced: match snapshot.billing.unpriced {
                UnpricedPolicy::Reject => "reject",
                UnpricedPolicy::Quarantine => "quarantine",
            },
            default_plan: snapshot.default_plan.to_string(),
            providers,
            models,
            plans,
            last_problems,
        }
    }
}

impl ProviderSummary {
    fn of(provider: &Provider, passages: &[Arc<Passage>]) -> Self {
        let passage = passages.iter().find(|passage| passage.provider.name == provider.name);
        let opened = passage.iter().flat_map(|passage| &passage.patterns).map(ToString::to_string);
        let origin = provider.base.as_ref().map(|base| {
            let scheme = if base.tls { "https" } else { "http" };
            let host = if base.host.contains(':') { format!("[{}]", base.host) } else { base.host.clone() };
            format!("{scheme}://{host}:{}", base.port)
        });
        Self {
            name: provider.name.to_string(),
            kind: provider.kind.name,
            origin,
            dialects: provider.dialects.iter().map(|dialect| dialect.as_str()).collect(),
            pass_through: opened.collect(),
            credentials: provider.credentials.len(),
            sandbox: provider.sandbox,
        }
    }
}

impl ModelSummary {
    fn of(model: &Model) -> Self {
        let texts = |names: &[Arc<str>]| names.iter().map(ToString::to_string).collect();
        Self {
            id: model.id.to_string(),
            aliases: texts(&model.aliases),
            deployments: model.route.deployments.iter().map(|deployment| deployment.id.to_string()).collect(),
            priced: model.price.is_some(),
            sandbox: model.sandbox,
        }
    }
}

impl PlanSummary {
    fn of(plan: &Plan) -> Self {
        Self {
            code: plan.code.to_string(),
            name: plan.name.clone(),
            models: plan.models.clone(),
            rpm_limits: plan.rpm_limits.clone(),
            tpm_limits: plan.tpm_limits.clone(),
            rpd_limits: plan.rpd_limits.clone(),
            concurrency_limits: plan.concurrency_limits.clone(),
        }
    }
}

/// All 64 bits: as a JSON number, many readers would lose the last ones.
fn hex(version: u64) -> String {
    format!("{version:016x}")
}
