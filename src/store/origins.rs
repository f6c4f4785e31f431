//! Who gave an answer that its caller may go on from: OpenAI keeps answers for thirty days, each with the account
//! that gave it.
//!
//! A name is bound to an organization: nobody else's answers can be named. Where nodes share a Redis they share
//! this as well; what is forgotten here or there is as if it had never been.

use super::redis::Shared;
use aione_core::domain::id::OrgId;
use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};
use std::{
    fmt::Write as _,
    sync::{Arc, OnceLock},
    time::Duration,
};

/// Answers that a node remembers; those that are least asked for are forgotten first.
const KEPT_MAX: usize = 64 * 1024;
/// How long the vendor keeps an answer.
const KEPT_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

/// An organization's answer, by a digest of its id.
type Name = [u8; 16];

#[derive(Debug)]
pub struct Origins {
    /// Made with the first answer that is kept: most gateways never see one.
    own: OnceLock<Cache<Name, Arc<str>>>,
    shared: Option<Arc<Shared>>,
}

impl Origins {
    #[must_use]
    pub fn new(shared: Option<Arc<Shared>>) -> Self {
        Self { own: OnceLock::new(), shared }
    }

    fn own(&self) -> &Cache<Name, Arc<str>> {
        self.own.get_or_init(|| Cache::new(KEPT_MAX))
    }

    /// Notes that `provider` gave `org` the answer of this id.
    pub fn keep(&self, org: OrgId, answer: &str, provider: &Arc<str>) {
        let name = name(org, answer);
        self.own().insert(name, provider.clone());
        if let Some(shared) = &self.shared {
            shared.keep(in_redis(&name), provider.clone(), KEPT_FOR);
        }
    }

    /// The provider that gave it; waits for Redis no longer than `timeout`.
    pub async fn of(&self, org: OrgId, answer: &str, timeout: Duration) -> Option<Arc<str>> {
        let name = name(org, answer);
        if let Some(provider) = self.own.get().and_then(|own| own.get(&name)) {
            return Some(provider);
        }
        let provider: Arc<str> = self.shared.as_ref()?.kept(&in_redis(&name), timeout).await?.into();
        self.own().insert(name, provider.clone());
        Some(provider)
    }
}

fn name(org: OrgId, answer: &str) -> Name {
    let digest = Sha256::new().chain_update(org.0.as_bytes()).chain_update(answer).finalize();
    let mut name = Name::default();
    name.copy_from_slice(&digest[..size_of::<Name>()]);
    name
}

fn in_redis(name: &Name) -> String {
    let mut key = "aione:answer:".to_owned();
    for byte in name {
        // Writing to a String cannot fail.
        let _ = write!(key, "{byte:02x}");
    }
    key
}
