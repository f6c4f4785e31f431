//! Changes to that world, with their trail.

use super::{StoredKey, World};
use aione_core::{
    domain::{
        audit::AuditEntry,
        clock::Timestamp,
        credential::ManagementToken,
        id::{InvoiceId, KeyId, OrgId, TokenId},
        invoice::{Invoice, Status},
        key::{Key, KeyHash},
    },
    ports::{
        AuditFilter, Change, ChangeStore, Changed, KeptAnswer, KeyChange, NextPlan, Row, Sign, StoreError,
        Trail,
    },
};
use async_trait::async_trait;

impl World {
    fn update_key(&self, org: OrgId, id: KeyId, change: &KeyChange) -> Result<Option<Key>, StoreError> {
        let change = change.clone();
        self.change(org, id, |stored| {
            let key = &mut stored.key;
            key.name = change.name.unwrap_or(key.name.clone());
            key.models_allowed = change.models_allowed.unwrap_or(key.models_allowed.clone());
            key.allowed_ips = change.allowed_ips.unwrap_or(key.allowed_ips.clone());
            key.metadata = change.metadata.unwrap_or(key.metadata.clone());
            key.limits = change.limits.applied_to(key.limits);
            key.budget = change.budget.unwrap_or(key.budget);
            key.budget_period = change.budget_period.unwrap_or(key.budget_period);
        })
    }

    async fn set_disabled(&self, org: OrgId, id: KeyId, disabled: bool) -> Result<Option<Key>, StoreError> {
        let _open = self.gate.read().await;
        self.change(org, id, |stored| stored.key.disabled = disabled)
    }

    fn rotate_key(
        &self,
        org: OrgId,
        id: KeyId,
        hash: &KeyHash,
        prefix: &str,
        grace_until: Timestamp,
    ) -> Result<Option<Key>, StoreError> {
        self.change(org, id, |stored| {
            stored.former = Some((stored.hash, grace_until));
            stored.hash = *hash;
            prefix.clone_into(&mut stored.key.prefix);
            stored.key.rotate_grace_until = Some(grace_until);
        })
    }

    fn delete_key(&self, org: OrgId, id: KeyId) -> Result<(), StoreError> {
        self.store()?.keys.retain(|stored| stored.key.org != org || stored.key.id != id);
        Ok(())
    }

    fn delete_token(&self, org: OrgId, id: TokenId) -> Result<Option<ManagementToken>, StoreError> {
        let mut state = self.store()?;
        let at = state.tokens.iter().position(|(token, _)| token.org == org && token.id == id);
        Ok(at.map(|at| state.tokens.remove(at).0))
    }

    fn invoice(
        &self,
        org: OrgId,
        id: InvoiceId,
        from: &[Status],
        change: impl FnOnce(&mut Invoice),
    ) -> Result<Option<Changed>, StoreError> {
        let mut state = self.store()?;
        let found = state.invoices.iter_mut().find(|it| it.frame.org == org && it.frame.id == id);
        let Some(invoice) = found else { return Ok(None) };
        if !from.contains(&invoice.status) {
            return Err(StoreError::Conflict("its status is another".to_owned()));
        }
        let before = Row::Invoice(Box::new(invoice.clone()));
        change(invoice);
        Ok(Some(Changed::Replaced { before, after: Row::Invoice(Box::new(invoice.clone())) }))
    }

    async fn apply(&self, change: Change) -> Result<Option<Changed>, StoreError> {
        let key = |key: Option<Key>| key.map(|key| Row::Key(Box::new(key)));
        let before = |org, id| Ok::<_, StoreError>(key(self.change(org, id, |_| {})?));
        let replaced = |before: Option<Row>, after: Option<Key>| {
            Some(Changed::Replaced { before: before?, after: key(after)? })
        };
        Ok(match change {
            Change::InsertKey { key, hash } => {
                self.store()?.keys.push(StoredKey { key: (*key).clone(), hash, former: None });
                Some(Changed::Made(Row::Key(key)))
            }
            Change::UpdateKey { org, id, change } => {
                replaced(before(org, id)?, self.update_key(org, id, &change)?)
            }
            Change::DisableKey { org, id, disabled } => {
                replaced(before(org, id)?, self.set_disabled(org, id, disabled).await?)
            }
            Change::RotateKey { org, id, hash, prefix, grace_until } => {
                replaced(before(org, id)?, self.rotate_key(org, id, &hash, &prefix, grace_until)?)
            }
            Change::DeleteKey { org, id, .. } => {
                let was = before(org, id)?;
                self.delete_key(org, id)?;
                was.map(Changed::Deleted)
            }
            Change::InsertOrg { org, team } => {
                let mut state = self.store()?;
                if state.orgs.iter().any(|other| other.slug == org.slug) {
                    return Err(StoreError::Conflict("the slug is taken".to_owned()));
                }
                state.orgs.push((*org).clone());
                state.teams.push(team);
                Some(Changed::Made(Row::Organization(org)))
            }
            Change::UpdateOrg { id, at: _, change } => {
                let mut state = self.store()?;
                let Some(org) = state.orgs.iter_mut().find(|org| org.id == id) else { return Ok(None) };
                let before = Row::Organization(Box::new(org.clone()));
                org.name = change.name.unwrap_or(org.name.clone());
                match (change.plan, change.plan_at) {
                    (Some(plan), None) => (org.plan, org.next_plan) = (plan, None),
                    (Some(plan), Some(at)) => org.next_plan = Some(NextPlan { plan, at }),
                    (None, _) => {}
                }
                org.time_zone = change.time_zone.unwrap_or(org.time_zone);
                org.limits = change.limits.applied_to(org.limits);
                org.tax_rate = change.tax_rate.unwrap_or(org.tax_rate);
                org.terms.mode = change.billing_mode.unwrap_or(org.terms.mode);
                org.terms.credit_limit = change.credit_limit.unwrap_or(org.terms.credit_limit);
                org.terms.monthly_budget = change.monthly_budget.unwrap_or(org.terms.monthly_budget);
                Some(Changed::Replaced { before, after: Row::Organization(Box::new(org.clone())) })
            }
            Change::InsertTeam(team) => {
                self.store()?.teams.push(team.clone());
                Some(Changed::Made(Row::Team(team)))
            }
            Change::UpdateTeam { org, id, change } => {
                let mut state = self.store()?;
                let found = state.teams.iter_mut().find(|team| team.org == org && team.id == id);
                let Some(team) = found else { return Ok(None) };
                let before = Row::Team(team.clone());
                team.name = change.name.unwrap_or(team.name.clone());
                team.limits = change.limits.applied_to(team.limits);
                team.monthly_budget = change.monthly_budget.unwrap_or(team.monthly_budget);
                Some(Changed::Replaced { before, after: Row::Team(team.clone()) })
            }
            Change::DeleteTeam { org, id, .. } => {
                let mut state = self.store()?;
                if state.keys.iter().any(|stored| stored.key.team == id) {
                    return Err(StoreError::Conflict("it has keys".to_owned()));
                }
                let at = state.teams.iter().position(|team| team.org == org && team.id == id);
                at.map(|at| Changed::Deleted(Row::Team(state.teams.remove(at))))
            }
            Change::InsertToken { token, hash } => {
                self.store()?.tokens.push((token.clone(), hash));
                Some(Changed::Made(Row::Token(token)))
            }
            Change::DeleteToken { org, id } => {
                self.delete_token(org, id)?.map(|token| Changed::Deleted(Row::Token(token)))
            }
            Change::CloseMonth { frame } => {
                let mut state = self.store()?;
                let is_closed =
                    |invoice: &Invoice| invoice.frame.org == frame.org && invoice.frame.month >= frame.month;
                if state.invoices.iter().any(is_closed) {
                    return Err(StoreError::Conflict("it is closed".to_owned()));
                }
                let fees = state.plans.fees(frame.month, frame.zone);
                let invoice = Invoice::draft(*frame, state.charges.clone(), &fees);
                state.invoices.push(invoice.clone());
                Some(Changed::Made(Row::Invoice(Box::new(invoice))))
            }
            Change::IssueInvoice { org, id, at, due_at } => {
                self.invoice(org, id, &[Status::Draft], |invoice| {
                    (invoice.status, invoice.number) = (Status::Issued, Some(7));
                    (invoice.issued_at, invoice.due_at) = (Some(at), Some(due_at));
                })?
            }
            Change::PayInvoice { org, id, at } => self.invoice(org, id, &[Status::Issued], |invoice| {
                (invoice.status, invoice.paid_at) = (Status::Paid, Some(at));
            })?,
            Change::VoidInvoice { org, id, .. } => {
                self.invoice(org, id, &[Status::Draft, Status::Issued], |invoice| {
                    invoice.status = Status::Void;
                })?
            }
            Change::CreditInvoice { org, id, credit, amount, note, at } => {
                self.invoice(org, id, &[Status::Issued, Status::Paid], |invoice| {
                    let mut credit = invoice.credit(credit, amount, note, at).unwrap();
                    credit.number = 3;
                    invoice.credits.push(credit);
                })?
            }
            Change::Enter(entry) => {
                self.store()?.entries.push(entry.clone());
                Some(Changed::Made(Row::Entry(entry)))
            }
        })
    }
}

#[async_trait]
impl ChangeStore for World {
    async fn make(&self, change: Change, sign: Sign) -> Result<Option<Changed>, StoreError> {
        let Some(changed) = self.apply(change).await? else { return Ok(None) };
        let trail = sign(&changed);
        let mut state = self.store()?;
        state.audit.push(trail.audit);
        state.answers.extend(trail.answer);
        Ok(Some(changed))
    }

    async fn find_answer(&self, scope: &[u8; 32], now: Timestamp) -> Result<Option<KeptAnswer>, StoreError> {
        let mut state = self.store()?;
        if state.looks_too_early {
            state.looks_too_early = false;
            return Ok(None);
        }
        let kept = state.answers.iter().find(|kept| kept.scope == *scope && kept.kept_until > now);
        Ok(kept.cloned())
    }

    async fn note(&self, trail: &Trail) -> Result<(), StoreError> {
        let mut state = self.store()?;
        if let Some(answer) = &trail.answer {
            let is_kept = |kept: &KeptAnswer| kept.scope == answer.scope && kept.kept_until > trail.audit.at;
            if state.answers.iter().any(is_kept) {
                return Err(StoreError::Conflict("an answer is kept".to_owned()));
            }
        }
        state.audit.push(trail.audit.clone());
        state.answers.extend(trail.answer.clone());
        Ok(())
    }

    async fn list_audit(&self, filter: &AuditFilter, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        let state = self.store()?;
        let rows = state.audit.iter().rev().filter(|entry| {
            filter.org.is_none_or(|org| entry.org == Some(org))
                && filter.before.is_none_or(|before| entry.id < before)
                && filter
                    .object
                    .as_ref()
                    .is_none_or(|object| entry.object_id == *object || entry.object.as_str() == object)
        });
        Ok(rows.take(limit as usize).cloned().collect())
    }
}
