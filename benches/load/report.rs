//! What the figures become: a table to read and JSON to keep.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};

use crate::load::Tally;

/// One measurement of one server.
pub(crate) struct Sample {
    pub(crate) done: u64,
    pub(crate) per_second: f64,
    pub(crate) per_cpu_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) peak_mb: f64,
    pub(crate) failures: BTreeMap<String, u64>,
    /// No request was answered in time: the rates are upper bounds, as though each had been answered at that moment.
    pub(crate) is_bound: bool,
}

impl Sample {
    /// `done` is what was achieved: requests answered with 2xx, or events delivered.
    pub(crate) fn new(mut tally: Tally, done: u64, cpu: Duration, peak_mb: f64) -> Self {
        tally.latencies_us.sort_unstable();
        let is_bound = done == 0 && tally.timeouts > 0;
        let counted = if is_bound { tally.timeouts } else { done } as f64;
        Self {
            done,
            per_second: counted / tally.elapsed.as_secs_f64(),
            per_cpu_second: counted / cpu.as_secs_f64(),
            p50_ms: percentile_ms(&tally.latencies_us, 50),
            p99_ms: percentile_ms(&tally.latencies_us, 99),
            peak_mb,
            failures: tally.failures,
            is_bound,
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "done": self.done, "perSecond": self.per_second, "perCpuSecond": self.per_cpu_second, "p50Ms": self.p50_ms,
            "p99Ms": self.p99_ms, "peakMb": self.peak_mb, "failures": self.failures, "isUpperBound": self.is_bound,
        })
    }
}

/// A workload's samples: one list per server, one sample per round.
pub(crate) struct Line {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) samples: Vec<Vec<Sample>>,
}

/// A single number per server, of which less is better.
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) values: Vec<f64>,
}

pub(crate) struct Report {
    /// The servers, ours first.
    pub(crate) names: Vec<&'static str>,
    /// What the figures depend on: machine, versions, options.
    pub(crate) setting: Vec<(&'static str, String)>,
    pub(crate) lines: Vec<Line>,
    pub(crate) figures: Vec<Figure>,
}

fn percentile_ms(sorted_us: &[u32], percent: usize) -> f64 {
    let index = (sorted_us.len() * percent / 100).min(sorted_us.len().saturating_sub(1));
    sorted_us
        .get(index)
        .map_or(f64::NAN, |&us| f64::from(us) / 1e3)
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match (sorted.get(middle.wrapping_sub(1)), sorted.get(middle)) {
        (Some(low), Some(high)) if sorted.len().is_multiple_of(2) => f64::midpoint(*low, *high),
        (_, Some(value)) => *value,
        _ => f64::NAN,
    }
}

impl Line {
    fn median_of(&self, server: usize, metric: fn(&Sample) -> f64) -> f64 {
        let samples = self.samples.get(server).map_or(&[][..], Vec::as_slice);
        median(&samples.iter().map(metric).collect::<Vec<_>>())
    }

    fn is_bound(&self, server: usize) -> bool {
        let samples = self.samples.get(server).map_or(&[][..], Vec::as_slice);
        samples.iter().any(|sample| sample.is_bound)
    }

    fn rate(&self, server: usize, metric: fn(&Sample) -> f64) -> String {
        let sign = if self.is_bound(server) { "< " } else { "" };
        format!("{sign}{}", number(self.median_of(server, metric)))
    }

    /// How many times the second server's rate the first one's is.
    fn ratio(&self, metric: fn(&Sample) -> f64) -> String {
        let sign = match (self.is_bound(0), self.is_bound(1)) {
            (false, false) => "",
            (false, true) => "≥ ",
            (true, false) => "≤ ",
            (true, true) => return "?".to_owned(),
        };
        format!(
            "{sign}{}",
            ratio(self.median_of(0, metric), self.median_of(1, metric))
        )
    }

    fn failed(&self, server: usize) -> u64 {
        let samples = self.samples.get(server).map_or(&[][..], Vec::as_slice);
        samples.iter().flat_map(|s| s.failures.values()).sum()
    }

    fn causes(&self, server: usize) -> BTreeMap<&str, u64> {
        let mut causes = BTreeMap::new();
        for sample in self.samples.get(server).into_iter().flatten() {
            for (cause, count) in &sample.failures {
                *causes.entry(cause.as_str()).or_default() += count;
            }
        }
        causes
    }
}

fn number(value: f64) -> String {
    match value {
        v if !v.is_finite() => "–".to_owned(),
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v if v >= 1.0 => format!("{v:.2}"),
        v => format!("{v:.3}"),
    }
}

fn ratio(ours: f64, peer: f64) -> String {
    let value = ours / peer;
    if value.is_finite() {
        format!("{}×", number(value))
    } else {
        "–".to_owned()
    }
}

impl Report {
    /// How many of a server's requests failed in all.
    pub(crate) fn failed(&self, server: usize) -> u64 {
        self.lines.iter().map(|line| line.failed(server)).sum()
    }

    pub(crate) fn to_text(&self) -> String {
        let mut out = String::new();
        for (name, value) in &self.setting {
            let _ = writeln!(out, "{name}: {value}");
        }
        out.push('\n');
        self.write_rates(&mut out);
        self.write_figures(&mut out);
        self.write_failures(&mut out);
        out
    }

    fn write_rates(&self, out: &mut String) {
        if self.lines.is_empty() {
            return;
        }
        let mut rows = vec![vec!["workload".to_owned()]];
        for (unit, ratio) in [
            ("per s", true),
            ("per CPU-s", true),
            ("p50/p99 ms", false),
            ("peak MB", false),
            ("failed", false),
        ] {
            let head = rows.first_mut().into_iter();
            for head in head {
                head.extend(self.names.iter().map(|name| format!("{name} {unit}")));
                if ratio && self.names.len() > 1 {
                    head.push("ratio".to_owned());
                }
            }
        }
        for line in &self.lines {
            let servers = 0..self.names.len();
            let mut row = vec![line.name.to_owned()];
            for metric in [|s: &Sample| s.per_second, |s: &Sample| s.per_cpu_second] {
                row.extend(servers.clone().map(|server| line.rate(server, metric)));
                if self.names.len() > 1 {
                    row.push(line.ratio(metric));
                }
            }
            row.extend(servers.clone().map(|server| {
                let (p50, p99) = (
                    line.median_of(server, |s| s.p50_ms),
                    line.median_of(server, |s| s.p99_ms),
                );
                format!("{} / {}", number(p50), number(p99))
            }));
            row.extend(
                servers
                    .clone()
                    .map(|server| number(line.median_of(server, |s| s.peak_mb))),
            );
            row.extend(servers.map(|server| line.failed(server).to_string()));
            rows.push(row);
        }
        write_table(out, &rows);
    }

    fn write_figures(&self, out: &mut String) {
        if self.figures.is_empty() {
            return;
        }
        let mut head = vec!["less is better".to_owned()];
        head.extend(self.names.iter().map(ToString::to_string));
        if self.names.len() > 1 {
            head.push("ratio".to_owned());
        }
        let mut rows = vec![head];
        for figure in &self.figures {
            let mut row = vec![figure.name.to_owned()];
            row.extend(figure.values.iter().map(|&value| number(value)));
            if let [ours, peer] = figure.values.as_slice() {
                row.push(ratio(*peer, *ours));
            }
            rows.push(row);
        }
        out.push('\n');
        write_table(out, &rows);
    }

    fn write_failures(&self, out: &mut String) {
        for line in &self.lines {
            for (server, name) in self.names.iter().enumerate() {
                for (cause, count) in line.causes(server) {
                    let _ = writeln!(out, "\n{}: {name}: {count} × {cause}", line.name);
                }
            }
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        let per_server = |values: Vec<Value>| -> Value {
            let pairs = self.names.iter().map(ToString::to_string).zip(values);
            Value::Object(pairs.collect())
        };
        let lines = self.lines.iter().map(|line| {
            let rounds = line
                .samples
                .iter()
                .map(|rounds| rounds.iter().map(Sample::to_json).collect());
            json!({"name": line.name, "what": line.what, "rounds": per_server(rounds.collect())})
        });
        let figures = self.figures.iter().map(|figure| {
            let values = figure.values.iter().map(|&value| json!(value)).collect();
            json!({"name": figure.name, "what": figure.what, "values": per_server(values)})
        });
        let setting = self
            .setting
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value)));
        json!({
            "setting": Value::Object(setting.collect()),
            "workloads": lines.collect::<Vec<_>>(),
            "figures": figures.collect::<Vec<_>>(),
        })
    }
}

/// Writes a Markdown table whose columns also line up as plain text.
fn write_table(out: &mut String, rows: &[Vec<String>]) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for (index, row) in rows.iter().enumerate() {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _ = if column == 0 {
                write!(out, "| {cell:<width$} ")
            } else {
                write!(out, "| {cell:>width$} ")
            };
        }
        out.push_str("|\n");
        if index == 0 {
            for (column, width) in widths.iter().enumerate() {
                let _ = write!(
                    out,
                    "| {}{} ",
                    "-".repeat(width - 1),
                    if column == 0 { "-" } else { ":" }
                );
            }
            out.push_str("|\n");
        }
    }
}
