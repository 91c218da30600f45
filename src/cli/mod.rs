//! The command line, a file per command.

mod openapi;
mod serve;
mod superuser;

use std::io::Write as _;

use crate::config::{Command, Config};

/// Runs the command that the arguments name.
///
/// # Errors
/// What to tell the person at the terminal; the process should end with a code other than 0.
pub fn run(config: &Config, command: &Command) -> anyhow::Result<()> {
    match command {
        Command::Serve(options) => actix_web::rt::System::new().block_on(serve::run(config, options)),
        Command::Superuser(action) => {
            actix_web::rt::System::new().block_on(superuser::run(config, action))
        }
        Command::Openapi => openapi::run(),
    }
}

/// Prints a line for the person at the terminal.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
