//! Panics of server threads and error lines, seen by the whole test process.
//!
//! Servers of several tests share the process, so a complaint may be reported by a test beside the guilty one; its text
//! names the place.

use std::fmt::Write as _;
use std::sync::{Mutex, Once, PoisonError};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::{Layer, Registry};

static COMPLAINTS: Mutex<Vec<String>> = Mutex::new(Vec::new());
static INSTALL: Once = Once::new();

/// Starts watching; again does nothing.
pub(super) fn install() {
    INSTALL.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            // The test harness names its threads after the tests, by path.
            let thread = std::thread::current();
            let name = thread.name().unwrap_or("");
            if !name.contains("::") && name != "main" {
                complain(format!("panic on thread {name:?}: {info}"));
            }
            usual(info);
        }));
        let subscriber = Registry::default().with(ErrorLines);
        // A test that set one before would lose no more than these lines.
        let _ = tracing::subscriber::set_global_default(subscriber);
    });
}

/// What was seen since the last time.
pub(super) fn take() -> Vec<String> {
    std::mem::take(&mut *COMPLAINTS.lock().unwrap_or_else(PoisonError::into_inner))
}

fn complain(text: String) {
    let mut complaints = COMPLAINTS.lock().unwrap_or_else(PoisonError::into_inner);
    complaints.push(text);
}

struct ErrorLines;

impl<S: Subscriber> Layer<S> for ErrorLines {
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        *metadata.level() == Level::ERROR
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        // Requests that are no HTTP are the client's fault, and actix logs them as errors.
        // Tests of scripts that fail look at what the server says of them.
        let target = event.metadata().target();
        if target.starts_with("actix_http") || target == "rotunda::script" {
            return;
        }
        let mut line = Line(format!("error line of {}:", event.metadata().target()));
        event.record(&mut line);
        complain(line.0);
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0, " {field}={value:?}");
    }
}
