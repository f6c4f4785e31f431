//! `aione`: the command line's entry. Everything else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    aione_gateway::cli::main()
}
