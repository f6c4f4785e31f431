//! The stores: what implements core's ports. SQL is nowhere else.

pub mod local;
pub mod sqlite;
