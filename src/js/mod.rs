//! The script host: JavaScript and TypeScript that runs inside the server, on a thread of its own.
//!
//! It knows how to make a source runnable, what a script's global scope has beside the language, and how to stop a
//! script. It knows nothing of the application: what scripts can do with it is installed from outside.

// The script thread is what uses all of this.
#![allow(dead_code, unused_imports)]

mod error;
#[cfg(test)]
mod hostile;
mod runtime;
mod strip;
mod value;
mod watchdog;
