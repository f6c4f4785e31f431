//! The audit of margins: what attempts came to, derived once more from the records.

use super::Report;
use aione_core::{
    domain::{clock::Timestamp, id::OrgId, outlay::Margin, rollup::Span, usage::UsageRecord},
    ports::{MarginStore, StoreError, UsageStore},
};
use std::{collections::BTreeMap, fmt};

/// An organization's margins that are not what its records come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Misattributed {
    pub org: OrgId,
    pub kept: Margin,
    pub derived: Margin,
}

/// The walk over all records.
pub(super) struct Margins {
    /// From here on every record is kept. Of the first one's quarter of an hour some may be no longer.
    from: Timestamp,
    before: BTreeMap<OrgId, Margin>,
    derived: BTreeMap<OrgId, Margin>,
}

impl Margins {
    pub(super) async fn begin<S: UsageStore + MarginStore>(store: &S) -> Result<Self, StoreError> {
        let first = store.list_records(None, 1).await?.pop();
        let first = first.map_or(Timestamp(0), |record| record.opened.started_at);
        let from = Span::Quarter.start_of(first).plus_ms(Span::Quarter.millis());
        Ok(Self { from, before: store.margin_totals(from).await?, derived: BTreeMap::new() })
    }

    pub(super) fn add(&mut self, record: &UsageRecord) {
        if record.opened.started_at < self.from {
            return;
        }
        let sum = self.derived.entry(record.opened.org).or_default();
        *sum = Margin::shares(record).fold(*sum, |sum, (_, _, share)| sum.plus(&share));
    }

    /// Compares, but for what a gateway beside this has changed meanwhile.
    pub(super) async fn end<S: MarginStore>(self, store: &S, report: &mut Report) -> Result<(), StoreError> {
        let kept = store.margin_totals(self.from).await?;
        let orgs = kept.keys().chain(self.derived.keys().filter(|org| !kept.contains_key(org)));
        for org in orgs.copied() {
            let [before, kept, derived] =
                [&self.before, &kept, &self.derived].map(|sums| sums.get(&org).copied().unwrap_or_default());
            if before == kept && kept != derived {
                report.misattributed.push(Misattributed { org, kept, derived });
            }
        }
        Ok(())
    }
}

impl fmt::Display for Misattributed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { org, kept, derived } = self;
        write!(f, "organization {org}: margins keep ")?;
        tell(f, kept)?;
        f.write_str(", and its records come to ")?;
        tell(f, derived)
    }
}

fn tell(f: &mut fmt::Formatter<'_>, margin: &Margin) -> fmt::Result {
    let Margin { attempts, failed, uncosted, unpriced, revenue, uncosted_revenue, cost } = margin;
    write!(
        f,
        "{attempts} attempts, {failed} of them failed, {uncosted} without a cost and {unpriced} without a price, \
         that brought {revenue} and {uncosted_revenue} and cost {cost}"
    )
}
