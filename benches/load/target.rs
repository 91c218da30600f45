//! A server under test: its process, its data directory, and what the kernel says of it.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

pub(crate) const SUPERUSER_EMAIL: &str = "load@example.com";
pub(crate) const SUPERUSER_PASSWORD: &str = "load-driver-1234";

const START_TIMEOUT: Duration = Duration::from_secs(30);
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
/// Pause between two looks at a server that is starting; it bounds the error of a start-up time.
const START_POLL: Duration = Duration::from_micros(200);

/// A server program, and how to start it. Both kinds understand PocketBase's command line.
#[derive(Clone)]
pub(crate) struct Program {
    /// The name in reports: `ours` or `peer`.
    pub(crate) name: &'static str,
    pub(crate) binary: PathBuf,
}

impl Program {
    pub(crate) fn new(name: &'static str, binary: &Path) -> Result<Self> {
        let binary = fs::canonicalize(binary)
            .with_context(|| format!("no such server: {}", binary.display()))?;
        Ok(Self { name, binary })
    }

    /// What the program calls itself; empty if it has no `--version`.
    pub(crate) fn version(&self) -> String {
        let output = Command::new(&self.binary).arg("--version").output();
        output.map_or_else(
            |_| String::new(),
            |o| String::from_utf8_lossy(&o.stdout).trim().to_owned(),
        )
    }

    /// Makes a data directory with a superuser in it.
    pub(crate) fn init(&self, dir: &Path) -> Result<()> {
        let output = Command::new(&self.binary)
            .args([
                "superuser",
                "upsert",
                SUPERUSER_EMAIL,
                SUPERUSER_PASSWORD,
                "--dir",
            ])
            .arg(dir)
            .output()
            .with_context(|| format!("cannot run {}", self.binary.display()))?;
        if !output.status.success() {
            bail!(
                "{}: superuser upsert failed: {}",
                self.name,
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(())
    }

    /// Starts the server on a free loopback port and waits until `/api/health` answers 200.
    pub(crate) fn start(&self, dir: &Path) -> Result<Server> {
        // The workloads bring collections of their own.
        self.start_with(dir, "none")
    }

    /// As [`Program::start`], with application modules.
    pub(crate) fn start_with(&self, dir: &Path, modules: &str) -> Result<Server> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port();
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let log_path = dir.with_extension("log");
        let log = File::options().create(true).append(true).open(&log_path)?;
        let began = Instant::now();
        let child = Command::new(&self.binary)
            .args(["serve", "--http", &addr.to_string(), "--dir"])
            .arg(dir)
            .env("ROTUNDA_MODULES", modules)
            .env("ROTUNDA_RTC_PORT", "0")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot run {}", self.binary.display()))?;
        let mut server = Server {
            name: self.name,
            addr,
            child,
            start_time: Duration::ZERO,
        };
        while !is_healthy(addr) {
            if let Some(status) = server.child.try_wait()? {
                bail!("{} ended with {status}: {}", self.name, tail(&log_path));
            }
            if began.elapsed() > START_TIMEOUT {
                bail!("{} did not start in time: {}", self.name, tail(&log_path));
            }
            sleep(START_POLL);
        }
        server.start_time = began.elapsed();
        Ok(server)
    }
}

fn is_healthy(addr: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(addr) else {
        return false;
    };
    let asked = stream
        .write_all(b"GET /api/health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    let mut answer = [0; 12];
    asked.is_ok() && stream.read_exact(&mut answer).is_ok() && answer == *b"HTTP/1.1 200"
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let mut lines: Vec<&str> = text.lines().rev().take(10).collect();
    lines.reverse();
    lines.join("\n")
}

/// A running server; dropped, it is told to end and waited for.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) addr: SocketAddr,
    /// From spawning the process to the first 200 of `/api/health`.
    pub(crate) start_time: Duration,
    child: Child,
}

impl Server {
    #[allow(dead_code, reason = "of the driver of rooms")]
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// User and system time the process has used so far, with the kernel's resolution of 10 ms.
    pub(crate) fn cpu(&self) -> Duration {
        let stat =
            fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        // The second field is the name, in parentheses, and may hold spaces; utime and stime are the 14th and 15th.
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks: u64 = after_name
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse::<u64>().ok())
            .sum();
        // USER_HZ is 100 on every Linux architecture in use.
        Duration::from_millis(ticks * 10)
    }

    /// Resident memory now, in MB of 10^6 bytes.
    pub(crate) fn resident_mb(&self) -> f64 {
        self.status_kib("VmRSS:") * 1024.0 / 1e6
    }

    /// The most resident memory since [`Server::forget_peak`], in MB.
    pub(crate) fn peak_mb(&self) -> f64 {
        self.status_kib("VmHWM:") * 1024.0 / 1e6
    }

    pub(crate) fn forget_peak(&self) {
        // proc(5): writing 5 sets VmHWM to the present VmRSS. Where that is not allowed the peak is that of the whole run.
        let _ = fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5");
    }

    fn status_kib(&self, label: &str) -> f64 {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        status
            .lines()
            .find_map(|line| line.strip_prefix(label))
            .and_then(|rest| rest.split_whitespace().next())
            .and_then(|number| number.parse().ok())
            .unwrap_or(f64::NAN)
    }

    /// Waits until the server uses less than 2 % of a core, or the time is up: work left over from one measurement
    /// (a checkpoint, garbage, an abandoned query) must not count in the next.
    pub(crate) async fn settle(&self, at_most: Duration) {
        let began = Instant::now();
        let mut before = self.cpu();
        while began.elapsed() < at_most {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let now = self.cpu();
            if now.saturating_sub(before) <= Duration::from_millis(10) {
                return;
            }
            before = now;
        }
    }

    /// Asks the server to end (SIGTERM) and waits; a server that does not is killed and reported.
    pub(crate) fn stop(mut self) -> Result<()> {
        if self.end() {
            return Ok(());
        }
        bail!(
            "{} did not end within {} s of SIGTERM",
            self.name,
            STOP_TIMEOUT.as_secs()
        )
    }

    fn end(&mut self) -> bool {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return true;
        }
        // std has no way to send SIGTERM, and this package allows no unsafe code: kill(1) does it.
        let _ = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status();
        let began = Instant::now();
        while began.elapsed() < STOP_TIMEOUT {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return true;
            }
            sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        false
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}
