//! Tracing output and the log sink.
