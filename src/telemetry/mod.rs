//! What operators see: the log, the access log, metrics.

pub(crate) mod access;
pub(crate) mod log;
pub(crate) mod metrics;
