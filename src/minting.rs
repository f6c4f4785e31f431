//! New secrets for the admin service and the command line: the system's entropy, the
//! configured prefix and the present peppers behind the admin crate's `Mint`.

use crate::clock::System;
use aione_admin::{Mint, Minted};
use aione_core::{
    domain::{
        credential::MANAGEMENT_PREFIX,
        key::{KeyHash, Peppers, mint, parse},
    },
    ports::Surroundings,
};

/// What every minted operator token starts with, before a dash.
pub(crate) const OPERATOR_PREFIX: &str = "op";

pub(crate) struct Minting {
    peppers: Peppers,
    key_prefix: String,
}

impl Minting {
    pub(crate) fn new(peppers: Peppers, key_prefix: &str) -> Self {
        Self { peppers, key_prefix: key_prefix.to_owned() }
    }

    fn mint(&self, prefix: &str) -> Minted {
        let minted = mint(prefix, |bytes| System.entropy(bytes));
        let hash = self.peppers.hash(minted.secret.expose());
        Minted { secret: minted.secret, hash, prefix: minted.prefix }
    }
}

impl Mint for Minting {
    fn mint_key(&self, prefix: &str) -> Minted {
        self.mint(prefix)
    }

    fn mint_token(&self) -> Minted {
        self.mint(MANAGEMENT_PREFIX)
    }

    fn hashes(&self, secret: &str) -> Vec<KeyHash> {
        self.peppers.hashes(secret).collect()
    }

    fn seal_keys(&self, label: &[u8]) -> Vec<[u8; 32]> {
        self.peppers.seal_keys(label).collect()
    }

    fn looks_like_inference_key(&self, text: &str) -> bool {
        parse(text, &self.key_prefix).is_ok()
    }

    fn looks_like_management_token(&self, text: &str) -> bool {
        parse(text, MANAGEMENT_PREFIX).is_ok()
    }
}
