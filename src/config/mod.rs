//! The running configuration: read from files, watched, and replaced as a whole.
//!
//! What a configuration means is `aione_core::config`'s; here are the files, the environment,
//! the signal and the watcher.

mod glob;
mod load;
mod trail;
mod watch;

pub use load::{FILES_MAX, Loaded, Origin, load};
pub(crate) use watch::Commit;
pub use watch::{Config, Outcomes};

#[cfg(test)]
mod tests;
