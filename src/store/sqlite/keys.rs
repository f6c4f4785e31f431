//! The port `KeyStore`: reads on any reader, each change one transaction of the writer.

use super::{SqliteStore, key_rows, tenants, value::failed};
use aione_core::{
    domain::{
        clock::Timestamp,
        credential::ManagementToken,
        id::{KeyId, OrgId, TeamId, TokenId},
        key::{Key, KeyHash},
    },
    ports::{KeyChange, KeyFilter, KeyInContext, KeyStore, Organization, Page, StoreError, Team},
};
use async_trait::async_trait;

impl SqliteStore {
    /// Inserts many keys, each with the hash of its secret, in one transaction: all or none. For
    /// whoever brings keys from elsewhere, or makes a million to see what they cost.
    ///
    /// # Errors
    /// `Conflict`: an id or a hash is taken, or a team is not the organization's.
    pub async fn insert_keys(&self, keys: &[(Key, KeyHash)]) -> Result<(), StoreError> {
        let keys: Vec<_> = keys.iter().map(|(key, hash)| (key, hash)).collect();
        let mut tx = self.write().await?;
        key_rows::insert(&mut tx, &keys).await?;
        tx.commit().await.map_err(failed)
    }
}

#[async_trait]
impl KeyStore for SqliteStore {
    async fn find_by_hash(&self, hash: &KeyHash) -> Result<Option<KeyInContext>, StoreError> {
        key_rows::find_by_hash(&self.readers, hash).await
    }

    async fn list_keys(
        &self,
        org: OrgId,
        filter: &KeyFilter,
        page: Page,
        now: Timestamp,
    ) -> Result<Vec<Key>, StoreError> {
        key_rows::list(&self.readers, org, filter, page, now).await
    }

    async fn get_key(&self, org: OrgId, id: KeyId) -> Result<Option<Key>, StoreError> {
        key_rows::get_one(&self.readers, org, id).await
    }

    async fn insert_key(&self, key: &Key, hash: &KeyHash) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        key_rows::insert(&mut tx, &[(key, hash)]).await?;
        tx.commit().await.map_err(failed)
    }

    async fn update_key(&self, org: OrgId, id: KeyId, change: &KeyChange) -> Result<Option<Key>, StoreError> {
        let mut tx = self.write().await?;
        let changed = key_rows::update(&mut *tx, org, id, change).await?;
        tx.commit().await.map_err(failed)?;
        Ok(changed)
    }

    async fn set_disabled(&self, org: OrgId, id: KeyId, disabled: bool) -> Result<Option<Key>, StoreError> {
        let mut tx = self.write().await?;
        let changed = key_rows::set_disabled(&mut *tx, org, id, disabled).await?;
        tx.commit().await.map_err(failed)?;
        Ok(changed)
    }

    async fn rotate_key(
        &self,
        org: OrgId,
        id: KeyId,
        hash: &KeyHash,
        prefix: &str,
        grace_until: Timestamp,
    ) -> Result<Option<Key>, StoreError> {
        let mut tx = self.write().await?;
        let rotated = key_rows::rotate(&mut tx, org, id, hash, prefix, grace_until).await?;
        tx.commit().await.map_err(failed)?;
        Ok(rotated)
    }

    async fn delete_key(&self, org: OrgId, id: KeyId, now: Timestamp) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let deleted = key_rows::delete(&mut tx, org, id, now).await?;
        tx.commit().await.map_err(failed)?;
        Ok(deleted)
    }

    async fn find_org(&self, id_or_slug: &str) -> Result<Option<Organization>, StoreError> {
        tenants::find_org(&self.readers, id_or_slug).await
    }

    async fn insert_org(&self, org: &Organization) -> Result<(), StoreError> {
        tenants::insert_org(&self.writer, org).await
    }

    async fn get_team(&self, org: OrgId, id: TeamId) -> Result<Option<Team>, StoreError> {
        tenants::get_team(&self.readers, org, id).await
    }

    async fn find_team(&self, org: OrgId, name: &str) -> Result<Option<Team>, StoreError> {
        tenants::find_team(&self.readers, org, name).await
    }

    async fn insert_team(&self, team: &Team) -> Result<(), StoreError> {
        tenants::insert_team(&self.writer, team).await
    }

    async fn insert_token(&self, token: &ManagementToken, hash: &KeyHash) -> Result<(), StoreError> {
        tenants::insert_token(&self.writer, token, hash).await
    }

    async fn find_token(&self, hash: &KeyHash) -> Result<Option<ManagementToken>, StoreError> {
        tenants::find_token(&self.readers, hash).await
    }

    async fn delete_token(&self, org: OrgId, id: TokenId) -> Result<bool, StoreError> {
        tenants::delete_token(&self.writer, org, id).await
    }
}
