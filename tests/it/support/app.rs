//! The server under test.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use rotunda::config::Config;
use rotunda::engine::Engine;
use rotunda::live::Live;
use rotunda::server;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::client::Client;
use super::process::Server;
use super::template::{self, Template};
use super::watch;

/// A server on a free port over a data directory of its own, with a superuser and the users ann, bob and carl.
///
/// On drop it stops the server and fails if the server panicked or logged an error.
pub(crate) struct TestApp {
    root: TempDir,
    template: &'static Template,
    base: String,
    server: Backend,
}

pub(super) enum Backend {
    Here(Here),
    /// Another binary, for comparison.
    Peer(#[expect(dead_code, reason = "held to be ended on drop")] Server),
}

/// A server on a thread of this process.
pub(super) struct Here {
    engine: Engine,
    live: Live,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// How a server is to be started.
#[derive(Default)]
pub(crate) struct Builder {
    change: Option<Change>,
    /// Files beside the data directory: paths and texts.
    files: Vec<(String, String)>,
}

type Change = Box<dyn FnOnce(&mut Config) + Send>;

impl TestApp {
    #[expect(clippy::new_ret_no_self, reason = "reads as TestApp::new().start()")]
    pub(crate) fn new() -> Builder {
        Builder::default()
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        let address = self.base.trim_start_matches("http://");
        address.parse().expect("an address")
    }

    pub(crate) fn guest(&self) -> Client {
        Client::new(&self.base, None)
    }

    pub(crate) fn superuser(&self) -> Client {
        self.client_with(&self.template.superuser_token)
    }

    /// One of the users of the collection `users` that every app has.
    pub(crate) fn user(&self, name: &str) -> Client {
        let user = self.template.users.iter().find(|user| user.name == name);
        let user = user.unwrap_or_else(|| panic!("no user {name} in the template"));
        let mut client = self.client_with(&user.token);
        client.id.clone_from(&user.id);
        client
    }

    pub(crate) fn client_with(&self, token: &str) -> Client {
        Client::new(&self.base, Some(token))
    }

    /// The same user at a server that was started anew.
    pub(crate) fn user_again(&self, user: &Client) -> Client {
        let mut client = self.client_with(user.token());
        client.id.clone_from(&user.id);
        client
    }

    /// Makes a collection through the API.
    pub(crate) async fn collection(&self, collection: Value) -> Value {
        self.superuser()
            .post("/api/collections", collection)
            .await
            .expect(200)
    }

    /// The engine behind the API; `None` when another binary is tested.
    pub(crate) fn engine(&self) -> Option<&Engine> {
        match &self.server {
            Backend::Here(here) => Some(&here.engine),
            Backend::Peer(_) => None,
        }
    }

    /// The live events behind the API.
    pub(crate) fn live(&self) -> &Live {
        match &self.server {
            Backend::Here(here) => &here.live,
            Backend::Peer(_) => panic!("another binary is tested"),
        }
    }

    /// Stops the server and starts another on the same data.
    pub(crate) async fn restart(&mut self) {
        self.restart_with(|_| ()).await;
    }

    /// As [`TestApp::restart`], with another configuration.
    pub(crate) async fn restart_with(&mut self, change: impl FnOnce(&mut Config) + Send + 'static) {
        let dir = self.dir();
        if let Backend::Here(here) = &mut self.server {
            here.end();
        }
        let (server, base) = start(&dir, Some(Box::new(change))).await;
        (self.server, self.base) = (server, base);
    }

    /// The data directory.
    pub(crate) fn dir(&self) -> PathBuf {
        data_dir(self.root.path())
    }

    /// Writes a file beside the data directory, such as `pb_hooks/a.js`, as editors do: all at once.
    pub(crate) fn write(&self, path: &str, text: &str) {
        write_file(&self.root.path().join(path), text);
    }

    /// Removes a file beside the data directory.
    pub(crate) fn remove(&self, path: &str) {
        std::fs::remove_file(self.root.path().join(path)).expect("a file to remove");
    }

    /// The files that are stored for records: paths below `storage/`, without attributes and thumbs, sorted.
    pub(crate) fn stored_files(&self) -> Vec<String> {
        let storage = self.dir().join("storage");
        let mut files = Vec::new();
        walk(&storage, &mut |path| {
            let path = path.strip_prefix(&storage).expect("a path below storage");
            let path = path.to_string_lossy().into_owned();
            if !path.ends_with(".attrs") && !path.contains("/thumbs_") {
                files.push(path);
            }
        });
        files.sort();
        files
    }
}

impl Builder {
    /// Changes the configuration; another binary knows nothing of it.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Config) + Send + 'static) -> Self {
        let earlier = self.change.take();
        self.change = Some(Box::new(move |config: &mut Config| {
            if let Some(earlier) = earlier {
                earlier(config);
            }
            change(config);
        }));
        self
    }

    /// The application modules that run: `all` or names.
    pub(crate) fn modules(self, names: &'static str) -> Self {
        self.with(move |config| config.modules = Some(names.to_owned()))
    }

    /// A hook script, by its path below `pb_hooks`.
    pub(crate) fn hook(self, name: &str, text: &str) -> Self {
        self.file(&format!("pb_hooks/{name}"), text)
    }

    /// A shared module, by its path below `pb_modules`.
    pub(crate) fn module(self, name: &str, text: &str) -> Self {
        self.file(&format!("pb_modules/{name}"), text)
    }

    /// A file beside the data directory.
    pub(crate) fn file(mut self, path: &str, text: &str) -> Self {
        self.files.push((path.to_owned(), text.to_owned()));
        self
    }

    pub(crate) async fn start(self) -> TestApp {
        watch::install();
        let template = template::get().await;
        let root = tempfile::tempdir().expect("a temporary directory");
        template.copy_to(&data_dir(root.path()));
        for (path, text) in &self.files {
            write_file(&root.path().join(path), text);
        }
        let (server, base) = start(&data_dir(root.path()), self.change).await;
        TestApp {
            root,
            template,
            base,
            server,
        }
    }
}

/// Whether another binary is tested; for the few tests that look inside or at what PocketBase does not promise.
pub(crate) fn is_peer() -> bool {
    peer().is_some()
}

pub(super) fn peer() -> Option<PathBuf> {
    std::env::var_os("ROTUNDA_SERVER").map(PathBuf::from)
}

fn data_dir(root: &Path) -> PathBuf {
    root.join("pb_data")
}

/// Serves a data directory; also the address.
pub(super) async fn start(dir: &Path, change: Option<Change>) -> (Backend, String) {
    if let Some(binary) = peer() {
        let server = Server::start(&binary, dir).await;
        let base = server.base().to_owned();
        return (Backend::Peer(server), base);
    }
    let mut config = Config::new(dir);
    config.workers = 2;
    // Servers run side by side.
    config.rtc.port = Some(0);
    // Most tests are about a plain server.
    config.modules = Some("none".to_owned());
    if let Some(change) = change {
        change(&mut config);
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let (tell, told) = oneshot::channel();
    let (stop, stopped) = oneshot::channel();
    let thread = std::thread::Builder::new()
        .name("test-server".to_owned())
        .spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let running = server::start(&config, listener).await;
                let running = running.expect("the server starts");
                let _ = tell.send((running.engine.clone(), running.live.clone(), running.addr));
                let _ = stopped.await;
                // Without waiting for open requests: event streams of the test are still open.
                running.handle().stop(false).await;
                running.stop().await;
            });
        })
        .expect("a thread");
    let started = super::in_time("the server to start", told).await;
    let (engine, live, addr) = started.unwrap_or_else(|_| {
        panic!("the server did not start: {:?}", watch::take());
    });
    let here = Here {
        engine,
        live,
        stop: Some(stop),
        thread: Some(thread),
    };
    (Backend::Here(here), format!("http://{addr}"))
}

impl Here {
    fn end(&mut self) -> Option<std::thread::Result<()>> {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        self.thread.take().map(JoinHandle::join)
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        let was_running = self.thread.is_some();
        let ended = self.end();
        let complaints = watch::take();
        if std::thread::panicking() {
            for complaint in complaints {
                eprintln!("{complaint}");
            }
            return;
        }
        assert!(
            complaints.is_empty(),
            "the server complained: {complaints:#?}"
        );
        assert!(
            matches!(ended, Some(Ok(()))) || !was_running,
            "the server's thread panicked"
        );
    }
}

fn write_file(path: &Path, text: &str) {
    let folder = path.parent().expect("a folder");
    std::fs::create_dir_all(folder).expect("a folder");
    let fresh = folder.join(".fresh");
    std::fs::write(&fresh, text).expect("a written file");
    std::fs::rename(&fresh, path).expect("a file in its place");
}

fn walk(folder: &Path, visit: &mut dyn FnMut(&Path)) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            walk(&path, visit);
        } else {
            visit(&path);
        }
    }
}
