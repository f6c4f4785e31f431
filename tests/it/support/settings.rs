//! The gateway's configuration, built piece by piece; JSON is YAML.

use super::{ports, upstream::Upstream};
use serde_json::{Value, json};
use std::net::SocketAddr;

/// A configuration with everything local and nothing limited, to which a test adds what it needs.
#[derive(Clone, Debug)]
pub struct Settings {
    pub value: Value,
    pub public: SocketAddr,
    pub admin: SocketAddr,
    pub metrics: SocketAddr,
}

/// Long enough to be one, and to be found where it should not be.
pub const OPERATOR: &str = "op-test-0123456789abcdefghijklmnopqrstuvwxyz";
/// What upstreams are given.
pub const CREDENTIAL: &str = "sk-upstream-credential-0123456789";

impl Settings {
    pub fn new() -> Self {
        let [public, admin, metrics] = [ports::free(), ports::free(), ports::free()];
        let value = json!({
            "version": 1,
            "server": { "listen": public.to_string(), "h2c": true, "threads": 2, "drain_timeout": "10s" },
            "admin": { "listen": admin.to_string(), "operator_tokens": [OPERATOR] },
            "metrics": { "listen": metrics.to_string() },
            "storage": {
                "database": "sqlite://data/aione.db",
                "journal": "data/journal",
                // The tests kill processes, not machines, and many of them share one disk.
                "journal_sync": "interval",
            },
            "secrets": { "key_pepper": "file:data/pepper" },
            "log": { "level": "info", "format": "json" },
            "providers": {},
            "models": {},
            "default_plan": "standard",
            "plans": { "standard": { "name": "Standard", "models": ["*"] } },
        });
        Self { value, public, admin, metrics }
    }

    /// Sets one value, given its path as a JSON pointer; what is missing on the way is made.
    pub fn set(mut self, pointer: &str, value: impl Into<Value>) -> Self {
        let mut at = &mut self.value;
        for name in pointer.split('/').skip(1) {
            at = &mut at[name.replace("~1", "/").replace("~0", "~")];
        }
        *at = value.into();
        self
    }

    pub fn remove(mut self, section: &str, name: &str) -> Self {
        self.value[section].as_object_mut().unwrap().remove(name);
        self
    }

    pub fn provider(mut self, name: &str, value: Value) -> Self {
        self.value["providers"][name] = value;
        self
    }

    /// A provider of the OpenAI dialect at `base_url`.
    pub fn provider_at(self, name: &str, base_url: &str) -> Self {
        let kind = "openai_compatible";
        self.provider(name, json!({ "kind": kind, "base_url": base_url, "credentials": [CREDENTIAL] }))
    }

    pub fn upstream(self, name: &str, upstream: &Upstream) -> Self {
        self.provider_at(name, &upstream.base_url())
    }

    /// The built-in provider.
    pub fn simulated(self, name: &str) -> Self {
        self.provider(name, json!({ "kind": "simulated" }))
    }

    pub fn on_disconnect(mut self, provider: &str, policy: &str) -> Self {
        self.value["providers"][provider]["on_disconnect"] = json!(policy);
        self
    }

    pub fn timeouts(mut self, provider: &str, timeouts: Value) -> Self {
        self.value["providers"][provider]["timeouts"] = timeouts;
        self
    }

    /// A priced model that is tried at `providers` in order, under the same name there.
    pub fn model(self, name: &str, providers: &[&str]) -> Self {
        let deployments: Vec<_> = providers
            .iter()
            .enumerate()
            .map(|(priority, provider)| json!({ "provider": provider, "model": name, "priority": priority }))
            .collect();
        let price = json!({ "input": super::money::INPUT, "cache_read": super::money::CACHE_READ, "output": super::money::OUTPUT });
        let route = json!({
            "policy": "priority", "deployments": deployments, "attempts": 3,
            // Tests of cool-downs set their own; in all others it must not interfere.
            "cool_down": { "after": 1000, "within": "1s", "for": "1s", "max": "1s" },
        });
        self.model_value(name, json!({ "price": price, "route": route }))
    }

    pub fn model_value(mut self, name: &str, value: Value) -> Self {
        self.value["models"][name] = value;
        self
    }

    pub fn plan(mut self, code: &str, value: Value) -> Self {
        self.value["plans"][code] = value;
        self
    }

    /// Merges `value` into the section `limits`.
    pub fn limits(mut self, value: Value) -> Self {
        for (name, value) in value.as_object().unwrap() {
            self.value["limits"][name] = value.clone();
        }
        self
    }

    /// What is written to the file.
    pub fn text(&self) -> String {
        serde_json::to_string_pretty(&self.value).unwrap()
    }
}
