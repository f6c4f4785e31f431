//! The gateway's meaning, without I/O: what keys, limits, usage and prices are,
//! how the dialects are written, and what a configuration says.
//!
//! Nothing here reads a clock, a socket, a file or a random source: time and
//! entropy are arguments. Read `domain` first, then `wire`, `provider`, `config`.

pub mod config;
pub mod domain;
pub mod ports;
pub mod provider;
pub mod wire;
