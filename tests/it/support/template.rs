//! The data directory every test starts from, made once: a superuser and three users, signed in.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use tokio::sync::OnceCell;

use super::app;
use super::client::Client;
use super::process;

/// E-mail and password of the superuser.
pub(crate) const SUPERUSER: (&str, &str) = ("root@example.com", "root-1234567");
/// The password of all users.
pub(crate) const PASSWORD: &str = "pass-1234567";

const NAMES: [&str; 3] = ["ann", "bob", "carl"];

/// The files of a data directory. Tokens stay valid in copies, since keys are copied too.
pub(super) struct Template {
    files: Vec<(PathBuf, Vec<u8>)>,
    pub(super) superuser_token: String,
    pub(super) users: Vec<User>,
}

pub(super) struct User {
    pub(super) name: &'static str,
    pub(super) id: String,
    pub(super) token: String,
}

static TEMPLATE: OnceCell<Template> = OnceCell::const_new();

pub(super) async fn get() -> &'static Template {
    TEMPLATE.get_or_init(make).await
}

async fn make() -> Template {
    let root = tempfile::tempdir().expect("a temporary directory");
    let dir = root.path().join("pb_data");
    let binary = app::peer().unwrap_or_else(process::binary);
    let (email, password) = SUPERUSER;
    process::run(&binary, &dir, &["superuser", "upsert", email, password]).succeeds();
    let (server, base) = app::start(&dir, None).await;
    let guest = Client::new(&base, None);
    let superuser_token = sign_in(&guest, "_superusers", email, password).await.1;
    let superuser = Client::new(&base, Some(&superuser_token));
    let mut users = Vec::new();
    for name in NAMES {
        let email = format!("{name}@example.com");
        let user = json!({"email": email, "name": name, "password": PASSWORD, "passwordConfirm": PASSWORD});
        superuser.create("users", user).await;
        let (id, token) = sign_in(&guest, "users", &email, PASSWORD).await;
        users.push(User { name, id, token });
    }
    drop(server);
    let mut files = Vec::new();
    read_all(&dir, Path::new(""), &mut files);
    Template {
        files,
        superuser_token,
        users,
    }
}

async fn sign_in(
    guest: &Client,
    collection: &str,
    email: &str,
    password: &str,
) -> (String, String) {
    let answer = guest.sign_in(collection, email, password).await.expect(200);
    let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
    (text(&answer["record"]["id"]), text(&answer["token"]))
}

impl Template {
    pub(super) fn copy_to(&self, dir: &Path) {
        for (path, bytes) in &self.files {
            let path = dir.join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            fs::write(path, bytes).expect("a file");
        }
    }
}

fn read_all(dir: &Path, below: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(dir.join(below)).expect("a folder") {
        let path = below.join(entry.expect("an entry").file_name());
        if dir.join(&path).is_dir() {
            read_all(dir, &path, files);
        } else {
            files.push((path.clone(), fs::read(dir.join(path)).expect("a file")));
        }
    }
}
