//! Servers and commands as processes of their own, ended by their id when they are dropped.

use std::io::{BufRead as _, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::DEADLINE;

/// The binary of this package.
pub(crate) fn binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_server"))
}

/// A command in an environment without variables that would change what it does.
pub(crate) fn command(binary: &Path, dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary);
    let home = dir.parent().expect("the data directory has a parent");
    command
        .args(arguments)
        .arg("--dir")
        .arg(dir)
        .current_dir(home);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ROTUNDA_") {
            command.env_remove(name);
        }
    }
    // Most tests are about a plain server.
    command.env("ROTUNDA_MODULES", "none");
    // Servers run side by side.
    command.env("ROTUNDA_RTC_PORT", "0");
    command
}

/// Runs a command to its end.
pub(crate) fn run(binary: &Path, dir: &Path, arguments: &[&str]) -> Ended {
    let output = command(binary, dir, arguments).output();
    Ended(output.unwrap_or_else(|error| panic!("{} does not run: {error}", binary.display())))
}

/// How a command ended.
pub(crate) struct Ended(Output);

impl Ended {
    #[track_caller]
    pub(crate) fn succeeds(&self) -> String {
        assert!(
            self.0.status.success(),
            "{}: {}",
            self.0.status,
            self.text()
        );
        self.text()
    }

    /// Ends with a code of its own choice (no signal, no panic) and says why.
    #[track_caller]
    pub(crate) fn fails(&self) -> String {
        let code = self.0.status.code();
        let text = self.text();
        assert!(
            code.is_some_and(|code| code != 0 && code != 101),
            "{code:?}: {text}"
        );
        assert!(!self.0.stderr.is_empty(), "no reason given");
        assert!(!text.contains("panicked"), "{text}");
        text
    }

    fn text(&self) -> String {
        let both = [&*self.0.stdout, &*self.0.stderr].concat();
        String::from_utf8_lossy(&both).into_owned()
    }
}

/// A serving process.
pub(crate) struct Server {
    child: Child,
    base: String,
    output: Lines,
}

impl Server {
    /// Serves a data directory and waits until it answers.
    pub(crate) async fn start(binary: &Path, dir: &Path) -> Self {
        Self::start_with(binary, dir, &[]).await
    }

    /// With further variables of the environment.
    pub(crate) async fn start_with(binary: &Path, dir: &Path, variables: &[(&str, &Path)]) -> Self {
        let http = format!("127.0.0.1:{}", free_port());
        let mut child = command(binary, dir, &["serve", "--http", &http])
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server runs");
        let output = Lines::default();
        output.follow(child.stdout.take().expect("piped"));
        output.follow(child.stderr.take().expect("piped"));
        let mut server = Self {
            child,
            base: format!("http://{http}"),
            output,
        };
        server.healthy().await;
        server
    }

    async fn healthy(&mut self) {
        let client = reqwest::Client::new();
        let started = Instant::now();
        loop {
            let answer = client.get(format!("{}/api/health", self.base)).send().await;
            if answer.is_ok_and(|answer| answer.status() == 200) {
                return;
            }
            let ended = self.child.try_wait().expect("a child");
            let waited = started.elapsed();
            assert!(
                ended.is_none() && waited < DEADLINE,
                "the server does not answer ({ended:?}): {}",
                self.output.text()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("a running child");
        self.child.wait().expect("a child");
    }

    /// Asks it to end and waits until it has.
    pub(crate) fn terminate(mut self) -> ExitStatus {
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(sent.expect("kill runs").success());
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(started.elapsed() < DEADLINE, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What it printed up to a line that contains `text`; waits for it.
    pub(crate) fn printed(&self, text: &str) -> String {
        self.output.wait_for(text)
    }

    /// Reads what it printed, also after its end.
    pub(crate) fn reader(&self) -> impl Fn() -> String + use<> {
        let output = self.output.clone();
        move || output.text()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that was free a moment ago, for servers that cannot tell which one they took.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// Lines that a process prints, as they come.
#[derive(Clone, Default)]
struct Lines(Arc<(Mutex<String>, Condvar)>);

impl Lines {
    fn follow(&self, from: impl Read + Send + 'static) {
        let lines = self.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(Result::ok) {
                let (text, wake) = &*lines.0;
                let mut text = text.lock().unwrap_or_else(PoisonError::into_inner);
                text.push_str(&line);
                text.push('\n');
                wake.notify_all();
            }
        });
    }

    fn text(&self) -> String {
        self.0
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn wait_for(&self, part: &str) -> String {
        let (text, wake) = &*self.0;
        let text = text.lock().unwrap_or_else(PoisonError::into_inner);
        let (text, late) = wake
            .wait_timeout_while(text, DEADLINE, |text| !text.contains(part))
            .unwrap_or_else(PoisonError::into_inner);
        assert!(!late.timed_out(), "it never printed {part:?}: {text}");
        text.clone()
    }
}
