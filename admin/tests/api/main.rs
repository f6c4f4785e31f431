//! The management API through its router, over ports that live in memory.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

mod access;
mod bodies;
mod config;
mod dashboard;
mod document;
mod fake;
mod keys;
mod requests;
mod support;
mod tokens;
mod usage;
