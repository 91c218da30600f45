//! The command line, a file per command.

mod migrate;
mod openapi;
mod script;
mod serve;
mod superuser;

use std::io::Write as _;
use std::process::ExitCode;

use crate::config::{self, Command, Config};
use crate::telemetry::Format;

/// Runs the command that the arguments name.
///
/// # Errors
/// What to tell the person at the terminal; the process should end with a code other than 0.
pub fn run(config: &Config, command: &Command) -> anyhow::Result<()> {
    match command {
        Command::Serve(options) => {
            actix_web::rt::System::new().block_on(serve::run(config, options))
        }
        Command::Superuser(action) => {
            actix_web::rt::System::new().block_on(superuser::run(config, action))
        }
        Command::Migrate(action) => {
            actix_web::rt::System::new().block_on(migrate::run(config, action))
        }
        Command::Openapi => openapi::run(),
        Command::Script(words) => actix_web::rt::System::new().block_on(script::run(config, words)),
    }
}

/// Prints a line for the person at the terminal.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Reads the process's arguments and runs; the exit code.
#[must_use]
pub fn main() -> ExitCode {
    // A missing .env file is no error; a broken one is, since a variable in it may matter. The line itself may hold a
    // secret and is not printed.
    match dotenvy::from_path(".env") {
        Err(error) if !error.not_found() => {
            complain("Error: the file .env cannot be read: each line must be NAME=VALUE");
            return ExitCode::FAILURE;
        }
        _ => {}
    }
    let (config, command) = match config::parse(std::env::args_os()) {
        Ok(parsed) => parsed,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    crate::telemetry::init(if config.dev {
        Format::Human
    } else {
        Format::Json
    });
    match run(&config, &command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("Error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
