//! The port `KeyStore`: reads on any reader.

use super::{Store, key_rows, tenants};
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

impl Store {
    /// Inserts many keys, each with the hash of its secret, in one transaction: all or none. For
    /// whoever brings keys from elsewhere, or makes a million to see what they cost.
    ///
    /// # Errors
    /// `Conflict`: an id or a hash is taken, or a team is not the organization's.
    pub async fn insert_keys(&self, keys: &[(Key, KeyHash)]) -> Result<(), StoreError> {
        let keys: Vec<_> = keys.iter().map(|(key, hash)| (key, hash)).collect();
        let mut tx = self.pools.write().await?;
        key_rows::insert(&mut tx, &keys).await?;
        tx.commit().await
    }
}

#[async_trait]
impl KeyStore for Store {
    async fn find_by_hash(&self, hash: &KeyHash) -> Result<Option<KeyInContext>, StoreError> {
        key_rows::find_by_hash(&mut self.pools.read().await?, hash).await
    }

    async fn list_keys(
        &self,
        org: OrgId,
        filter: &KeyFilter,
        page: Page,
        now: Timestamp,
    ) -> Result<Vec<Key>, StoreError> {
        key_rows::list(&mut self.pools.page().await?, org, filter, page, now).await
    }

    async fn get_key(&self, org: OrgId, id: KeyId) -> Result<Option<Key>, StoreError> {
        key_rows::get_one(&mut self.pools.read().await?, org, id).await
    }

    async fn find_org(&self, id_or_slug: &str) -> Result<Option<Organization>, StoreError> {
        tenants::find_org(&mut self.pools.read().await?, id_or_slug).await
    }

    async fn list_orgs(&self, page: Page) -> Result<Vec<Organization>, StoreError> {
        tenants::list_orgs(&mut self.pools.page().await?, page).await
    }

    async fn get_team(&self, org: OrgId, id: TeamId) -> Result<Option<Team>, StoreError> {
        tenants::get_team(&mut self.pools.read().await?, org, id).await
    }

    async fn find_team(&self, org: OrgId, name: &str) -> Result<Option<Team>, StoreError> {
        tenants::find_team(&mut self.pools.read().await?, org, name).await
    }

    async fn list_teams(&self, org: OrgId, page: Page) -> Result<Vec<Team>, StoreError> {
        tenants::list_teams(&mut self.pools.page().await?, org, page).await
    }

    async fn list_tokens(&self, org: OrgId) -> Result<Vec<ManagementToken>, StoreError> {
        tenants::list_tokens(&mut self.pools.page().await?, org).await
    }

    async fn find_token(&self, hash: &KeyHash) -> Result<Option<ManagementToken>, StoreError> {
        tenants::find_token(&mut self.pools.read().await?, hash).await
    }
}
