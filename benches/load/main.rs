//! Runs the same work on our server and, with `--peer`, on another one that speaks the same API (a real PocketBase), and
//! compares them. How to run it and what the lines mean: `benches/README.md`.
//!
//! Both servers get the same collections, the same rows and the same requests in the same order; measurements alternate
//! (ours, peer, ours, peer ...), so that a machine that slows down over time slows down both.

#![allow(clippy::print_stdout, reason = "the report is this program's output")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::LocalSet;

use crate::load::ClosedLoop;
use crate::report::{Line, Report, Sample};
use crate::site::Site;
use crate::target::{Program, Server};
use crate::workloads::fan_out::FanOut;
use crate::workloads::{Kind, REQUEST_TIMEOUT, Workload};

mod client;
mod load;
mod report;
mod site;
mod target;
mod workloads;

/// A server that is still busy with what came before gets this long to finish.
const SETTLE_AT_MOST: Duration = Duration::from_secs(60);
/// The part of a measurement's length that is spent on warming up first.
const WARM_UP_PART: u32 = 5;

#[derive(Parser)]
#[command(about = "Measures a server under load, alone or against a peer")]
struct Options {
    /// The server to measure
    #[arg(long, default_value = "target/release/server")]
    server: PathBuf,
    /// A server to compare with, such as a PocketBase binary
    #[arg(long)]
    peer: Option<PathBuf>,
    /// Only these: workload names, and `startup`
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Length of one measurement
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// Measurements per server and workload; the median counts
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Rows in each of the four big collections
    #[arg(long, default_value_t = 100_000)]
    rows: u64,
    /// Subscribers of the fan-out
    #[arg(long, default_value_t = 1_000)]
    subscribers: usize,
    /// Write everything measured to this file
    #[arg(long)]
    json: Option<PathBuf>,
    /// Print the workloads and end
    #[arg(long)]
    list: bool,
    /// `cargo bench` passes this
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    match execute(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn execute(options: &Options) -> Result<()> {
    if options.list {
        for workload in workloads::all() {
            println!("{:<16} {}", workload.name, workload.what);
        }
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    // One thread is enough for the client and leaves the other cores to the server.
    let report = LocalSet::new().block_on(&runtime, async {
        tokio::select! {
            report = run(options) => report,
            name = interrupted() => bail!("ended by {}", name?),
        }
    })?;
    println!("{}", report.to_text());
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&report.to_json())?;
        std::fs::write(path, text + "\n")
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    match report.failed(0) {
        0 => Ok(()),
        failed => bail!("{failed} requests to our server failed"),
    }
}

async fn interrupted() -> Result<&'static str> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => Ok("SIGTERM"),
        done = tokio::signal::ctrl_c() => done.map(|()| "SIGINT").map_err(Into::into),
    }
}

async fn run(options: &Options) -> Result<Report> {
    let mut programs = vec![Program::new("ours", &options.server)?];
    if let Some(peer) = &options.peer {
        programs.push(Program::new("peer", peer)?);
    }
    let mut wanted = workloads::all();
    let known: Vec<_> = wanted.iter().map(|w| w.name).chain(["startup"]).collect();
    if let Some(name) = options
        .only
        .iter()
        .find(|name| !known.contains(&name.as_str()))
    {
        bail!(
            "no workload is called {name}; there are: {}",
            known.join(", ")
        );
    }
    let is_wanted =
        |name: &str| options.only.is_empty() || options.only.iter().any(|only| only == name);
    wanted.retain(|workload| is_wanted(workload.name));

    let root = tempfile::Builder::new().prefix("load-").tempdir()?;
    let mut report = Report {
        names: programs.iter().map(|program| program.name).collect(),
        setting: setting(&programs, options),
        lines: Vec::new(),
        figures: Vec::new(),
    };
    if is_wanted("startup") {
        say("start-up and idle memory");
        report.figures = workloads::startup::measure(&programs, root.path()).await?;
    }
    if !wanted.is_empty() {
        let running = start_all(&programs, root.path(), options.rows).await?;
        for (index, workload) in wanted.iter().enumerate() {
            let line = measure(workload, index as u64, &running, options).await?;
            report.lines.push(line);
        }
        for (server, _) in running {
            server.stop()?;
        }
    }
    Ok(report)
}

async fn start_all(programs: &[Program], root: &Path, rows: u64) -> Result<Vec<(Server, Site)>> {
    let mut running = Vec::new();
    for program in programs {
        say(&format!("preparing {}", program.name));
        let dir = site::dir_of(root, program, "full")?;
        site::prepare(program, &dir, rows)
            .await
            .with_context(|| format!("preparing {}", program.name))?;
        let server = program.start(&dir)?;
        let site = site::open(server.addr, rows).await?;
        running.push((server, site));
    }
    Ok(running)
}

/// Measures one workload on all servers in turn, round by round.
async fn measure(
    workload: &Workload,
    index: u64,
    running: &[(Server, Site)],
    options: &Options,
) -> Result<Line> {
    let mut samples: Vec<Vec<Sample>> = running.iter().map(|_| Vec::new()).collect();
    for round in 0..options.rounds {
        for ((server, site), samples) in running.iter().zip(&mut samples) {
            server.settle(SETTLE_AT_MOST).await;
            // Requests are numbered apart for each workload and round, alike for all servers.
            let first = (index << 40) + ((round as u64) << 32);
            let sample = measure_once(workload, first, server, site, options).await?;
            say(&format!(
                "{:<16} {} round {}: {:.1}/s, {:.1} per CPU-second",
                workload.name,
                server.name,
                round + 1,
                sample.per_second,
                sample.per_cpu_second
            ));
            samples.push(sample);
        }
    }
    Ok(Line {
        name: workload.name,
        what: workload.what,
        samples,
    })
}

async fn measure_once(
    workload: &Workload,
    first: u64,
    server: &Server,
    site: &Site,
    options: &Options,
) -> Result<Sample> {
    let duration = Duration::from_secs_f64(options.seconds);
    let warm_up = duration / WARM_UP_PART;
    match workload.kind {
        Kind::ClosedLoop { connections, write } => {
            let write = |n: u64, out: &mut Vec<u8>| write(site, n, out);
            let mut clients = ClosedLoop::new(server.addr, connections, REQUEST_TIMEOUT, first);
            server.forget_peak();
            let before = server.cpu();
            let warmed = clients.run(warm_up, &write).await;
            if warmed.elapsed >= duration {
                // So slow that the warm-up is a measurement, or not one answer: to ask again would only take as long again.
                let cpu = server.cpu().saturating_sub(before);
                let done = warmed.latencies_us.len() as u64;
                return Ok(Sample::new(warmed, done, cpu, server.peak_mb()));
            }
            server.forget_peak();
            let before = server.cpu();
            let tally = clients.run(duration, &write).await;
            let cpu = server.cpu().saturating_sub(before);
            let done = tally.latencies_us.len() as u64;
            Ok(Sample::new(tally, done, cpu, server.peak_mb()))
        }
        Kind::FanOut => {
            let mut fan_out = FanOut::subscribe(site, options.subscribers).await?;
            fan_out.run(warm_up, first).await;
            server.forget_peak();
            let before = server.cpu();
            let mut outcome = fan_out.run(duration, first + (1 << 31)).await;
            let cpu = server.cpu().saturating_sub(before);
            let missing = outcome.expected.saturating_sub(outcome.delivered);
            if missing > 0 {
                let cause = format!("event not delivered, of {}", outcome.expected);
                outcome.tally.failures.insert(cause, missing);
            }
            Ok(Sample::new(
                outcome.tally,
                outcome.delivered,
                cpu,
                server.peak_mb(),
            ))
        }
    }
}

fn setting(programs: &[Program], options: &Options) -> Vec<(&'static str, String)> {
    let cpu_info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu_info
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown", |rest| rest.trim_start_matches(['\t', ' ', ':']));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let mut setting = vec![
        ("unix time", since_epoch.as_secs().to_string()),
        (
            "machine",
            format!("{cores} cores, {model}, Linux {}", kernel.trim()),
        ),
    ];
    for program in programs {
        setting.push((program.name, program.version()));
    }
    setting.push((
        "run",
        format!(
            "{} rows, {} rounds of {} s each (median), {} subscribers, request logs off",
            options.rows, options.rounds, options.seconds, options.subscribers
        ),
    ));
    setting
}

/// Progress goes to standard error; standard output carries the report alone.
fn say(text: &str) {
    eprintln!("{text}");
}
