//! The `server` binary: the exit code only.
fn main() {}
