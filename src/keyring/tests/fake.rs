//! A store of hashes in memory, whose reads can be counted, failed, and held at a gate.

use aione_core::{
    domain::{
        clock::Timestamp,
        credential::ManagementToken,
        id::{KeyId, OrgId, TeamId},
        key::{Key, KeyHash},
    },
    ports::{KeyFilter, KeyInContext, KeyStore, Organization, Page, StoreError, Team},
};
use async_trait::async_trait;
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};
use tokio::sync::Semaphore;

#[derive(Default)]
pub(super) struct FakeStore {
    rows: Mutex<HashMap<KeyHash, KeyInContext>>,
    reads: AtomicUsize,
    failing: AtomicBool,
    panicking: AtomicBool,
    gate: Mutex<Option<Arc<Gate>>>,
}

/// Holds a read after it has seen its row and before it returns it.
pub(super) struct Gate {
    entered: Semaphore,
    released: Semaphore,
}

impl Gate {
    /// Waits until a read stands at the gate.
    pub(super) async fn entered(&self) {
        self.entered.acquire().await.unwrap().forget();
    }

    /// Lets one read through.
    pub(super) fn release(&self) {
        self.released.add_permits(1);
    }
}

impl FakeStore {
    pub(super) fn put(&self, hash: KeyHash, context: KeyInContext) {
        self.rows.lock().insert(hash, context);
    }

    pub(super) fn change(&self, hash: &KeyHash, change: impl FnOnce(&mut KeyInContext)) {
        change(self.rows.lock().get_mut(hash).unwrap());
    }

    pub(super) fn remove(&self, hash: &KeyHash) {
        self.rows.lock().remove(hash);
    }

    pub(super) fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }

    pub(super) fn fail(&self, failing: bool) {
        self.failing.store(failing, Ordering::SeqCst);
    }

    /// The next read panics.
    pub(super) fn panic_once(&self) {
        self.panicking.store(true, Ordering::SeqCst);
    }

    pub(super) fn close_gate(&self) -> Arc<Gate> {
        let gate = Arc::new(Gate { entered: Semaphore::new(0), released: Semaphore::new(0) });
        *self.gate.lock() = Some(gate.clone());
        gate
    }

    pub(super) fn open_gate(&self) {
        *self.gate.lock() = None;
    }
}

const NOT_ASKED: StoreError = StoreError::Conflict(String::new());

#[async_trait]
impl KeyStore for FakeStore {
    async fn find_by_hash(&self, hash: &KeyHash) -> Result<Option<KeyInContext>, StoreError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        if self.failing.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("it was told to fail".to_owned()));
        }
        assert!(!self.panicking.swap(false, Ordering::SeqCst), "it was told to panic");
        let row = self.rows.lock().get(hash).cloned();
        let gate = self.gate.lock().clone();
        if let Some(gate) = gate {
            gate.entered.add_permits(1);
            gate.released.acquire().await.unwrap().forget();
        }
        Ok(row)
    }

    async fn list_keys(
        &self,
        _: OrgId,
        _: &KeyFilter,
        _: Page,
        _: Timestamp,
    ) -> Result<Vec<Key>, StoreError> {
        Err(NOT_ASKED)
    }
    async fn get_key(&self, _: OrgId, _: KeyId) -> Result<Option<Key>, StoreError> {
        Err(NOT_ASKED)
    }
    async fn find_org(&self, _: &str) -> Result<Option<Organization>, StoreError> {
        Err(NOT_ASKED)
    }
    async fn list_orgs(&self, _: Page) -> Result<Vec<Organization>, StoreError> {
        Err(NOT_ASKED)
    }
    async fn get_team(&self, _: OrgId, _: TeamId) -> Result<Option<Team>, StoreError> {
        Err(NOT_ASKED)
    }
    async fn find_team(&self, _: OrgId, _: &str) -> Result<Option<Team>, StoreError> {
        Err(NOT_ASKED)
    }
    async fn list_teams(&self, _: OrgId, _: Page) -> Result<Vec<Team>, StoreError> {
        Err(NOT_ASKED)
    }
    async fn list_tokens(&self, _: OrgId) -> Result<Vec<ManagementToken>, StoreError> {
        Err(NOT_ASKED)
    }
    async fn find_token(&self, _: &KeyHash) -> Result<Option<ManagementToken>, StoreError> {
        Err(NOT_ASKED)
    }
}
