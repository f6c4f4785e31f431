//! What the store promises, on a file.

mod changes;
mod file;
mod found_records;
mod keys;
mod records;
mod reports;
mod rollups;
mod tenancy;
mod usage;

use super::{SqliteStore, tenants};
use aione_core::{
    domain::{
        audit::{Actor, AuditEntry, Object},
        clock::Timestamp,
        credential::ManagementToken,
        id::{AuditId, KeyId, OrgId, RecordId, TeamId, TokenId},
        key::{Key, KeyHash},
        money::Pico,
        plan::RateLimits,
        usage::{Closed, End, Opened, Provenance, Usage, UsageRecord},
    },
    ports::{
        Change, ChangeStore as _, Changed, KeyChange, KeyStore as _, Organization, Row, Sign, StoreError,
        Team, Trail,
    },
};
use std::{path::PathBuf, sync::Arc};
use uuid::Uuid;

/// 2026-11-23T14:00:00Z.
const NOW: Timestamp = Timestamp(1_795_442_400_000);

/// A store on a file of its own, which goes with it.
struct TestStore {
    store: SqliteStore,
    folder: tempfile::TempDir,
}

impl TestStore {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("data/aione.db")).await.unwrap();
        Self { store, folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("data/aione.db")
    }

    /// An organization `number` with one team of the same number.
    async fn with_org(self, number: u128) -> Self {
        self.store.insert_org(&org(number)).await.unwrap();
        self.store.insert_team(&team(number)).await.unwrap();
        self
    }
}

/// Changes as other tests need them: with a trail that nobody looks at.
impl SqliteStore {
    async fn done(&self, change: Change) -> Result<Option<Changed>, StoreError> {
        self.make(change, unsigned()).await
    }

    async fn key_done(&self, change: Change) -> Result<Option<Key>, StoreError> {
        let changed = self.done(change).await?;
        Ok(changed.and_then(|changed| match changed.row() {
            Row::Key(key) => Some((**key).clone()),
            _ => None,
        }))
    }

    async fn insert_key(&self, key: &Key, hash: &KeyHash) -> Result<(), StoreError> {
        self.done(Change::InsertKey { key: Box::new(key.clone()), hash: *hash }).await.map(drop)
    }

    async fn update_key(&self, org: OrgId, id: KeyId, change: &KeyChange) -> Result<Option<Key>, StoreError> {
        self.key_done(Change::UpdateKey { org, id, change: change.clone() }).await
    }

    async fn set_disabled(&self, org: OrgId, id: KeyId, disabled: bool) -> Result<Option<Key>, StoreError> {
        self.key_done(Change::DisableKey { org, id, disabled }).await
    }

    async fn rotate_key(
        &self,
        org: OrgId,
        id: KeyId,
        hash: &KeyHash,
        prefix: &str,
        grace_until: Timestamp,
    ) -> Result<Option<Key>, StoreError> {
        let prefix = prefix.to_owned();
        self.key_done(Change::RotateKey { org, id, hash: *hash, prefix, grace_until }).await
    }

    async fn delete_key(&self, org: OrgId, id: KeyId, at: Timestamp) -> Result<bool, StoreError> {
        self.done(Change::DeleteKey { org, id, at }).await.map(|changed| changed.is_some())
    }

    async fn insert_token(&self, token: &ManagementToken, hash: &KeyHash) -> Result<(), StoreError> {
        self.done(Change::InsertToken { token: token.clone(), hash: *hash }).await.map(drop)
    }

    async fn delete_token(&self, org: OrgId, id: TokenId) -> Result<bool, StoreError> {
        self.done(Change::DeleteToken { org, id }).await.map(|changed| changed.is_some())
    }

    async fn insert_org(&self, org: &Organization) -> Result<(), StoreError> {
        tenants::insert_org(&self.writer, org).await
    }

    async fn insert_team(&self, team: &Team) -> Result<(), StoreError> {
        tenants::insert_team(&self.writer, team).await
    }
}

fn unsigned() -> Sign {
    Box::new(|changed| Trail { audit: entry(rand::random(), changed.row().object()), answer: None })
}

fn entry(number: u128, object: Object) -> AuditEntry {
    AuditEntry {
        id: AuditId(Uuid::from_u128(number)),
        at: NOW,
        org: Some(org_id(1)),
        actor: Actor::Local,
        address: None,
        action: "test".to_owned(),
        object,
        object_id: "it".to_owned(),
        before: None,
        after: None,
    }
}

impl std::ops::Deref for TestStore {
    type Target = SqliteStore;
    fn deref(&self) -> &SqliteStore {
        &self.store
    }
}

fn org_id(number: u128) -> OrgId {
    OrgId(Uuid::from_u128(number))
}

fn team_id(number: u128) -> TeamId {
    TeamId(Uuid::from_u128(number))
}

pub(super) fn key_id(number: u128) -> KeyId {
    KeyId(Uuid::from_u128(number))
}

fn hash(seed: u8) -> KeyHash {
    KeyHash([seed; 32])
}

fn org(number: u128) -> Organization {
    Organization {
        id: org_id(number),
        slug: format!("org-{number}"),
        name: format!("Organization {number}"),
        plan: Arc::from("standard"),
        limits: RateLimits { rpm: Some(600), tpm: Some(u64::MAX), rpd: None, concurrency: Some(0) },
        time_zone: chrono_tz::Asia::Shanghai,
        created_at: NOW,
    }
}

fn team(number: u128) -> Team {
    Team {
        id: team_id(number),
        org: org_id(number),
        name: "default".to_owned(),
        limits: RateLimits { rpm: None, tpm: Some(1_000), rpd: Some(10), concurrency: None },
        created_at: NOW,
    }
}

/// Key `number` of organization 1.
fn key(number: u128) -> Key {
    Key {
        id: key_id(number),
        org: org_id(1),
        team: team_id(1),
        name: format!("key {number}"),
        prefix: format!("sk-aione-{number:03}…wxyz"),
        models_allowed: vec!["gpt-5".to_owned(), "名".to_owned()],
        allowed_ips: vec!["10.0.0.0/8".parse().unwrap(), "2001:db8::1/128".parse().unwrap()],
        limits: RateLimits { rpm: Some(1), tpm: Some(1 << 63), rpd: None, concurrency: Some(7) },
        is_sandbox: true,
        expires_at: None,
        disabled: false,
        rotate_grace_until: None,
        created_at: NOW.plus_ms(i64::try_from(number).unwrap()),
        last_used_at: None,
        metadata: serde_json::from_str(r#"{"owner": {"mail": "a@example.org"}}"#).unwrap(),
    }
}

/// Record `number` of organization 1, started at `started_at`, with one of each class.
pub(super) fn record(number: u128, started_at: Timestamp) -> UsageRecord {
    let id = RecordId(Uuid::from_u128(number));
    UsageRecord {
        opened: Opened {
            id,
            started_at,
            org: org_id(1),
            team: team_id(1),
            key: key_id(1),
            model: Arc::from("gpt-5"),
            dialect: Arc::from("openai_chat"),
            provider: Arc::from("first"),
            sandbox: false,
            streamed: true,
            price_version: u64::MAX - 1,
            estimated_input: 17,
        },
        closed: Closed {
            id,
            provider: Arc::from("openai"),
            upstream_model: Arc::from("gpt-5-2026-01-01"),
            end: End::Complete,
            status: 200,
            attempts: 2,
            usage: Usage {
                input: 1,
                cache_read: 2,
                cache_write_5m: 3,
                cache_write_1h: 4,
                audio_in: 5,
                output: 6,
                reasoning: 7,
                audio_out: 8,
                images: 9,
                searches: 10,
            },
            provenance: Provenance::Provider,
            flagged: false,
            unpriced: false,
            latency_ms: u32::MAX,
            first_byte_ms: 120,
            cost: Pico(1_000_000_000_001),
        },
    }
}
