//! The product from its outermost door: the built binary, a scripted upstream, and clients of every manner.
//!
//! Each file is an area; each test's name is the sentence it proves.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests stop at the first surprise, spawn what they own, and read real clocks as bounds"
)]

#[expect(unreachable_pub, reason = "the support reads as the small library that it is")]
mod support;

mod blame;
mod budgets;
mod callers;
mod cli;
mod clouds;
mod cluster;
mod config;
mod control;
mod crash;
mod disconnect;
mod docs;
mod driver;
mod endpoints;
mod first;
mod foreign;
mod fuzz;
mod invoices;
mod lifecycle;
mod limits;
mod margins;
mod odd_answers;
mod operations;
mod pass_through;
mod postgres;
mod prices;
mod public_admin;
mod quickstart;
mod recordings;
mod refusals;
mod reload;
mod repetition;
mod reports;
mod schemathesis;
mod sdk;
mod secrets;
mod streams;
mod support_dialects;
mod support_itself;
mod telemetry;
mod tenants;
mod tidy;
mod tls;
mod translation;
mod upstreams;
