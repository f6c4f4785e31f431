//! The data plane, the edges and the wiring of AIone gateway.
//!
//! Read `cli`, then `assemble`, then `proxy::exchange`: from the command line to one request.

pub mod audit;
pub mod billing;
pub mod cli;
pub mod clock;
pub mod config;
pub mod journal;
pub mod keyring;
pub mod store;

mod assemble;
mod background;
mod budgets;
mod control;
mod minting;
mod node;
mod own_hash;
mod proxy;
mod telemetry;
mod tls;
mod trail;
