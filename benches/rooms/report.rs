//! The report: a line for each measurement's median, and one of ratios.

use crate::workload::Figures;

/// A figure: its title, how it is read, and whether more of it is better.
type Column = (&'static str, fn(&Figures) -> f64, Better);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Better {
    More,
    Less,
    /// No ratio makes sense.
    Neither,
}

const COLUMNS: [Column; 12] = [
    ("per s", |f| f.per_second, Better::More),
    ("lost %", |f| f.lost_percent, Better::Neither),
    ("delivered %", |f| f.delivered_percent, Better::Neither),
    ("cores", |f| f.cores, Better::Neither),
    ("load's cores", |f| f.load_cores, Better::Neither),
    ("CPU ms/1,000", |f| f.cpu_ms_per_thousand, Better::Less),
    ("per CPU-s", |f| f.per_cpu_second, Better::More),
    ("kB/guest", |f| f.kb_per_guest, Better::Less),
    ("p50 ms", |f| f.p50_ms, Better::Less),
    ("p99 ms", |f| f.p99_ms, Better::Less),
    ("join p50 ms", |f| f.join_p50_ms, Better::Less),
    ("join max ms", |f| f.join_max_ms, Better::Less),
];

pub(crate) struct Report {
    measured: Vec<(&'static str, &'static str, Figures)>,
}

impl Report {
    pub(crate) fn new(seconds: f64, rounds: usize) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        println!("{rounds} rounds of {seconds} s, {cores} cores shared with the load\n");
        let titles: Vec<&str> = COLUMNS.iter().map(|(title, ..)| *title).collect();
        println!("| workload | server | {} |", titles.join(" | "));
        println!("| --- | --- |{}", " ---: |".repeat(COLUMNS.len()));
        Self {
            measured: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, workload: &'static str, server: &'static str, figures: Figures) {
        eprintln!(
            "{workload} {server}: {:.0} per s, {:.2} % lost, {:.1} % delivered, {:.2} cores, p99 {:.2} ms",
            figures.per_second,
            figures.lost_percent,
            figures.delivered_percent,
            figures.cores,
            figures.p99_ms
        );
        self.measured.push((workload, server, figures));
    }

    /// The medians of a workload, and our ratio to each other server: above 1 is better.
    pub(crate) fn print(&self, workload: &str) {
        let mut servers: Vec<&str> = Vec::new();
        for (of, server, _) in &self.measured {
            if *of == workload && !servers.contains(server) {
                servers.push(server);
            }
        }
        for server in &servers {
            let figures = COLUMNS.iter().map(|(_, read, _)| {
                let median = self.median(workload, server, *read);
                format!("{median:.digits$}", digits = digits(median))
            });
            let figures: Vec<String> = figures.collect();
            println!("| {workload} | {server} | {} |", figures.join(" | "));
        }
        for other in servers.iter().filter(|server| **server != "ours") {
            if !servers.contains(&"ours") {
                return;
            }
            let ratios = COLUMNS.iter().map(|(_, read, better)| {
                let ours = self.median(workload, "ours", *read);
                let theirs = self.median(workload, other, *read);
                match better {
                    Better::More => format!("**{:.2}×**", ours / theirs),
                    Better::Less => format!("**{:.2}×**", theirs / ours),
                    Better::Neither => String::new(),
                }
            });
            let ratios: Vec<String> = ratios.collect();
            println!("| {workload} | ratio to {other} | {} |", ratios.join(" | "));
        }
    }

    fn median(&self, workload: &str, server: &str, read: fn(&Figures) -> f64) -> f64 {
        let measured = self.measured.iter();
        let of = measured.filter(|(w, s, _)| *w == workload && *s == server);
        let mut values: Vec<f64> = of.map(|(.., figures)| read(figures)).collect();
        values.retain(|value| value.is_finite());
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

fn digits(value: f64) -> usize {
    match value.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        _ => 2,
    }
}
