//! What is counted and measured, in the text that Prometheus reads (exposition format 0.0.4).

use std::fmt::Write as _;

/// A number under a name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// Such as `rotunda_rooms`; letters, digits and `_`.
    pub name: &'static str,
    /// A sentence without line breaks and backslashes.
    pub help: &'static str,
    pub kind: MetricKind,
    pub value: f64,
}

/// How a number moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Only up, since the start.
    Counter,
    /// Up and down.
    Gauge,
}

impl Metric {
    /// A number of events since the start; its name ends with `_total`.
    #[must_use]
    pub fn counter(name: &'static str, help: &'static str, value: u64) -> Self {
        debug_assert!(name.ends_with("_total"), "{name}");
        Self::new(name, help, MetricKind::Counter, value)
    }

    /// A number of things that there are now.
    #[must_use]
    pub fn gauge(name: &'static str, help: &'static str, value: u64) -> Self {
        Self::new(name, help, MetricKind::Gauge, value)
    }

    fn new(name: &'static str, help: &'static str, kind: MetricKind, value: u64) -> Self {
        // Exact up to 2^53, which no counter reaches.
        let value = value as f64;
        Self {
            name,
            help,
            kind,
            value,
        }
    }
}

/// The text of these metrics, in their order.
#[must_use]
pub fn exposition(metrics: &[Metric]) -> String {
    let mut out = String::with_capacity(160 * metrics.len());
    for Metric {
        name,
        help,
        kind,
        value,
    } in metrics
    {
        let kind = match kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
        };
        // Writing to a text never fails.
        let _ = writeln!(
            out,
            "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}"
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_have_help_type_and_value() {
        let metrics = [
            Metric::gauge("rotunda_rooms", "Rooms that somebody is in.", 3),
            Metric::counter("rotunda_bytes_total", "Bytes.", 1 << 40),
        ];
        let expected = "# HELP rotunda_rooms Rooms that somebody is in.\n# TYPE rotunda_rooms gauge\nrotunda_rooms 3\n\
            # HELP rotunda_bytes_total Bytes.\n# TYPE rotunda_bytes_total counter\nrotunda_bytes_total 1099511627776\n";
        assert_eq!(exposition(&metrics), expected);
    }
}
