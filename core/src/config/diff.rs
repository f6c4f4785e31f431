//! What a new configuration changes, what of it waits for a restart, and what then runs.

use crate::{
    config::{
        pass_through::Passage,
        snapshot::{Model, Provider, Snapshot},
    },
    domain::plan::Plan,
    ports::Reloaded,
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt::Debug,
    sync::Arc,
};

/// Says `path: old → new` for each field that differs.
macro_rules! compare {
    ($lines:expr, $old:expr, $new:expr; $($($field:ident).+ as $name:literal),+ $(,)?) => {
        $($lines.field($name, &$old.$($field).+, &$new.$($field).+);)+
    };
}

/// Why `candidate` cannot take over from what runs, not even in part: the key, and the reason.
///
/// A currency cannot be held back until a restart as others are, since the candidate's prices
/// are amounts in it.
#[must_use]
pub fn forbids(running: &Snapshot, candidate: &Snapshot) -> Option<(&'static str, String)> {
    let (old, new) = (&running.billing.currency, &candidate.billing.currency);
    let reason = || format!("{old} → {new} needs a restart: the prices that run are in {old}");
    (old != new).then(|| ("billing.currency", reason()))
}

/// Holds `candidate`, which nothing [`forbids`], against what runs. What needs a restart is told
/// and stays as it runs, so that the snapshot that comes back is one that the process can live
/// up to.
#[must_use]
pub fn apply(running: &Snapshot, mut candidate: Snapshot) -> (Snapshot, Reloaded) {
    let mut fixed = Lines::default();
    compare!(fixed, running, candidate;
        server.listen as "server.listen",
        server.h2c as "server.h2c",
        server.threads as "server.threads",
        server.max_connections as "server.max_connections",
        admin.listen as "admin.listen",
        metrics_listen as "metrics.listen",
        storage.database as "storage.database",
        storage.redis as "storage.redis",
        storage.journal as "storage.journal",
        storage.journal_sync as "storage.journal_sync",
        storage.journal_sync_timeout as "storage.journal_sync_timeout",
        storage.keep_records as "storage.keep_records",
        keys.prefix as "keys.prefix",
        log.json as "log.format",
    );
    if running.server.tls.is_some() != candidate.server.tls.is_some() {
        fixed.0.push(format!("server.tls: {}", if candidate.server.tls.is_some() { "on" } else { "off" }));
        candidate.server.tls.clone_from(&running.server.tls);
    }
    // The first start makes a pepper; finding it in its file is no change.
    let made = running.peppers.is_empty() && running.pepper_file == candidate.pepper_file;
    if !made && running.peppers != candidate.peppers {
        fixed.0.push("secrets.key_pepper: changed".to_owned());
    }
    keep_running(running, &mut candidate);
    let reloaded = Reloaded {
        version: candidate.version,
        changes: changes(running, &candidate),
        needs_restart: fixed.0,
    };
    (candidate, reloaded)
}

fn keep_running(running: &Snapshot, candidate: &mut Snapshot) {
    candidate.server.listen.clone_from(&running.server.listen);
    candidate.server.h2c = running.server.h2c;
    candidate.server.threads = running.server.threads;
    candidate.server.max_connections = running.server.max_connections;
    candidate.admin.listen = running.admin.listen;
    candidate.metrics_listen = running.metrics_listen;
    candidate.storage.clone_from(&running.storage);
    candidate.keys.prefix.clone_from(&running.keys.prefix);
    candidate.log.json = running.log.json;
    candidate.peppers.clone_from(&running.peppers);
    candidate.pepper_file.clone_from(&running.pepper_file);
}

fn changes(old: &Snapshot, new: &Snapshot) -> Vec<String> {
    let mut lines = Lines::default();
    compare!(lines, old, new;
        server.tls as "server.tls",
        server.trusted_proxies as "server.trusted_proxies",
        server.max_body as "server.max_body",
        server.header_timeout as "server.header_timeout",
        server.body_timeout as "server.body_timeout",
        server.keep_alive_after as "server.keep_alive_after",
        server.drain_timeout as "server.drain_timeout",
        admin.public as "admin.public",
        keys.rotate_grace as "keys.rotate_grace",
        keys.cache_max_age as "keys.cache_max_age",
        billing.unpriced as "billing.unpriced",
        billing.time_zone as "billing.time_zone",
        limits.cache_read_weight_milli as "limits.cache_read_weight (thousandths)",
        limits.default_ceiling as "limits.default_ceiling",
        limits.reserve_cap as "limits.reserve_cap",
        limits.redis_timeout as "limits.redis_timeout",
        limits.on_redis_loss as "limits.on_redis_loss",
        drain.max_streams as "drain.max_streams",
        drain.max_time as "drain.max_time",
        log.level as "log.level",
        default_plan as "default_plan",
    );
    if old.admin.operator_tokens != new.admin.operator_tokens {
        lines.0.push(format!("admin.operator_tokens: changed, {} now", new.admin.operator_tokens.len()));
    }
    lines.named("provider", &by_name(&old.providers), &by_name(&new.providers), provider_parts);
    lines.named("pass-through to", &by_provider(old), &by_provider(new), passage_parts);
    lines.named("model", &by_id(old), &by_id(new), model_parts);
    lines.named("plan", &by_name(&old.plans), &by_name(&new.plans), plan_parts);
    if old.prices.version != new.prices.version {
        lines.0.push(format!("price book: {:016x} → {:016x}", old.prices.version, new.prices.version));
    }
    if lines.0.is_empty() && old.version != new.version {
        lines.0.push("a file that the configuration names: changed".to_owned());
    }
    lines.0
}

fn provider_parts(old: &Provider, new: &Provider) -> Vec<&'static str> {
    let parts = [
        ("kind", old.kind != new.kind),
        ("base_url", old.base != new.base),
        ("credentials", old.credentials != new.credentials),
        ("dialects", old.dialects != new.dialects),
        ("stream_usage", old.stream_usage != new.stream_usage),
        ("timeouts", old.timeouts != new.timeouts),
        ("on_disconnect", old.on_disconnect != new.on_disconnect),
        ("http2", old.http2 != new.http2),
        ("sandbox", old.sandbox != new.sandbox),
        ("give_back_reasoning", old.give_back_reasoning != new.give_back_reasoning),
        ("forward_client_ip", old.forward_client_ip != new.forward_client_ip),
        ("ca_file", old.ca_file != new.ca_file),
        ("account", old.account != new.account),
    ];
    changed(&parts)
}

fn passage_parts(old: &Passage, new: &Passage) -> Vec<&'static str> {
    let parts = [
        ("pass_through", old.patterns != new.patterns),
        ("pass_through_price", old.model.price != new.model.price),
    ];
    changed(&parts)
}

fn model_parts(old: &Model, new: &Model) -> Vec<&'static str> {
    let parts = [
        ("display_name", old.display_name != new.display_name),
        ("aliases", old.aliases != new.aliases),
        ("context_window", old.context_window != new.context_window),
        ("max_output_tokens", old.max_output_tokens != new.max_output_tokens),
        ("capabilities", old.capabilities != new.capabilities),
        ("sandbox", old.sandbox != new.sandbox),
        ("price", old.price != new.price),
        ("route", route_of(old) != route_of(new)),
    ];
    changed(&parts)
}

/// The route without what its providers are: a provider's change is told as the provider's.
fn route_of(model: &Model) -> impl PartialEq {
    let route = &model.route;
    let deployments: Vec<_> = route
        .deployments
        .iter()
        .map(|deployment| {
            (deployment.id.clone(), deployment.weight, deployment.priority, deployment.cost.clone())
        })
        .collect();
    (route.policy, deployments, route.attempts, route.retry_on, route.cool_down)
}

fn plan_parts(old: &Plan, new: &Plan) -> Vec<&'static str> {
    let parts = [
        ("name", old.name != new.name),
        ("models", old.models != new.models),
        ("rpm_limits", old.rpm_limits != new.rpm_limits),
        ("tpm_limits", old.tpm_limits != new.tpm_limits),
        ("rpd_limits", old.rpd_limits != new.rpd_limits),
        ("concurrency_limits", old.concurrency_limits != new.concurrency_limits),
        // Where the plan states none, they are the book's, which is told of by itself.
        ("price_per_1m_tokens", old.own_prices != new.own_prices),
        ("monthly_fee", old.monthly_fee != new.monthly_fee),
        ("sandbox_included", old.sandbox_included != new.sandbox_included),
        ("sla_tier", old.sla_tier != new.sla_tier),
    ];
    changed(&parts)
}

fn changed(parts: &[(&'static str, bool)]) -> Vec<&'static str> {
    parts.iter().filter(|(_, differs)| *differs).map(|(name, _)| *name).collect()
}

fn by_name<T>(map: &HashMap<Arc<str>, Arc<T>>) -> BTreeMap<&str, &T> {
    map.iter().map(|(name, value)| (&**name, &**value)).collect()
}

fn by_provider(snapshot: &Snapshot) -> BTreeMap<&str, &Passage> {
    snapshot.passages.iter().map(|passage| (&*passage.provider.name, &**passage)).collect()
}

fn by_id(snapshot: &Snapshot) -> BTreeMap<&str, &Model> {
    snapshot.models.values().map(|model| (&*model.id, &**model)).collect()
}

#[derive(Default)]
struct Lines(Vec<String>);

impl Lines {
    fn field<T: PartialEq + Debug>(&mut self, name: &str, old: &T, new: &T) {
        if old != new {
            self.0.push(format!("{name}: {old:?} → {new:?}"));
        }
    }

    fn named<T>(
        &mut self,
        what: &str,
        old: &BTreeMap<&str, &T>,
        new: &BTreeMap<&str, &T>,
        parts: impl Fn(&T, &T) -> Vec<&'static str>,
    ) {
        let names: BTreeSet<&str> = old.keys().chain(new.keys()).copied().collect();
        for name in names {
            match (old.get(name), new.get(name)) {
                (None, _) => self.0.push(format!("{what} `{name}`: added")),
                (_, None) => self.0.push(format!("{what} `{name}`: removed")),
                (Some(old), Some(new)) => {
                    let parts = parts(old, new);
                    if !parts.is_empty() {
                        self.0.push(format!("{what} `{name}`: {} changed", parts.join(", ")));
                    }
                }
            }
        }
    }
}
