//! A table for each calendar month of usage records, made before its first one.

use super::{Pools, begin};
use crate::store::engine::{Db, Turn};
use crate::store::statement::Statement;
use aione_core::{
    domain::{clock::Timestamp, usage::UsageRecord},
    ports::StoreError,
};
use chrono::{Datelike as _, Months, NaiveDate};
use parking_lot::Mutex;
use std::{collections::BTreeSet, sync::Arc};

/// How long a change of the tables waits for readers: whoever comes after it waits as long.
const LOCK_MAX: &str = "SET LOCAL lock_timeout = '500ms'";
/// The table of all times that have none of their own.
const OTHER: &str = "usage_records_other";
/// Rows of it that are deleted at a time.
const DELETED_MAX: u32 = 1_000;
/// How the name of a month's table begins.
const PREFIX: &str = "usage_records_";
/// Years whose months have tables of their own.
const YEARS: std::ops::RangeInclusive<i32> = 2020..=2199;
/// Months that are remembered to have a table: more than there ever are, but for clocks gone wrong.
const KNOWN_MAX: usize = 1_200;

/// The months that have a table, as far as this process knows, each by its first day.
#[derive(Clone, Debug, Default)]
pub(super) struct Partitions(Arc<Mutex<BTreeSet<NaiveDate>>>);

impl Pools {
    /// Makes the tables that these records need. Attaching one waits for whoever reads the table of all
    /// other times, such as a dump: where that takes long, the month stays in that table.
    pub(in crate::store) async fn make_room_for(&self, records: &[UsageRecord]) -> Result<(), StoreError> {
        let missing: BTreeSet<_> = {
            let known = self.partitions.0.lock();
            let months = records.iter().filter_map(|record| month_of(record.opened.started_at));
            months.filter(|month| !known.contains(month)).collect()
        };
        for month in missing {
            let mut tx = begin(&self.writers, super::WRITE_MAX).await?;
            let made = match make(&mut tx, month).await {
                Ok(()) => tx.commit().await,
                Err(error) => Err(error),
            };
            if let Err(error) = made {
                tracing::warn!(%error, %month, "a month of usage records gets no table of its own yet");
                continue;
            }
            let mut known = self.partitions.0.lock();
            if known.len() >= KNOWN_MAX {
                known.clear();
            }
            known.insert(month);
        }
        Ok(())
    }
}

impl Pools {
    /// Drops the table of the oldest month that ended by `before`, or deletes some older rows that stand
    /// in none, and tells whether there may be more.
    pub(in crate::store) async fn drop_a_month(
        &self,
        tx: &mut Db,
        before: Timestamp,
    ) -> Result<bool, StoreError> {
        let months = "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                      WHERE i.inhparent = 'usage_records'::regclass ORDER BY 1";
        let rows = tx.all(Statement::new(months)).await?;
        let names = rows.iter().map(|row| row.get::<&str>(0)).collect::<Result<Vec<_>, _>>()?;
        let months = names.into_iter().filter_map(month_called);
        let Some(month) = months.into_iter().find(|month| start_of(next(*month)) <= before) else {
            return delete_others(tx, before).await;
        };
        tx.execute(Statement::new(LOCK_MAX)).await?;
        tx.execute(Statement::new(format!("DROP TABLE {}", name_of(month)))).await?;
        // Before it is gone: a table that is made for nothing does no harm.
        self.partitions.0.lock().remove(&month);
        Ok(true)
    }
}

/// Rows of clocks gone wrong, and of months that came back when their table had been dropped.
async fn delete_others(tx: &mut Db, before: Timestamp) -> Result<bool, StoreError> {
    let delete = format!(
        "DELETE FROM {OTHER} WHERE (started_at, id) IN
         (SELECT started_at, id FROM {OTHER} WHERE started_at < ? ORDER BY 1, 2 LIMIT ?)"
    );
    let deleted = tx.execute(Statement::new(delete).bind(before).bind(DELETED_MAX)).await?;
    Ok(deleted == u64::from(DELETED_MAX))
}

async fn make(tx: &mut Db, month: NaiveDate) -> Result<(), StoreError> {
    tx.execute(Statement::new(LOCK_MAX)).await?;
    // Of two nodes at the turn of a month, the second finds it made.
    tx.take(Turn::Change).await?;
    let name = name_of(month);
    let is_there = Statement::new("SELECT to_regclass(?) IS NOT NULL").bind(name.clone());
    if tx.one(is_there).await?.get(0)? {
        return Ok(());
    }
    let (start, end) = (start_of(month), start_of(next(month)));
    // A node that did not know of a month's end has put rows of it there: then that is where it stays.
    let stays = format!("SELECT EXISTS (SELECT 1 FROM {OTHER} WHERE started_at >= ? AND started_at < ?)");
    if tx.one(Statement::new(stays).bind(start).bind(end)).await?.get(0)? {
        return Ok(());
    }
    let create = format!("CREATE TABLE {name} (LIKE usage_records INCLUDING DEFAULTS)");
    tx.execute(Statement::new(create)).await?;
    let attach = format!(
        "ALTER TABLE usage_records ATTACH PARTITION {name} FOR VALUES FROM ({}) TO ({})",
        start.0, end.0
    );
    tx.execute(Statement::new(attach)).await.map(drop)
}

/// `None`: a clock has gone wrong, and the table of all other times has room.
fn month_of(at: Timestamp) -> Option<NaiveDate> {
    let month = at.date_in(chrono_tz::UTC).with_day(1).expect("every month has a first day");
    // A time that is no date is shown as one.
    (YEARS.contains(&month.year()) && (start_of(month)..start_of(next(month))).contains(&at)).then_some(month)
}

fn name_of(month: NaiveDate) -> String {
    format!("{PREFIX}{:04}_{:02}", month.year(), month.month())
}

/// The month of a table; `None`: it is the one for all other times.
fn month_called(name: &str) -> Option<NaiveDate> {
    let (year, month) = name.strip_prefix(PREFIX)?.split_once('_')?;
    NaiveDate::from_ymd_opt(year.parse().ok()?, month.parse().ok()?, 1)
}

fn next(month: NaiveDate) -> NaiveDate {
    month.checked_add_months(Months::new(1)).unwrap_or(NaiveDate::MAX)
}

fn start_of(day: NaiveDate) -> Timestamp {
    Timestamp::start_of(day, chrono_tz::UTC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_a_calendar_month_in_utc() {
        let last = Timestamp(1_798_761_599_999);
        let [december, january] = [last, last.plus_ms(1)].map(|at| month_of(at).unwrap());
        assert_eq!(
            (december.to_string().as_str(), january.to_string().as_str()),
            ("2026-12-01", "2027-01-01")
        );
        assert_eq!(start_of(next(december)), last.plus_ms(1));
        assert_eq!(month_called(&name_of(december)), Some(december));
        assert_eq!(month_called("usage_records_other"), None);
        for wrong in [i64::MIN, -1, 0, i64::MAX] {
            assert_eq!(month_of(Timestamp(wrong)), None);
        }
    }
}
