//! `aione`: the command line's entry. Everything else is in the library.

use std::process::ExitCode;

/// Half of a request's allocations are of several kilobytes, which glibc's thread caches do not
/// serve: this one took a tenth off the proxy's CPU (see `bench/results/`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    aione_gateway::cli::main()
}
