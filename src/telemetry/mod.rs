//! Tracing output and the log sink.

use std::io;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::prelude::*;

/// The environment variable with the filter: `info`, `rotunda=debug,sqlx=warn` and the like.
pub const FILTER_VARIABLE: &str = "ROTUNDA_LOG";
/// Lines of single requests only on demand: superusers read them in the request log. What clients send wrong is no error
/// of the server, so that nobody can fill the log.
const FILTER_DEFAULT: &str = "info,rotunda::access=off,actix_server=warn,actix_http=off";

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people: one coloured line per event, for `--dev`.
    Human,
    /// For machines: one JSON object per line.
    Json,
}

/// Sends tracing events to stderr, filtered by [`FILTER_VARIABLE`] (default `info`; a filter that cannot be read counts
/// as the default).
///
/// Only the first call in a process has an effect, so that each test may call it. True when this was it.
pub fn init(format: Format) -> bool {
    let registry = tracing_subscriber::registry().with(filter());
    let done = match format {
        Format::Human => {
            let layer = fmt::layer().with_writer(io::stderr).with_target(false);
            registry.with(layer).try_init()
        }
        Format::Json => {
            let layer = fmt::layer()
                .json()
                .flatten_event(true)
                .with_current_span(true)
                .with_span_list(false)
                .with_writer(io::stderr);
            registry.with(layer).try_init()
        }
    };
    done.is_ok()
}

fn filter() -> EnvFilter {
    EnvFilter::try_from_env(FILTER_VARIABLE).unwrap_or_else(|_| EnvFilter::new(FILTER_DEFAULT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_start_changes_nothing() {
        init(Format::Human);
        assert!(!init(Format::Json));
    }
}
