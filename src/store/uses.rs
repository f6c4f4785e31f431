//! Which uses of keys are worth a write: a key in steady use would otherwise be written again with
//! every batch of records.

use aione_core::domain::{clock::Timestamp, id::KeyId, usage::UsageRecord};
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc};

/// How far behind a key's `last_used_at` may be, in milliseconds.
const BEHIND_MAX: i64 = 60_000;
/// Keys whose last write is remembered; one that is not is written again.
const KNOWN_MAX: usize = 100_000;

/// What `last_used_at` was last set to, by key, as far as this process knows.
#[derive(Clone, Debug, Default)]
pub(super) struct Uses(Arc<Mutex<HashMap<KeyId, Timestamp>>>);

impl Uses {
    /// The last use of each key in `records`, but for those that are as good as written.
    pub(super) fn news(&self, records: &[UsageRecord]) -> Vec<(KeyId, Timestamp)> {
        let written = self.0.lock();
        let mut latest = HashMap::new();
        for opened in records.iter().map(|record| &record.opened) {
            let is_news = written
                .get(&opened.key)
                .is_none_or(|at| opened.started_at.0 >= at.0.saturating_add(BEHIND_MAX));
            if is_news {
                let at = latest.entry(opened.key).or_insert(opened.started_at);
                *at = opened.started_at.max(*at);
            }
        }
        latest.into_iter().collect()
    }

    /// These are written.
    pub(super) fn note(&self, uses: &[(KeyId, Timestamp)]) {
        let mut written = self.0.lock();
        if written.len() + uses.len() > KNOWN_MAX {
            written.clear();
        }
        written.extend(uses.iter().take(KNOWN_MAX).copied());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::{key_id, record};
    use uuid::Uuid;

    fn news(uses: &Uses, at: i64) -> Vec<(KeyId, Timestamp)> {
        let mut record = record(1, Timestamp(at));
        record.opened.key = key_id(1);
        uses.news(&[record])
    }

    #[test]
    fn a_use_is_news_once_a_minute() {
        let uses = Uses::default();
        let first = news(&uses, 1_000);
        assert_eq!(first, [(key_id(1), Timestamp(1_000))]);
        assert_eq!(news(&uses, 1_001).len(), 1, "what was not written yet is still news");
        uses.note(&first);
        assert!(news(&uses, 60_999).is_empty());
        assert_eq!(news(&uses, 61_000), [(key_id(1), Timestamp(61_000))]);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let uses = Uses::default();
        for number in 0..3 {
            let keys: Vec<_> = (0..KNOWN_MAX / 2)
                .map(|at| (KeyId(Uuid::from_u128((number * KNOWN_MAX + at) as u128)), Timestamp(1)))
                .collect();
            uses.note(&keys);
            assert!(uses.0.lock().len() <= KNOWN_MAX);
        }
    }
}
