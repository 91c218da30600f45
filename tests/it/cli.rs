//! The command line, seen from outside: exit codes, messages, the install link.

use std::net::TcpListener;
use std::path::Path;

use serde_json::json;
use tempfile::TempDir;

use crate::support::process::{self, Ended, Server, binary};
use crate::support::{Client, PASSWORD, SUPERUSER};

fn fresh() -> (TempDir, std::path::PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("pb_data");
    (root, dir)
}

fn superuser(dir: &Path, arguments: &[&str]) -> Ended {
    process::run(&binary(), dir, &[&["superuser"], arguments].concat())
}

async fn signs_in(server: &Server, email: &str, password: &str) -> bool {
    let guest = Client::new(server.base(), None);
    guest.sign_in("_superusers", email, password).await.status == 200
}

#[tokio::test]
async fn superusers_are_managed() {
    let (_root, dir) = fresh();
    let (first, second) = ("first-1234", "second-1234");
    superuser(&dir, &["create", "a@example.com", first]).succeeds();
    superuser(&dir, &["create", "a@example.com", first]).fails();
    superuser(&dir, &["upsert", "b@example.com", first]).succeeds();
    superuser(&dir, &["upsert", "b@example.com", second]).succeeds();
    superuser(&dir, &["update", "a@example.com", second]).succeeds();
    superuser(&dir, &["update", "nobody@example.com", second]).fails();
    superuser(&dir, &["create", "c@example.com", first]).succeeds();
    superuser(&dir, &["delete", "c@example.com"]).succeeds();
    // What is to be gone is gone.
    superuser(&dir, &["delete", "c@example.com"]).succeeds();
    for bad in [
        &["create", "nobody", first][..],
        &["create", "d@example.com", "short"],
        &["create", "d@example.com", ""],
        &["create", "", first],
        &["create", "d@example.com"],
        &["none", "d@example.com"],
        &[],
    ] {
        let text = superuser(&dir, bad).fails();
        assert!(!text.contains("SQL"), "{text}");
    }
    let server = Server::start(&binary(), &dir).await;
    for (email, password, expected) in [
        ("a@example.com", first, false),
        ("a@example.com", second, true),
        ("b@example.com", second, true),
        ("c@example.com", first, false),
        ("d@example.com", "short", false),
    ] {
        assert_eq!(
            signs_in(&server, email, password).await,
            expected,
            "{email} {password}"
        );
    }
    // While the server runs, too; the writers share the file.
    superuser(&dir, &["upsert", "e@example.com", first]).succeeds();
    assert!(signs_in(&server, "e@example.com", first).await);
}

#[tokio::test]
async fn a_busy_port_ends_with_a_message() {
    let (_root, dir) = fresh();
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap().to_string();
    let text = process::run(&binary(), &dir, &["serve", "--http", &address]).fails();
    assert!(text.contains(&address), "{text}");
}

#[tokio::test]
async fn a_busy_port_of_rooms_that_was_asked_for_ends_with_a_message() {
    let (_root, dir) = fresh();
    let busy = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap();
    let port = address.port().to_string();
    let arguments = ["serve", "--http", "127.0.0.1:0", "--rtc-port", &port];
    let text = process::run(&binary(), &dir, &arguments).fails();
    assert!(text.contains(&address.to_string()), "{text}");
}

#[test]
fn an_unusable_directory_ends_with_a_message() {
    let (root, _) = fresh();
    let file = root.path().join("a_file");
    std::fs::write(&file, "text").unwrap();
    process::run(&binary(), &file, &["serve", "--http", "127.0.0.1:0"]).fails();
    let broken = root.path().join("broken");
    std::fs::create_dir(&broken).unwrap();
    std::fs::write(
        broken.join("data.db"),
        "this is no database, though it is long enough",
    )
    .unwrap();
    process::run(&binary(), &broken, &["serve", "--http", "127.0.0.1:0"]).fails();
    process::run(&binary(), &broken, &["serve", "--http", "nonsense"]).fails();
    process::run(&binary(), &broken, &["serve", "--none"]).fails();
}

#[tokio::test]
async fn sigterm_ends_with_zero_also_with_open_streams() {
    let (_root, dir) = fresh();
    let server = Server::start(&binary(), &dir).await;
    let _events = Client::new(server.base(), None).sse().await;
    let status = server.terminate();
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn the_install_link_makes_the_first_superuser_once() {
    let (_root, dir) = fresh();
    let server = Server::start(&binary(), &dir).await;
    let text = server.printed("/_/#/pbinstall/");
    let token = text
        .split("/pbinstall/")
        .nth(1)
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap();
    let guest = Client::new(server.base(), None);
    guest.get("/_/").await;
    let installer = guest.with_token(token);
    let (email, password) = SUPERUSER;
    let account = json!({"email": email, "password": password, "passwordConfirm": password});
    installer.create("_superusers", account).await;
    assert!(signs_in(&server, email, password).await);
    let second =
        json!({"email": "b@example.com", "password": PASSWORD, "passwordConfirm": PASSWORD});
    let answer = installer.try_create("_superusers", second).await;
    assert!(
        matches!(answer.status, 401 | 403),
        "the link works once: {answer:?}"
    );
    assert_eq!(server.terminate().code(), Some(0));

    let again = Server::start(&binary(), &dir).await;
    again.printed("Server started at");
    assert!(
        again.terminate_and_read().contains("Server started"),
        "it started"
    );
}

impl Server {
    /// All it printed in its life; no link to install may be among it.
    fn terminate_and_read(self) -> String {
        let output = self.reader();
        assert!(self.terminate().success());
        let text = output();
        assert!(!text.contains("pbinstall"), "{text}");
        text
    }
}

#[test]
fn the_description_is_printed_as_json() {
    let (_root, dir) = fresh();
    let text = process::run(&binary(), &dir, &["openapi"]).succeeds();
    let description: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(description["paths"]["/api/health"].is_object());
    assert!(!dir.exists(), "printing makes no data directory");
}
