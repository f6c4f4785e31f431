//! A key: how its secret is minted, checked, hashed and masked, and what the record allows.

pub mod pepper;
pub mod secret;

pub use pepper::{PepperError, Peppers};
pub use secret::{Malformed, Minted, Parsed, mask, mint, parse};

use crate::domain::{
    budget::BudgetPeriod,
    clock::Timestamp,
    id::{KeyId, OrgId, TeamId},
    money::Pico,
    plan::RateLimits,
};
use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// HMAC-SHA-256 of a secret under the pepper: all that is ever stored of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash(pub [u8; 32]);

impl std::fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyHash(..)")
    }
}

/// What can be done with a key now; derived, never stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyStatus {
    Active,
    Disabled,
    Expired,
}

/// A key's record. Its secret is not in it.
#[derive(Clone, PartialEq, Debug)]
pub struct Key {
    pub id: KeyId,
    pub org: OrgId,
    pub team: TeamId,
    pub name: String,
    /// The secret's first characters and its last four, for people to recognise it by.
    pub prefix: String,
    /// Empty: every model of the plan.
    pub models_allowed: Vec<String>,
    /// Empty: from anywhere.
    pub allowed_ips: Vec<IpNet>,
    pub limits: RateLimits,
    /// In each of its periods, in the organization's zone.
    pub budget: Option<Pico>,
    pub budget_period: BudgetPeriod,
    pub is_sandbox: bool,
    pub expires_at: Option<Timestamp>,
    pub disabled: bool,
    /// Until when the secret before the last rotation is still taken.
    pub rotate_grace_until: Option<Timestamp>,
    pub created_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
    /// Free key-value data of the organization's own, a JSON object.
    pub metadata: serde_json::Map<String, serde_json::Value>,
}

impl Key {
    #[must_use]
    pub fn status(&self, now: Timestamp) -> KeyStatus {
        if self.disabled {
            return KeyStatus::Disabled;
        }
        match self.expires_at {
            Some(end) if end <= now => KeyStatus::Expired,
            _ => KeyStatus::Active,
        }
    }

    /// Whether the key may call `model`, which must be the **resolved** public name.
    #[must_use]
    pub fn allows_model(&self, model: &str) -> bool {
        self.models_allowed.is_empty() || self.models_allowed.iter().any(|name| name == model)
    }

    /// Whether `ip`, of which only trusted hops may have spoken, may use the key. An IPv4 address
    /// is the same address when it comes mapped into IPv6.
    #[must_use]
    pub fn allows_ip(&self, ip: IpAddr) -> bool {
        let ip = canonical_ip(ip);
        self.allowed_ips.is_empty() || self.allowed_ips.iter().any(|net| canonical_net(*net).contains(&ip))
    }
}

/// An IPv4 address that came mapped into IPv6 (`::ffff:a.b.c.d`, RFC 4291 §2.5.5.2) as IPv4; any
/// other as it is.
#[must_use]
pub fn canonical_ip(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}

/// The IPv4 network that an IPv6 network within `::ffff:0:0/96` stands for; any other as it is.
#[must_use]
pub fn canonical_net(net: IpNet) -> IpNet {
    const MAPPED_BITS: u8 = 96;
    let (IpAddr::V4(address), Some(length)) =
        (canonical_ip(net.addr()), net.prefix_len().checked_sub(MAPPED_BITS))
    else {
        return net;
    };
    if matches!(net, IpNet::V4(_)) {
        return net;
    }
    Ipv4Net::new(address, length).map_or(net, IpNet::V4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_from(nets: &[&str]) -> Key {
        Key {
            id: KeyId(uuid::Uuid::nil()),
            org: OrgId(uuid::Uuid::nil()),
            team: TeamId(uuid::Uuid::nil()),
            name: String::new(),
            prefix: String::new(),
            models_allowed: Vec::new(),
            allowed_ips: nets.iter().map(|net| net.parse().unwrap()).collect(),
            limits: RateLimits::default(),
            budget: None,
            budget_period: BudgetPeriod::Month,
            is_sandbox: false,
            expires_at: None,
            disabled: false,
            rotate_grace_until: None,
            created_at: Timestamp(0),
            last_used_at: None,
            metadata: serde_json::Map::new(),
        }
    }

    #[test]
    fn an_address_is_the_same_mapped_or_not() {
        let key = key_from(&["10.1.0.0/16", "::ffff:192.168.1.0/120", "2001:db8::/32"]);
        for allowed in ["10.1.2.3", "::ffff:10.1.2.3", "192.168.1.9", "::ffff:192.168.1.9", "2001:db8::1"] {
            assert!(key.allows_ip(allowed.parse().unwrap()), "{allowed}");
        }
        for refused in ["10.2.0.1", "::ffff:10.2.0.1", "192.168.2.1", "::1", "2001:db9::1"] {
            assert!(!key.allows_ip(refused.parse().unwrap()), "{refused}");
        }
        assert!(key_from(&[]).allows_ip("203.0.113.9".parse().unwrap()));
    }

    #[test]
    fn a_wide_ipv6_network_stays_what_it_is() {
        let everything: IpNet = "::/0".parse().unwrap();
        assert_eq!(canonical_net(everything), everything);
        let v4: IpNet = "0.0.0.0/0".parse().unwrap();
        assert_eq!(canonical_net(v4), v4);
    }

    #[test]
    fn a_disabled_key_is_disabled_even_when_it_has_expired() {
        let mut key = key_from(&[]);
        key.expires_at = Some(Timestamp(1_000));
        assert_eq!(key.status(Timestamp(999)), KeyStatus::Active);
        assert_eq!(key.status(Timestamp(1_000)), KeyStatus::Expired);
        key.disabled = true;
        assert_eq!(key.status(Timestamp(2_000)), KeyStatus::Disabled);
    }
}
