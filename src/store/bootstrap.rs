//! The first start: an organization and a team for the first key to stand in.

use super::{Store, plan_rows, tenants};
use aione_core::{
    domain::{
        budget::Terms,
        clock::Timestamp,
        id::{OrgId, TeamId},
        invoice::TaxRate,
        plan::RateLimits,
    },
    ports::{Organization, StoreError, Team},
};
use std::sync::Arc;

/// The slug of the organization, and the name of the team, that a first start makes.
pub const DEFAULT_NAME: &str = "default";

impl Store {
    /// Makes the organization `default` with its team `default`, where there is no organization
    /// yet. `entropy` is twenty random bytes.
    ///
    /// # Errors
    /// The store is unavailable.
    pub async fn bootstrap(
        &self,
        now: Timestamp,
        entropy: [u8; 20],
        default_plan: &Arc<str>,
        zone: chrono_tz::Tz,
    ) -> Result<(), StoreError> {
        let [for_org, for_team] = halves(entropy);
        let org = Organization {
            id: OrgId::new(now, for_org),
            slug: DEFAULT_NAME.to_owned(),
            name: "Default".to_owned(),
            plan: default_plan.clone(),
            next_plan: None,
            limits: RateLimits::default(),
            terms: Terms::default(),
            tax_rate: TaxRate::default(),
            time_zone: zone,
            created_at: now,
        };
        let team = Team {
            id: TeamId::new(now, for_team),
            org: org.id,
            name: DEFAULT_NAME.to_owned(),
            limits: RateLimits::default(),
            monthly_budget: None,
            created_at: now,
        };
        let mut tx = self.change().await?;
        if tenants::count_orgs(&mut tx).await? > 0 {
            return Ok(());
        }
        tenants::insert_org(&mut tx, &org).await?;
        tenants::insert_team(&mut tx, &team).await?;
        plan_rows::assign(&mut tx, org.id, now, &org.plan).await?;
        tx.commit().await
    }
}

fn halves(entropy: [u8; 20]) -> [[u8; 10]; 2] {
    let mut halves = [[0; 10]; 2];
    halves.as_flattened_mut().copy_from_slice(&entropy);
    halves
}
