//! The process's log: to standard error, one line an event, JSON or text.

use aione_core::config::snapshot::Log;
use tracing_subscriber::{EnvFilter, Registry, fmt, layer::SubscriberExt, reload, util::SubscriberInitExt};

/// Pingora's own lines: its per-connection errors are ours to tell, in the access log. A watch tells
/// every write in the configuration's folder, and the log may be written there: one line would be
/// the cause of the next.
const LIBRARIES: &str = "pingora_core=error,pingora_proxy=error,h2=error,sqlx=warn,notify=warn";

/// A handle by which a reload changes the level.
#[derive(Clone)]
pub(crate) struct Level(reload::Handle<EnvFilter, Registry>);

impl Level {
    pub(crate) fn set(&self, level: &str) {
        // The handle fails only where the log is gone, and then nobody reads it.
        let _ = self.0.reload(filter(level));
    }
}

/// Sets the log up, once, for the life of the process.
pub(crate) fn start(log: &Log) -> Level {
    let (filter, handle) = reload::Layer::new(filter(&log.level));
    let lines = fmt::layer().with_writer(std::io::stderr).with_target(false);
    let registry = tracing_subscriber::registry().with(filter);
    // A second start, in a test, keeps the first.
    let _ = if log.json {
        registry.with(lines.json().flatten_event(true)).try_init()
    } else {
        registry.with(lines).try_init()
    };
    Level(handle)
}

fn filter(level: &str) -> EnvFilter {
    EnvFilter::try_new(format!("{level},{LIBRARIES}")).unwrap_or_else(|_| EnvFilter::new("info"))
}
