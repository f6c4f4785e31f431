//! A small world in memory behind every port, whose clock stands still until it is told.

mod changes;

use aione_admin::{Mint, Minted};
use aione_core::{
    config::snapshot::{Secret, Snapshot},
    domain::{
        audit::AuditEntry,
        budget::{Owner, Terms},
        clock::Timestamp,
        credential::ManagementToken,
        fee::PlanHistory,
        id::{EntryId, InvoiceId, KeyId, OrgId, RecordId, TeamId},
        invoice::{Charge, Invoice},
        key::{Key, KeyHash},
        ledger::{Entry, Totals},
        money::Pico,
        outlay::Margin,
        plan::RateLimits,
        price::PriceBook,
        usage::UsageRecord,
    },
    ports::{
        Batches, ConfigControl, DryRun, EntryPlace, Fleet, InvoiceStore, KeptAnswer, KeyFilter, KeyInContext,
        KeyStore, KeyUse, LedgerStore, LiveUse, MarginQuery, MarginStore, MarginSum, Organization, Overview,
        OverviewQuery, Page, RecordQuery, Reloaded, Spending, StoreError, Surroundings, Team, UsageQuery,
        UsageStore, UsageSum,
    },
};
use async_trait::async_trait;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};
use tokio::sync::{Notify, RwLock};

pub(crate) struct World {
    state: Mutex<State>,
    pub(crate) snapshot: Arc<Snapshot>,
    /// While a test holds it for writing, disabling a key does not end.
    pub(crate) gate: RwLock<()>,
    /// Told of every announcement.
    pub(crate) announcement: Notify,
}

pub(crate) struct State {
    pub(crate) now: Timestamp,
    pub(crate) keys: Vec<StoredKey>,
    pub(crate) orgs: Vec<Organization>,
    pub(crate) teams: Vec<Team>,
    pub(crate) tokens: Vec<(ManagementToken, KeyHash)>,
    pub(crate) audit: Vec<AuditEntry>,
    pub(crate) answers: Vec<KeptAnswer>,
    /// In the order in which they were entered.
    pub(crate) invoices: Vec<Invoice>,
    /// What the next month that is closed has.
    pub(crate) charges: Vec<Charge>,
    pub(crate) plans: PlanHistory,
    pub(crate) entries: Vec<Entry>,
    /// What `sum_usage` answers, and what it was asked.
    pub(crate) sums: Vec<UsageSum>,
    pub(crate) asked: Vec<UsageQuery>,
    /// What `sum_margins` answers, and what it was asked.
    pub(crate) margins: Vec<MarginSum>,
    pub(crate) margins_asked: Vec<MarginQuery>,
    /// What `overview` answers, and what it was asked.
    pub(crate) overview: Overview,
    pub(crate) glances: Vec<OverviewQuery>,
    /// What `find_records` finds, the newest first, and what it was asked.
    pub(crate) records: Vec<UsageRecord>,
    pub(crate) looked_for: Vec<RecordQuery>,
    pub(crate) announced: Vec<KeyId>,
    pub(crate) tenants_announced: Vec<OrgId>,
    pub(crate) funds_announced: Vec<OrgId>,
    pub(crate) reload: Result<Reloaded, Vec<String>>,
    pub(crate) check: Result<DryRun, Vec<String>>,
    pub(crate) last_problems: Vec<String>,
    /// What every call to a store fails with.
    pub(crate) fault: Option<StoreError>,
    /// Whether changes are done and yet answered as if the store were away.
    pub(crate) loses_answers: bool,
    /// Whether the next look for a kept answer finds none, as if it came before the answer did.
    pub(crate) looks_too_early: bool,
    minted: u32,
}

pub(crate) struct StoredKey {
    pub(crate) key: Key,
    hash: KeyHash,
    former: Option<(KeyHash, Timestamp)>,
}

impl World {
    pub(crate) fn new(snapshot: Snapshot, now: Timestamp) -> Self {
        let state = State {
            now,
            keys: Vec::new(),
            orgs: Vec::new(),
            teams: Vec::new(),
            tokens: Vec::new(),
            audit: Vec::new(),
            answers: Vec::new(),
            invoices: Vec::new(),
            charges: Vec::new(),
            plans: PlanHistory::default(),
            entries: Vec::new(),
            sums: Vec::new(),
            margins: Vec::new(),
            margins_asked: Vec::new(),
            asked: Vec::new(),
            overview: Overview::default(),
            glances: Vec::new(),
            records: Vec::new(),
            looked_for: Vec::new(),
            announced: Vec::new(),
            tenants_announced: Vec::new(),
            funds_announced: Vec::new(),
            reload: Ok(Reloaded::default()),
            check: Ok(DryRun::default()),
            last_problems: Vec::new(),
            fault: None,
            loses_answers: false,
            looks_too_early: false,
            minted: 0,
        };
        Self {
            state: Mutex::new(state),
            snapshot: Arc::new(snapshot),
            gate: RwLock::new(()),
            announcement: Notify::new(),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The state, where the store works.
    fn store(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        let state = self.state();
        match &state.fault {
            Some(fault) => Err(fault.clone()),
            None => Ok(state),
        }
    }

    fn change(
        &self,
        org: OrgId,
        id: KeyId,
        change: impl FnOnce(&mut StoredKey),
    ) -> Result<Option<Key>, StoreError> {
        let mut state = self.store()?;
        let found = state.keys.iter_mut().find(|stored| stored.key.org == org && stored.key.id == id);
        let changed = found.map(|stored| {
            change(stored);
            stored.key.clone()
        });
        if state.loses_answers {
            return Err(StoreError::Unavailable("no answer".to_owned()));
        }
        Ok(changed)
    }
}

/// A stand-in for a keyed hash: different for different texts.
pub(crate) fn hash(secret: &str) -> KeyHash {
    let mut bytes = [0; 32];
    for (index, byte) in secret.bytes().enumerate() {
        bytes[index % 32] ^= byte.rotate_left(u32::try_from(index / 32).unwrap());
    }
    KeyHash(bytes)
}

impl Mint for World {
    fn mint_key(&self, prefix: &str) -> Minted {
        self.mint(prefix)
    }

    fn mint_token(&self) -> Minted {
        self.mint("mt")
    }

    fn hashes(&self, secret: &str) -> Vec<KeyHash> {
        vec![hash("another pepper"), hash(secret)]
    }

    fn seal_keys(&self, label: &[u8]) -> Vec<[u8; 32]> {
        vec![hash(&String::from_utf8_lossy(label)).0]
    }

    fn looks_like_inference_key(&self, text: &str) -> bool {
        text.starts_with("sk-")
    }

    /// One whose checksum is wrong says so here.
    fn looks_like_management_token(&self, text: &str) -> bool {
        text.starts_with("mt-") && !text.ends_with("-wrong-sum")
    }
}

impl World {
    fn mint(&self, prefix: &str) -> Minted {
        let mut state = self.state();
        state.minted += 1;
        let secret = format!("{prefix}-secret{:04}", state.minted);
        let shown = format!("{prefix}-…{:04}", state.minted);
        Minted { hash: hash(&secret), secret: Secret::new(secret), prefix: shown }
    }
}

#[async_trait]
impl KeyStore for World {
    async fn find_by_hash(&self, hash: &KeyHash) -> Result<Option<KeyInContext>, StoreError> {
        let state = self.store()?;
        let found = state
            .keys
            .iter()
            .find(|stored| stored.hash == *hash || stored.former.is_some_and(|(former, _)| former == *hash));
        Ok(found.map(|stored| KeyInContext {
            key: stored.key.clone(),
            secret_dies_at: stored.former.filter(|(former, _)| former == hash).map(|(_, dies)| dies),
            org_plan: Arc::from("standard"),
            org_next_plan: None,
            org_limits: RateLimits::default(),
            org_terms: Terms::default(),
            org_zone: chrono_tz::Asia::Shanghai,
            team_limits: RateLimits { tpm: Some(5000), ..RateLimits::default() },
            team_budget: None,
        }))
    }

    async fn list_keys(
        &self,
        org: OrgId,
        filter: &KeyFilter,
        page: Page,
        now: Timestamp,
    ) -> Result<Vec<Key>, StoreError> {
        let state = self.store()?;
        let keys = state.keys.iter().map(|stored| &stored.key).filter(|key| {
            key.org == org
                && filter.team.is_none_or(|team| key.team == team)
                && filter.status.is_none_or(|status| key.status(now) == status)
                && filter.q.as_ref().is_none_or(|q| key.name.contains(q) || key.prefix.contains(q))
        });
        let (skip, take) = (page.offset.try_into().unwrap(), page.limit.try_into().unwrap());
        Ok(keys.skip(skip).take(take).cloned().collect())
    }

    async fn get_key(&self, org: OrgId, id: KeyId) -> Result<Option<Key>, StoreError> {
        self.change(org, id, |_| {})
    }

    async fn find_org(&self, id_or_slug: &str) -> Result<Option<Organization>, StoreError> {
        let state = self.store()?;
        let found = state.orgs.iter().find(|org| org.slug == id_or_slug || org.id.to_string() == id_or_slug);
        Ok(found.cloned())
    }

    async fn list_orgs(&self, page: Page) -> Result<Vec<Organization>, StoreError> {
        let state = self.store()?;
        let (skip, take) = (page.offset.try_into().unwrap(), page.limit.try_into().unwrap());
        Ok(state.orgs.iter().skip(skip).take(take).cloned().collect())
    }

    async fn get_team(&self, org: OrgId, id: TeamId) -> Result<Option<Team>, StoreError> {
        Ok(self.store()?.teams.iter().find(|team| team.org == org && team.id == id).cloned())
    }

    async fn find_team(&self, org: OrgId, name: &str) -> Result<Option<Team>, StoreError> {
        Ok(self.store()?.teams.iter().find(|team| team.org == org && team.name == name).cloned())
    }

    async fn list_teams(&self, org: OrgId, page: Page) -> Result<Vec<Team>, StoreError> {
        let state = self.store()?;
        let (skip, take) = (page.offset.try_into().unwrap(), page.limit.try_into().unwrap());
        Ok(state.teams.iter().filter(|team| team.org == org).skip(skip).take(take).cloned().collect())
    }

    async fn list_tokens(&self, org: OrgId) -> Result<Vec<ManagementToken>, StoreError> {
        let state = self.store()?;
        Ok(state.tokens.iter().map(|(token, _)| token).filter(|token| token.org == org).cloned().collect())
    }

    async fn find_token(&self, hash: &KeyHash) -> Result<Option<ManagementToken>, StoreError> {
        Ok(self.store()?.tokens.iter().find(|(_, stored)| stored == hash).map(|(token, _)| token.clone()))
    }
}

#[async_trait]
impl LedgerStore for World {
    async fn totals(&self, org: OrgId) -> Result<Totals, StoreError> {
        let mut totals = Totals::default();
        self.store()?.entries.iter().filter(|entry| entry.org == org).for_each(|entry| totals.add(entry));
        Ok(totals)
    }

    async fn all_totals(&self) -> Result<BTreeMap<OrgId, Totals>, StoreError> {
        unreachable!("the management API sums nobody else's")
    }

    async fn find_entries(
        &self,
        org: OrgId,
        after: Option<EntryPlace>,
        limit: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        let mut entries = self.store()?.entries.clone();
        entries.retain(|entry| {
            entry.org == org && after.is_none_or(|after| (entry.at, entry.id) < (after.at, after.id))
        });
        entries.sort_by_key(|entry| std::cmp::Reverse((entry.at, entry.id)));
        entries.truncate(limit as usize);
        Ok(entries)
    }

    async fn list_entries(&self, _: Option<EntryId>, _: u32) -> Result<Vec<Entry>, StoreError> {
        unreachable!("the management API lists nobody else's")
    }
}

#[async_trait]
impl MarginStore for World {
    async fn sum_margins(&self, query: &MarginQuery) -> Result<Vec<MarginSum>, StoreError> {
        let mut state = self.store()?;
        state.margins_asked.push(query.clone());
        Ok(state.margins.iter().take(query.page.limit.try_into().unwrap()).cloned().collect())
    }

    async fn margin_totals(&self, _: Timestamp) -> Result<BTreeMap<OrgId, Margin>, StoreError> {
        unreachable!("the management API audits nothing")
    }
}

#[async_trait]
impl UsageStore for World {
    async fn insert_records(&self, _records: &[UsageRecord]) -> Result<(), StoreError> {
        unreachable!("the management API writes no records")
    }

    async fn sum_usage(&self, query: &UsageQuery) -> Result<Vec<UsageSum>, StoreError> {
        let mut state = self.store()?;
        state.asked.push(query.clone());
        Ok(state.sums.iter().take(query.page.limit.try_into().unwrap()).cloned().collect())
    }

    async fn pass_usage(&self, query: &UsageQuery, to: &mut dyn Batches<UsageSum>) -> Result<(), StoreError> {
        let sums = {
            let mut state = self.store()?;
            state.asked.push(query.clone());
            state.sums.clone()
        };
        for batch in sums.chunks(2) {
            if !to.take(batch.to_vec()).await {
                break;
            }
        }
        Ok(())
    }

    async fn overview(&self, query: &OverviewQuery) -> Result<Overview, StoreError> {
        let mut state = self.store()?;
        state.glances.push(query.clone());
        Ok(state.overview.clone())
    }

    async fn find_records(&self, query: &RecordQuery) -> Result<Vec<UsageRecord>, StoreError> {
        let mut state = self.store()?;
        state.looked_for.push(query.clone());
        let place = |record: &UsageRecord| (record.opened.started_at, record.opened.id);
        let found = state.records.iter().filter(|record| {
            record.opened.org == query.org
                && query.after.is_none_or(|after| place(record) < (after.started_at, after.id))
        });
        Ok(found.take(query.limit.try_into().unwrap()).cloned().collect())
    }

    async fn list_records(&self, _: Option<RecordId>, _: u32) -> Result<Vec<UsageRecord>, StoreError> {
        unreachable!("the management API lists no records")
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        unreachable!("the management API has a clock of its own")
    }

    async fn forget_records(&self, _: Timestamp) -> Result<bool, StoreError> {
        unreachable!("the management API forgets no records")
    }

    async fn keep_price_book(&self, _: &PriceBook, _: Timestamp) -> Result<(), StoreError> {
        unreachable!("the management API keeps no price books")
    }

    async fn find_price_book(&self, _: u64) -> Result<Option<PriceBook>, StoreError> {
        unreachable!("the management API reads no price books")
    }
}

#[async_trait]
impl Fleet for World {
    async fn key_changed(&self, _org: OrgId, id: KeyId) {
        self.state().announced.push(id);
        self.announcement.notify_one();
    }

    async fn funds_changed(&self, org: OrgId) {
        self.state().funds_announced.push(org);
    }

    async fn tenant_changed(&self, org: OrgId) {
        self.state().tenants_announced.push(org);
    }
}

#[async_trait]
impl InvoiceStore for World {
    async fn list_invoices(&self, org: OrgId, page: Page) -> Result<(Vec<Invoice>, u64), StoreError> {
        let state = self.store()?;
        let own: Vec<_> = state.invoices.iter().rev().filter(|invoice| invoice.frame.org == org).collect();
        let (skip, take) = (page.offset.try_into().unwrap(), page.limit.try_into().unwrap());
        Ok((own.iter().skip(skip).take(take).map(|it| (*it).clone()).collect(), own.len() as u64))
    }

    async fn find_invoice(&self, org: OrgId, id: InvoiceId) -> Result<Option<Invoice>, StoreError> {
        let state = self.store()?;
        Ok(state.invoices.iter().find(|it| it.frame.org == org && it.frame.id == id).cloned())
    }

    async fn list_all_invoices(&self, _: Option<InvoiceId>, _: u32) -> Result<Vec<Invoice>, StoreError> {
        unreachable!("the management API lists nobody else's")
    }

    async fn charged(&self) -> Result<BTreeMap<(OrgId, Option<InvoiceId>), Pico>, StoreError> {
        unreachable!("the management API audits nothing")
    }
}

impl Spending for World {
    fn reserved(&self, owner: Owner) -> Pico {
        // Each purse another amount.
        Pico(match owner {
            Owner::Account(_) => 1,
            Owner::Organization(_) => 2,
            Owner::Team(..) => 3,
            Owner::Key(..) => 4,
        })
    }
}

impl LiveUse for World {
    fn key_use(&self, _id: KeyId) -> KeyUse {
        KeyUse { requests: 3, tokens: 40, in_flight: 1 }
    }
}

#[async_trait]
impl ConfigControl for World {
    fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.clone()
    }

    fn last_problems(&self) -> Vec<String> {
        self.state().last_problems.clone()
    }

    async fn check(&self) -> Result<DryRun, Vec<String>> {
        self.state().check.clone()
    }

    async fn reload(&self) -> Result<Reloaded, Vec<String>> {
        self.state().reload.clone()
    }
}

impl Surroundings for World {
    fn now(&self) -> Timestamp {
        self.state().now
    }

    fn entropy(&self, bytes: &mut [u8]) {
        let mut state = self.state();
        state.minted += 1;
        bytes.fill(u8::try_from(state.minted % 256).unwrap());
    }
}
