//! The management API through its router, over ports that live in memory.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

mod access;
mod account;
mod bodies;
mod config;
mod contract;
mod dashboard;
mod document;
mod explain;
mod fake;
mod invoices;
mod keys;
mod ledger;
mod margins;
mod matrix;
mod models;
mod node;
mod ordered;
mod plan;
mod requests;
mod support;
mod tenants;
mod tokens;
mod upstreams;
mod usage;
mod writes;
