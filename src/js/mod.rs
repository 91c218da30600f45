//! The script host: JavaScript and TypeScript that runs inside the server, on a thread of its own.
//!
//! | file | holds |
//! | --- | --- |
//! | `host` | the handle that the server uses; replaces a thread that got stuck |
//! | `lane` | the queues in front of the thread |
//! | `bell` | how the thread sleeps and is woken |
//! | `thread` | its loop, its turns, and how scripts wait for the host |
//! | `scope` | a context of its own per script and module |
//! | `modules` | CommonJS, one instance for all |
//! | `executor`, `promise`, `timers` | what runs later |
//! | `json` | reading JSON |
//! | `native` | host values in script objects |
//! | `entry` | whether a script calls its `main` itself |
//! | `strip` | TypeScript to JavaScript |
//! | `error` | errors with positions in the source as written |
//! | `watchdog` | limits of time and memory |
//! | `os_thread` | what the system does for script threads: an end to their stack, a low rank when left behind |
//! | `runtime` | what every scope has beside the language |
//!
//! It knows how to make a source runnable, what a script's global scope has beside the language, and how to stop a
//! script. It knows nothing of the application: what scripts can do with it is installed from outside.

mod bell;
mod entry;
pub mod error;
mod executor;
pub mod host;
#[cfg(test)]
mod hostile;
pub mod json;
pub mod lane;
pub mod modules;
pub mod native;
mod os_thread;
mod pending;
pub mod promise;
mod rejections;
pub mod runtime;
pub mod scope;
mod strip;
pub mod thread;
pub mod timers;
mod value;
pub mod watchdog;

/// The target of log lines that scripts write or cause, to be filtered by.
pub const SCRIPT_TARGET: &str = "rotunda::script";
