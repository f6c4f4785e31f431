//! The load driver: its options, its report, and which loop drives which mode.
//!
//! Contents, in reading order: `request` (what is sent), `check` (is the answer right), `tally`
//! (what was seen), `closed` (as fast as it goes), `open` (at a fixed rate), `idle` (streams that are held).

mod check;
mod closed;
mod idle;
mod open;
mod request;
mod tally;

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;

pub(crate) use request::Order;
pub(crate) use tally::Report;

use crate::canned::{self, Mode};
use request::{Keys, Request};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// http://127.0.0.1:PORT/v1/chat/completions
    #[arg(long)]
    url: String,
    /// What goes behind `Authorization: Bearer`
    #[arg(long, default_value = "none")]
    key: String,
    /// A file of keys, one a line, to be used in `--order`
    #[arg(long, conflicts_with = "key")]
    keys: Option<PathBuf>,
    #[arg(long, value_enum, default_value = "random")]
    order: Order,
    #[arg(long, value_enum)]
    mode: Mode,
    #[arg(long, default_value_t = 64)]
    connections: usize,
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Requests per second, whatever the answers take (open loop); without it, as fast as they
    /// come (closed loop)
    #[arg(long)]
    rate: Option<f64>,
    /// Chunks that a whole stream must have
    #[arg(long, default_value_t = 20)]
    chunks: u32,
}

/// What every connection does.
struct Job {
    address: SocketAddr,
    request: Request,
    mode: Mode,
    chunks: u32,
}

/// Drives the load and prints the report as one line of JSON.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let job = job(options)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tally = match (options.mode, options.rate) {
        (Mode::Idle, _) => runtime.block_on(idle::drive(job, options.connections, options.seconds))?,
        (_, Some(rate)) => open::drive(job, options.connections, options.seconds, rate)?,
        (_, None) => runtime.block_on(closed::drive(job, options.connections, options.seconds))?,
    };
    let report = tally.report(options.mode, options.connections, options.rate);
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

fn job(options: &Options) -> anyhow::Result<Job> {
    let rest = options.url.strip_prefix("http://").context("--url must begin with http://")?;
    let (host, path) = rest.split_at(rest.find('/').context("--url has no path")?);
    let address = host.to_socket_addrs()?.next().with_context(|| format!("{host} has no address"))?;
    let keys = options.keys.as_ref().map(|file| Keys::read(file, options.order)).transpose()?.map(Arc::new);
    let key = keys.as_ref().map_or(options.key.as_str(), |keys| keys.first());
    let request = Request::new(canned::request(options.mode, host, path, key), keys.clone());
    Ok(Job { address, request, mode: options.mode, chunks: options.chunks })
}
