//! The row in the trail of writes of what is done on the gateway's own machine: by the command line,
//! or by the quick start for itself.

use crate::clock::{self, System};
use aione_admin::offline;
use aione_core::{
    domain::id::OrgId,
    ports::{Sign, Surroundings},
};

pub(crate) fn signed(org: OrgId, action: &'static str) -> Sign {
    let mut entropy = [0; 10];
    System.entropy(&mut entropy);
    offline::sign(org, action, clock::now(), entropy)
}
