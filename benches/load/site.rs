//! The application that both servers run: collections made through the HTTP API, rows put into SQLite while the server
//! is stopped, so that both start from the same tables.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use crate::client::{Conn, write_upload};
use crate::target::{Program, SUPERUSER_EMAIL, SUPERUSER_PASSWORD};

pub(crate) const USER_EMAIL: &str = "ann@example.com";
pub(crate) const USER_PASSWORD: &str = "ann-load-1234";
const USER_ID: &str = "annannannannann";

const ACCOUNTS: u64 = 2_000;
const TEAMS: u64 = 100;
const MEMBERS_PER_TEAM: u64 = 20;
/// The signed-in user belongs to one team in so many, so that the membership rule shows 5 % of the rows.
const USER_TEAM_EVERY: u64 = 20;
pub(crate) const AUTHORS: u64 = 1_000;
pub(crate) const TASKS: u64 = 10_000;
pub(crate) const FILE_BYTES: usize = 64 * 1024;

/// What a workload needs to know to write its requests.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) addr: SocketAddr,
    /// The token of the signed-in user.
    pub(crate) token: String,
    /// The path that downloads the uploaded file.
    pub(crate) file_path: String,
    /// Rows in `posts` and in each of the feeds.
    pub(crate) rows: u64,
}

/// Makes the data directory `dir`: superuser, collections, one real user, one file, `rows` posts.
pub(crate) async fn prepare(program: &Program, dir: &Path, rows: u64) -> Result<()> {
    program.init(dir)?;
    lay_scripts(dir)?;
    let server = program.start(dir)?;
    let mut conn = Conn::new(server.addr);
    let superuser = sign_in(
        &mut conn,
        "_superusers",
        SUPERUSER_EMAIL,
        SUPERUSER_PASSWORD,
    )
    .await?;
    // Neither server shall spend its time on a table of request logs: that is a setting, not the work compared here.
    let no_logs = json!({"logs": {"maxDays": 0}});
    conn.json("PATCH", "/api/settings", &superuser, Some(&no_logs))
        .await?;
    for collection in collections() {
        conn.json("POST", "/api/collections", &superuser, Some(&collection))
            .await
            .with_context(|| format!("creating collection {}", collection["name"]))?;
    }
    let user = json!({
        "id": USER_ID, "email": USER_EMAIL, "password": USER_PASSWORD, "passwordConfirm": USER_PASSWORD, "name": "Ann",
        "verified": true,
    });
    conn.json(
        "POST",
        "/api/collections/accounts/records",
        &superuser,
        Some(&user),
    )
    .await?;
    let mut upload = Vec::new();
    write_upload(
        &mut upload,
        "/api/collections/docs/records",
        &superuser,
        "file",
        &file_content(),
    );
    conn.json_of(&upload, "uploading the file").await?;
    server.stop()?;
    seed(&dir.join("data.db"), rows).await
}

/// The hook scripts, where both servers look for them: beside the data directory.
fn lay_scripts(dir: &Path) -> Result<()> {
    let folder = dir.with_file_name("pb_hooks");
    fs::create_dir_all(&folder)?;
    for (name, text) in [
        ("set.pb.js", include_str!("scripts/set.pb.js")),
        ("save.pb.js", include_str!("scripts/save.pb.js")),
        ("json.pb.js", include_str!("scripts/json.pb.js")),
        ("loop.pb.js", include_str!("scripts/loop.pb.js")),
    ] {
        fs::write(folder.join(name), text)?;
    }
    Ok(())
}

/// Signs in on a running server and looks up what the workloads need.
pub(crate) async fn open(addr: SocketAddr, rows: u64) -> Result<Site> {
    let mut conn = Conn::new(addr);
    let token = sign_in(&mut conn, "accounts", USER_EMAIL, USER_PASSWORD).await?;
    let docs = conn
        .json("GET", "/api/collections/docs/records?perPage=1", "", None)
        .await?;
    let doc = &docs["items"][0];
    let (id, file) = (doc["id"].as_str(), doc["file"].as_str());
    let (id, file) = id.zip(file).context("the uploaded file is not there")?;
    Ok(Site {
        addr,
        token,
        file_path: format!("/api/files/docs/{id}/{file}"),
        rows,
    })
}

/// A data directory that was started once and stopped: for start-up times and idle memory.
pub(crate) fn prepare_empty(program: &Program, dir: &Path) -> Result<()> {
    program.init(dir)?;
    program.start(dir)?.stop()
}

/// The place of a program's data directory within the run's temporary directory; its parent is the program's own too,
/// because PocketBase keeps further folders beside its data directory.
pub(crate) fn dir_of(root: &Path, program: &Program, what: &str) -> Result<PathBuf> {
    let dir = root
        .join(format!("{}-{what}", program.name))
        .join("pb_data");
    fs::create_dir_all(&dir)?;
    Ok(dir)
}

async fn sign_in(
    conn: &mut Conn,
    collection: &str,
    identity: &str,
    password: &str,
) -> Result<String> {
    let path = format!("/api/collections/{collection}/auth-with-password");
    let body = json!({"identity": identity, "password": password});
    let answer = conn.json("POST", &path, "", Some(&body)).await?;
    Ok(answer["token"]
        .as_str()
        .context("no token in the sign-in's answer")?
        .to_owned())
}

/// Bytes that no compression makes smaller.
fn file_content() -> Vec<u8> {
    (0..FILE_BYTES as u64)
        .map(|n| (mix(n) & 0xff) as u8)
        .collect()
}

/// Spreads a counter over 64 bits (the finaliser of SplitMix64), so that both servers get the same "random" requests.
pub(crate) fn mix(n: u64) -> u64 {
    let z = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn collections() -> Vec<Value> {
    let text = |name: &str| json!({"name": name, "type": "text", "max": 5000});
    let relation = |name: &str, to: &str, max: u32| json!({"name": name, "type": "relation", "collectionId": to, "maxSelect": max});
    let created =
        || json!({"name": "created", "type": "autodate", "onCreate": true, "onUpdate": false});
    let updated =
        || json!({"name": "updated", "type": "autodate", "onCreate": true, "onUpdate": true});
    let open_to_all = ["listRule", "viewRule"];
    let signed_in = ["createRule", "updateRule"];
    let make = |id: &str,
                name: &str,
                kind: &str,
                list_rule: Option<&str>,
                fields: Vec<Value>,
                indexes: Vec<String>| {
        let mut all =
            json!({"id": id, "name": name, "type": kind, "fields": fields, "indexes": indexes});
        for rule in open_to_all {
            all[rule] = json!(list_rule);
        }
        for rule in signed_in {
            all[rule] = json!("@request.auth.id != ''");
        }
        all
    };
    let post_fields = || {
        vec![
            text("title"),
            text("body"),
            json!({"name": "views", "type": "number"}),
            json!({"name": "published", "type": "bool"}),
            json!({"name": "category", "type": "select", "values": ["news", "howto", "opinion"], "maxSelect": 1}),
            relation("owner", "loadauthors0001", 1),
            created(),
            updated(),
        ]
    };
    let by_created = |table: &str| {
        vec![format!(
            "CREATE INDEX `idx_{table}_created` ON `{table}` (`created`)"
        )]
    };
    let everyone = Some("");
    vec![
        make(
            "loadaccounts001",
            "accounts",
            "auth",
            everyone,
            vec![text("name")],
            vec![],
        ),
        make(
            "loadteams000001",
            "teams",
            "base",
            everyone,
            vec![text("name"), relation("members", "loadaccounts001", 100)],
            vec![],
        ),
        make(
            "loadmembers0001",
            "memberships",
            "base",
            everyone,
            vec![
                relation("team", "loadteams000001", 1),
                relation("account", "loadaccounts001", 1),
            ],
            vec!["CREATE INDEX `idx_memberships_team` ON `memberships` (`team`)".to_owned()],
        ),
        make(
            "loadauthors0001",
            "authors",
            "base",
            everyone,
            vec![text("name"), relation("team", "loadteams000001", 1)],
            vec![],
        ),
        make(
            "loadposts000001",
            "posts",
            "base",
            everyone,
            post_fields(),
            by_created("posts"),
        ),
        make(
            "loadfeed0000001",
            "feed",
            "base",
            Some("owner.team.members.id ?= @request.auth.id"),
            post_fields(),
            by_created("feed"),
        ),
        make(
            "loadfeedvia0001",
            "feed_via",
            "base",
            Some("owner.team.memberships_via_team.account ?= @request.auth.id"),
            post_fields(),
            by_created("feed_via"),
        ),
        make(
            "loadfeedeach001",
            "feed_each",
            "base",
            Some("owner.team.members.verified = true"),
            post_fields(),
            by_created("feed_each"),
        ),
        make(
            "loaditems000001",
            "items",
            "base",
            everyone,
            post_fields(),
            by_created("items"),
        ),
        make(
            "loadtasks000001",
            "tasks",
            "base",
            everyone,
            post_fields(),
            by_created("tasks"),
        ),
        make(
            "loadnews0000001",
            "news",
            "base",
            everyone,
            vec![text("title"), text("body"), created()],
            vec![],
        ),
        make(
            "loadhooknone001",
            "hook_none",
            "base",
            everyone,
            vec![text("title"), text("body"), created()],
            vec![],
        ),
        make(
            "loadhookset0001",
            "hook_set",
            "base",
            everyone,
            vec![text("title"), text("body"), created()],
            vec![],
        ),
        make(
            "loadhooksave001",
            "hook_save",
            "base",
            everyone,
            vec![text("title"), text("body"), created()],
            vec![],
        ),
        make(
            "loadtallies0001",
            "tallies",
            "base",
            everyone,
            vec![text("name"), json!({"name": "value", "type": "number"})],
            vec!["CREATE UNIQUE INDEX idx_tallies_name ON tallies (name)".to_owned()],
        ),
        make(
            "loaddocs0000001",
            "docs",
            "base",
            everyone,
            vec![json!({"name": "file", "type": "file", "maxSelect": 1, "maxSize": 1_000_000})],
            vec![],
        ),
    ]
}

async fn seed(database: &Path, rows: u64) -> Result<()> {
    let mut db = SqliteConnectOptions::new()
        .filename(database)
        .connect()
        .await?;
    for statement in seed_statements(rows) {
        let done = sqlx::query(AssertSqlSafe(statement.clone()))
            .execute(&mut db)
            .await;
        done.with_context(|| format!("seeding: {statement}"))?;
    }
    db.close().await?;
    Ok(())
}

fn seed_statements(rows: u64) -> Vec<String> {
    let count = |n: u64| {
        format!("WITH RECURSIVE c(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM c WHERE n + 1 < {n})")
    };
    let posts = |table: &str, prefix: &str, n: u64| {
        format!(
            "{} INSERT INTO {table} (id, title, body, views, published, category, owner, created, updated)
             SELECT printf('{prefix}%011d', n), 'Title of row ' || n, '{}', (n * 7919) % 1000, n % 3 != 0,
                    CASE n % 3 WHEN 0 THEN 'news' WHEN 1 THEN 'howto' ELSE 'opinion' END,
                    printf('auth%011d', (n * 31) % {AUTHORS}),
                    strftime('%Y-%m-%d %H:%M:%S', 1700000000 + n, 'unixepoch') || '.000Z',
                    strftime('%Y-%m-%d %H:%M:%S', 1700000000 + n, 'unixepoch') || '.000Z' FROM c",
            count(n),
            "Lorem ipsum dolor sit amet, consetetur sadipscing elitr. ".repeat(4)
        )
    };
    vec![
        "BEGIN".to_owned(),
        format!(
            "{} INSERT INTO accounts (id, email, tokenKey, name, verified)
             SELECT printf('acct%011d', n), 'account' || n || '@example.com', printf('key%047d', n), 'Account ' || n, 1
             FROM c",
            count(ACCOUNTS)
        ),
        format!(
            "{} INSERT INTO teams (id, name, members)
             SELECT printf('team%011d', n), 'Team ' || n,
                    (WITH RECURSIVE m(k) AS (SELECT 0 UNION ALL SELECT k + 1 FROM m WHERE k + 1 < {MEMBERS_PER_TEAM})
                     SELECT json_group_array(CASE WHEN k = 0 AND n % {USER_TEAM_EVERY} = 0 THEN '{USER_ID}'
                            ELSE printf('acct%011d', (n * {MEMBERS_PER_TEAM} + k) % {ACCOUNTS}) END) FROM m)
             FROM c",
            count(TEAMS)
        ),
        "INSERT INTO memberships (id, team, account)
         SELECT printf('memb%011d', row_number() OVER ()), teams.id, member.value FROM teams, json_each(members) member"
            .to_owned(),
        format!(
            "{} INSERT INTO authors (id, name, team)
             SELECT printf('auth%011d', n), 'Author ' || n, printf('team%011d', (n * 7) % {TEAMS}) FROM c",
            count(AUTHORS)
        ),
        posts("posts", "post", rows),
        posts("feed", "feed", rows),
        posts("feed_via", "fvia", rows),
        posts("feed_each", "feac", rows),
        posts("tasks", "task", TASKS),
        "INSERT INTO tallies (id, name, value) VALUES ('tally0000000000', 'all', 0)".to_owned(),
        "COMMIT".to_owned(),
    ]
}
