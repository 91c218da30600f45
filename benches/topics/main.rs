//! Fan-out of topics over SSE: so many subscribers, so many messages per second, on our server and, with `--nchan`, on
//! nginx with nchan, in the same run and in turn. How to run it: `benches/README.md`.

#![allow(clippy::print_stdout, reason = "the report is this program's output")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Parser;
use serde_json::json;
use tokio::task::LocalSet;

use crate::client::Conn;
use crate::fan_out::{Load, Outcome, Site};
use crate::nginx::Nginx;
use crate::target::{Program, SUPERUSER_EMAIL, SUPERUSER_PASSWORD, Server};

#[path = "../load/client.rs"]
#[allow(dead_code, reason = "shared with the load driver")]
mod client;
mod fan_out;
mod nginx;
#[path = "../load/target.rs"]
#[allow(dead_code, reason = "shared with the load driver")]
mod target;

#[derive(Parser)]
#[command(about = "Measures the fan-out of topics, alone or against nginx with nchan")]
struct Options {
    /// The server to measure
    #[arg(long, default_value = "target/release/server")]
    server: PathBuf,
    /// The nginx to compare with
    #[arg(long)]
    nchan: Option<PathBuf>,
    /// Its module
    #[arg(long, default_value = "/usr/lib/nginx/modules/ngx_nchan_module.so")]
    nchan_module: PathBuf,
    /// Subscribers
    #[arg(long, default_value_t = 2_000)]
    subscribers: usize,
    /// Messages per second
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Length of one measurement
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Measurements per server
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Bytes of a message
    #[arg(long, default_value_t = 120)]
    payload: usize,
    /// `cargo bench` passes this
    #[arg(long, hide = true)]
    bench: bool,
}

/// A server under test.
enum Target {
    Ours(Server),
    Nginx(Nginx),
}

impl Target {
    fn name(&self) -> &'static str {
        match self {
            Self::Ours(_) => "ours",
            Self::Nginx(_) => "nginx+nchan",
        }
    }

    fn site(&self) -> Site {
        let (addr, subscribe, publish) = match self {
            Self::Ours(server) => (server.addr, "/api/events/bench", "/api/events/bench"),
            Self::Nginx(server) => (server.addr, "/subscribe", "/publish"),
        };
        Site {
            addr,
            subscribe,
            publish,
        }
    }

    fn cpu(&self) -> Duration {
        match self {
            Self::Ours(server) => server.cpu(),
            Self::Nginx(server) => server.cpu(),
        }
    }

    fn resident_mb(&self) -> f64 {
        match self {
            Self::Ours(server) => server.resident_mb(),
            Self::Nginx(server) => server.resident_mb(),
        }
    }
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
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, run(options))
}

async fn run(options: &Options) -> Result<()> {
    let root = tempfile::Builder::new().prefix("topics-").tempdir()?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut targets = vec![Target::Ours(prepare(options, root.path()).await?)];
    if let Some(binary) = &options.nchan {
        let module = &options.nchan_module;
        let nginx = Nginx::start(binary, module, cores, root.path())?;
        targets.push(Target::Nginx(nginx));
    }
    println!(
        "{} subscribers, {} messages/s of {} bytes for {} s, {cores} cores shared with the driver\n",
        options.subscribers, options.rate, options.payload, options.seconds
    );
    println!(
        "| server | published | received | lost | deliveries/s | p50 ms | p99 ms | CPU s | deliveries/CPU-s | resident MB |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    let mut lost = 0;
    for _ in 0..options.rounds {
        for target in &targets {
            lost += measure(target, options).await?;
        }
    }
    if lost > 0 {
        bail!("our server lost {lost} deliveries");
    }
    Ok(())
}

/// Our server with a topic that everybody may use, without request logs.
async fn prepare(options: &Options, root: &Path) -> Result<Server> {
    let program = Program::new("ours", &options.server)?;
    let dir = root.join("ours");
    program.init(&dir)?;
    let server = program.start(&dir)?;
    let mut conn = Conn::new(server.addr);
    let identity = json!({"identity": SUPERUSER_EMAIL, "password": SUPERUSER_PASSWORD});
    let path = "/api/collections/_superusers/auth-with-password";
    let signed_in = conn.json("POST", path, "", Some(&identity)).await?;
    let token = signed_in["token"].as_str().unwrap_or_default().to_owned();
    let no_logs = json!({"logs": {"maxDays": 0}});
    conn.json("PATCH", "/api/settings", &token, Some(&no_logs))
        .await?;
    let topic = json!({"name": "bench", "subscribeRule": "", "publishRule": ""});
    let path = "/api/collections/_topics/records";
    conn.json("POST", path, &token, Some(&topic)).await?;
    Ok(server)
}

/// Gives how many deliveries our own server lost.
async fn measure(target: &Target, options: &Options) -> Result<u64> {
    let load = Load {
        subscribers: options.subscribers,
        rate: options.rate,
        duration: Duration::from_secs_f64(options.seconds),
        payload_bytes: options.payload,
    };
    let mut before = Duration::ZERO;
    let outcome = fan_out::run(&target.site(), load, || before = target.cpu()).await?;
    let cpu = target.cpu().saturating_sub(before).as_secs_f64();
    let lost = report(target, &outcome, load, cpu);
    // The streams that have just ended shall not count in the next measurement.
    tokio::time::sleep(Duration::from_secs(1)).await;
    Ok(match target {
        Target::Ours(_) => lost,
        Target::Nginx(_) => 0,
    })
}

fn report(target: &Target, outcome: &Outcome, load: Load, cpu: f64) -> u64 {
    let expected = outcome.published * load.subscribers as u64;
    let lost = expected.saturating_sub(outcome.received);
    let per_second = outcome.received as f64 / outcome.elapsed.as_secs_f64();
    println!(
        "| {} | {} | {} | {lost} | {per_second:.0} | {:.2} | {:.2} | {cpu:.2} | {:.0} | {:.1} |",
        target.name(),
        outcome.published,
        outcome.received,
        outcome.latencies.quantile_ms(0.5),
        outcome.latencies.quantile_ms(0.99),
        outcome.received as f64 / cpu,
        target.resident_mb(),
    );
    if outcome.refused + outcome.disconnected > 0 {
        eprintln!(
            "{}: {} messages refused, {} subscribers disconnected",
            target.name(),
            outcome.refused,
            outcome.disconnected
        );
    }
    lost
}
