//! Fills a gateway's database with keys before its first start, and writes their secrets down for the load driver.

use std::fs;
use std::path::{Path, PathBuf};

use aione_core::config::snapshot::{Database, Secret};
use aione_core::domain::budget::BudgetPeriod;
use aione_core::domain::clock::Timestamp;
use aione_core::domain::id::KeyId;
use aione_core::domain::key::{self, Key, KeyHash, Peppers};
use aione_core::domain::plan::RateLimits;
use aione_core::ports::{KeyStore, Surroundings, Team};
use aione_gateway::clock::{self, System};
use aione_gateway::store::{DEFAULT_NAME, Store};
use anyhow::Context;

use super::target::{DATABASE, KEY_RPM, KEY_TPM, PEPPER, PLAN};

/// Keys of one transaction.
const BATCH: usize = 10_000;
/// What the gateway takes when its configuration does not say.
const KEY_PREFIX: &str = "sk-aione";

/// Files for the load driver, a secret on each line.
pub(super) struct Seeded {
    /// Evenly drawn from all.
    pub(super) in_use: PathBuf,
    /// The rest; `None`: all are in use.
    pub(super) others: Option<PathBuf>,
}

struct Fresh {
    secret: Secret,
    hash: KeyHash,
    prefix: String,
}

/// Makes `count` keys in the database of the gateway that will be started in `folder`.
pub(super) async fn seed(folder: &Path, count: usize, in_use: usize) -> anyhow::Result<Seeded> {
    let store = Store::open(&Database::Sqlite(folder.join(DATABASE))).await?;
    let now = clock::now();
    store.bootstrap(now, rand::random(), &PLAN.into(), "UTC".parse()?).await?;
    let org = store.find_org(DEFAULT_NAME).await?.context("the first organization")?;
    let team = store.find_team(org.id, DEFAULT_NAME).await?.context("the first team")?;
    // In the order of their hashes, which is random as to all else: both of the store's tables
    // then grow at their ends, and a million rows take seconds.
    let mut fresh = mint(count)?;
    fresh.sort_unstable_by_key(|key| key.hash.0);
    let mut made_at = now.plus_ms(-i64::try_from(count)?);
    for batch in fresh.chunks(BATCH) {
        let mut keys = Vec::with_capacity(batch.len());
        for fresh in batch {
            made_at = made_at.plus_ms(1);
            keys.push((key(fresh, &team, made_at), fresh.hash));
        }
        store.insert_keys(&keys).await?;
    }
    store.close().await;
    let one_in = count / in_use;
    let (used, others): (Vec<_>, Vec<_>) =
        fresh.iter().enumerate().partition(|(place, _)| place % one_in == 0);
    let files = Seeded {
        in_use: folder.join("keys-in-use.txt"),
        others: (!others.is_empty()).then(|| folder.join("keys-others.txt")),
    };
    write(&files.in_use, &used)?;
    if let Some(file) = &files.others {
        write(file, &others)?;
    }
    Ok(files)
}

fn mint(count: usize) -> anyhow::Result<Vec<Fresh>> {
    let peppers = Peppers::new([PEPPER])?;
    let one = || {
        let minted = key::mint(KEY_PREFIX, |bytes| System.entropy(bytes));
        let hash = peppers.hash(minted.secret.expose());
        Fresh { secret: minted.secret, hash, prefix: minted.prefix }
    };
    Ok(std::iter::repeat_with(one).take(count).collect())
}

/// With limits of its own, as the other workloads' key has them.
fn key(fresh: &Fresh, team: &Team, made_at: Timestamp) -> Key {
    let mut entropy = [0; 10];
    System.entropy(&mut entropy);
    Key {
        id: KeyId::new(made_at, entropy),
        org: team.org,
        team: team.id,
        name: "bench".to_owned(),
        prefix: fresh.prefix.clone(),
        models_allowed: Vec::new(),
        allowed_ips: Vec::new(),
        limits: RateLimits { rpm: Some(KEY_RPM), tpm: Some(KEY_TPM), ..RateLimits::default() },
        budget: None,
        budget_period: BudgetPeriod::Month,
        is_sandbox: false,
        expires_at: None,
        disabled: false,
        rotate_grace_until: None,
        created_at: made_at,
        last_used_at: None,
        metadata: serde_json::Map::new(),
    }
}

fn write(path: &Path, keys: &[(usize, &Fresh)]) -> anyhow::Result<()> {
    let mut text = String::new();
    for (_, key) in keys {
        text.push_str(key.secret.expose());
        text.push('\n');
    }
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_secret_that_is_written_down_is_a_key_of_the_store() {
        let folder = tempfile::tempdir().unwrap();
        let files = seed(folder.path(), 20, 5).await.unwrap();
        let read = |file: &Path| fs::read_to_string(file).unwrap();
        let (in_use, others) = (read(&files.in_use), read(&files.others.unwrap()));
        assert_eq!((in_use.lines().count(), others.lines().count()), (5, 15));
        let store = Store::open_read_only(&Database::Sqlite(folder.path().join(DATABASE))).await.unwrap();
        let peppers = Peppers::new([PEPPER]).unwrap();
        for secret in in_use.lines().chain(others.lines()) {
            assert!(store.find_by_hash(&peppers.hash(secret)).await.unwrap().is_some());
        }
        assert!(seed(&folder.path().join("all"), 10, 10).await.unwrap().others.is_none());
    }
}
