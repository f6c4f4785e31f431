//! The port `ChangeStore`: each change one transaction, with its trail, and one change at a time, so that
//! what it reads is what it changes.

use super::{Store, engine::Db, invoice_rows, key_rows, ledger_rows, plan_rows, tenants, trail};
use aione_core::{
    domain::{audit::AuditEntry, clock::Timestamp, invoice::Invoice, key::Key},
    ports::{AuditFilter, Change, ChangeStore, Changed, KeptAnswer, Row, Sign, StoreError, Trail},
};
use async_trait::async_trait;

#[async_trait]
impl ChangeStore for Store {
    async fn make(&self, change: Change, sign: Sign) -> Result<Option<Changed>, StoreError> {
        let mut tx = self.change().await?;
        let Some(changed) = apply(&mut tx, change).await? else { return Ok(None) };
        keep(&mut tx, &sign(&changed)).await?;
        tx.commit().await?;
        Ok(Some(changed))
    }

    async fn find_answer(&self, scope: &[u8; 32], now: Timestamp) -> Result<Option<KeptAnswer>, StoreError> {
        trail::find_answer(&mut self.pools.read().await?, scope, now).await
    }

    async fn note(&self, kept: &Trail) -> Result<(), StoreError> {
        let mut tx = self.pools.write().await?;
        keep(&mut tx, kept).await?;
        tx.commit().await
    }

    async fn list_audit(&self, filter: &AuditFilter, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        // Not by the connections that look keys up: a filter may pass over much.
        trail::list(&mut self.pools.report().await?, filter, limit).await
    }
}

async fn keep(db: &mut Db, kept: &Trail) -> Result<(), StoreError> {
    trail::insert(db, &kept.audit).await?;
    match &kept.answer {
        Some(answer) => trail::keep_answer(db, answer, kept.audit.at).await,
        None => Ok(()),
    }
}

async fn apply(db: &mut Db, change: Change) -> Result<Option<Changed>, StoreError> {
    Ok(match change {
        Change::InsertKey { key, hash } => {
            if tenants::get_team(db, key.org, key.team).await?.is_none() {
                return Err(StoreError::Conflict("the key's team is gone".to_owned()));
            }
            key_rows::insert(db, &[(&key, &hash)]).await?;
            Some(Changed::Made(Row::Key(key)))
        }
        Change::UpdateKey { org, id, change } => {
            let before = key_rows::get_one(db, org, id).await?;
            replaced(before.map(row), key_rows::update(db, org, id, &change).await?.map(row))
        }
        Change::DisableKey { org, id, disabled } => {
            let before = key_rows::get_one(db, org, id).await?;
            replaced(before.map(row), key_rows::set_disabled(db, org, id, disabled).await?.map(row))
        }
        Change::RotateKey { org, id, hash, prefix, grace_until } => {
            let before = key_rows::get_one(db, org, id).await?;
            let after = key_rows::rotate(db, org, id, &hash, &prefix, grace_until).await?;
            replaced(before.map(row), after.map(row))
        }
        Change::DeleteKey { org, id, at } => {
            let before = key_rows::get_one(db, org, id).await?;
            key_rows::delete(db, org, id, at).await?;
            before.map(|key| Changed::Deleted(row(key)))
        }
        Change::InsertOrg { org, team } => {
            tenants::insert_org(db, &org).await?;
            tenants::insert_team(db, &team).await?;
            plan_rows::assign(db, org.id, org.created_at, &org.plan).await?;
            Some(Changed::Made(Row::Organization(org)))
        }
        Change::UpdateOrg { id, at, change } => {
            let before = tenants::find_org(db, &id.to_string()).await?;
            let after = tenants::update_org(db, id, &change).await?;
            if let (Some(_), Some(plan)) = (&after, &change.plan) {
                plan_rows::assign(db, id, change.plan_at.unwrap_or(at), plan).await?;
            }
            let row = |org| Row::Organization(Box::new(org));
            replaced(before.map(row), after.map(row))
        }
        Change::InsertTeam(team) => {
            tenants::insert_team(db, &team).await?;
            Some(Changed::Made(Row::Team(team)))
        }
        Change::UpdateTeam { org, id, change } => {
            let before = tenants::get_team(db, org, id).await?;
            let after = tenants::update_team(db, org, id, &change).await?;
            replaced(before.map(Row::Team), after.map(Row::Team))
        }
        Change::DeleteTeam { org, id, at } => {
            let before = tenants::get_team(db, org, id).await?;
            tenants::delete_team(db, org, id, at).await?;
            before.map(|team| Changed::Deleted(Row::Team(team)))
        }
        Change::InsertToken { token, hash } => {
            tenants::insert_token(db, &token, &hash).await?;
            Some(Changed::Made(Row::Token(token)))
        }
        Change::DeleteToken { org, id } => {
            tenants::delete_token(db, org, id).await?.map(|token| Changed::Deleted(Row::Token(token)))
        }
        Change::Enter(entry) => {
            if !ledger_rows::insert_one(db, &entry).await? {
                return Err(StoreError::Conflict("the entry is there already".to_owned()));
            }
            ledger_rows::add_up(db, [&entry]).await?;
            Some(Changed::Made(Row::Entry(entry)))
        }
        Change::CloseMonth { frame } => {
            let invoice = invoice_rows::close(db, *frame).await?;
            Some(Changed::Made(Row::Invoice(Box::new(invoice))))
        }
        Change::IssueInvoice { org, id, at, due_at } => {
            let Some(before) = invoice_rows::find(db, org, id).await? else { return Ok(None) };
            Some(invoice(before.clone(), invoice_rows::issue(db, before, at, due_at).await?))
        }
        Change::PayInvoice { org, id, at } => {
            let Some(before) = invoice_rows::find(db, org, id).await? else { return Ok(None) };
            Some(invoice(before.clone(), invoice_rows::pay(db, before, at).await?))
        }
        Change::VoidInvoice { org, id, at } => {
            let Some(before) = invoice_rows::find(db, org, id).await? else { return Ok(None) };
            Some(invoice(before.clone(), invoice_rows::void(db, before, at).await?))
        }
        Change::CreditInvoice { org, id, credit, amount, note, at } => {
            let Some(before) = invoice_rows::find(db, org, id).await? else { return Ok(None) };
            Some(invoice(before.clone(), invoice_rows::credit(db, before, credit, amount, note, at).await?))
        }
    })
}

fn invoice(before: Invoice, after: Invoice) -> Changed {
    let row = |invoice| Row::Invoice(Box::new(invoice));
    Changed::Replaced { before: row(before), after: row(after) }
}

fn replaced(before: Option<Row>, after: Option<Row>) -> Option<Changed> {
    Some(Changed::Replaced { before: before?, after: after? })
}

fn row(key: Key) -> Row {
    Row::Key(Box::new(key))
}
