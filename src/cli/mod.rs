//! The command line: what `aione` can be asked to do.

mod check;
mod journal;
mod keys;
mod migrate;
mod serve;
mod stores;

use clap::{Parser, Subcommand};
use std::{path::PathBuf, process::ExitCode};

#[derive(Parser)]
#[command(
    name = "aione",
    version,
    about = "A metered, limited, billed reverse proxy in front of LLM upstreams"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Args)]
struct ConfigFile {
    /// The configuration; without it the built-in quick start is used
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    file: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the gateway
    Serve(ConfigFile),
    /// Check a configuration: exit 0, or 1 with every problem and its line
    Check(ConfigFile),
    /// Print the configuration's JSON Schema
    Schema,
    /// Make, list, rotate and disable keys
    #[command(subcommand)]
    Keys(keys::Command),
    /// Make management tokens
    #[command(subcommand)]
    Tokens(keys::TokenCommand),
    /// Bring the store's tables up to date
    Migrate(ConfigFile),
    /// Re-derive every charge from raw usage and price version: exit 1 on a difference
    Audit(ConfigFile),
    /// Look into the journal
    #[command(subcommand)]
    Journal(journal::Command),
}

/// Runs the command that the arguments name.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // One provider of cryptography for the process, before anything asks for one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let done = match arguments.command {
        Command::Serve(config) => serve::serve(config.file.as_deref()),
        Command::Check(config) => check::check(config.file.as_deref()),
        Command::Schema => check::schema(),
        Command::Keys(command) => keys::run(command),
        Command::Tokens(command) => keys::run_tokens(command),
        Command::Migrate(config) => migrate::migrate(config.file.as_deref()),
        Command::Audit(config) => journal::audit(config.file.as_deref()),
        Command::Journal(command) => journal::run(command),
    };
    done.unwrap_or_else(|error| {
        eprintln!("aione: {error:#}");
        ExitCode::FAILURE
    })
}
