//! What the tests stand on: the gateway's process, the upstream behind it, and the clients before it.

pub mod account;
pub mod admin;
pub mod client;
pub mod dialects;
pub mod gateway;
pub mod http;
pub mod money;
pub mod packages;
pub mod past;
pub mod ports;
pub mod postgres;
pub mod records;
pub mod redis;
pub mod settings;
pub mod upstream;
pub mod wait;
