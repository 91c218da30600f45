//! The `server` binary: the exit code only.

use std::process::ExitCode;

fn main() -> ExitCode {
    rotunda::cli::main()
}
