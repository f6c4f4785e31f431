//! `aione`: the command line's entry. Everything else is in the library.

use std::process::ExitCode;

/// Half of a request's allocations are of several kilobytes, which glibc's thread caches do not
/// serve. mimalloc is as fast, but fills the buffers of every new connection with zeros, which
/// costs 110 KiB more for each open stream.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    aione_gateway::cli::main()
}
