//! The key ring against a store that can be made to wait, to fail and to change.

mod fake;
mod races;
mod refresh;

use super::*;
use aione_core::{
    config::snapshot::Secret,
    domain::{
        budget::{BudgetPeriod, Terms},
        id::TeamId,
        key::{Key, Minted},
        plan::RateLimits,
    },
};
use fake::FakeStore;
use uuid::Uuid;

const PREFIX: &str = "sk-aione";
const OLD_PEPPER: &str = "an old pepper of thirty-two characters or more";
const PEPPER: &str = "a new pepper of thirty-two characters or more";
const MAX_AGE: Duration = Duration::from_secs(5);
const NOW: Timestamp = Timestamp(1_795_442_400_000);

struct Test {
    store: Arc<FakeStore>,
    ring: Arc<KeyRing>,
}

impl Test {
    fn new() -> Self {
        Self::with_peppers(&[PEPPER])
    }

    fn with_peppers(peppers: &[&str]) -> Self {
        let store = Arc::new(FakeStore::default());
        let peppers = Peppers::new(peppers.iter().copied()).unwrap();
        Self { ring: Arc::new(KeyRing::new(store.clone(), peppers)), store }
    }

    fn with_ask_max(ask_max: Duration) -> Self {
        let mut test = Self::new();
        Arc::get_mut(&mut test.ring).unwrap().ask_max = ask_max;
        test
    }

    /// Key `number`, in the store under the first pepper.
    fn add(&self, number: u8) -> Secret {
        let secret = secret(number);
        self.store.put(self.ring.peppers.hash(secret.expose()), context(number));
        secret
    }

    fn change(&self, secret: &Secret, change: impl FnOnce(&mut KeyInContext)) {
        self.store.change(&self.ring.peppers.hash(secret.expose()), change);
    }

    async fn at(&self, secret: &Secret, seconds: u64) -> Result<Arc<KeyInContext>, Denied> {
        let steady = Steady(seconds * 1_000_000_000);
        self.ring.authenticate(secret.expose(), PREFIX, MAX_AGE, NOW, steady).await
    }
}

fn secret(number: u8) -> Secret {
    let mut next = number;
    let Minted { secret, .. } = key::mint(PREFIX, |bytes| {
        for byte in bytes {
            *byte = next % 248;
            next = next.wrapping_mul(5).wrapping_add(3);
        }
    });
    secret
}

fn context(number: u8) -> KeyInContext {
    let id = Uuid::from_u128(u128::from(number));
    KeyInContext {
        key: Key {
            id: KeyId(id),
            org: OrgId(id),
            team: TeamId(id),
            name: number.to_string(),
            prefix: String::new(),
            models_allowed: Vec::new(),
            allowed_ips: Vec::new(),
            limits: RateLimits::default(),
            budget: None,
            budget_period: BudgetPeriod::Month,
            is_sandbox: false,
            expires_at: None,
            disabled: false,
            rotate_grace_until: None,
            created_at: NOW,
            last_used_at: None,
            metadata: serde_json::Map::new(),
        },
        secret_dies_at: None,
        org_plan: Arc::from("standard"),
        org_next_plan: None,
        org_limits: RateLimits::default(),
        org_terms: Terms::default(),
        org_zone: chrono_tz::UTC,
        team_limits: RateLimits::default(),
        team_budget: None,
    }
}

#[tokio::test]
async fn a_known_key_is_read_from_the_store_once() {
    let test = Test::new();
    let secret = test.add(1);
    let first = test.at(&secret, 0).await.unwrap();
    let again = test.at(&secret, 4).await.unwrap();
    assert!(Arc::ptr_eq(&first, &again));
    assert_eq!((again.key.id, test.store.reads()), (context(1).key.id, 1));
}

#[tokio::test]
async fn a_malformed_secret_asks_no_store() {
    let test = Test::new();
    let good = test.add(1).expose().to_owned();
    let other_end = if good.ends_with('0') { "1" } else { "0" };
    let texts = [
        String::new(),
        "sk-aione-".to_owned(),
        format!("{}{other_end}", &good[..good.len() - 1]),
        good.replacen("sk-aione", "sk-other", 1),
        good.to_uppercase(),
        format!(" {good}"),
        format!("{good}\0"),
        format!("{}\0{}", &good[..20], &good[21..]),
        format!("{}\u{661}{}", &good[..20], &good[22..]),
        "x".repeat(1 << 20),
    ];
    for text in texts {
        let denied = test.ring.authenticate(&text, PREFIX, MAX_AGE, NOW, Steady(0)).await;
        assert_eq!(denied.err(), Some(Denied::Malformed), "{:?}", text.get(..60));
    }
    assert_eq!(test.store.reads(), 0);
}

#[tokio::test]
async fn a_key_is_read_again_when_it_is_old() {
    let test = Test::new();
    let secret = test.add(1);
    test.at(&secret, 0).await.unwrap();
    test.change(&secret, |context| context.key.disabled = true);
    assert!(test.at(&secret, 4).await.is_ok());
    assert_eq!(test.at(&secret, 5).await.err(), Some(Denied::Disabled));
    assert_eq!(test.store.reads(), 2);
}

#[tokio::test]
async fn a_key_that_has_left_the_store_is_unknown_also_when_the_store_fails_later() {
    let test = Test::new();
    let secret = test.add(1);
    test.at(&secret, 0).await.unwrap();
    test.store.remove(&test.ring.peppers.hash(secret.expose()));
    assert_eq!(test.at(&secret, 5).await.err(), Some(Denied::Unknown));
    test.store.fail(true);
    assert_eq!(test.at(&secret, 7).await.err(), Some(Denied::StoreUnavailable));
}

#[tokio::test]
async fn expiry_and_grace_end_at_their_instant_without_reading_again() {
    let test = Test::new();
    let (expiring, rotated) = (test.add(1), test.add(2));
    let end = NOW.plus_ms(1_000);
    test.change(&expiring, |context| context.key.expires_at = Some(end));
    test.change(&rotated, |context| context.secret_dies_at = Some(end));
    for (secret, denied) in [(expiring, Denied::Expired), (rotated, Denied::GraceOver)] {
        let at = async |now| test.ring.authenticate(secret.expose(), PREFIX, MAX_AGE, now, Steady(0)).await;
        assert!(at(end.plus_ms(-1)).await.is_ok());
        assert_eq!(at(end).await.err(), Some(denied));
    }
    assert_eq!(test.store.reads(), 2);
}

#[tokio::test]
async fn a_known_key_outlives_a_store_that_is_away_for_an_hour() {
    let test = Test::new();
    let (known, stranger) = (test.add(1), test.add(2));
    test.at(&known, 0).await.unwrap();
    test.store.fail(true);
    for second in [5, 6, 60, 600, 3_599] {
        assert!(test.at(&known, second).await.is_ok(), "after {second} s");
    }
    assert_eq!(test.at(&known, 3_600).await.err(), Some(Denied::StoreUnavailable));
    assert_eq!(test.at(&stranger, 3_600).await.err(), Some(Denied::StoreUnavailable));
    test.store.fail(false);
    assert!(test.at(&known, 3_602).await.is_ok());
    assert!(test.at(&stranger, 3_602).await.is_ok());
}

#[tokio::test]
async fn a_store_that_is_away_is_asked_once_a_second() {
    let test = Test::new();
    let secret = test.add(1);
    test.store.fail(true);
    for _ in 0..100 {
        assert_eq!(test.at(&secret, 1).await.err(), Some(Denied::StoreUnavailable));
    }
    assert_eq!(test.store.reads(), 1);
    for _ in 0..100 {
        assert_eq!(test.at(&secret, 2).await.err(), Some(Denied::StoreUnavailable));
    }
    assert_eq!(test.store.reads(), 2);
}

#[tokio::test]
async fn a_revoked_key_is_refused_even_when_the_store_is_away() {
    let test = Test::new();
    let secret = test.add(1);
    test.at(&secret, 0).await.unwrap();
    test.change(&secret, |context| context.key.disabled = true);
    test.ring.forget(context(1).key.id);
    test.store.fail(true);
    assert_eq!(test.at(&secret, 0).await.err(), Some(Denied::StoreUnavailable));
}

#[tokio::test]
async fn an_unknown_secret_is_asked_for_once_a_second_until_a_key_is_made() {
    let test = Test::new();
    let secret = secret(1);
    for _ in 0..100 {
        assert_eq!(test.at(&secret, 0).await.err(), Some(Denied::Unknown));
    }
    assert_eq!(test.store.reads(), 1);
    assert_eq!(test.at(&secret, 1).await.err(), Some(Denied::Unknown));
    assert_eq!(test.store.reads(), 2);
    test.add(1);
    test.ring.forget(context(1).key.id);
    assert!(test.at(&secret, 1).await.is_ok());
}

#[tokio::test]
async fn a_key_of_an_old_pepper_is_known_and_read_again_with_one_question() {
    let test = Test::with_peppers(&[PEPPER, OLD_PEPPER]);
    let secret = secret(1);
    test.store.put(Peppers::new([OLD_PEPPER]).unwrap().hash(secret.expose()), context(1));
    test.at(&secret, 0).await.unwrap();
    assert_eq!(test.store.reads(), 2, "each pepper once");
    test.at(&secret, 4).await.unwrap();
    assert_eq!(test.store.reads(), 2);
    test.at(&secret, 5).await.unwrap();
    assert_eq!(test.store.reads(), 3);
    assert_eq!(test.at(&super::tests::secret(9), 5).await.err(), Some(Denied::Unknown));
}

#[tokio::test]
async fn guesses_push_no_key_out() {
    let test = Test::new();
    let key = test.add(1);
    test.at(&key, 0).await.unwrap();
    for number in 2..=255 {
        assert_eq!(test.at(&secret(number), 0).await.err(), Some(Denied::Unknown));
    }
    test.at(&key, 1).await.unwrap();
    assert_eq!(test.ring.known.len(), 1, "guesses are not among the keys");
}

#[tokio::test]
async fn a_change_of_a_tenant_outdates_its_own_keys_alone() {
    let test = Test::new();
    let (own, other) = (test.add(1), test.add(2));
    test.change(&other, |context| context.key.org = OrgId(uuid::Uuid::from_u128(2)));
    for key in [&own, &other] {
        test.at(key, 0).await.unwrap();
    }
    let reads = test.store.reads();
    test.ring.forget_org(context(1).key.org);
    test.at(&other, 0).await.unwrap();
    assert_eq!(test.store.reads(), reads, "of another organization");
    test.at(&own, 0).await.unwrap();
    assert_eq!(test.store.reads(), reads + 1);
}
