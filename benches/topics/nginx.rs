//! nginx with nchan as the server to compare with, by a configuration of its own under a temporary folder.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

const START_TIMEOUT: Duration = Duration::from_secs(10);

/// A running nginx; dropped, it is told to end and waited for.
pub(crate) struct Nginx {
    pub(crate) addr: SocketAddr,
    child: Child,
}

impl Nginx {
    /// Starts `binary` with the module on a free loopback port.
    pub(crate) fn start(binary: &Path, module: &Path, workers: usize, root: &Path) -> Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port();
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let folder = root.join("nginx");
        fs::create_dir_all(&folder)?;
        let module = fs::canonicalize(module)
            .with_context(|| format!("no such module: {}", module.display()))?;
        let file = folder.join("nginx.conf");
        fs::write(&file, configuration(&folder, &module, workers, addr))?;
        let child = Command::new(binary)
            .arg("-p")
            .arg(&folder)
            .arg("-c")
            .arg(&file)
            .arg("-e")
            .arg(folder.join("error.log"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .with_context(|| format!("cannot run {}", binary.display()))?;
        let mut server = Self { addr, child };
        let began = Instant::now();
        while TcpStream::connect(addr).is_err() {
            if let Some(status) = server.child.try_wait()? {
                let log = fs::read_to_string(folder.join("error.log")).unwrap_or_default();
                bail!("nginx ended with {status}: {log}");
            }
            if began.elapsed() > START_TIMEOUT {
                bail!("nginx did not start in time");
            }
            sleep(Duration::from_millis(5));
        }
        Ok(server)
    }

    /// User and system time of the master and its workers.
    pub(crate) fn cpu(&self) -> Duration {
        let ticks: u64 = self.processes().iter().map(|pid| ticks(*pid)).sum();
        Duration::from_millis(ticks * 10)
    }

    /// Resident memory of the master and its workers, in MB of 10^6 bytes. Shared memory counts in each.
    pub(crate) fn resident_mb(&self) -> f64 {
        let kib = |pid: &u32| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
            let number = line.and_then(|rest| rest.split_whitespace().next());
            number.and_then(|number| number.parse::<f64>().ok())
        };
        self.processes().iter().filter_map(kib).sum::<f64>() * 1024.0 / 1e6
    }

    fn processes(&self) -> Vec<u32> {
        let master = self.child.id();
        let folders = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = folders.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let mut own: Vec<u32> = pids.filter(|pid| parent(*pid) == Some(master)).collect();
        own.push(master);
        own
    }
}

/// The fields of `/proc/PID/stat` behind the name, which may hold spaces: state, parent, ...
fn stat(pid: u32) -> Vec<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    after_name.split_whitespace().map(str::to_owned).collect()
}

fn parent(pid: u32) -> Option<u32> {
    stat(pid).get(1)?.parse().ok()
}

fn ticks(pid: u32) -> u64 {
    let fields = stat(pid);
    let times = fields.iter().skip(11).take(2);
    times.filter_map(|field| field.parse::<u64>().ok()).sum()
}

fn configuration(folder: &Path, module: &Path, workers: usize, addr: SocketAddr) -> String {
    let path = |name: &str| -> PathBuf { folder.join(name) };
    format!(
        "daemon off;\nload_module {module};\nworker_processes {workers};\nworker_rlimit_nofile 65536;\npid {pid};\n\
         error_log {log} error;\nevents {{ worker_connections 16384; }}\n\
         http {{\n  access_log off;\n  tcp_nodelay on;\n  keepalive_requests 1000000000;\n  keepalive_timeout 3600s;\n\
         \x20 client_body_temp_path {temp};\n  proxy_temp_path {temp};\n  fastcgi_temp_path {temp};\n  uwsgi_temp_path {temp};\n\
         \x20 scgi_temp_path {temp};\n  nchan_shared_memory_size 256M;\n\
         \x20 server {{\n    listen {addr};\n\
         \x20   location = /publish {{ nchan_publisher; nchan_channel_id bench; nchan_message_buffer_length 1000; nchan_message_timeout 10m; }}\n\
         \x20   location = /subscribe {{ nchan_subscriber eventsource; nchan_channel_id bench; nchan_subscriber_first_message newest; }}\n\
         \x20 }}\n}}\n",
        module = module.display(),
        pid = path("pid").display(),
        log = path("error.log").display(),
        temp = path("temp").display(),
    )
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // std has no way to send SIGTERM, and this package allows no unsafe code: kill(1) does it.
        let _ = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status();
        let began = Instant::now();
        while began.elapsed() < START_TIMEOUT {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
