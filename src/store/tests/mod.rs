//! What the store promises, on each database that it runs on.

/// Each of these is a test on either database, under its own name.
macro_rules! contract {
    ($($name:ident),* $(,)?) => {
        use crate::store::engine::Engine;

        mod on_sqlite {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::Engine::Sqlite).await;
            })*
        }

        mod on_postgres {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::Engine::Postgres).await;
            })*
        }
    };
}

mod budgets;
mod calculated;
mod changes;
mod file;
mod found_records;
mod invoices;
mod keys;
mod ledger;
mod margins;
mod opening;
mod postgres;
mod quarantine;
mod records;
mod reports;
mod rollups;
mod tenancy;
mod usage;

use super::{Store, engine::Engine, postgres as server, row::Row as Cells, statement::Statement, tenants};
use aione_core::{
    config::snapshot::{Database, Secret},
    domain::{
        audit::{Actor, AuditEntry, Object},
        budget::{BillingMode, BudgetPeriod, Terms},
        clock::Timestamp,
        credential::ManagementToken,
        id::{AuditId, KeyId, OrgId, RecordId, TeamId, TokenId},
        invoice::TaxRate,
        key::{Key, KeyHash},
        money::Pico,
        outlay::{FailedAttempt, Outlay},
        plan::RateLimits,
        usage::{Closed, End, Opened, Provenance, Usage, UsageRecord},
    },
    ports::{
        Change, ChangeStore as _, Changed, GroupBy, KeyChange, KeyStore as _, Organization, Page, Row, Sign,
        StoreError, Team, Trail, UsageQuery,
    },
};
use std::{path::PathBuf, sync::Arc};
use uuid::Uuid;

/// 2026-11-23T14:00:00Z.
const NOW: Timestamp = Timestamp(1_795_442_400_000);

/// Where `scripts/with-postgres.sh` says that the tests' PostgreSQL is.
const SERVER: &str = "AIONE_TEST_POSTGRES";

/// A store of its own, with the folder of its file, which goes with it.
struct TestStore {
    store: Store,
    database: Database,
    folder: tempfile::TempDir,
}

impl TestStore {
    async fn open(on: Engine) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = match on {
            Engine::Sqlite => Database::Sqlite(folder.path().join("data/aione.db")),
            Engine::Postgres => fresh_schema().await,
        };
        let store = Store::open(&database).await.unwrap();
        Self { store, database, folder }
    }

    /// The file, of a store on SQLite.
    fn path(&self) -> PathBuf {
        self.folder.path().join("data/aione.db")
    }

    /// Another process's view of the same store.
    async fn opened_again(&self) -> Store {
        Store::open(&self.database).await.unwrap()
    }

    /// An organization `number` with one team of the same number.
    async fn with_org(self, number: u128) -> Self {
        self.store.insert_org(&org(number)).await.unwrap();
        self.store.insert_team(&team(number)).await.unwrap();
        self
    }
}

/// A place of its own on the tests' server, which is empty.
#[expect(clippy::disallowed_methods, reason = "the tests' server is no part of a configuration")]
async fn fresh_schema() -> Database {
    let url = std::env::var(SERVER).unwrap_or_else(|_| {
        panic!("there is no {SERVER}: run the tests by `make test`, or by `scripts/with-postgres.sh cargo nextest run …`")
    });
    let schema = format!("test_{:032x}", rand::random::<u128>());
    server::create_schema(&url, &schema).await.unwrap();
    let joint = if url.contains('?') { '&' } else { '?' };
    Database::Postgres(Secret::new(format!("{url}{joint}options[search_path]={schema}")))
}

/// Changes as other tests need them: with a trail that nobody looks at.
impl Store {
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
        let mut tx = self.change().await?;
        tenants::insert_org(&mut tx, org).await?;
        tx.commit().await
    }

    async fn insert_team(&self, team: &Team) -> Result<(), StoreError> {
        let mut tx = self.change().await?;
        tenants::insert_team(&mut tx, team).await?;
        tx.commit().await
    }

    /// Runs SQL that no port has.
    async fn sql(&self, sql: &'static str) {
        let mut tx = self.pools.write().await.unwrap();
        tx.script(sql).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Asks what no port does.
    async fn ask(&self, sql: &'static str) -> Vec<Cells> {
        self.pools.read().await.unwrap().all(Statement::new(sql)).await.unwrap()
    }
}

/// Makes the tables as they were before there were invoices and budgets; on PostgreSQL there is more.
const NO_BUDGETS: [&str; 21] = [
    "ALTER TABLE usage_records DROP COLUMN characters",
    "ALTER TABLE usage_records DROP COLUMN seconds",
    "DROP TABLE margins",
    "ALTER TABLE usage_records DROP COLUMN outlay",
    "ALTER TABLE usage_records DROP COLUMN failed_attempts",
    "DROP INDEX usage_records_unpriced",
    "DROP TABLE charges",
    "DROP TABLE plan_assignments",
    "DROP TABLE plan_versions",
    "DROP TABLE credit_notes",
    "DROP TABLE invoices",
    "DROP TABLE numbers",
    "ALTER TABLE organizations DROP COLUMN tax_rate_pct",
    "ALTER TABLE organizations DROP COLUMN next_plan",
    "ALTER TABLE organizations DROP COLUMN next_plan_at",
    "ALTER TABLE organizations DROP COLUMN billing_mode",
    "ALTER TABLE organizations DROP COLUMN credit_limit",
    "ALTER TABLE organizations DROP COLUMN monthly_budget",
    "ALTER TABLE teams DROP COLUMN monthly_budget",
    "ALTER TABLE keys DROP COLUMN budget",
    "ALTER TABLE keys DROP COLUMN budget_period",
];

/// Organization 1's usage by day.
fn everything() -> UsageQuery {
    UsageQuery {
        org: org_id(1),
        zone: chrono_tz::UTC,
        start: "2026-01-01".parse().unwrap(),
        end: "2026-12-31".parse().unwrap(),
        group_by: vec![GroupBy::Day],
        model: None,
        team: None,
        key: None,
        page: Page { offset: 0, limit: 1_000 },
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
    type Target = Store;
    fn deref(&self) -> &Store {
        &self.store
    }
}

fn org_id(number: u128) -> OrgId {
    OrgId(Uuid::from_u128(number))
}

fn team_id(number: u128) -> TeamId {
    TeamId(Uuid::from_u128(number))
}

pub(crate) fn key_id(number: u128) -> KeyId {
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
        next_plan: None,
        limits: RateLimits { rpm: Some(600), tpm: Some(u64::MAX), rpd: None, concurrency: Some(0) },
        terms: Terms {
            mode: BillingMode::Prepaid,
            credit_limit: Some(Pico(-1)),
            monthly_budget: Some(Pico(i128::MAX / 2)),
        },
        tax_rate: TaxRate::from_percent("7.125").unwrap(),
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
        monthly_budget: Some(Pico(1)),
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
        budget: Some(Pico(1_500_000_000_000)),
        budget_period: BudgetPeriod::Day,
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
pub(crate) fn record(number: u128, started_at: Timestamp) -> UsageRecord {
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
                characters: 11,
                seconds: 12,
            },
            provenance: Provenance::Provider,
            flagged: false,
            unpriced: false,
            latency_ms: u32::MAX,
            first_byte_ms: 120,
            cost: Pico(1_000_000_000_001),
            outlay: Outlay {
                cost: Some(Pico(700_000_000_001)),
                failed: vec![FailedAttempt {
                    provider: Arc::from("first"),
                    upstream_model: Arc::from("gpt-5-eu"),
                    fault: Arc::from("server_error"),
                    usage: Usage { input: 1, ..Usage::default() },
                    cost: None,
                }],
            },
        },
    }
}
