//! Rooms under load: the same synthetic video and the same chat through our server and through another SFU, in turn, with what
//! it costs them. How to run it: `benches/README.md`.

#![allow(clippy::print_stdout, reason = "the report is this program's output")]

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Parser;

use crate::ion::Ion;
use crate::janus::Janus;
use crate::ours::Ours;
use crate::report::Report;
use crate::sfu::Sfu;
use crate::workload::{WORKLOADS, Workload};

#[path = "../load/client.rs"]
#[allow(dead_code, reason = "shared with the load driver")]
mod client;
mod ion;
mod janus;
mod ours;
mod process;
mod report;
mod sfu;
#[path = "../load/target.rs"]
#[allow(dead_code, reason = "shared with the load driver")]
mod target;
mod websocket;
mod workload;

#[derive(Parser)]
#[command(about = "Measures rooms, alone or against another SFU")]
struct Options {
    /// The server to measure; `none` leaves it out
    #[arg(long, default_value = "target/release/server")]
    server: PathBuf,
    /// A Janus to compare with, such as /usr/bin/janus
    #[arg(long)]
    janus: Option<PathBuf>,
    /// The folder with Janus' `plugins` and `transports`
    #[arg(long, default_value = "/usr/lib/x86_64-linux-gnu/janus")]
    janus_modules: PathBuf,
    /// Janus' event loops; 0 is a thread for each connection
    #[arg(long, default_value_t = 0)]
    janus_loops: usize,
    /// An ion-sfu (its JSON-RPC server) to compare with
    #[arg(long)]
    ion: Option<PathBuf>,
    /// The others' address for media: they do not use loopback interfaces
    #[arg(long, default_value = "127.0.0.1")]
    ip: IpAddr,
    /// Only these workloads
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Length of one measurement
    #[arg(long, default_value_t = 8.0)]
    seconds: f64,
    /// Measurements per server
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Receivers that decrypt what they receive, per workload; the others count
    #[arg(long, default_value_t = 2)]
    decoding: usize,
    /// `cargo bench` passes this
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    match execute(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn execute(options: &Options) -> Result<()> {
    // One thread: the load shares the machine with the server, and shall not take more than a core of it.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run(options))
}

async fn run(options: &Options) -> Result<()> {
    let root = tempfile::Builder::new().prefix("rooms-").tempdir()?;
    let chosen: Vec<&Workload> = WORKLOADS
        .iter()
        .filter(|w| options.only.is_empty() || options.only.iter().any(|name| name == w.name))
        .collect();
    if chosen.is_empty() {
        bail!("no such workload");
    }
    let length = Duration::from_secs_f64(options.seconds);
    let mut report = Report::new(options.seconds, options.rounds);
    let mut failures = Vec::new();
    for workload in chosen {
        // Fresh ones, so that what a guest takes does not come out of what others left.
        let folder = root.path().join(workload.name);
        let mut sfus = start(options, &folder).await?;
        sfus.retain(|sfu| sfu.has(workload.medium));
        for _ in 0..options.rounds {
            for sfu in &mut sfus {
                match workload::run(workload, sfu, length, options.decoding).await {
                    Ok(figures) => report.add(workload.name, sfu.name(), figures),
                    Err(error) => {
                        failures.push(format!("{} of {}: {error:#}", workload.name, sfu.name()));
                    }
                }
                // What has just ended shall not count in the next measurement.
                tokio::time::sleep(Duration::from_secs(2)).await;
            }
        }
        report.print(workload.name);
    }
    if !failures.is_empty() {
        bail!("{}", failures.join("\n"));
    }
    Ok(())
}

async fn start(options: &Options, root: &Path) -> Result<Vec<Sfu>> {
    let mut sfus = Vec::new();
    if options.server.as_os_str() != "none" {
        sfus.push(Sfu::Ours(Ours::start(&options.server, root).await?));
    }
    if let Some(binary) = &options.janus {
        let setup = janus::Setup {
            binary,
            modules: &options.janus_modules,
            loops: options.janus_loops,
            ip: options.ip,
        };
        sfus.push(Sfu::Janus(Janus::start(&setup, root).await?));
    }
    if let Some(binary) = &options.ion {
        sfus.push(Sfu::Ion(Ion::start(binary, options.ip, root).await?));
    }
    Ok(sfus)
}
