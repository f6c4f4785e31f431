//! The command line of the bench: one binary that is load driver, fake upstream, floors and suite.
//!
//! One binary rather than four, so that `suite` can start the others from its own path and
//! there is never a question which build a figure came from.

#![forbid(unsafe_code)]

mod canned;
mod client;
mod clock;
mod driver;
mod floor;
mod http1;
mod journal;
mod load;
mod procfs;
mod records;
mod suite;
mod upstream;

use clap::Parser;

#[derive(Parser)]
#[command(version, about = "Load driver, fake upstream, floors and suite")]
enum Command {
    /// A fake OpenAI-dialect upstream that costs next to nothing
    Upstream(upstream::Options),
    /// Drive one target and report what was seen as JSON
    Load(load::Options),
    /// Bare Pingora: a proxy with `upstream_peer` and nothing else
    Floor(floor::Options),
    /// The gateway's way of carrying an exchange, and nothing else of it
    Driver(driver::Options),
    /// The gateway's journal and recorder, without a proxy around them
    Journal(journal::Options),
    /// Fill a store with usage records and time the reports over them
    Records(records::Options),
    /// Measure all targets side by side and write the tables
    Suite(suite::Options),
}

fn main() -> anyhow::Result<()> {
    match Command::parse() {
        Command::Upstream(options) => upstream::run(options),
        Command::Load(options) => load::run(&options),
        Command::Floor(options) => floor::run(&options),
        Command::Driver(options) => driver::run(&options),
        Command::Journal(options) => journal::run(&options),
        Command::Records(options) => records::run(&options),
        Command::Suite(options) => suite::run(options),
    }
}
