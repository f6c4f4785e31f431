//! The port `BudgetStore`: the balance from the ledger, what a budget has come to from the rollups.

use super::{Store, ledger_rows, sums};
use aione_core::{
    domain::{
        budget::{Known, Owner, Term},
        id::{KeyId, TeamId},
        ledger::Account,
    },
    ports::{BudgetStore, Page, StoreError, UsageQuery},
};
use async_trait::async_trait;
use chrono_tz::Tz;

#[async_trait]
impl BudgetStore for Store {
    async fn known(&self, owner: Owner, term: Term, zone: Tz) -> Result<Known, StoreError> {
        match owner {
            Owner::Account(org) => {
                let totals = ledger_rows::totals(&mut self.pools.purse().await?, org).await?;
                let [funds, spent] = totals.moved(Account::Customer);
                Ok(Known { funds, spent })
            }
            Owner::Organization(_) => self.spent(owner, term, zone, None, None).await,
            Owner::Team(_, team) => self.spent(owner, term, zone, Some(team), None).await,
            Owner::Key(_, key, _) => self.spent(owner, term, zone, None, Some(key)).await,
        }
    }
}

impl Store {
    async fn spent(
        &self,
        owner: Owner,
        term: Term,
        zone: Tz,
        team: Option<TeamId>,
        key: Option<KeyId>,
    ) -> Result<Known, StoreError> {
        let query = UsageQuery {
            org: owner.org(),
            zone,
            start: term.from.date_in(zone),
            end: term.until.plus_ms(-1).date_in(zone),
            group_by: Vec::new(),
            model: None,
            team,
            key,
            page: Page { offset: 0, limit: 1 },
        };
        let sums = sums::sum(&mut self.pools.purse().await?, &query).await?;
        Ok(Known { spent: sums.iter().map(|sum| sum.cost).sum(), ..Known::default() })
    }
}
